package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// damaged is a file of which anything may be damaged.
type damaged struct {
	*rows.Wreck
	temp string // directory for temporary files
}

// rescue copies the readable parts into a ledger of format 1, and names the losses.
func rescue(o *damaged) (lost []string, err error) {
	c := &copier{o: o, scratch: filepath.Join(o.Dir, "scratch")}
	from, err := o.openDamaged()
	if err != nil {
		return nil, err
	}
	defer from.close()
	to, err := emptyLedger(o.Copy, schemaOfRows, o.temp) // records come one by one
	if err != nil {
		return nil, err
	}
	defer to.close()
	c.from, c.to = newDB(from), newDB(to)
	err = to.within(c.all)
	return c.lostOf, err
}

// openDamaged opens a file of which anything may be damaged. Where not even its
// tables are found, as on a lost first page, it opens a copy with the
// first page of an empty ledger: all have the same.
func (o *damaged) openDamaged() (*conn, error) {
	from, err := openReader(o.At, o.temp)
	if err == nil {
		if err = hasTables(from); err == nil {
			return from, nil
		}
		_ = from.close()
	}
	if !Damaged(err) && !errors.As(err, new(hashlog.Unsound)) {
		return nil, err
	}
	beheaded := filepath.Join(o.Dir, "damaged")
	if err := files.Copy(beheaded, o.At); err != nil {
		return nil, err
	}
	return o.openGuessed(beheaded)
}

// openGuessed opens a file with the first page of an empty ledger: of the format
// in which its state is found, or of the newest if lost too; without what only finds
// things sooner. In a file of format 2 something else is where sheets are looked for:
// their sums tell.
func (o *damaged) openGuessed(path string) (found *conn, err error) {
	for _, tables := range []string{schemaOfAll, schemaOfRows, schemaOfAll} {
		if found != nil {
			_ = found.close()
		}
		if found, err = o.openBeheaded(path, tables); err != nil || isState(found) {
			break
		}
	}
	return found, err
}

// openBeheaded opens a file with the first page of an empty ledger.
func (o *damaged) openBeheaded(path, schema string) (*conn, error) {
	if err := newFirstPage(path, schema, o.temp); err != nil {
		return nil, err
	}
	return openConn(path, immutable, o.temp)
}

// isState reports whether the table state is where it is looked for.
func isState(c *conn) bool {
	found, err := c.one("SELECT one, size, frontier FROM state")
	if err != nil || found == nil || found.int(0) != 1 {
		return false
	}
	_, err = hashlog.FrontierFrom(found.int(1), found.bytes(2))
	return err == nil
}

// hasTables asks for each table without reading a row.
func hasTables(c *conn) error {
	for _, table := range []string{"run", "key", "wave", "plan", "user", "state"} {
		if err := c.each("SELECT 1 FROM "+table+" LIMIT 0", func(row) error { return nil }); err != nil {
			return err
		}
	}
	_, err := newDB(c).has()
	return err
}

// emptyLedger makes a ledger without anything in it.
func emptyLedger(path, schema, temp string) (*conn, error) {
	f, err := files.OpenPrivate(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	c, err := openConn(path, readWrite, temp)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", schema} {
		if err := c.run(q); err != nil {
			_ = c.close()
			return nil, err
		}
	}
	return c, nil
}

// pageSize is that of SQLite by default.
const pageSize = 4096

// newFirstPage writes the first page of an empty ledger over that of a file.
func newFirstPage(path, schema, temp string) error {
	empty := path + "-empty"
	_ = os.Remove(empty)
	c, err := emptyLedger(empty, schema, temp)
	if err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	page, err := os.ReadFile(empty)
	if err != nil || len(page) < pageSize {
		return fmt.Errorf("first page: %d bytes, %w", len(page), errors.Join(err, fs.ErrInvalid))
	}
	page[95] = ^page[27] // so that the size of the file counts, not what the page says of it
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(page[:pageSize], 0)
	return errors.Join(err, f.Close())
}

// copier copies what can be read of a ledger into an empty one.
type copier struct {
	o        *damaged
	from, to *DB
	lostOf   []string

	tables  *tables // of the damaged file
	scratch string  // a copy of it to try things with

	names   hashlog.NamesKey
	enc     hashlog.Encoder
	dec     hashlog.Decoder
	private []byte
	known   bool // the key of the names: records can be compared with their sums
	total   int64
	size    int64
	bounds  []hashlog.Wave
	again   []string // users whose last record is lost
	moreOf  int
}

