package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// wrote is what is remembered of one output file.
type wrote struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// noteFile is where one output file is remembered: a file each, so that
// processes need no lock and a crash leaves the old or the new note.
func (s *Store) noteFile(path string) string {
	return filepath.Join(s.dir, "files", digestOf([]byte(path))+".json")
}

// Wrote remembers that a run of this state directory wrote the file at path,
// and the digest of what it wrote. It is durable when Wrote returns. path is
// taken as it is: callers make it absolute and clean.
func (s *Store) Wrote(path, digest string) error {
	if err := makePrivateDir(filepath.Join(s.dir, "files")); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	text, err := json.Marshal(wrote{path, digest})
	if err != nil {
		return err
	}
	if err := replace(s.noteFile(path), append(text, '\n')); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// Owns reports whether a run of this state directory wrote the file at path,
// and the digest of what it wrote last. A note that cannot be read counts as
// none: the file is then nobody's.
func (s *Store) Owns(path string) (digest string, ok bool) {
	text, err := os.ReadFile(s.noteFile(path))
	if err != nil {
		return "", false
	}
	var w wrote
	if json.Unmarshal(text, &w) != nil || w.Path != path {
		return "", false
	}
	return w.Digest, true
}

// replace writes a file whole, 0600, in place of one that may be there.
func replace(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".rekey-*")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		rerr := os.Remove(f.Name())
		if rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			return errors.Join(err, rerr)
		}
		return err
	}
	return syncDir(dir)
}
