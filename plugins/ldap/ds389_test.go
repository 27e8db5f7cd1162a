package ldap

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// fedora is a real 389 Directory Server.
type fedora struct{ *ldaptest.DS389 }

func (f fedora) dn(n int) string    { return fmt.Sprintf("uid=user%d,ou=people,%s", n, f.BaseDN) }
func (f fedora) first(n int) string { return (&ldaptest.Server{}).UserPassword(n) }

// with is an instance with further settings.
func (f fedora) with(t *testing.T, more ...any) *resetting {
	t.Helper()
	values := map[string]any{"url": f.Socket, "bind_dn": f.BindDN, "base_dn": f.BaseDN}
	for n := 0; n < len(more); n += 2 {
		values[more[n].(string)] = more[n+1]
	}
	return configure(t, sdk.Config{Concurrency: 4, Timeout: 20 * time.Second, Values: values, Secrets: map[string]secret.Value{"bind_password": secret.New(f.Password)}}).(*resetting)
}

// lock locks an account as wrong logons do.
func (f fedora) lock(t *testing.T, n int) {
	t.Helper()
	for range 4 {
		_ = f.Bind(f.dn(n), "wrong") // is refused
	}
	if err := f.Bind(f.dn(n), f.first(n)); err == nil {
		t.Fatalf("user%d is not locked", n)
	}
}

// Test389DirectoryServer is what a real one does: it takes much, and does nothing
// about some of it.
func Test389DirectoryServer(t *testing.T) {
	t.Parallel()
	f := fedora{ldaptest.StartDS389(t, 8+thousands)}
	t.Run("set and change", f.setAndChange)
	t.Run("locks", f.locks)
	t.Run("must change", f.mustChange)
	t.Run("policy", f.policy)
	t.Run("hostile names and values", f.hostile)
	t.Run("two thousand accounts", f.thousands)
	t.Run("logs", f.logs)
}

// logs: with all that is logged of operations, and the audit of what they changed, no
// value is in them.
func (f fedora) logs(t *testing.T) {
	if err := f.Rules("nsslapd-accesslog-level", "772", "nsslapd-accesslog-logbuffering", "off", "nsslapd-auditlog", f.LogFile("audit"), "nsslapd-auditlog-logging-enabled", "on", "nsslapd-auditfaillog-logging-enabled", "on", "nsslapd-errorlog-level", errorLevels); err != nil {
		t.Fatal(err)
	}
	i := f.with(t)
	wantReceipt(t, i.Apply(t.Context(), set("user0", canary+"1aA")), "applied")
	wantReceipt(t, i.Apply(t.Context(), change("user0", canary+"1aA", canary+"2aA")), "applied")
	wantReceipt(t, i.Apply(t.Context(), change("user0", canary+"9aA", canary+"3aA")), "refused WrongCurrentPassword")
	wantReceipt(t, i.Apply(t.Context(), set(f.BindDN, canary+"4aA")), "refused Protected")
	wantVerdict(t, i, "user0", canary+"2aA", sdk.Accepted)
	wantVerdict(t, i, "user0", canary+"5aA", sdk.Rejected)
	if err := f.Rules("nsslapd-errorlog-level", "16384"); err != nil {
		t.Fatal(err)
	}
	wantNoValue(t, "access", f.Logs("access"), "EXT oid=\"1.3.6.1.4.1.4203.1.11.1\"")
	wantNoValue(t, "audit", f.Logs("audit"), "replace: userpassword")
	wantNoValue(t, "errors", f.Logs("errors"), "passwd_modify_extop")
	f.tells(t, i)
}

