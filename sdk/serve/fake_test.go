package serve_test

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

const canary = `c"a\n%y é`

// fake is a backend of one instance, made of functions.
type fake struct {
	limits sdk.Limits
	apply  func(context.Context, sdk.Operation) sdk.Receipt
	close  func() error
	config sdk.Config // as it was configured
}

func (f *fake) Describe() sdk.Description {
	return sdk.Description{Name: "fake", Limits: f.limits, Verbs: append(sdk.AskedVerbs(), sdk.Set, sdk.Change, sdk.Handover)}
}

func (f *fake) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	f.config = c
	return f, nil
}

func (f *fake) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt { return f.apply(ctx, op) }

func (f *fake) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// able has every ability, and sends all of it through apply.
type able struct{ *fake }

func (a able) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	a.config = c
	return a, nil
}

// Describe declares the abilities, without which serve refuses a verify.
func (a able) Describe() sdk.Description {
	described := a.fake.Describe()
	described.Abilities = sdk.AbilitiesOf(a)
	return described
}

func (a able) ask(ctx context.Context, what string) *sdk.Error {
	return a.apply(ctx, sdk.Operation{Account: what}).Err
}

func (a able) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt  { return a.apply(ctx, op) }
func (a able) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt { return a.apply(ctx, op) }
func (a able) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt { return a.apply(ctx, op) }

func (a able) Find(ctx context.Context, account string) (sdk.Account, error) {
	if e := a.ask(ctx, account); e != nil {
		return sdk.Account{}, e
	}
	return sdk.Account{Account: account}, nil
}

func (a able) Policy(ctx context.Context, account, _ string) (sdk.Policy, error) {
	if e := a.ask(ctx, account); e != nil {
		return sdk.Policy{}, e
	}
	return sdk.Policy{MinLength: 1}, nil
}

func (a able) Verify(ctx context.Context, account, _ string, _ secret.Value) (sdk.Verdict, error) {
	if e := a.ask(ctx, account); e != nil {
		return sdk.CannotTell, e
	}
	return sdk.Accepted, nil
}

func (a able) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	if e := a.ask(ctx, kind); e != nil {
		return nil, e
	}
	return make([]secret.Value, n), nil
}

func (a able) Check(ctx context.Context) []sdk.Finding {
	if e := a.ask(ctx, "check"); e != nil {
		return []sdk.Finding{{Severity: sdk.Bad, Code: e.Code}}
	}
	return nil
}

// batching does operations in batches.
type batching struct {
	*fake
	batch func([]sdk.Operation) []sdk.Receipt
}

func (b batching) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	b.config = c
	return b, nil
}

func (b batching) ApplyBatch(_ context.Context, ops []sdk.Operation) []sdk.Receipt {
	return b.batch(ops)
}

// serving returns an instance of the backend over the wire.
func serving(t testing.TB, b sdk.Backend, c sdk.Config) *dial.Instance {
	t.Helper()
	i, _ := connected(t, b, c)
	return i
}

// connected is serving, with what ends the connection.
func connected(t testing.TB, b sdk.Backend, c sdk.Config) (i *dial.Instance, hangUp func()) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	t.Cleanup(serve.On(l, b))
	client, closeConn, err := dial.Over(func(ctx context.Context) (net.Conn, error) { return l.DialContext(ctx) }, dial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeConn() })
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	i, err = client.Configure(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i, func() { _ = closeConn() }
}

func sets(accounts ...string) []sdk.Operation {
	ops := make([]sdk.Operation, len(accounts))
	for n, a := range accounts {
		ops[n] = sdk.Operation{ID: fmt.Sprint(n, a), Verb: sdk.Set, Account: a, Value: secret.New("a value")}
	}
	return ops
}

// pending is operations on their way.
type pending struct {
	mu       sync.Mutex
	receipts []sdk.Receipt
	open     sync.WaitGroup
}

func submit(t testing.TB, i *dial.Instance, ops []sdk.Operation) *pending {
	p := &pending{receipts: make([]sdk.Receipt, len(ops))}
	p.open.Add(len(ops))
	seen := map[int]bool{}
	i.Submit(ops, func(n int, r sdk.Receipt) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if seen[n] {
			t.Errorf("operation %d was answered twice", n)
			return
		}
		seen[n], p.receipts[n] = true, r
		p.open.Done()
	})
	return p
}

func (p *pending) wait() []sdk.Receipt {
	p.open.Wait()
	return p.receipts
}
