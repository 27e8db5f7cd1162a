package sqlite

import (
	"encoding/binary"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// The records of a run are groups: a commit is one row of the table grp, or a few if
// it is large. The index grp_user finds those that may have records of some users: in
// each class of span, few of lo can reach that far.
//
// A ledger of format 1 has a row for each record in the table rec. Records committed
// to it since are in groups behind them.

// records are those of a run.
type records struct {
	*handle
	users byUser
}

// groups is Groups, and gives hashlog.ErrDone back.
func (d *records) groups(from, to int64, fn func(g *hashlog.Group) error) error {
	t, err := d.has()
	if err != nil || from >= to {
		return err
	}
	if t.rows {
		if err := d.eachRow(from, to, fn); err != nil {
			return err
		}
	}
	if !t.groups {
		return nil
	}
	first, err := d.conn.count("SELECT coalesce(max(first), ?) FROM grp WHERE first <= ?", from+1, from+1)
	if err != nil {
		return err
	}
	return d.eachGroup(first-1, to, fn)
}

// eachRow calls fn for the records of format 1.
func (d *records) eachRow(from, to int64, fn func(g *hashlog.Group) error) error {
	return d.conn.pages("SELECT id, kind, user, body FROM rec WHERE id > ? AND id <= ? ORDER BY id LIMIT 4096", from, func(found row) error {
		body := found.bytes(3)
		g := hashlog.Group{First: found.int(0), N: 1, Lo: found.int(2), Hi: found.int(2), Alone: true, Kind: journal.Kind(found.int(1))}
		g.Body = append(binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen32), uint64(len(body))), body...)
		return fn(&g)
	}, to)
}

// eachGroup calls fn for the groups whose first record has an id in (after, to].
func (d *records) eachGroup(after, to int64, fn func(g *hashlog.Group) error) error {
	return d.conn.pages("SELECT first, n, lo, hi, span, body FROM grp WHERE first > ? AND first <= ? ORDER BY first LIMIT 64", after, func(found row) error {
		return fn(&hashlog.Group{First: found.int(0), N: found.int(1), Lo: found.int(2), Hi: found.int(3), Listed: found.int(4), Body: hashlog.Unpacked(found.bytes(5))})
	}, to)
}

// Groups calls fn for the groups that have records from one place on to another,
// [from, to) from 0, in the order of the log. Each record of format 1 is one.
// hashlog.ErrDone ends it.
func (d *records) Groups(from, to int64, fn func(g *hashlog.Group) error) error {
	return hashlog.Ended(d.groups(from, to, fn))
}

// countQuickly is of how many records of format 1 it is counted quickly which of them
// can be found by user.
const countQuickly = 1 << 20

// Lacks counts the records that cannot be found by user.
func (d *records) Lacks(after, size int64, quickly bool) (int64, error) {
	if after > 0 {
		return d.unlisted(after)
	}
	t, err := d.has()
	if err != nil || quickly && t.rows && size > countQuickly {
		return 0, err
	}
	n, err := d.indexed()
	return size - n, err
}

// indexed counts the records that can be found by user: SQLite passes over what a
// damaged page of an index lacks.
func (d *records) indexed() (n int64, err error) {
	t, err := d.has()
	if err == nil && t.groups {
		n, err = d.conn.count("SELECT coalesce(sum(n), 0) FROM grp INDEXED BY grp_user")
	}
	if err != nil || !t.rows {
		return n, err
	}
	query := "SELECT count(*) FROM rec"
	if t.byUser {
		query += " INDEXED BY rec_user WHERE user > 0 OR id > 0"
	}
	old, err := d.conn.count(query)
	return n + old, err
}

// unlisted counts the records behind one whose groups cannot be found by user.
func (d *records) unlisted(after int64) (int64, error) {
	t, err := d.has()
	if err != nil || !t.groups {
		return 0, err
	}
	return d.conn.count(`SELECT coalesce(sum(n), 0) FROM grp g NOT INDEXED WHERE g.first > ? AND NOT EXISTS (SELECT 1 FROM grp x INDEXED BY grp_user
		WHERE x.span = g.span AND x.lo = g.lo AND x.hi = g.hi AND x.n = g.n AND x.first = g.first)`, after)
}

// Ends returns the id of the last record, and the last position with records.
func (d *records) Ends() (record, user int64, err error) {
	if record, err = d.last(); err == nil {
		user, err = d.lastUser()
	}
	return record, user, err
}

// lastUser returns the last position with records.
func (d *records) lastUser() (last int64, err error) {
	t, err := d.has()
	if err == nil && t.groups {
		last, err = d.conn.count("SELECT coalesce(max(hi), 0) FROM grp INDEXED BY grp_user")
	}
	if err != nil || !t.rows {
		return last, err
	}
	query := "SELECT coalesce(max(user), 0) FROM rec"
	if t.byUser {
		query += " INDEXED BY rec_user"
	}
	old, err := d.conn.count(query)
	return max(last, old), err
}

// last returns the id of the last record.
func (d *records) last() (last int64, err error) {
	t, err := d.has()
	if err == nil && t.groups {
		last, err = d.conn.count("SELECT first + n - 1 FROM grp ORDER BY first DESC LIMIT 1")
	}
	if err == nil && last == 0 && t.rows {
		last, err = d.conn.count("SELECT coalesce(max(id), 0) FROM rec")
	}
	return last, err
}

// Histories calls fn for those of the users that have records, with these as they are
// stored, in the order of the list; each user is there once. With sums, each record
// is compared with its sum. What fn gets is valid during the call.
func (d *records) Histories(users []int64, sums *hashlog.Encoder, fn func(user int64, records []hashlog.Stored) error) error {
	b := &d.users
	b.sums = sums
	if len(users) == 0 {
		return nil
	}
	first, last := users[0], users[len(users)-1]
	ascending := slices.IsSorted(users)
	if !ascending && !b.told && len(users) >= many {
		if err := b.tell(); err != nil {
			return err
		}
	}
	var list []hashlog.Stored
	give := func(user int64, records []place) error {
		list = list[:0]
		for i := range records {
			list = append(list, hashlog.Stored{ID: records[i].id, User: user, Body: records[i].frame})
		}
		return fn(user, list)
	}
	switch {
	case b.told:
		return b.fromTold(users, give)
	case ascending && last-first < farApart*int64(len(users)):
		return b.together(users, give)
	}
	for _, user := range users {
		if err := b.between(user, user, give); err != nil {
			return err
		}
	}
	return nil
}
