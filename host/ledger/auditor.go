package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// auditor proves what a run holds.
type auditor struct {
	run       *Run
	uncovered int64
}

// OpenAll opens every sealed value of the run's records, and its rows through
// cells, and adds to the audit what does not open. It shows nothing. It returns
// how many values of records open.
func (r *auditor) OpenAll(a *hashlog.Audit, cells func(User) error) (opened int64, err error) {
	if err := r.run.Sealable(); err != nil {
		a.General("%v", r.run.sealErr)
		return 0, nil
	}
	err = r.run.Each(Filter{}, OrderApply, func(u User) error {
		if err := cells(u); err != nil {
			a.Add(hashlog.Problem{Index: -1, User: u.Pos, Key: u.Key, Message: fmt.Sprintf("a sealed cell of its row: %v", err)})
		}
		for i := range u.History {
			opened += r.run.openRecord(a, &u, &u.History[i])
		}
		return nil
	})
	return opened, err
}

// openRecord opens the values of one record.
func (r *auditor) openRecord(a *hashlog.Audit, u *User, rec *journal.Record) (opened int64) {
	for _, part := range []struct {
		role   string
		sealed []byte
	}{{"value", rec.Sealed}, {"old", rec.SealedOld}} {
		if len(part.sealed) == 0 {
			continue
		}
		if _, err := r.run.Unseal(u.Pos, rec.Step, rec.Try, part.role, part.sealed); err != nil {
			a.Add(hashlog.Problem{Index: rec.Index, User: u.Pos, Key: u.Key, Step: rec.Step, Message: err.Error()})
			continue
		}
		opened++
	}
	return opened
}

// SignHead signs the log as it stands and returns its size and the head that
// is worth keeping elsewhere, as SIZE:HASH. On a run open for reading
// it returns the head without signing it. Not concurrent with Commit.
func (r *auditor) SignHead() (size int64, head string, err error) {
	if r.run.writer == nil {
		return r.run.unsignedHead()
	}
	w := r.run.writer
	if w.broken != nil {
		return 0, "", ofRun(r.run.id, w.broken)
	}
	err = w.stands()
	if err == nil {
		err = w.db.Within(func() error {
			if err := w.catchUp(); err != nil {
				return err
			}
			return w.signHead(r.run.store.now())
		})
	}
	if err == nil {
		err = w.settled() // or the next commit would take it for another process's
	}
	if err != nil {
		w.broken = err
		return 0, "", ofRun(r.run.id, err)
	}
	return w.tree.Size, hashlog.HeadString(w.tree.Size, w.tree.Root()), nil
}

