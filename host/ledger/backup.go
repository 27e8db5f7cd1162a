package ledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Backup is what a copy of a state directory holds.
type Backup struct {
	Dir     string
	Runs    int
	Damaged []string // runs that cannot be read, copied as they lie: with the reason
}

// backingUp copies the state directory of a store.
type backingUp struct{ *Store }

// ErrNotVacant is why a backup is not made where something is.
var ErrNotVacant = errors.New("is there already and not empty")

func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ENOTDIR):
		return &fs.PathError{Op: "backup", Path: dir, Err: errors.New("is a file")}
	case err == nil && len(entries) > 0:
		return &fs.PathError{Op: "backup", Path: dir, Err: ErrNotVacant}
	}
	return err
}

func (s *backingUp) backUp(ctx context.Context, made, identity string, b *Backup) error {
	to := storeAt(&stateDir{dir: made, now: s.now, rand: s.rand, osUser: s.osUser, host: s.host})
	for _, d := range []string{to.runs(), to.marks()} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	ids, err := s.ids()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.backUpRun(to, id, b); err != nil {
			return ofRun(id, err)
		}
	}
	if err := s.backUpFiles(made); err != nil {
		return err
	}
	if identity != "" {
		if err := files.Copy(filepath.Join(made, "identity.txt"), identity); err != nil {
			return err
		}
	}
	return errors.Join(syncTree(made), ctx.Err())
}

// backUpRun copies one run. One that cannot be read is copied as it lies: it
// keeps the others from nothing.
func (s *backingUp) backUpRun(to *Store, id string, b *Backup) error {
	b.Runs++
	tree, err := s.copyRun(to, id)
	if err == nil {
		return to.makeMark(id, tree)
	}
	if diskFull(err) {
		return err
	}
	if !files.Exists(s.runFile(id)) { // removed meanwhile
		b.Runs--
		to.kept.Remove(to.runFile(id))
		return nil
	}
	b.Damaged = append(b.Damaged, ofRun(id, err).Error())
	to.kept.Remove(to.runFile(id))
	for _, suffix := range []string{"", "-wal"} {
		if err := files.Copy(to.runFile(id)+suffix, s.runFile(id)+suffix); err != nil && !(suffix != "" && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// diskFull reports whether the disk is full: of the copied run
// that says nothing.
func diskFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// copyRun copies a run that can be read, and reads the copy.
func (s *backingUp) copyRun(to *Store, id string) (*hashlog.Frontier, error) {
	r, err := s.Read(id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.reading(func(c storage) error { return c.CopyTo(to.runFile(id)) }); err != nil {
		return nil, err
	}
	c, err := to.kept.Open(to.runFile(id), rows.Proven)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	found, err := c.State()
	if err != nil || found == nil {
		return nil, errors.Join(err, errors.New("the row of its state cannot be read"))
	}
	want, err := hashlog.FrontierFrom(found.Size, found.Frontier)
	if err != nil {
		return nil, err
	}
	var tree hashlog.Frontier
	if err := r.extend(c, &tree, want.Size, nil); err != nil {
		return nil, err
	}
	if tree.Root() != want.Root() {
		return nil, errors.New("its records are not those of its head")
	}
	return &tree, nil
}

// backUpFiles copies all but the runs: the audit key, the record of outputs, and which
// runs were removed.
func (s *backingUp) backUpFiles(made string) error {
	from := map[string]string{"audit.key": filepath.Join(s.dir, "audit.key"), "pruned.jsonl": s.prunedFile()}
	notes, err := os.ReadDir(filepath.Join(s.dir, "files"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(filepath.Join(made, "files"), 0o700); err != nil {
		return err
	}
	for _, n := range notes {
		if strings.HasSuffix(n.Name(), ".json") {
			from[filepath.Join("files", n.Name())] = filepath.Join(s.dir, "files", n.Name())
		}
	}
	for name, path := range from {
		err := files.Copy(filepath.Join(made, name), path)
		if filepath.Dir(name) == "." && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncTree makes a directory durable with all its content.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return syncDir(path)
		}
		return files.Sync(path)
	})
}
