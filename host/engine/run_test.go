package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// skips is a rotate that does nothing.
var skips = script(func(context.Context, source.Row, *Steps) journal.Verdict {
	return journal.Verdict{Kind: journal.SaidSkip}
})

// TestAWavePausesBetweenItsBatches, and not before nothing; a batch may be larger
// than what is read at once.
func TestAWavePausesBetweenItsBatches(t *testing.T) {
	for _, c := range []struct {
		name        string
		users, size int
		pause       time.Duration
		pauses      int
	}{
		{"three batches", 5, 2, time.Minute, 2}, {"they come out even", 4, 2, time.Minute, 1}, {"one batch", 5, 0, time.Minute, 0},
		{"no pause", 5, 2, 0, 0}, {"more than a page", page + 2, page + 2, time.Minute, 0},
	} {
		b := newBook(c.users)
		w := &stopwatch{}
		job := jobOf(b, skips, newTarget(t, b).backend("a"))
		job.Clock, job.Waves[0].Size, job.Waves[0].Pause = w, c.size, c.pause
		apply(t, job)
		ended := len(b.records)
		if ended != c.users || len(w.waited) != c.pauses || slices.ContainsFunc(w.waited, func(d time.Duration) bool { return d != time.Minute }) {
			t.Errorf("%s: %d of %d users ended, pauses of %v; want all, and %d", c.name, ended, c.users, w.waited, c.pauses)
		}
	}
}

// stopping stops the run in its first wait, and passes on what that is worth to
// who waits.
type stopping struct {
	fastClock
	stop context.CancelFunc
}

func (s stopping) Sleep(ctx context.Context, _ time.Duration) error {
	s.stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(50 * time.Millisecond): // it ends with a cancelled run only
		return nil
	}
}

func TestARunThatStopsInAPauseBeginsNoFurtherBatch(t *testing.T) {
	b := newBook(6)
	ctx, cancel := context.WithCancel(t.Context())
	job := jobOf(b, skips, newTarget(t, b).backend("a"))
	job.Clock, job.Stop, job.Waves[0].Size, job.Waves[0].Pause = stopping{stop: cancel}, ctx, 2, time.Minute
	if end := apply(t, job); !end.Interrupted || len(b.records) != 2 {
		t.Errorf("interrupted %v, %d users ended; want the first two", end.Interrupted, len(b.records))
	}
}

// TestAWaveWithALimitIsGated by what its backends do at once, also where nobody
// may fail.
func TestAWaveWithALimitIsGated(t *testing.T) {
	for _, c := range []struct {
		failures, percent, want int
	}{{-1, -1, 0}, {0, -1, 9}, {3, -1, 9}, {-1, 0, 9}, {-1, 50, 9}} {
		cr := newRun(t.Context(), Job{Clock: fastClock{}, Planned: []int64{10}, Backends: []Backend{{Concurrency: 4}, {Concurrency: 9}, {Concurrency: 2}}})
		(&scheduler{run: cr}).enter(0, journal.WaveRule{MaxFailures: c.failures, MaxPercent: float64(c.percent)})
		if cr.semaphore.limit != c.want {
			t.Errorf("max_failures %d, max_percent %d: %d, want %d", c.failures, c.percent, cr.semaphore.limit, c.want)
		}
	}
}

// unreadable is a plan that cannot be read.
type unreadable struct{ *book }

func (unreadable) OpenUsers(int, int64, int) ([]ledger.User, error) {
	return nil, errors.New("input/output error")
}

// TestAHoldIsForUsersThatAreLeft: nobody approves what nobody waits for.
func TestAHoldIsForUsersThatAreLeft(t *testing.T) {
	first, third := func(int64) int { return 0 }, func(int64) int { return 2 }
	for _, c := range []struct {
		name     string
		wave     int
		asks     bool // its rule
		waveOf   func(int64) int
		approved bool
		broken   bool
		already  string // held in the ledger
		held     bool
		records  int
	}{
		{name: "users of a later wave", asks: true, waveOf: third, held: true, records: 1},
		{name: "a wave that does not ask", waveOf: third},
		{name: "approved", asks: true, waveOf: third, approved: true},
		{name: "nobody later", asks: true, waveOf: first},
		{name: "the last wave", wave: 2, asks: true, waveOf: third},
		{name: "held before", asks: true, waveOf: third, already: "w", held: true},
		{name: "another one was held before", asks: true, waveOf: third, already: "v", held: true, records: 1},
		{name: "who is left cannot be read", asks: true, waveOf: third, broken: true},
	} {
		b := newBook(3)
		b.waveOf = c.waveOf
		job := jobOf(b, nil)
		job.Waves, job.Held, job.Approved = append(append(all(), all()...), all()...), c.already, func(string) bool { return c.approved }
		if c.broken {
			job.Plan = unreadable{b}
		}
		cr := newRun(t.Context(), job)
		cr.committer = newCommitter(b, nil, nil)
		held, err := (&scheduler{run: cr}).hold(c.wave, journal.WaveRule{Name: "w", Hold: c.asks})
		_ = cr.committer.close()
		if held != c.held || (err != nil) != c.broken || len(b.records) != c.records || (cr.ending.Held == "w") != c.held {
			t.Errorf("%s: held %v (%q), %v, %d records; want %v, %d", c.name, held, cr.ending.Held, err, len(b.records), c.held, c.records)
		}
	}
}

