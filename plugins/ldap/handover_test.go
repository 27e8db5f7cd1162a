package ldap

import (
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func handOver(account, value string) sdk.Operation {
	op := set(account, value)
	op.Verb = sdk.Handover
	return op
}

// after is the configuration of a next process: with the password of before, and
// with what was handed over since.
func after(s *ldaptest.Server, handed ...string) sdk.Config {
	c := config(s)
	for _, value := range handed {
		c.Handed = append(c.Handed, secret.New(value))
	}
	return c
}

// TestTheServiceAccountIsHandedOver: this instance goes on, and so does the next
// one that is told the value, wherever it stands among those that never arrived.
func TestTheServiceAccountIsHandedOver(t *testing.T) {
	t.Parallel()
	s := ldaptest.Start(t, ldaptest.Options{Users: 6, PPolicy: true})
	i := open(t, s)
	wants := func(what string, r sdk.Receipt, want string) {
		t.Helper()
		if got := say(r); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	wants("a set before", i.Apply(t.Context(), set("user0", "first-value-0")), "applied")
	wants("the handover", i.Apply(t.Context(), handOver(s.BindDN, "handed-over-1")), "applied")
	if s.Bind(s.BindDN, "handed-over-1") != nil || s.Bind(s.BindDN, s.Password) == nil {
		t.Error("the new password does not work, or the old one does")
	}
	wants("a set afterwards", i.Apply(t.Context(), set("user1", "first-value-1")), "applied")
	wants("the same once more", i.Apply(t.Context(), again(handOver(s.BindDN, "handed-over-1"))), "already-applied")
	wants("one that breaks a rule", i.Apply(t.Context(), handOver(s.BindDN, "x")), "refused PolicyViolation min_length")
	wants("a set after that", i.Apply(t.Context(), set("user2", "first-value-2")), "applied")
	wants("the next handover", i.Apply(t.Context(), handOver(s.BindDN, "handed-over-2")), "applied")
	next := configure(t, after(s, "never-arrived", "handed-over-2", "handed-over-1"))
	wants("a set of the next process", next.Apply(t.Context(), set("user3", "first-value-3")), "applied")
	wants("a handover that arrived before", next.Apply(t.Context(), again(handOver(s.BindDN, "handed-over-2"))), "already-applied")
	wants("a set without being told", configure(t, after(s)).Apply(t.Context(), set("user4", "first-value-4")), "refused LoginExpired")
}

// TestOnlyTheServiceAccountIsHandedOver, by whatever name, and it is nothing else
// than handed over.
func TestOnlyTheServiceAccountIsHandedOver(t *testing.T) {
	t.Parallel()
	s := ldaptest.Start(t, ldaptest.Options{Users: 2})
	i := open(t, s)
	for _, c := range []struct {
		op   sdk.Operation
		want string
	}{
		{handOver("user0", "another-value"), "refused InvalidOperation"},
		{handOver("nobody", "another-value"), "refused AccountNotFound"},
		{set(s.BindDN, "another-value"), "refused Protected"},
		{must(handOver(s.BindDN, "another-value"), true), "refused Unsupported"},
	} {
		if got := say(i.Apply(t.Context(), c.op)); got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.op.Verb, c.op.Account, got, c.want)
		}
	}
	if s.Bind(s.BindDN, s.Password) != nil {
		t.Error("the password of the service account is another one")
	}
}
