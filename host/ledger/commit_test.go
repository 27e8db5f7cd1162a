package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// reopened closes a run and locks it again, as another process would.
func reopened(t bench, s *Store, k Keys, r *Run) *Run {
	t.Helper()
	must(t, r.Close())
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	t.Cleanup(func() { again.Close() })
	return again
}

func TestCommitRefusesWhatContradictsTheLedger(t *testing.T) {
	t.Parallel()
	of := func(rec *journal.Record, change func(*journal.Record)) *journal.Record { change(rec); return rec }
	for _, c := range []struct {
		name   string
		before func(r *Run) []*journal.Record
		wrong  func(r *Run) []*journal.Record
		want   string
	}{
		{"a user beyond the plan", nil, func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 6, 1, 0, "x")} }, "the plan has 5 users"},
		{"a user that the plan skips", nil, func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 5, 1, 0, "x")} }, "the plan skips the user"},
		{"an intent without its value", nil, func(r *Run) []*journal.Record {
			return []*journal.Record{of(intent(r, 1, 1, 0, "x"), func(x *journal.Record) { x.Sealed = nil })}
		}, "its value is not in the ledger"},
		{"an intent without a step", nil, func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 0, 0, "x")} }, "it has no step"},
		{"a second intent of one try", func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "x")} },
			func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "y")} }, "intent of user 1 step 1 try 0: there is one already"},
		{"an outcome without an intent", nil, func(*Run) []*journal.Record { return []*journal.Record{outcome(1, 1, 0, sdk.Applied, "")} }, "there is no intent"},
		{"an outcome of another try", func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "x")} },
			func(*Run) []*journal.Record { return []*journal.Record{outcome(1, 1, 1, sdk.Applied, "")} }, "there is no intent"},
		{"an outcome of another verb", func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "x")} },
			func(*Run) []*journal.Record {
				return []*journal.Record{of(outcome(1, 1, 0, sdk.Applied, ""), func(x *journal.Record) { x.Verb = "change" })}
			}, `verb "change", the intent's is "set"`},
		{"a second definite outcome", func(r *Run) []*journal.Record {
			return []*journal.Record{intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Refused, sdk.Conflict)}
		}, func(*Run) []*journal.Record { return []*journal.Record{outcome(1, 1, 0, sdk.Applied, "")} }, "it has one already: refused"},
		{"finished twice", func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Failed, "ScriptError")} },
			func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Done, "")} }, "already"},
		{"finished twice in one commit", nil,
			func(*Run) []*journal.Record {
				return []*journal.Record{finished(1, journal.Failed, ""), finished(1, journal.Done, "")}
			}, "already"},
		{"an intent after the end", func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Failed, "ScriptError")} },
			func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "x")} }, "already"},
		{"done while a value is under way", func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 1, 1, 0, "x")} },
			func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Done, "")} }, "it is not known what became of step 1 try 0"},
		{"failed while it is not known what became of a value", func(r *Run) []*journal.Record {
			return []*journal.Record{intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Unknown, sdk.Timeout)}
		}, func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Failed, "")} }, "it is not known what became of step 1 try 0"},
		{"skipped, but changed", func(r *Run) []*journal.Record {
			return []*journal.Record{intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Applied, "")}
		},
			func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Skipped, "")} }, "step 1 try 0 took effect"},
		{"finished as pending", nil, func(*Run) []*journal.Record { return []*journal.Record{finished(1, journal.Pending, "")} }, "not a final status"},
		{"put back before the end", nil, func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Reopened, User: 1}} }, "the user has no status"},
		{"put back twice", func(*Run) []*journal.Record {
			return []*journal.Record{finished(1, journal.Failed, ""), {Kind: journal.Reopened, User: 1}}
		},
			func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Reopened, User: 1}} }, "the user has no status"},
		{"a hold of no wave", nil, func(*Run) []*journal.Record {
			return []*journal.Record{{Kind: journal.Held, Detail: journal.Detail{Wave: "x"}}}
		}, `no wave "x"`},
		{"two holds", func(*Run) []*journal.Record {
			return []*journal.Record{{Kind: journal.Held, Detail: journal.Detail{Wave: "all"}}}
		},
			func(*Run) []*journal.Record {
				return []*journal.Record{{Kind: journal.Held, Detail: journal.Detail{Wave: "all"}}}
			}, "held already"},
		{"an approval without a hold", nil, func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Approved}} }, "not held"},
		{"an end without a state", nil, func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Ended}} }, "no state"},
		{"a second plan", nil, func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Planned}} }, "not for Commit"},
		{"an intent of nobody", nil, func(r *Run) []*journal.Record { return []*journal.Record{intent(r, 0, 1, 0, "x")} }, "user 0"},
		{"a start of somebody", nil, func(*Run) []*journal.Record { return []*journal.Record{{Kind: journal.Started, User: 1}} }, "user 1"},
	} {
		for _, later := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, by another process %v", c.name, later), func(t *testing.T) {
				s := newStore(t)
				k := newKeys(t, s)
				d := draftOf(t, s, k, []PlannedUser{{Key: "a"}, {Key: "b"}, {Key: "c"}, {Key: "d"}, {Key: "e", Skipped: true}})
				r, err := d.Freeze([]WavePlan{{Name: "all"}})
				must(t, err)
				defer func() { r.Close() }()
				if c.before != nil {
					commit(t, r, c.before(r)...)
				}
				if later {
					r = reopened(t, s, k, r)
				}
				size, head, err := r.SignHead()
				must(t, err)
				good := intent(r, 2, 1, 0, "y")
				err = r.Commit(append([]*journal.Record{good}, c.wrong(r)...))
				if !errors.Is(err, ErrContradiction) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("Commit() = %v, want %q", err, c.want)
				}
				if err := r.Commit([]*journal.Record{intent(r, 3, 1, 0, "z")}); err == nil {
					t.Fatal("it takes records after that")
				}
				r = reopened(t, s, k, r)
				gotSize, gotHead, err := r.SignHead()
				must(t, err)
				if gotSize != size || gotHead != head {
					t.Fatalf("the log went from %s to %s: half a commit is there", head, gotHead)
				}
				commit(t, r, good)
				audited(t, s, r.ID(), head)
			})
		}
	}
}