func (r *auditor) unsignedHead() (int64, string, error) {
	var tree hashlog.Frontier
	err := r.run.reading(func(c storage) error {
		found, err := c.State()
		if err == nil && found == nil {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		tree, err = hashlog.FrontierFrom(found.Size, found.Frontier)
		return err
	})
	if err != nil {
		return 0, "", ofRun(r.run.id, err)
	}
	return tree.Size, hashlog.HeadString(tree.Size, tree.Root()), nil
}

// Checkpoint returns the newest signed head as a note, the text of a file that
// is worth keeping elsewhere, or "".
func (r *auditor) Checkpoint() (string, error) {
	text := ""
	err := r.run.reading(func(c storage) error {
		found, err := headUpTo(c, math.MaxInt64)
		if found != nil {
			text = found.Note
		}
		return err
	})
	if err != nil {
		return "", ofRun(r.run.id, err)
	}
	return text, nil
}

// Stale returns a *StaleError for a run open for reading with fewer
// records than it had here. What cannot be found out it passes over.
func (r *auditor) Stale() error {
	mk, m, err := r.run.store.openMark(r.run.id, os.O_RDONLY)
	if err != nil || mk == nil {
		return nil
	}
	mk.close()
	size, err := r.run.store.sizeNow(r.run.id)
	if err != nil || size >= m.tree.Size {
		return nil
	}
	return r.run.older(size, m.tree.Size)
}

// Contains returns nil if the run's log has, or once had as it grew, the head of
// a text that Checkpoint returned.
func (r *auditor) Contains(text string) error {
	_, size, root, err := hashlog.ParseHead(strings.ReplaceAll(text, "\r\n", "\n"))
	if err != nil {
		return err
	}
	return r.run.reading(func(c storage) error {
		have, err := r.run.rootAt(c, size)
		switch {
		case errors.Is(err, errOlder):
			return fmt.Errorf("the ledger of run %s is older than it: the checkpoint has %d records; put the newest copy of the run back", r.run.id, size)
		case err == nil && have != root:
			return fmt.Errorf("the ledger of run %s is another than the one it is of: its first %d records differ; put the right one back", r.run.id, size)
		}
		return err
	})
}

// rootAt returns the root that the log had at a size: from the head
// signed then, else from the records.
func (r *auditor) rootAt(c storage, size int64) (hashlog.Hash, error) {
	now, err := sizeOf(c)
	if err == nil && size > now {
		err = errOlder
	}
	if err != nil {
		return hashlog.Hash{}, err
	}
	found, err := headUpTo(c, size)
	if err != nil {
		return hashlog.Hash{}, err
	}
	if found != nil {
		if run, n, root, err := hashlog.ParseHead(found.Note); err == nil && run == r.run.id && n == size {
			return root, nil
		}
	}
	var tree hashlog.Frontier
	err = r.run.extend(c, &tree, size, nil)
	return tree.Root(), err
}

// Export writes a bundle: the records of users with proofs that they are in
// the log under its newest signed head, or the whole log. It signs a head
// first if the newest is not of the last record. A bundle of some users does
// not prove that they have no other records; one of the whole log does.
func (r *auditor) Export(w io.Writer, o ExportOptions) error {
	text, err := r.run.freshHead()
	if err != nil {
		return ofRun(r.run.id, err)
	}
	_, size, _, err := hashlog.ParseHead(text)
	if err != nil {
		return ofRun(r.run.id, err)
	}
	e := &export{run: r.run, o: o, size: size}
	if err := e.chosen(); err != nil {
		return ofRun(r.run.id, err)
	}
	return ofRunOrNil(r.run.id, r.run.reading(func(c storage) error {
		e.c = c
		return e.write(w, text)
	}))
}

// Prove returns the bundle of one user, names shown.
func (r *auditor) Prove(key string) ([]byte, error) {
	var out bytes.Buffer
	err := r.run.Export(&out, ExportOptions{Keys: []string{key}})
	return out.Bytes(), err
}

// freshHead returns the newest signed head, signing one first if records came
// after it and this medium can be written.
func (r *auditor) freshHead() (string, error) {
	text, err := r.run.Checkpoint()
	if err != nil {
		return "", err
	}
	size, head, err := r.run.unsignedHead()
	if err != nil {
		return "", err
	}
	_, have, root, herr := hashlog.ParseHead(text)
	if hashlog.HeadString(have, root) == head {
		return text, nil
	}
	err = r.run.signElsewhere()
	switch {
	case err == nil:
		return r.run.Checkpoint()
	case herr != nil:
		return "", fmt.Errorf("no signed head covers its %d records: %w", size, err)
	}
	r.uncovered = size - have
	return text, nil
}

// Uncovered is how many records at the end of the log the last Export left out:
// no signed head covers them, and none could be signed.
func (r *auditor) Uncovered() int64 { return r.uncovered }

// signElsewhere signs a head through a writer of its own, or the run's.
func (r *auditor) signElsewhere() error {
	if r.run.writer != nil {
		_, _, err := r.run.SignHead()
		return err
	}
	w, err := r.run.writerInPassing()
	if err != nil {
		return err
	}
	defer w.db.Close()
	return w.db.Within(func() error {
		if err := w.catchUp(); err != nil {
			return err
		}
		return w.signHead(r.run.store.now())
	})
}
