package command_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/command/kerberostest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// kerberos are the settings of scripts/kerberos.star.
func kerberos(kdc *kerberostest.KDC) []any {
	return []any{
		"set", []string{"/usr/sbin/kadmin.local", "change_password", "{account}"}, "set_input", "{value}\n{value}\n",
		"verify", []string{"/usr/bin/kinit", "-c", "MEMORY:", "{account}"}, "verify_input", "{value}\n",
		"find", []string{"/usr/sbin/kadmin.local", "get_principal", "{account}"},
		"find_output", []string{`^Principal: (?P<id>\S+)$`, `^Key: vno (?P<stamp>\d+)`},
		"list", []string{"/usr/sbin/kadmin.local", "list_principals"}, "list_output", `^(?P<account>[^@ /]+)@\S+$`,
		"unlock", []string{"/usr/sbin/kadmin.local", "modify_principal", "-unlock", "{account}"},
		"env", kdc.Env, "accounts", `[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?`,
		"answers", []string{
			"AccountNotFound: output Principal does not exist|not found in Kerberos database",
			"PolicyViolation/min_length: output Password is too short",
			"PolicyViolation/classes: output does not contain enough character classes",
			"PolicyViolation/history: output Cannot reuse password",
			"PermissionDenied: output Operation requires|Permission denied",
			"rejected: output Password incorrect|Preauthentication failed",
			"accepted-must-change: output Password expired",
			"blocked: output credentials have been revoked",
			"disabled: output ^Attributes:.*DISALLOW_ALL_TIX",
		},
	}
}

// TestKerberos is kadmin.local and kinit on a real KDC.
func TestKerberos(t *testing.T) {
	kdc := kerberostest.Start(t, "ann", "bob", "host/web", "off", "must")
	i := open(t, kerberos(kdc)...)
	for _, value := range []string{canary, "Plain-value-1", "leading space? no; trailing  ", "x7.漢字🔑-Aa1"} {
		if r := i.Apply(t.Context(), set("ann", value)); r.Outcome != sdk.Applied {
			t.Fatalf("%q: %v", value, r.Err)
		}
		if !kdc.Login(t, "ann", value) || kdc.Login(t, "ann", value+"x") {
			t.Errorf("%q: kinit does not agree", value)
		}
		wantVerdict(t, i, "ann", value, sdk.Accepted)
		wantVerdict(t, i, "ann", value+"x", sdk.Rejected)
	}
	for what, test := range map[string]struct {
		account, value string
		code           sdk.Code
		rule           sdk.Rule
	}{
		"unknown":     {"nobody", "Plain-value-2", sdk.AccountNotFound, ""},
		"too short":   {"ann", "aB3.", sdk.PolicyViolation, sdk.RuleMinLength},
		"one class":   {"ann", "aaaaaaaaaaaa", sdk.PolicyViolation, sdk.RuleClasses},
		"from before": {"ann", "Plain-value-1", sdk.PolicyViolation, sdk.RuleHistory},
		"an option":   {"-randkey", "Plain-value-2", sdk.InvalidOperation, ""},
	} {
		r := i.Apply(t.Context(), set(test.account, test.value))
		if r.Outcome != sdk.Refused || r.Err.Code != test.code || test.rule != "" && r.Err.Violations[0].Rule != test.rule {
			t.Errorf("%s: %v %v, want %s %s", what, r.Outcome, r.Err, test.code, test.rule)
		}
	}
	wantVerdict(t, i, "ann", "x7.漢字🔑-Aa1", sdk.Accepted)
}

func TestKerberosAccounts(t *testing.T) {
	kdc := kerberostest.Start(t, "ann", "off", "must")
	i := open(t, kerberos(kdc)...)
	for _, account := range []string{"ann", "off", "must"} {
		if r := i.Apply(t.Context(), set(account, "Plain-value-1")); r.Outcome != sdk.Applied {
			t.Fatalf("%s: %v", account, r.Err)
		}
	}
	kdc.Admin(t, "modify_principal -allow_tix off\nmodify_principal +needchange must\n")
	wantVerdict(t, i, "off", "Plain-value-1", sdk.Blocked)
	wantVerdict(t, i, "must", "Plain-value-1", sdk.AcceptedMustChange)
	before, err := i.Find(t.Context(), "ann")
	if err != nil || before.ID != "ann@"+kerberostest.Realm || before.Stamp == "" {
		t.Errorf("Find: %+v, %v", before, err)
	}
	if off, err := i.Find(t.Context(), "off"); err != nil || off.Status != sdk.StatusDisabled {
		t.Errorf("Find of a disabled one: %+v, %v", off, err)
	}
	if r := i.Apply(t.Context(), set("ann", "Plain-value-2")); r.Outcome != sdk.Applied {
		t.Fatalf("%v", r.Err)
	}
	if after, err := i.Find(t.Context(), "ann"); err != nil || after.Stamp == before.Stamp {
		t.Errorf("the stamp is %q after %q, %v", after.Stamp, before.Stamp, err)
	}
	if r := i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "ann"}); r.Outcome != sdk.Applied {
		t.Errorf("unlock: %v", r.Err)
	}
	seen := map[string]bool{}
	err = i.List(t.Context(), "", nil, func(account sdk.Account) error { seen[account.Account] = true; return nil })
	if err != nil || !seen["ann"] || !seen["off"] || !seen["must"] || len(seen) != 3 {
		t.Errorf("List: %v, %v", seen, err)
	}
	for _, log := range kdc.Logs {
		if text := readIfThere(log); strings.Contains(text, "Plain-value") {
			t.Errorf("%s has a value", log)
		}
	}
}

