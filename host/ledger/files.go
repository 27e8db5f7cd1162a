package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// outputs remember the files that runs wrote.
type outputs struct{ *stateDir }

// wrote is the memory of one output file.
type wrote struct {
	Path    string   `json:"path"`
	Digests []string `json:"digests"`        // the first is what was written last, others are what came to be written since
	Kind    string   `json:"kind,omitempty"` // which output it is; "": not known
	List    *List    `json:"list,omitempty"`
}

// List is the memory of an output file that lists passwords.
type List struct {
	Run    string `json:"run"`    // that wrote it
	Values int64  `json:"values"` // users whose password is in it
}

// noteFile is where one output file is remembered: a file each, so that
// processes need no lock and a crash leaves the old or the new note.
func (s *outputs) noteFile(path string) string {
	return filepath.Join(s.dir, "files", digestOf([]byte(path))+".json")
}

// Wrote remembers that a run of this state directory wrote the file at path,
// which of its outputs, and the digest of its content. It is durable
// when Wrote returns. path is taken as it is: callers make it absolute and clean.
func (s *outputs) Wrote(path, digest, kind string) error {
	return s.remember(wrote{Path: path, Digests: []string{digest}, Kind: kind})
}

// WroteList is Wrote for a list of passwords.
func (s *outputs) WroteList(path, digest, kind string, list List) error {
	return s.remember(wrote{Path: path, Digests: []string{digest}, Kind: kind, List: &list})
}

// KindOf returns which output Wrote or Writes was told a path is; "" if neither
// was.
func (s *outputs) KindOf(path string) string { return s.written(path).Kind }

// Listed returns what WroteList was told of a path; false if it was not.
func (s *outputs) Listed(path string) (List, bool) {
	w := s.written(path)
	if w.List == nil {
		return List{}, false
	}
	return *w.List, true
}

// attempts is how many digests of a file are remembered.
const attempts = 32

// Writes remembers that a run is about to write the file at path: until Wrote
// is called it may have this digest or one from before. It is durable when
// Writes returns.
func (s *outputs) Writes(path, digest, kind string) error {
	w := s.written(path)
	w.Kind = kind
	w.Path, w.Digests = path, append(w.Digests, digest)
	if len(w.Digests) > attempts {
		w.Digests = slices.Delete(w.Digests, 1, 2) // the first is the likeliest to be there
	}
	return s.remember(w)
}

func (s *outputs) remember(w wrote) error {
	if err := makePrivateDir(filepath.Join(s.dir, "files")); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	if err := replace(s.noteFile(w.Path), append(text, '\n')); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	return nil
}

// Owns returns the digests that the file at path may have if runs of this
// state directory wrote it and it was not changed since; none where no run did. A
// note that cannot be read counts as none: the file then has no owner.
func (s *outputs) Owns(path string) []string { return s.written(path).Digests }

// written reads the note of a file; an empty one without a note.
func (s *outputs) written(path string) wrote {
	text, err := os.ReadFile(s.noteFile(path))
	if err != nil {
		return wrote{}
	}
	var w wrote
	if json.Unmarshal(text, &w) != nil || w.Path != path {
		return wrote{}
	}
	return w
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
