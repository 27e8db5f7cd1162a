package dial_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

var canary = secret.New("c\"a\\n%y é")

func TestAPluginWithoutAStreamGetsOneOperationACall(t *testing.T) {
	const n = 200
	running := make(chan struct{}, config.Concurrency)
	h := &hostile{unary: true, apply: func(_ context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
		select {
		case running <- struct{}{}:
		default:
			return nil, status.Error(codes.Internal, "more calls at once than were asked for")
		}
		defer func() { <-running }()
		return &pb.ApplyResponse{Receipt: &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED, Ref: in.Operation.Account}}, nil
	}}
	p := against(t, h, config)
	got := newTally(n)
	p.Submit(operations(n), got.from(0))
	got.wait(t)
	for k, r := range got.once(t) {
		if r.Outcome != sdk.Applied || r.Ref != account(k) {
			t.Fatalf("operation %d: %v %q %v", k, r.Outcome, r.Ref, r.Err)
		}
	}
}

func TestAUnaryOperationIsUnknownOnceItWasSent(t *testing.T) {
	for _, c := range []struct {
		name    string
		apply   func(p *peer, stop func()) (*pb.ApplyResponse, error)
		outcome sdk.Outcome
		code    sdk.Code
	}{
		{"the connection is cut", func(p *peer, _ func()) (*pb.ApplyResponse, error) {
			go p.cut()
			<-p.gone
			return nil, errors.New("gone")
		}, sdk.Unknown, sdk.ConnectionLost},
		{"given up", func(_ *peer, stop func()) (*pb.ApplyResponse, error) {
			stop()
			return nil, status.Error(codes.Canceled, "")
		}, sdk.Unknown, sdk.Cancelled},
		{"an error of its own", func(*peer, func()) (*pb.ApplyResponse, error) {
			return nil, status.Error(codes.FailedPrecondition, "no")
		}, sdk.Unknown, sdk.Internal},
		{"an empty answer", func(*peer, func()) (*pb.ApplyResponse, error) {
			return &pb.ApplyResponse{}, nil
		}, sdk.Unknown, sdk.Internal},
		{"no such call", func(*peer, func()) (*pb.ApplyResponse, error) {
			return nil, status.Error(codes.Unimplemented, "")
		}, sdk.Refused, sdk.Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var p *peer
			p = against(t, &hostile{unary: true, apply: func(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error) {
				return c.apply(p, stop)
			}}, config)
			r := p.Ask(ctx, sdk.Operation{ID: "1", Verb: sdk.Reset, Account: "u"})
			if r.Outcome != c.outcome || r.Err == nil || r.Err.Code != c.code {
				t.Errorf("got %v %v, want %v %s", r.Outcome, r.Err, c.outcome, c.code)
			}
		})
	}
}

func TestAUnaryOperationIsRefusedBeforeItWasSent(t *testing.T) {
	p := against(t, &hostile{unary: true}, config)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if r := p.Ask(ctx, sdk.Operation{ID: "1", Verb: sdk.Reset}); r.Outcome != sdk.Refused || r.Err.Code != sdk.Cancelled {
		t.Errorf("cancelled before: %v %v, want refused Cancelled", r.Outcome, r.Err)
	}
	p.cut()
	<-p.Done()
	if r := p.Ask(t.Context(), sdk.Operation{ID: "1", Verb: sdk.Reset}); r.Outcome != sdk.Refused || r.Err.Code != sdk.Unreachable {
		t.Errorf("connection gone: %v %v, want refused Unreachable", r.Outcome, r.Err)
	}
	got := newTally(3)
	p.Submit(operations(3), got.from(0))
	got.wait(t)
	for _, r := range got.once(t) {
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.Unreachable {
			t.Errorf("submitted: %v %v, want refused Unreachable", r.Outcome, r.Err)
		}
	}
}

func TestAQuestionThatIsNeverAnsweredEndsAndMakesThePluginOverdue(t *testing.T) {
	t.Parallel()
	c := config
	c.Timeout = time.Millisecond // a question has two seconds more
	block := make(chan struct{})
	defer close(block)
	h := &hostile{
		stream: func(s frames) error { <-s.Context().Done(); return nil },
		find:   func(context.Context, *pb.FindRequest) (*pb.FindResponse, error) { <-block; return nil, nil },
	}
	p := against(t, h, c)
	errs := make(chan error, missed)
	for range missed {
		go func() { _, err := p.Find(t.Context(), "u"); errs <- err }()
	}
	for range missed {
		if err := <-errs; !errors.Is(err, &sdk.Error{Code: sdk.Timeout}) {
			t.Errorf("got %v, want Timeout", err)
		}
	}
	if p.Overdue(time.Now(), time.Hour) {
		t.Error("nothing is owed any more and it is overdue")
	}
	p.Submit(operations(1), func(int, sdk.Receipt) {})
	if !p.Overdue(time.Now(), time.Hour) {
		t.Errorf("it let %d questions time out, owes an operation, and is not overdue", missed)
	}
}

