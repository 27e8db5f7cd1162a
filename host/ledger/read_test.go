package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

func TestReadersSeeWholeCommitsWhileARunIsApplied(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 400)
	commit(t, r, &journal.Record{Kind: journal.Started})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	failures := make(chan error, 4)
	for range 3 {
		readers.Go(func() { failures <- readUntil(s, r.ID(), stop) })
	}
	for user := int64(1); user <= 400; user += 2 {
		commit(t, r, intent(r, user, 1, 0, "x"), outcome(user, 1, 0, sdk.Applied, ""), finished(user, journal.Done, ""),
			intent(r, user+1, 1, 0, "x"), outcome(user+1, 1, 0, sdk.Refused, sdk.Conflict), finished(user+1, journal.Failed, sdk.Conflict))
	}
	close(stop)
	readers.Wait()
	for range 3 {
		must(t, <-failures)
	}
	audited(t, s, r.ID(), "")
}

// readUntil reads a run over and over: done and failed users come in pairs, in
// one commit, so nobody may ever see one without the other.
func readUntil(s *Store, id string, stop chan struct{}) error {
	r, err := s.Read(id)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if err := readOnce(s, r); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func readOnce(s *Store, r *Run) error {
	c, err := r.Counts()
	if err != nil {
		return err
	}
	if c.Done != c.Failed {
		return fmt.Errorf("Counts() = %+v", c)
	}
	if st, err := r.State(); err != nil || st != journal.StateRunning {
		return fmt.Errorf("State() = %s, %w, want running", st, err)
	}
	n := int64(0)
	err = r.Each(Filter{Status: []journal.Status{journal.Done}}, OrderApply, func(u User) error {
		n++
		if len(u.History) != 3 {
			return fmt.Errorf("user %q is done with %d records", u.Key, len(u.History))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n < c.Done {
		return fmt.Errorf("%d users are listed as done, %d were counted before", n, c.Done)
	}
	a, err := s.Verify(r.ID(), "")
	if err == nil && !a.OK {
		err = fmt.Errorf("Verify() found %v", a.Problems)
	}
	return err
}

// mixed makes a run in which every kind of user is, in two waves, with an
// order that is not the source's.
func mixed(t bench, s *Store, k Keys, n int) *Run {
	t.Helper()
	d, err := s.Draft(Header{Script: "mixed.star"}, k)
	must(t, err)
	for i := 1; i <= n; i++ {
		p := planned(i)
		p.Sort = []any{int64(-i)}
		p.Wave = i % 2
		if i%10 == 0 {
			p.Skipped, p.Reason = true, "frozen"
		}
		must(t, d.Add(p))
	}
	r, err := d.Freeze([]WavePlan{{Name: "even"}, {Name: "odd"}})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	var recs []*journal.Record
	must(t, r.Each(Filter{}, OrderApply, func(u User) error {
		switch {
		case u.Status == journal.Skipped:
		case u.Seq%4 == 0:
			recs = append(recs, intent(r, u.Pos, 1, 0, "x"), outcome(u.Pos, 1, 0, sdk.Applied, ""), finished(u.Pos, journal.Done, ""))
		case u.Seq%4 == 1:
			f := finished(u.Pos, journal.Failed, sdk.AccountNotFound)
			f.Detail.Message = "not there"
			recs = append(recs, intent(r, u.Pos, 1, 0, "x"), outcome(u.Pos, 1, 0, sdk.Refused, sdk.AccountNotFound), f)
		case u.Seq%4 == 2:
			recs = append(recs, intent(r, u.Pos, 1, 0, "x"))
		}
		return nil
	}))
	commit(t, r, recs...)
	return r
}

func TestFilterSelects(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	const n = 2400
	r := mixed(t, s, k, n)
	must(t, r.Close())
	stores := map[string]*Run{}
	read := func(name string, s *Store) {
		ro, err := s.Read(r.ID())
		must(t, err)
		t.Cleanup(func() { ro.Close() })
		stores[name] = ro
	}
	read("sheets", s)
	groups := crashed(t, s)
	asGroups(t, groups, r.ID())
	read("groups", groups)
	rows := crashed(t, s)
	asRows(t, rows, r.ID())
	read("rows", rows)
	indexed := crashed(t, rows)
	edit(t, indexed, r.ID(), "CREATE INDEX rec_user ON rec (user, id)")
	read("rows and an index", indexed)
	class := func(i int) journal.Status {
		switch {
		case i%10 == 0:
			return journal.Skipped
		case i%4 == 0:
			return journal.Done
		case i%4 == 1:
			return journal.Failed
		}
		return journal.Pending
	}
	for _, c := range []struct {
		name   string
		filter Filter
		want   func(i int) bool
	}{
		{"all", Filter{}, func(int) bool { return true }},
		{"failed", Filter{Status: []journal.Status{journal.Failed}}, func(i int) bool { return class(i) == journal.Failed }},
		{"done or skipped", Filter{Status: []journal.Status{journal.Done, journal.Skipped}}, func(i int) bool { return class(i) == journal.Done || class(i) == journal.Skipped }},
		{"pending", Filter{Status: []journal.Status{journal.Pending}}, func(i int) bool { return class(i) == journal.Pending }},
		{"held", Filter{Status: []journal.Status{journal.HeldPending}}, func(int) bool { return false }},
		{"a code", Filter{Codes: []string{"AccountNotFound", "Other"}}, func(i int) bool { return class(i) == journal.Failed }},
		{"another code", Filter{Codes: []string{"Other"}}, func(int) bool { return false }},
		{"keys", Filter{Keys: []string{"USER-7", "user-2000", "nobody"}}, func(i int) bool { return i == 7 || i == 2000 }},
		{"a wave", Filter{Wave: "odd"}, func(i int) bool { return i%2 == 1 }},
		{"no such wave", Filter{Wave: "x"}, func(int) bool { return false }},
		{"failed of a wave", Filter{Status: []journal.Status{journal.Failed}, Wave: "even"}, func(int) bool { return false }},
		{"few", Filter{Keys: []string{"user-1", "user-2399"}, Status: []journal.Status{journal.Failed, journal.Pending}}, func(i int) bool { return i == 1 || i == 2399 }},
	} {
		for _, order := range []Order{OrderSource, OrderApply} {
			for name, ro := range stores {
				t.Run(fmt.Sprintf("%s, order %d, %s", c.name, order, name), func(t *testing.T) {
					checkEach(t, ro, c.filter, order, n, c.want, class)
				})
			}
		}
	}
}

func checkEach(t *testing.T, r *Run, f Filter, order Order, n int, want func(int) bool, class func(int) journal.Status) {
	t.Helper()
	var got []int
	last := int64(0)
	must(t, r.Each(f, order, func(u User) error {
		got = append(got, int(u.Seq))
		if u.place(order) <= last {
			t.Fatalf("user %q is out of order", u.Key)
		}
		last = u.place(order)
		if status := class(int(u.Seq)); u.Status != status || len(u.History) != wantRecords(int(u.Seq), status) {
			t.Fatalf("user %q is %s with %d records", u.Key, u.Status, len(u.History))
		}
		for _, rec := range u.History {
			if rec.User != u.Pos {
				t.Fatalf("user %q has a record of position %d, not %d", u.Key, rec.User, u.Pos)
			}
		}
		if wantReason := map[journal.Status]string{journal.Failed: "not there", journal.Skipped: "frozen"}[u.Status]; u.Reason != wantReason {
			t.Fatalf("user %q: reason %q, want %q", u.Key, u.Reason, wantReason)
		}
		return nil
	}))
	var expected []int
	for i := 1; i <= n; i++ {
		if want(i) {
			expected = append(expected, i)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, expected) {
		t.Fatalf("%d users, want %d", len(got), len(expected))
	}
}

func wantRecords(i int, s journal.Status) int {
	switch {
	case s == journal.Done || s == journal.Failed:
		return 3
	case s == journal.Pending && i%4 == 2:
		return 1
	}
	return 0
}

// TestTheLastUserOfAPageHasItsHistory, in the order of a source that is not that of
// the plan: one user more than are read at once.
func TestTheLastUserOfAPageHasItsHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, users := range []int{page, page + 1, 2*page + 1} {
		d, err := s.Draft(Header{Script: "x"}, newKeys(t, s))
		must(t, err)
		for i := 1; i <= users; i++ {
			p := planned(i)
			p.Sort = []any{int64(-i)}
			must(t, d.Add(p))
		}
		r, err := d.Freeze([]WavePlan{{Name: "all"}})
		must(t, err)
		of := slices.Compact([]int64{1, page, int64(users)})
		for _, pos := range of {
			rec := finished(pos, journal.Failed, sdk.Protected)
			rec.Detail.Message = fmt.Sprint("of ", pos)
			commit(t, r, rec)
		}
		for _, order := range []Order{OrderSource, OrderApply} {
			told := map[int64]string{}
			must(t, r.Each(Filter{}, order, func(u User) error {
				if len(u.History) > 0 {
					told[u.Pos] = u.Reason
				}
				return nil
			}))
			for _, pos := range of {
				if told[pos] != fmt.Sprint("of ", pos) {
					t.Errorf("%d users, order %d: of the user at %d it is said %q", users, order, pos, told[pos])
				}
			}
		}
		must(t, r.Close())
	}
}

// TestUsersWhoseRecordsCannotBeReadAreNone: with an empty history they would be
// given another value.
func TestUsersWhoseRecordsCannotBeReadAreNone(t *testing.T) {
	for _, query := range []string{"DROP TABLE grp", "UPDATE REC SET body = x'00' WHERE ID = 7"} { // an intent of a user who is open
		s := newStore(t)
		k := newKeys(t, s)
		r := underWay(t, s, k)
		id := r.ID()
		must(t, r.Close())
		edit(t, s, id, query)
		again, err := s.Lock(id, k)
		if err != nil {
			continue
		}
		if list, err := again.OpenUsers(0, 0, 10); err == nil {
			t.Errorf("%s: OpenUsers() gave %d users, the first with %d records", query, len(list), len(list[0].History))
		}
		must(t, again.Close())
	}
}

// TestUsersWhoseRowsWereChangedMeanwhileAreNone: what is in the plan while it is
// applied is what was frozen, or nothing more is sent.
func TestUsersWhoseRowsWereChangedMeanwhileAreNone(t *testing.T) {
	for _, query := range []string{"UPDATE plan SET key = 'eve', fold = 'eve' WHERE pos = 3", "UPDATE plan SET row = 'x' WHERE pos = 3"} {
		s := newStore(t)
		r := underWay(t, s, newKeys(t, s))
		edit(t, s, r.ID(), query)
		if list, err := r.OpenUsers(0, 0, 10); !errors.Is(err, ErrGone) {
			t.Errorf("%s: OpenUsers() gave %d users, %v", query, len(list), err)
		}
		must(t, r.Close())
	}
}

func TestEachEndsWithTheError(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 10)
	stop := errors.New("enough")
	n := 0
	err := r.Each(Filter{}, OrderApply, func(User) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Fatalf("Each() = %v after %d users", err, n)
	}
}

func TestOpenUsersComeInPagesWithTheirHistories(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 30)
	commit(t, r, intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""), intent(r, 2, 1, 0, "x"), intent(r, 9, 1, 0, "x"))
	list, err := r.OpenUsers(0, 0, 5)
	must(t, err)
	if len(list) != 5 || list[0].Pos != 2 || len(list[0].History) != 0 {
		t.Fatalf("in the first process: %+v", list)
	}
	r = reopened(t, s, k, r)
	var got []string
	for after := int64(0); ; {
		list, err := r.OpenUsers(0, after, 4)
		must(t, err)
		if len(list) == 0 {
			break
		}
		for _, u := range list {
			after = u.Pos
			if len(u.History) > 0 {
				got = append(got, fmt.Sprintf("%s %d", u.Key, len(u.History)))
			}
		}
		if after == 9 {
			commit(t, r, finished(10, journal.Failed, "X"))
		}
	}
	if d := cmp.Diff([]string{"user-2 1", "user-9 1"}, got); d != "" {
		t.Fatal(d)
	}
	if _, err := r.OpenUsers(1, 0, 1); err == nil {
		t.Fatal("OpenUsers() of no wave gave no error")
	}
}

func TestIntentsComeInTheOrderOfTheLog(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 5)
	unlock := &journal.Record{Kind: journal.Intent, User: 2, Step: 1, Verb: "unlock", Backend: "b", Account: "user-1"}
	commit(t, r, unlock, intent(r, 3, 1, 0, "x"), outcome(3, 1, 0, sdk.Applied, ""), intent(r, 1, 1, 0, "x"), intent(r, 3, 2, 0, "y"))
	var got []string
	must(t, r.Intents(func(backend, account, cred, _ string, user int64) error {
		got = append(got, fmt.Sprint(backend, " ", account, cred, " ", user))
		return nil
	}))
	if d := cmp.Diff([]string{"b user-3 3", "b user-1 1", "b user-3 3"}, got); d != "" {
		t.Fatal(d)
	}
}

