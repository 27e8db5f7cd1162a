package dial_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

func account(k int) string { return fmt.Sprint("u", k) }

type frames = grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]

func applied(number uint64, ref string) *pb.Answer {
	return &pb.Answer{Number: number, Receipt: &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Ref: ref}}
}

// numbers reads operations until it has n.
func numbers(s frames, n int) ([]*pb.NumberedOperation, error) {
	var got []*pb.NumberedOperation
	for len(got) < n {
		f, err := s.Recv()
		if err != nil {
			return got, err
		}
		got = append(got, f.GetOperations()...)
	}
	return got, nil
}

var config = sdk.Config{Label: "x", Concurrency: 4, Timeout: 10 * time.Second}

func TestAnswersThatNobodyAskedForAreIgnored(t *testing.T) {
	const n = 3
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, n)
		if err != nil {
			return err
		}
		for _, op := range ops {
			_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{
				applied(op.Number|63, "beyond the frame"), applied(op.Number+1<<20, "of no frame"),
				applied(op.Number, op.Operation.Account), applied(op.Number, "twice"), {Number: op.Number},
			}})
		}
		_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{applied(ops[0].Number, "too late"), nil}})
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	got := newTally(n)
	p.Submit(operations(n), got.from(0))
	got.wait(t)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for k, r := range got.once(t) {
		if r.Outcome != sdk.Applied || r.Ref != account(k) {
			t.Errorf("operation %d: %v %q %v, want applied for its own account", k, r.Outcome, r.Ref, r.Err)
		}
	}
	if log := p.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "answers unasked, or twice") {
		t.Errorf("log %q, want one line", log)
	}
	if got, want := p.did.List(), []string{"answers to operations that had one, or were never sent (14)"}; !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
}

// TestBreachesAreCountedByKind: none of them passes for an applied operation.
func TestBreachesAreCountedByKind(t *testing.T) {
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, 6)
		if err != nil {
			return err
		}
		timeout := &pb.Error{Code: "Timeout", Message: "late"}
		for index, receipt := range []*pb.Receipt{
			{Outcome: pb.Outcome_OUTCOME_APPLIED, Error: timeout}, {Outcome: pb.Outcome_OUTCOME_ALREADY_APPLIED, Error: timeout},
			{Outcome: 99, Error: timeout}, {Outcome: pb.Outcome_OUTCOME_REFUSED, Error: &pb.Error{Code: "no\ncode"}},
			{Outcome: pb.Outcome_OUTCOME_REFUSED}, nil,
		} {
			_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{{Number: ops[index].Number, Receipt: receipt}}})
		}
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	got := newTally(6)
	p.Submit(operations(6), got.from(0))
	got.wait(t)
	for k, r := range got.once(t) {
		if r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied || r.Err == nil {
			t.Errorf("operation %d: %v %v", k, r.Outcome, r.Err)
		}
	}
	want := []string{"outcomes or codes that the contract does not have (2)", "receipts that say applied, with an error (2)", "receipts without a reason (2)"}
	if diff := cmp.Diff(want, p.did.List()); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerOfAStreamHasNoValue(t *testing.T) {
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, 1)
		if err != nil {
			return err
		}
		a := applied(ops[0].Number, "")
		a.Receipt.Value = &pb.Secret{Value: []byte("smuggled")}
		_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{a}})
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	got := newTally(1)
	p.Submit(operations(1), got.from(0))
	got.wait(t)
	if r := got.once(t)[0]; r.Value.Present() {
		t.Error("a set was answered with a value, and it was passed on")
	}
}

func TestTextsOnAStreamAreScrubbed(t *testing.T) {
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, 1)
		if err != nil {
			return err
		}
		said := string(ops[0].GetOperation().GetValue().GetValue())
		_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{{Number: ops[0].Number, Receipt: &pb.Receipt{
			Outcome: pb.Outcome_OUTCOME_REFUSED, Ref: said, Error: &pb.Error{Code: "TargetError", Message: said}}}}})
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	ops := operations(1)
	ops[0].Value = canary
	got := newTally(1)
	p.Submit(ops, got.from(0))
	got.wait(t)
	if r := got.once(t)[0]; r.Ref != "[redacted]" || r.Err.Message != "[redacted]" {
		t.Errorf("the reference %q and the message of %d bytes show the value", r.Ref, len(r.Err.Message))
	}
}