func wantVerdict(t *testing.T, i sdk.Verifier, account, value string, want sdk.Verdict) {
	t.Helper()
	if got, err := i.Verify(t.Context(), account, "", secret.New(value)); err != nil || got != want {
		t.Errorf("verify of %s: %v, %v, want %v", account, got, err, want)
	}
}

// TestManyAccountsOfAnImage: each gets its value, eight at once, and nothing else
// of the file changes.
func TestManyAccountsOfAnImage(t *testing.T) {
	const count = 60
	names := []string{"still:!locked"}
	for n := range count {
		names = append(names, fmt.Sprintf("user%d:*", n))
	}
	image := newImage(t, names...)
	var settings []any
	for name, value := range image.values() {
		settings = append(settings, name, value)
	}
	i := open(t, settings...)
	var next, failed atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < count; n = next.Add(1) - 1 {
				if r := i.Apply(t.Context(), set(fmt.Sprint("user", n), fmt.Sprint("value of ", n))); r.Outcome != sdk.Applied {
					failed.Add(1)
					t.Errorf("user%d: %v", n, r.Err)
				}
			}
		})
	}
	workers.Wait()
	for n := 0; n < count; n += 5 {
		if !image.holds(fmt.Sprint("user", n), fmt.Sprint("value of ", n)) {
			t.Errorf("user%d does not have its value", n)
		}
	}
	if image.hash("still") != "!locked" || strings.Count(read(t, image.etc("shadow")), "\n") != count+1 {
		t.Error("another line changed")
	}
}

// hostile are names and values that mean something to careless programs.
var hostile = []string{
	"'", `"`, "`", ";--", "' OR '1'='1", `" OR "1"="1`, "*", "?", ")(uid=*", "a,b", "a=b", "#a", "-h", "--help", "-", "..", "../../etc/passwd",
	"/etc/passwd", "$(id)", "`id`", "|id", "a b", " a", "a ", "a:b", "a\tb", "a\nb", "a\rb", "a\x00b", "\\", "%s%n", "%00", "{value}", "{account}",
	"𝔘𝔫𝔦", "\u2028", "\u202enna", "é", "e\u0301", strings.Repeat("n", 72), strings.Repeat("é", 128), "~root", "@file", "!x",
}

// TestHostileNamesAndValues: only the named account changes, or the refusal is
// clear.
func TestHostileNamesAndValues(t *testing.T) {
	image := newImage(t, "ann:*", "other:*")
	values := image.values()
	values["min_length"] = int64(1)
	var settings []any
	for name, value := range values {
		settings = append(settings, name, value)
	}
	i := open(t, settings...)
	if len(hostile) < 40 {
		t.Errorf("only %d", len(hostile))
	}
	for _, name := range hostile {
		r := i.Apply(t.Context(), set(name, "a good Value 1"))
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.AccountNotFound && r.Err.Code != sdk.InvalidOperation {
			t.Errorf("account %q: %v %v", name, r.Outcome, r.Err)
		}
	}
	if image.hash("ann") != "*" || image.hash("other") != "*" {
		t.Error("an account changed that was not named")
	}
	for _, value := range hostile {
		r := i.Apply(t.Context(), set("ann", value))
		switch {
		case r.Outcome == sdk.Applied && !image.holds("ann", value):
			t.Errorf("value %q: applied, and openssl says otherwise", value)
		case r.Outcome != sdk.Applied && (r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation):
			t.Errorf("value %q: %v %v", value, r.Outcome, r.Err)
		}
	}
	if image.hash("other") != "*" {
		t.Error("an account changed that was not named")
	}
}
