package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// Salvage makes of an error that ended the work on a locked run what there is
// to say, if its cause is that the run's files are not what they were: what
// happened to which file, whose values were sent last, and what to do. What
// this process still has open it writes to a new file, the run's own where that
// name is free. The run takes no more records then. Other errors it returns as
// they are.
func (r *Run) Salvage(cause error) error {
	if cause == nil || r.footing == nil || r.writer == nil || r.salvaged {
		return cause
	}
	why := cause
	if !errors.Is(cause, ErrGone) {
		_, err := r.footing.check()
		if !errors.Is(err, ErrGone) {
			return cause
		}
		why = ofRun(r.id, err)
	}
	r.writer.broken, r.salvaged = why, true
	saved := r.save()
	return fmt.Errorf("%w; nothing was sent after that; %s%s; %s", why, r.writer.sentLast(), r.lostValues(), saved)
}

// lostValues names the users whose values what is left of a file does not hold,
// where its name still means what is open: what was cut off a write-ahead file
// is nowhere else. The values were sent, or were about to be.
func (r *Run) lostValues() string {
	path := r.store.runFile(r.id)
	if !r.footing.is(path) {
		return ""
	}
	size := int64(0)
	if c, err := sqlite.OpenCopy(path); err == nil { // as who opens it next will find it
		size, err = sizeOf(c)
		_ = c.Close()
		if err != nil {
			return ""
		}
	}
	if size >= r.writer.tree.Size {
		return ""
	}
	var users []int64
	for _, v := range r.writer.recent {
		if v.index >= size {
			users = append(users, v.user)
		}
	}
	if len(users) == 0 {
		return ""
	}
	return fmt.Sprintf("; lost are %d records, and with them the last values of: %s", r.writer.tree.Size-size, r.writer.named(users))
}

// maxNamed is how many users are named.
const maxNamed = 10

// sentLast names the users whose values were sent last, and of whom the ledger
// does not say what became of it.
func (w *writer) sentLast() string {
	users := slices.Clone(w.last)
	for pos, u := range w.watch.lives.open {
		if u.history().Doubtful() != nil {
			users = append(users, pos)
		}
	}
	if len(users) == 0 {
		return "this process had sent nothing"
	}
	return "sent, or about to be: " + w.named(users)
}

// named lists users, each once, the first of them by name.
func (w *writer) named(users []int64) string {
	slices.Sort(users)
	users = slices.Compact(users)
	var names []string
	for _, pos := range users[:min(len(users), maxNamed)] {
		names = append(names, w.keyOf(pos))
	}
	text := strings.Join(names, ", ")
	if more := len(users) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (w *writer) keyOf(pos int64) string {
	key, err := keyAt(w.db, pos)
	if err != nil || key == "" {
		return fmt.Sprintf("the user at position %d", pos)
	}
	return key
}

// save writes what this process has open of the database to a new file and says
// where, or what else to do.
func (r *Run) save() string {
	path := r.store.runFile(r.id)
	if r.footing.is(path) {
		return "look at what is there with rekey audit verify " + r.id + ", put a sound copy of the file back, then rekey resume " + r.id
	}
	at, err := r.copyOut()
	switch {
	case err != nil:
		return fmt.Sprintf("what it held cannot be saved: %v; put the file back, then rekey resume %s", err, r.id)
	case at == path:
		return "what it held was written there anew: go on with rekey resume " + r.id
	}
	return fmt.Sprintf("what it held is saved in %s: put that at %s, then rekey resume %s", at, path, r.id)
}

// copyOut copies the database out of what is open, to where the run's file was
// if that name is free, else beside it; where nothing can be written there, to
// the state directory, else to the directory for temporary files.
func (r *Run) copyOut() (at string, err error) {
	for _, dir := range []string{r.store.runs(), r.store.dir, os.TempDir()} {
		if at, err = r.copyInto(dir); err == nil {
			return at, nil
		}
	}
	return "", err
}

func (r *Run) copyInto(dir string) (string, error) {
	path := r.store.runFile(r.id)
	temp := filepath.Join(dir, "."+r.id+".saved")
	defer sqlite.Remove(temp)
	if err := r.writer.db.CopyTo(temp); err != nil {
		return "", err
	}
	if err := r.writer.holdsAll(temp, r.store.temp()); err != nil {
		return "", err
	}
	if dir == r.store.runs() && unix.Link(temp, path) == nil {
		return path, syncDir(dir)
	}
	for n := 1; ; n++ {
		kept := filepath.Join(dir, fmt.Sprintf("%s.saved-%d", r.id, n))
		err := unix.Link(temp, kept)
		if errors.Is(err, unix.EEXIST) && n < 1000 {
			continue
		}
		if err != nil {
			return "", &fs.PathError{Op: "create", Path: kept, Err: err}
		}
		return kept, syncDir(dir)
	}
}

// holdsAll checks that a copy has the whole log.
func (w *writer) holdsAll(path, temp string) error {
	c, err := sqlite.OpenStill(path, temp)
	if err != nil {
		return err
	}
	defer c.Close()
	var tree hashlog.Frontier
	if err := w.run.extend(c, &tree, w.tree.Size, nil); err != nil {
		return err
	}
	if tree.Root() != w.tree.Root() {
		return errors.New("the copy is another log")
	}
	return nil
}
