package sdk_test

import (
	"context"
	"fmt"

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
	// url is required
	// there is no "urll"; did you mean "url"?
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
