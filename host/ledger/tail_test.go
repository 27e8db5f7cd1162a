package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// unsignedTail makes a run whose last records are under no signed head, as they are
// when a process is killed, and the time of the last of them.
func unsignedTail(t bench, s *Store, k Keys, later time.Duration) string {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return at }
	r := newRun(t, s, k, 5)
	commit(t, r, &journal.Record{Kind: journal.Started})
	at = at.Add(50 * time.Millisecond)
	rec := intent(r, 1, 1, 0, canary)
	rec.At = at.Add(later)
	commit(t, r, rec)
	must(t, r.Close())
	return r.ID()
}

func TestTailWithoutASignedHead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		make func(t bench, s *Store, k Keys) string
		want hashlog.Tail
		ok   bool
		n    int64
	}{
		{"killed", func(t bench, s *Store, k Keys) string { return unsignedTail(t, s, k, 0) }, hashlog.TailKilled, true, 1},
		{"killed a second after", func(t bench, s *Store, k Keys) string { return unsignedTail(t, s, k, 950*time.Millisecond) }, hashlog.TailKilled, true, 1},
		{"too late", func(t bench, s *Store, k Keys) string { return unsignedTail(t, s, k, time.Second) }, hashlog.TailSigned, false, 1},
		{"no head at all", func(t bench, s *Store, k Keys) string {
			id := unsignedTail(t, s, k, 0)
			edit(t, s, id, "DELETE FROM head")
			return id
		}, hashlog.TailSigned, false, 4},
		{"ended", func(t bench, s *Store, k Keys) string {
			r := fuzzedRun(t, s)
			must(t, r.Close())
			edit(t, s, r.ID(), "DELETE FROM head WHERE size = (SELECT max(size) FROM head)")
			return r.ID()
		}, hashlog.TailSigned, false, -1},
		{"planned", func(t bench, s *Store, k Keys) string {
			id := before(t, s, k)
			edit(t, s, id, "DELETE FROM head")
			return id
		}, hashlog.TailKilled, true, 2},
		{"planned, and put in", func(t bench, s *Store, k Keys) string {
			id := before(t, s, k)
			must(t, s.Note(id, &journal.Record{Kind: journal.Revealed}))
			edit(t, s, id, "DELETE FROM head WHERE size = 3")
			return id
		}, hashlog.TailSigned, false, 1},
		{"a note of before notes were signed", func(t bench, s *Store, k Keys) string {
			id := before(t, s, k)
			must(t, s.Note(id, &journal.Record{Kind: journal.Reported}))
			edit(t, s, id, "DELETE FROM head WHERE size = 3")
			return id
		}, hashlog.TailKilled, true, 1},
		{"under way without a start", func(t bench, s *Store, k Keys) string {
			r := newRun(t, s, k, 5)
			r.writer.signed = time.Now().Add(time.Hour)
			commit(t, r, intent(r, 1, 1, 0, canary))
			must(t, r.Close())
			return r.ID()
		}, hashlog.TailSigned, false, 1},
		{"signed", func(t bench, s *Store, k Keys) string { return before(t, s, k) }, hashlog.TailSigned, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			a, err := s.Verify(c.make(t, s, newKeys(t, s)), "")
			must(t, err)
			if a.OK != c.ok || a.Tail != c.want || c.n >= 0 && a.Unsigned() != c.n || c.n < 0 && a.Unsigned() == 0 {
				t.Errorf("OK %v, tail %q, %d unsigned: %s; want %v, %q, %d", a.OK, a.Tail, a.Unsigned(), listed(a), c.ok, c.want, c.n)
			}
			if !c.ok && !strings.Contains(listed(a), "under no signed head") {
				t.Errorf("it is said: %s", listed(a))
			}
		})
	}
}

