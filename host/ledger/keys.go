package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"
)

// Keys open and seal the data keys of runs. With identities sealed values can
// be read; recipients are those that a new run is sealed to, the identities'
// own among them.
type Keys struct {
	Identities []age.Identity
	Recipients []age.Recipient
}

// PublicKeys are the recipients as age prints them.
func (k Keys) PublicKeys() []string {
	var list []string
	for _, r := range k.Recipients {
		if s, ok := r.(fmt.Stringer); ok && !slices.Contains(list, s.String()) {
			list = append(list, s.String())
		}
	}
	return list
}

// maxKeyFile is what a file of identities or recipients may be large.
const maxKeyFile = 1 << 20

// LoadKeys reads the identity file, making a missing one (0600), and the
// recipients: each is an age recipient, or the name of a file that lists some.
// created reports that the identity was made now.
func LoadKeys(identityPath string, recipients []string) (k Keys, created bool, err error) {
	extra, err := parseRecipients(recipients)
	if err != nil {
		return Keys{}, false, err
	}
	if _, err := os.Stat(identityPath); errors.Is(err, fs.ErrNotExist) {
		created, err = createIdentity(identityPath)
		if err != nil {
			return Keys{}, false, err
		}
	} else if err := syncOwn(filepath.Dir(identityPath)); err != nil {
		return Keys{}, false, fmt.Errorf("identity: %w", err)
	}
	k, err = OpenKeys(identityPath)
	k.Recipients = append(k.Recipients, extra...)
	return k, created, err
}

// HasRuns reports whether a state directory has runs, those among them that
// cannot be read.
func HasRuns(dir string) (bool, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "runs"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".db") }), err
}

// OpenKeys reads an identity file, and makes nothing. One that others than its
// owner may use, or could replace, is refused, as ssh refuses its keys.
func OpenKeys(identityPath string) (Keys, error) {
	text, err := readKeys(identityPath)
	if err != nil {
		return Keys{}, fmt.Errorf("identity: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return Keys{}, fmt.Errorf("identity %s: %s", identityPath, notAge(text, err, "an age identity, whose lines begin with AGE-SECRET-KEY-: name another file, or make one: rekey keygen --out FILE"))
	}
	k := Keys{Identities: ids}
	for _, id := range ids {
		switch id := id.(type) {
		case *age.X25519Identity:
			k.Recipients = append(k.Recipients, id.Recipient())
		case *age.HybridIdentity:
			k.Recipients = append(k.Recipients, id.Recipient())
		}
	}
	if len(k.Recipients) == 0 {
		return Keys{}, fmt.Errorf("identity %s: there is no identity in it that rekey can seal to", identityPath)
	}
	return k, nil
}

// keyText is the text of a file of keys.
func keyText(path string, text []byte) ([]byte, error) {
	switch {
	case len(text) > maxKeyFile:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is larger than %d KiB", maxKeyFile>>10)}
	case bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")):
		return nil, fmt.Errorf("%s: it is UTF-16; save it as UTF-8", path)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// createIdentity makes an identity file, unless another process is faster.
func createIdentity(path string) (bool, error) {
	if err := makePrivateDir(filepath.Dir(path)); err != nil {
		return false, err
	}
	if err := syncUp(filepath.Dir(path)); err != nil {
		return false, err
	}
	text, _, err := GenerateIdentity(time.Now())
	if err != nil {
		return false, err
	}
	err = writeNew(path, text)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// GenerateIdentity makes an X25519 identity: the text of an identity file, as
// age-keygen writes it, and its recipient. made is the date in it.
func GenerateIdentity(made time.Time) (text []byte, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, "", err
	}
	recipient = id.Recipient().String()
	text = fmt.Appendf(nil, "# created: %s\n# public key: %s\n%s\n", made.UTC().Format(time.RFC3339), recipient, id)
	return text, recipient, nil
}

// CreateIdentity makes an identity file (0600) and returns its recipient. It
// never replaces a file: the error is then fs.ErrExist.
func CreateIdentity(path string) (recipient string, err error) {
	text, recipient, err := GenerateIdentity(time.Now())
	if err != nil {
		return "", err
	}
	return recipient, writeNew(path, text)
}

// writeNew writes a file that must not exist, 0600, whole or not at all.
func writeNew(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".rekey-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has its own name by then, or failed
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := unix.Link(f.Name(), path); err != nil {
		return &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return syncDir(dir)
}

// parseRecipients reads recipients and files of them; every fault of
// them is one error, a line each.
func parseRecipients(list []string) ([]age.Recipient, error) {
	var found []age.Recipient
	var wrong []error
	for _, s := range list {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		some, err := recipientsIn(s)
		if err != nil {
			wrong = append(wrong, err)
		}
		found = append(found, some...)
	}
	return found, errors.Join(wrong...)
}

// notAge says what a file of keys is that age cannot read.
func notAge(text []byte, err error, want string) string {
	first := strings.TrimSpace(string(text[:min(len(text), 200)]))
	switch {
	case isSSH(first):
		return notSSH
	case strings.HasPrefix(first, "age-encryption.org/") || strings.HasPrefix(first, "-----BEGIN AGE ENCRYPTED FILE"):
		return "it is encrypted: decrypt it first, age --decrypt"
	case strings.HasPrefix(first, "AGE-PLUGIN-"):
		return "it is the identity of an age plugin, which is not supported; make one of age itself: rekey keygen"
	}
	return "it is not " + want + " (" + err.Error() + ")"
}

// notSSH is what to say of a key of ssh.
const notSSH = "SSH keys are not supported; make an age identity, rekey keygen or age-keygen, and give its recipient, which begins with age1"

// isSSH reports whether a text begins like a key of ssh.
func isSSH(text string) bool {
	for _, start := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "-----BEGIN OPENSSH PRIVATE KEY", "-----BEGIN RSA PRIVATE KEY", "-----BEGIN EC PRIVATE KEY"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	return false
}

func recipientsIn(s string) ([]age.Recipient, error) {
	if strings.HasPrefix(s, "age1") {
		some, err := age.ParseRecipients(strings.NewReader(s))
		if err != nil {
			return nil, fmt.Errorf("recipient %q: not an age recipient; copy the line that begins with age1", s)
		}
		return some, nil
	}
	if strings.HasPrefix(s, "AGE-SECRET-KEY-") {
		return nil, errors.New("recipient: this is an identity, which is secret; give its recipient, which begins with age1")
	}
	if isSSH(s) {
		return nil, fmt.Errorf("recipient: %s", notSSH)
	}
	text, err := readKeys(s)
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, fmt.Errorf("recipient %q: neither an age recipient nor a file of them: %w", s, path.Err)
	}
	if err != nil {
		return nil, fmt.Errorf("recipients file %w", err)
	}
	some, err := age.ParseRecipients(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("recipients file %s: %s", s, notAge(text, err, "a list of age recipients, whose lines begin with age1"))
	}
	return some, nil
}
