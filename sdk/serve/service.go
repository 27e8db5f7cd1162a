package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
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
	backend sdk.Backend
	redact  *wire.Redactor
	stderr  io.Writer
	log     *slog.Logger

	mu        sync.Mutex
	instances map[string]*instance
	closed    bool
}

func newService(b sdk.Backend, stderr io.Writer) *service {
	s := &service{backend: b, redact: &wire.Redactor{}, stderr: stderr, instances: map[string]*instance{}}
	s.log = newLogger(stderr, s.redact, hclog.Info)
	return s
}

func (s *service) register(g *grpc.Server) { pb.RegisterBackendServer(g, s) }

// close ends every instance at once.
func (s *service) close(grace time.Duration) {
	s.mu.Lock()
	s.closed = true
	all := s.instances
	s.instances = map[string]*instance{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, i := range all {
		wg.Go(func() { i.close(grace) })
	}
	wg.Wait()
}

func (s *service) instance(name string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instances[name]
	if i == nil {
		return nil, status.Errorf(codes.NotFound, "there is no instance %q", name)
	}
	return i, nil
}

// Describe tells what the backend says of itself.
func (s *service) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	d, e := s.describe()
	if e != nil {
		return nil, status.Error(codes.Internal, s.redact.Scrub(e.Error()))
	}
	p, err := wire.EncodeDescription(s.redact.Description(d))
	if err != nil {
		return nil, status.Error(codes.Internal, s.redact.Scrub(err.Error()))
	}
	return &pb.DescribeResponse{Description: p}, nil
}

func (s *service) describe() (d sdk.Description, e *sdk.Error) {
	e = s.guard("Describe", func() { d = s.backend.Describe() })
	return d, e
}

// Configure opens an instance.
func (s *service) Configure(ctx context.Context, in *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	d, err := s.describe()
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	c, err := s.config(d, in)
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	inst, err := s.configure(ctx, c)
	if err != nil {
		return &pb.ConfigureResponse{Error: s.error(err)}, nil
	}
	i := newInstance(s, inst, c, d.Limits.Batch)
	if refused := s.add(in.GetInstance(), i); refused != nil {
		i.close(0)
		return nil, refused
	}
	return &pb.ConfigureResponse{Abilities: wire.EncodeAbilities(s.redact.Abilities(sdk.AbilitiesOf(inst))), Stream: true, StreamVerbs: []string{string(sdk.Verify)}}, nil
}

