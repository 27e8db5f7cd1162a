package ledger

import (
	"cmp"
	"errors"
	"hash/maphash"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// proof follows the writes to the log while a process has it open, so that
// the file can be compared with it. The sum is of the records as they are
// stored: it costs a fifth of what their leaves cost, and its seed is known to
// nobody.
type proof struct {
	from int64 // size of the log when it was opened
	sum  maphash.Hash
	done int64 // users that were finished since
}

// prove compares the file with what this process knows of it.
func (w *prover) prove() error {
	if err := w.catchUpNow(); err != nil {
		return err
	}
	c, err := w.run.store.kept.Open(w.run.store.runFile(w.run.id), rows.Live)
	if err != nil {
		return w.unreadable(err)
	}
	defer c.Close()
	began := false
	err = c.Moment(func() error { // one for everything read
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

// proveRun compares what never changes: header, key, waves.
func (w *prover) proveRun(c storage) error {
	again := &openRun{store: w.run.store, id: w.run.id}
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

// prover compares the file with what this process knows of it.
type prover struct{ *writer }

// planProof is the largest plan read back: what rekey audit verify does
// of all takes a fifth of the time of applying it.
const planProof = 100_000

// provePlan hashes the rows of a plan, each as it was frozen.
func (w *prover) provePlan(c storage) error {
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
func (w *prover) proveState(c storage) error {
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
func (w *prover) proveRecords(c storage) error {
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

func (w *prover) proveIndex(c storage) error {
	n, err := c.Lacks(w.proof.from, w.tree.Size, false)
	if err != nil {
		return w.unreadable(err)
	}
	if n > 0 {
		return w.differs("its index by user lacks records")
	}
	return nil
}

// firstBad names the first changed record.
func (w *prover) firstBad(c storage) error {
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
func (w *prover) proveUsers(c storage) error {
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
