package openiam_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// canary is a password that shows whether it leaks or is mangled.
const canary = "c\"a\\n%y é 1"

// begin starts a server with the user jdoe and returns it with an instance.
func begin(t *testing.T, o openiamtest.Options, settings ...any) (*openiamtest.Server, *openiam.Instance) {
	t.Helper()
	s := serve(t, o)
	return s, configure(t, s, settings...)
}

// serve starts a server that takes only what keeps to the schema; the contract
// is held against one that does not ask for it, too.
func serve(t *testing.T, o openiamtest.Options) *openiamtest.Server {
	t.Helper()
	o.Strict = true
	s := openiamtest.New(o)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Add(openiamtest.User{ID: "3001", First: "Jane", Last: "Doe", Mail: "jdoe@example.com"}, openiamtest.Key{Principal: "jdoe"}, "old-pass-0")
	return s
}

// configure opens an instance with settings given as name and value; a
// secret.Value goes to the secrets.
func configure(t *testing.T, s *openiamtest.Server, settings ...any) *openiam.Instance {
	t.Helper()
	c := sdk.Config{Label: "iam", Values: map[string]any{"url": s.URL()}, Secrets: map[string]secret.Value{}, Concurrency: 4, Timeout: 10 * time.Second}
	for n := 0; n < len(settings); n += 2 {
		if v, ok := settings[n+1].(secret.Value); ok {
			c.Secrets[settings[n].(string)] = v
			continue
		}
		c.Values[settings[n].(string)] = settings[n+1]
	}
	i, err := openiam.New().Configure(t.Context(), c)
	if err != nil {
		t.Fatalf("Configure = %v", err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i.(*openiam.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "op", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value), Requestor: "op-17", SourceSystem: "hr"}
}

func mustChange(op sdk.Operation, on bool) sdk.Operation { op.MustChange = &on; return op }

func attempt(op sdk.Operation, n int) sdk.Operation { op.Attempt = n; return op }

// line is what an operator reads of a receipt.
func line(r sdk.Receipt) string {
	text := r.Outcome.String()
	if r.Err != nil {
		text += " " + r.Err.Error()
	}
	return text
}

func TestSetIsSetPassword(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	if got := line(i.Apply(t.Context(), set("jdoe", canary))); got != "applied" {
		t.Fatalf("Apply = %s", got)
	}
	got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
	if got.Password != canary || got.ChangeCount != 1 || got.MustChange {
		t.Errorf("identity = %q, count %d, must change %t; want the value, 1, false", got.Password, got.ChangeCount, got.MustChange)
	}
	if n := s.Calls("resetPassword"); n != 0 {
		t.Errorf("resetPassword was called %d times", n)
	}
}

func TestMustChangeIsResetPasswordWithTheValue(t *testing.T) {
	for _, returns := range []bool{false, true} {
		s, i := begin(t, openiamtest.Options{ReturnResets: returns})
		if got := line(i.Apply(t.Context(), mustChange(set("jdoe", canary), true))); got != "applied" {
			t.Fatalf("Apply = %s", got)
		}
		got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
		if got.Password != canary || !got.MustChange {
			t.Errorf("identity = %q, must change %t; want the value, true", got.Password, got.MustChange)
		}
	}
}

func TestMustChangeFalseIsSetPassword(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	i.Apply(t.Context(), mustChange(set("jdoe", "new-pass-1"), false))
	if n := s.Calls("setPassword"); n != 1 {
		t.Errorf("setPassword was called %d times, want 1", n)
	}
}

func TestResetTellsTheValueThatTheServerTells(t *testing.T) {
	for _, test := range []struct {
		name    string
		returns bool
	}{{"documented", true}, {"community edition", false}} {
		t.Run(test.name, func(t *testing.T) {
			s, i := begin(t, openiamtest.Options{ReturnResets: test.returns})
			r := i.Reset(t.Context(), sdk.Operation{ID: "op", Attempt: 1, Verb: sdk.Reset, Account: "jdoe"})
			if r.Outcome != sdk.Applied || r.Value.Present() != test.returns {
				t.Fatalf("Reset = %s, value %t; want applied, value %t", line(r), r.Value.Present(), test.returns)
			}
			got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
			if test.returns && got.Password != r.Value.Reveal() {
				t.Error("the receipt has another value than the server")
			}
		})
	}
}

func TestBlankResetCanBeSwitchedOff(t *testing.T) {
	s, i := begin(t, openiamtest.Options{}, "blank_reset", false)
	r := i.Reset(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: "jdoe"})
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Unsupported || s.Calls("resetPassword") != 0 {
		t.Errorf("Reset = %s after %d calls; want refused Unsupported, none", line(r), s.Calls("resetPassword"))
	}
}