const missed = 2

func TestACallerWhoGivesUpDoesNotMakeThePluginOverdue(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	h := &hostile{
		stream: func(s frames) error { <-s.Context().Done(); return nil },
		find: func(ctx context.Context, _ *pb.FindRequest) (*pb.FindResponse, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	p := against(t, h, config)
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		go func() { <-entered; stop() }()
		if _, err := p.Find(ctx, "u"); !errors.Is(err, &sdk.Error{Code: sdk.Cancelled}) {
			t.Errorf("got %v, want Cancelled", err)
		}
	}
	p.Submit(operations(1), func(int, sdk.Receipt) {})
	if p.Overdue(time.Now(), 0) {
		t.Error("it is overdue")
	}
}

func TestAListThatBreaksIsNeverAShortList(t *testing.T) {
	t.Parallel()
	piece := &pb.ListResponse{Accounts: []*pb.Account{{Account: "a"}, {Account: "b"}}}
	for _, c := range []struct {
		name string
		list func(p *peer, to grpc.ServerStreamingServer[pb.ListResponse]) error
		code sdk.Code
	}{
		{"the connection is cut", func(p *peer, to grpc.ServerStreamingServer[pb.ListResponse]) error {
			<-p.read
			go p.cut()
			<-to.Context().Done()
			return nil
		}, sdk.Unreachable},
		{"an error at the end", func(_ *peer, to grpc.ServerStreamingServer[pb.ListResponse]) error {
			return to.Send(&pb.ListResponse{Error: &pb.Error{Code: "TargetError", Message: "broke"}})
		}, sdk.TargetError},
		{"silence", func(_ *peer, to grpc.ServerStreamingServer[pb.ListResponse]) error {
			<-to.Context().Done()
			return nil
		}, sdk.Timeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p *peer
			settings := config
			settings.Timeout = time.Millisecond
			p = against(t, &hostile{unary: true, list: func(_ *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
				if err := to.Send(piece); err != nil {
					return err
				}
				return c.list(p, to)
			}}, settings)
			n := 0
			err := p.List(t.Context(), "", nil, func(sdk.Account) error {
				if n++; n == 2 {
					close(p.read)
				}
				return nil
			})
			if !errors.Is(err, &sdk.Error{Code: c.code}) || n != 2 {
				t.Errorf("%d accounts and %v, want 2 and %s", n, err, c.code)
			}
		})
	}
	p := against(t, &hostile{unary: true, list: func(_ *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
		return to.Send(piece)
	}}, config)
	enough := errors.New("enough")
	if err := p.List(t.Context(), "", nil, func(sdk.Account) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

func TestTextsOfAPluginAreScrubbedAndBounded(t *testing.T) {
	h := &hostile{unary: true, apply: func(_ context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
		said := string(in.Operation.GetValue().GetValue())
		return &pb.ApplyResponse{Receipt: &pb.Receipt{Outcome: pb.Outcome_OUTCOME_REFUSED, Ref: said, Stamp: said,
			Error: &pb.Error{Code: "no such code!", Message: said + strings.Repeat("x", 1<<19), Native: said,
				Violations: []*pb.Violation{{Rule: "length", Message: said}}}}}, nil
	}}
	p := against(t, h, config)
	op := sdk.Operation{ID: "1", Verb: sdk.Reset, Account: "u", Value: canary}
	r := p.Ask(t.Context(), op)
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Internal || len(r.Err.Message) > 4<<10 {
		t.Fatalf("got %v %s and %d bytes, want refused Internal and a short text", r.Outcome, r.Err.Code, len(r.Err.Message))
	}
	for _, text := range []string{r.Err.Message, r.Err.Native, r.Err.Violations[0].Message, r.Ref, r.Stamp} {
		if strings.Contains(text, canary.Reveal()) || !strings.Contains(text, "[redacted]") {
			t.Errorf("%.60q shows the value", text)
		}
	}
}
