package ledger

import (
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// User is one row of the plan and what became of it.
type User struct {
	Pos, Seq int64 // place in the plan and in the source, from 1
	Line     int
	Wave     int // index; -1: skipped by the plan
	WaveName string
	Key      string
	Row      []byte
	Status   journal.Status
	Code     sdk.Code
	Reason   string           // why it was skipped, or the message of its status
	History  []journal.Record // in the order of the log
}

// Order is the order in which users are listed.
type Order uint8

// The orders: of the source, and of application, where users that the plan
// skips come last.
const (
	OrderSource Order = iota
	OrderApply
)

// Filter selects users. Each of its lists selects all if it is empty.
type Filter struct {
	Status []journal.Status
	Codes  []string
	Keys   []string // compared as the plan compares them
	Wave   string
}

// page is how many users are read at once: short reads, so that the
// write-ahead file can be folded in between.
const page = 1000

// userColumns are those of Run.user, and the digest of the row.
func (l *log) userColumns() string {
	return "p.Pos, p.seq, p.line, p.key, p.row, p.reason, coalesce(u.status, " + l.isDone() + "), u.code, p.digest"
}

// OpenUsers returns up to limit users of the wave behind a position that have
// no status, in order. Those that earlier processes have begun have their
// History.
func (r *Run) OpenUsers(wave int, after int64, limit int) ([]User, error) {
	if wave < 0 || wave >= len(r.bounds) {
		return nil, fmt.Errorf("run %s: there is no wave %d", r.id, wave)
	}
	b := r.bounds[wave]
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	var list []User
	err = r.moment(func(l *log) error {
		list, err = r.openOnSheets(l, s, max(after+1, b.First), b.Last, limit)
		if err != nil || len(list) == limit {
			return err
		}
		front, err := l.front()
		if err != nil {
			return err
		}
		more, err := r.openBehind(l, s, max(after, b.First-1, front), b.Last, limit-len(list))
		list = append(list, more...)
		return err
	})
	if err == nil {
		err = r.fillBegun(list)
	}
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return list, nil
}

// openOnSheets returns the users without a status whose rows are on sheets, from
// one position to another.
func (r *Run) openOnSheets(l *log, s *standing, from, to int64, limit int) (list []User, err error) {
	var ends statuses
	err = l.eachSheet(from, to, func(x *hashlog.Sheet) error {
		if !x.Sound(&r.names) {
			return r.unlikeFrozen(x)
		}
		if err := ends.read(l, x.First, x.First+x.N-1); err != nil {
			return err
		}
		return x.Rows(func(p *hashlog.PlannedRow) error {
			if n, _ := ends.of(p.Pos); p.Pos < from || p.Pos > to || n != noStatus {
				return nil
			}
			if len(list) == limit {
				return hashlog.ErrDone
			}
			list = append(list, r.userOf(s, p, noStatus, ""))
			return nil
		})
	})
	return list, hashlog.Ended(err)
}

// unlikeFrozen says which row of a sheet was changed.
func (r *Run) unlikeFrozen(s *hashlog.Sheet) error {
	enc, private, changed := hashlog.Encoder{Key: &r.names}, []byte(nil), s.First
	_ = s.Rows(func(p *hashlog.PlannedRow) error {
		changed = p.Pos
		if _, ok := p.Is(&enc, &private); ok {
			return nil
		}
		return hashlog.ErrDone
	})
	return gone(r.store.runFile(r.id), "does not hold what was written to it: row %d of its plan was changed", changed)
}

// openBehind is openOnSheets of the rows behind those.
func (r *Run) openBehind(l *log, s *standing, after, to int64, limit int) (list []User, err error) {
	enc, private := hashlog.Encoder{Key: &r.names}, []byte(nil)
	up := hashlog.Climb{Last: after}
	return list, l.c.each("SELECT "+l.userColumns()+" FROM "+l.plan()+" WHERE p.Pos > ? AND p.Pos <= ? AND u.pos IS NULL AND NOT "+l.isDone()+" ORDER BY p.Pos LIMIT ?",
		func(found row) error {
			u := r.user(s, found)
			list = append(list, u)
			if err := up.To(u.Pos); err != nil {
				return gone(r.store.runFile(r.id), "does not hold what was written to it: of its plan, %v", err)
			}
			return r.asFrozen(&enc, &private, &u, found.bytes(8))
		}, after, to, int64(limit))
}

// moment calls fn with the log as of one moment: another process may be making a
// ledger of format 1 one of this.
func (r *Run) moment(fn func(l *log) error) error {
	return r.reading(func(c *conn) error {
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		l, err := logOf(c)
		if err == nil {
			err = fn(l)
		}
		if err != nil {
			_ = c.rollback()
			return err
		}
		_, err = c.exec("COMMIT")
		return err
	})
}

// asFrozen checks a row of the plan before anything is done with it: it is what
// says whose password is changed.
func (r *Run) asFrozen(enc *hashlog.Encoder, private *[]byte, u *User, digest []byte) error {
	hidden := enc.HideRow(private, &hashlog.Row{Seq: u.Seq, Key: u.Key, Cells: u.Row})
	if string(hidden[:]) != string(digest) {
		return gone(r.store.runFile(r.id), "does not hold what was written to it: row %d of its plan was changed", u.Pos)
	}
	return nil
}

// fillBegun fills in the histories of users that may have one.
func (r *Run) fillBegun(list []User) error {
	begun := list
	for i := range list {
		if list[i].Pos > r.known {
			begun = list[:i]
			break
		}
	}
	if len(begun) == 0 {
		return nil
	}
	return r.reading(func(c *conn) error {
		h, err := r.histories(c)
		if err != nil {
			return err
		}
		return h.fill(begun, OrderApply)
	})
}

// user turns a row of userColumns into a User.
func (r *Run) user(s *standing, found row) User {
	p := hashlog.PlannedRow{Pos: found.int(0), Row: hashlog.Row{Seq: found.int(1), Line: int(found.int(2)), Key: found.text(3), Cells: found.bytes(4), Reason: found.text(5)}}
	return r.userOf(s, &p, statusNumber(found.int(6)), found.text(7))
}

// userOf turns a row of the plan into a User; noStatus: it has none.
func (r *Run) userOf(s *standing, p *hashlog.PlannedRow, n statusNumber, code string) User {
	u := User{Pos: p.Pos, Seq: p.Seq, Line: p.Line, Key: p.Key, Row: p.Cells, Wave: hashlog.WaveAt(r.bounds, p.Pos)}
	switch {
	case u.Wave < 0:
		u.Status, u.Reason = journal.Skipped, p.Reason
		return u
	case n != noStatus:
		u.Status, u.Code = statusOfNumber[n], sdk.Code(code)
	case s.held(u.Wave):
		u.Status = journal.HeldPending
	default:
		u.Status = journal.Pending
	}
	u.WaveName = r.bounds[u.Wave].Name
	return u
}

// ErrNoUser is returned for a key that is not in the plan.
var ErrNoUser = errors.New("no such user")

// User returns the user with that key, compared as the plan compares keys.
func (r *Run) User(key string) (User, error) {
	var found *User
	err := r.Each(Filter{Keys: []string{key}}, OrderApply, func(u User) error {
		found = &u
		return nil
	})
	if err == nil && found == nil {
		err = ofRun(r.id, fmt.Errorf("%w: %q", ErrNoUser, key))
	}
	if err != nil {
		return User{}, err
	}
	return *found, nil
}

// KeyOf returns the key of the user at a position of the plan, "" if it cannot
// be read.
func (r *Run) KeyOf(pos int64) string {
	key := ""
	_ = r.reading(func(c *conn) error {
		var err error
		key, err = keyAt(c, pos)
		return err
	})
	return key
}

// Each calls fn for the users that the filter selects, with their histories.
// It streams: memory does not grow with the run. fn's error ends it and is
// returned. A user whose status changes meanwhile is listed as before or as
// after, history and all.
func (r *Run) Each(f Filter, order Order, fn func(User) error) error {
	return r.walk(f, order, nil, fn)
}

// Pass is Each of all users for who keeps nothing of them: what a User points to is
// valid during the call only, and is used again for others.
func (r *Run) Pass(order Order, fn func(User) error) error {
	return r.walk(Filter{}, order, &room{}, fn)
}

// room is the memory of one page of users. It is used again for the next.
type room struct {
	users   []User
	records []journal.Record
	frames  []byte
}

// begin takes a page's memory back.
func (m *room) begin() {
	if m != nil {
		m.users, m.records, m.frames = m.users[:0], m.records[:0], m.frames[:0]
	}
}

// list returns room for so many users of a page; nil where none is kept.
func (m *room) list(n int) []User {
	if m == nil {
		return make([]User, 0, n)
	}
	m.users = slices.Grow(m.users, n)
	return m.users
}

// history returns room for a user's records and the bytes of their frames. What
// was given out before stays as it is.
func (m *room) history(records, bytes int) ([]journal.Record, []byte) {
	if m == nil {
		return make([]journal.Record, records), make([]byte, 0, bytes)
	}
	if len(m.records)+records > cap(m.records) {
		m.records = make([]journal.Record, 0, max(2*cap(m.records), records, page))
	}
	if len(m.frames)+bytes > cap(m.frames) {
		m.frames = make([]byte, 0, max(2*cap(m.frames), bytes, 100*page))
	}
	r, f := len(m.records), len(m.frames)
	m.records, m.frames = m.records[:r+records], m.frames[:f+bytes]
	return m.records[r : r+records : r+records], m.frames[f : f : f+bytes]
}

func (r *Run) walk(f Filter, order Order, memory *room, fn func(User) error) error {
	s, err := r.standing()
	if err != nil {
		return err
	}
	if r.ordered && order == OrderSource {
		order = OrderApply
	}
	q := r.query(s, f, order)
	q.room = memory
	var stopped error
	n := int64(0)
	after := int64(0) // where a copy of a damaged run goes on
	err = r.reading(func(c *conn) error {
		q.sums = r.sums()
		h, err := r.histories(c)
		if err == nil && h.sums != nil {
			err = r.indexHasAll(c, h.log, len(f.Keys) > 0)
		}
		if err != nil {
			return err
		}
		h.room = memory
		for {
			memory.begin()
			list, err := h.page(q, after, order)
			if err == nil && len(list) == 0 && h.sums != nil && f.all() && n < r.total {
				err = hashlog.NotAsWritten("%d of %d rows of the plan are there", n, r.total)
			}
			if err != nil || len(list) == 0 {
				return errors.Join(err, h.end())
			}
			n += int64(len(list))
			for _, u := range list {
				if stopped = fn(u); stopped != nil {
					return h.end()
				}
			}
			after = list[len(list)-1].place(order)
		}
	})
	if err != nil {
		return ofRun(r.id, err)
	}
	return stopped
}

// all reports whether the filter selects everybody.
func (f *Filter) all() bool { return len(f.Status)+len(f.Codes)+len(f.Keys) == 0 && f.Wave == "" }

// sums returns what compares what is read with what was written, where what is
// damaged is to be found out; else nil.
func (r *Run) sums() *hashlog.Encoder {
	if r.rest == nil || r.rest.copied() {
		return nil
	}
	return &hashlog.Encoder{Key: &r.names}
}

// countQuickly is how many records are counted for one user.
const countQuickly = 1 << 20

// indexHasAll checks that all records can be found by user: else a user's newest
// value would be missing, and nothing would tell.
func (r *Run) indexHasAll(c *conn, l *log, fewUsers bool) error {
	size, err := c.count("SELECT size FROM state")
	if err != nil || fewUsers && l.rows && size > countQuickly {
		return err
	}
	n, err := l.indexed()
	if err == nil && n != size {
		err = hashlog.NotAsWritten("its index by user lacks %d records", size-n)
	}
	return err
}

func (u *User) place(o Order) int64 {
	if o == OrderSource {
		return u.Seq
	}
	return u.Pos
}

func (o Order) column() string {
	if o == OrderSource {
		return "p.seq"
	}
	return "p.Pos"
}

// userQuery selects users in pages.
type userQuery struct {
	run   *Run
	now   *standing
	f     Filter           // its keys folded
	wave  int              // of the filter; -1: there is none of that name
	where string           // with isDone for what log.isDone returns
	args  []driver.Value   // behind the place
	sums  *hashlog.Encoder // compares rows with what was frozen; nil: nobody asked
	room  *room            // nil: each user has memory of his own

	from, to int64 // positions on sheets that are asked for; to is 0: all
}

func (r *Run) query(s *standing, f Filter, order Order) *userQuery {
	q := &userQuery{run: r, now: s, f: f, wave: slices.IndexFunc(r.bounds, func(b hashlog.Wave) bool { return b.Name == f.Wave })}
	where := []string{order.column() + " > ?"}
	add := func(condition string, ok bool) {
		if ok {
			where = append(where, condition)
		}
	}
	add(q.status(f.Status), len(f.Status) > 0)
	add("u.code IN ("+q.list(f.Codes)+")", len(f.Codes) > 0)
	folded := make([]string, len(f.Keys))
	for i, k := range f.Keys {
		folded[i] = diag.Fold(k)
	}
	q.f.Keys = folded
	add("p.fold IN ("+q.list(folded)+")", len(f.Keys) > 0)
	add(q.ofWave(), f.Wave != "")
	q.where = strings.Join(where, " AND ")
	return q
}

// text is the query of a page.
func (q *userQuery) text(l *log, order Order) string {
	where := strings.ReplaceAll(q.where, "isDone", l.isDone())
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", l.userColumns(), l.plan(), where, order.column(), page)
}

// list adds texts to the arguments and returns their placeholders.
func (q *userQuery) list(texts []string) string {
	for _, t := range texts {
		q.args = append(q.args, t)
	}
	return strings.TrimSuffix(strings.Repeat("?,", len(texts)), ",")
}

// status returns a condition for any of the statuses.
func (q *userQuery) status(list []journal.Status) string {
	parts := []string{"0"}
	for i, b := range q.run.bounds {
		open := journal.Pending
		if q.now.held(i) {
			open = journal.HeldPending
		}
		if slices.Contains(list, open) {
			parts = append(parts, fmt.Sprintf("u.pos IS NULL AND NOT isDone AND p.Pos BETWEEN %d AND %d", b.First, b.Last))
		}
	}
	for _, s := range list {
		if n := finalStatuses[s]; n != noStatus {
			parts = append(parts, fmt.Sprintf("u.status = %d", n))
		}
		if s == journal.Done {
			parts = append(parts, "isDone")
		}
		if s == journal.Skipped {
			parts = append(parts, fmt.Sprintf("p.Pos > %d", q.run.due()))
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// due is how many users the plan does not skip: they come first.
func (r *Run) due() int64 {
	if len(r.bounds) == 0 {
		return 0
	}
	return r.bounds[len(r.bounds)-1].Last
}

func (q *userQuery) ofWave() string {
	if q.wave < 0 {
		return "0"
	}
	return fmt.Sprintf("p.Pos BETWEEN %d AND %d", q.run.bounds[q.wave].First, q.run.bounds[q.wave].Last)
}

// page returns the next users behind a place: those on sheets, then those behind
// them, which in the order of the source are between them.
func (q *userQuery) page(l *log, after int64, order Order) ([]User, error) {
	front, err := l.front()
	if err != nil {
		return nil, err
	}
	var list []User
	if front > 0 {
		list, err = q.onSheets(l, after, front, order)
	}
	if err != nil || order == OrderApply && len(list) >= page {
		return list, err
	}
	more, err := q.behind(l, after, order)
	if len(list) == 0 || err != nil {
		return more, err
	}
	list = append(list, more...)
	slices.SortStableFunc(list, func(a, b User) int { return cmp.Compare(a.place(order), b.place(order)) })
	return list[:min(len(list), page)], nil
}

// onSheets returns the next users whose rows are on sheets.
func (q *userQuery) onSheets(l *log, after, front int64, order Order) ([]User, error) {
	if len(q.f.Keys) > 0 {
		return q.withKeys(l, after, front, order)
	}
	from, err := after+1, error(nil)
	if order == OrderSource {
		from, err = l.sheetBefore(after)
	}
	if err != nil {
		return nil, err
	}
	list, ends := q.room.list(page+hashlog.MaxRows), statuses{} // a sheet may be more than what is asked for
	err = l.eachSheet(from, front, func(s *hashlog.Sheet) error {
		if err := q.take(l, &ends, s, after, order, &list); err != nil {
			return err
		}
		if len(list) >= page {
			list = list[:page]
			return hashlog.ErrDone
		}
		return nil
	})
	return list, hashlog.Ended(err)
}

// withKeys returns those of them that the filter names.
func (q *userQuery) withKeys(l *log, after, front int64, order Order) (list []User, err error) {
	var found []int64
	var ends statuses
	for _, fold := range q.f.Keys {
		at, err := l.positions(fold)
		if err != nil {
			return nil, err
		}
		found = append(found, at...)
	}
	slices.Sort(found)
	for _, pos := range slices.Compact(found) {
		if pos > front {
			break
		}
		err := l.eachSheet(pos, pos, func(s *hashlog.Sheet) error {
			only := *q
			only.from, only.to = pos, pos
			return only.take(l, &ends, s, after, order, &list)
		})
		if err != nil {
			return nil, err
		}
	}
	return list[:min(len(list), page)], nil
}

// take appends the users of a sheet that the filter selects.
func (q *userQuery) take(l *log, ends *statuses, s *hashlog.Sheet, after int64, order Order, list *[]User) error {
	if err := ends.read(l, s.First, s.First+s.N-1); err != nil {
		return err
	}
	var private []byte
	return s.Rows(func(p *hashlog.PlannedRow) error {
		n, code := ends.of(p.Pos)
		u := q.run.userOf(q.now, p, n, code)
		if u.place(order) <= after || q.to > 0 && (p.Pos < q.from || p.Pos > q.to) || !q.selects(&u, ends.listed(p.Pos)) {
			return nil
		}
		if q.sums != nil {
			if _, ok := p.Is(q.sums, &private); !ok {
				return hashlog.NotAsWritten("row %d of the plan was changed", u.Pos)
			}
		}
		*list = append(*list, u)
		return nil
	})
}

// selects reports whether the filter selects a user, but for its keys. Only who is
// listed in the table of users has a code.
func (q *userQuery) selects(u *User, listed bool) bool {
	return (len(q.f.Status) == 0 || slices.Contains(q.f.Status, u.Status)) &&
		(len(q.f.Codes) == 0 || listed && slices.Contains(q.f.Codes, string(u.Code))) &&
		(q.f.Wave == "" || u.Wave >= 0 && u.Wave == q.wave)
}

// behind returns the next users whose rows are not on sheets.
func (q *userQuery) behind(l *log, after int64, order Order) ([]User, error) {
	up := hashlog.Climb{Last: after}
	var list []User
	var private []byte
	err := l.c.each(q.text(l, order), func(found row) error {
		u := q.run.user(q.now, found)
		if err := up.To(u.place(order)); err != nil {
			return err
		}
		if q.sums != nil {
			hidden := q.sums.HideRow(&private, &hashlog.Row{Seq: u.Seq, Key: u.Key, Cells: u.Row, Reason: found.text(5)})
			if string(hidden[:]) != string(found.bytes(8)) {
				return hashlog.NotAsWritten("row %d of the plan was changed", u.Pos)
			}
		}
		list = append(list, u)
		return nil
	}, append([]driver.Value{after}, q.args...)...)
	return list, err
}

// histories reads users' records.
type histories struct {
	byUser
	dec  hashlog.Decoder
	room *room // nil: each user has memory of his own
	told bool  // there is a list for the order of the source: all is read in the one transaction that made it
}

// histories returns what reads users' records through a connection.
func (r *Run) histories(c *conn) (*histories, error) {
	l, err := logOf(c)
	return &histories{byUser: byUser{log: l, sums: r.sums()}}, err
}

// end gives the list up.
func (h *histories) end() error {
	if !h.told {
		return nil
	}
	return h.log.c.rollback()
}

// page reads users and their histories as of one moment.
func (h *histories) page(q *userQuery, after int64, order Order) ([]User, error) {
	if h.told {
		return h.pageNow(q, after, order)
	}
	if _, err := h.log.c.exec("BEGIN"); err != nil {
		return nil, err
	}
	if !h.log.groups { // a process may have made it one with groups since
		now, err := logOf(h.log.c)
		if err != nil {
			return nil, err
		}
		h.log = now
	}
	list, err := h.pageNow(q, after, order)
	if err != nil || h.told {
		return list, err
	}
	_, err = h.log.c.exec("COMMIT")
	return list, err
}

func (h *histories) pageNow(q *userQuery, after int64, order Order) ([]User, error) {
	list, err := q.page(h.log, after, order)
	if err != nil {
		return nil, err
	}
	if order == OrderSource && len(list) == page && !h.told {
		if err := h.tell(q.run.due()); err != nil {
			return nil, err
		}
	}
	return list, h.fill(list, order)
}

// tell makes a list of the users that have records, with these, on disk: in the
// order of the source they are all over the log.
func (h *histories) tell(last int64) error {
	err := h.log.c.run("CREATE TEMP TABLE told (pos INTEGER PRIMARY KEY, body BLOB)")
	var told hashlog.Group
	for pos := int64(1); pos <= last && err == nil; pos += page {
		err = h.between(pos, pos+page-1, func(user int64, records []place) error {
			told = hashlog.Group{Body: told.Body[:0]}
			for i := range records {
				told.Add(user, records[i].frame)
			}
			_, err := h.log.c.exec("INSERT INTO temp.told VALUES (?,?)", user, told.Body)
			return err
		})
	}
	h.told = true
	return err
}

// fill fills in the histories of users that are in order.
func (h *histories) fill(list []User, order Order) error {
	if len(list) == 0 {
		return nil
	}
	var err error
	switch first, last := list[0].place(order), list[len(list)-1].place(order); {
	case h.told:
		err = h.fillTold(list)
	case order == OrderApply && last-first < 4*int64(len(list)):
		err = h.fillPage(list)
	default:
		err = h.fillOneByOne(list)
	}
	if err != nil {
		return err
	}
	return h.finish(list)
}

// fillPage fills in the histories of users who stand close together.
func (h *histories) fillPage(list []User) error {
	next := 0
	return h.between(list[0].Pos, list[len(list)-1].Pos, func(user int64, records []place) error {
		for next < len(list) && list[next].Pos < user {
			next++
		}
		if next == len(list) || list[next].Pos != user {
			return nil // not selected
		}
		return h.take(&list[next], records)
	})
}

func (h *histories) fillOneByOne(list []User) error {
	for i := range list {
		u := &list[i]
		if err := h.between(u.Pos, u.Pos, func(_ int64, records []place) error { return h.take(u, records) }); err != nil {
			return err
		}
	}
	return nil
}

// fillTold fills in histories from the list.
func (h *histories) fillTold(list []User) error {
	for i := range list {
		u := &list[i]
		err := h.log.c.each("SELECT body FROM temp.told WHERE pos = ?", func(found row) error {
			var records []place
			told := hashlog.Frames{Rest: found.bytes(0)}
			for frame := told.Next(); frame != nil; frame = told.Next() {
				records = append(records, place{frame: frame})
			}
			return h.take(u, records)
		}, u.Pos)
		if err != nil {
			return err
		}
	}
	return nil
}

// take makes records the history of a user.
func (h *histories) take(u *User, records []place) error {
	size := 0
	for i := range records {
		size += len(records[i].frame)
	}
	var frames []byte // so that the group they are from need not stay
	u.History, frames = h.room.history(len(records), size)
	for i := range records {
		at := len(frames)
		frames = append(frames, records[i].frame...)
		if err := h.decode(&u.History[i], frames[at:]); err != nil {
			return fmt.Errorf("user %q: %w; rekey audit verify tells more", u.Key, err)
		}
	}
	return nil
}

func (h *histories) decode(rec *journal.Record, body []byte) error {
	f, err := h.dec.Split(body)
	if err == nil {
		err = f.Into(rec)
	}
	return err
}

// finish takes the reasons of statuses from the histories.
func (h *histories) finish(list []User) error {
	for i := range list {
		if u := &list[i]; u.Wave >= 0 {
			if err := h.explain(u); err != nil {
				return err
			}
		}
	}
	return nil
}

// explain takes the reason of a user's status from its last record of one. That
// and the table of users are to say the same, where that is asked for.
func (h *histories) explain(u *User) error {
	last := len(u.History) - 1
	for last >= 0 && u.History[last].Kind != journal.Finished && u.History[last].Kind != journal.Reopened {
		last--
	}
	says := journal.Status("")
	if last >= 0 {
		says = u.History[last].Detail.Status
	}
	final := finalStatuses[u.Status] != noStatus
	if final && says != "" {
		u.Reason = u.History[last].Detail.Message
	}
	switch {
	case h.sums == nil:
	case final && says == "":
		return hashlog.NotAsWritten("user %q: how it came to be %s is missing", u.Key, u.Status)
	case final && says != u.Status || !final && says != "":
		return hashlog.NotAsWritten("user %q: its last record says that it is %s", u.Key, says)
	}
	return nil
}

// Intents calls fn for every intent of a set, change, reset or revert, in the
// order of the log: whoever was first to name an account owns it.
func (r *Run) Intents(fn func(backend, account, cred, identity string, user int64) error) error {
	var stopped error
	err := r.logged(func(l *log) error {
		var dec hashlog.Decoder
		return l.each(0, math.MaxInt64, func(found *hashlog.Stored) error {
			if found.Kind != journal.Intent {
				return nil
			}
			f, err := dec.Split(found.Body)
			if err != nil {
				return err
			}
			if traits, _ := journal.TraitsOf(f.Verb); !traits.Changes {
				return nil // an unlock owns nothing
			}
			rec, err := f.Record()
			if err != nil {
				return err
			}
			stopped = fn(f.Backend, f.Account, f.Cred, rec.Detail.Identity, f.User)
			return stopped
		})
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return ofRun(r.id, err)
	}
	return nil
}
