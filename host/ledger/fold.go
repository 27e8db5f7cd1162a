package ledger

import (
	"errors"
	"os"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// fold takes all into one file: earlier versions of pages are gone then. whole is
// false if somebody reads the run.
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
// other files than those that are open, nothing there is touched.
func (r *Run) closeWriter() error {
	w := r.writer
	r.writer = nil
	w.mark.close()
	if r.footing != nil {
		if _, err := r.footing.check(); err != nil {
			w.db.KeepNames()
		} else if w.broken == nil && r.lock != nil {
			r.writer = w
			_, _ = r.fold() // where somebody reads, the last reader does it
			r.writer = nil
		}
	}
	return w.db.Close()
}

// tidy folds in what a process left that was killed, or that a reader kept from
// doing it. It is for whoever owns the run's file, and does nothing while the
// run is applied.
func (s *Store) tidy(id string) {
	path := s.runFile(id)
	if !files.Exists(path+"-wal") || !mine(path) {
		return
	}
	l, err := holdLock(s.lockFile(id))
	if err != nil {
		return
	}
	defer l.release()
	sqlite.Tidy(path, s.temp())
}

// mine reports whether this process's user owns the file: others, root among
// them, would leave files that the owner cannot open.
func mine(path string) bool {
	st, err := files.Stat(path)
	return err == nil && int(st.Uid) == os.Geteuid()
}

// tidyWait is how long an opening waits for somebody who only tidies.
const tidyWait = 10 * time.Second

// waitLock takes the lock for applying. Who holds it without having signed it
// tidies, and is soon done.
func waitLock(path string) (*lock, error) {
	for end := time.Now().Add(tidyWait); ; time.Sleep(5 * time.Millisecond) {
		l, err := takeLock(path)
		var held *LockedError
		if !errors.As(err, &held) || held.PID != 0 || time.Now().After(end) {
			return l, err
		}
	}
}
