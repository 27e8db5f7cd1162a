package ledger

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// ExportOptions says what a bundle holds.
type ExportOptions struct {
	Keys     []string // the users whose records it proves; nil: the whole log
	Withhold bool     // names, accounts and messages are left out
}

func ofRunOrNil(id string, err error) error {
	if err == nil {
		return nil
	}
	return ofRun(id, err)
}

// export is one bundle on its way out.
type export struct {
	run   *Run
	o     ExportOptions
	c     storage
	size  int64
	users map[int64]bool // nil: all
	out   *hashlog.BundleWriter
}

// chosen finds the users.
func (e *export) chosen() error {
	if e.o.Keys == nil {
		return nil
	}
	e.users = map[int64]bool{}
	for _, key := range e.o.Keys {
		found := false
		err := e.run.reading(func(c storage) error {
			return c.Rows(rows.Wanted{Keys: []string{diag.Fold(key)}}, func(row *hashlog.PlannedRow) error {
				e.users[row.Pos], found = true, true
				return nil
			})
		})
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: %q", ErrNoUser, key)
		}
	}
	return nil
}

func (e *export) write(w io.Writer, head string) error {
	e.out = hashlog.NewBundleWriter(w, &e.run.names, hashlog.BundleHead{Run: e.run.id, Complete: e.users == nil, Withheld: e.o.Withhold, Head: head})
	for _, part := range []func() error{
		e.out.Begin,
		func() error { return e.out.Records(e.records) },
		func() error { return e.out.Rows(e.rows) },
		e.out.End,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (e *export) records() error {
	var proofs *hashlog.Forest
	if e.users != nil {
		proofs = hashlog.NewForest(e.size, e.leaves)
		if err := e.build(proofs, rows.TreeOfLog); err != nil {
			return err
		}
	}
	return e.wanted(func(body []byte) error { return e.out.Record(body, proofs) })
}

// leaves calls yield for the leaves of the records [from, to).
func (e *export) leaves(from, to int64, yield func(hashlog.Hash)) error {
	enc, dec := hashlog.Encoder{Key: &e.run.names}, hashlog.Decoder{}
	return eachRecord(e.c, from, to, func(r *hashlog.Stored) error {
		f, err := dec.Split(r.Body)
		if err == nil {
			yield(enc.Leaf(&f, r.Body))
		}
		return err
	})
}

// wanted calls fn for the records of the bundle, in order; the first two, which
// name header and plan, are always among them.
func (e *export) wanted(fn func(body []byte) error) error {
	if e.users == nil {
		return eachRecord(e.c, 0, e.size, func(r *hashlog.Stored) error { return fn(r.Body) })
	}
	var list []hashlog.Stored
	take := func(r *hashlog.Stored) error {
		list = append(list, *r)
		return nil
	}
	if err := eachRecord(e.c, 0, min(draftSize, e.size), take); err != nil {
		return err
	}
	users := slices.Sorted(maps.Keys(e.users))
	err := e.c.Histories(users, nil, func(_ int64, records []hashlog.Stored) error {
		list = append(list, records...)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(p, q hashlog.Stored) int { return cmp.Compare(p.ID, q.ID) })
	for i := range list {
		if list[i].ID > e.size {
			break
		}
		if err := fn(list[i].Body); err != nil {
			return err
		}
	}
	return nil
}

func (e *export) rows() error {
	put := func(p *hashlog.PlannedRow, proofs *hashlog.Forest) error {
		return e.out.Row(p, hashlog.WaveAt(e.run.bounds, p.Pos), proofs)
	}
	if e.users == nil {
		return eachPlanned(e.c, 1, math.MaxInt64, func(p *hashlog.PlannedRow) error { return put(p, nil) })
	}
	proofs := hashlog.NewForest(e.run.total, e.rowLeaves)
	if err := e.build(proofs, rows.TreeOfPlan); err != nil {
		return err
	}
	for _, pos := range slices.Sorted(maps.Keys(e.users)) {
		var found []hashlog.PlannedRow
		err := eachPlanned(e.c, pos, pos, func(p *hashlog.PlannedRow) error {
			found = append(found, *p)
			return nil
		})
		for i := 0; i < len(found) && err == nil; i++ {
			err = put(&found[i], proofs)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rowLeaves calls yield for the leaves of the rows of the plan [from, to), from 0.
func (e *export) rowLeaves(from, to int64, yield func(hashlog.Hash)) error {
	enc, private := hashlog.Encoder{Key: &e.run.names}, []byte(nil)
	return eachPlanned(e.c, from+1, to, func(p *hashlog.PlannedRow) error {
		hidden, ok := p.Is(&enc, &private)
		if !ok {
			return fmt.Errorf("row %d of the plan was changed", p.Pos)
		}
		yield(enc.RowLeaf(p.Pos, p.Seq, hashlog.WaveAt(e.run.bounds, p.Pos), hidden))
		return nil
	})
}

// build builds a forest with the kept roots.
func (e *export) build(proofs *hashlog.Forest, of rows.Tree) (err error) {
	if proofs.Kept, err = e.c.Tiles(of); err != nil {
		return err
	}
	return proofs.Build()
}