func TestAuditHasWhoAskedAndFromWhere(t *testing.T) {
	s, i := begin(t, openiamtest.Options{}, "requestor_login", "sysadmin", "requestor_domain", "IDM", "request_client_ip", "10.0.0.9")
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	rows := s.Audit()
	if len(rows) != 1 {
		t.Fatalf("%d audit rows, want 1", len(rows))
	}
	rows[0].At, rows[0].RequestID = time.Time{}, ""
	want := openiamtest.AuditRow{Action: "SET PASSWORD", Result: "SUCCESS", UserID: "3001", Domain: "USR_SEC_DOMAIN", Principal: "jdoe", System: "0",
		RequestorID: "op-17", RequestorLogin: "sysadmin", RequestorDomain: "IDM", ClientIP: "10.0.0.9", SourceSystem: "hr"}
	if diff := cmp.Diff(want, rows[0]); diff != "" {
		t.Errorf("audit row (-want +got):\n%s", diff)
	}
}

func TestAccountsNameDomainAndSystem(t *testing.T) {
	for _, test := range []struct {
		account string
		want    openiamtest.Key
	}{
		{"jdoe", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "jdoe", System: "0"}},
		{"PARTNERS/jdoe", openiamtest.Key{Domain: "PARTNERS", Principal: "jdoe", System: "0"}},
		{"PARTNERS:110/jdoe", openiamtest.Key{Domain: "PARTNERS", Principal: "jdoe", System: "110"}},
		{":110/jdoe", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "jdoe", System: "110"}},
		{"/a/b", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "a/b", System: "0"}},
		{"uid=j,ou=p", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "uid=j,ou=p", System: "0"}},
		{`o'br"<ien> & co%2f`, openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: `o'br"<ien> & co%2f`, System: "0"}},
		{"Zoë 漢字 🙂", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "Zoë 漢字 🙂", System: "0"}},
		{"a\tb\r\nc", openiamtest.Key{Domain: "USR_SEC_DOMAIN", Principal: "a\tb\r\nc", System: "0"}},
	} {
		s, i := begin(t, openiamtest.Options{})
		s.Add(openiamtest.User{ID: "x"}, test.want, "old-pass-0")
		if got := line(i.Apply(t.Context(), set(test.account, "new-pass-1"))); got != "applied" {
			t.Errorf("Apply(%q) = %s", test.account, got)
		}
		if got, _ := s.Identity(test.want); got.Password != "new-pass-1" {
			t.Errorf("Apply(%q) did not reach %v", test.account, test.want)
		}
		if a, err := i.Find(t.Context(), test.account); err != nil || a.Account != test.account {
			t.Errorf("Find(%q) = %q, %v", test.account, a.Account, err)
		}
	}
}

func TestSettingsAreTheDefaultsOfAccounts(t *testing.T) {
	s, i := begin(t, openiamtest.Options{}, "security_domain", "PARTNERS", "managed_system", "110")
	key := openiamtest.Key{Domain: "PARTNERS", Principal: "jdoe", System: "110"}
	s.Add(openiamtest.User{ID: "x"}, key, "old-pass-0")
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if got, _ := s.Identity(key); got.Password != "new-pass-1" {
		t.Error("the set did not reach the domain and system of the settings")
	}
}

