package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// mixedPlan freezes a plan of users of all kinds, so many that there are several
// sheets, and lets some of them end.
func mixedPlan(t *testing.T, s *Store, rnd *rand.Rand, n int) *Run {
	t.Helper()
	kind := rnd.IntN(5)
	d, err := s.Draft(Header{Script: "mixed.star"}, newKeys(t, s))
	must(t, err)
	for i := 1; i <= n; i++ {
		p := planned(i)
		p.Line, p.Key = i+rnd.IntN(3), strings.ToUpper(p.Key[:1])+p.Key[1:]
		p.Row = bytes.Repeat([]byte{byte(i)}, rnd.IntN(400))
		switch kind {
		case 1:
			p.Skipped, p.Reason = rnd.IntN(3) == 0, "not due"
		case 2:
			p.Wave = rnd.IntN(2)
		case 3:
			p.Sort = []any{rnd.IntN(n)}
		case 4:
			p.Wave, p.Skipped = rnd.IntN(2), rnd.IntN(9) == 0
		}
		if rnd.IntN(200) == 0 {
			p.Row = bytes.Repeat([]byte("long"), 3000) // a sheet of its own
		}
		must(t, d.Add(p))
	}
	waves := []WavePlan{{Name: "one"}, {Name: "two"}}
	if kind < 2 && rnd.IntN(2) == 0 {
		waves[0].Take = 1 + rnd.IntN(n)
	}
	r, err := d.Freeze(waves)
	must(t, err)
	commit(t, r, &journal.Record{Kind: journal.Started})
	var ends []*journal.Record
	for pos := int64(1); pos <= r.bounds[len(r.bounds)-1].Last; pos++ {
		switch rnd.IntN(4) {
		case 0:
			ends = append(ends, finished(pos, journal.Done, ""))
		case 1:
			ends = append(ends, finished(pos, journal.Failed, sdk.AccountNotFound))
		}
		if len(ends) > rnd.IntN(40) {
			commit(t, r, ends...)
			ends = nil
		}
	}
	must(t, r.Commit(ends))
	return r
}

// readings is all that is read of a run by its plan, one text each.
func readings(t *testing.T, r *Run, n int) (list []string) {
	t.Helper()
	told := func(u *User) string {
		return fmt.Sprintf("%d %d %d %d %s %s %x %s %s %s %d", u.Pos, u.Seq, u.Line, u.Wave, u.WaveName, u.Key, u.Row, u.Status, u.Code, u.Reason, len(u.History))
	}
	for _, order := range []Order{OrderApply, OrderSource} {
		for _, f := range []Filter{{}, {Wave: "two"}, {Wave: "three"}, {Status: []journal.Status{journal.Done, journal.Skipped}}, {Status: []journal.Status{journal.Pending}},
			{Codes: []string{"", string(sdk.AccountNotFound)}}, {Keys: []string{"user-7", "USER-2", "nobody"}}, {Keys: []string{"user-3"}, Status: []journal.Status{journal.Failed}}} {
			must(t, r.Each(f, order, func(u User) error {
				list = append(list, fmt.Sprintf("%v %+v: %s", order, f, told(&u)))
				return nil
			}))
		}
	}
	for wave := range 2 {
		for _, limit := range []int{1, 13, 10_000} {
			for after, more := int64(0), true; more && after < 40; {
				found, err := r.OpenUsers(wave, after, limit)
				must(t, err)
				for i := range found {
					list = append(list, fmt.Sprintf("open in %d behind %d, %d: %s", wave, after, limit, told(&found[i])))
				}
				if more = len(found) > 0; more {
					after = found[len(found)-1].Pos
				}
			}
		}
	}
	for pos := int64(0); pos <= int64(n)+1; pos += 7 {
		list = append(list, fmt.Sprint(pos, r.KeyOf(pos)))
	}
	return list
}

