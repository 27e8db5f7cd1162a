package dial

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one configured instance in a plugin process. Its methods are safe
// for concurrent use.
//
// A question of a worker (Ask, Find, Policy, Verify, Generate) has
// the deadline of its context, and of Config.Timeout for itself and everything
// before it, whichever is earlier.
type Instance struct {
	client    *Client
	name      string
	config    sdk.Config
	abilities []sdk.Ability
	load      load

	stream *stream // nil: the plugin cannot, operations go one by one
	single *single
	asks   bool // the stream takes verifies
	done   chan struct{}
	ends   sync.Once
	mu     sync.Mutex // of closed, and of wg's counter against its waiter
	closed bool
	wg     sync.WaitGroup
	ctx    context.Context // of everything this instance runs
	stop   context.CancelFunc
}

// grace is how long after its deadline a plugin may still answer.
const grace = 2 * time.Second

// watch ends the instance with its process.
func (i *Instance) watch() {
	select {
	case <-i.client.options.Gone:
		i.end()
	case <-i.ctx.Done():
	}
}

func (i *Instance) end() { i.ends.Do(func() { close(i.done) }) }

func (i *Instance) hasEnded() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// Abilities returns what this instance can do, as the plugin answered when it
// was configured.
func (i *Instance) Abilities() []sdk.Ability { return i.abilities }

// Done is closed when the instance's process or stream is gone, or Close was
// called.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Overdue reports whether the plugin is stuck: it owes answers and stayed silent for
// longer than all that it owes may take, and slack; or it owes one operation's
// for longer than that and all before it may take; or it left unanswered all
// of the last questions in their time.
func (i *Instance) Overdue(now time.Time, slack time.Duration) bool {
	owed, since := i.load.state()
	switch {
	case owed == 0:
		return false
	case now.Sub(since) > i.rounds(owed)+slack, i.load.missed.Load() >= missedMost:
		return true
	}
	return i.stream != nil && i.stream.late(now.Add(-slack))
}

// missedMost is how many questions in a row may get no answer at all.
const missedMost = 2

// rounds is how long count operations may take.
func (i *Instance) rounds(count int64) time.Duration {
	number := int64(i.config.Concurrency)
	return i.config.Timeout * time.Duration((count+number-1)/number)
}

// Submit sends operations with the verbs Set, Change and Verify, in any mixture.
// answer is called exactly once for each count of ops, from any goroutine, in any
// order, maybe before Submit returns; it must not block. Submit blocks for the
// transport's flow control; what a plugin does not take in frames waits for one
// of Config.Concurrency calls as well.
//
// An operation that never reached the connection is Refused with
// Unreachable, a sent one without an answer is Unknown with ConnectionLost.
// The receipt of a Verify is Applied, with a Verdict, if the plugin asked the
// target; whatever else it is, nothing changed.
func (i *Instance) Submit(ops []sdk.Operation, answer func(count int, receipt sdk.Receipt)) {
	if i.stream == nil {
		i.single.submitAll(ops, nil, answer)
		return
	}
	framed, places := ops, []int(nil)
	var verifies []int
	if !i.asks {
		framed, places, verifies = apart(ops)
	}
	for from := 0; from < len(framed); from += wire.FrameOperations {
		i.stream.submit(framed[from:min(len(framed), from+wire.FrameOperations)], func(count int, receipt sdk.Receipt) {
			if count += from; places != nil {
				count = places[count]
			}
			answer(count, receipt)
		})
	}
	if len(verifies) > 0 {
		i.single.submitAll(ops, verifies, answer)
	}
}

// apart returns the operations that change something, with their places, and the
// places of the verifies. Without a verify it returns no places.
func apart(ops []sdk.Operation) (changes []sdk.Operation, places, verifies []int) {
	isVerify := func(op sdk.Operation) bool { return op.Verb == sdk.Verify }
	if !slices.ContainsFunc(ops, isVerify) {
		return ops, nil, nil
	}
	for index, op := range ops {
		if isVerify(op) {
			verifies = append(verifies, index)
			continue
		}
		changes, places = append(changes, op), append(places, index)
	}
	return changes, places, verifies
}

// run starts a goroutine that Close waits for, unless the instance has ended.
func (i *Instance) run(call func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.hasEnded() {
		return false
	}
	i.wg.Go(call)
	return true
}

// Ask carries out an operation of one of sdk.AskedVerbs.
func (i *Instance) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.operation(ctx, "/"+pb.Backend_ServiceDesc.ServiceName+"/"+op.Verb.Method(), op)
}

// operation makes one unary call that may change the target, and knows whether
// it was handed to the connection.
func (i *Instance) operation(parent context.Context, method string, op sdk.Operation) sdk.Receipt {
	operation, err := wire.EncodeOperation(op)
	if err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "%s", err))
	}
	if i.hasEnded() {
		return sdk.Refuse(sdk.Errorf(sdk.Unreachable, "not sent: the plugin is gone"))
	}
	i.client.redact.Note(op.Value, op.Old)
	ctx, cancel := i.deadline(parent)
	defer cancel()
	i.load.begin(1)
	var out pb.ApplyResponse
	sent, err := i.client.call(ctx, method, &pb.ApplyRequest{Instance: i.name, Operation: operation}, &out)
	i.over(parent, err)
	switch {
	case err == nil:
		receipt := i.client.receipt(out.GetReceipt())
		receipt.Verdict = sdk.CannotTell // only a verify has one
		return receipt
	case !sent, status.Code(err) == codes.Unimplemented:
		return sdk.Refuse(i.client.failed(ctx, "not sent", err))
	}
	return sdk.Lost(i.lost(ctx, err))
}

