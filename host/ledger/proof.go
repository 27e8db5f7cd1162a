package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// proof follows what is written to the log while a process has it open, so that
// the file can be compared with it. The sum is of the records as they are
// stored: it costs a fifth of what their leaves cost, and its seed is known to
// nobody.
type proof struct {
	from int64 // size of the log when it was opened
	sum  maphash.Hash
	done int64 // users that were finished since
}

// Confirm folds the run into one file and reads back, through a connection of
// its own, what was committed since it was opened: the records, the size and
// the head of the log, where the run stands. What it returns nil for is in the
// file as it was written; else the error is ErrGone. Not concurrent with Commit.
func (r *Run) Confirm() error {
	if r.writer == nil {
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
	if err := w.prove(); err != nil {
		return err
	}
	_, err := r.footing.check() // of what was just read
	return err
}

// prove compares the file with what this process knows of it.
func (w *writer) prove() error {
	if err := w.catchUpNow(); err != nil {
		return err
	}
	c, err := sqlite.Open(w.run.store.runFile(w.run.id), w.run.store.temp())
	if err != nil {
		return w.unreadable(err)
	}
	defer c.Close()
	began := false
	err = c.Moment(func() error { // one for all that is read
		began = true
		for _, part := range []func(storage) error{w.proveRun, w.provePlan, w.proveState, w.proveRecords, w.proveUsers} {
			if err := part(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !began {
		return w.unreadable(err)
	}
	return err
}

func (w *writer) unreadable(err error) error {
	return gone(w.run.store.runFile(w.run.id), "cannot be read back: %v", err)
}

func (w *writer) differs(format string, args ...any) error {
	return gone(w.run.store.runFile(w.run.id), "does not hold what was written to it: "+format, args...)
}

// proveRun compares what never changes: header, key, waves.
func (w *writer) proveRun(c storage) error {
	again := &Run{store: w.run.store, id: w.run.id}
	if err := again.load(c); err != nil {
		return w.unreadable(err)
	}
	text, _, err := again.header.encode()
	if err != nil {
		return err
	}
	want, _, err := w.run.header.encode()
	switch {
	case err != nil:
		return err
	case string(text) != string(want):
		return w.differs("its header is another")
	case again.names != w.run.names || again.total != w.run.total || again.ordered != w.run.ordered || !slices.Equal(again.bounds, w.run.bounds):
		return w.differs("its plan is another")
	}
	if err := w.run.keyFits(c, w.now.Forgot); err != nil {
		return w.differs("%v", err)
	}
	return nil
}

// planProof is the largest plan that is read back: what rekey audit verify does
// of all takes a fifth of the time of applying it.
const planProof = 100_000

// provePlan hashes the rows of a plan, each as it was frozen.
func (w *writer) provePlan(c storage) error {
	if w.run.total > planProof {
		return nil
	}
	enc := hashlog.Encoder{Key: &w.run.names}
	var private []byte
	next := int64(1)
	err := eachPlanned(c, 1, math.MaxInt64, func(p *hashlog.PlannedRow) error {
		if _, ok := p.Is(&enc, &private); !ok || p.Pos != next {
			return w.differs("row %d of its plan was changed", next)
		}
		next++
		return nil
	})
	switch {
	case errors.Is(err, ErrGone):
		return err
	case err != nil:
		return w.unreadable(err)
	case next != w.run.total+1:
		return w.differs("its plan lacks rows")
	}
	return nil
}

// proveState compares size, head and standing. Another process may have noted
// something since.
func (w *writer) proveState(c storage) error {
	found, err := c.State()
	switch {
	case err != nil:
		return w.unreadable(err)
	case found == nil || found.Size < w.tree.Size:
		return w.differs("it lacks records")
	}
	tree := w.tree.Clone()
	if err := w.run.extend(c, &tree, found.Size, nil); err != nil {
		return w.unreadable(err)
	}
	if string(tree.Bytes()) != string(found.Frontier) {
		return w.differs("its head is another")
	}
	if found.Size > w.tree.Size {
		return nil
	}
	have := newStanding(w.run.bounds)
	if err := have.decode(found); err != nil || !have.same(w.now) {
		return w.differs("its state is another")
	}
	return nil
}

// proveRecords compares the records, and looks whether those of a user will be
// found.
func (w *writer) proveRecords(c storage) error {
	var sum maphash.Hash
	sum.SetSeed(w.proof.sum.Seed())
	add := func(r *hashlog.Stored) error {
		_, err := sum.Write(r.Body)
		return err
	}
	var listed error
	err := c.Groups(w.proof.from, w.tree.Size, func(g *hashlog.Group) error {
		listed = cmp.Or(listed, g.AsListed())
		return g.Each(add)
	})
	switch {
	case err != nil && !errors.As(err, new(hashlog.Unsound)):
		return w.unreadable(err)
	case sum.Sum64() != w.proof.sum.Sum64():
		return w.firstBad(c)
	case listed != nil:
		return w.differs("%v", listed)
	}
	return w.proveIndex(c)
}

func (w *writer) proveIndex(c storage) error {
	n, err := c.Unlisted(w.proof.from)
	if err != nil {
		return w.unreadable(err)
	}
	if n > 0 {
		return w.differs("its index by user lacks records")
	}
	return nil
}

// firstBad names the first record that is not what it was.
func (w *writer) firstBad(c storage) error {
	next := w.proof.from
	err := w.run.leaves(c, w.proof.from, w.tree.Size, func(index int64, _ hashlog.Hash, sound bool) error {
		if index != next || !sound {
			return hashlog.ErrDone
		}
		next++
		return nil
	})
	if err != nil {
		return w.unreadable(err)
	}
	return w.differs("record %d was changed", next)
}

// proveUsers counts the statuses that the records gave.
func (w *writer) proveUsers(c storage) error {
	if w.proof.done == 0 {
		return nil
	}
	var have, want tally
	err := c.Statuses(rows.All(), func(found rows.Status) error {
		if n := found.Number; n > 0 && n < int64(len(have)) {
			have[n]++
		}
		return nil
	}, func(b rows.Block) error {
		for _, is := range b.Bytes {
			have[numDone] += int64(is)
		}
		return nil
	})
	if err != nil {
		return w.unreadable(err)
	}
	for _, wave := range w.now.Waves {
		for n := range wave {
			want[n] += wave[n]
		}
	}
	if have != want {
		return w.differs("the statuses of users are others")
	}
	return nil
}

// leaves calls fn for the records [from, to): their places, their leaves, and
// whether their bytes fit the sum that is kept with them.
func (r *Run) leaves(c storage, from, to int64, fn func(index int64, leaf hashlog.Hash, sound bool) error) error {
	enc, dec := hashlog.Encoder{Key: &r.names}, hashlog.Decoder{}
	return eachRecord(c, from, to, func(r *hashlog.Stored) error {
		f, err := dec.Split(r.Body)
		if err != nil {
			return fn(r.ID-1, hashlog.Hash{}, false)
		}
		return fn(r.ID-1, enc.Leaf(&f, r.Body), enc.Fits(&f, r.Body) == nil)
	})
}

// extend pushes the records from the tree's size on to a size. also is called
// with each as it is stored; it may be nil.
func (r *Run) extend(c storage, tree *hashlog.Frontier, to int64, also func(body []byte)) error {
	if tree.Size >= to {
		return nil
	}
	enc, dec := hashlog.Encoder{Key: &r.names}, hashlog.Decoder{}
	err := eachRecord(c, tree.Size, to, func(r *hashlog.Stored) error {
		f, err := dec.Split(r.Body)
		if err != nil {
			return fmt.Errorf("record %d: %w", tree.Size, err)
		}
		tree.Push(enc.Leaf(&f, r.Body))
		if also != nil {
			also(r.Body)
		}
		return nil
	})
	if err == nil && tree.Size != to {
		err = fmt.Errorf("record %d is missing", tree.Size)
	}
	return err
}
