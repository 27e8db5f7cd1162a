package serve

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// service is the gRPC side of one backend: which instances there are, and the
// translation of each call.
type service struct {
	pb.UnimplementedBackendServer
	*guarded

	mu        sync.Mutex
	instances map[string]*instance
	closed    bool
}

func newService(backend sdk.Backend, stderr io.Writer) *service {
	return &service{guarded: newGuarded(backend, stderr), instances: map[string]*instance{}}
}

func (s *service) register(server *grpc.Server) { pb.RegisterBackendServer(server, s) }

// close ends every instance at once.
func (s *service) close(grace time.Duration) {
	s.mu.Lock()
	s.closed = true
	all := s.instances
	s.instances = map[string]*instance{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, instance := range all {
		wg.Go(func() { instance.close(grace) })
	}
	wg.Wait()
}

func (s *service) instance(name string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	instance := s.instances[name]
	if instance == nil {
		return nil, status.Errorf(codes.NotFound, "there is no instance %q", name)
	}
	return instance, nil
}

// Describe tells what the backend says of itself.
func (s *service) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	description, failure := s.describe()
	if failure != nil {
		return nil, status.Error(codes.Internal, s.redact.Scrub(failure.Error()))
	}
	p, err := wire.EncodeDescription(s.redact.Description(description))
	if err != nil {
		return nil, status.Error(codes.Internal, s.redact.Scrub(err.Error()))
	}
	return &pb.DescribeResponse{Description: p}, nil
}

// Configure opens an instance.
func (s *service) Configure(ctx context.Context, in *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	description, err := s.describe()
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	config, err := s.config(description, in)
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	inst, err := s.configure(ctx, config)
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	instance := newInstance(s, description, inst, config)
	if refused := s.add(in.GetInstance(), instance); refused != nil {
		instance.close(0)
		return nil, refused
	}
	return &pb.ConfigureResponse{Abilities: wire.EncodeAbilities(s.redact.Abilities(sdk.AbilitiesOf(inst))), Stream: true, StreamVerbs: []string{string(sdk.Verify)}}, nil
}

func (s *service) add(name string, instance *instance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return status.Error(codes.Unavailable, "the plugin is ending")
	}
	if s.instances[name] != nil {
		return status.Errorf(codes.AlreadyExists, "there is an instance %q already", name)
	}
	s.instances[name] = instance
	return nil
}

// Close ends an instance.
func (s *service) Close(_ context.Context, in *pb.CloseRequest) (*pb.CloseResponse, error) {
	s.mu.Lock()
	instance := s.instances[in.GetInstance()]
	delete(s.instances, in.GetInstance())
	s.mu.Unlock()
	if instance == nil {
		return &pb.CloseResponse{}, nil
	}
	return &pb.CloseResponse{Unfinished: instance.close(time.Duration(in.GetGraceNs()))}, nil
}

// Apply does one operation.
func (s *service) Apply(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.one(ctx, in, func(i *instance, op sdk.Operation, answer func(sdk.Receipt)) {
		i.submit([]*job{i.applyJob(ctx, op, answer)})
	})
}

// ApplyStream does operations as their frames come.
func (s *service) ApplyStream(stream grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]) error {
	frame, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	instance, err := s.instance(frame.GetInstance())
	if err != nil {
		return err
	}
	in := inbox{service: s, instance: instance, stream: stream, out: newOutbox(stream, instance.pool)}
	defer context.AfterFunc(stream.Context(), func() { instance.watch.caller(stream.Context()) })()
	for err == nil {
		in.accept(frame)
		frame, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		in.out.open.Wait()
		return in.out.close()
	}
	_ = in.out.close()
	return err
}

// Reset lets the target pick the value.
func (s *service) Reset(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.ask(ctx, in, sdk.Reset)
}

// Unlock lifts a lock.
func (s *service) Unlock(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.ask(ctx, in, sdk.Unlock)
}

// Revoke ends the sessions of an account.
func (s *service) Revoke(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.ask(ctx, in, sdk.Revoke)
}