func TestTailOfARunThatIsAppliedIsNotSignedYet(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 5)
	commit(t, r, &journal.Record{Kind: journal.Started})
	r.writer.signed = time.Now().Add(time.Hour)
	commit(t, r, intent(r, 1, 1, 0, canary))
	if a := audited(t, s, r.ID(), ""); a.Tail != hashlog.TailRunning || a.Unsigned() != 1 {
		t.Errorf("Verify() = %+v", a)
	}
}

func TestKeyInTheLogIsCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query string
		bad   bool
	}{
		{"UPDATE key SET wrapped = wrapped", false},
		{"UPDATE key SET wrapped = x'5b5d'", true},
		{"DELETE FROM key", true},
	} {
		s := newStore(t)
		k := newKeys(t, s)
		r := fuzzedRun(t, s)
		must(t, r.Close())
		edit(t, s, r.ID(), c.query)
		a, err := s.Verify(r.ID(), "")
		must(t, err)
		_, lockErr := s.Lock(r.ID(), k)
		if c.bad != !a.OK || c.bad != (lockErr != nil) || c.bad && !strings.Contains(listed(a), "data key") {
			t.Errorf("%s: %s, %v", c.query, listed(a), lockErr)
		}
	}
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	commit(t, r, finished(1, journal.Done, ""))
	key := fmt.Sprintf("%X", wrappedOf(t, s, r.ID()))
	must(t, r.Forget(journal.Detail{}))
	must(t, r.Confirm())
	must(t, r.Close())
	audited(t, s, r.ID(), "")
	edit(t, s, r.ID(), fmt.Sprintf("INSERT INTO key VALUES (x'%s')", key)) // one that was forgotten is back
	if a, err := s.Verify(r.ID(), ""); err != nil || a.OK {
		t.Errorf("Verify() = %+v, %v, want that the key is no more", a, err)
	}
}

func TestEverySealedValueIsOpened(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 4)
	change := intent(r, 1, 1, 0, canary)
	change.SealedOld = r.Seal(1, 1, 0, "old", secret.New("before"))
	commit(t, r, &journal.Record{Kind: journal.Started}, change, intent(r, 2, 1, 0, canary))
	moved := intent(r, 3, 1, 0, canary)
	moved.Sealed = change.Sealed
	commit(t, r, moved)
	must(t, r.Close())
	for _, c := range []struct {
		keys     Keys
		cells    error
		opened   int64
		problems int
	}{{k, nil, 3, 1}, {k, errors.New("no"), 3, 5}, {Keys{}, nil, 0, 1}} {
		ro, err := s.ReadWith(r.ID(), c.keys)
		must(t, err)
		a := hashlog.Audit{OK: true}
		n, err := ro.OpenAll(&a, func(User) error { return c.cells })
		must(t, err)
		must(t, ro.Close())
		if n != c.opened || len(a.Problems) != c.problems || a.OK {
			t.Errorf("OpenAll() = %d, %s", n, listed(a))
		}
	}
}

func TestOlderCopyTakesNoNoteAndSaysSo(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	id := r.ID()
	must(t, r.Close())
	older, err := os.ReadFile(s.runFile(id))
	must(t, err)
	ro, err := s.Read(id)
	must(t, err)
	if err := ro.Stale(); err != nil {
		t.Errorf("Stale() = %v", err)
	}
	must(t, ro.Close())
	must(t, s.Note(id, &journal.Record{Kind: journal.Revealed}))
	must(t, os.WriteFile(s.runFile(id), older, 0o600))
	ro, err = s.ReadWith(id, k)
	must(t, err)
	if err := ro.Stale(); !errors.As(err, new(*StaleError)) {
		t.Errorf("Stale() = %v", err)
	}
	must(t, ro.Close())
	if err := s.Note(id, &journal.Record{Kind: journal.Revealed}); !errors.As(err, new(*StaleError)) {
		t.Errorf("Note() = %v", err)
	}
	must(t, os.Remove(s.markFile(id)))
	ro, err = s.Read(id)
	must(t, err)
	if err := ro.Stale(); err != nil {
		t.Errorf("Stale() without a mark = %v", err)
	}
	must(t, ro.Close())
}

