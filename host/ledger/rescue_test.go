package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// damagedUsers is how many users the runs of these tests have: enough for
// several pages of each table.
const damagedUsers = 160

// largeRun is a run that is done but for its last user, in the order of its
// source or not.
func largeRun(t *testing.T, s *Store, k Keys) string {
	t.Helper()
	r := newRun(t, s, k, damagedUsers)
	commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "test host"}})
	for u := int64(1); u < damagedUsers; u++ {
		commit(t, r, intent(r, u, 1, 0, fmt.Sprintf("%s%d", canary, u)), outcome(u, 1, 0, sdk.Applied, ""), finished(u, journal.Done, ""))
	}
	commit(t, r, intent(r, damagedUsers, 1, 0, canary), &journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}})
	id := r.ID()
	must(t, r.Close())
	return id
}

// whatRests reads all of a run that can be read: how many values open, and how
// many users there are.
func whatRests(t *testing.T, s *Store, k Keys, id string) (values, users int, damage error) {
	t.Helper()
	r, err := s.RestWith(id, k)
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	for _, look := range []func() error{
		func() error { _, err := r.State(); return err },
		func() error { _, err := r.WaveCounts(); return err },
		func() error { _, err := r.Backends(); return err },
		func() error { _, _, err := r.SignHead(); return err },
	} {
		if err := look(); err != nil {
			t.Fatal(err)
		}
	}
	for _, order := range []Order{OrderApply, OrderSource} {
		values, users = 0, 0
		seen := map[int64]bool{}
		err = r.Each(Filter{}, order, func(u User) error {
			users++
			if seen[u.Pos] {
				t.Errorf("user %d is there twice", u.Pos)
			}
			seen[u.Pos] = true
			for _, c := range Candidates(u.History) {
				if v, err := r.Unseal(u.Pos, c.Step, c.Try, "value", c.Sealed); err == nil && strings.HasPrefix(v.Reveal(), canary) {
					values++
				}
			}
			return nil
		})
		must(t, err)
	}
	return values, users, errors.Join(r.Damage(), r.Sealable())
}

// pagesOf returns the numbers, from 0, of some pages of a ledger: the first, on which
// all tables begin, and some of each kind that follow, from the first to the last.
func pagesOf(file []byte, first, ofEach int) (list []int) {
	kinds := map[byte][]int{}
	for n := range len(file) / pageSize {
		kind := file[n*pageSize]
		switch {
		case n < first:
			list = append(list, n)
			continue
		case kind > leafPage: // the rest of a row
			kind = 0
		}
		kinds[kind] = append(kinds[kind], n)
	}
	for _, all := range kinds {
		some := min(ofEach, len(all))
		for i := range some {
			list = append(list, all[i*(len(all)-1)/max(some-1, 1)])
		}
	}
	slices.Sort(list)
	return list
}

// TestOneDamagedPageHidesOnlyItself: pages of a ledger, of each kind, are emptied in
// turn, filled with noise, or have a flipped bit; all else is still read, and what is
// not is named.
func TestOneDamagedPageHidesOnlyItself(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	id := largeRun(t, s, k)
	sound, err := os.ReadFile(s.runFile(id))
	must(t, err)
	keyPage := 3
	all, users, damage := whatRests(t, s, k, id)
	if all != damagedUsers || users != damagedUsers || damage != nil {
		t.Fatalf("%d values of %d users, %v", all, users, damage)
	}
	told, pages := 0, pagesOf(sound, 16, 6)
	for _, page := range pages {
		for name, harm := range map[string]func(b []byte){
			"emptied": func(b []byte) { clear(b) },
			"noise": func(b []byte) {
				for i := range b {
					b[i] = byte(i*7 + i>>8 + 0x5a)
				}
			},
			"one bit":     func(b []byte) { b[len(b)*3/4] ^= 4 },
			"cut in half": func(b []byte) { clear(b[len(b)/2:]) },
		} {
			harmed := append([]byte(nil), sound...)
			harm(harmed[page*pageSize : (page+1)*pageSize])
			must(t, os.WriteFile(s.runFile(id), harmed, 0o600))
			values, users, damage := whatRests(t, s, k, id)
			if users != damagedUsers && !(page == 1 || page == 0) {
				t.Errorf("page %d %s: %d users", page+1, name, users)
			}
			if least := all - 60; values < least && page+1 != keyPage {
				t.Errorf("page %d %s: %d values, want %d at least", page+1, name, values, least)
			}
			var d *Damage
			switch {
			case damage == nil && values < all:
				t.Errorf("page %d %s: %d values, and nothing is told", page+1, name, values)
			case page+1 == keyPage && errors.Is(damage, errOtherKey):
			case damage != nil && (!errors.As(damage, &d) || d.File != s.runFile(id) || len(d.Lost) == 0 && values < all):
				t.Errorf("page %d %s: %v", page+1, name, damage)
			}
			if damage != nil {
				told++
			}
		}
	}
	t.Logf("%d of %d pages, told %d times", len(pages), len(sound)/pageSize, told)
	if entries, err := os.ReadDir(s.temp()); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestCopyOfADamagedRunIsThereForAMoment: it goes with its reader, and what a
// killed reader left goes with the next one's, be the run read or not.
func TestCopyOfADamagedRunIsThereForAMoment(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	id := largeRun(t, s, k)
	leave := func() { must(t, os.MkdirAll(filepath.Join(s.temp(), "rekey-rest-77", "x"), 0o700)) }
	f, err := os.OpenFile(s.runFile(id), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, pageSize), 0) // where its tables are
	must(t, errors.Join(err, f.Close()))
	leave()
	r, err := s.RestWith(id, k)
	must(t, err)
	if there := filesIn(t, s.temp()); len(there) != 1 || there[0] == "rekey-rest-77" {
		t.Errorf("while it is read there are %v", there)
	}
	must(t, r.Close())
	if left := filesIn(t, s.temp()); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
	leave()
	must(t, os.WriteFile(s.runFile(id), []byte("no ledger at all"), 0o600))
	if r, err := s.RestWith(id, k); err == nil {
		t.Logf("of what is no ledger there are %v", r.Damage())
		must(t, r.Close())
	}
	if left := filesIn(t, s.temp()); len(left) > 0 {
		t.Errorf("left of what cannot be read are %v", left)
	}
}