// ask has an operation done by the method of its verb.
func (s *service) ask(ctx context.Context, in *pb.ApplyRequest, verb sdk.Verb) (*pb.ApplyResponse, error) {
	return s.one(ctx, in, func(i *instance, op sdk.Operation, answer func(sdk.Receipt)) {
		method := sdk.MethodOf(i.inst, verb)
		if method == nil {
			answer(sdk.Refuse(unsupported(string(verb))))
			return
		}
		op.Verb = verb
		if failure := i.described.Refusal(op); failure != nil {
			answer(sdk.Refuse(failure))
			return
		}
		i.submit([]*job{i.task(ctx, verb.Method(), answer, func(ctx context.Context) sdk.Receipt { return method(ctx, op) })})
	})
}

func unsupported(what string) *sdk.Error {
	return sdk.Errorf(sdk.Unsupported, "this backend has no %s", what)
}

// one decodes an operation, has it done and encodes its receipt.
func (s *service) one(ctx context.Context, in *pb.ApplyRequest, do func(*instance, sdk.Operation, func(sdk.Receipt))) (*pb.ApplyResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	op := wire.DecodeOperation(in.GetOperation())
	s.redact.Note(op.Value, op.Old)
	got := make(chan sdk.Receipt, 1)
	do(instance, op, func(receipt sdk.Receipt) { got <- receipt })
	return &pb.ApplyResponse{Receipt: s.encode(<-got)}, nil
}

// encode scrubs the texts of a receipt and encodes it.
func (s *service) encode(receipt sdk.Receipt) *pb.Receipt {
	s.redact.Note(receipt.Value)
	return wire.EncodeReceipt(s.redact.Receipt(receipt))
}

// Find reads one account.
func (s *service) Find(ctx context.Context, in *pb.FindRequest) (*pb.FindResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	finder, ok := instance.inst.(sdk.Finder)
	if !ok {
		return &pb.FindResponse{Error: wire.EncodeError(unsupported("find"))}, nil
	}
	account, failure := ask(ctx, instance, "Find", func(ctx context.Context) (sdk.Account, error) { return finder.Find(ctx, in.GetAccount()) })
	if failure != nil {
		return &pb.FindResponse{Error: s.error(failure)}, nil
	}
	account = s.redact.Account(account, in.GetAccount())
	account.Attributes, account.Lists = s.redact.Attributes(account.Attributes, nil), s.redact.Lists(account.Lists, nil)
	return &pb.FindResponse{Account: wire.EncodeAccount(account)}, nil
}

// Resolve tells which accounts names mean. It waits for no worker: an operation
// of another caller may take as long as it likes.
func (s *service) Resolve(ctx context.Context, in *pb.ResolveRequest) (*pb.ResolveResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	resolver, ok := instance.inst.(sdk.Resolver)
	if !ok {
		return &pb.ResolveResponse{Error: wire.EncodeError(unsupported("resolve"))}, nil
	}
	var found []sdk.Identity
	ctx, cancel := context.WithTimeout(ctx, instance.timeout)
	defer cancel()
	failure := instance.visit(ctx, "Resolve", func(ctx context.Context) { found, err = resolver.Resolve(ctx, in.GetAccounts()) })
	if failure == nil && err != nil {
		failure = sdk.AsError(err, sdk.TargetError)
	}
	if failure == nil && len(found) != len(in.GetAccounts()) {
		failure = sdk.Errorf(sdk.Internal, "the backend gave %d identities for %d names", len(found), len(in.GetAccounts()))
	}
	if failure != nil {
		return &pb.ResolveResponse{Error: s.error(failure)}, nil
	}
	out := &pb.ResolveResponse{}
	for _, who := range found {
		who.Err = s.redact.Error(who.Err)
		out.Identities = append(out.Identities, wire.EncodeIdentity(who))
	}
	return out, nil
}