// TestEveryOperationIsAnsweredOnceWhateverThePluginDoes sends random frames to
// a plugin that answers in random order, some twice, and dies at a random
// moment.
func TestEveryOperationIsAnsweredOnceWhateverThePluginDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		submissions := rapid.SliceOfN(rapid.IntRange(1, 150), 1, 12).Draw(rt, "submissions")
		dies := rapid.IntRange(0, 400).Draw(rt, "dies after answers")
		seed := rapid.Uint64().Draw(rt, "seed")
		var answered sync.Map
		h := &hostile{stream: func(s frames) error {
			random := rand.New(rand.NewPCG(seed, 1))
			var open []*pb.NumberedOperation
			for left := dies; ; {
				f, err := s.Recv()
				if err != nil {
					return err
				}
				if len(f.GetOperations()) > 64 {
					return fmt.Errorf("a frame of %d operations", len(f.GetOperations()))
				}
				open = append(open, f.GetOperations()...)
				random.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
				for k := random.IntN(len(open) + 1); k > 0; k-- {
					op := open[len(open)-1]
					open = open[:len(open)-1]
					if left--; left < 0 {
						return fmt.Errorf("dies")
					}
					answered.Store(op.Operation.Account, true)
					out := &pb.AnswerFrame{Answers: []*pb.Answer{applied(op.Number, op.Operation.Account)}}
					if random.IntN(4) == 0 {
						out.Answers = append(out.Answers, applied(op.Number, "again"))
					}
					if err := s.Send(out); err != nil {
						return err
					}
				}
			}
		}}
		checkOnce(t, against(t, h, config), submissions, &answered)
	})
}

func checkOnce(t *testing.T, p *peer, submissions []int, answered *sync.Map) {
	total := 0
	for _, n := range submissions {
		total += n
	}
	got, ops := newTally(total), operations(total)
	var wg sync.WaitGroup
	at := 0
	for _, n := range submissions {
		part, offset := ops[at:at+n], at
		wg.Go(func() { p.Submit(part, got.from(offset)) })
		at += n
	}
	wg.Wait()
	_ = p.CloseWithin(0) // what is open now stays open: it has to be answered all the same
	got.wait(t)
	for k, r := range got.once(t) {
		_, did := answered.Load(account(k))
		switch {
		case r.Outcome == sdk.Applied && did && r.Ref == account(k):
		case r.Outcome == sdk.Unknown && r.Err.Code == sdk.ConnectionLost:
		case r.Outcome == sdk.Refused && r.Err.Code == sdk.Unreachable && !did:
		default:
			t.Fatalf("operation %d: %v %q %v, answered by the plugin: %v", k, r.Outcome, r.Ref, r.Err, did)
		}
	}
	if owed := p.Overdue(time.Now().Add(time.Hour), 0); owed {
		t.Fatal("nothing is open and the plugin is said to owe answers")
	}
}

func TestAnOperationAfterTheEndIsRefusedAsUnreachable(t *testing.T) {
	p := against(t, &hostile{stream: func(s frames) error { _, err := numbers(s, 1); return err }}, config)
	p.cut()
	<-p.Done()
	got := newTally(2)
	p.Submit(operations(2), got.from(0))
	got.wait(t)
	for _, r := range got.once(t) {
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.Unreachable {
			t.Errorf("got %v %v, want refused Unreachable", r.Outcome, r.Err)
		}
	}
}

func TestAnOperationOnItsWayWhenThePluginDiesIsUnknown(t *testing.T) {
	arrived := make(chan struct{})
	h := &hostile{stream: func(s frames) error {
		if _, err := numbers(s, 70); err != nil {
			return err
		}
		close(arrived)
		<-s.Context().Done()
		return nil
	}}
	p := against(t, h, config)
	got := newTally(70)
	p.Submit(operations(70), got.from(0))
	<-arrived
	p.cut()
	got.wait(t)
	for k, r := range got.once(t) {
		if r.Outcome != sdk.Unknown || r.Err.Code != sdk.ConnectionLost {
			t.Errorf("operation %d: %v %v, want unknown ConnectionLost", k, r.Outcome, r.Err)
		}
	}
}