func TestRefusedBeforeAnythingIsSent(t *testing.T) {
	token := []any{"user", "svc", "password", secret.New("pw")}
	for _, test := range []struct {
		name string
		op   sdk.Operation
		want sdk.Code
	}{
		{"value with a control character", set("jdoe", "new\x00pass1"), sdk.PolicyViolation},
		{"value that is not UTF-8", set("jdoe", "new\xffpass1"), sdk.PolicyViolation},
		{"account with a control character", set("j\x01", "new-pass-1"), sdk.InvalidOperation},
		{"account that is not UTF-8", set("j\xff", "new-pass-1"), sdk.InvalidOperation},
		{"empty account", set("", "new-pass-1"), sdk.InvalidOperation},
		{"no principal", set("DOMAIN/", "new-pass-1"), sdk.InvalidOperation},
		{"no system", set("DOMAIN:/jdoe", "new-pass-1"), sdk.InvalidOperation},
		{"own account", set("SVC", "new-pass-1"), sdk.Protected},
	} {
		s, i := begin(t, openiamtest.Options{}, token...)
		r := i.Apply(t.Context(), test.op)
		if r.Outcome != sdk.Refused || r.Err.Code != test.want || s.Calls("setPassword") != 0 {
			t.Errorf("%s: %s after %d calls; want refused %s, none", test.name, line(r), s.Calls("setPassword"), test.want)
		}
	}
}

func TestConfigureRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		values map[string]any
		want   string
	}{
		{"clear text", map[string]any{"url": "http://idm.example/services/P"}, `InsecureTransport: url: http:// to idm.example would send passwords in clear; use https://, or insecure = True`},
		{"no path", map[string]any{"url": "https://"}, `InvalidConfig: url: names no host`},
		{"user alone", map[string]any{"url": "https://h/P", "user": "svc"}, `InvalidConfig: user and password: give both or neither`},
		{"control character", map[string]any{"url": "https://h/P", "security_domain": "a\x00"}, `InvalidConfig: security_domain: has a character that XML cannot carry`},
	} {
		_, err := openiam.New().Configure(t.Context(), sdk.Config{Values: test.values})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: Configure = %v, want %s", test.name, err, test.want)
		}
	}
}

func TestSetOfTheDefaultSystemReachesTheOthers(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.AddSystem(openiamtest.System{ID: "111", NoSync: true})
	s.Add(openiamtest.User{ID: "3001"}, openiamtest.Key{Principal: "jdoe110", System: "110"}, "x")
	s.Add(openiamtest.User{ID: "3001"}, openiamtest.Key{Principal: "jdoe111", System: "111"}, "x")
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	for account, want := range map[string]sdk.Verdict{":110/jdoe110": sdk.Accepted, ":111/jdoe111": sdk.Rejected} {
		if got, err := i.Verify(t.Context(), account, "", secret.New("new-pass-1")); got != want || err != nil {
			t.Errorf("Verify(%q) = %v, %v; want %v", account, got, err, want)
		}
	}
}

func TestAFurtherAttemptLooksFirst(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	r := i.Apply(t.Context(), attempt(set("jdoe", "new-pass-1"), 2))
	if r.Outcome != sdk.AlreadyApplied || s.Calls("setPassword") != 1 {
		t.Errorf("second attempt = %s after %d calls of setPassword; want already-applied, 1", line(r), s.Calls("setPassword"))
	}
	r = i.Apply(t.Context(), attempt(set("jdoe", "new-pass-2"), 2))
	if r.Outcome != sdk.Refused || r.Err.Violations[0].Rule != sdk.RuleChangeCount {
		t.Errorf("attempt with another value = %s; want refused for the change counter", line(r))
	}
}

func TestAFurtherAttemptThatCannotLookLeavesARepeatOpen(t *testing.T) {
	s, i := begin(t, openiamtest.Options{NoCompanions: true})
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	r := i.Apply(t.Context(), attempt(set("jdoe", "new-pass-1"), 2))
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.PolicyViolation {
		t.Errorf("second attempt = %s; want unknown PolicyViolation", line(r))
	}
	if got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"}); len(got.Values) != 2 {
		t.Errorf("the identity took %d values, want its first and one", len(got.Values))
	}
}

