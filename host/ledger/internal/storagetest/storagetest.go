// Package storagetest is what every storage of the ledger has to pass: sequences of
// changes, kept, given up or cut off, after which every reading equals a few maps
// say.
package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Storage is the tried part of a storage: whatever the ledger writes while it applies a run,
// and reads of that.
type Storage interface {
	Moment(fn func() error) error
	Within(fn func() error) error
	Put(c *rows.Change) error
	Run() (rows.Run, error)
	State() (*rows.State, error)
	Heads(of rows.Span, fn func(h hashlog.Head) error) error
	Tiles(of rows.Tree) (map[int64]hashlog.Hash, error)
	Groups(from, to int64, fn func(g *hashlog.Group) error) error
	Histories(users []int64, sums *hashlog.Encoder, fn func(user int64, records []hashlog.Stored) error) error
	Lacks(after, size int64, quickly bool) (int64, error)
	Ends() (record, user int64, err error)
	Statuses(of []rows.Span, fn func(s rows.Status) error, block func(b rows.Block) error) error
	Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error
	Rows(of rows.Wanted, fn func(p *hashlog.PlannedRow) error) error
	Close() error
}

// Draft is the tried part of a run before it exists.
type Draft interface {
	Row(seq int64) (*hashlog.Row, error)
	PutSheet(s *hashlog.Sheet) error
	Stage(s *rows.Staged) error
	Sort(front int64) error
	Publish(f *rows.Found) error
}

// Keeper is where the tried runs are kept. Open opens the run of the draft
// published, as often as it is called.
type Keeper struct {
	Begin func() (Draft, error)
	Open  func() (Storage, error)
}

// users is how many there are.
const users = 60

// record is one record of the model.
type record struct {
	user int64
	body []byte
}

// kept is what the model has.
type kept struct {
	records  []record
	statuses map[int64]rows.Status
	done     [users + 1]bool
	tiles    map[int64]hashlog.Hash
	heads    map[int64]string
	state    rows.State
}

func (k *kept) clone() *kept {
	c := *k
	c.records = slices.Clone(k.records)
	c.statuses, c.tiles, c.heads = maps.Clone(k.statuses), maps.Clone(k.tiles), maps.Clone(k.heads)
	return &c
}

// model is a storage and the maps beside it.
type model struct {
	t    *rapid.T
	in   Keeper
	s    Storage
	run  rows.Run
	plan []hashlog.Row // in the order of the plan
	has  *kept
}

// Try draws a plan and a sequence of changes to its run, and compares after each.
func Try(t *rapid.T, in Keeper) {
	m := &model{t: t, in: in, has: &kept{statuses: map[int64]rows.Status{}, tiles: map[int64]hashlog.Hash{}, heads: map[int64]string{0: "first"}}}
	plan{m}.draft()
	m.again()
	defer func() { _ = m.s.Close() }()
	m.must(m.s.Moment(plan{m}.planned))
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0:
			m.must(m.s.Close())
			m.again()
		case 1:
			m.giveUp()
		default:
			m.must(m.s.Within(func() error {
				next := m.has.clone()
				err := m.change(next)
				m.has = next
				return err
			}))
		}
		m.must(m.s.Moment(m.compare))
	}
}

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) again() {
	var err error
	m.s, err = m.in.Open()
	m.must(err)
}

// giveUp makes a change, and then an error: nothing of it may be there.
func (m *model) giveUp() {
	stop := errors.New("stop")
	err := m.s.Within(func() error { return errors.Join(m.change(m.has.clone()), stop) })
	if !errors.Is(err, stop) {
		m.t.Fatalf("Within() = %v, want the error of what it called", err)
	}
}

// change writes what a commit does, and notes it.
func (m *model) change(k *kept) error {
	c := rows.Change{Group: m.group(k)}
	m.ends(k, &c)
	if rapid.Bool().Draw(m.t, "tile") {
		tile := hashlog.Tile{N: rapid.Int64Range(0, 3).Draw(m.t, "of"), Root: hashlog.Hash{byte(len(k.records))}}
		k.tiles[tile.N] = tile.Root
		c.Tiles = append(c.Tiles, tile)
	}
	if err := m.s.Put(&c); err != nil {
		return err
	}
	size := int64(len(k.records))
	k.state = rows.State{Size: size, Frontier: fmt.Append(nil, "edge ", size), Standing: fmt.Sprint("standing ", size)}
	c = rows.Change{State: &k.state}
	if rapid.Bool().Draw(m.t, "head") {
		c.Head = &hashlog.Head{Size: size, At: size, Note: fmt.Sprint("note ", len(k.heads))}
		k.heads[size] = c.Head.Note
	}
	return m.s.Put(&c)
}

// group draws records.
func (m *model) group(k *kept) *hashlog.Group {
	g := &hashlog.Group{First: int64(len(k.records)) + 1}
	for range rapid.IntRange(1, 9).Draw(m.t, "records") {
		f := hashlog.Frame{Kind: journal.Intent, Index: int64(len(k.records)), User: rapid.Int64Range(0, users).Draw(m.t, "user"), Verb: "set"}
		body, _ := (&hashlog.Encoder{Key: &hashlog.NamesKey{}}).Stored(nil, &f)
		g.Add(f.User, body)
		k.records = append(k.records, record{f.User, body})
	}
	return g
}

