package ldap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// controller is a real Samba domain.
type controller struct{ *ldaptest.Domain }

func (c controller) first(login string) string { return "First value of " + login + " 1" }

func (c controller) account(t *testing.T, login, value string) {
	t.Helper()
	if err := c.AddUser(login, login, value); err != nil {
		t.Fatal(err)
	}
}

func (c controller) write(t *testing.T, dn, attribute, value string) {
	t.Helper()
	if err := c.Write(dn, attribute, value); err != nil {
		t.Fatal(err)
	}
}

func (c controller) logon(dn, value string) bool { return c.Bind(dn, value) == nil }

func (c controller) instance(t *testing.T) *Instance { return c.with(t) }

// with is an instance with further settings.
func (c controller) with(t *testing.T, more ...any) *Instance {
	t.Helper()
	values := map[string]any{"url": c.URL, "bind_dn": "rotator@" + c.Name, "base_dn": c.BaseDN, "mode": "ad", "ca_file": c.CAFile,
		"server_name": c.ServerName, "page_size": int64(2)}
	for n := 0; n < len(more); n += 2 {
		values[more[n].(string)] = more[n+1]
	}
	return configure(t, sdk.Config{Concurrency: 4, Timeout: 20 * time.Second, Values: values,
		Secrets: map[string]secret.Value{"bind_password": secret.New("Rotator 123")}}).(*Instance)
}

// TestSamba holds a real Samba domain to what TestActiveDirectory says of the
// simulated one, and to what only a real one can show.
func TestSamba(t *testing.T) {
	t.Parallel()
	c := controller{ldaptest.StartDomain(t)}
	for n := range 5 {
		c.account(t, fmt.Sprint("user", n), c.first(fmt.Sprint("user", n)))
	}
	if err := c.AddRotator("rotator", "Rotator 123"); err != nil {
		t.Fatal(err)
	}
	domain{dn: c.DN, first: c.first, logon: c.logon, write: c.write, instance: c.instance}.test(t)
	t.Run("who is logged on", c.protectsItself)
	t.Run("settings objects", c.settingsObjects)
	t.Run("hostile names and values", c.hostile)
	t.Run("administrators who are meant", c.administrators)
	t.Run("passwords that never expire", c.forever)
	t.Run("rights", c.rights)
}

// The mark would be written, and the domain would ask nobody.
func (c controller) forever(t *testing.T) {
	c.account(t, "service", c.first("service"))
	c.write(t, c.DN("service"), "userAccountControl", fmt.Sprint(512|uacForever))
	i := c.instance(t)
	wantReceipt(t, i.Apply(t.Context(), must(set("service", "New value 1"), true)), "refused Unsupported")
	c.wantValue(t, "service", c.first("service"))
	wantReceipt(t, i.Apply(t.Context(), must(set("service", "New value 1"), false)), "applied")
	c.wantValue(t, "service", "New value 1")
	c.write(t, c.DN("service"), "pwdLastSet", "0")
	c.wantValue(t, "service", "New value 1") // which is why
}

// However it logs on, it knows which entry it is: the names of a logon need not
// stand in the entry, nor the entry under base_dn.
func (c controller) protectsItself(t *testing.T) {
	for _, name := range []string{"rotator@" + c.Name, c.NetBIOS + `\rotator`, c.DN("rotator")} {
		i := c.with(t, "bind_dn", name, "base_dn", "CN=Builtin,"+c.BaseDN)
		r := i.Apply(t.Context(), set(c.DN("rotator"), "New value 1"))
		if say(r) != "refused Protected" {
			t.Errorf("bind_dn %s: %s (%v), want it protected", name, say(r), r.Err)
		}
	}
	if !c.logon(c.DN("rotator"), "Rotator 123") {
		t.Fatal("the service account has lost its password")
	}
}