func TestCloseEndsAlthoughASubmitWaitsForFlowControl(t *testing.T) {
	t.Parallel()
	h := &hostile{
		stream: func(s frames) error { <-s.Context().Done(); return nil }, // reads nothing
		close: func(ctx context.Context, _ *pb.CloseRequest) (*pb.CloseResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	p := against(t, h, config)
	const n = 640
	ops := operations(n)
	for k := range ops {
		ops[k].Value = secret.New(strings.Repeat("x", 8<<10))
	}
	got := newTally(n)
	submitted := make(chan struct{})
	go func() { defer close(submitted); p.Submit(ops, got.from(0)) }()
	select {
	case <-submitted:
		t.Fatal("nothing was read and Submit did not wait")
	case <-time.After(50 * time.Millisecond): // it may be about to wait: the test holds either way
	}
	_ = p.CloseWithin(10 * time.Millisecond)
	<-submitted
	got.wait(t)
	for k, r := range got.once(t) {
		if r.Outcome != sdk.Unknown && r.Outcome != sdk.Refused {
			t.Errorf("operation %d: %v", k, r.Outcome)
		}
	}
}

func TestLargeOperationsAreSentInSmallerFrames(t *testing.T) {
	t.Parallel()
	const n = 64
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, n)
		for _, op := range ops {
			_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{applied(op.Number, op.Operation.Account)}})
		}
		if err != nil {
			return err
		}
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	ops := operations(n)
	for k := range ops {
		ops[k].Value = secret.New(strings.Repeat("x", 60<<10))
	}
	got := newTally(n)
	p.Submit(ops, got.from(0))
	got.wait(t)
	for k, r := range got.once(t) {
		if r.Outcome != sdk.Applied || r.Ref != account(k) {
			t.Fatalf("operation %d: %v %q %v", k, r.Outcome, r.Ref, r.Err)
		}
	}
}

func TestAnOperationThatCannotBeSentIsRefusedAlone(t *testing.T) {
	h := &hostile{stream: func(s frames) error {
		ops, err := numbers(s, 1)
		if err != nil {
			return err
		}
		_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{applied(ops[0].Number, ops[0].Operation.Account)}})
		_, err = s.Recv()
		return err
	}}
	p := against(t, h, config)
	ops := operations(4)
	ops[0].Account = "\xff"
	ops[1].Value = secret.New(strings.Repeat("x", 1<<20))
	ops[3].Options = map[string]any{"o": struct{}{}}
	got := newTally(4)
	p.Submit(ops, got.from(0))
	got.wait(t)
	for k, r := range got.once(t) {
		if k == 2 {
			if r.Outcome != sdk.Applied || r.Ref != account(2) {
				t.Errorf("the good one: %v %q %v", r.Outcome, r.Ref, r.Err)
			}
		} else if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation {
			t.Errorf("operation %d: %v %v, want refused InvalidOperation", k, r.Outcome, r.Err)
		}
	}
}

func TestAPluginThatForgetsOneOperationIsOverdue(t *testing.T) {
	h := &hostile{stream: func(s frames) error {
		forgotten := false
		for {
			f, err := s.Recv()
			if err != nil {
				return err
			}
			for _, op := range f.GetOperations() {
				if !forgotten {
					forgotten = true
					continue
				}
				_ = s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{applied(op.Number, "")}})
			}
		}
	}}
	p := against(t, h, config)
	if p.Overdue(time.Now().Add(time.Hour), 0) {
		t.Error("nothing was sent and it is overdue")
	}
	p.Submit(operations(1), func(int, sdk.Receipt) {})
	sent := time.Now()
	for range 3 { // the others are answered all the time
		got := newTally(1)
		p.Submit(operations(1), got.from(0))
		got.wait(t)
	}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {config.Timeout, false}, {config.Timeout + 4*time.Second, false}, {config.Timeout + 6*time.Second, true}} {
		if got := p.Overdue(sent.Add(c.after), 5*time.Second); got != c.want {
			t.Errorf("after %v: overdue %v, want %v", c.after, got, c.want)
		}
	}
}