func (c *copier) all() error {
	for _, part := range []func() error{c.head, c.key, c.waves, (&planCopier{c}).plan, c.records, c.users, c.state, c.indexes} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) lost(format string, args ...any) {
	c.lostOf = append(c.lostOf, fmt.Sprintf(format, args...))
}

// value reads one column of a table of one row.
func (c *copier) value(column, table string) (any, bool) {
	found, err := c.from.conn.one("SELECT " + column + " FROM " + table)
	if err != nil || found == nil {
		return nil, false
	}
	return found[0], true
}

func (c *copier) number(column, table string) int64 {
	v, _ := c.value(column, table)
	n, _ := v.(int64)
	return max(n, 0)
}

// head copies the table run. Without its header the run has no owner and no
// script.
func (c *copier) head() (err error) {
	if c.tables, err = c.from.has(); err != nil {
		return err
	}
	text, _ := c.value("header", "run")
	header, whole, err := c.o.Rules.Header(row{text}.text(0))
	if err != nil {
		return err
	}
	if !whole {
		c.lost("its header (script, settings, waves' rules)")
	}
	names, _ := c.value("names", "run")
	if b := (row{names}).bytes(0); len(b) == len(c.names) {
		c.names, c.known = hashlog.NamesKey(b), true
	}
	c.enc.Key = &c.names
	c.total = c.number("total", "run")
	if c.total == 0 || c.total > c.o.atMost() {
		c.total = min(max(c.number("max(pos)", "plan"), c.number("max(last)", "wave")), c.o.atMost())
	}
	c.size = c.number("size", "state")
	if c.size == 0 || c.size > c.o.atMost() {
		last, _ := c.from.last()
		c.size = min(max(last, c.number("max(rec)", "user"), c.o.Marked), c.o.atMost())
	}
	return c.to.conn.run("INSERT INTO run VALUES (?,?,?,?,?)", int64(oldest), header, c.names[:], c.total, c.number("ordered", "run"))
}

// atMost is more rows than a file of that size can have.
func (o *damaged) atMost() int64 {
	n := int64(pageSize)
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(o.At + suffix); err == nil {
			n += info.Size()
		}
	}
	return n / 8
}

func (c *copier) key() error {
	v, ok := c.value("wrapped", "key")
	if !ok {
		c.lost("the key to its values")
		return nil
	}
	return c.to.conn.run("INSERT INTO key VALUES (?)", v)
}

// waves copies the waves if they are whole, else all users are of one.
func (c *copier) waves() error {
	err := c.from.conn.each("SELECT n, name, first, last FROM wave ORDER BY n", func(w row) error {
		next := int64(1)
		if n := len(c.bounds); n > 0 {
			next = c.bounds[n-1].Last + 1
		}
		if w.int(0) != int64(len(c.bounds)) || w.int(2) != next || w.int(3) < next-1 || w.int(3) > c.total {
			return hashlog.NotAsWritten("waves")
		}
		c.bounds = append(c.bounds, hashlog.Wave{Name: w.text(1), First: w.int(2), Last: w.int(3)})
		return nil
	})
	if err != nil || len(c.bounds) == 0 {
		c.lost("its waves")
		c.bounds = []hashlog.Wave{{Name: "all", First: 1, Last: c.total}}
	}
	for i, w := range c.bounds {
		if err := c.to.conn.run("INSERT INTO wave VALUES (?,?,?,?)", int64(i), w.Name, w.First, w.Last); err != nil {
			return err
		}
	}
	c.o.Rules.Waves(c.bounds)
	return nil
}

const (
	planQuery  = "SELECT pos, seq, line, key, fold, row, reason, digest FROM plan"
	sheetQuery = "SELECT " + sheetColumns + " FROM sheet"
	recQuery   = "SELECT id, kind, user, body FROM rec"
	grpQuery   = "SELECT first, n, lo, hi, span, body FROM grp"
)

// planCopier copies the plan.
type planCopier struct{ *copier }