// over notes the end of a unary call: whether the plugin gave it, or did not
// although its caller still waited.
func (i *Instance) over(parent context.Context, err error) {
	switch status.Code(err) {
	default:
		i.load.answered(1)
		return
	case codes.DeadlineExceeded:
		if parent.Err() == nil {
			i.load.missed.Add(1)
		}
	case codes.Canceled, codes.Unavailable:
	}
	i.load.dropped(1)
}

// lost is why a sent operation got no answer.
func (i *Instance) lost(ctx context.Context, err error) *sdk.Error {
	switch code := status.Code(err); {
	case i.ctx.Err() != nil:
		return sdk.Errorf(sdk.ConnectionLost, "%s before it answered", errClosed)
	case errors.Is(ctx.Err(), context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up after it was sent")
	case ctx.Err() != nil, code == codes.DeadlineExceeded:
		return sdk.Errorf(sdk.Timeout, "no answer from the plugin")
	case code == codes.Unavailable, code == codes.Canceled:
		return sdk.Errorf(sdk.ConnectionLost, "%s", i.client.reason(err))
	default:
		return sdk.Errorf(sdk.Internal, "%s", i.client.reason(err))
	}
}

// deadline bounds a question to a worker: its own time and that of all
// before it.
func (i *Instance) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	owed, _ := i.load.state()
	return context.WithTimeout(ctx, i.rounds(owed+1)+grace)
}

// question makes a unary call that changes nothing.
func question[R interface{ GetError() *pb.Error }](parent context.Context, instance *Instance, what string, call func(context.Context) (R, error)) (R, error) {
	ctx, cancel := instance.deadline(parent)
	defer cancel()
	instance.load.begin(1)
	r, err := call(ctx)
	instance.over(parent, err)
	if err != nil {
		return r, instance.client.failed(ctx, what, err)
	}
	if failure := instance.client.redact.Error(wire.DecodeError(r.GetError())); failure != nil {
		return r, failure
	}
	return r, nil
}

// Find returns the state of an account. The error is an *sdk.Error.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	findResponse, err := question(ctx, i, "find", func(ctx context.Context) (*pb.FindResponse, error) {
		return i.client.rpc.Find(ctx, &pb.FindRequest{Instance: i.name, Account: account})
	})
	if err != nil {
		return sdk.Account{}, err
	}
	if findResponse.GetAccount() == nil {
		return sdk.Account{}, sdk.Errorf(sdk.Internal, "the plugin answered a find with nothing")
	}
	a := i.client.redact.Account(wire.DecodeAccount(findResponse.GetAccount()), account)
	a.Attributes, a.Lists = i.client.redact.Attributes(a.Attributes, nil), i.client.redact.Lists(a.Lists, nil)
	return a, nil
}

// Resolve returns one Identity a name, in the same order. The error is an
// *sdk.Error.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	resolveResponse, err := question(ctx, i, "resolve", func(ctx context.Context) (*pb.ResolveResponse, error) {
		return i.client.rpc.Resolve(ctx, &pb.ResolveRequest{Instance: i.name, Accounts: names})
	})
	if err != nil {
		return nil, err
	}
	if len(resolveResponse.GetIdentities()) != len(names) {
		return nil, sdk.Errorf(sdk.Internal, "the plugin resolved %d names, want %d", len(resolveResponse.GetIdentities()), len(names))
	}
	found := make([]sdk.Identity, len(names))
	for index, identity := range resolveResponse.GetIdentities() {
		found[index] = wire.DecodeIdentity(identity)
		found[index].Err = i.client.redact.Error(found[index].Err)
	}
	return found, nil
}

// Policy returns the rules that the target will enforce. The error is an
// *sdk.Error.
func (i *Instance) Policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	policyResponse, err := question(ctx, i, "policy", func(ctx context.Context) (*pb.PolicyResponse, error) {
		return i.client.rpc.Policy(ctx, &pb.PolicyRequest{Instance: i.name, Account: account, Kind: kind})
	})
	if err != nil {
		return sdk.Policy{}, err
	}
	return i.client.redact.Policy(wire.DecodePolicy(policyResponse.GetPolicy())), nil
}

// Verify asks the target once whether it accepts a value. The error is an
// *sdk.Error.
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	i.client.redact.Note(value)
	verifyResponse, err := question(ctx, i, "verify", func(ctx context.Context) (*pb.VerifyResponse, error) {
		return i.client.rpc.Verify(ctx, &pb.VerifyRequest{Instance: i.name, Account: account, Kind: kind, Value: wire.EncodeSecret(value)})
	})
	if err != nil {
		return sdk.CannotTell, err
	}
	return wire.DecodeVerdict(verifyResponse.GetVerdict()), nil
}