func TestUnknownOutcomeMayBecomeDefinite(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 2)
	commit(t, r, intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Unknown, sdk.Timeout))
	commit(t, r, outcome(1, 1, 0, sdk.Unknown, sdk.Timeout), finished(1, journal.Unresolved, sdk.Timeout))
	r = reopened(t, s, k, r)
	commit(t, r, &journal.Record{Kind: journal.Reopened, User: 1})
	commit(t, r, outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""))
	got, err := r.Counts()
	must(t, err)
	if want := (Counts{Total: 2, Done: 1, Pending: 1}); got != want {
		t.Fatalf("Counts() = %+v, want %+v", got, want)
	}
	audited(t, s, r.ID(), "")
}

func TestFinishedAndPutBackInOneCommit(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 2)
	commit(t, r, intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Refused, sdk.Conflict), finished(1, journal.Failed, sdk.Conflict),
		&journal.Record{Kind: journal.Reopened, User: 1}, intent(r, 1, 1, 1, "y"), outcome(1, 1, 1, sdk.Applied, ""), finished(1, journal.Done, ""))
	if err := r.Commit([]*journal.Record{intent(r, 1, 1, 2, "z")}); !errors.Is(err, ErrContradiction) {
		t.Fatalf("Commit() = %v, want a contradiction", err)
	}
	u, err := r.User("user-1")
	must(t, err)
	if u.Status != journal.Done || len(u.History) != 7 {
		t.Fatalf("User() = %s with %d records, want done with 7", u.Status, len(u.History))
	}
	audited(t, s, r.ID(), "")
}

func TestResetNeedsNoIntent(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	rec := outcome(1, 1, 0, sdk.Applied, "")
	rec.Verb, rec.Sealed = "reset", r.Seal(1, 1, 0, "value", secret.New("picked"))
	commit(t, r, rec, finished(1, journal.Done, ""))
	audited(t, s, r.ID(), "")
}

func TestStateOfARun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	d := draftOf(t, s, k, []PlannedUser{{Key: "a"}, {Key: "b", Wave: 1}})
	r, err := d.Freeze([]WavePlan{{Name: "canary"}, {Name: "rest"}})
	must(t, err)
	defer func() { r.Close() }()
	for _, c := range []struct {
		name    string
		recs    []*journal.Record
		alive   journal.State
		dead    journal.State
		held    string
		pending int64
		waiting int64
	}{
		{"frozen", nil, journal.StatePlanned, journal.StatePlanned, "", 2, 0},
		{"started", []*journal.Record{{Kind: journal.Started}}, journal.StateRunning, journal.StateInterrupted, "", 2, 0},
		{"held", []*journal.Record{finished(1, journal.Done, ""), {Kind: journal.Held, Detail: journal.Detail{Wave: "canary"}}}, journal.StateRunning, journal.StateInterrupted, "canary", 0, 1},
		{"ended held", []*journal.Record{{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateHeld}}}, journal.StateHeld, journal.StateHeld, "canary", 0, 1},
		{"approved", []*journal.Record{{Kind: journal.Approved}}, journal.StateInterrupted, journal.StateInterrupted, "", 1, 0},
		{"started again", []*journal.Record{{Kind: journal.Started}}, journal.StateRunning, journal.StateInterrupted, "", 1, 0},
		{"stopped", []*journal.Record{{Kind: journal.Stopped}, {Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}}}, journal.StateStopped, journal.StateStopped, "", 1, 0},
		{"finished", []*journal.Record{{Kind: journal.Started}, finished(2, journal.Failed, "X"), {Kind: journal.Ended, Detail: journal.Detail{State: journal.StateFinished}}}, journal.StateFinished, journal.StateFinished, "", 0, 0},
		{"put back", []*journal.Record{{Kind: journal.Reopened, User: 2}}, journal.StateInterrupted, journal.StateInterrupted, "", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			commit(t, r, c.recs...)
			look(t, s, r, c.alive, c.held, c.pending, c.waiting)
			must(t, r.Close())
			dead, err := s.Read(r.ID())
			must(t, err)
			look(t, s, dead, c.dead, c.held, c.pending, c.waiting)
			must(t, dead.Close())
			r, err = s.Lock(r.ID(), k)
			must(t, err)
		})
	}
	list, err := r.Approvals()
	must(t, err)
	if d := cmp.Diff([]string{"canary"}, list); d != "" {
		t.Fatal(d)
	}
	audited(t, s, r.ID(), "")
}