func TestFindTellsTheState(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		name   string
		change func(*openiamtest.Identity, *openiamtest.User)
		status sdk.Status
		must   *bool
	}{
		{"active", func(*openiamtest.Identity, *openiamtest.User) {}, sdk.StatusActive, &no},
		{"must change", func(i *openiamtest.Identity, _ *openiamtest.User) { i.MustChange = true }, sdk.StatusActive, &yes},
		{"identity locked", func(i *openiamtest.Identity, _ *openiamtest.User) { i.Locked = true }, sdk.StatusLocked, &no},
		{"user locked", func(_ *openiamtest.Identity, u *openiamtest.User) { u.SecondaryStatus = openiamtest.LockedAdmin }, sdk.StatusLocked, &no},
		{"disabled", func(_ *openiamtest.Identity, u *openiamtest.User) { u.SecondaryStatus = openiamtest.Disabled }, sdk.StatusDisabled, &no},
		{"inactive", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = openiamtest.Inactive }, sdk.StatusDisabled, &no},
		{"first logon", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = openiamtest.PendingInitialLogin }, sdk.StatusActive, &no},
		{"pending", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = "PENDING_APPROVAL" }, sdk.StatusPending, &no},
		{"deleted", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = openiamtest.Terminated }, sdk.StatusDeleted, &no},
		{"on leave", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = "LEAVE" }, sdk.StatusSuspended, &no},
		{"something else", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = "ODD" }, sdk.StatusUnknown, &no},
	} {
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		s, i := begin(t, openiamtest.Options{Now: func() time.Time { return at }})
		s.Update(openiamtest.Key{Principal: "jdoe"}, test.change)
		got, err := i.Find(t.Context(), "jdoe")
		want := sdk.Account{Account: "jdoe", ID: "3001", Login: "jdoe", Name: "Jane Doe", Mail: "jdoe@example.com", Status: test.status,
			MustChange: test.must, ChangedAt: at, Stamp: "2026-03-01T12:00:00.000Z/0"}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: Find = %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func TestFindOfNobodyAndOfAnOrphan(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	_, err := i.Find(t.Context(), "nobody")
	if e := sdk.AsError(err, sdk.Internal); e == nil || e.Code != sdk.AccountNotFound {
		t.Errorf("Find = %v, want AccountNotFound", err)
	}
	s.AddOrphan(openiamtest.Key{Principal: "orphan"}, "x")
	if a, err := i.Find(t.Context(), "orphan"); err != nil || a.Status != sdk.StatusUnknown {
		t.Errorf("Find = %v, %v; want status unknown", a.Status, err)
	}
}

func TestVerifyByEquality(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	check := func(account, value string, want sdk.Verdict) {
		t.Helper()
		if got, err := i.Verify(t.Context(), account, "", secret.New(value)); got != want || err != nil {
			t.Errorf("Verify(%q) = %v, %v; want %v", account, got, err, want)
		}
	}
	check("jdoe", "old-pass-0", sdk.Accepted)
	for range 5 {
		check("jdoe", "wrong", sdk.Rejected)
	}
	if got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"}); got.FailedLogons != 0 {
		t.Errorf("%d failed logons were counted, want none", got.FailedLogons)
	}
	i.Apply(t.Context(), mustChange(set("jdoe", canary), true))
	check("jdoe", canary, sdk.AcceptedMustChange)
	_, err := i.Verify(t.Context(), "nobody", "", secret.New("x"))
	if e := sdk.AsError(err, sdk.Internal); e == nil || e.Code != sdk.AccountNotFound {
		t.Errorf("Verify(nobody) = %v, want AccountNotFound", err)
	}
}