func TestUnknownUserIsNamed(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	if _, err := r.User("nobody"); !errors.Is(err, ErrNoUser) {
		t.Fatalf("User() = %v, want ErrNoUser", err)
	}
}

func TestRunOnAMediumThatCannotBeWrittenIsRead(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := mixed(t, s, k, 100)
	must(t, r.Close())
	eachFile(t, s.Dir(), func(path string, info fs.FileInfo) {
		must(t, os.Chmod(path, info.Mode().Perm()&0o500|0o055))
	})
	for dir := s.Dir(); strings.Contains(dir, t.Name()); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o555))
		defer os.Chmod(dir, 0o700)
	}
	defer os.Chmod(s.runs(), 0o700)
	defer os.Chmod(s.temp(), 0o700)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread is not fit for others any more
		if os.Getuid() == 0 {
			_, _ = unix.SetfsuidRetUid(65534) // root writes everywhere
		}
		failed <- readAll(s.Dir(), r.ID())
	}()
	must(t, <-failed)
}

func readAll(dir, id string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.runs(), "x"), nil, 0o600); err == nil {
		return errors.New("the directory can be written: the test shows nothing")
	}
	r, err := s.Read(id)
	if err != nil {
		return err
	}
	defer r.Close()
	if st, err := r.State(); err != nil || st != journal.StatePlanned {
		return fmt.Errorf("State() = %s, %w", st, err)
	}
	records := 0
	err = r.Each(Filter{}, OrderSource, func(u User) error {
		records += len(u.History)
		return nil
	})
	if err != nil || records == 0 {
		return fmt.Errorf("Each() gave %d records, %w", records, err)
	}
	a, err := s.Verify(id, "")
	if err != nil || !a.OK {
		return fmt.Errorf("Verify() = %v, %w", a.Problems, err)
	}
	_, err = s.Runs()
	return err
}
