package ledger

import (
	"encoding/binary"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// log is the records of a run as they are stored. Nothing else knows how.
//
// A commit is one row of the table grp, or a few if it is large: the records
// first to first+n-1, lo to hi the smallest and the largest user among them (0
// if there is none), span the bit length of hi-lo, and body the stored frames,
// each with an unsigned varint length before it. Groups that may have records of
// some users are found through the index grp_user: in each class of span, few of
// lo can reach that far.
//
// A ledger of format 1 has a row for each record in the table rec. What is
// committed to it since is in groups behind them.
type log struct {
	c      *conn
	rows   bool // there is a table rec
	groups bool // there is a table grp
	byUser bool // there is the index rec_user, of format 1
	sheets bool // there is a table sheet
}

// groupSchema is what a ledger of format 1 lacks.
const groupSchema = `
CREATE TABLE grp (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, span INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX grp_user ON grp (span, lo, hi, n);
CREATE TABLE done (n INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE tile (tree INTEGER NOT NULL, n INTEGER NOT NULL, root BLOB NOT NULL, PRIMARY KEY (tree, n)) WITHOUT ROWID;
`

// logOf returns the log that a connection reads or writes.
func logOf(c *conn) (*log, error) {
	l := &log{c: c}
	err := c.each("SELECT name FROM sqlite_schema WHERE name IN ('rec', 'grp', 'rec_user', 'sheet')", func(found row) error {
		switch found.text(0) {
		case "rec":
			l.rows = true
		case "grp":
			l.groups = true
		case "rec_user":
			l.byUser = true
		case "sheet":
			l.sheets = true
		}
		return nil
	})
	if err == nil && !l.rows && !l.groups {
		err = hashlog.NotAsWritten("the tables of its records are missing")
	}
	return l, err
}

// logged calls fn with the log.
func (r *Run) logged(fn func(l *log) error) error {
	return r.reading(func(c *conn) error {
		l, err := logOf(c)
		if err != nil {
			return err
		}
		return fn(l)
	})
}

// put appends a group to the log. A ledger of format 1 becomes one of format 2:
// an older rekey, which would not see all of it, refuses it from then on.
func (l *log) put(g *hashlog.Group) error {
	if !l.groups {
		if err := l.c.run(groupSchema); err != nil {
			return err
		}
		if err := l.c.run("UPDATE run SET format = ?", int64(formatOfGroups)); err != nil {
			return err
		}
		l.groups = true
	}
	_, err := l.c.exec("INSERT INTO grp VALUES (?,?,?,?,?,?)", g.First, g.N, g.Lo, g.Hi, g.Span(), g.Body)
	return err
}

// each calls fn for the records from one place on to another, [from, to) from
// 0, in the order of the log. hashlog.ErrDone ends it.
func (l *log) each(from, to int64, fn func(r *hashlog.Stored) error) error {
	up := hashlog.Climb{Last: from}
	return hashlog.Ended(l.eachOf(from, to, func(g *hashlog.Group) error {
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
	}))
}

// eachOf calls fn for the groups that have records from one place on to another,
// [from, to) from 0, in the order of the log. Each record of format 1 is one.
func (l *log) eachOf(from, to int64, fn func(g *hashlog.Group) error) error {
	if from >= to {
		return nil
	}
	if err := l.eachRow(from, to, fn); err != nil || !l.groups {
		return err
	}
	first, err := l.c.count("SELECT coalesce(max(first), ?) FROM grp WHERE first <= ?", from+1, from+1)
	if err != nil {
		return err
	}
	return l.eachGroup(first-1, to, fn)
}

// eachRow calls fn for the records of format 1.
func (l *log) eachRow(from, to int64, fn func(g *hashlog.Group) error) error {
	if !l.rows {
		return nil
	}
	return l.c.pages("SELECT id, kind, user, body FROM rec WHERE id > ? AND id <= ? ORDER BY id LIMIT 4096", from, func(found row) error {
		body := found.bytes(3)
		g := hashlog.Group{First: found.int(0), N: 1, Lo: found.int(2), Hi: found.int(2), Alone: true, Kind: journal.Kind(found.int(1))}
		g.Body = append(binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen32), uint64(len(body))), body...)
		return fn(&g)
	}, to)
}

// eachGroup calls fn for the groups whose first record has an id in (after, to].
func (l *log) eachGroup(after, to int64, fn func(g *hashlog.Group) error) error {
	if !l.groups {
		return nil
	}
	return l.c.pages("SELECT first, n, lo, hi, span, body FROM grp WHERE first > ? AND first <= ? ORDER BY first LIMIT 64", after, func(found row) error {
		return fn(&hashlog.Group{First: found.int(0), N: found.int(1), Lo: found.int(2), Hi: found.int(3), Listed: found.int(4), Body: found.bytes(5)})
	}, to)
}

// record returns the record with an id, counted from 1; nil if it is missing.
func (l *log) record(id int64) ([]byte, error) {
	var body []byte
	err := l.each(id-1, id, func(r *hashlog.Stored) error {
		body = r.Body
		return hashlog.ErrDone
	})
	return body, err
}

// newest returns the last record; nil if there is none.
func (l *log) newest() ([]byte, error) {
	last, err := l.last()
	if err != nil {
		return nil, err
	}
	return l.record(last)
}

// last returns the id of the last record.
func (l *log) last() (last int64, err error) {
	if l.groups {
		last, err = l.c.count("SELECT first + n - 1 FROM grp ORDER BY first DESC LIMIT 1")
	}
	if err == nil && last == 0 && l.rows {
		last, err = l.c.count("SELECT coalesce(max(id), 0) FROM rec")
	}
	return last, err
}

// lastTouched returns the last position that has records.
func (l *log) lastTouched() (last int64, err error) {
	if l.groups {
		last, err = l.c.count("SELECT coalesce(max(hi), 0) FROM grp INDEXED BY grp_user")
	}
	if err != nil || !l.rows {
		return last, err
	}
	query := "SELECT coalesce(max(user), 0) FROM rec"
	if l.byUser {
		query += " INDEXED BY rec_user"
	}
	old, err := l.c.count(query)
	return max(last, old), err
}

// indexed counts the records that can be found by user: SQLite passes over what
// a damaged page of an index lacks.
func (l *log) indexed() (n int64, err error) {
	if l.groups {
		n, err = l.c.count("SELECT coalesce(sum(n), 0) FROM grp INDEXED BY grp_user")
	}
	if err != nil || !l.rows {
		return n, err
	}
	query := "SELECT count(*) FROM rec"
	if l.byUser {
		query += " INDEXED BY rec_user WHERE user > 0 OR id > 0"
	}
	old, err := l.c.count(query)
	return n + old, err
}

// unlisted counts the groups behind a record that cannot be found by user.
func (l *log) unlisted(after int64) (int64, error) {
	if !l.groups {
		return 0, nil
	}
	return l.c.count(`SELECT count(*) FROM grp g NOT INDEXED WHERE g.first > ? AND NOT EXISTS (SELECT 1 FROM grp x INDEXED BY grp_user
		WHERE x.span = g.span AND x.lo = g.lo AND x.hi = g.hi AND x.n = g.n AND x.first = g.first)`, after)
}

// heads calls fn for the signed heads over more records than that, in order.
// hashlog.ErrDone ends it.
func (l *log) heads(after int64, fn func(h hashlog.Head) error) error {
	return l.c.each("SELECT size, at, note FROM head WHERE size > ? ORDER BY size", func(found row) error {
		return fn(hashlog.Head{Size: found.int(0), At: found.int(1), Note: found.text(2)})
	}, after)
}
