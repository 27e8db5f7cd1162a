package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/sdk/define"
)

// embeddedPrefix is the prefix of the names of files shipped in the binary.
const embeddedPrefix = "@rekey/"

// place is a working directory: where the relative paths of a script lead.
type place struct {
	dir      string
	moved    bool  // the run was planned in another directory than the command's
	embedded fs.FS // the shipped scripts
}

// absolute returns where a path leads.
func (p place) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.dir, path)
}

// definition returns where the definition of a backend is.
func (p place) definition(path string) string {
	if path == "" || define.IsShipped(path) {
		return path
	}
	return p.absolute(path)
}

// shown returns the name that messages use for a file of the script.
func (p place) shown(path string) string {
	if p.moved {
		return p.absolute(path)
	}
	return path
}

// of returns where a file was looked for.
func (p place) of(path string) string {
	if strings.HasPrefix(path, embeddedPrefix) {
		return path
	}
	return p.absolute(path)
}

// open opens a file of the script for reading.
func (p place) open(ctx context.Context, name string) (fs.File, error) {
	if rest, embedded := strings.CutPrefix(name, embeddedPrefix); embedded {
		return p.embedded.Open(rest)
	}
	file, err := bounded.Open(ctx, p.absolute(name))
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("is not a regular file any more"), file.Close())
	}
	return file, nil
}

// read returns the text of a file of the script.
func (p place) read(ctx context.Context, path string) ([]byte, error) {
	file, err := p.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// fingerprint returns the SHA-256 of a file in hex.
func (p place) fingerprint(ctx context.Context, name string) (string, error) {
	file, err := p.open(ctx, name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), ctx.Err()
}