// Policy reads the rules of the target.
func (s *service) Policy(ctx context.Context, in *pb.PolicyRequest) (*pb.PolicyResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	policyReader, ok := instance.inst.(sdk.PolicyReader)
	if !ok {
		return &pb.PolicyResponse{Error: wire.EncodeError(unsupported("policy"))}, nil
	}
	policy, failure := ask(ctx, instance, "Policy", func(ctx context.Context) (sdk.Policy, error) {
		return policyReader.Policy(ctx, in.GetAccount(), in.GetKind())
	})
	if failure != nil {
		return &pb.PolicyResponse{Error: s.error(failure)}, nil
	}
	return &pb.PolicyResponse{Policy: wire.EncodePolicy(s.redact.Policy(policy))}, nil
}

// Verify asks the target whether it accepts a value.
func (s *service) Verify(ctx context.Context, in *pb.VerifyRequest) (*pb.VerifyResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	verifier, ok := instance.inst.(sdk.Verifier)
	if !ok {
		return &pb.VerifyResponse{Error: wire.EncodeError(unsupported("verify"))}, nil
	}
	op := sdk.Operation{Verb: sdk.Verify, Account: in.GetAccount(), Kind: in.GetKind(), Value: wire.DecodeSecret(in.GetValue())}
	s.redact.Note(op.Value)
	if failure := instance.described.Refusal(op); failure != nil {
		return &pb.VerifyResponse{Error: s.error(failure)}, nil
	}
	verdict, failure := ask(ctx, instance, "Verify", func(ctx context.Context) (sdk.Verdict, error) {
		return verifier.Verify(ctx, op.Account, op.Kind, op.Value)
	})
	if failure != nil {
		return &pb.VerifyResponse{Error: s.error(failure)}, nil
	}
	return &pb.VerifyResponse{Verdict: wire.EncodeVerdict(verdict)}, nil
}

// Generate asks the target for values.
func (s *service) Generate(ctx context.Context, in *pb.GenerateRequest) (*pb.GenerateResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	generator, ok := instance.inst.(sdk.Generator)
	if !ok {
		return &pb.GenerateResponse{Error: wire.EncodeError(unsupported("generator"))}, nil
	}
	values, failure := ask(ctx, instance, "Generate", func(ctx context.Context) ([]secret.Value, error) {
		return generator.Generate(ctx, in.GetKind(), int(in.GetCount()))
	})
	s.redact.Note(values...)
	if failure != nil {
		return &pb.GenerateResponse{Error: s.error(failure)}, nil
	}
	out := &pb.GenerateResponse{}
	for _, value := range values {
		out.Values = append(out.Values, wire.EncodeSecret(secret.New(value.Reveal())))
	}
	return out, nil
}

// Check asks whether the instance can do its job. It waits for no worker: a
// busy instance can be asked too.
func (s *service) Check(ctx context.Context, in *pb.CheckRequest) (*pb.CheckResponse, error) {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	checker, ok := instance.inst.(sdk.Checker)
	if !ok {
		return &pb.CheckResponse{}, nil
	}
	var findings []sdk.Finding
	if failure := instance.visit(ctx, "Check", func(ctx context.Context) { findings = checker.Check(ctx) }); failure != nil {
		findings = []sdk.Finding{{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}}
	}
	out := &pb.CheckResponse{}
	for _, finding := range findings {
		out.Findings = append(out.Findings, wire.EncodeFinding(s.redact.Finding(finding)))
	}
	return out, nil
}

// List streams accounts in pieces. It takes no worker, because it may last as
// long as its reader likes.
func (s *service) List(in *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
	instance, err := s.instance(in.GetInstance())
	if err != nil {
		return err
	}
	lister, ok := instance.inst.(sdk.Lister)
	if !ok {
		return to.Send(&pb.ListResponse{Error: wire.EncodeError(unsupported("list"))})
	}
	made := &pieces{to: to, redact: s.redact, last: time.Now()}
	failure := instance.visit(to.Context(), "List", func(ctx context.Context) {
		err = lister.List(ctx, in.GetFilter(), in.GetAttributes(), made.yield)
	})
	if failure == nil && err != nil {
		failure = sdk.AsError(err, sdk.TargetError)
	}
	if made.err != nil {
		return made.err
	}
	made.piece.Error = s.error(failure)
	return made.flush()
}

func (s *service) error(failure *sdk.Error) *pb.Error {
	return wire.EncodeError(s.redact.Error(failure))
}
