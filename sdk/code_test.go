package sdk_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// declared returns the values of the constants of type Code, as code.go
// declares them.
func declared(t *testing.T) []sdk.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []sdk.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) == 0 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Code" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || text != spec.Names[0].Name {
			t.Errorf("%s is %q, want its own name", spec.Names[0].Name, text)
		}
		all = append(all, sdk.Code(text))
		return true
	})
	return all
}

func TestEveryCodeHasARow(t *testing.T) {
	if want := declared(t); len(want) < 20 || !slices.Equal(sdk.Codes(), want) {
		t.Errorf("the table has %v,\nwant a row for each of %v", sdk.Codes(), want)
	}
}

// TestWhatACodeAllows holds the traits to lists of their own: a code that moves
// from one to another changes what a run does.
func TestWhatACodeAllows(t *testing.T) {
	for name, c := range map[string]struct {
		has  func(sdk.Code) bool
		want []sdk.Code
	}{
		"transient": {sdk.Code.Transient, []sdk.Code{sdk.LoginExpired, sdk.Conflict, sdk.RateLimited, sdk.Unreachable, sdk.Timeout, sdk.TargetUnavailable}},
		"definite":  {sdk.Code.Definite, []sdk.Code{sdk.InvalidOperation, sdk.Unsupported}},
		"unsent":    {sdk.Code.Unsent, []sdk.Code{sdk.Unreachable, sdk.InsecureTransport, sdk.Timeout, sdk.Cancelled}},
		"stops":     {sdk.Code.StopsRun, []sdk.Code{sdk.SecondFactorNeeded, sdk.InvalidConfig}},
		"away":      {sdk.Code.Away, []sdk.Code{sdk.Unreachable, sdk.TargetUnavailable}},
		"account": {sdk.Code.OfAccount, []sdk.Code{sdk.AccountNotFound, sdk.UserNotFound, sdk.Ambiguous,
			sdk.AccountStatus, sdk.Protected, sdk.NoCredential}},
		"value": {sdk.Code.AnotherValueHelps, []sdk.Code{sdk.PolicyViolation}},
	} {
		var got []sdk.Code
		for _, code := range sdk.Codes() {
			if c.has(code) {
				got = append(got, code)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if c.has("NewCode") || c.has("") {
			t.Errorf("%s holds for a code that nobody knows", name)
		}
	}
}