// TestUsersBeyondAPositionAreThoseOfItsWaveAndOfAllLaterOnes.
func TestUsersBeyondAPositionAreThoseOfItsWaveAndOfAllLaterOnes(t *testing.T) {
	b := newBook(4)
	b.waveOf = func(pos int64) int { return map[int64]int{1: 0, 2: 0, 3: 2, 4: 2}[pos] }
	job := jobOf(b, nil)
	job.Waves = append(append(all(), all()...), all()...)
	cr := newRun(t.Context(), job)
	for _, c := range []struct {
		wave  int
		after int64
		want  bool
	}{{0, 1, true}, {0, 2, true}, {1, 0, true}, {2, 3, true}, {2, 4, false}, {3, 0, false}} {
		if got, err := (&scheduler{run: cr}).moreAfter(c.wave, c.after); got != c.want || err != nil {
			t.Errorf("wave %d after %d: %v, %v; want %v", c.wave, c.after, got, err, c.want)
		}
	}
	cr.Plan = unreadable{b}
	if more, err := (&scheduler{run: cr}).moreAfter(0, 0); more || err == nil {
		t.Errorf("unreadable: %v, %v", more, err)
	}
}

func TestAValueHasToDoWithoutTheNamesOfItsUser(t *testing.T) {
	for key, want := range map[string][]string{"ann": {"ann"}, "ann@example.org": {"ann@example.org", "ann"}, "@ann": {"@ann"}, "a@b@c": {"a@b@c", "a"}} {
		if got := namesOf(source.Row{Key: key}); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// TestAnEndingHasToFitWhatWasDone.
func TestAnEndingHasToFitWhatWasDone(t *testing.T) {
	intent := journal.Record{Kind: journal.Intent, Step: 2, Verb: journal.Set, Backend: "a", Account: "ann"}
	came := func(verb string, outcome sdk.Outcome) []journal.Record {
		return []journal.Record{{Kind: journal.Intent, Step: 2, Verb: verb, Backend: "a", Account: "ann"},
			{Kind: journal.Outcome, Step: 2, Verb: verb, Backend: "a", Account: "ann", Outcome: outcome}}
	}
	found := journal.Record{Kind: journal.Answer, Step: 2, Verb: journal.Find, Backend: "a", Account: "ann", Outcome: sdk.Applied}
	for _, c := range []struct {
		name    string
		verdict journal.Verdict
		log     []journal.Record
		steps   int // that the hook took
		want    sdk.Code
	}{
		{"skip() at once", journal.Verdict{Kind: journal.SaidSkip}, nil, 0, ""},
		{"skip() after a find", journal.Verdict{Kind: journal.SaidSkip}, []journal.Record{found}, 2, ""},
		{"skip() after a set", journal.Verdict{Kind: journal.SaidSkip}, []journal.Record{intent}, 2, journal.ScriptError},
		{"skip() after an unlock", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Unlock, sdk.Applied), 2, journal.ScriptError},
		{"skip() after a revoke", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Revoke, sdk.AlreadyApplied), 2, journal.ScriptError},
		{"skip() after a revoke in doubt", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Revoke, sdk.Unknown), 2, journal.ScriptError},
		{"skip() after a revoke without an answer", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Revoke, sdk.Unknown)[:1], 2, journal.ScriptError},
		{"skip() after a revoke that was refused", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Revoke, sdk.Refused), 2, ""},
		{"skip() after a set that was refused", journal.Verdict{Kind: journal.SaidSkip}, came(journal.Set, sdk.Refused), 2, journal.ScriptError},
		{"done after a revoke", journal.Verdict{Kind: journal.SaidDone}, came(journal.Revoke, sdk.Applied), 2, ""},
		{"done after a set", journal.Verdict{Kind: journal.SaidDone}, []journal.Record{intent}, 2, ""},
		{"done before a step that was taken", journal.Verdict{}, []journal.Record{intent}, 1, journal.Diverged},
		{"raised before a step that was taken", journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: journal.ScriptFailed}}, []journal.Record{intent}, 1, journal.ScriptFailed},
	} {
		s := &Steps{userState: userState{history: journal.Read(c.log), n: c.steps}}
		got := s.checked(c.verdict)
		code := sdk.Code("")
		if got.Fault != nil {
			code = got.Fault.Code
		}
		if code != c.want || c.want == "" && got.Kind != c.verdict.Kind {
			t.Errorf("%s: %v %q, want %q", c.name, got.Kind, code, c.want)
		}
	}
}

