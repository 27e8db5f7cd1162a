package backendtest

import (
	"context"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// plugin is a backend, near or far.
type plugin interface {
	describe(ctx context.Context) (sdk.Description, error)
	configure(ctx context.Context, c sdk.Config) (subject, error)
	// restart forgets what the plugin's process knows.
	restart() error
	// logged returns what the plugin has logged and printed so far, beyond
	// Config.Log.
	logged() string
}

// subject is one configured instance. A method of an ability that it lacks
// answers Unsupported.
type subject interface {
	abilities() []sdk.Ability
	apply(ctx context.Context, op sdk.Operation) sdk.Receipt
	submit(ops []sdk.Operation) []sdk.Receipt              // all at once
	ask(ctx context.Context, op sdk.Operation) sdk.Receipt // of sdk.AskedVerbs
	find(ctx context.Context, account string) (sdk.Account, error)
	list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error
	resolve(ctx context.Context, names []string) ([]sdk.Identity, error)
	policy(ctx context.Context, account, kind string) (sdk.Policy, error)
	verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error)
	generate(ctx context.Context, kind string, n int) ([]secret.Value, error)
	check(ctx context.Context) []sdk.Finding
	close() error
}

// direct is a backend in this process.
type direct struct{ backend sdk.Backend }

func (d *direct) describe(context.Context) (sdk.Description, error) {
	return d.backend.Describe(), nil
}

func (d *direct) configure(ctx context.Context, config sdk.Config) (subject, error) {
	instance, err := d.backend.Configure(ctx, config)
	if err != nil {
		return nil, err
	}
	return near{instance, d.backend.Describe().Refusal}, nil
}

func (d *direct) restart() error { return nil }

func (d *direct) logged() string { return "" }

// near is an instance in this process. It sees what serve would let it see.
type near struct {
	sdk.Instance
	refusal func(sdk.Operation) *sdk.Error
}

var errUnsupported = sdk.Errorf(sdk.Unsupported, "the instance lacks the ability")

func (n near) abilities() []sdk.Ability { return sdk.AbilitiesOf(n.Instance) }

func (n near) apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	failure := n.refusal(op)
	if failure == nil && op.Verb.Ability() != "" {
		failure = sdk.Errorf(sdk.InvalidOperation, "verb %q is not one of Apply", op.Verb)
	}
	if failure != nil {
		return sdk.Refuse(failure)
	}
	return n.Apply(ctx, op)
}

func (n near) submit(ops []sdk.Operation) []sdk.Receipt {
	receipts := make([]sdk.Receipt, len(ops))
	panics := make([]any, len(ops))
	var wg sync.WaitGroup
	for index, op := range ops {
		wg.Go(func() {
			defer func() { panics[index] = recover() }()
			receipts[index] = n.apply(context.Background(), op)
		})
	}
	wg.Wait()
	for _, value := range panics {
		if value != nil {
			panic(value)
		}
	}
	return receipts
}

func (n near) ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	method := sdk.MethodOf(n.Instance, op.Verb)
	if method == nil {
		return sdk.Refuse(errUnsupported)
	}
	if failure := n.refusal(op); failure != nil {
		return sdk.Refuse(failure)
	}
	return method(ctx, op)
}

func (n near) find(ctx context.Context, account string) (sdk.Account, error) {
	if finder, ok := n.Instance.(sdk.Finder); ok {
		return finder.Find(ctx, account)
	}
	return sdk.Account{}, errUnsupported
}

func (n near) list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if lister, ok := n.Instance.(sdk.Lister); ok {
		return lister.List(ctx, filter, attributes, yield)
	}
	return errUnsupported
}

func (n near) resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	if resolver, ok := n.Instance.(sdk.Resolver); ok {
		return resolver.Resolve(ctx, names)
	}
	return nil, errUnsupported
}

func (n near) policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	if policyReader, ok := n.Instance.(sdk.PolicyReader); ok {
		return policyReader.Policy(ctx, account, kind)
	}
	return sdk.Policy{}, errUnsupported
}

func (n near) verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	verifier, ok := n.Instance.(sdk.Verifier)
	if !ok {
		return sdk.CannotTell, errUnsupported
	}
	if failure := n.refusal(sdk.Operation{Verb: sdk.Verify, Account: account, Kind: kind, Value: value}); failure != nil {
		return sdk.CannotTell, failure
	}
	return verifier.Verify(ctx, account, kind, value)
}

func (n near) generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	if generator, ok := n.Instance.(sdk.Generator); ok {
		return generator.Generate(ctx, kind, count)
	}
	return nil, errUnsupported
}

func (n near) check(ctx context.Context) []sdk.Finding {
	if checker, ok := n.Instance.(sdk.Checker); ok {
		return checker.Check(ctx)
	}
	return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Unsupported, Message: errUnsupported.Message}}
}

func (n near) close() error { return n.Close() }