func TestVerifyByLogon(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, account, value string
		change               func(*openiamtest.Identity, *openiamtest.User)
		want                 sdk.Verdict
		code                 sdk.Code
	}{
		{"right", "jdoe", "old-pass-0", nil, sdk.Accepted, ""},
		{"wrong", "jdoe", "wrong", nil, sdk.Rejected, ""},
		{"third wrong", "jdoe", "wrong", func(i *openiamtest.Identity, _ *openiamtest.User) { i.FailedLogons = 2 }, sdk.Blocked, ""},
		{"locked", "jdoe", "old-pass-0", func(_ *openiamtest.Identity, u *openiamtest.User) { u.SecondaryStatus = "LOCKED" }, sdk.Blocked, ""},
		{"disabled", "jdoe", "old-pass-0", func(_ *openiamtest.Identity, u *openiamtest.User) { u.SecondaryStatus = "DISABLED" }, sdk.Blocked, ""},
		{"status", "jdoe", "old-pass-0", func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = "INACTIVE" }, sdk.Blocked, ""},
		{"expired", "jdoe", "old-pass-0", func(i *openiamtest.Identity, _ *openiamtest.User) { i.Expires, i.GraceEnds = at.Add(-2), at.Add(-1) }, sdk.AcceptedMustChange, ""},
		{"another system", ":110/jdoe", "old-pass-0", nil, sdk.CannotTell, ""},
		{"nobody", "nobody", "x", nil, sdk.CannotTell, sdk.AccountNotFound},
		{"no such domain", "NOWHERE/jdoe", "x", nil, sdk.CannotTell, sdk.InvalidConfig},
	} {
		s, i := begin(t, openiamtest.Options{Now: func() time.Time { return at }}, "verify", "logon")
		if test.change != nil {
			s.Update(openiamtest.Key{Principal: "jdoe"}, test.change)
		}
		got, err := i.Verify(t.Context(), test.account, "", secret.New(test.value))
		var code sdk.Code
		if err != nil {
			code = sdk.AsError(err, sdk.Internal).Code
		}
		if got != test.want || code != test.code {
			t.Errorf("%s: Verify = %v, %v; want %v, %q", test.name, got, err, test.want, test.code)
		}
	}
}

func TestVerifyCanBeSwitchedOff(t *testing.T) {
	s, i := begin(t, openiamtest.Options{}, "verify", "none")
	if got, err := i.Verify(t.Context(), "jdoe", "", secret.New("x")); got != sdk.CannotTell || err != nil || s.Calls("isPasswordEq") != 0 {
		t.Errorf("Verify = %v, %v", got, err)
	}
}

func TestUnlock(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Update(openiamtest.Key{Principal: "jdoe"}, func(id *openiamtest.Identity, u *openiamtest.User) { id.Locked, u.SecondaryStatus = true, "LOCKED" })
	if r := i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "jdoe"}); r.Outcome != sdk.Applied {
		t.Fatalf("Unlock = %s", line(r))
	}
	if a, _ := i.Find(t.Context(), "jdoe"); a.Status != sdk.StatusActive {
		t.Errorf("status = %v, want active", a.Status)
	}
	if r := i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "nobody"}); r.Outcome != sdk.Refused || r.Err.Code != sdk.AccountNotFound {
		t.Errorf("Unlock(nobody) = %s, want refused AccountNotFound", line(r))
	}
}

func TestPolicyIsReadForAPrincipal(t *testing.T) {
	s, i := begin(t, openiamtest.Options{}, "policy_principal", "jdoe")
	got, err := i.Policy(t.Context(), "", "")
	want := sdk.Policy{MinLength: 8, MaxLength: 12, Digits: 1, Forbid: "<>", History: 6, Note: "at most 1 setPassword until a reset sets the counter back"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Policy = %v (-want +got):\n%s", err, diff)
	}
	s.SetPolicy("DOMAIN USR_SEC_DOMAIN", openiamtest.DefaultPolicy().With("NON_ALPHA_CHARS", "2", "3").With("PWD_EQ_PWD", "true").
		With("PWD_LOGIN", "true").With("PWD_NAME", "true").With("ALPHA_CHARS", "1").With("UPPERCASE_CHARS", "1").With("LOWERCASE_CHARS", "1"))
	got, err = i.Policy(t.Context(), "jdoe", "")
	want = sdk.Policy{MinLength: 8, MaxLength: 12, Digits: 1, Letters: 1, Upper: 1, Lower: 1, Symbols: 2, AllowedSymbols: "!\"#$%&'()*+,-./:;<=>?@",
		Forbid: "<>", History: 6, NoAccountName: true, ForbidWords: []string{"password"},
		Note: "at most 3 symbols; must not contain the first or last name; at most 1 setPassword until a reset sets the counter back"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Policy = %v (-want +got):\n%s", err, diff)
	}
}

