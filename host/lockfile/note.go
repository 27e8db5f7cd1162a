package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// SignatureOf is the file with the signature of a program: a signed note beside it.
func SignatureOf(program string) string { return program + ".sig" }

// ValidKey reports whether a text is a verifier key of signed notes.
func ValidKey(key string) error {
	_, err := note.NewVerifier(key)
	return err
}

// Statement is what is signed of a plugin: its name, and the SHA-256 of its
// program on each platform, sorted.
func Statement(name string, digests map[string]string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "rekey plugin %s\n", name)
	for _, platform := range slices.Sorted(maps.Keys(digests)) {
		fmt.Fprintf(&text, "%s %s\n", platform, digests[platform])
	}
	return text.String()
}

// Sign returns the signed note of a statement, by a key as note.GenerateKey
// makes it.
func Sign(statement, key string) ([]byte, error) {
	signer, err := note.NewSigner(strings.TrimSpace(key))
	if err != nil {
		return nil, err
	}
	return note.Sign(&note.Note{Text: statement}, signer)
}

// Program is one that may be signed.
type Program struct{ Name, Path, Platform, Digest string }

// Signed refuses a program whose signature is not of the key, or not of it.
func Signed(key string, program Program) error {
	path := SignatureOf(program.Path)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: it is not signed, and the key says that it is; get %s from who made it", program.Path, path)
	}
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return fmt.Errorf("plugin %q: key: %w", program.Name, err)
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return fmt.Errorf("%s: no signature of %s: %w; get it from there again", path, verifier.Name(), err)
	}
	lines := strings.Split(opened.Text, "\n")
	if lines[0] == "rekey plugin "+program.Name && slices.Contains(lines[1:], program.Platform+" "+program.Digest) {
		return nil
	}
	return fmt.Errorf("%s: %s signed another program; get both from there again", path, verifier.Name())
}
