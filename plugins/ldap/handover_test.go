package ldap

import (
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

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

// TestWhatGoesWithAHandedOverValue is written too, also by an attempt that finds the
// value there; where it may not be, nothing is changed.
func TestWhatGoesWithAHandedOverValue(t *testing.T) {
	t.Parallel()
	dn := "uid=both0," + people
	own := func(s *ldaptest.Server) sdk.Instance {
		c := config(s, "bind_dn", dn, "update_samba", true, "update_shadow", true)
		c.Secrets["bind_password"] = secret.New("first value")
		return configure(t, c)
	}
	s := ldaptest.Start(t, ldaptest.Options{Global: samba, LDIF: ofBoth(1), Before: []string{`access to dn.subtree="` + people + `" attrs=` + sambaAndShadow + ` by self write by * read`}})
	i := own(s)
	wants := func(hash string) {
		t.Helper()
		if got := attributeOf(t, s, dn, "sambaNTPassword"); got != hash {
			t.Errorf("sambaNTPassword is %q, want %q", got, hash)
		}
		if got := attributeOf(t, s, dn, "shadowLastChange"); got == "15000" {
			t.Error("shadowLastChange is the old day")
		}
	}
	wantReceipt(t, i.Apply(t.Context(), handOver(dn, "handed-over-1")), "applied")
	wants(ntHash("handed-over-1"))
	if s.Bind(dn, "handed-over-1") != nil {
		t.Error("the new password does not work")
	}
	root, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	before := goldap.NewModifyRequest(dn, nil)
	before.Replace("sambaNTPassword", []string{"0CB6948805F797BF2A82807973B89537"})
	if err := root.Modify(before); err != nil {
		t.Fatal(err)
	}
	wantReceipt(t, i.Apply(t.Context(), again(handOver(dn, "handed-over-1"))), "already-applied")
	wants(ntHash("handed-over-1"))

	s = ldaptest.Start(t, ldaptest.Options{Global: samba, LDIF: ofBoth(1)})
	wantReceipt(t, own(s).Apply(t.Context(), handOver(dn, "handed-over-1")), "refused PermissionDenied")
	if s.Bind(dn, "first value") != nil {
		t.Error("the password is another one")
	}
}
