package backendtest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// caller is a plugin whose calls can be made one by one, past the host's end of
// the wire, which never makes the wrong ones and scrubs every answer.
type caller interface {
	raw() (rpc pb.BackendClient, hangUp func() error, err error)
}

// raw opens a connection of its own.
func (w *wired) raw() (pb.BackendClient, func() error, error) {
	dialer := func(ctx context.Context, _ string) (net.Conn, error) { return w.process.connect(ctx) }
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithContextDialer(dialer), // w.process makes it private
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, nil, err
	}
	return pb.NewBackendClient(conn), conn.Close, nil
}

// line is the raw end of one check.
type line struct {
	p   *probe
	rpc pb.BackendClient
}

// call opens the line and ends it with the check.
func (p *probe) call(f func(line)) {
	rpc, hangUp, err := p.plugin.(caller).raw()
	if err != nil {
		p.stop("connection: %v", err)
	}
	defer func() { _ = hangUp() }()
	f(line{p, rpc})
}

func (l line) configure(name string) error {
	_, err := l.open(name)
	return err
}

func (l line) open(name string) (*pb.ConfigureResponse, error) {
	c := filled(l.p.target.Config, l.p.d)
	values, err := wire.EncodeValues(c.Values)
	if err != nil {
		l.p.stop("settings: %v", err)
	}
	var r *pb.ConfigureResponse
	l.p.patiently("Configure", func(ctx context.Context) {
		r, err = l.rpc.Configure(ctx, &pb.ConfigureRequest{Instance: name, Label: c.Label, Values: values,
			Secrets: wire.EncodeSecrets(c.Secrets), Concurrency: int64(c.Concurrency), TimeoutNs: int64(c.Timeout), LogLevel: "trace"})
	})
	if e := wire.DecodeError(r.GetError()); e != nil {
		l.p.stop("Configure: %v", e)
	}
	return r, err
}

// stream sends one frame and returns all answers to it.
func (l line) stream(name string, ops ...sdk.Operation) (answers []*pb.Answer) {
	f := &pb.OperationFrame{Instance: name}
	for n, op := range ops {
		o, err := wire.EncodeOperation(op)
		if err != nil {
			l.p.stop("operation: %v", err)
		}
		f.Operations = append(f.Operations, &pb.NumberedOperation{Number: uint64(n), Operation: o})
	}
	l.p.patiently("ApplyStream", func(ctx context.Context) {
		s, err := l.rpc.ApplyStream(ctx)
		if err == nil {
			err = errors.Join(s.Send(f), s.CloseSend())
		}
		for err == nil {
			var some *pb.AnswerFrame
			some, err = s.Recv()
			answers = append(answers, some.GetAnswers()...)
		}
		if !errors.Is(err, io.EOF) {
			l.p.stop("ApplyStream: %v", err)
		}
	})
	return answers
}

func (l line) close(name string) (err error) {
	l.p.patiently("Close", func(ctx context.Context) {
		_, err = l.rpc.Close(ctx, &pb.CloseRequest{Instance: name, GraceNs: int64(l.p.o.Patience)})
	})
	return err
}

func (l line) apply(name string, op sdk.Operation) (r sdk.Receipt, err error) {
	o, err := wire.EncodeOperation(op)
	if err != nil {
		l.p.stop("operation: %v", err)
	}
	var answer *pb.ApplyResponse
	l.p.patiently("Apply", func(ctx context.Context) {
		answer, err = l.rpc.Apply(ctx, &pb.ApplyRequest{Instance: name, Operation: o})
	})
	return wire.DecodeReceipt(answer.GetReceipt()), err
}

// wantStatus notes a problem unless err has the gRPC status.
func (l line) wantStatus(err error, what string, want codes.Code) {
	if got := status.Code(err); got != want {
		l.p.fail("%s: gRPC status %v (%v), want %v", what, got, err, want)
	}
}

// instancesByName makes the calls that a host should not make: the wrong name
// may never reach another instance.
func instancesByName(p *probe) {
	a := p.target.Accounts[0]
	v := p.start(p.open(), a)
	p.call(func(l line) {
		_, err := l.apply("nobody's", p.anyOp(a, p.value()))
		l.wantStatus(err, "an operation on an instance that was never opened", codes.NotFound)
		l.wantStatus(l.close("nobody's"), "Close of an instance that was never opened", codes.OK)
		l.wantStatus(l.configure("mine"), "Configure", codes.OK)
		l.wantStatus(l.configure("mine"), "Configure with the name of an open instance", codes.AlreadyExists)
		l.wantStatus(l.close("mine"), "Close", codes.OK)
		l.wantStatus(l.close("mine"), "a second Close", codes.OK)
		_, err = l.apply("mine", p.anyOp(a, p.value()))
		l.wantStatus(err, "an operation on an instance that was closed", codes.NotFound)
		l.wantStatus(l.configure("mine"), "Configure with the name of a closed instance", codes.OK)
		l.wantStatus(l.close("mine"), "Close", codes.OK)
	})
	p.wantHolds(a, v, "operations on instances that there are not")
}