func TestReadingNeedsNothingBesideTheRuns(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	must(t, r.Close())
	for _, name := range []string{"tmp", "marks", "state.id"} {
		must(t, os.RemoveAll(filepath.Join(s.dir, name)))
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "tmp"), nil, 0o600)) // it cannot be made
	to, err := Open(s.dir, Options{})
	must(t, err)
	if _, err := contents(to, k, r.ID()); err != nil {
		t.Error(err)
	}
	must(t, os.RemoveAll(s.runs()))
	if _, err := Open(s.dir, Options{}); err == nil {
		t.Error("Open() without runs, and where they cannot be made, gave no error")
	}
}

func TestWriteAheadFileThatCannotBeFoldedInIsReadFromACopy(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	defer r.Close()
	want, err := contents(s, k, r.ID())
	must(t, err)
	after := crashed(t, s)
	c, err := after.kept.Open(after.runFile(r.ID()), rows.Aside)
	must(t, err)
	defer c.Close()
	n, _, err := c.Ends()
	must(t, err)
	if n != r.writer.tree.Size {
		t.Errorf("%d records, want %d", n, r.writer.tree.Size)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "rekey-read-*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	got, err := contents(after, k, r.ID())
	must(t, err)
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhoTidiesIsWaitedForAndIsNobodyWhoApplies(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	id := r.ID()
	must(t, r.Close())
	l, err := holdLock(s.lockFile(id))
	must(t, err)
	if held, err := lockHeld(s.lockFile(id)); held || err != nil {
		t.Errorf("lockHeld() = %v, %v: who tidies applies nothing", held, err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		l.release()
	}()
	r, err = s.Lock(id, k)
	must(t, err)
	if held, err := lockHeld(s.lockFile(id)); !held || err != nil {
		t.Errorf("lockHeld() = %v, %v", held, err)
	}
	start := time.Now()
	if _, err := s.Lock(id, k); !errors.As(err, new(*LockedError)) || time.Since(start) > tidyWait/2 {
		t.Errorf("Lock() = %v after %s", err, time.Since(start))
	}
	must(t, r.Close())
}

func TestStateDirectoryIsNamedOnce(t *testing.T) {
	s := newStore(t)
	if s.home() != "" {
		t.Error("it has a name without a run")
	}
	id, err := s.settleHome()
	must(t, err)
	again, err := s.settleHome()
	must(t, err)
	if id == "" || again != id || s.home() != id {
		t.Errorf("%q, %q, %q", id, again, s.home())
	}
	text, err := os.ReadFile(s.homeFile())
	must(t, err)
	must(t, os.WriteFile(s.homeFile(), append(text, 'x'), 0o600))
	if s.home() != "" {
		t.Error("a changed name is a name")
	}
	other, err := s.settleHome()
	must(t, err)
	if other == id || other != s.home() {
		t.Errorf("after a change it is %q, was %q", other, id)
	}
}

func TestMarkOfADraftGoesAndThatOfARunStays(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	planned, applied := newRun(t, s, k, 1), fuzzedRun(t, s)
	must(t, planned.Close())
	must(t, applied.Close())
	for _, r := range []*Run{planned, applied} {
		must(t, os.Remove(s.runFile(r.ID())))
	}
	opened(t, s.dir, "test host")
	if files.Exists(s.markFile(planned.ID())) || !files.Exists(s.markFile(applied.ID())) {
		t.Errorf("the marks: planned %v, applied %v", files.Exists(s.markFile(planned.ID())), files.Exists(s.markFile(applied.ID())))
	}
}

func TestSentLastNamesTheLastGroupAndTheUnanswered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 40)
	if got := (&remains{r.writer}).sentLast(); got != "this process had sent nothing" {
		t.Errorf("sentLast() = %q", got)
	}
	commit(t, r, intent(r, 3, 1, 0, canary), intent(r, 4, 1, 0, canary))
	commit(t, r, outcome(4, 1, 0, sdk.Applied, ""), intent(r, 9, 1, 0, canary))
	commit(t, r, &journal.Record{Kind: journal.Stopped}) // no intent: the last group stays
	if got := (&remains{r.writer}).sentLast(); got != "sent, or about to be: user-3, user-9" {
		t.Errorf("sentLast() = %q", got)
	}
	var many []*journal.Record
	for pos := int64(20); pos < 33; pos++ {
		many = append(many, intent(r, pos, 1, 0, canary))
	}
	commit(t, r, many...)
	if got := (&remains{r.writer}).sentLast(); !strings.HasSuffix(got, "user-27 and 5 more") {
		t.Errorf("sentLast() = %q", got)
	}
}

func TestSalvageLeavesOtherErrorsAlone(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 2)
	other := errors.New("other")
	if err := r.Salvage(nil); err != nil {
		t.Errorf("Salvage(nil) = %v", err)
	}
	if err := r.Salvage(other); !errors.Is(err, other) {
		t.Errorf("Salvage() = %v", err)
	}
	must(t, os.Remove(s.runFile(r.ID())))
	first := r.Salvage(other) // its cause is the file
	if !errors.Is(first, ErrGone) || strings.Contains(first.Error(), "other") {
		t.Errorf("Salvage() = %v", first)
	}
	if again := r.Salvage(first); !errors.Is(again, first) {
		t.Errorf("Salvage() twice = %v", again)
	}
}