func (s *service) configure(ctx context.Context, c sdk.Config) (inst sdk.Instance, e *sdk.Error) {
	var err error
	if e := s.guard("Configure", func() { inst, err = s.backend.Configure(ctx, c) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, sdk.AsError(err, sdk.InvalidConfig)
	}
	if inst == nil {
		return nil, sdk.Errorf(sdk.Internal, "Configure returned neither an instance nor an error")
	}
	return inst, nil
}

// config checks the settings against the description once more: the host may
// be older than the plugin, or not be rekey.
func (s *service) config(d sdk.Description, in *pb.ConfigureRequest) (sdk.Config, *sdk.Error) {
	secrets := wire.DecodeSecrets(in.GetSecrets())
	given := wire.DecodeValues(in.GetValues())
	if given == nil {
		given = map[string]any{}
	}
	for name, v := range secrets {
		s.redact.Keep(v)
		given[name] = v
	}
	values, problems := sdk.Fill(d.Config, given)
	if len(problems) > 0 {
		return sdk.Config{}, sdk.Errorf(sdk.InvalidConfig, "%s", problems[0].Error())
	}
	c := sdk.Config{
		Label: in.GetLabel(), Values: map[string]any{}, Secrets: map[string]secret.Value{},
		Concurrency: int(max(1, min(in.GetConcurrency(), 1<<16))), Timeout: time.Duration(in.GetTimeoutNs()),
		Log: newLogger(s.stderr, s.redact, parseLevel(in.GetLogLevel())).With("instance", in.GetLabel()),
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	for name, v := range values {
		if v, ok := v.(secret.Value); ok {
			c.Secrets[name] = v
			continue
		}
		c.Values[name] = v
	}
	return c, nil
}

func (s *service) add(name string, i *instance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return status.Error(codes.Unavailable, "the plugin is ending")
	}
	if s.instances[name] != nil {
		return status.Errorf(codes.AlreadyExists, "there is an instance %q already", name)
	}
	s.instances[name] = i
	return nil
}

// Close ends an instance.
func (s *service) Close(_ context.Context, in *pb.CloseRequest) (*pb.CloseResponse, error) {
	s.mu.Lock()
	i := s.instances[in.GetInstance()]
	delete(s.instances, in.GetInstance())
	s.mu.Unlock()
	if i == nil {
		return &pb.CloseResponse{}, nil
	}
	return &pb.CloseResponse{Unfinished: i.close(time.Duration(in.GetGraceNs()))}, nil
}

// Apply does one operation.
func (s *service) Apply(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.one(ctx, in, func(i *instance, op sdk.Operation, answer func(sdk.Receipt)) {
		i.submit([]*job{i.applyJob(ctx, op, answer)})
	})
}

// Reset lets the target pick the value.
func (s *service) Reset(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.one(ctx, in, func(i *instance, op sdk.Operation, answer func(sdk.Receipt)) {
		r, ok := i.inst.(sdk.Resetter)
		if !ok {
			answer(sdk.Refuse(unsupported("reset")))
			return
		}
		i.submit([]*job{i.task(ctx, "Reset", answer, func(ctx context.Context) sdk.Receipt { return r.Reset(ctx, op) })})
	})
}

// Unlock lifts a lock.
func (s *service) Unlock(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return s.one(ctx, in, func(i *instance, op sdk.Operation, answer func(sdk.Receipt)) {
		u, ok := i.inst.(sdk.Unlocker)
		if !ok {
			answer(sdk.Refuse(unsupported("unlock")))
			return
		}
		i.submit([]*job{i.task(ctx, "Unlock", answer, func(ctx context.Context) sdk.Receipt { return u.Unlock(ctx, op) })})
	})
}

func unsupported(what string) *sdk.Error {
	return sdk.Errorf(sdk.Unsupported, "this backend has no %s", what)
}

// one decodes an operation, has it done and encodes its receipt.
func (s *service) one(ctx context.Context, in *pb.ApplyRequest, do func(*instance, sdk.Operation, func(sdk.Receipt))) (*pb.ApplyResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	op := wire.DecodeOperation(in.GetOperation())
	s.redact.Note(op.Value, op.Old)
	got := make(chan sdk.Receipt, 1)
	do(i, op, func(r sdk.Receipt) { got <- r })
	return &pb.ApplyResponse{Receipt: s.encode(<-got)}, nil
}

// encode scrubs the texts of a receipt and encodes it.
func (s *service) encode(r sdk.Receipt) *pb.Receipt {
	s.redact.Note(r.Value)
	return wire.EncodeReceipt(s.redact.Receipt(r))
}

// Find reads one account.
func (s *service) Find(ctx context.Context, in *pb.FindRequest) (*pb.FindResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	f, ok := i.inst.(sdk.Finder)
	if !ok {
		return &pb.FindResponse{Error: wire.EncodeError(unsupported("find"))}, nil
	}
	a, e := ask(ctx, i, "Find", func(ctx context.Context) (sdk.Account, error) { return f.Find(ctx, in.GetAccount()) })
	if e != nil {
		return &pb.FindResponse{Error: s.error(e)}, nil
	}
	a = s.redact.Account(a, in.GetAccount())
	a.Attributes, a.Lists = s.redact.Attributes(a.Attributes, nil), s.redact.Lists(a.Lists, nil)
	return &pb.FindResponse{Account: wire.EncodeAccount(a)}, nil
}

// Resolve tells which accounts names mean. It waits for no worker: an operation
// of somebody else's may take as long as it likes.
func (s *service) Resolve(ctx context.Context, in *pb.ResolveRequest) (*pb.ResolveResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	r, ok := i.inst.(sdk.Resolver)
	if !ok {
		return &pb.ResolveResponse{Error: wire.EncodeError(unsupported("resolve"))}, nil
	}
	var found []sdk.Identity
	ctx, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	e := i.visit(ctx, "Resolve", func(ctx context.Context) { found, err = r.Resolve(ctx, in.GetAccounts()) })
	if e == nil && err != nil {
		e = sdk.AsError(err, sdk.TargetError)
	}
	if e == nil && len(found) != len(in.GetAccounts()) {
		e = sdk.Errorf(sdk.Internal, "the backend gave %d identities for %d names", len(found), len(in.GetAccounts()))
	}
	if e != nil {
		return &pb.ResolveResponse{Error: s.error(e)}, nil
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
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	r, ok := i.inst.(sdk.PolicyReader)
	if !ok {
		return &pb.PolicyResponse{Error: wire.EncodeError(unsupported("policy"))}, nil
	}
	p, e := ask(ctx, i, "Policy", func(ctx context.Context) (sdk.Policy, error) { return r.Policy(ctx, in.GetAccount(), in.GetKind()) })
	if e != nil {
		return &pb.PolicyResponse{Error: s.error(e)}, nil
	}
	return &pb.PolicyResponse{Policy: wire.EncodePolicy(s.redact.Policy(p))}, nil
}

// Verify asks the target whether it accepts a value.
func (s *service) Verify(ctx context.Context, in *pb.VerifyRequest) (*pb.VerifyResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	v, ok := i.inst.(sdk.Verifier)
	if !ok {
		return &pb.VerifyResponse{Error: wire.EncodeError(unsupported("verify"))}, nil
	}
	value := wire.DecodeSecret(in.GetValue())
	s.redact.Note(value)
	verdict, e := ask(ctx, i, "Verify", func(ctx context.Context) (sdk.Verdict, error) {
		return v.Verify(ctx, in.GetAccount(), in.GetKind(), value)
	})
	if e != nil {
		return &pb.VerifyResponse{Error: s.error(e)}, nil
	}
	return &pb.VerifyResponse{Verdict: wire.EncodeVerdict(verdict)}, nil
}

// Generate asks the target for values.
func (s *service) Generate(ctx context.Context, in *pb.GenerateRequest) (*pb.GenerateResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	g, ok := i.inst.(sdk.Generator)
	if !ok {
		return &pb.GenerateResponse{Error: wire.EncodeError(unsupported("generator"))}, nil
	}
	values, e := ask(ctx, i, "Generate", func(ctx context.Context) ([]secret.Value, error) {
		return g.Generate(ctx, in.GetKind(), int(in.GetCount()))
	})
	s.redact.Note(values...)
	if e != nil {
		return &pb.GenerateResponse{Error: s.error(e)}, nil
	}
	out := &pb.GenerateResponse{}
	for _, v := range values {
		out.Values = append(out.Values, wire.EncodeSecret(secret.New(v.Reveal())))
	}
	return out, nil
}

// Check asks whether the instance can do its job. It waits for no worker: a
// busy instance can be asked too.
func (s *service) Check(ctx context.Context, in *pb.CheckRequest) (*pb.CheckResponse, error) {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return nil, err
	}
	c, ok := i.inst.(sdk.Checker)
	if !ok {
		return &pb.CheckResponse{}, nil
	}
	var findings []sdk.Finding
	if e := i.visit(ctx, "Check", func(ctx context.Context) { findings = c.Check(ctx) }); e != nil {
		findings = []sdk.Finding{{Severity: sdk.Bad, Code: e.Code, Message: e.Message}}
	}
	out := &pb.CheckResponse{}
	for _, f := range findings {
		out.Findings = append(out.Findings, wire.EncodeFinding(s.redact.Finding(f)))
	}
	return out, nil
}

// List streams accounts in pieces. It takes no worker, because it may last as
// long as its reader likes.
func (s *service) List(in *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
	i, err := s.instance(in.GetInstance())
	if err != nil {
		return err
	}
	l, ok := i.inst.(sdk.Lister)
	if !ok {
		return to.Send(&pb.ListResponse{Error: wire.EncodeError(unsupported("list"))})
	}
	p := &pieces{to: to, redact: s.redact, last: time.Now()}
	e := i.visit(to.Context(), "List", func(ctx context.Context) {
		err = l.List(ctx, in.GetFilter(), in.GetAttributes(), p.yield)
	})
	if e == nil && err != nil {
		e = sdk.AsError(err, sdk.TargetError)
	}
	if p.err != nil {
		return p.err
	}
	p.piece.Error = s.error(e)
	return p.flush()
}

func (s *service) error(e *sdk.Error) *pb.Error { return wire.EncodeError(s.redact.Error(e)) }

// guard turns a panic of the backend into an error that tells nothing of the
// values that were at hand; the log has the rest, scrubbed.
func (s *service) guard(method string, do func()) (e *sdk.Error) {
	defer func() {
		if v := recover(); v != nil {
			e = panicked(s.log, method, v)
		}
	}()
	do()
	return nil
}

func panicked(log *slog.Logger, method string, v any) *sdk.Error {
	log.Error("the backend panicked", "method", method, "panic", fmt.Sprint(v), "stack", stack())
	return sdk.Errorf(sdk.Internal, "the backend panicked in %s (%T); its log has the rest", method, v)
}