// idsAreOperations uses an id for another account.
func idsAreOperations(p *probe) {
	a, b := p.target.Accounts[0], p.target.Accounts[1]
	was := p.start(p.open(), b)
	p.call(func(l line) {
		if err := l.configure("mine"); err != nil {
			p.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		first, second := p.anyOp(a, p.value()), p.anyOp(b, p.value())
		second.ID = first.ID
		if r, err := l.apply("mine", first); err != nil || !ok(r) {
			p.stop("%s: %s, %v, want applied", first.Verb, said(r), err)
		}
		r, err := l.apply("mine", second)
		l.wantStatus(err, "the id of one operation for another", codes.OK)
		p.wantRefused(r, "the id of one operation for another", sdk.InvalidOperation)
	})
	p.wantHolds(b, was, "a refusal of an id that was used before")
}

// verifyInFrames asks by the stream, of a plugin that takes verifies there.
func verifyInFrames(p *probe) {
	a := p.target.Accounts[0]
	v := p.start(p.open(), a)
	right, wrong := p.anyOp(a, v), p.anyOp(a, p.value())
	right.Verb, wrong.Verb = sdk.Verify, sdk.Verify
	wants := [][]sdk.Verdict{{sdk.Accepted, sdk.AcceptedMustChange}, {sdk.Rejected}}
	p.call(func(l line) {
		opened, err := l.open("mine")
		if err != nil {
			p.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		if !slices.Contains(opened.GetStreamVerbs(), string(sdk.Verify)) {
			return
		}
		answers := l.stream("mine", right, wrong)
		for n, want := range wants {
			var got []string
			for _, r := range answers {
				if r.GetNumber() == uint64(n) {
					got = append(got, verdictOf(wire.DecodeReceipt(r.GetReceipt()), want))
				}
			}
			if !slices.Equal(got, []string{""}) {
				p.fail("a verify in a frame: the answers %q, want one of %v", got, want)
			}
		}
	})
	p.wantHolds(a, v, "two verifies in a frame")
}

// verdictOf is "" for an answer that is one of the verdicts.
func verdictOf(r sdk.Receipt, want []sdk.Verdict) string {
	if r.Outcome == sdk.Applied && slices.Contains(want, r.Verdict) {
		return ""
	}
	return said(r) + " " + r.Verdict.String()
}

// noTraces does operations while it watches what others could see.
func noTraces(p *probe) {
	w := p.plugin.(watchable).watched()
	secrets := []string{canary}
	for _, v := range p.target.Config.Secrets {
		secrets = append(secrets, v.Reveal())
	}
	s, a := p.open(), p.target.Accounts[0]
	t := follow(w.cmd.Process.Pid)
	was := p.start(s, a)
	for range 3 {
		s.apply(p.t.Context(), p.anyOp(a, canary))
		if p.can(sdk.CanVerify) {
			_, _ = s.verify(p.t.Context(), a, p.kind(), secret.New(canary))
		}
	}
	secrets = append(secrets, was)
	for _, seen := range t.end() {
		p.wantClean("the arguments or the environment of a process", seen, secrets...)
	}
	for name, text := range left(w.dir) {
		p.wantClean("the file "+name, text, secrets...)
	}
}

// watchable is a plugin in a process of its own.
type watchable interface{ watched() *process }

func (w *wired) watched() *process { return w.process }

// noRawLeaks provokes refusals whose answers the host's end has not scrubbed.
func noRawLeaks(p *probe) {
	a := p.target.Accounts[0]
	p.call(func(l line) {
		if err := l.configure("mine"); err != nil {
			p.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		for what, edit := range provocations(p) {
			op := p.anyOp(a, canary)
			edit(&op)
			r, err := l.apply("mine", op)
			text := texts(r)
			if err != nil {
				text = err.Error()
			}
			p.wantClean("the answer to "+what, text, canary, canary+"-old")
		}
	})
	p.wantClean("what the plugin printed", p.plugin.logged(), canary)
}

// provocations turn an operation with the canary into one that is refused.
func provocations(p *probe) map[string]func(*sdk.Operation) {
	return map[string]func(*sdk.Operation){
		"a change from a wrong value": func(o *sdk.Operation) { o.Verb, o.Old = sdk.Change, secret.New(canary+"-old") },
		"an unknown kind":             func(o *sdk.Operation) { o.Kind = "no-such-kind" },
		"an unknown hash format":      func(o *sdk.Operation) { o.HashFormat = "no-such-format" },
		"an unknown verb":             func(o *sdk.Operation) { o.Verb = "delete" },
		"a very long value":           func(o *sdk.Operation) { o.Value = secret.New(longCanary) },
		"a missing account":           func(o *sdk.Operation) { o.Account = p.target.Missing },
		"a hostile account":           func(o *sdk.Operation) { o.Account = "no/such,account*" },
	}
}
