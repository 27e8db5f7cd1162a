package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
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

// users are those of a run, as the plan has them, with what became of them.
type users struct {
	*openRun
	known int64 // users behind it had no records when it was locked
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

// OpenUsers returns up to limit users of the wave behind a position that have
// no status, in order. Those that earlier processes have begun have their
// History.
func (r *users) OpenUsers(wave int, after int64, limit int) ([]User, error) {
	if wave < 0 || wave >= len(r.bounds) {
		return nil, fmt.Errorf("run %s: there is no wave %d", r.id, wave)
	}
	b := r.bounds[wave]
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	var list []User
	err = r.reading(func(c storage) error {
		return c.Moment(func() error {
			list, err = r.openIn(c, s, max(after+1, b.First), b.Last, limit)
			return err
		})
	})
	if err == nil {
		err = r.fillBegun(list)
	}
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return list, nil
}

// openIn returns the users without a status from one position to another. What is
// read is compared with what was frozen before anything is done with it: it is what
// says whose password is changed.
func (r *users) openIn(c storage, s *standing, from, to int64, limit int) (list []User, err error) {
	var ends statuses
	list = make([]User, 0, limit)
	enc := hashlog.Encoder{Key: &r.names}
	err = c.Sheets(from, to, func(x *hashlog.Sheet) error {
		if !x.Sound(&enc) {
			return r.unlikeFrozen(x)
		}
		if err := ends.read(c, x.First, x.First+x.N-1); err != nil {
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
	if errors.As(err, new(hashlog.Unsound)) {
		err = gone(r.store.runFile(r.id), "does not hold what was written to it: of its plan, %v", err)
	}
	return list, err
}

// unlikeFrozen says which row of a sheet was changed.
func (r *users) unlikeFrozen(s *hashlog.Sheet) error {
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

// fillBegun fills in the histories of users that may have one.
func (r *users) fillBegun(list []User) error {
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
	return r.reading(func(c storage) error { return r.histories(c).fill(begun) })
}

// userOf turns a row of the plan into a User; noStatus: it has none.
func (r *users) userOf(s *standing, p *hashlog.PlannedRow, n statusNumber, code string) User {
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

// ErrNoUser is returned for a key not in the plan.
var ErrNoUser = errors.New("no such user")

// User returns the user with that key, compared as the plan compares keys.
func (r *users) User(key string) (User, error) {
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
func (r *users) KeyOf(pos int64) string {
	key := ""
	_ = r.reading(func(c storage) error {
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
func (r *users) Each(f Filter, order Order, fn func(User) error) error {
	return r.walk(f, order, nil, fn)
}

// Pass is Each of all users for who keeps nothing of them: what a User points to is
// valid during the call only, and is used again for others.
func (r *users) Pass(order Order, fn func(User) error) error {
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

func (r *users) walk(f Filter, order Order, memory *room, fn func(User) error) error {
	s, err := r.standing()
	if err != nil {
		return err
	}
	if r.ordered && order == OrderSource {
		order = OrderApply
	}
	w := &walk{run: r, query: r.query(s, f), order: order, room: memory, fn: fn}
	if memory != nil {
		w.other = &room{}
	}
	if err := r.reading(w.pages); err != nil {
		return ofRun(r.id, err)
	}
	return w.stopped
}

// walk is one walk over users.
type walk struct {
	run     *users
	query   *userQuery
	order   Order
	room    *room // of the page that is read; nil: each user has memory of his own
	other   *room // of the page that is given out
	fn      func(User) error
	list    []User // the page read last
	n       int64  // so far
	after   int64  // where a page, or a copy of a damaged run, goes on
	stopped error  // what fn returned
	whole   bool   // the page read last has all that are left
	end     bool
}

// pages reads page by page, each as of one moment, so that the write-ahead file can be
// folded in between; in the order of the source, where records are all over the log, all
// as of one.
func (w *walk) pages(c storage) error {
	w.query.sums, w.query.ends = w.run.sums(), statuses{}
	h := w.run.histories(c)
	if h.sums != nil {
		if err := w.run.indexHasAll(c, len(w.query.f.Keys) > 0); err != nil {
			return err
		}
	}
	one := func() error { return w.page(c, h) }
	if w.order == OrderSource {
		return c.Moment(func() error { return w.all(one) })
	}
	return w.all(func() error { return c.Moment(one) })
}

// all reads all pages, each while the one before is given out.
func (w *walk) all(page func() error) error {
	err := page()
	for err == nil && !w.end {
		list := w.turn()
		read := make(chan error, 1)
		go func() { read <- page() }()
		w.stopped = w.give(list)
		if err = <-read; w.stopped != nil {
			return nil
		}
	}
	return err
}

// turn returns the page that was read, and lets the next be read behind it.
func (w *walk) turn() []User {
	w.n, w.after = w.n+int64(len(w.list)), w.list[len(w.list)-1].place(w.order)
	w.room, w.other = w.other, w.room
	return w.list
}

// page reads the next users and their histories.
func (w *walk) page(c storage, h *histories) (err error) {
	if w.whole {
		w.end = true
		return nil
	}
	w.room.begin()
	h.room = w.room
	w.list, err = w.query.page(c, w.after, w.order, w.room)
	switch {
	case err != nil:
		return err
	case len(w.list) > 0:
		w.whole = len(w.query.f.Keys) > 0 && len(w.list) < page // to find keys once more would cost as much again
		return h.fill(w.list)
	case h.sums != nil && w.query.f.all() && w.n < w.run.total:
		return hashlog.NotAsWritten("%d of %d rows of the plan are there", w.n, w.run.total)
	}
	w.end = true
	return nil
}

// give hands the users of a page out, and returns what fn returned.
func (w *walk) give(list []User) error {
	for _, u := range list {
		if err := w.fn(u); err != nil {
			return err
		}
	}
	return nil
}

// all reports whether the filter selects everybody.
func (f *Filter) all() bool { return len(f.Status)+len(f.Codes)+len(f.Keys) == 0 && f.Wave == "" }

// indexHasAll checks that all records can be found by user: else a user's newest
// value would be missing, and nothing would tell.
func (r *users) indexHasAll(c storage, fewUsers bool) error {
	size, err := sizeOf(c)
	if err != nil {
		return err
	}
	n, err := c.Lacks(0, size, fewUsers)
	if err == nil && n != 0 {
		err = hashlog.NotAsWritten("its index by user lacks %d records", n)
	}
	return err
}

func (u *User) place(o Order) int64 {
	if o == OrderSource {
		return u.Seq
	}
	return u.Pos
}

// userQuery selects users in pages.
type userQuery struct {
	run  *users
	now  *standing
	f    Filter           // its keys folded
	wave int              // of the filter; -1 for an unknown name
	sums *hashlog.Encoder // compares rows with the frozen ones; nil: unless asked to
	ends statuses         // in the order of the source, which is read as of one moment
}

func (r *users) query(s *standing, f Filter) *userQuery {
	q := &userQuery{run: r, now: s, f: f, wave: slices.IndexFunc(r.bounds, func(b hashlog.Wave) bool { return b.Name == f.Wave })}
	q.f.Keys = make([]string, len(f.Keys))
	for i, k := range f.Keys {
		q.f.Keys[i] = diag.Fold(k)
	}
	return q
}

// page returns the next users behind a place.
func (q *userQuery) page(c storage, after int64, order Order, m *room) ([]User, error) {
	p := &userPage{q: q, c: c, after: after, order: order, ends: &statuses{}, list: m.list(page + hashlog.MaxRows)} // a sheet may have more rows than asked for
	var err error
	switch {
	case len(q.f.Keys) > 0:
		err = p.withKeys()
	case order == OrderSource:
		p.ends = &q.ends
		err = p.bySource()
	default:
		err = p.sheets(after+1, math.MaxInt64)
	}
	return p.list[:min(len(p.list), page)], err
}

// userPage is one page on its way.
type userPage struct {
	q       *userQuery
	c       storage
	after   int64
	order   Order
	list    []User
	ends    *statuses
	private []byte
}

// sheets adds users from one position to another.
func (p *userPage) sheets(from, to int64) error {
	return p.c.Sheets(from, to, func(s *hashlog.Sheet) error {
		if err := p.ends.read(p.c, s.First, s.First+s.N-1); err != nil {
			return err
		}
		err := s.Rows(func(row *hashlog.PlannedRow) error {
			if row.Pos < from || row.Pos > to {
				return nil
			}
			return p.take(row)
		})
		if err == nil && len(p.list) >= page {
			err = hashlog.ErrDone
		}
		return err
	})
}

// bySource adds users in the order of the source.
func (p *userPage) bySource() error {
	for after, n := p.after, page; n == page && len(p.list) < page; {
		found, err := p.rows(rows.Wanted{After: after, Most: page})
		for i := 0; i < len(found) && err == nil; i++ {
			after, err = found[i].Seq, p.take(&found[i])
		}
		if n = len(found); err != nil {
			return err
		}
	}
	return nil
}

// rows returns the wanted rows, and reads how their users ended.
func (p *userPage) rows(of rows.Wanted) (found []hashlog.PlannedRow, err error) {
	err = p.c.Rows(of, func(row *hashlog.PlannedRow) error {
		found = append(found, *row)
		return nil
	})
	if err == nil {
		err = p.ends.readOnly(p.c, found)
	}
	return found, err
}

// withKeys adds the users that the filter names.
func (p *userPage) withKeys() error {
	found, err := p.rows(rows.Wanted{Keys: p.q.f.Keys})
	for i := 0; i < len(found) && err == nil; i++ {
		err = p.take(&found[i])
	}
	slices.SortStableFunc(p.list, func(a, b User) int { return cmp.Compare(a.place(p.order), b.place(p.order)) })
	return err
}

// take adds the user of a row, if the filter selects it.
func (p *userPage) take(row *hashlog.PlannedRow) error {
	n, code := p.ends.of(row.Pos)
	u := p.q.run.userOf(p.q.now, row, n, code)
	if u.place(p.order) <= p.after || !p.q.selects(&u, p.ends.listed(row.Pos)) {
		return nil
	}
	if p.q.sums != nil {
		if _, ok := row.Is(p.q.sums, &p.private); !ok {
			return hashlog.NotAsWritten("row %d of the plan was changed", u.Pos)
		}
	}
	p.list = append(p.list, u)
	return nil
}

// selects reports whether the filter selects a user, but for its keys. Only who is
// listed in the table of users has a code.
func (q *userQuery) selects(u *User, listed bool) bool {
	return (len(q.f.Status) == 0 || slices.Contains(q.f.Status, u.Status)) &&
		(len(q.f.Codes) == 0 || listed && slices.Contains(q.f.Codes, string(u.Code))) &&
		(q.f.Wave == "" || u.Wave >= 0 && u.Wave == q.wave)
}

// histories reads users' records.
type histories struct {
	c    storage
	sums *hashlog.Encoder // compares records with their sums; nil: unless asked to
	dec  hashlog.Decoder
	room *room // nil: each user has memory of his own
	pos  []int64
}

// histories returns what reads users' records.
func (r *users) histories(c storage) *histories { return &histories{c: c, sums: r.sums()} }

// fill fills in the histories of users.
func (h *histories) fill(list []User) error {
	h.pos = h.pos[:0]
	for i := range list {
		h.pos = append(h.pos, list[i].Pos)
	}
	next := 0
	err := h.c.Histories(h.pos, h.sums, func(user int64, records []hashlog.Stored) error {
		for list[next].Pos != user {
			next++
		}
		return h.take(&list[next], records)
	})
	if err != nil {
		return err
	}
	return h.finish(list)
}

// take makes records the history of a user.
func (h *histories) take(u *User, records []hashlog.Stored) error {
	size := 0
	for i := range records {
		size += len(records[i].Body)
	}
	room, frames := h.room.history(len(records)+1, size) // of a frame that is two records the user has one, the last
	room = room[:0]
	for i := range records {
		at := len(frames)
		frames = append(frames, records[i].Body...) // so that the group they are from need not stay
		var err error
		if room, err = h.decode(room, frames[at:]); err != nil {
			return fmt.Errorf("user %q: %w; rekey audit verify tells more", u.Key, err)
		}
	}
	u.History = room
	return nil
}

// decode appends what a stored frame says.
func (h *histories) decode(list []journal.Record, body []byte) ([]journal.Record, error) {
	f, err := h.dec.Split(body)
	if err != nil {
		return list, err
	}
	end, two := f.TakeEnd()
	list = slices.Grow(list, 1)[:len(list)+1]
	if err = f.Into(&list[len(list)-1]); err == nil && two {
		list = slices.Grow(list, 1)[:len(list)+1]
		err = end.Into(&list[len(list)-1])
	}
	return list, err
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
// and the table of users have to agree, if asked to.
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
func (r *users) Intents(fn func(backend, account, cred, identity string, user int64) error) error {
	var stopped error
	err := r.reading(func(c storage) error {
		var dec hashlog.Decoder
		return eachRecord(c, 0, math.MaxInt64, func(found *hashlog.Stored) error {
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

// knows notes how far the run has been applied.
func (r *users) knows(c storage) (err error) {
	_, r.known, err = c.Ends()
	return err
}

// history reads one user's records.
func (r *users) history(pos int64) ([]journal.Record, error) {
	list := []User{{Pos: pos}}
	err := r.reading(func(c storage) error { return r.histories(c).fill(list) })
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return list[0].History, nil
}
