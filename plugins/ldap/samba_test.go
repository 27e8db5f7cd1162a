package ldap

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

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
	t.Run("two hundred accounts", c.twoHundred)
	t.Run("logs", c.logs)
}

// twoHundred accounts have a value of their own each; make test takes a sample.
func (c controller) twoHundred(t *testing.T) {
	i, count := c.instance(t), share(20, 200)
	for n := range count {
		c.account(t, fmt.Sprint("many", n), firstValue)
	}
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for n := worker; n < count; n += 4 {
				if r := i.Apply(t.Context(), set(fmt.Sprint("many", n), fmt.Sprint("New value ", n))); r.Outcome != sdk.Applied {
					t.Errorf("many%d: %s: %v", n, say(r), r.Err)
				}
			}
		})
	}
	workers.Wait()
	for n := range count {
		c.wantValue(t, fmt.Sprint("many", n), fmt.Sprint("New value ", n))
	}
	listed := 0
	if err := i.List(t.Context(), "(sAMAccountName=many1*)", nil, func(sdk.Account) error { listed++; return nil }); err != nil || listed != share(11, 111) {
		t.Errorf("List: %d, %v, want %d", listed, err, share(11, 111))
	}
}

// logs: after a stop in the middle of a run, and at the highest level that says what was done, with the audits of passwords,
// no value is in them.
func (c controller) logs(t *testing.T) {
	i := c.instance(t)
	wantReceipt(t, i.Apply(t.Context(), set("user1", "Before it stops 1")), "applied")
	c.Stop()
	r := i.Apply(t.Context(), set("user1", "While it is away 1"))
	for end := time.Now().Add(10 * time.Second); say(r) == "unknown ConnectionLost" && time.Now().Before(end); { // its children end after it
		r = i.Apply(t.Context(), set("user1", "While it is away 1"))
	}
	wantReceipt(t, r, "refused Unreachable")
	if err := c.Restart(t.Context(), "log level = 10 dsdb_audit:10 dsdb_json_audit:10 dsdb_password_audit:10 dsdb_password_json_audit:10 auth_audit:10 ldb:10", "max log size = 0"); err != nil {
		t.Fatal(err)
	}
	if !c.logon(c.DN("user1"), "Before it stops 1") && !c.logon(c.DN("user1"), "While it is away 1") {
		t.Error("user1: another value than one that was sent")
	}
	wantReceipt(t, i.Apply(t.Context(), set("user1", canary+"1aA")), "applied")
	wantReceipt(t, i.Apply(t.Context(), change("user1", canary+"1aA", canary+"2aA")), "applied")
	wantReceipt(t, i.Apply(t.Context(), change("user1", canary+"9aA", canary+"3aA")), "refused WrongCurrentPassword")
	wantReceipt(t, i.Apply(t.Context(), set("krbtgt", canary+"4aA")), "refused Protected")
	wantVerdict(t, i, "user1", canary+"2aA", sdk.Accepted)
	wantVerdict(t, i, "user1", canary+"5aA", sdk.Rejected)
	wantNoValue(t, "samba", c.Log(), "Password Change", "unicodePwd")
}

// wantNoValue wants a log to say what was done, and neither canary nor a
// form of it that Windows has.
func wantNoValue(t *testing.T, name, log string, says ...string) {
	t.Helper()
	for _, word := range says {
		if !strings.Contains(log, word) {
			t.Errorf("%s does not say %q: the test shows nothing", name, word)
		}
	}
	log = strings.ReplaceAll(strings.ReplaceAll(log, "\r", ""), "\n ", "") // as LDIF is folded
	wide, nt := strings.Join(strings.Split(canary, ""), "\x00"), ntHash(canary+"2aA")
	forms := []string{canary, wide, hex.EncodeToString([]byte(wide)), nt, strings.ToLower(nt)}
	for shift := range 3 { // base64 has three forms, by where a text begins
		encoded := base64.StdEncoding.EncodeToString([]byte("xyz"[:shift] + canary))
		forms = append(forms, encoded[4:len(encoded)-4])
	}
	for _, form := range forms {
		for line := range strings.Lines(log) {
			if before, _, found := strings.Cut(line, form); found {
				t.Errorf("%s has a value after %q", name, before)
			}
		}
	}
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

// hostile names are accounts of a domain, too: as logins, or where it takes no
// such login, in their DN.
func (c controller) hostile(t *testing.T) {
	c.rules(t, "0", "0", "0")
	defer c.rules(t, "7", "1", "24")
	i := c.instance(t)
	accounts, dns := make([]string, len(hostile)), make([]string, len(hostile))
	for number, login := range hostile {
		name := fmt.Sprint("hostile ", number)
		accounts[number], dns[number] = login, c.DN(name)
		err := c.AddUser(name, login, firstValue)
		if err != nil && strings.Contains(err.Error(), "sAMAccountName contains invalid") {
			name = strings.ReplaceAll(goldap.EscapeDN(login), "=", `\3D`) // Samba takes no other spelling
			accounts[number], dns[number] = c.DN(name), c.DN(name)
			err = c.AddUser(name, fmt.Sprint("odd", number), firstValue)
			wantReceipt(t, i.Apply(t.Context(), set(login, "New value 1")), "refused AccountNotFound")
		}
		if err != nil {
			t.Fatalf("%q: %v", login, err)
		}
	}
	square{i, accounts, func(number int) string { return dns[number] }, c.Bind, nil}.test(t)
}

// rules are the domain's: least length, complexity, how many values it remembers.
func (c controller) rules(t *testing.T, length, complexity, history string) {
	t.Helper()
	for attribute, value := range map[string]string{"minPwdLength": length, "pwdProperties": complexity, "pwdHistoryLength": history} {
		c.write(t, c.BaseDN, attribute, value)
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