// Generate returns count values that the target would accept. The error is an
// *sdk.Error.
func (i *Instance) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	generateResponse, err := question(ctx, i, "generate", func(ctx context.Context) (*pb.GenerateResponse, error) {
		return i.client.rpc.Generate(ctx, &pb.GenerateRequest{Instance: i.name, Kind: kind, Count: int64(count)})
	})
	if err != nil {
		return nil, err
	}
	if len(generateResponse.GetValues()) != count {
		return nil, sdk.Errorf(sdk.Internal, "the plugin generated %d values, want %d", len(generateResponse.GetValues()), count)
	}
	values := make([]secret.Value, 0, count)
	for _, s := range generateResponse.GetValues() {
		values = append(values, wire.DecodeSecret(s))
	}
	i.client.redact.Note(values...)
	return values, nil
}

// Check returns mistakes and facts worth knowing. A plugin that cannot be asked is
// a bad finding.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	ctx, cancel := context.WithTimeout(ctx, i.config.Timeout+grace)
	defer cancel()
	checkResponse, err := i.client.rpc.Check(ctx, &pb.CheckRequest{Instance: i.name})
	if err != nil {
		failure := i.client.failed(ctx, "check", err)
		return []sdk.Finding{{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}}
	}
	var out []sdk.Finding
	for _, finding := range checkResponse.GetFindings() {
		out = append(out, i.client.redact.Finding(wire.DecodeFinding(finding)))
	}
	return out
}

// List calls yield for each account that the filter selects, and stops at and
// returns its error. The plugin may take Config.Timeout and a few seconds from
// one piece to the next. Any other error is an *sdk.Error.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	return i.Accounts(ctx, filter, attributes, nil, yield)
}

// Accounts is List with the names of the secret attributes: what these
// hold is not scrubbed.
func (i *Instance) Accounts(ctx context.Context, filter string, attributes, secrets []string, yield func(sdk.Account) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(i.config.Timeout+grace, func() { cancel(errIdle) })
	defer idle.Stop()
	serverStreamingClient, err := i.client.rpc.List(ctx, &pb.ListRequest{Instance: i.name, Filter: filter, Attributes: attributes})
	for err == nil {
		var piece *pb.ListResponse
		if piece, err = serverStreamingClient.Recv(); err != nil {
			break
		}
		idle.Stop()
		for _, account := range piece.GetAccounts() {
			if err := yield(i.client.account(account, secrets)); err != nil {
				return err
			}
		}
		if failure := i.client.redact.Error(wire.DecodeError(piece.GetError())); failure != nil {
			return failure
		}
		idle.Reset(i.config.Timeout + grace)
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(context.Cause(ctx), errIdle):
		return sdk.Errorf(sdk.Timeout, "list: no more accounts within %s", i.config.Timeout+grace)
	}
	return i.client.failed(ctx, "list", err)
}

var (
	errIdle   = errors.New("idle")
	errClosed = errors.New("the instance was closed")
)

func (i *Instance) isClosed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.closed
}

// Close ends the instance: what runs may end within the given time. Operations
// that were sent and are not answered by then are Unknown. It may be called
// again.
func (i *Instance) Close() error { return i.CloseWithin(closeGrace) }

// closeGrace is how long Close lets operations run.
const closeGrace = time.Second

// CloseWithin is Close with another time.
func (i *Instance) CloseWithin(span time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), span+closeGrace/2)
	defer cancel()
	defer i.wg.Wait()
	defer i.stop()
	defer i.end()
	defer context.AfterFunc(ctx, i.stop)() // frees who waits for flow control
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	if i.hasEnded() {
		return nil
	}
	_, err := i.client.rpc.Close(ctx, &pb.CloseRequest{Instance: i.name, GraceNs: int64(span)})
	if i.stream != nil {
		i.stream.close(ctx)
	}
	if err != nil {
		return i.client.failed(ctx, "close", err)
	}
	return nil
}

// message is the text of a gRPC error without its decoration.
func message(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	if s.Code() == codes.Unavailable {
		return "the connection was lost"
	}
	return s.Message()
}

// load counts the answers that a plugin owes.
type load struct {
	born   time.Time
	owed   atomic.Int64
	since  atomic.Int64 // when the last answer came, or the first debt, after born: no change of the system's clock alters it
	missed atomic.Int64 // questions without an answer since the last answer
}

func (l *load) begin(count int) {
	if l.owed.Add(int64(count)) == int64(count) {
		l.since.Store(int64(time.Since(l.born)))
	}
}

// answered takes count off that were answered.
func (l *load) answered(count int) {
	l.since.Store(int64(time.Since(l.born)))
	l.missed.Store(0)
	l.dropped(count)
}

// dropped takes off count operations whose callers have gone.
func (l *load) dropped(count int) { l.owed.Add(-int64(count)) }

func (l *load) state() (owed int64, since time.Time) {
	return l.owed.Load(), l.born.Add(time.Duration(l.since.Load()))
}
