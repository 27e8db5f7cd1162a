package backendtest

import (
	"context"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// caller is a plugin whose calls can be made one by one, past the host's end of
// the wire, which never makes the wrong ones and scrubs every answer.
type caller interface {
	raw(ctx context.Context, config sdk.Config) (rpc pb.BackendClient, hangUp func() error, err error)
}

// line is the raw end of one check.
type line struct {
	p   *probe
	rpc pb.BackendClient
}

// onLine opens the line and ends it with the check.
func onLine(probe *probe, call func(line)) { onLineFor(probe, probe.target.Config, call) }

// onLineFor is onLine for an instance with other settings.
func onLineFor(probe *probe, config sdk.Config, call func(line)) {
	rpc, hangUp, err := probe.plugin.(caller).raw(probe.t.Context(), filled(config, probe.d))
	if err != nil {
		probe.stop("connection: %v", err)
	}
	defer func() { _ = hangUp() }()
	call(line{probe, rpc})
}

func (l line) configure(name string) error {
	_, err := l.open(name)
	return err
}

func (l line) open(name string) (*pb.ConfigureResponse, error) {
	return l.openWith(name, filled(l.p.target.Config, l.p.d))
}

func (l line) openWith(name string, config sdk.Config) (*pb.ConfigureResponse, error) {
	values, err := wire.EncodeValues(config.Values)
	if err != nil {
		l.p.stop("settings: %v", err)
	}
	var configureResponse *pb.ConfigureResponse
	l.p.patiently("Configure", func(ctx context.Context) {
		configureResponse, err = l.rpc.Configure(ctx, &pb.ConfigureRequest{Instance: name, Label: config.Label, Values: values,
			Secrets: wire.EncodeSecrets(config.Secrets), Concurrency: int64(config.Concurrency), TimeoutNs: int64(config.Timeout), LogLevel: "trace"})
	})
	if failure := wire.DecodeError(configureResponse.GetError()); failure != nil {
		l.p.stop("Configure: %v", failure)
	}
	return configureResponse, err
}

// stream sends one frame and returns all answers to it.
func (l line) stream(name string, ops ...sdk.Operation) (answers []*pb.Answer) {
	operationFrame := &pb.OperationFrame{Instance: name}
	for index, op := range ops {
		operation, err := wire.EncodeOperation(op)
		if err != nil {
			l.p.stop("operation: %v", err)
		}
		operationFrame.Operations = append(operationFrame.Operations, &pb.NumberedOperation{Number: uint64(index), Operation: operation})
	}
	l.p.patiently("ApplyStream", func(ctx context.Context) {
		bidiStreamingClient, err := l.rpc.ApplyStream(ctx)
		if err == nil {
			err = errors.Join(bidiStreamingClient.Send(operationFrame), bidiStreamingClient.CloseSend())
		}
		for err == nil {
			var some *pb.AnswerFrame
			some, err = bidiStreamingClient.Recv()
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

func (l line) apply(name string, op sdk.Operation) (receipt sdk.Receipt, err error) {
	operation, err := wire.EncodeOperation(op)
	if err != nil {
		l.p.stop("operation: %v", err)
	}
	var answer *pb.ApplyResponse
	l.p.patiently("Apply", func(ctx context.Context) {
		answer, err = l.rpc.Apply(ctx, &pb.ApplyRequest{Instance: name, Operation: operation})
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
func instancesByName(probe *probe) {
	text := probe.target.Accounts[0]
	value := known(probe, probe.open(), text)
	onLine(probe, func(l line) {
		_, err := l.apply("nobody's", anyOp(probe, text, probe.value()))
		l.wantStatus(err, "an operation on an instance that was never opened", codes.NotFound)
		l.wantStatus(l.close("nobody's"), "Close of an instance that was never opened", codes.OK)
		l.wantStatus(l.configure("mine"), "Configure", codes.OK)
		l.wantStatus(l.configure("mine"), "Configure with the name of an open instance", codes.AlreadyExists)
		l.wantStatus(l.close("mine"), "Close", codes.OK)
		l.wantStatus(l.close("mine"), "a second Close", codes.OK)
		_, err = l.apply("mine", anyOp(probe, text, probe.value()))
		l.wantStatus(err, "an operation on an instance that was closed", codes.NotFound)
		l.wantStatus(l.configure("mine"), "Configure with the name of a closed instance", codes.OK)
		l.wantStatus(l.close("mine"), "Close", codes.OK)
	})
	probe.wantHolds(text, value, "operations on instances that there are not")
}

// idsAreOperations uses an id for another account.
func idsAreOperations(probe *probe) {
	text, name := probe.target.Accounts[0], probe.target.Accounts[1]
	was := known(probe, probe.open(), name)
	onLine(probe, func(l line) {
		if err := l.configure("mine"); err != nil {
			probe.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		first, second := anyOp(probe, text, probe.value()), anyOp(probe, name, probe.value())
		second.ID = first.ID
		if receipt, err := l.apply("mine", first); err != nil || !ok(receipt) {
			probe.stop("%s: %s, %v, want applied", first.Verb, said(receipt), err)
		}
		r, err := l.apply("mine", second)
		l.wantStatus(err, "the id of one operation for another", codes.OK)
		probe.wantRefused(r, "the id of one operation for another", sdk.InvalidOperation)
	})
	probe.wantHolds(name, was, "a refusal of an id that was used before")
}

// verifyInFrames asks by the stream, of a plugin that takes verifies there.
func verifyInFrames(probe *probe) {
	text := probe.target.Accounts[0]
	value := known(probe, probe.open(), text)
	right, wrong := anyOp(probe, text, value), anyOp(probe, text, probe.value())
	right.Verb, wrong.Verb = sdk.Verify, sdk.Verify
	wants := [][]sdk.Verdict{{sdk.Accepted, sdk.AcceptedMustChange}, {sdk.Rejected}}
	onLine(probe, func(l line) {
		opened, err := l.open("mine")
		if err != nil {
			probe.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		if !slices.Contains(opened.GetStreamVerbs(), string(sdk.Verify)) {
			return
		}
		answers := l.stream("mine", right, wrong)
		for index, want := range wants {
			var got []string
			for _, answer := range answers {
				if answer.GetNumber() == uint64(index) {
					got = append(got, verdictOf(wire.DecodeReceipt(answer.GetReceipt()), want))
				}
			}
			if !slices.Equal(got, []string{""}) {
				probe.fail("a verify in a frame: the answers %q, want one of %v", got, want)
			}
		}
	})
	probe.wantHolds(text, value, "two verifies in a frame")
}

// verdictOf is "" for one of the verdicts.
func verdictOf(receipt sdk.Receipt, want []sdk.Verdict) string {
	if receipt.Outcome == sdk.Applied && slices.Contains(want, receipt.Verdict) {
		return ""
	}
	return said(receipt) + " " + receipt.Verdict.String()
}

// noTraces does operations while it watches what others could see.
func noTraces(probe *probe) {
	process := probe.plugin.(watchable).watched()
	secrets := []string{canary}
	for _, value := range probe.target.Config.Secrets {
		secrets = append(secrets, value.Reveal())
	}
	subject, first := probe.open(), probe.target.Accounts[0]
	traces := follow(process.cmd.Process.Pid)
	was := known(probe, subject, first)
	for range 3 {
		subject.apply(probe.t.Context(), anyOp(probe, first, canary))
		if probe.can(sdk.CanVerify) {
			_, _ = subject.verify(probe.t.Context(), first, probe.kind(), secret.New(canary))
		}
	}
	secrets = append(secrets, was)
	for _, seen := range traces.end() {
		wantClean(probe, "the arguments or the environment of a process", seen, secrets...)
	}
	for name, text := range left(process.dir) {
		wantClean(probe, "the file "+name, text, secrets...)
	}
}

// watchable is a plugin in a process of its own.
type watchable interface{ watched() *process }

// noRawLeaks provokes refusals whose answers the host's end has not scrubbed.
func noRawLeaks(probe *probe) {
	name := probe.target.Accounts[0]
	onLine(probe, func(l line) {
		if err := l.configure("mine"); err != nil {
			probe.stop("Configure: %v", err)
		}
		defer func() { _ = l.close("mine") }()
		for what, edit := range provocations(probe) {
			op := anyOp(probe, name, canary)
			edit(&op)
			receipt, err := l.apply("mine", op)
			text := texts(receipt)
			if err != nil {
				text = err.Error()
			}
			wantClean(probe, "the answer to "+what, text, canary, canary+"-old")
		}
	})
	wantClean(probe, "what the plugin printed", probe.plugin.logged(), canary)
}

// provocations turn an operation with the canary into a refused one.
func provocations(probe *probe) map[string]func(*sdk.Operation) {
	return map[string]func(*sdk.Operation){
		"a change from a wrong value": func(op *sdk.Operation) { op.Verb, op.Old = sdk.Change, secret.New(canary+"-old") },
		"an unknown kind":             func(op *sdk.Operation) { op.Kind = "no-such-kind" },
		"an unknown hash format":      func(op *sdk.Operation) { op.HashFormat = "no-such-format" },
		"an unknown verb":             func(op *sdk.Operation) { op.Verb = "delete" },
		"a very long value":           func(op *sdk.Operation) { op.Value = secret.New(longCanary) },
		"a missing account":           func(op *sdk.Operation) { op.Account = probe.target.Missing },
		"a hostile account":           func(op *sdk.Operation) { op.Account = "no/such,account*" },
	}
}
