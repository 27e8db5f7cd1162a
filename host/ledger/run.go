package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"golang.org/x/sys/unix"
)

// Run is one frozen run, open for reading or locked for applying. Reading is
// safe for concurrent use, also beside a Commit; Commit and SignHead have one
// caller at a time.
type Run struct {
	*openRun
	*custodian
	*users
	*progress
	*auditor
	salvaged bool
}

// runOf returns a run that nothing is known of yet.
func runOf(s *Store, id string, rest *rescue) *Run {
	o := &openRun{store: s, id: id, rest: rest}
	r := &Run{openRun: o, custodian: &custodian{openRun: o, sealErr: ErrNoKey}, users: &users{openRun: o}, progress: &progress{o}}
	r.auditor = &auditor{run: r}
	return r
}

// settle compares a locked run with the facts known of it here.
func (r *Run) settle(moved bool) error {
	mk, m, err := r.store.openMark(r.id, os.O_RDWR)
	if err != nil {
		return ofRun(r.id, err)
	}
	r.writer.mark = mk
	if err := r.writer.known(mk, &m); err != nil {
		return err
	}
	if err := r.keyFits(r.writer.db, r.writer.now.Forgot); err != nil {
		return ofRun(r.id, err)
	}
	why := r.elsewhere(mk, &m)
	if why != "" && !moved {
		return &MovedError{r.id, why}
	}
	if why != "" || mk == nil {
		if err := r.moveIn(why); err != nil {
			return err
		}
	}
	if r.writer.now.Forgot {
		_ = r.writer.foldIn() // in case the process that forgot did not come to it
	}
	return nil
}

// moveIn makes this the place of the run. Of one applied elsewhere it
// is recorded why.
func (r *Run) moveIn(why string) error {
	home, err := r.store.settleHome()
	if err == nil {
		err = r.store.makeMark(r.id, &r.writer.tree)
	}
	if err == nil {
		r.writer.mark.close()
		r.writer.mark, _, err = r.store.openMark(r.id, os.O_RDWR)
	}
	if err != nil {
		return ofRun(r.id, err)
	}
	if why == "" {
		return nil
	}
	return r.Commit([]*journal.Record{{Kind: journal.Accepted, Detail: journal.Detail{Message: "moved: " + why, Home: home, Host: r.store.host, OSUser: r.store.osUser}}})
}

// Close gives up the lock and the files. A run open nowhere else is one
// whole file then. It is safe to call again.
func (r *Run) Close() error {
	r.closeIdle()
	var err error
	if r.writer != nil {
		err = r.closeWriter()
	} else if !r.closed {
		r.store.tidy(r.id)
	}
	r.rest.close()
	r.closed = true
	if r.lock != nil {
		r.lock.release()
		r.lock = nil
	}
	return err
}

// Confirm folds the run into one file and reads back, through a connection of
// its own, what was committed since it was opened: the records, the size and
// the head of the log, where the run stands. After nil they are in the
// file as it was written; else the error is ErrGone. Not concurrent with Commit.
func (r *Run) Confirm() error {
	switch {
	case r.openRun == nil:
		return errors.New("the run is not open")
	case r.writer == nil:
		return fmt.Errorf("run %s: it is open for reading", r.id)
	}
	if err := r.confirm(); err != nil {
		r.writer.broken = err
		return ofRun(r.id, err)
	}
	return nil
}

func (r *Run) confirm() error {
	w := r.writer
	if w.broken != nil {
		return w.broken
	}
	r.store.crash.at(CrashConfirming)
	if _, err := r.footing.check(); err != nil {
		return err
	}
	if _, err := r.fold(); err != nil {
		return err
	}
	r.store.crash.at(CrashFolded)
	if err := (&prover{w}).prove(); err != nil {
		return err
	}
	_, err := r.footing.check() // of what was just read
	return err
}

// Commit appends records, all or none, and returns when they are synced. It
// sets Index, and At where that is zero, takes the users' statuses and the
// run's state over, and signs a head now and then. It refuses what would make
// the ledger contradict itself. After an error the Run takes no more records:
// the next opening tells which are durable. One caller at a time.
func (r *Run) Commit(recs []*journal.Record) error {
	if r.writer == nil {
		return fmt.Errorf("run %s: it is open for reading", r.id)
	}
	if len(recs) == 0 {
		return nil
	}
	w := r.writer
	if w.broken != nil {
		return fmt.Errorf("run %s: the ledger takes no more records: %w", r.id, w.broken)
	}
	if err := w.commit(recs); err != nil {
		w.broken = err
		return ofRun(r.id, err)
	}
	return nil
}

func (r *Run) older(have, had int64) error {
	return r.stale("its ledger has %d records, and had %d: an older copy was put back", have, had)
}

func (r *Run) stale(format string, args ...any) error {
	fix := fmt.Sprintf("put the newest copy back; if none is left, remove %s to go on from this one: accounts that were changed since get a second value", r.store.markFile(r.id))
	return &StaleError{r.id, fmt.Sprintf(format, args...), fix}
}

// writerInPassing returns a writer for whoever notes something in a run that another
// process may apply.
func (r *Run) writerInPassing() (*writer, error) {
	db, err := r.store.kept.OpenInPassing(r.store.runFile(r.id))
	if err != nil {
		return nil, err
	}
	return writerOn(r, db)
}