// plan copies the rows of the plan. A place stays for lost ones.
func (c *planCopier) plan() error {
	put := func(p row) error {
		if p.int(0) < 1 || p.int(0) > c.total || p.text(3) == "" {
			return nil
		}
		_, err := c.to.conn.exec("INSERT OR IGNORE INTO plan VALUES (?,?,?,?,?,?,?,?)", p...)
		return err
	}
	err := salvage(c.from.conn, planQuery+" WHERE pos BETWEEN ? AND ? ORDER BY pos", 1, c.total, put)
	if err == nil {
		err = c.sheets(put)
	}
	if err == nil {
		err = (&orphans{c.copier}).each("plan", planQuery, c.total, func(p row) error {
			if !c.asFrozen(p) {
				return nil
			}
			return put(p)
		})
	}
	if err != nil {
		return err
	}
	missing, changed := gaps{}, gaps{}
	err = c.to.conn.each(planQuery+" ORDER BY pos", func(p row) error {
		missing.seen(p.int(0))
		if c.known && !c.asFrozen(p) {
			changed.lack(p.int(0), p.int(0))
		}
		return nil
	})
	missing.end(c.total)
	c.tell("rows of its plan", &missing, &changed)
	if err == nil && len(missing.parts) > 0 {
		err = c.placeholders()
	}
	return err
}

// sheets copies the rows of the plan on sheets.
func (c *planCopier) sheets(put func(row) error) error {
	if !c.tables.sheets {
		return nil
	}
	err := salvage(c.from.conn, sheetQuery+" WHERE first BETWEEN ? AND ? ORDER BY first", 1, c.total, func(r row) error { return c.sheet(r, put) })
	if err != nil {
		return err
	}
	return (&orphans{c.copier}).each("sheet", sheetQuery, c.total, func(r row) error {
		s := sheetOf(r)
		if !s.Sound(&c.enc) {
			return nil
		}
		return c.sheet(r, put)
	})
}

// sheet copies the rows of a sheet up to the first broken one.
func (c *planCopier) sheet(r row, put func(row) error) error {
	s := sheetOf(r)
	var failed error
	broken := s.Rows(func(p *hashlog.PlannedRow) error {
		digest := p.Sum
		if hidden, ok := p.Is(&c.enc, &c.private); ok {
			digest = hidden[:]
		}
		failed = put(row{p.Pos, p.Seq, int64(p.Line), p.Key, diag.Fold(p.Key), p.Cells, nil, digest})
		return failed
	})
	if failed == nil && broken != nil {
		return nil // gaps tell of it
	}
	return failed
}

// asFrozen compares a row of the plan with what was frozen.
func (c *planCopier) asFrozen(p row) bool {
	hidden := c.enc.HideRow(&c.private, &hashlog.Row{Seq: p.int(1), Key: p.text(3), Cells: p.bytes(5), Reason: p.text(6)})
	return string(hidden[:]) == string(p.bytes(7))
}

func (c *copier) tell(what string, missing, changed *gaps) {
	if len(missing.parts) > 0 {
		c.lost("%s %s", what, missing)
	}
	if len(changed.parts) > 0 {
		c.lost("what %s %s were before they were changed", what, changed)
	}
}

// lostSeq is behind the places in the source of all rows of which it is known.
const lostSeq = int64(1) << 40

