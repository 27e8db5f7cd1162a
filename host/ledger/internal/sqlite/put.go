package sqlite

import (
	"database/sql/driver"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// changes write to a run.
type changes struct{ *handle }

// Put writes what a change has, within Within.
func (d *changes) Put(c *rows.Change) error {
	if c.Group != nil {
		if err := d.putGroup(c.Group); err != nil {
			return err
		}
	}
	for _, b := range c.Blocks {
		if _, err := d.conn.exec("INSERT OR REPLACE INTO done VALUES (?,?)", b.N, b.Bytes); err != nil {
			return err
		}
	}
	for _, t := range c.Tiles {
		if _, err := d.conn.exec("INSERT OR REPLACE INTO tile VALUES (?,?,?)", int64(c.Tree), t.N, t.Root[:]); err != nil {
			return err
		}
	}
	if err := d.putStatuses(c); err != nil {
		return err
	}
	if c.State != nil {
		if _, err := d.conn.exec("UPDATE state SET size = ?, frontier = ?, standing = ?", c.State.Size, c.State.Frontier, c.State.Standing); err != nil {
			return err
		}
	}
	if c.Head != nil {
		if _, err := d.conn.exec("INSERT OR REPLACE INTO head VALUES (?,?,?)", c.Head.Size, c.Head.At, c.Head.Note); err != nil {
			return err
		}
	}
	if c.Forget {
		return d.forgetKey()
	}
	return nil
}

// forgetKey deletes the wrapped key, and overwrites its bytes with zeros.
func (d *changes) forgetKey() error {
	if err := d.conn.run("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	return d.conn.run("DELETE FROM key")
}

// putGroup appends a group to the log. A ledger of format 1 becomes one of format 2:
// an older rekey, which would not see all of it, refuses it from then on.
func (d *changes) putGroup(g *hashlog.Group) error {
	t, err := d.has()
	if err != nil {
		return err
	}
	if !t.groups {
		if err := d.conn.run(groupSchema); err != nil {
			return err
		}
		if err := d.conn.run("UPDATE run SET format = ?", int64(formatOfGroups)); err != nil {
			return err
		}
		t.groups = true
	}
	body := g.Body
	packs, err := d.packs()
	if packs {
		body = g.Packed()
	}
	if err != nil {
		return err
	}
	_, err = d.conn.exec("INSERT INTO grp VALUES (?,?,?,?,?,?)", g.First, g.N, g.Lo, g.Hi, g.Span(), body)
	return err
}

// batch is how many rows one INSERT of users carries. The driver looks its
// parameters up by scanning, so more is not better.
const batch = 32

var (
	insertUser  = "INSERT INTO user VALUES (?,?,?,?)"
	insertUsers = insertUser + strings.Repeat(",(?,?,?,?)", batch-1)
)

// putStatuses writes rows of users, many at a time while there are many, and removes
// those of users who lose theirs.
func (d *changes) putStatuses(c *rows.Change) error {
	for _, pos := range c.Reopened {
		if _, err := d.conn.exec("DELETE FROM user WHERE pos = ?", pos); err != nil {
			return err
		}
	}
	list, values := c.Statuses, make([]driver.Value, 0, 4*min(batch, len(c.Statuses)))
	for len(list) > 0 {
		n, query := 1, insertUser
		if len(list) >= batch {
			n, query = batch, insertUsers
		}
		values = values[:0]
		for _, s := range list[:n] {
			values = append(values, s.Pos, s.Number, s.Code, s.Rec)
		}
		if _, err := d.conn.exec(query, values...); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}