// tells of what the level of function calls shows, and the audit log, which can only
// be told.
func (f fedora) tells(t *testing.T, i *resetting) {
	if err := f.Rules("nsslapd-errorlog-level", "1"); err != nil {
		t.Fatal(err)
	}
	wantVerdict(t, i, "user0", canary+"2aA", sdk.Accepted)
	if err := f.Rules("nsslapd-errorlog-level", "16384"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(f.Logs("errors"), canary) || !strings.Contains(f.Logs("audit"), "userpassword:: "+base64.StdEncoding.EncodeToString([]byte("{SSHA512}"))) {
		t.Error("389's logs have less than the documentation says")
	}
	if !strings.Contains(New().Describe().Doc, "389's error log at level 1\nhas the values that it compares, and its audit log has hashes") {
		t.Error("the documentation does not say which logs of 389 have values")
	}
}

// errorLevels are those of the error log but for that of function calls, which has
// the values that are compared, as the documentation says: packets, arguments,
// connections, BER, filters, configuration, access control, parsing, housekeeping,
// replication, the cache, plugins.
const errorLevels = "515582"

// thousands is how many accounts are set at once.
const thousands = 2000

func (f fedora) thousands(t *testing.T) {
	i := f.with(t)
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for n := 8 + worker; n < 8+thousands; n += 4 {
				if r := i.Apply(t.Context(), set(f.dn(n), fmt.Sprint("New value ", n))); r.Outcome != sdk.Applied {
					t.Errorf("user%d: %s: %v", n, say(r), r.Err)
				}
			}
		})
	}
	workers.Wait()
	for n := 8; n < 8+thousands; n += 50 {
		if f.Bind(f.dn(n), fmt.Sprint("New value ", n)) != nil || f.Bind(f.dn(n), f.first(n)) == nil {
			t.Errorf("user%d: want the new value, and it alone", n)
		}
	}
	count := 0
	err := i.List(t.Context(), "(uid=user1*)", nil, func(sdk.Account) error { count++; return nil })
	if err != nil || count != 1111 {
		t.Errorf("List: %d, %v, want 1111", count, err)
	}
}

// hostile names are entries here as in slapd.
func (f fedora) hostile(t *testing.T) {
	if err := f.Rules("passwordCheckSyntax", "off", "passwordHistory", "off", "passwordLockout", "off"); err != nil {
		t.Fatal(err)
	}
	dn := func(number int) string { return fmt.Sprintf("cn=hostile%d,ou=people,%s", number, f.BaseDN) }
	for number, login := range hostile {
		add := goldap.NewAddRequest(dn(number), nil)
		add.Attribute("objectClass", []string{"inetOrgPerson"})
		add.Attribute("uid", []string{login})
		add.Attribute("sn", []string{"x"})
		add.Attribute("userPassword", []string{firstValue})
		if err := f.Admin.Add(add); err != nil {
			t.Fatalf("%q: %v", login, err)
		}
	}
	square{f.with(t), hostile, dn, f.Bind, map[string]string{"{SSHA}x": "refused PolicyViolation"}}.test(t) // it looks like a hash
}