// idle is a run whose records nobody commits.
func idle(ctx context.Context) *run {
	c := newRun(ctx, Job{Clock: fastClock{}})
	c.committer = &committer{wake: make(chan struct{}, 1)}
	return c
}

// TestWhoFailsOfTheStopGoesBackToPending: of those that fail once a run stops
// only who has sent something counts.
func TestWhoFailsOfTheStopGoesBackToPending(t *testing.T) {
	for _, c := range []struct {
		name                   string
		status                 journal.Status
		stopped, sent, earlier bool
		want                   bool
	}{
		{"failed while the run goes on", journal.Failed, false, false, false, true},
		{"failed, nothing sent", journal.Failed, true, false, false, false},
		{"failed, sent", journal.Failed, true, true, false, true},
		{"failed, sent by an earlier process", journal.Failed, true, false, true, true},
		{"done, nothing sent", journal.Done, true, false, false, true},
	} {
		cr := idle(t.Context())
		s := &userState{run: cr, history: journal.Read(nil)}
		s.permit.admitted.Store(c.sent)
		s.history.Replay.Sent = c.earlier
		if c.stopped {
			cr.softEnd(errStopped)
		}
		if got := cr.end(ended{rec: &journal.Record{Detail: journal.Detail{Status: c.status}}, sent: s.hasSent()}); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestARunSaysFirstWhyItStopped, once, and nothing where it was interrupted.
func TestARunSaysFirstWhyItStopped(t *testing.T) {
	cr := idle(t.Context())
	cr.stop("first")
	cr.stop("second")
	if cr.ending.Stopped != "first" || len(cr.committer.queue) != 1 {
		t.Errorf("stopped for %q, %d records; want the first reason, once", cr.ending.Stopped, len(cr.committer.queue))
	}
	cr = idle(t.Context())
	cr.interrupt()
	cr.stop("later")
	if cr.ending.Stopped != "" || len(cr.committer.queue) != 0 || cr.soft.Err() == nil {
		t.Errorf("interrupted, and stopped for %q, %d records", cr.ending.Stopped, len(cr.committer.queue))
	}
}

// TestWhoHasSentSomethingGoesOnWhenARunStops, unless it is cancelled or the
// ledger is gone.
func TestWhoHasSentSomethingGoesOnWhenARunStops(t *testing.T) {
	for _, c := range []struct {
		name                             string
		stopped, cancelled, broken, sent bool
		want                             bool
	}{
		{name: "nothing happened", want: true}, {name: "stopped, nothing sent", stopped: true}, {name: "stopped, sent", stopped: true, sent: true, want: true},
		{name: "cancelled, sent", cancelled: true, sent: true}, {name: "no ledger, sent", broken: true, sent: true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cr := idle(ctx)
		s := &userState{run: cr}
		s.permit.admitted.Store(c.sent)
		if c.stopped {
			cr.softEnd(errStopped)
		}
		if c.cancelled {
			cancel()
		}
		if c.broken {
			cr.fatal = errors.New("no space left on device")
		}
		if err := s.mayContinue(); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
		cancel()
	}
}

// TestWhoIsLetThroughAnOpenCircuitStaysSo until it has sent something.
func TestWhoIsLetThroughAnOpenCircuitStaysSo(t *testing.T) {
	for _, c := range []struct{ before, now, want bool }{{false, false, false}, {false, true, true}, {true, false, true}, {true, true, true}} {
		l := &dispatcher{}
		if l.circuit.init(); c.now {
			for range circuitLimit {
				l.circuit.observe(sdk.Errorf(sdk.Unreachable, "gone"))
			}
			l.circuit.allowProbe()
		}
		cr := idle(t.Context())
		s := &userState{run: cr, through: c.before}
		if err := s.admit(l); err != nil || s.through != c.want {
			t.Errorf("let through before %v, now %v: %v, %v; want %v", c.before, c.now, s.through, err, c.want)
		}
	}
}
