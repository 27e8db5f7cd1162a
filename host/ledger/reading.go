package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// sizeOf is how many records a log says that it has; 0: it does not say.
func sizeOf(c storage) (int64, error) {
	found, err := c.State()
	if err != nil || found == nil {
		return 0, err
	}
	return found.Size, nil
}

// eachRecord calls fn for the records from one place on to another, [from, to) from
// 0, in the order of the log. hashlog.ErrDone ends it.
func eachRecord(c storage, from, to int64, fn func(r *hashlog.Stored) error) error {
	up := hashlog.Climb{Last: from}
	return c.Groups(from, to, func(g *hashlog.Group) error {
		return g.Each(func(r *hashlog.Stored) error {
			switch {
			case r.ID <= from:
				return nil
			case r.ID > to:
				return hashlog.ErrDone
			}
			if err := up.To(r.ID); err != nil {
				return err
			}
			return fn(r)
		})
	})
}

// recordAt returns the record with an id, counted from 1; nil if it is missing.
func recordAt(c storage, id int64) (body []byte, err error) {
	err = eachRecord(c, id-1, id, func(r *hashlog.Stored) error {
		body = r.Body
		return hashlog.ErrDone
	})
	return body, err
}

// sheeted is a storage, or a draft.
type sheeted interface {
	Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error
}

// eachPlanned calls fn for the rows of the plan from one position to another, in
// order. hashlog.ErrDone ends it.
func eachPlanned(c sheeted, from, to int64, fn func(p *hashlog.PlannedRow) error) error {
	return c.Sheets(from, to, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			if p.Pos < from || p.Pos > to {
				return nil
			}
			return fn(p)
		})
	})
}

// keyAt returns the key of the user at a position; "": it has none.
func keyAt(c storage, pos int64) (key string, err error) {
	err = eachPlanned(c, pos, pos, func(p *hashlog.PlannedRow) error {
		key = p.Key
		return nil
	})
	return key, err
}

// headUpTo returns the newest signed head over at most that many records; nil: no head
// is.
func headUpTo(c storage, most int64) (newest *hashlog.Head, err error) {
	err = c.Heads(rows.Down(most), func(h hashlog.Head) error {
		newest = &h
		return hashlog.ErrDone
	})
	return newest, err
}