func look(t *testing.T, s *Store, r *Run, want journal.State, hold string, pending, held int64) {
	t.Helper()
	got, err := r.State()
	must(t, err)
	if got != want {
		t.Errorf("State() = %s, want %s", got, want)
	}
	other, err := s.Read(r.ID())
	must(t, err)
	defer other.Close()
	if got, err := other.State(); err != nil || got != want {
		t.Errorf("State() for others = %s, %v, want %s", got, err, want)
	}
	wave, open, err := r.Hold()
	must(t, err)
	if wave != hold || open != (hold != "") {
		t.Errorf("Hold() = %q, %v, want %q", wave, open, hold)
	}
	c, err := r.Counts()
	must(t, err)
	if c.Pending != pending || c.Held != held {
		t.Errorf("Counts() = %+v, want %d pending, %d held", c, pending, held)
	}
	n := int64(0)
	must(t, r.Each(Filter{Status: []journal.Status{journal.HeldPending}}, OrderApply, func(u User) error {
		n++
		if u.Status != journal.HeldPending {
			t.Errorf("user %q is %s, want held", u.Key, u.Status)
		}
		return nil
	}))
	if n != held {
		t.Errorf("%d users are listed as held, want %d", n, held)
	}
}

func TestCommitSetsIndexAndTime(t *testing.T) {
	s := newStore(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("x", 3600))
	s.now = func() time.Time { return at }
	r := newRun(t, s, newKeys(t, s), 2)
	given := finished(1, journal.Failed, "X")
	given.At = at.Add(-time.Hour)
	recs := []*journal.Record{{Kind: journal.Started}, given}
	commit(t, r, recs...)
	if recs[0].Index != 2 || recs[1].Index != 3 {
		t.Fatalf("indices %d, %d, want 2, 3", recs[0].Index, recs[1].Index)
	}
	if want := time.Date(2026, 1, 2, 2, 4, 5, 678_901_000, time.UTC); recs[0].At != want || recs[1].At != want.Add(-time.Hour) {
		t.Fatalf("times %v, %v, want %v", recs[0].At, recs[1].At, want)
	}
	u, err := r.User("user-1")
	must(t, err)
	if d := cmp.Diff([]journal.Record{*given}, u.History); d != "" {
		t.Fatal(d)
	}
}

func TestRunForReadingTakesNoRecords(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 1)
	ro, err := s.Read(r.ID())
	must(t, err)
	defer ro.Close()
	if err := ro.Commit([]*journal.Record{{Kind: journal.Started}}); err == nil {
		t.Error("Commit() gave no error")
	}
	if err := ro.Forget(journal.Detail{}); err == nil {
		t.Error("Forget() gave no error")
	}
	if ro.Seal(1, 1, 0, "value", secret.New("x")) != nil {
		t.Error("Seal() without a key gave something")
	}
}