// ends draws users who get a status, or lose it.
func (m *model) ends(k *kept, c *rows.Change) {
	changed := false
	for pos := range int64(users) {
		pos++
		_, listed := k.statuses[pos]
		switch what := rapid.IntRange(0, 40).Draw(m.t, "end"); {
		case listed && what == 0:
			c.Reopened = append(c.Reopened, pos)
			delete(k.statuses, pos)
		case k.done[pos] && what == 0:
			k.done[pos], changed = false, true
		case !listed && !k.done[pos] && what == 1:
			k.done[pos], changed = true, true
		case !listed && !k.done[pos] && what < 4:
			k.statuses[pos] = rows.Status{Pos: pos, Number: int64(what), Code: fmt.Sprint("C", pos), Rec: int64(len(k.records))}
			c.Statuses = append(c.Statuses, k.statuses[pos])
		}
	}
	if changed {
		bytes := make([]byte, rows.BlockSize)
		for pos, is := range k.done {
			if is {
				bytes[pos] = 1
			}
		}
		c.Blocks = []rows.Block{{N: 0, Bytes: bytes}}
	}
}

// compare compares every reading with the maps.
func (m *model) compare() error {
	for _, part := range []func() error{m.log, m.histories, m.statuses, m.rest, m.index} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// same fails if two things are not.
func (m *model) same(what string, got, want any) {
	m.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		m.t.Fatalf("%s: %s, want %s", what, g, w)
	}
}

// log compares the records from one place to another.
func (m *model) log() error {
	from := rapid.Int64Range(0, int64(len(m.has.records))).Draw(m.t, "from")
	to := rapid.Int64Range(from, int64(len(m.has.records))+2).Draw(m.t, "to")
	var got [][]byte
	err := m.s.Groups(from, to, func(g *hashlog.Group) error {
		if err := g.AsListed(); err != nil {
			return err
		}
		return g.Each(func(r *hashlog.Stored) error {
			if r.ID > from && r.ID <= to {
				got = append(got, r.Body)
			}
			return nil
		})
	})
	var want [][]byte
	for _, r := range m.has.records[from:min(to, int64(len(m.has.records)))] {
		want = append(want, r.body)
	}
	m.same("Groups", got, want)
	return err
}

// histories compares those of some users, in order or not.
func (m *model) histories() error {
	list := rapid.SliceOfNDistinct(rapid.Int64Range(1, users), 0, 20, rapid.ID[int64]).Draw(m.t, "of")
	if rapid.Bool().Draw(m.t, "in order") {
		slices.Sort(list)
	}
	var got, want []string
	err := m.s.Histories(list, nil, func(user int64, records []hashlog.Stored) error {
		for _, r := range records {
			got = append(got, fmt.Sprint(user, r.Body))
		}
		return nil
	})
	for _, user := range list {
		for _, r := range m.has.records {
			if r.user == user {
				want = append(want, fmt.Sprint(user, r.body))
			}
		}
	}
	m.same("Histories", got, want)
	return err
}

// statuses compares those of some spans.
func (m *model) statuses() error {
	from := rapid.Int64Range(1, users).Draw(m.t, "first")
	for _, of := range [][]rows.Span{rows.All(), rows.One(from), {{From: from, To: from + 9}, {From: from + 20, To: from + 21}}} {
		got, want := map[int64]rows.Status{}, map[int64]rows.Status{}
		var done []byte
		err := m.s.Statuses(of, func(s rows.Status) error { got[s.Pos] = s; return nil }, func(b rows.Block) error { done = bytes.Clone(b.Bytes); return nil })
		if err != nil {
			return err
		}
		for pos, s := range m.has.statuses {
			if slices.ContainsFunc(of, func(span rows.Span) bool { return pos >= span.From && pos <= span.To }) {
				want[pos] = s
			}
		}
		m.same("Statuses", got, want)
		for pos, is := range m.has.done {
			m.same(fmt.Sprint("done ", pos), pos < len(done) && done[pos] == 1, is)
		}
	}
	return nil
}

// rest compares state, heads and tiles.
func (m *model) rest() error {
	state, err := m.s.State()
	if err != nil {
		return err
	}
	if len(m.has.records) > 0 {
		m.same("State", *state, m.has.state)
	}
	tiles, terr := m.s.Tiles(rows.TreeOfLog)
	m.same("Tiles", tiles, m.has.tiles)
	return errors.Join(err, m.heads(), terr)
}

// heads compares the signed heads over some numbers of records, one way and the other.
func (m *model) heads() error {
	after := rapid.Int64Range(-1, int64(len(m.has.records))).Draw(m.t, "heads after")
	var up, down, want []string
	err := m.s.Heads(rows.Behind(after), func(h hashlog.Head) error { up = append(up, h.Note); return nil })
	for _, size := range slices.Sorted(maps.Keys(m.has.heads)) {
		if size > after {
			want = append(want, m.has.heads[size])
		}
	}
	m.same("Heads", up, want)
	derr := m.s.Heads(rows.Down(math.MaxInt64), func(h hashlog.Head) error {
		if h.Size <= after {
			return hashlog.ErrDone
		}
		down = append(down, h.Note)
		return nil
	})
	slices.Reverse(want)
	m.same("Heads, the newest first", down, want)
	return errors.Join(err, derr)
}

// index compares what tells whether records are found by their users.
func (m *model) index() error {
	want, most := int64(len(m.has.records)), int64(0)
	for _, r := range m.has.records {
		most = max(most, r.user)
	}
	last, user, err := m.s.Ends()
	m.same("Ends", []int64{last, user}, []int64{want, most})
	for _, after := range []int64{0, want / 2, want} {
		lacks, lerr := m.s.Lacks(after, want, after == 0)
		m.same("Lacks", lacks, 0)
		err = errors.Join(err, lerr)
	}
	return err
}
