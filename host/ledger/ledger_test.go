package ledger

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// canary is a value that must be found in no file.
const canary = "c\"a\\n%y é"

// bench is what tests and benchmarks both are.
type bench interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	TempDir() string
	Cleanup(func())
}

func newStore(t bench) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "state"), Options{Host: "test host", OSUser: "ann"})
	must(t, err)
	return s
}

func newKeys(t bench, s *Store) Keys {
	t.Helper()
	k, _, err := LoadKeys(filepath.Join(s.Dir(), "identity.txt"), nil)
	must(t, err)
	return k
}

func must(t bench, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newRun freezes a run of n users, user-1 to user-n, in one wave.
func newRun(t bench, s *Store, k Keys, n int) *Run {
	t.Helper()
	d, err := s.Draft(Header{Script: "test.star", OSUser: "ann"}, k)
	must(t, err)
	for i := 1; i <= n; i++ {
		must(t, d.Add(planned(i)))
	}
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func planned(i int) PlannedUser {
	return PlannedUser{Seq: int64(i), Line: i + 1, Key: fmt.Sprintf("user-%d", i), Row: fmt.Appendf(nil, "[%q]", fmt.Sprintf("user-%d", i))}
}

// intent is one of a set, sealed.
func intent(r *Run, user int64, step, try int, value string) *journal.Record {
	return &journal.Record{Kind: journal.Intent, User: user, Step: step, Try: try, Verb: "set", Backend: "b", Account: fmt.Sprintf("user-%d", user),
		Sealed: r.Seal(user, step, try, "value", secret.New(value))}
}

func outcome(user int64, step, try int, o sdk.Outcome, c sdk.Code) *journal.Record {
	return &journal.Record{Kind: journal.Outcome, User: user, Step: step, Try: try, Verb: "set", Backend: "b", Account: fmt.Sprintf("user-%d", user),
		Outcome: o, Code: c, Detail: journal.Detail{Attempt: 1}}
}

func finished(user int64, s journal.Status, c sdk.Code) *journal.Record {
	return &journal.Record{Kind: journal.Finished, User: user, Code: c, Detail: journal.Detail{Status: s, Attempt: 1}}
}

// leaves are those of a log of n records.
func leaves(n int) (list []hashlog.Hash) {
	for i := range n {
		list = append(list, sha256.Sum256(fmt.Appendf(nil, "record %d", i)))
	}
	return list
}

func commit(t bench, r *Run, recs ...*journal.Record) {
	t.Helper()
	must(t, r.Commit(recs))
}

func TestAppliedUserIsFoundAgain(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 3)
	commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Command: "run"}})
	commit(t, r, intent(r, 1, 1, 0, canary))
	commit(t, r, outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""))
	got, err := r.Counts()
	must(t, err)
	if want := (Counts{Total: 3, Done: 1, Pending: 2}); got != want {
		t.Fatalf("Counts() = %+v, want %+v", got, want)
	}
	must(t, r.Close())

	id, err := s.Resolve("last")
	must(t, err)
	again, err := s.ReadWith(id, k)
	must(t, err)
	defer again.Close()
	u, err := again.User("USER-1")
	must(t, err)
	if len(u.History) != 3 || u.Status != journal.Done {
		t.Fatalf("User() = %+v", u)
	}
	list := Candidates(u.History)
	if len(list) != 1 || list[0].State != journal.CandidateApplied || !list[0].Current {
		t.Fatalf("Candidates() = %+v", list)
	}
	v, err := again.Unseal(u.Pos, list[0].Step, list[0].Try, "value", list[0].Sealed)
	must(t, err)
	if v.Reveal() != canary {
		t.Fatal("Unseal() gave another value")
	}
	st, err := again.State()
	must(t, err)
	if st != journal.StateInterrupted {
		t.Fatalf("State() = %s, want interrupted", st)
	}
}