// looks is everything that a run says of itself, each as text or as an error.
func looks(r *Run) map[string]string {
	said := map[string]string{}
	say := func(what string, value any, err error) {
		said[what] = fmt.Sprintf("%+v", value)
		if err != nil {
			said[what] = "error"
		}
	}
	state, err := r.State()
	say("state", state, err)
	counts, err := r.Counts()
	say("counts", counts, err)
	waves, err := r.WaveCounts()
	say("waves", waves, err)
	wave, held, err := r.Hold()
	say("hold", fmt.Sprint(wave, held), err)
	starts, err := r.Starts()
	say("starts", starts, err)
	pins, err := r.Backends()
	say("backends", pins, err)
	untold, err := r.Untold()
	say("untold", untold, err)
	unchanged, err := r.Unchanged()
	say("unchanged", unchanged, err)
	span, err := r.Span()
	say("span", span.Took(), err)
	approved, err := r.Approvals()
	say("approvals", approved, err)
	_, head, err := r.SignHead()
	say("head", head, err)
	return said
}

// TestRestOfARunStandsAsTheRunDid where the first page is lost and, of what it kept
// of how it stands, this or that, in each format: who was put back is open again.
func TestRestOfARunStandsAsTheRunDid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(bench, *Store, string){"sheets": func(bench, *Store, string) {}, "groups": asGroups, "rows": asRows} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			r := story(t, s, newKeys(t, s))
			commit(t, r, &journal.Record{Kind: journal.Reopened, User: 3})
			must(t, r.Close())
			change(t, s, r.ID())
			standsAsBefore(t, s, r.ID())
		})
	}
}

func standsAsBefore(t *testing.T, s *Store, id string) {
	t.Helper()
	read := func(open func(string) (*Run, error)) (map[string]string, []string) {
		t.Helper()
		r, err := open(id)
		must(t, err)
		defer r.Close()
		var users []string
		must(t, r.Each(Filter{}, OrderApply, func(u User) error {
			users = append(users, fmt.Sprintf("%s %s %q %q %d", u.Key, u.Status, u.Code, u.Reason, len(u.History)))
			return nil
		}))
		said := looks(r)
		delete(said, "head") // nothing else has it
		return said, users
	}
	want, users := read(s.Read)
	sound, err := os.ReadFile(s.runFile(id))
	must(t, err)
	for _, harm := range [][]string{
		nil,
		{"DELETE FROM state"},
		{"DELETE FROM state", "DELETE FROM user"},
		{"UPDATE state SET size = 1 << 50"},
		{"UPDATE state SET size = 0"},
		{"UPDATE run SET total = 1 << 50"},
		{"UPDATE run SET total = 0"},
		{"UPDATE run SET total = 1 << 50", "UPDATE state SET size = 1 << 50"},
	} {
		must(t, os.WriteFile(s.runFile(id), sound, 0o600))
		edit(t, s, id, harm...)
		onPage(t, s.runFile(id), 1, make([]byte, pageSize))
		got, rest := read(s.Rest)
		if !slices.Equal(rest, users) {
			t.Errorf("%q: users are\n%q, were\n%q", harm, rest, users)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: before and after: %s", harm, d)
		}
	}
}

