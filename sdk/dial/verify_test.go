package dial_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// mixed returns operations of which every third is a verify, right or wrong in
// turn.
func mixed(n int) []sdk.Operation {
	ops := operations(n)
	for k := range ops {
		ops[k].Account = account(k)
		if k%3 == 0 {
			ops[k].Verb, ops[k].Value = sdk.Verify, secret.New([]string{"right", "wrong"}[k%2])
		}
	}
	return ops
}

func verdictOn(value string) pb.Verdict {
	if value == "right" {
		return pb.Verdict_VERDICT_ACCEPTED
	}
	return pb.Verdict_VERDICT_REJECTED
}

// TestVerifiesTravelAmongOperations where a plugin takes them there, and one by
// one where it does not.
func TestVerifiesTravelAmongOperations(t *testing.T) {
	const n = 300
	for name, h := range map[string]*hostile{
		"in frames":   {verbs: []string{"of the future", "verify"}},
		"one by one":  {},
		"all of them": {unary: true},
	} {
		t.Run(name, func(t *testing.T) {
			framed := len(h.verbs) > 0
			h.verify = func(in *pb.VerifyRequest) *pb.VerifyResponse {
				if framed {
					t.Error("it was asked by a call of its own")
				}
				return &pb.VerifyResponse{Verdict: verdictOn(string(in.GetValue().GetValue()))}
			}
			h.apply = func(_ context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
				return &pb.ApplyResponse{Receipt: answerTo(t, in.GetOperation(), false)}, nil
			}
			h.stream = func(s frames) error {
				for {
					f, err := s.Recv()
					if err != nil {
						return nil
					}
					var out pb.AnswerFrame
					for _, op := range f.GetOperations() {
						out.Answers = append(out.Answers, &pb.Answer{Number: op.GetNumber(), Receipt: answerTo(t, op.GetOperation(), framed)})
					}
					if err := s.Send(&out); err != nil {
						return err
					}
				}
			}
			got := newTally(n)
			against(t, h, config).Submit(mixed(n), got.from(0))
			got.wait(t)
			for k, r := range got.once(t) {
				want, ref := sdk.CannotTell, account(k)
				if k%3 == 0 {
					want, ref = []sdk.Verdict{sdk.Accepted, sdk.Rejected}[k%2], ""
				}
				if r.Outcome != sdk.Applied || r.Verdict != want || r.Ref != ref {
					t.Fatalf("operation %d: %v %v %q %v, want applied %v %q", k, r.Outcome, r.Verdict, r.Ref, r.Err, want, ref)
				}
			}
		})
	}
}

// answerTo gives every answer a verdict: of a set that claims too much.
func answerTo(t *testing.T, op *pb.Operation, framed bool) *pb.Receipt {
	r := &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Verdict: pb.Verdict_VERDICT_ACCEPTED, Ref: op.GetAccount()}
	if op.GetVerb() == "verify" {
		if !framed {
			t.Errorf("a verify of %s among operations", op.GetAccount())
		}
		r.Ref, r.Verdict = "", verdictOn(string(op.GetValue().GetValue()))
	}
	return r
}

// TestAVerifyThatIsNotAnsweredHasNoVerdict.
func TestAVerifyThatIsNotAnsweredHasNoVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		answer *pb.Receipt
		want   string
	}{
		"refused":         {&pb.Receipt{Outcome: pb.Outcome_OUTCOME_REFUSED, Verdict: pb.Verdict_VERDICT_ACCEPTED, Error: &pb.Error{Code: "Unsupported"}}, "refused cannot-tell Unsupported"},
		"not known":       {&pb.Receipt{Verdict: pb.Verdict_VERDICT_ACCEPTED}, "unknown cannot-tell Internal"},
		"of the future":   {&pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Verdict: 99}, "applied cannot-tell"},
		"applied earlier": {&pb.Receipt{Outcome: pb.Outcome_OUTCOME_ALREADY_APPLIED, Verdict: pb.Verdict_VERDICT_ACCEPTED}, "already-applied cannot-tell"},
		"no answer":       {nil, "unknown cannot-tell ConnectionLost"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hostile{verbs: []string{"verify"}, stream: func(s frames) error {
				ops, err := numbers(s, 1)
				if err != nil || c.answer == nil {
					return err
				}
				if err := s.Send(&pb.AnswerFrame{Answers: []*pb.Answer{{Number: ops[0].GetNumber(), Receipt: c.answer}}}); err != nil {
					return err
				}
				_, err = s.Recv()
				return err
			}}
			got := newTally(1)
			against(t, h, config).Submit(mixed(1), got.from(0))
			got.wait(t)
			r := got.once(t)[0]
			said := fmt.Sprint(r.Outcome, " ", r.Verdict)
			if r.Err != nil {
				said += " " + string(r.Err.Code)
			}
			if strings.TrimSpace(said) != c.want {
				t.Errorf("%s, want %s", said, c.want)
			}
		})
	}
}
