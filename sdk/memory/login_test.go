package memory_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// loggedIn opens an instance that logs in as svc.
func loggedIn(t *testing.T, b *memory.Backend, handed ...string) *memory.Instance {
	t.Helper()
	config := sdk.Config{Label: "memory", Values: map[string]any{"login": "svc"}, Secrets: map[string]secret.Value{"login_password": secret.New("configured")}}
	for _, value := range handed {
		config.Handed = append(config.Handed, secret.New(value))
	}
	made, err := b.Configure(t.Context(), config)
	if err != nil {
		t.Fatalf("Configure: %v", err)
	}
	return made.(*memory.Instance)
}

func handover(account, value string) sdk.Operation {
	return with(set(account, value), func(op *sdk.Operation) { op.Verb = sdk.Handover })
}

func applied(t *testing.T, r sdk.Receipt) {
	t.Helper()
	if r.Outcome != sdk.Applied || r.Err != nil {
		t.Fatalf("%v %v, want applied", r.Outcome, r.Err)
	}
}

func refused(t *testing.T, r sdk.Receipt, code sdk.Code) {
	t.Helper()
	if r.Outcome != sdk.Refused || r.Err.Code != code {
		t.Fatalf("%v %v, want refused %s", r.Outcome, r.Err, code)
	}
}

// TestOnlyTheOwnAccountIsHandedOver, and the own account is only handed over.
func TestOnlyTheOwnAccountIsHandedOver(t *testing.T) {
	i := loggedIn(t, memory.New())
	refused(t, i.Apply(t.Context(), handover("ann", "one")), sdk.InvalidOperation)
	refused(t, i.Apply(t.Context(), set("svc", "one")), sdk.Protected)
	refused(t, i.Reset(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Reset, Account: "svc"}), sdk.Protected)
	applied(t, i.Apply(t.Context(), set("ann", "one")))
	refused(t, open(t, memory.New(), nil).Apply(t.Context(), handover("svc", "one")), sdk.InvalidOperation)
}

// TestAnInstanceGoesOnAfterItWasHandedOver: this one at once, one of the next
// process if it is told the value, and no other.
func TestAnInstanceGoesOnAfterItWasHandedOver(t *testing.T) {
	b := memory.New()
	i := loggedIn(t, b)
	applied(t, i.Apply(t.Context(), handover("svc", "second")))
	applied(t, i.Apply(t.Context(), set("ann", "one")))
	applied(t, i.Apply(t.Context(), handover("svc", "third")))
	applied(t, i.Apply(t.Context(), set("ben", "one")))
	applied(t, loggedIn(t, b, "third", "second").Apply(t.Context(), set("cid", "one")))
	applied(t, loggedIn(t, b, "fourth", "third").Apply(t.Context(), set("dan", "one")))
	refused(t, loggedIn(t, b, "second").Apply(t.Context(), set("eve", "one")), sdk.LoginExpired)
	refused(t, loggedIn(t, b).Unlock(t.Context(), sdk.Operation{ID: "u", Attempt: 1, Verb: sdk.Unlock, Account: "ann"}), sdk.LoginExpired)
}

// TestALoginNeedsItsPassword before anything else is done.
func TestALoginNeedsItsPassword(t *testing.T) {
	_, err := memory.New().Configure(t.Context(), sdk.Config{Label: "memory", Values: map[string]any{"login": "svc"}})
	if err == nil || err.Error() != "InvalidConfig: login_password: it is missing, and login is given" {
		t.Errorf("Configure: %v", err)
	}
}