// TestALedgerWithoutSheetsIsNotReadForThem where its first page is lost: what is
// where one of this format has them is something else.
func TestALedgerWithoutSheetsIsNotReadForThem(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := mixed(t, s, newKeys(t, s), 3000)
	must(t, r.Close())
	asGroups(t, s, r.ID())
	onPage(t, s.runFile(r.ID()), 1, make([]byte, pageSize))
	rest, err := s.Rest(r.ID())
	must(t, err)
	defer rest.Close()
	users := 0
	must(t, rest.Each(Filter{}, OrderApply, func(User) error { users++; return nil }))
	if text := fmt.Sprint(rest.Damage()); users != 3000 || strings.Contains(text, "plan") {
		t.Errorf("%d users; it is said: %s", users, text)
	}
}

// TestARecordThatWasChangedIsShownAndNamed, and so are those behind it: what is not
// as it was written may still be what is asked for.
func TestARecordThatWasChangedIsShownAndNamed(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 9)
	commit(t, r, intent(r, 1, 1, 0, canary), intent(r, 2, 1, 0, canary), intent(r, 3, 1, 0, canary), intent(r, 4, 1, 0, canary))
	must(t, r.Close())
	flip(4, -1)(t, s, r.ID()) // its sum
	flip(5, -1)(t, s, r.ID())
	onPage(t, s.runFile(r.ID()), 1, make([]byte, pageSize))
	rest, err := s.Rest(r.ID())
	must(t, err)
	defer rest.Close()
	for pos := int64(1); pos <= 4; pos++ {
		if h, err := rest.history(pos); err != nil || len(h) != 1 {
			t.Errorf("user %d has %d records, %v", pos, len(h), err)
		}
	}
	if text := fmt.Sprint(rest.Damage()); !strings.Contains(text, "what records 4, 5 were before they were changed") {
		t.Errorf("it is said: %s", text)
	}
}

// TestAPlanThatLacksARowIsDamaged: who reads all is told, and sees the others.
func TestAPlanThatLacksARowIsDamaged(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	must(t, r.Close())
	edit(t, s, r.ID(), "DELETE FROM plan WHERE pos = 2")
	rest, err := s.Rest(r.ID())
	must(t, err)
	defer rest.Close()
	users := 0
	must(t, rest.Each(Filter{}, OrderApply, func(User) error { users++; return nil }))
	if text := fmt.Sprint(rest.Damage()); users != 3 || !strings.Contains(text, "rows of its plan 2") {
		t.Errorf("%d users; it is said: %s", users, text)
	}
}

// TestAStatusWhoseRecordIsLostIsKept: of a user who failed the table of users
// says so, of one who is done that or a byte; it is told whose records are lost.
func TestAStatusWhoseRecordIsLostIsKept(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	must(t, r.Close())
	edit(t, s, r.ID(), "PRAGMA secure_delete = ON", "DELETE FROM REC WHERE ID = 6", "DELETE FROM REC WHERE ID = 17") // ann's and cid's
	onPage(t, s.runFile(r.ID()), 1, make([]byte, pageSize))
	rest, err := s.Rest(r.ID())
	must(t, err)
	defer rest.Close()
	var users []string
	must(t, rest.Each(Filter{}, OrderApply, func(u User) error {
		users = append(users, fmt.Sprintf("%s %s %q", u.Key, u.Status, u.Code))
		return nil
	}))
	if want := []string{`ann done ""`, `bob done ""`, `cid failed "AccountNotFound"`, `dan skipped ""`}; !slices.Equal(users, want) {
		t.Errorf("users are %q, want %q", users, want)
	}
	counts, err := rest.Counts()
	if want := (Counts{Total: 4, Done: 2, Failed: 1, Skipped: 1}); err != nil || counts != want {
		t.Errorf("%+v, %v, want %+v", counts, err, want)
	}
	var d *Damage
	if !errors.As(rest.Damage(), &d) || !slices.ContainsFunc(d.Lost, func(l string) bool {
		return strings.Contains(l, "what became of") && strings.Contains(l, "ann") && strings.Contains(l, "cid")
	}) {
		t.Errorf("it is not told whose records are lost: %v", rest.Damage())
	}
}

// TestARunThatCannotSayHowItStandsSaysSo: it says of nothing that it is nothing.
func TestARunThatCannotSayHowItStandsSaysSo(t *testing.T) {
	s := newStore(t)
	r := story(t, s, newKeys(t, s))
	must(t, r.Close())
	ro, err := s.Read(r.ID())
	must(t, err)
	defer ro.Close()
	edit(t, s, r.ID(), "DELETE FROM state")
	for what, said := range looks(ro) {
		if said != "error" {
			t.Errorf("%s: %s", what, said)
		}
	}
	if at, err := ro.LastAt(); err != nil || at.IsZero() {
		t.Errorf("the last record is of %v, %v", at, err)
	}
	edit(t, s, r.ID(), "DROP TABLE grp")
	if at, err := ro.LastAt(); err == nil {
		t.Errorf("without a table of records the last is of %v", at)
	}
	if err := ro.Each(Filter{}, OrderApply, func(User) error { return nil }); !Damaged(err) {
		t.Errorf("without a table of records: %v", err)
	}
}