// TestAPlanOnSheetsReadsAsOneInRows, whatever it is made of.
func TestAPlanOnSheetsReadsAsOneInRows(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := []int{1, 12, 130, 260}[seed%4]
		if seed == 7 {
			n = page + 200
		}
		s := newStore(t)
		r := mixedPlan(t, s, rnd, n)
		sheets := readings(t, r, n)
		must(t, r.Close())
		if a := audited(t, s, r.ID(), ""); !a.OK {
			t.Errorf("seed %d: %v", seed, a.Problems)
		}
		edit(t, s, r.ID(), "UPDATE plan SET pos = pos")
		ro, err := s.Read(r.ID())
		must(t, err)
		if rows := readings(t, ro, n); !slices.Equal(rows, sheets) {
			t.Fatalf("seed %d, %d users (-rows +sheets):\n%s", seed, n, cmp.Diff(rows, sheets))
		}
		must(t, ro.Close())
	}
}

// onSheet changes the rows of the first sheet of a run, and makes its sum anew.
func onSheet(t bench, s *Store, id string, change func(list []hashlog.PlannedRow) []hashlog.PlannedRow) {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	found, err := c.one("SELECT names FROM run")
	must(t, err)
	names := hashlog.NamesKey(found.bytes(0))
	list := c.onSheets(t)
	w := hashlog.SheetWriter{Sheet: hashlog.Sheet{First: 1}}
	for _, p := range change(list) {
		var hidden [32]byte
		copy(hidden[:], p.Sum)
		w.Add(&p.Row, diag.Fold(p.Key), &hidden)
	}
	sum := w.SumOf(&names)
	must(t, c.run("UPDATE sheet SET n = ?, seq = ?, keys = ?, sum = ?, body = ? WHERE first = 1", w.N, w.Seq, w.Keys, sum[:], w.Body))
}

// TestEveryChangeOfASheetIsNamed by a verification.
func TestEveryChangeOfASheetIsNamed(t *testing.T) {
	for _, c := range []struct {
		name, query string
		change      func(list []hashlog.PlannedRow) []hashlog.PlannedRow
		want        string
	}{
		{name: "a key", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { list[0].Key = "eve"; return list }, want: `user "eve": its row of the plan was changed`},
		{name: "cells", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { list[1].Cells = []byte("x"); return list }, want: `user "user-2": its row of the plan was changed`},
		{name: "a number in the source", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { list[2].Seq++; return list }, want: `user "user-3": its row of the plan was changed`},
		{name: "the sum of a row", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow {
			list[1].Sum = bytes.Repeat([]byte{1}, len(list[1].Sum))
			return list
		}, want: `user "user-2": its row of the plan was changed`},
		{name: "the last row", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { return list[:len(list)-1] }, want: "plan: 2 rows, frozen were 3"},
		{name: "the order", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { list[0], list[1] = list[1], list[0]; return list }, want: "plan: rows, their order or the bounds"},
		{name: "a row that was put in", change: func(list []hashlog.PlannedRow) []hashlog.PlannedRow { return append(list, list[0]) }, want: "plan: 4 rows, frozen were 3"},
		{name: "what finds a key", query: "UPDATE sheet SET keys = x'000000000000'", want: `user "user-1": its row of the plan was changed`},
		{name: "a key that cannot be found", query: "UPDATE sheet SET keys = x''", want: `user "user-3": its row of the plan was changed`},
		{name: "the sum", query: "UPDATE sheet SET sum = zeroblob(16)", want: "plan: what is kept of its rows 1 to 3 was changed"},
		{name: "the sheet", query: "DELETE FROM sheet", want: "plan: 0 rows, frozen were 3"},
		{name: "its place", query: "UPDATE sheet SET first = 2", want: `user at position 1: its row of the plan is missing`},
	} {
		s := newStore(t)
		r := newRun(t, s, newKeys(t, s), 3)
		must(t, r.Close())
		audited(t, s, r.ID(), "")
		if c.query != "" {
			edit(t, s, r.ID(), c.query)
		} else {
			onSheet(t, s, r.ID(), c.change)
		}
		a, err := s.Verify(r.ID(), "")
		if text := listed(a); err != nil || a.OK || !strings.Contains(text, c.want) {
			t.Errorf("%s: %v, found:\n%swant %q", c.name, err, text, c.want)
		}
	}
}

