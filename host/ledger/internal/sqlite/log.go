package sqlite

import (
	"encoding/binary"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// The records of a run are groups: a commit is one row of the table grp, or a few if
// it is large. The index grp_user finds those that may have records of some users: in
// each class of span, few of lo can reach that far.
//
// A ledger of format 1 has a row for each record in the table rec. What is committed
// to it since is in groups behind them.

// groups is Groups, and gives hashlog.ErrDone back.
func (d *DB) groups(from, to int64, fn func(g *hashlog.Group) error) error {
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
func (d *DB) eachRow(from, to int64, fn func(g *hashlog.Group) error) error {
	return d.conn.pages("SELECT id, kind, user, body FROM rec WHERE id > ? AND id <= ? ORDER BY id LIMIT 4096", from, func(found row) error {
		body := found.bytes(3)
		g := hashlog.Group{First: found.int(0), N: 1, Lo: found.int(2), Hi: found.int(2), Alone: true, Kind: journal.Kind(found.int(1))}
		g.Body = append(binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen32), uint64(len(body))), body...)
		return fn(&g)
	}, to)
}

// eachGroup calls fn for the groups whose first record has an id in (after, to].
func (d *DB) eachGroup(after, to int64, fn func(g *hashlog.Group) error) error {
	return d.conn.pages("SELECT first, n, lo, hi, span, body FROM grp WHERE first > ? AND first <= ? ORDER BY first LIMIT 64", after, func(found row) error {
		return fn(&hashlog.Group{First: found.int(0), N: found.int(1), Lo: found.int(2), Hi: found.int(3), Listed: found.int(4), Body: found.bytes(5)})
	}, to)
}
