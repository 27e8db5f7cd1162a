package ledger

import (
	"errors"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Forget destroys the run's data key in this ledger, so that nobody opens its
// sealed values any more; a copy of the file that was made before still can.
// The log stays whole and verifiable. It is refused while users are pending,
// held or unknown, whose values may still be needed. The run has to be locked.
// Calling it again makes sure that no byte of the key is left.
func (r *Run) Forget() error {
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
	if err := r.writer.forget(); err != nil {
		r.writer.broken = err
		return ofRun(r.id, err)
	}
	return nil
}

func (w *writer) forget() error {
	if err := w.db.Shred(); err != nil {
		return err
	}
	if !w.now.Forgot {
		if err := w.db.Within(w.destroyKey); err != nil {
			return err
		}
	}
	return w.foldIn()
}

func (w *writer) destroyKey() error {
	if err := w.catchUp(); err != nil {
		return err
	}
	now := w.run.store.now()
	rec := &journal.Record{Kind: journal.Forgot, Detail: journal.Detail{OSUser: w.run.store.osUser, Host: w.run.store.host}}
	if err := w.append(rec, now); err != nil {
		return err
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.saveState(); err != nil {
		return err
	}
	if err := w.db.Put(&rows.Change{Forget: true}); err != nil {
		return err
	}
	return w.headNow(now, []*journal.Record{rec})
}

// foldIn folds the run in, which overwrites what is left of the key.
func (w *writer) foldIn() error {
	whole, err := w.run.fold()
	if err == nil && !whole {
		err = errors.New("the key is deleted, but another process reads the run: bytes of it stay in the write-ahead file until rekey forget is called again")
	}
	return err
}

// closeIdle closes the connections for reading that nobody uses.
func (r *Run) closeIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.idle {
		_ = c.Close()
	}
	r.idle = nil
}
