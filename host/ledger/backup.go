package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// Backup is what a copy of a state directory holds.
type Backup struct {
	Dir     string
	Runs    int
	Damaged []string // runs that cannot be read, copied as they lie: with the reason
}

// Backup copies the state directory: each run as of one moment and as one
// file, also while it is applied, the audit key, the record of outputs, and
// the marks of the copies. identity is a file to copy too, last; "" for none. dir
// must not exist, or be empty: it is there whole, 0700, or not at all. What a
// killed process leaves beside it is removed by the next backup there; one that
// ctx ends leaves nothing.
func (s *Store) Backup(ctx context.Context, dir, identity string) (Backup, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Backup{}, err
	}
	if err := vacant(dir); err != nil {
		return Backup{}, err
	}
	if err := makePrivateDir(filepath.Dir(dir)); err != nil {
		return Backup{}, err
	}
	made, err := files.MakePassing(filepath.Dir(dir), ".rekey-backup-")
	if err != nil {
		return Backup{}, err
	}
	defer made.Remove()
	b := Backup{Dir: dir}
	if err := s.backUp(ctx, made.Dir, identity, &b); err != nil {
		return b, err
	}
	if err := unix.Rename(made.Dir, dir); err != nil { // an empty directory is replaced
		return b, fmt.Errorf("%s: %w; give a directory in it that does not exist", dir, err)
	}
	return b, syncDir(filepath.Dir(dir))
}

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

func (s *Store) backUp(ctx context.Context, made, identity string, b *Backup) error {
	to := &Store{dir: made, now: s.now, rand: s.rand, osUser: s.osUser, host: s.host}
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
func (s *Store) backUpRun(to *Store, id string, b *Backup) error {
	b.Runs++
	tree, err := s.copyRun(to, id)
	if err == nil {
		return to.makeMark(id, tree)
	}
	if diskFull(err) {
		return err
	}
	b.Damaged = append(b.Damaged, ofRun(id, err).Error())
	sqlite.Remove(to.runFile(id))
	for _, suffix := range []string{"", "-wal"} {
		if err := files.Copy(to.runFile(id)+suffix, s.runFile(id)+suffix); err != nil && !(suffix != "" && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// diskFull reports whether there is no room to write: of the run that was copied
// it says nothing.
func diskFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// copyRun copies a run that can be read, and reads the copy.
func (s *Store) copyRun(to *Store, id string) (*hashlog.Frontier, error) {
	r, err := s.Read(id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.reading(func(c storage) error { return c.CopyTo(to.runFile(id)) }); err != nil {
		return nil, err
	}
	c, err := sqlite.OpenStill(to.runFile(id), to.temp())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Sound(); err != nil {
		return nil, err
	}
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

// backUpFiles copies what is not a run: the audit key and the record of outputs.
func (s *Store) backUpFiles(made string) error {
	from := map[string]string{"audit.key": filepath.Join(s.dir, "audit.key")}
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
		if name == "audit.key" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncTree makes a directory durable with all that is in it.
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
