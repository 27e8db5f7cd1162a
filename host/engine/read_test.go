package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// framed is a target that keeps how large its frames are.
type framed struct {
	*target
	mu     sync.Mutex
	frames []int
	calls  int // of Verify, outside a frame
}

func (f *framed) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	f.mu.Lock()
	f.frames = append(f.frames, len(ops))
	f.mu.Unlock()
	f.target.Submit(ops, answer)
}

func (f *framed) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	return f.target.Verify(ctx, account, kind, v)
}

// TestAVerifyTravelsInFramesWhereItMay, and says the same in both ways.
func TestAVerifyTravelsInFramesWhereItMay(t *testing.T) {
	set := Step{Verb: journal.Set, Backend: "a", Value: given("value")}
	verify := Step{Verb: journal.Verify, Backend: "a", Value: given("value")}
	for _, verdict := range []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange, sdk.Rejected, sdk.Blocked, sdk.CannotTell} {
		var said [2]journal.Record
		for i, streams := range []bool{false, true} {
			b := newBook(40)
			x := &framed{target: newTarget(t, b)}
			x.verify = func(string, string) sdk.Verdict { return verdict }
			backend := x.backend("a")
			backend.Instance, backend.StreamsVerify = x, streams
			apply(t, jobOf(b, steps(set, verify), backend))
			for pos := int64(1); pos <= 40; pos++ {
				end := b.finished(pos)
				said[i] = journal.Record{Code: end.Code, Detail: journal.Detail{Status: end.Detail.Status, Message: end.Detail.Message}}
			}
			sent := 0
			for _, n := range x.frames {
				sent += n
			}
			if want := map[bool]int{false: 40, true: 80}[streams]; sent != want || x.calls != 80-want {
				t.Errorf("%s, streams %v: %d operations in frames and %d calls, want %d and %d", verdict, streams, sent, x.calls, want, 80-want)
			}
		}
		if said[0].Code != said[1].Code || said[0].Detail.Status != said[1].Detail.Status || said[0].Detail.Message != said[1].Detail.Message {
			t.Errorf("%s: by calls %v, in frames %v", verdict, said[0], said[1])
		}
	}
}

// TestAVerifyOfAFrameThatFailsIsAskedAgainWhereThatMayHelp, and counts once for
// the circuit.
func TestAVerifyOfAFrameThatFailsIsAskedAgainWhereThatMayHelp(t *testing.T) {
	for _, c := range []struct {
		code sdk.Code
		asks int
		want journal.Status
	}{{sdk.TargetUnavailable, 3, journal.Partial}, {sdk.ConnectionLost, 2, journal.Partial}, {sdk.Unsupported, 1, journal.Done}, {sdk.TargetError, 1, journal.Partial}} {
		b := newBook(1)
		x := &failing{target: newTarget(t, b), err: sdk.Errorf(c.code, "no")}
		backend := x.backend("a")
		backend.Instance, backend.StreamsVerify = x, true
		apply(t, jobOf(b, steps(Step{Verb: journal.Set, Backend: "a", Value: given("value")}, Step{Verb: journal.Verify, Backend: "a", Value: given("value")}), backend))
		if got := b.finished(1); got.Detail.Status != c.want || x.asks != c.asks {
			t.Errorf("%s: %s after %d, want %s after %d", c.code, got.Detail.Status, x.asks, c.want, c.asks)
		}
	}
}

// failing is a target whose verifies fail.
type failing struct {
	*target
	asks int
	err  *sdk.Error
}

func (f *failing) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		if op.Verb != sdk.Verify {
			f.target.Submit([]sdk.Operation{op}, func(_ int, r sdk.Receipt) { answer(n, r) })
			continue
		}
		f.asks++
		go func() { time.Sleep(time.Millisecond); answer(n, sdk.Refuse(f.err)) }()
	}
}