func TestPolicyWithoutAPrincipalHasNoRules(t *testing.T) {
	_, i := begin(t, openiamtest.Options{})
	got, err := i.Policy(t.Context(), "", "")
	if err != nil || got.Note == "" || got.MaxLength != 0 {
		t.Errorf("Policy = %+v, %v; want a note and no rules", got, err)
	}
	_, err = i.Policy(t.Context(), "nobody", "")
	if e := sdk.AsError(err, sdk.Internal); e == nil || e.Code != sdk.AccountNotFound {
		t.Errorf("Policy(nobody) = %v, want AccountNotFound", err)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name     string
		options  openiamtest.Options
		settings []any
		want     []string // severity, code, message's start
	}{
		{"ready", openiamtest.Options{}, []any{"policy_principal", "jdoe"}, nil},
		{"policy not known", openiamtest.Options{}, nil, []string{"0  the password policy is not known"}},
		{"policy of nobody", openiamtest.Options{}, []any{"policy_principal", "nobody"}, []string{"2 InvalidConfig policy_principal: no such identity"}},
		{"namespace of the documentation", openiamtest.Options{Namespace: "http://www.openiam.org/service/connector"}, []any{"policy_principal", "jdoe"},
			[]string{"2 InvalidConfig the server's namespace is"}},
		{"that namespace set", openiamtest.Options{Namespace: "http://www.openiam.org/service/connector"},
			[]any{"policy_principal", "jdoe", "namespace", "http://www.openiam.org/service/connector"}, nil},
		{"older schema", openiamtest.Options{BasicFields: true}, []any{"policy_principal", "jdoe"}, []string{"2 InvalidConfig the server's PasswordSync"}},
		{"older schema set", openiamtest.Options{BasicFields: true}, []any{"policy_principal", "jdoe", "fields", "basic"}, nil},
		{"no companions", openiamtest.Options{NoCompanions: true}, nil, []string{"1 InvalidConfig LoginDataWebService does not answer", "0  the password"}},
		{"no companions, which the look-up wants", openiamtest.Options{NoCompanions: true}, []any{"lookup", "required"},
			[]string{"2 InvalidConfig LoginDataWebService does not answer: it is not there (HTTP 404); the script looks identities up there", "0  the password"}},
		{"the policy's service is not there", openiamtest.Options{NoCompanions: true}, []any{"policy_principal", "jdoe"},
			[]string{"1 InvalidConfig LoginDataWebService does not answer", "2 InvalidConfig policy_principal: there is no such service"}},
		{"no description", openiamtest.Options{NoWSDL: true}, []any{"policy_principal", "jdoe"},
			[]string{"1  the server publishes no service description: HTTP 404 to ?wsdl; the service is there"}},
		{"no description, token missing", openiamtest.Options{NoWSDL: true, User: "svc", Password: "pw"}, nil,
			[]string{"2 InvalidConfig fault: An error was discovered"}},
		{"token missing", openiamtest.Options{User: "svc", Password: "pw"}, []any{"policy_principal", "jdoe"},
			[]string{"2 InvalidConfig fault: An error was discovered", "2 InvalidConfig policy_principal: fault"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, i := begin(t, test.options, test.settings...)
			found := i.Check(t.Context())
			for n, f := range found {
				text := string('0'+byte(f.Severity)) + " " + string(f.Code) + " " + f.Message
				if n >= len(test.want) || len(text) < len(test.want[n]) || text[:len(test.want[n])] != test.want[n] {
					t.Errorf("finding %d = %s", n, text)
				}
			}
			if len(found) < len(test.want) {
				t.Errorf("%d findings, want %q", len(found), test.want)
			}
		})
	}
}

