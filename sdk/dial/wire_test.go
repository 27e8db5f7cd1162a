package dial_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// backend is a sdk.Backend made of functions.
type backend struct {
	describe sdk.Description
	open     func(sdk.Config) (sdk.Instance, error)
}

func (b backend) Describe() sdk.Description {
	b.describe.Verbs = append(sdk.AskedVerbs(), sdk.Set, sdk.Change, sdk.Handover)
	return b.describe
}

func (b backend) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	return b.open(c)
}

type applier func(context.Context, sdk.Operation) sdk.Receipt

func (a applier) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt { return a(ctx, op) }
func (a applier) Close() error                                            { return nil }

func open(t testing.TB, b sdk.Backend, c sdk.Config) *dial.Instance {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	stop := serve.On(l, b)
	t.Cleanup(stop)
	client, closeConn, err := dial.Over(func(ctx context.Context) (net.Conn, error) { return l.DialContext(ctx) }, dial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeConn() })
	i, err := client.Configure(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func TestEveryOperationIsAnsweredOnce(t *testing.T) {
	b := backend{open: func(sdk.Config) (sdk.Instance, error) {
		return applier(func(_ context.Context, op sdk.Operation) sdk.Receipt {
			return sdk.Receipt{Outcome: sdk.Applied, Ref: op.Account}
		}), nil
	}}
	i := open(t, b, sdk.Config{Concurrency: 4, Timeout: time.Second})
	const n = 1000
	var ops []sdk.Operation
	for k := range n {
		ops = append(ops, sdk.Operation{ID: fmt.Sprint(k), Verb: sdk.Set, Account: fmt.Sprint("u", k), Value: secret.New("a value")})
	}
	var mu sync.Mutex
	got := map[int]string{}
	done := make(chan struct{})
	i.Submit(ops, func(k int, r sdk.Receipt) {
		mu.Lock()
		defer mu.Unlock()
		if got[k] != "" || r.Outcome != sdk.Applied {
			t.Errorf("operation %d: %v %v, before: %q", k, r.Outcome, r.Err, got[k])
		}
		if got[k] = r.Ref; len(got) == n {
			close(done)
		}
	})
	<-done
	for k := range n {
		if got[k] != fmt.Sprint("u", k) {
			t.Errorf("operation %d was answered for %q", k, got[k])
		}
	}
}