func TestValueIsAppliedWhenItsOwnOutcomeSaysSo(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
	history := []journal.Record{
		{Kind: journal.Intent, Step: 1, Try: 0, At: at(1)}, {Kind: journal.Outcome, Step: 1, Try: 0, At: at(2)},
		{Kind: journal.Outcome, Step: 1, Try: 1, At: at(3)}, {Kind: journal.Outcome, Step: 2, Try: 0, At: at(4)}, {Kind: journal.Answer, Step: 1, Try: 0, At: at(5)},
	}
	if got := appliedAt(history, journal.Candidate{Step: 1, Record: &history[0]}); got != at(2) {
		t.Errorf("appliedAt() = %v, want the time of its outcome", got)
	}
}

func TestRunWithoutItsFirstRecordIsNoPanic(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	must(t, r.Close())
	edit(t, s, r.ID(), "DELETE FROM REC WHERE ID = 1")
	if r, err := s.Lock(r.ID(), k); err == nil { // nobody knows which key it had
		must(t, r.Close())
	}
	if a, err := s.Verify(r.ID(), ""); err != nil || a.OK {
		t.Errorf("Verify() = %+v, %v", a, err)
	}
	edit(t, s, r.ID(), "INSERT INTO grp VALUES (1, 1, 0, 0, 0, x'0100')")
	if _, err := s.Lock(r.ID(), k); err == nil {
		t.Error("Lock() with a first record that is none gave no error")
	}
}

func TestValueThatWasAppliedLastIsCurrentInWhateverOrderTheyWereSent(t *testing.T) {
	set := func(kind journal.Kind, index int64, try int) journal.Record {
		r := journal.Record{Kind: kind, Index: index, Step: 1, Try: try, Verb: "set", Backend: "b", Account: "a"}
		if kind == journal.Intent {
			r.Sealed = []byte{byte(try)}
		} else {
			r.Outcome = sdk.Applied
		}
		return r
	}
	for _, c := range []struct {
		outcomes []int // tries, in the order of their outcomes
		current  int
	}{{[]int{0, 1}, 1}, {[]int{1, 0}, 0}} {
		history := []journal.Record{set(journal.Intent, 1, 0), set(journal.Intent, 2, 1)}
		for i, try := range c.outcomes {
			history = append(history, set(journal.Outcome, int64(10+i), try))
		}
		for _, found := range Candidates(history) {
			if found.Current != (found.Try == c.current) {
				t.Errorf("outcomes of tries %v: try %d current %v", c.outcomes, found.Try, found.Current)
			}
		}
	}
}
