package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

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

// The most that one group has. A row is read as a whole, so it is not to be too
// large; of a commit that is, each group is one more row.
const (
	maxGroup = 4096
	maxBody  = 1 << 20
)

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
		err = unsound{errors.New("the tables of its records are missing")}
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

// stored is one record as it is stored.
type stored struct {
	id   int64        // its place in the log, from 1
	kind journal.Kind // as it is listed
	user int64
	body []byte // the frame
}

// group is one row of the table grp.
type group struct {
	first, n, lo, hi int64
	listed           int64 // its span, as it was read
	body             []byte
}

// add appends a record.
func (g *group) add(user int64, frame []byte) {
	g.count(user)
	g.body = binary.AppendUvarint(g.body, uint64(len(frame)))
	g.body = append(g.body, frame...)
}

// count takes a record into account.
func (g *group) count(user int64) {
	g.n++
	if user > 0 {
		if g.hi == 0 || user < g.lo {
			g.lo = user
		}
		g.hi = max(g.hi, user)
	}
}

// full reports whether the next record is for another group.
func (g *group) full() bool { return g.n >= maxGroup || len(g.body) >= maxBody }

// span is the class of the group's range of users.
func (g *group) span() int64 { return int64(bits.Len64(uint64(g.hi - g.lo))) }

// asListed returns an error for a group that is listed with other numbers than
// those of what it has: it would not be found.
func (g *group) asListed() error {
	is, list := group{}, frames{g.body}
	for frame := list.next(); frame != nil; frame = list.next() {
		_, user, ok := peek(frame)
		if !ok {
			return unsound{fmt.Errorf("record %d: %w", g.first-1+is.n, ErrFrame)}
		}
		is.count(user)
	}
	switch {
	case is.n != g.n:
		return unsound{fmt.Errorf("its group is listed with %d records, and has %d", g.n, is.n)}
	case is.lo != g.lo || is.hi != g.hi || is.span() != g.listed:
		return unsound{fmt.Errorf("its group is listed under the users at positions %d to %d, and has those at %d to %d", g.lo, g.hi, is.lo, is.hi)}
	}
	return nil
}

// frames takes the body of a group apart. What cannot be taken apart is its
// last.
type frames struct{ rest []byte }

// next returns the next frame; nil at the end.
func (f *frames) next() []byte {
	if len(f.rest) == 0 {
		return nil
	}
	n, head := binary.Uvarint(f.rest)
	if head <= 0 || n > uint64(len(f.rest)-head) {
		broken := f.rest
		f.rest = nil
		return broken
	}
	end := head + int(n)
	frame := f.rest[head:end:end]
	f.rest = f.rest[end:]
	return frame
}

// peek returns kind and user of a stored frame.
func peek(frame []byte) (kind journal.Kind, user int64, ok bool) {
	if len(frame) < 2 || frame[0] != frameVersion {
		return 0, 0, false
	}
	r := reader{rest: frame[2:]}
	r.uint() // index
	r.int()  // at
	user = r.uint()
	return journal.Kind(frame[1]), user, !r.bad
}

// put appends a group to the log. A ledger of format 1 becomes one of format 2:
// an older rekey, which would not see all of it, refuses it from then on.
func (l *log) put(g *group) error {
	if !l.groups {
		if err := l.c.run(groupSchema); err != nil {
			return err
		}
		if err := l.c.run("UPDATE run SET format = ?", int64(formatOfGroups)); err != nil {
			return err
		}
		l.groups = true
	}
	_, err := l.c.exec("INSERT INTO grp VALUES (?,?,?,?,?,?)", g.first, g.n, g.lo, g.hi, g.span(), g.body)
	return err
}

// each calls fn for the records from one place on to another, [from, to) from
// 0, in the order of the log. errDone ends it.
func (l *log) each(from, to int64, fn func(r *stored) error) error {
	up := climb{from}
	one := func(r *stored) error {
		if err := up.to(r.id); err != nil {
			return err
		}
		return fn(r)
	}
	err := l.eachRow(from, to, one)
	if err == nil {
		err = l.eachOfGroups(from, to, one)
	}
	if errors.Is(err, errDone) {
		err = nil
	}
	return err
}

// eachRow calls fn for the records of format 1.
func (l *log) eachRow(from, to int64, fn func(r *stored) error) error {
	if !l.rows {
		return nil
	}
	return l.c.pages("SELECT id, kind, user, body FROM rec WHERE id > ? AND id <= ? ORDER BY id LIMIT 4096", from, func(found row) error {
		return fn(&stored{found.int(0), journal.Kind(found.int(1)), found.int(2), found.bytes(3)})
	}, to)
}

// eachGroup calls fn for the groups whose first record has an id in (after, to].
func (l *log) eachGroup(after, to int64, fn func(g *group) error) error {
	if !l.groups {
		return nil
	}
	return l.c.pages("SELECT first, n, lo, hi, span, body FROM grp WHERE first > ? AND first <= ? ORDER BY first LIMIT 64", after, func(found row) error {
		return fn(&group{found.int(0), found.int(1), found.int(2), found.int(3), found.int(4), found.bytes(5)})
	}, to)
}

// eachOfGroups calls fn for the records in groups.
func (l *log) eachOfGroups(from, to int64, fn func(r *stored) error) error {
	if !l.groups {
		return nil
	}
	first, err := l.c.count("SELECT coalesce(max(first), 0) FROM grp WHERE first <= ?", from+1)
	if err != nil {
		return err
	}
	return l.eachGroup(first-1, to, func(g *group) error {
		return g.each(func(r *stored) error {
			switch {
			case r.id <= from:
				return nil
			case r.id > to:
				return errDone
			}
			return fn(r)
		})
	})
}

// each calls fn for the records of a group.
func (g *group) each(fn func(r *stored) error) error {
	list := frames{g.body}
	r := stored{id: g.first}
	for r.body = list.next(); r.body != nil; r.body = list.next() {
		r.kind, r.user, _ = peek(r.body)
		if err := fn(&r); err != nil {
			return err
		}
		r.id++
	}
	if r.id != g.first+g.n {
		return unsound{fmt.Errorf("of the records %d to %d there are %d", g.first-1, g.first+g.n-2, r.id-g.first)}
	}
	return nil
}

// record returns the record with an id, counted from 1; nil if it is missing.
func (l *log) record(id int64) ([]byte, error) {
	var body []byte
	err := l.each(id-1, id, func(r *stored) error {
		body = r.body
		return errDone
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

// beforeFirst counts what stands before the first record.
func (l *log) beforeFirst() (n int64, err error) {
	if l.groups {
		n, err = l.c.count("SELECT coalesce(sum(n), 0) FROM grp WHERE first < 1")
	}
	if err != nil || !l.rows {
		return n, err
	}
	old, err := l.c.count("SELECT count(*) FROM rec WHERE id < 1")
	return n + old, err
}
