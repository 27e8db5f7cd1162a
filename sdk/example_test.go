package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// A host sets a value and then asks whether the target accepts it.
func Example() {
	ctx := context.Background()
	instance, err := memory.New().Configure(ctx, sdk.Config{Label: "trial"})
	if err != nil {
		fmt.Println(err)
		return
	}
	value := secret.New("correct horse battery")
	receipt := instance.Apply(ctx, sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: "ann", Value: value})
	fmt.Println(receipt.Outcome)
	verdict, err := instance.(sdk.Verifier).Verify(ctx, "ann", "", value)
	fmt.Println(verdict, err)
	// Output:
	// applied
	// accepted <nil>
}

// The host fills in what was left out and says what is wrong by field.
func ExampleFill() {
	fields := []sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true},
		{Name: "retries", Type: sdk.Int, Default: int64(3)},
	}
	values, problems := sdk.Fill(fields, map[string]any{"urll": "https://directory.acme.example"})
	fmt.Println(values["retries"])
	for _, p := range problems {
		fmt.Println(p.Error())
	}
	// Output:
	// 3
	// there is no "urll"; did you mean "url"?
	// url is required
}

// What a refusal means for the next attempt is a property of its code.
func ExampleCode() {
	for _, code := range []sdk.Code{sdk.RateLimited, sdk.Unsupported, sdk.InvalidConfig} {
		fmt.Println(code, code.Transient(), code.Definite(), code.StopsRun())
	}
	// Output:
	// RateLimited true false false
	// Unsupported false true false
	// InvalidConfig false false true
}

// fleet is the smallest whole backend: one verb, one ability, accounts in its
// process. A plugin's main hands it to serve.Main.
type fleet struct{}

func (fleet) Describe() sdk.Description {
	return sdk.Description{
		Name: "fleet", Version: "1.0.0", Summary: "the doors of our cars",
		Config:     []sdk.Field{{Name: "depot", Type: sdk.String, Required: true, Doc: "which one"}},
		Verbs:      []sdk.Verb{sdk.Set},
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*doors)(nil)),
	}
}

func (fleet) Configure(context.Context, sdk.Config) (sdk.Instance, error) {
	return &doors{codes: map[string]secret.Value{"car-1": secret.New("0000")}}, nil
}

type doors struct {
	mu    sync.Mutex
	codes map[string]secret.Value
}

func (d *doors) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.codes[op.Account]; !known {
		return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "there is no car %q", op.Account))
	}
	d.codes[op.Account] = op.Value
	return sdk.OK()
}

func (d *doors) Verify(_ context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.codes[account].Equal(value) {
		return sdk.Accepted, nil
	}
	return sdk.Rejected, nil
}

func (d *doors) Close() error { return nil }

// A whole backend: what it says of itself, and one operation that is done and one
// that is refused.
func Example_backend() {
	ctx := context.Background()
	instance, err := fleet{}.Configure(ctx, sdk.Config{Label: "cars", Values: map[string]any{"depot": "north"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, car := range []string{"car-1", "car-9"} {
		receipt := instance.Apply(ctx, sdk.Operation{ID: car, Attempt: 1, Verb: sdk.Set, Account: car, Value: secret.New("4711")})
		fmt.Println(receipt.Outcome, receipt.Err != nil)
	}
	// Output:
	// applied false
	// refused true
}

// The abilities are the methods that the instance has.
func ExampleAbilitiesOf() {
	fmt.Println(sdk.AbilitiesOf((*doors)(nil)))
	// Output: [verify]
}

// A refusal says that the target has certainly not changed, and why; a rule lets the
// host make another value.
func ExampleRefuse() {
	receipt := sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Message: "the server wants eight characters", Native: "HTTP 422",
		Violations: []sdk.Violation{{Rule: sdk.RuleMinLength, Limit: 8}}})
	fmt.Println(receipt.Outcome, receipt.Err)
	// Output: refused PolicyViolation: the server wants eight characters
}

// What was sent and got no answer is unknown, whatever the error looks like: the host
// finds out. A refusal here could lock a user out.
func ExampleLost() {
	sent, err := true, errors.New("connection reset by peer")
	receipt := sdk.Refuse(sdk.Errorf(sdk.Unreachable, "never sent"))
	if sent && err != nil {
		receipt = sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut after the request was sent"))
	}
	fmt.Println(receipt.Outcome, receipt.Err.Code)
	// Output: unknown ConnectionLost
}

// A target that asks to wait is told to the host, which waits: a backend never sleeps.
func ExampleError() {
	failure := &sdk.Error{Code: sdk.RateLimited, Message: "100 a minute", RetryAfter: 30 * time.Second}
	fmt.Println(errors.Is(failure, &sdk.Error{Code: sdk.RateLimited}), failure.Code.Transient(), failure.RetryAfter)
	// Output: true true 30s
}

// A server that lets everybody in proves nothing by letting one in: CannotTell. An
// error is for a question that could not be asked.
func ExampleVerdict() {
	verify := func(trusting, reachable bool) (sdk.Verdict, error) {
		switch {
		case !reachable:
			return sdk.CannotTell, sdk.Errorf(sdk.Unreachable, "the directory is away")
		case trusting:
			return sdk.CannotTell, nil
		}
		return sdk.Accepted, nil
	}
	fmt.Println(verify(false, true))
	fmt.Println(verify(true, true))
	fmt.Println(verify(true, false))
	// Output:
	// accepted <nil>
	// cannot-tell <nil>
	// cannot-tell Unreachable: the directory is away
}