func TestNotesOfOthersAndCommitsMakeOneLog(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 200)
	done := make(chan error, 1)
	go func() {
		for range 20 {
			if err := s.Note(r.ID(), &journal.Record{Kind: journal.Revealed, Detail: journal.Detail{OSUser: "ann"}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for user := int64(1); user <= 200; user++ {
		commit(t, r, intent(r, user, 1, 0, "x"), outcome(user, 1, 0, sdk.Applied, ""), finished(user, journal.Done, ""))
	}
	must(t, <-done)
	if a := audited(t, s, r.ID(), ""); a.Size != 2+600+20 {
		t.Fatalf("the log has %d records, want %d", a.Size, 2+600+20)
	}
	if err := s.Note(r.ID(), &journal.Record{Kind: journal.Started}); err == nil {
		t.Fatal("Note() of a start gave no error")
	}
}

// TestWhatAnotherNotesMeanwhileMakesNoOlderCopy: a log that was read before a
// mark was is read again.
func TestWhatAnotherNotesMeanwhileMakesNoOlderCopy(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 3)
	id := r.ID()
	must(t, r.Close())
	note := func() {
		must(t, s.Note(id, &journal.Record{Kind: journal.Revealed, Detail: journal.Detail{OSUser: "ann"}}))
	}
	note()

	ro, err := s.Read(id)
	must(t, err)
	defer ro.Close()
	before, err := s.kept.Open(s.runFile(id), rows.Aside) // as where nothing may be written beside a run
	must(t, err)
	ro.closeIdle()
	ro.idle = []storage{before}
	w, err := newWriter(ro)
	must(t, err)
	defer w.db.Close()
	note()
	if err := ro.Stale(); err != nil {
		t.Errorf("Stale() = %v", err)
	}
	mk, m, err := s.openMark(id, os.O_RDWR)
	must(t, err)
	defer mk.close()
	if err := w.known(mk, &m); err != nil || w.tree.Size != m.tree.Size {
		t.Errorf("known() = %v, with %d records of %d", err, w.tree.Size, m.tree.Size)
	}
	again, err := s.Lock(id, k)
	must(t, err)
	note()
	note()
	commit(t, again, finished(1, journal.Done, ""))
	must(t, again.Confirm())
	must(t, again.Close())
}

func TestSecondLockNamesTheProcess(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := newRun(t, s, k, 1)
	_, err := s.Lock(r.ID(), k)
	var held *LockedError
	if !errors.As(err, &held) || !strings.Contains(err.Error(), fmt.Sprintf("run %s is being applied by process %d", r.ID(), held.PID)) || held.PID == 0 {
		t.Fatalf("Lock() = %v", err)
	}
	must(t, r.Close())
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	must(t, again.Close())
}

func TestRunsDoNotWaitForEachOther(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	a, b := newRun(t, s, k, 1), newRun(t, s, k, 1)
	must(t, a.writer.db.Within(func() error { // a holds its write lock
		commit(t, b, finished(1, journal.Done, ""))
		return nil
	}))
}

// TestFilesThatSomebodyTouchedAreReadBack, a few times: others may note
// something, and a file system may keep times badly.
func TestFilesThatSomebodyTouchedAreReadBack(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 3)
	commit(t, r, &journal.Record{Kind: journal.Started})
	if r.writer.doubts != 0 {
		t.Fatalf("%d doubts before anybody touched a file", r.writer.doubts)
	}
	for n := 1; n <= maxDoubts+3; n++ {
		at := time.Unix(int64(1_000_000+n), 0)
		must(t, os.Chtimes(s.runFile(r.ID()), at, at))
		commit(t, r, &journal.Record{Kind: journal.Revealed})
		if want := min(n, maxDoubts); r.writer.doubts != want {
			t.Fatalf("after %d touches: read back %d times, want %d", n, r.writer.doubts, want)
		}
	}
	audited(t, s, r.ID(), "")
}

func TestCommitNoticesWhatSomebodyChanged(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"UPDATE plan SET key = 'eve' WHERE pos = 1", "UPDATE run SET header = '{}'", "UPDATE REC SET body = x'00' WHERE ID = 4",
		"UPDATE user SET status = 2", "DELETE FROM user", "UPDATE state SET standing = replace(standing, 'running', 'finished')", "UPDATE state SET size = size - 1",
		"UPDATE wave SET name = 'x'", "UPDATE key SET wrapped = x'00'"} {
		s := newStore(t)
		r := newRun(t, s, newKeys(t, s), 3)
		commit(t, r, &journal.Record{Kind: journal.Started}, intent(r, 1, 1, 0, "x"), outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""))
		edit(t, s, r.ID(), query)
		if err := r.Commit([]*journal.Record{intent(r, 2, 1, 0, "y")}); !errors.Is(err, ErrGone) {
			t.Errorf("%s: Commit() = %v, want ErrGone", query, err)
		}
		must(t, r.Close())
	}
}

// TestToSignAHeadIsNoWriteOfOthers: nothing is read back for it.
func TestToSignAHeadIsNoWriteOfOthers(t *testing.T) {
	s := newStore(t)
	r := newRun(t, s, newKeys(t, s), 3)
	for range 3 {
		commit(t, r, &journal.Record{Kind: journal.Revealed})
		r.writer.signed = time.Time{}
		_, _, err := r.SignHead()
		must(t, err)
	}
	if r.writer.doubts != 0 {
		t.Errorf("%d times the records were read back", r.writer.doubts)
	}
}