// placeholders keep the places of lost rows of the plan.
func (c *planCopier) placeholders() error {
	for pos := int64(1); pos <= c.total; pos++ {
		there, err := c.to.conn.count("SELECT EXISTS (SELECT 1 FROM plan WHERE pos = ?)", pos)
		if err == nil && there == 0 {
			key := fmt.Sprintf("user at position %d", pos)
			_, err = c.to.conn.exec("INSERT INTO plan VALUES (?,?,0,?,?,NULL,'',x'')", pos, lostSeq+pos, key, diag.Fold(key))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// records copies the log, and follows its word on users and the run.
func (c *copier) records() error {
	if err := c.rows(); err != nil {
		return err
	}
	if err := c.groups(); err != nil {
		return err
	}
	missing, changed := gaps{}, gaps{}
	err := c.to.Groups(0, math.MaxInt64, func(g *hashlog.Group) error {
		return g.Each(func(r *hashlog.Stored) error {
			missing.seen(r.ID)
			f, err := c.dec.Split(r.Body)
			if err != nil {
				return err
			}
			if c.known && c.enc.Fits(&f, r.Body) != nil {
				changed.lack(r.ID, r.ID)
			}
			return f.Records(&journal.Record{}, c.follow)
		})
	})
	missing.end(c.size)
	c.tell("records", &missing, &changed)
	return err
}

// rows copies the records of format 1.
func (c *copier) rows() error {
	if !c.tables.rows {
		return nil
	}
	err := salvage(c.from.conn, recQuery+" WHERE id BETWEEN ? AND ? ORDER BY id", 1, c.size, func(r row) error { return c.record(r.int(0), r.bytes(3), false) })
	if err != nil {
		return err
	}
	return (&orphans{c}).each("rec", recQuery, c.size, func(r row) error { return c.record(r.int(0), r.bytes(3), true) })
}

// groups copies the records of groups.
func (c *copier) groups() error {
	if !c.tables.groups {
		return nil
	}
	err := salvage(c.from.conn, grpQuery+" WHERE first BETWEEN ? AND ? ORDER BY first", 1, c.size, func(r row) error { return c.group(r.int(0), r.bytes(5)) })
	if err != nil {
		return err
	}
	return (&scraper{c}).scrape()
}

// group copies the whole records of a group. Behind a broken one it
// looks for the next whose sum fits. Of a packed one it copies only those whose sum fits:
// what one record says there hangs on those before.
func (c *copier) group(id int64, body []byte) error {
	if c.known && hashlog.IsPacked(body) {
		return (&scraper{c}).sift(body)
	}
	for list := (hashlog.Frames{Rest: hashlog.Unpacked(body)}); len(list.Rest) > 0; id++ {
		at := list.Rest
		frame := list.Next()
		if c.known && !c.isAt(frame, id) {
			if frame, list.Rest = c.resync(at); frame == nil {
				return nil
			}
			f, err := c.dec.Split(frame)
			if err != nil {
				return err
			}
			id = f.Index + 1
		}
		if err := c.record(id, frame, false); err != nil {
			return err
		}
	}
	return nil
}

// isAt reports whether a frame is the record with an id, perhaps changed.
func (c *copier) isAt(frame []byte, id int64) bool {
	f, err := c.dec.Split(frame)
	return err == nil && f.Index == id-1
}

// whole reports whether a frame has its sum.
func (c *copier) whole(frame []byte) bool {
	f, err := c.dec.Split(frame)
	return err == nil && c.enc.Fits(&f, frame) == nil
}

// resync finds the first whole frame in the rest of a group, and the part
// behind it.
func (c *copier) resync(rest []byte) (frame, behind []byte) {
	for ; len(rest) > 0; rest = rest[1:] {
		list := hashlog.Frames{Rest: rest}
		if frame := list.Next(); c.whole(frame) {
			return frame, list.Rest
		}
	}
	return nil, nil
}

// record copies a sound record. sure: also its sum fits.
func (c *copier) record(id int64, body []byte, sure bool) error {
	f, err := c.dec.Split(body)
	if err == nil {
		_, err = f.Record()
	}
	if err == nil && sure {
		err = c.enc.Fits(&f, body)
	}
	if err != nil || id < 1 || id > c.size || f.Index != id-1 || f.User > c.total {
		return nil // a gap tells of it
	}
	_, err = c.to.conn.exec("INSERT OR IGNORE INTO rec VALUES (?,?,?,?)", id, int64(f.Kind), f.User, body)
	return err
}

// follow takes a record into account.
func (c *copier) follow(r *journal.Record) error {
	was := int64(0)
	switch r.Kind {
	case journal.Finished:
		if _, err := c.to.conn.exec("INSERT OR REPLACE INTO user VALUES (?,?,?,?)", r.User, c.o.Rules.Number(r), string(r.Code), r.Index+1); err != nil {
			return err
		}
	case journal.Reopened:
		n, err := c.to.conn.count("SELECT status FROM user WHERE pos = ?", r.User)
		if err != nil || n == 0 {
			return err // how it had ended is lost
		}
		was = n
		if _, err := c.to.conn.exec("DELETE FROM user WHERE pos = ?", r.User); err != nil {
			return err
		}
	}
	c.o.Rules.Apply(r, was)
	return nil
}

// users takes over the statuses of those whose last record is lost.
func (c *copier) users() error {
	err := salvage(c.from.conn, "SELECT pos, status, code, rec FROM user WHERE pos BETWEEN ? AND ? ORDER BY pos", 1, c.total, func(u row) error {
		known, err := c.to.conn.count("SELECT EXISTS (SELECT 1 FROM rec WHERE id = ?) + EXISTS (SELECT 1 FROM user WHERE pos = ?)", u.int(3), u.int(0))
		if err != nil || known > 0 || !c.o.Rules.Final(u.int(1)) {
			return err
		}
		if _, err := c.to.conn.exec("INSERT INTO user VALUES (?,?,?,?)", u.int(0), u.int(1), u.text(2), u.int(3)); err != nil {
			return err
		}
		c.o.Rules.Count(u.int(0), u.int(1))
		return c.named(u.int(0))
	})
	if err == nil {
		err = c.doneUsers()
	}
	if len(c.again) > 0 {
		text := fmt.Sprint("of ", joined(c.again))
		if c.moreOf > 0 {
			text += fmt.Sprintf(" and %d more", c.moreOf)
		}
		c.lost("among these what became %s", text)
	}
	return err
}

// doneUsers is users for those of whom only a byte says that they are done.
func (c *copier) doneUsers() error {
	if !c.tables.groups {
		return nil
	}
	return salvage(c.from.conn, "SELECT n, bytes FROM done WHERE n BETWEEN ? AND ? ORDER BY n", 0, c.total>>rows.BlockBits, func(d row) error {
		for i, b := range d.bytes(1) {
			pos := d.int(0)<<rows.BlockBits + int64(i)
			if b != 1 || pos < 1 || pos > c.total {
				continue
			}
			n, err := c.to.conn.exec("INSERT OR IGNORE INTO user VALUES (?,?,'',0)", pos, c.o.Rules.Done())
			if err != nil {
				return err
			}
			if n == 0 {
				continue // its record is there
			}
			c.o.Rules.Count(pos, c.o.Rules.Done())
			if err := c.named(pos); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxNamed is how many users are named.
const maxNamed = 10

func (c *copier) named(pos int64) error {
	if len(c.again) >= maxNamed {
		c.moreOf++
		return nil
	}
	key, err := c.to.keyAt(pos)
	if err == nil && key != "" {
		c.again = append(c.again, key)
	}
	return err
}

func joined(keys []string) string {
	text := ""
	for i, k := range keys {
		if i > 0 {
			text += ", "
		}
		text += k
	}
	return text
}

// state copies where the run stands, or what the records say of it.
func (c *copier) state() error {
	found, err := c.from.State()
	if err == nil && found != nil {
		if _, err := hashlog.FrontierFrom(found.Size, found.Frontier); err == nil && c.o.Rules.Keeps(found.Standing) {
			return c.to.conn.run("INSERT INTO state VALUES (1,?,?,?)", found.Size, found.Frontier, found.Standing)
		}
	}
	c.lost("where it stood: that is what the records say")
	text, err := c.o.Rules.Standing()
	if err != nil {
		return err
	}
	return c.to.conn.run("INSERT INTO state VALUES (1,?,?,?)", int64(0), []byte{}, text)
}

// indexes make the copy quick to read.
func (c *copier) indexes() error {
	for _, q := range []string{"CREATE INDEX rec_user ON rec (user, id)", "CREATE INDEX plan_seq ON plan (seq)", "CREATE INDEX plan_fold ON plan (fold)"} {
		if err := c.to.conn.run(q); err != nil {
			return err
		}
	}
	return nil
}

// salvage calls fn for the rows of a range that can be read, in order. The
// query's first column is the number of the row, its parameters are the first
// and the last. A lost page costs the search for where it begins and
// ends.
func salvage(c *conn, query string, from, to int64, fn func(row) error) error {
	for from <= to {
		next, err := from, error(nil)
		broken := c.each(query, func(found row) error {
			if err = fn(found); err != nil {
				return hashlog.ErrDone
			}
			next = max(next, found.int(0)+1)
			return nil
		}, from, to)
		if err != nil || broken == nil {
			return err
		}
		if next == from && from == to {
			return nil // that one is lost
		}
		if from = next; from < to {
			middle := from + (to-from)/2
			if err := salvage(c, query, from, middle, fn); err != nil {
				return err
			}
			from = middle + 1
		}
	}
	return nil
}