// A server of another kind answers everything: with a page, with a redirect to
// its logon, with what a proxy says.
func TestCheckOfWhatIsNoService(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"nothing at that path": {http.NotFound, "InvalidConfig: there is no such service; check the url"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html><body>Welcome</body></html>"))
		}, "TargetError: the answer is not a SOAP 1.1 envelope"},
		"a login": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "InvalidConfig: the server wants a login of its own, or another one; check user and password"},
		"a proxy": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "TargetUnavailable: HTTP 503 Service Unavailable"},
	} {
		s := httptest.NewServer(test.handler)
		i, err := openiam.New().Configure(t.Context(), sdk.Config{Values: map[string]any{"url": s.URL + "/idmsrvc/ProvisionControllerService"}, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		found := i.(*openiam.Instance).Check(t.Context())
		if len(found) != 1 || found[0].Severity != sdk.Bad || string(found[0].Code)+": "+found[0].Message != test.want {
			t.Errorf("%s: Check = %+v, want one bad finding %s", name, found, test.want)
		}
		if said := found[0].Message + "; " + found[0].Fix; strings.Count(said, "check ") != 1 {
			t.Errorf("%s: the operator is told once what to check: %s", name, said)
		}
		_ = i.Close()
		s.Close()
	}
}

// Stacks say in different words that they have no such operation.
func TestCheckKnowsTheWordsOfOtherStacks(t *testing.T) {
	for _, reason := range []string{"Message part {urn:x}rekeyCheck was not recognized.  (Does it exist in service WSDL?)",
		"Cannot find dispatch method for {http://www.openiam.org/service/provision}rekeyCheck",
		"The endpoint reference (EPR) for the Operation not found is /services/P", "java.lang.IllegalStateException"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				http.NotFound(w, r)
				return
			}
			w.WriteHeader(500)
			_, _ = w.Write([]byte(envelope("<Fault><faultcode>Client</faultcode><faultstring>" + reason + "</faultstring></Fault>")))
		}))
		i, err := openiam.New().Configure(t.Context(), sdk.Config{Values: map[string]any{"url": s.URL + "/P"}, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range i.(*openiam.Instance).Check(t.Context()) {
			if f.Severity == sdk.Bad {
				t.Errorf("%s: %+v", reason, f)
			}
		}
		_ = i.Close()
		s.Close()
	}
}

func TestWithoutTheLookUpServiceOnlyTheLookUpIsMissing(t *testing.T) {
	_, i := begin(t, openiamtest.Options{NoCompanions: true})
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Errorf("Apply = %s", got)
	}
	if got, err := i.Verify(t.Context(), "jdoe", "", secret.New("new-pass-1")); got != sdk.CannotTell || err != nil {
		t.Errorf("Verify = %v, %v; want that it cannot tell", got, err)
	}
	_, err := i.Find(t.Context(), "jdoe")
	if e := sdk.AsError(err, sdk.Internal); e == nil || e.Code != sdk.Unsupported {
		t.Errorf("Find = %v, want Unsupported", err)
	}
}

func TestCheckOfNothing(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Close()
	found := i.Check(t.Context())
	if len(found) != 1 || found[0].Severity != sdk.Bad || found[0].Code != sdk.Unreachable {
		t.Errorf("Check = %+v, want one bad finding Unreachable", found)
	}
}

func TestTokenIsSent(t *testing.T) {
	_, i := begin(t, openiamtest.Options{User: "svc", Password: canary}, "user", "svc", "password", secret.New(canary))
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Errorf("Apply = %s", got)
	}
	_, i = begin(t, openiamtest.Options{User: "svc", Password: canary}, "user", "svc", "password", secret.New("wrong"))
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig {
		t.Errorf("Apply with a wrong token = %s, want refused InvalidConfig", line(r))
	}
}

func TestManyAtOnce(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	const n = 60
	done := make(chan string)
	for k := range n {
		name := string(rune('a'+k%26)) + string(rune('a'+k/26))
		s.Add(openiamtest.User{}, openiamtest.Key{Principal: name}, "old-pass-0")
		go func() { done <- line(i.Apply(context.Background(), set(name, "new-pass-1"))) }()
	}
	for range n {
		if got := <-done; got != "applied" {
			t.Errorf("Apply = %s", got)
		}
	}
}

func TestTheHintToAnOlderSchemaIsNotGivenWhereItIsFollowed(t *testing.T) {
	for fields, want := range map[string]bool{"current": true, "basic": false} {
		s, i := begin(t, openiamtest.Options{}, "fields", fields)
		s.Faults.Add(resttest.Fault{Times: 1, Answer: resttest.Say(500, "text/xml; charset=UTF-8", envelope("<Fault><faultcode>Client</faultcode><faultstring>Unmarshalling Error: x</faultstring></Fault>"))})
		if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); strings.Contains(got, `fields = "basic"`) != want {
			t.Errorf("fields %s: %s", fields, got)
		}
	}
}
