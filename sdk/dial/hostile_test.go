package dial_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
)

// hostile is a plugin that speaks the contract by hand, and badly.
type hostile struct {
	pb.UnimplementedBackendServer
	unary  bool     // it has no stream
	verbs  []string // what that takes besides changes
	verify func(*pb.VerifyRequest) *pb.VerifyResponse
	stream func(grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]) error
	apply  func(context.Context, *pb.ApplyRequest) (*pb.ApplyResponse, error)
	find   func(context.Context, *pb.FindRequest) (*pb.FindResponse, error)
	list   func(*pb.ListRequest, grpc.ServerStreamingServer[pb.ListResponse]) error
	close  func(context.Context, *pb.CloseRequest) (*pb.CloseResponse, error)
}

func (h *hostile) Configure(context.Context, *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	return &pb.ConfigureResponse{Stream: !h.unary, StreamVerbs: h.verbs}, nil
}

func (h *hostile) ApplyStream(s grpc.BidiStreamingServer[pb.OperationFrame, pb.AnswerFrame]) error {
	return h.stream(s)
}

func (h *hostile) Apply(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return h.apply(ctx, in)
}

func (h *hostile) Verify(_ context.Context, in *pb.VerifyRequest) (*pb.VerifyResponse, error) {
	return h.verify(in), nil
}

func (h *hostile) Reset(ctx context.Context, in *pb.ApplyRequest) (*pb.ApplyResponse, error) {
	return h.apply(ctx, in)
}

func (h *hostile) Find(ctx context.Context, in *pb.FindRequest) (*pb.FindResponse, error) {
	return h.find(ctx, in)
}

func (h *hostile) List(in *pb.ListRequest, to grpc.ServerStreamingServer[pb.ListResponse]) error {
	return h.list(in, to)
}

func (h *hostile) Close(ctx context.Context, in *pb.CloseRequest) (*pb.CloseResponse, error) {
	if h.close != nil {
		return h.close(ctx, in)
	}
	return &pb.CloseResponse{}, nil
}

// peer is the host's side of a hostile plugin.
type peer struct {
	*dial.Instance
	log  *lines
	did  *dial.Breaches
	cut  func() // ends the connection as a dying process does
	gone chan struct{}
	read chan struct{} // for tests: closed when the host has read something
}

func against(t testing.TB, h *hostile, c sdk.Config) *peer {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer(grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.InitialWindowSize(1<<16), grpc.InitialConnWindowSize(1<<16))
	pb.RegisterBackendServer(g, h)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	p := &peer{log: &lines{}, did: &dial.Breaches{}, gone: make(chan struct{}), read: make(chan struct{})}
	p.cut = sync.OnceFunc(func() { g.Stop(); <-served; close(p.gone) })
	t.Cleanup(p.cut)
	client, closeConn, err := dial.Over(func(ctx context.Context) (net.Conn, error) { return l.DialContext(ctx) },
		dial.Options{Log: hclog.New(&hclog.LoggerOptions{Output: p.log}), Gone: p.gone, Breaches: p.did})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeConn() })
	if p.Instance, err = client.Configure(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// operations returns n operations on accounts u0, u1, …
func operations(n int) []sdk.Operation {
	ops := make([]sdk.Operation, n)
	for k := range ops {
		ops[k] = sdk.Operation{ID: account(k), Verb: sdk.Set, Account: account(k)}
	}
	return ops
}

// tally counts the answers of operations.
type tally struct {
	mu       sync.Mutex
	receipts [][]sdk.Receipt
	left     int
	all      chan struct{} // closed when every operation has an answer
}

func newTally(n int) *tally {
	t := &tally{receipts: make([][]sdk.Receipt, n), left: n, all: make(chan struct{})}
	if n == 0 {
		close(t.all)
	}
	return t
}

func (t *tally) from(offset int) func(int, sdk.Receipt) {
	return func(n int, r sdk.Receipt) {
		t.mu.Lock()
		defer t.mu.Unlock()
		n += offset
		t.receipts[n] = append(t.receipts[n], r)
		if len(t.receipts[n]) == 1 {
			if t.left--; t.left == 0 {
				close(t.all)
			}
		}
	}
}

func (t *tally) wait(tb testing.TB) {
	tb.Helper()
	select {
	case <-t.all:
	case <-time.After(20 * time.Second):
		t.mu.Lock()
		defer t.mu.Unlock()
		tb.Fatalf("%d operations were never answered", t.left)
	}
}

// once returns the receipts and complains of operations that do not have
// exactly one.
func (t *tally) once(tb testing.TB) []sdk.Receipt {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []sdk.Receipt
	for n, r := range t.receipts {
		if len(r) != 1 {
			tb.Fatalf("operation %d has %d answers, want 1: %v", n, len(r), r)
		}
		out = append(out, r[0])
	}
	return out
}