func (c controller) settingsObjects(t *testing.T) {
	c.account(t, "ruled", c.first("ruled"))
	for _, args := range [][]string{
		{"create", "strict", "1", "--min-pwd-length=15", "--history-length=7", "--complexity=off", "--min-pwd-age=0"},
		{"apply", "strict", "ruled"},
	} {
		if err := c.Tool(t.Context(), append([]string{"domain", "passwordsettings", "pso", args[0]}, append(args[1:], "-H", c.Database())...)...); err != nil {
			t.Fatal(err)
		}
	}
	i := c.instance(t)
	for account, want := range map[string]sdk.Policy{
		"ruled": {MinLength: 15, History: 7},
		"user0": {MinLength: 7, History: 24, Classes: 3, NoAccountName: true},
		"":      {MinLength: 7, History: 24, Classes: 3, NoAccountName: true},
	} {
		got, err := i.Policy(t.Context(), account, "")
		if err != nil || got.MinLength != want.MinLength || got.History != want.History || got.Classes != want.Classes || got.NoAccountName != want.NoAccountName {
			t.Errorf("Policy(%q) = %+v, %v, want %+v", account, got, err, want)
		}
	}
	c.account(t, "looker", "Rotator 123") // no administrator, who alone sees settings objects
	got, err := c.with(t, "bind_dn", "looker@"+c.Name).Policy(t.Context(), "ruled", "")
	if err != nil || got.MinLength != 1 || !strings.Contains(got.Note, "may not see the rules") {
		t.Errorf("Policy of a settings object that is not seen: %+v, %v, want a note", got, err)
	}
	wantReceipt(t, i.Apply(t.Context(), set("ruled", "Short value 1")), "refused PolicyViolation min_length")
	wantReceipt(t, i.Apply(t.Context(), set("ruled", "all of one class only")), "applied")
	if !c.logon(c.DN("ruled"), "all of one class only") {
		t.Error("the value of the settings object does not log on")
	}
}

// hostile names are as hostile as a domain allows.
func (c controller) hostile(t *testing.T) {
	logins := []string{"a(b)", "#lead", "O'Brien", "é", "名前", "a&b", "%s", "$HOME", "x y", "{brace}"}
	values := []string{canary + "A1", `A1"'\$%;,#`, "Ünïcode 密码 9x", "😀 Emoji 1a", strings.Repeat("Long 1 ", 30), " Leading 1", "Trailing 1 ", "{SSHA}No hash 1", "Line\u2028sep 1", "Tab\there 1"}
	i := c.instance(t)
	given := map[string]string{}
	for n, login := range logins {
		name := fmt.Sprint("hostile ", n)
		if err := c.AddUser(name, login, "First value 1"); err != nil {
			t.Fatalf("%q: %v", login, err)
		}
		dn := c.DN(name)
		given[dn] = values[n%len(values)]
		wantReceipt(t, i.Apply(t.Context(), set(login, given[dn])), "applied")
		wantVerdict(t, i, login, given[dn], sdk.Accepted)
	}
	for dn, value := range given { // nobody got somebody else's
		if !c.logon(dn, value) {
			t.Errorf("%s: the value that was set does not log on", dn)
		}
	}
	for _, login := range []string{"*", "user*", `\2a`} {
		wantReceipt(t, i.Apply(t.Context(), set(login, "New value 1")), "refused AccountNotFound")
	}
}

func (c controller) administrators(t *testing.T) {
	c.account(t, "boss", c.first("boss"))
	c.write(t, c.DN("boss"), "adminCount", "1")
	wantReceipt(t, c.instance(t).Apply(t.Context(), set("boss", "New value 1")), "refused Protected")
	c.wantValue(t, "boss", c.first("boss"))
	wantReceipt(t, c.with(t, "rotate_admins", true).Apply(t.Context(), set("boss", "New value 1")), "applied")
	c.wantValue(t, "boss", "New value 1")
	for _, login := range []string{"krbtgt", "DC1$"} {
		wantReceipt(t, c.with(t, "rotate_admins", true).Apply(t.Context(), set(login, "New value 1")), "refused Protected")
	}
}

func (c controller) wantValue(t *testing.T, login, value string) {
	t.Helper()
	if !c.logon(c.DN(login), value) {
		t.Errorf("%s: another value than the one that is expected", login)
	}
}

// A user without rights is refused, and nothing changed.
func (c controller) rights(t *testing.T) {
	c.account(t, "clerk", "Rotator 123")
	i := c.with(t, "bind_dn", "clerk@"+c.Name)
	wantReceipt(t, i.Apply(t.Context(), set("service", "New value 2")), "refused PermissionDenied")
	wantReceipt(t, i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "service"}), "refused PermissionDenied")
	c.wantValue(t, "service", "New value 1")
}
