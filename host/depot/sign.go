package depot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/lockfile"
)

// Signed is a signature that was made.
type Signed struct {
	Path string // of the signature, beside the program
	Key  string // by which it is verified
}

// Sign signs a plugin's program, and those of other platforms, "os/arch=path",
// by the key in a file, which is made if it does not exist.
func Sign(program, keyFile string, others []string) (Signed, error) {
	if !plugin(program) {
		return Signed{}, fmt.Errorf("%s: a plugin is named %sNAME, with small letters, digits, - and _; rename it", program, prefix)
	}
	name := strings.TrimPrefix(filepath.Base(program), prefix)
	digests := map[string]string{}
	for _, text := range append([]string{lockfile.Platform() + "=" + program}, others...) {
		platform, path, ok := strings.Cut(text, "=")
		if !ok {
			return Signed{}, fmt.Errorf("--other %s: write OS/ARCH=PROGRAM", text)
		}
		digest, _, err := launch.Digest(path)
		if err != nil {
			return Signed{}, err
		}
		digests[platform] = digest
	}
	secret, public, err := signingKey(keyFile, name)
	if err != nil {
		return Signed{}, err
	}
	text, err := lockfile.Sign(lockfile.Statement(name, digests), secret)
	if err != nil {
		return Signed{}, fmt.Errorf("%s: no signing key: %w; give a file that rekey plugin sign made", keyFile, err)
	}
	path := lockfile.SignatureOf(program)
	return Signed{path, public}, os.WriteFile(path, text, 0o644)
}

// signingKey reads the key of a file: its first line signs, its second verifies.
func signingKey(path, name string) (secret, public string, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newSigningKey(path, name)
	}
	if err != nil {
		return "", "", err
	}
	secret, public, ok := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if !ok {
		return "", "", fmt.Errorf("%s: no file that rekey plugin sign made; give another", path)
	}
	return secret, public, nil
}

func newSigningKey(path, name string) (secret, public string, err error) {
	secret, public, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", "", err
	}
	_, err = fmt.Fprintf(file, "%s\n%s\n", secret, public)
	return secret, public, errors.Join(err, file.Sync(), file.Close())
}