// fold takes all into one file: earlier versions of pages are gone then. whole is
// false if another process reads the run.
func (r *Run) fold() (whole bool, err error) {
	r.closeIdle()
	whole, err = r.writer.db.Fold()
	if err == nil && r.footing != nil {
		err = r.footing.settle()
	}
	return err == nil && whole, err
}

// closeWriter closes the connection that writes, which by now is the last of
// this process: SQLite then removes the write-ahead file. Where the names mean
// other files than the open ones, nothing there is touched.
func (r *Run) closeWriter() error {
	w := r.writer
	r.writer = nil
	w.mark.close()
	if r.footing != nil {
		if _, err := r.footing.check(); err != nil {
			return w.db.Abandon()
		}
		if w.broken == nil && r.lock != nil {
			r.writer = w
			_, _ = r.fold() // where others read, the last reader does it
			r.writer = nil
		}
	}
	return w.db.Close()
}

// elsewhere returns why this is not where the run was last applied, or "".
func (r *Run) elsewhere(mk *marker, m *mark) string {
	last := r.writer.now.Last
	if last == nil {
		return ""
	}
	by := last.String()
	switch home := r.store.home(); {
	case last.Host != "" && last.Host != r.store.host:
		return by + ", and this is " + r.store.host
	case home == "":
		return by + ", in a state directory of which this is a copy, or that was put back from one"
	case home != last.Home:
		return by + ", with another state directory"
	case mk == nil:
		return by + ", and what the state directory knew of it is gone"
	case m.self != mk.self:
		return by + ", and what the state directory knows of it was copied, or put back"
	}
	return ""
}

// Intact reports whether the run's files are still what their names say, so
// that a value sent now is known afterwards. It costs a few system calls at
// most every few milliseconds, and is safe for concurrent use.
func (r *Run) Intact() error {
	if r.footing == nil {
		return nil
	}
	if err := r.footing.glance(); err != nil {
		return ofRun(r.id, err)
	}
	return nil
}

// Salvage makes of an error that ended the work on a locked run what there is
// to say, if its cause is that the run's files have changed: what
// happened to which file, whose values were sent last, and what to do. What
// this process still has open it writes to a new file, the run's own where that
// name is free. The run takes no more records then. Other errors it returns as
// they are.
func (r *Run) Salvage(cause error) error {
	if cause == nil || r.openRun == nil || r.footing == nil || r.writer == nil || r.salvaged {
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
	return fmt.Errorf("%w; nothing was sent after that; %s%s; %s", why, (&remains{r.writer}).sentLast(), r.lostValues(), saved)
}

// lostValues names the users whose values the rest of a file does not hold,
// where its name still means the open file: what was cut off a write-ahead file
// is nowhere else. The values were sent, or were about to be.
func (r *Run) lostValues() string {
	path := r.store.runFile(r.id)
	if !r.footing.is(path) {
		return ""
	}
	size := int64(0)
	if c, err := r.store.kept.Open(path, rows.Aside); err == nil { // as who opens it next will find it
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
	return fmt.Sprintf("; lost are %d records, and with them the last values of: %s", r.writer.tree.Size-size, (&remains{r.writer}).named(users))
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

// copyOut copies the database out of the open file, to where the run's file was
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
	defer r.store.kept.Remove(temp)
	if err := r.writer.db.CopyTo(temp); err != nil {
		return "", err
	}
	if err := (&remains{r.writer}).holdsAll(temp); err != nil {
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

// Forget destroys the run's data key in this ledger, so that its
// sealed values stay closed; an earlier copy of the file still opens.
// The log stays whole and verifiable. It is refused while users are pending,
// held or unknown, whose values may still be needed. The run has to be locked.
// Calling it again makes sure that no byte of the key is left. by says on whose
// behalf, and why; who does it is added.
func (r *Run) Forget(by journal.Detail) error {
	if r.writer == nil {
		return fmt.Errorf("run %s: it is open for reading", r.id)
	}
	if r.writer.broken != nil {
		return ofRun(r.id, r.writer.broken)
	}
	c := r.writer.now.counts(r.total)
	if open := c.Pending + c.Held + c.Unknown; open > 0 {
		return fmt.Errorf("run %s: %d users are pending, held or unknown: their values may still be needed", r.id, open)
	}
	r.seal, r.sealErr = nil, ErrForgotten
	if err := r.writer.forget(by); err != nil {
		r.writer.broken = err
		return ofRun(r.id, err)
	}
	return nil
}

// Remove removes the run whole, with every value in it: nothing here opens them
// afterwards, but an earlier copy of its file still does. It is refused while users
// are pending, held or unknown. The run has to be locked; it is closed then.
func (r *Run) Remove() error {
	if r.writer == nil {
		return fmt.Errorf("run %s: it is open for reading", r.id)
	}
	if r.writer.broken != nil {
		return ofRun(r.id, r.writer.broken)
	}
	c := r.writer.now.counts(r.total)
	if open := c.Pending + c.Held + c.Unknown; open > 0 {
		return fmt.Errorf("run %s: %d users are pending, held or unknown: their values may still be needed", r.id, open)
	}
	l := r.lock
	r.lock = nil // it is held until nothing is left
	err := r.Close()
	if err == nil {
		r.store.kept.Remove(r.store.runFile(r.id))
		if files.Exists(r.store.runFile(r.id)) {
			l.release()
			return fmt.Errorf("run %s: %s cannot be removed; see who may write to it, and to its directory", r.id, r.store.runFile(r.id))
		}
		_ = os.Remove(r.store.markFile(r.id))
		err = syncDir(r.store.runs())
	}
	l.remove()
	return err
}
