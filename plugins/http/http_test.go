package http_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/http"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// small is a definition of these tests.
const small = `http(summary = "x", settings = [setting("token", type = "secret")])
def auth(settings):
    return post("/token", auth = False, then = lambda answer: bearer(answer.secret("t"), seconds = 1))
def set(account, value):
    return put("https://elsewhere.example/x", body = json(value)) if account == "far" else put("/u/{}", account, body = json(value))
def failure(answer):
    return refused("TargetError", answer.text, native = answer.text) if answer.status == 418 else None
def verify(account, value):
    return get("/me", auth = basic(account, value))
`

// opened is an instance by that definition, at a server that plays back.
func opened(t *testing.T, coming ...exchange) (sdk.Instance, *player) {
	t.Helper()
	backend, err := http.New().Define("x.star", small)
	if err != nil {
		t.Fatal(err)
	}
	server := newPlayer(t)
	server.coming = coming
	instance, err := backend.Configure(t.Context(), sdk.Config{Values: map[string]any{"url": server.url}, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		instance.Close()
		if len(server.coming) > 0 || len(server.problems) > 0 {
			t.Errorf("%d requests were not made; %q", len(server.coming), server.problems)
		}
	})
	return instance, server
}

func given(t *testing.T, instance sdk.Instance, account, value string) sdk.Receipt {
	return instance.Apply(t.Context(), sdk.Operation{ID: account + value, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)})
}

var token = exchange{request: "POST /token", status: 200, body: `{"t":"T0"}`}

// TestWhatADefinitionSaysIsScrubbed: it may quote an answer, which quotes the value.
func TestWhatADefinitionSaysIsScrubbed(t *testing.T) {
	instance, _ := opened(t, token, exchange{request: "PUT /u/ann", lines: []string{`"Canary-Value_1"`}, status: 418, body: "no Canary-Value_1 here"})
	receipt := given(t, instance, "ann", "Canary-Value_1")
	if receipt.Outcome != sdk.Refused || strings.Contains(receipt.Err.Message+receipt.Err.Native, "Canary") || !strings.HasPrefix(receipt.Err.Message, "no ") {
		t.Errorf("the receipt is %s %s", receipt.Outcome, receipt.Err.Code)
	}
}

// TestOnlyEgressIsAsked: another host gets nothing, and the fix is named.
func TestOnlyEgressIsAsked(t *testing.T) {
	instance, _ := opened(t, token)
	receipt := given(t, instance, "far", "Value_1")
	if receipt.Outcome != sdk.Refused || receipt.Err.Code != sdk.InvalidConfig || !strings.Contains(receipt.Err.Message, `add egress = ["https://elsewhere.example"]`) {
		t.Errorf("another host is %+v", receipt)
	}
}

// TestALoginThatIsOverIsRenewed before it is used, by the target's own word.
func TestALoginThatIsOverIsRenewed(t *testing.T) {
	put := exchange{request: "PUT /u/ann", lines: []string{`"Value_1"`}, status: 204}
	instance, _ := opened(t, token, put, token, put)
	for range 2 {
		if receipt := given(t, instance, "ann", "Value_1"); receipt.Outcome != sdk.Applied {
			t.Errorf("a set is %+v", receipt)
		}
		time.Sleep(time.Second)
	}
}

// TestARefusalOfAnotherLoginIsNotOurs: it renews nothing, and nothing is asked twice.
func TestARefusalOfAnotherLoginIsNotOurs(t *testing.T) {
	instance, _ := opened(t, exchange{request: "GET /me", status: 401})
	_, err := instance.(sdk.Verifier).Verify(t.Context(), "ann", "", secret.New("Value_1"))
	if failure := sdk.AsError(err, sdk.Internal); failure == nil || failure.Code != sdk.PermissionDenied {
		t.Errorf("it is %v, want PermissionDenied", err)
	}
}
