package report

import (
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// CheckEncrypted reports a problem of a report sealed to
// recipients: the name has to end in .age, so that the file is not taken for
// clear text, and the recipients have to be ones of age.
func CheckEncrypted(path string, recipients []string) error {
	if !strings.HasSuffix(path, ".age") {
		return fmt.Errorf("%s: a report with encrypt_to needs a name that ends in .age", path)
	}
	_, err := parseRecipients(recipients)
	return err
}

// Encrypt returns a writer whose bytes are sealed to the recipients on their
// way to w: nothing is ever on disk in clear. Closing it ends the sealed
// stream and does not close w.
func Encrypt(w io.Writer, recipients []string) (io.WriteCloser, error) {
	to, err := parseRecipients(recipients)
	if err != nil {
		return nil, err
	}
	return age.Encrypt(w, to...)
}

func parseRecipients(recipients []string) ([]age.Recipient, error) {
	if len(recipients) == 0 {
		return nil, fmt.Errorf("encrypt_to: no recipient")
	}
	var to []age.Recipient
	for _, text := range recipients {
		recipients, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil || len(recipients) != 1 {
			return nil, fmt.Errorf("encrypt_to: %q is not a recipient of age; it begins with age1", text)
		}
		to = append(to, recipients...)
	}
	return to, nil
}