func (f fedora) setAndChange(t *testing.T) {
	i := f.with(t)
	if found := i.Check(t.Context()); len(found) > 0 {
		t.Errorf("Check = %+v", found)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user0", canary+"A1")), "applied")
	wantVerdict(t, i, "user0", canary+"A1", sdk.Accepted)
	wantVerdict(t, i, "user0", f.first(0), sdk.Rejected)
	if f.Bind(f.dn(0), canary+"A1") != nil {
		t.Error("the value that was set does not log on")
	}
	for name, tt := range map[string]struct {
		op   sdk.Operation
		want string
	}{
		"nobody":           {set("nobody", "New value 1"), "refused AccountNotFound"},
		"itself":           {set(f.BindDN, "New value 1"), "refused Protected"},
		"too short":        {set("user0", "Ab1 x"), "refused PolicyViolation"},
		"not its old one":  {change("user1", "not it", "New value 1"), "refused WrongCurrentPassword"},
		"a change":         {change("user1", f.first(1), "New value 1"), "applied"},
		"a change, resent": {again(change("user2", "an old one", f.first(2))), "already-applied"},
	} {
		if r := i.Apply(t.Context(), tt.op); !strings.HasPrefix(say(r), tt.want) {
			t.Errorf("%s: %s (%v), want %s", name, say(r), r.Err, tt.want)
		}
	}
	names := []string{"user3", f.dn(3), "USER3", "UID = user3, OU=People," + f.BaseDN}
	found := ask(t, i, append(names, "user4")...)
	for n := range names {
		if found[n] != found[0] || found[n] == found[len(names)] {
			t.Errorf("%q is %+v, %q is %+v: want one", names[0], found[0], names[n], found[n])
		}
	}
	if a, err := i.Find(t.Context(), "user3"); err != nil || a.Status != sdk.StatusActive || a.Stamp != "" {
		t.Errorf("Find = %+v, %v: times have seconds, so there is no stamp", a, err)
	}
}

func (f fedora) locks(t *testing.T) {
	i := f.with(t)
	for n := 3; n < 6; n++ {
		f.lock(t, n)
	}
	if a, err := i.Find(t.Context(), "user3"); err != nil || a.Status != sdk.StatusLocked {
		t.Errorf("Find = %v, %v, want locked", a.Status, err)
	}
	wantVerdict(t, i, "user3", f.first(3), sdk.Blocked)
	wantReceipt(t, i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "user3"}), "applied")
	wantVerdict(t, i, "user3", f.first(3), sdk.Accepted)
	wantReceipt(t, i.Apply(t.Context(), set("user4", "New value 1")), "applied") // unlocks
	wantVerdict(t, i, "user4", "New value 1", sdk.Accepted)
	wantReceipt(t, f.with(t, "keep_lock", true).Apply(t.Context(), set("user5", "New value 1")), "applied")
	wantVerdict(t, i, "user5", "New value 1", sdk.Blocked)
	if a, err := i.Find(t.Context(), "user5"); err != nil || a.Status != sdk.StatusLocked {
		t.Errorf("Find = %v, %v, want locked as before", a.Status, err)
	}
}

// The mark is taken and forgotten: that is no success.
func (f fedora) mustChange(t *testing.T) {
	i := f.with(t)
	wantReceipt(t, i.Apply(t.Context(), must(set("user6", "New value 1"), true)), "refused Unsupported")
	if f.Bind(f.dn(6), f.first(6)) != nil {
		t.Error("a refused set has changed the password")
	}
	if err := f.Rules("passwordMustChange", "on"); err != nil {
		t.Fatal(err)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user6", "New value 1")), "applied")
	wantVerdict(t, i, "user6", "New value 1", sdk.AcceptedMustChange)
	if err := f.Rules("passwordMustChange", "off"); err != nil {
		t.Fatal(err)
	}
}

func (f fedora) policy(t *testing.T) {
	got, err := f.with(t).Policy(t.Context(), "user7", "")
	if err != nil || got.MinLength != 1 || !strings.Contains(got.Note, "may not see the rules") {
		t.Errorf("what is not seen: %+v, %v, want a note", got, err)
	}
	open := goldap.NewModifyRequest("cn=config", nil)
	open.Add("aci", []string{`(targetattr="*")(version 3.0; acl "rules"; allow (read, search, compare) userdn="ldap:///` + f.BindDN + `";)`})
	if err := f.Admin.Modify(open); err != nil {
		t.Fatal(err)
	}
	if err := f.Rules("passwordMinDigits", "2", "passwordMinUppers", "1"); err != nil {
		t.Fatal(err)
	}
	got, err = f.with(t).Policy(t.Context(), "user7", "")
	got.Note = ""
	if d := cmp.Diff(sdk.Policy{MinLength: 8, Digits: 2, Upper: 1, Classes: 3, History: 3, NoAccountName: true}, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	r := f.with(t).Apply(t.Context(), set("user7", "no upper 12"))
	if !strings.HasPrefix(say(r), "refused PolicyViolation") {
		t.Errorf("%s (%v), want the policy", say(r), r.Err)
	}
}