// TestNobodyIsServedFromASheetThatWasChanged, however much of it was.
func TestNobodyIsServedFromASheetThatWasChanged(t *testing.T) {
	for _, query := range []string{"UPDATE sheet SET body = CAST(replace(body, 'user-2', 'user-9') AS BLOB)", "UPDATE sheet SET sum = zeroblob(16)",
		"UPDATE sheet SET keys = x''", "UPDATE sheet SET seq = 2", "UPDATE sheet SET n = 4", "UPDATE sheet SET body = substr(body, 1, 30)"} {
		s := newStore(t)
		r := newRun(t, s, newKeys(t, s), 3)
		edit(t, s, r.ID(), query)
		if list, err := r.OpenUsers(0, 0, 10); !errors.Is(err, ErrGone) {
			t.Errorf("%s: %d users, %v, want ErrGone", query, len(list), err)
		}
	}
}

// BenchmarkUserByKey looks a user up in a plan of a million.
func BenchmarkUserByKey(b *testing.B) {
	const n = 1_000_000
	s := newStore(b)
	d, err := s.Draft(Header{Script: "test.star"}, newKeys(b, s))
	must(b, err)
	for i := 1; i <= n; i++ {
		if err := d.Add(planned(i)); err != nil {
			b.Fatal(err)
		}
	}
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(b, err)
	defer r.Close()
	for i := 0; b.Loop(); i++ {
		if _, err := r.User(fmt.Sprintf("USER-%d", i*7919%n+1)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAPassTellsWhatEachTells, although its memory is used again.
func TestAPassTellsWhatEachTells(t *testing.T) {
	s := newStore(t)
	rnd := rand.New(rand.NewPCG(3, 3))
	r := mixedPlan(t, s, rnd, 3*page/2)
	defer r.Close()
	must(t, r.Each(Filter{Status: []journal.Status{journal.Failed}}, OrderApply, func(u User) error {
		if rnd.IntN(2) == 0 {
			return r.Commit([]*journal.Record{{Kind: journal.Reopened, User: u.Pos}})
		}
		return nil
	}))
	told := func(u *User) string {
		text := fmt.Sprintf("%d %d %s %x %s %s", u.Pos, u.Seq, u.Key, u.Row, u.Status, u.Reason)
		for i := range u.History {
			text += fmt.Sprintf("; %d %s %d %s", u.History[i].Index, u.History[i].Kind, u.History[i].User, u.History[i].Detail.Status)
		}
		return text
	}
	for _, order := range []Order{OrderApply, OrderSource} {
		var each, pass []string
		must(t, r.Each(Filter{}, order, func(u User) error { each = append(each, told(&u)); return nil }))
		must(t, r.Pass(order, func(u User) error { pass = append(pass, told(&u)); return nil }))
		if d := cmp.Diff(each, pass); d != "" || len(each) != 3*page/2 {
			t.Errorf("%v: %d users (-Each +Pass):\n%s", order, len(each), d)
		}
	}
}

// TestRoomThatWasGivenOutStays as it is until the next page.
func TestRoomThatWasGivenOutStays(t *testing.T) {
	var memory room
	for range 3 {
		memory.begin()
		var lists [][]journal.Record
		var texts [][]byte
		for i := range 200 {
			records, frames := memory.history(i%90, i*40)
			for n := range records {
				records[n].Index = int64(i)
			}
			lists, texts = append(lists, records), append(texts, append(frames, bytes.Repeat([]byte{byte(i)}, i*40)...))
		}
		for i := range lists {
			for n := range lists[i] {
				if lists[i][n].Index != int64(i) {
					t.Fatalf("a record of user %d is of user %d", i, lists[i][n].Index)
				}
			}
			if len(texts[i]) != i*40 || !bytes.Equal(texts[i], bytes.Repeat([]byte{byte(i)}, i*40)) {
				t.Fatalf("the bytes of user %d are another's", i)
			}
		}
	}
}
