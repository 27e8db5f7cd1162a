package ldap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// canary is a value that shows every usual mistake of quoting.
const canary = `c"a\n%y é `

// config is what a script would give for a server.
func config(s *ldaptest.Server, more ...any) sdk.Config {
	c := sdk.Config{
		Label:       "ldap",
		Concurrency: 4,
		Timeout:     20 * time.Second,
		Values: map[string]any{
			"url": s.URL, "bind_dn": s.BindDN, "base_dn": s.BaseDN, "page_size": int64(defaultPage),
			"insecure": true,
		},
		Secrets: map[string]secret.Value{"bind_password": secret.New(s.Password)},
	}
	for n := 0; n < len(more); n += 2 {
		c.Values[more[n].(string)] = more[n+1]
	}
	return c
}

func configure(t testing.TB, c sdk.Config) sdk.Instance {
	t.Helper()
	i, err := New().Configure(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

// open returns an instance in mode rfc3062.
func open(t testing.TB, s *ldaptest.Server, more ...any) *resetting {
	t.Helper()
	return configure(t, config(s, more...)).(*resetting)
}

// openOther returns an instance in another mode.
func openOther(t testing.TB, s *ldaptest.Server, more ...any) *Instance {
	t.Helper()
	return configure(t, config(s, more...)).(*Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func change(account, old, value string) sdk.Operation {
	op := set(account, value)
	op.Verb, op.Old = sdk.Change, secret.New(old)
	return op
}

func again(op sdk.Operation) sdk.Operation {
	op.Attempt = 2
	return op
}

func must(op sdk.Operation, v bool) sdk.Operation {
	op.MustChange = &v
	return op
}

// say is a receipt in a few words.
func say(r sdk.Receipt) string {
	text := r.Outcome.String()
	if r.Err != nil {
		text += " " + string(r.Err.Code)
		if r.Err.AccountStatus != sdk.StatusUnknown {
			text += " " + string(r.Err.AccountStatus)
		}
		for _, v := range r.Err.Violations {
			text += " " + string(v.Rule)
		}
	}
	return text
}

func wantReceipt(t *testing.T, r sdk.Receipt, want string) {
	t.Helper()
	if got := say(r); got != want {
		t.Errorf("got %s (%v), want %s", got, r.Err, want)
	}
}

func wantBind(t *testing.T, s *ldaptest.Server, dn, password string, want bool) {
	t.Helper()
	if err := s.Bind(dn, password); (err == nil) != want {
		t.Errorf("bind as %s: %v, want success %v", dn, err, want)
	}
}

func wantVerdict(t *testing.T, i sdk.Verifier, account, value string, want sdk.Verdict) {
	t.Helper()
	got, err := i.Verify(t.Context(), account, "", secret.New(value))
	if err != nil || got != want {
		t.Errorf("Verify(%q) = %v, %v, want %v", account, got, err, want)
	}
}

func wantCode(t *testing.T, err error, want sdk.Code) {
	t.Helper()
	if !errors.Is(err, &sdk.Error{Code: want}) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// asRoot changes the server behind the backend's back.
func asRoot(t *testing.T, s *ldaptest.Server, dn, attribute string, values ...string) {
	t.Helper()
	c, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m := goldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	if err := c.Modify(m); err != nil {
		t.Fatal(err)
	}
}

func attributeOf(t *testing.T, s *ldaptest.Server, dn, attribute string) string {
	t.Helper()
	c, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r, err := c.Search(goldap.NewSearchRequest(dn, goldap.ScopeBaseObject, goldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{attribute}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return r.Entries[0].GetAttributeValue(attribute)
}

func TestTwoThousandAccountsGetNewValues(t *testing.T) {
	const accounts, workers = 2000, 16
	s := ldaptest.Start(t, ldaptest.Options{Users: accounts, Sync: true})
	c := config(s)
	c.Concurrency = workers
	i := configure(t, c).(*resetting)
	numbers := make(chan int)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for n := range numbers {
				if r := i.Apply(context.Background(), set(s.UserDN(n), fmt.Sprint("new-password-", n))); r.Outcome != sdk.Applied {
					t.Errorf("user %d: %v", n, r.Err)
				}
			}
		})
	}
	for n := range accounts {
		numbers <- n
	}
	close(numbers)
	running.Wait()
	if got := len(i.server.admin.idle); got > workers {
		t.Errorf("%d connections, want at most %d", got, workers)
	}
	for n := range accounts {
		wantVerdict(t, i, s.UserDN(n), fmt.Sprint("new-password-", n), sdk.Accepted)
		wantVerdict(t, i, s.UserDN(n), s.UserPassword(n), sdk.Rejected)
	}
	wantBind(t, s, s.UserDN(7), "new-password-7", true)
	wantBind(t, s, s.UserDN(7), s.UserPassword(7), false)
}

func TestAccountsAreFoundByLoginAndByDN(t *testing.T) {
	twin := ldaptest.Entry("twin", "ou=people,dc=rekey,dc=test", "x") + "\n\n" + ldaptest.Entry("twin", "ou=denied,dc=rekey,dc=test", "x") + "\n\n"
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, LDIF: twin})
	i := open(t, s)
	tests := []struct{ account, want string }{
		{"user0", "applied"},
		{"USER1", "applied"},
		{s.UserDN(0), "applied"},
		{"UID=User0, OU=People, DC=rekey, DC=test", "applied"},
		{"user0 ", "refused AccountNotFound"}, // to the server these are user0
		{" user0", "refused AccountNotFound"},
		{"user0\n", "refused AccountNotFound"},
		{"nobody", "refused AccountNotFound"},
		{"uid=nobody,ou=people," + s.BaseDN, "refused AccountNotFound"},
		{"uid=a,ou=b,o=elsewhere", "refused AccountNotFound"},
		{"twin", "refused Ambiguous"},
		{"denied0", "refused PermissionDenied"},
		{s.DeniedDN(), "refused PermissionDenied"},
		{s.BindDN, "refused Protected"},
		{"CN=Rotator, dc=REKEY,dc=test", "refused Protected"},
		{"", "refused InvalidOperation"},
		{"\xff", "refused InvalidOperation"},
	}
	for _, tt := range tests {
		t.Run(tt.account, func(t *testing.T) {
			wantReceipt(t, i.Apply(t.Context(), set(tt.account, "new "+canary)), tt.want)
		})
	}
	wantBind(t, s, s.UserDN(0), "new "+canary, true)
	wantBind(t, s, s.DeniedDN(), s.UserPassword(0), true)
	wantBind(t, s, s.BindDN, s.Password, true)
}

func TestLoginOfTheServiceAccountIsProtectedToo(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1})
	i := open(t, s, "login_attribute", "cn")
	wantReceipt(t, i.Apply(t.Context(), set("rotator", "x")), "refused Protected")
	wantReceipt(t, i.Apply(t.Context(), set("The user0", "x")), "applied")
}

func TestRenamedEntryIsFoundAgain(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1})
	i := open(t, s, "login_attribute", "mail")
	wantReceipt(t, i.Apply(t.Context(), set("user0@rekey.test", "one")), "applied")
	c, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.ModifyDN(goldap.NewModifyDNRequest(s.UserDN(0), "uid=renamed", true, "")); err != nil {
		t.Fatal(err)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user0@rekey.test", "two")), "applied")
	wantBind(t, s, "uid=renamed,ou=people,"+s.BaseDN, "two", true)
	if a, err := i.Find(t.Context(), "user0@rekey.test"); err != nil || a.Login != "user0@rekey.test" {
		t.Errorf("Find = %+v, %v", a, err)
	}
}

// hostile are logins that would be something else if they ever became text of
// a filter or a DN.
var hostile = []string{
	"*", "user*", ")(uid=*", "*)(|(uid=*", `a,ou=x`, `a,ou=people,dc=rekey,dc=test`, "#x", "#04024869", " lead", "x y", `q"uote`, `back\slash`, `\2a`, `\`,
	"a+b", "a=b", "<a>", "a;b", "é", "名前", "emoji😀", "O'Brien", "$HOME", "%s", "uid=user0", strings.Repeat("long", 60), "tab\there", "(", ")", "&", "|", "!",
	"$(id)", "`id`", "../user0", "/etc/passwd", "a:b", "-h", "@a", "%00", "x'; DROP TABLE users; --", "line\u2028sep",
}

// hostileValues are values that careless code cuts, quotes or takes for something
// else.
var hostileValues = []string{
	"'", `"`, `\`, "'; DROP TABLE users; --", "$$", "$1", "?", ":", "%s", "%00", "--", "/*", ";", " ", " leading", "trailing ", "#hash", ":colon:", "a,b", "{}", "()", "*", ")(uid=*", "`id`", "$(id)",
	"tab\there", "line\nfeed", "carriage\rreturn", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", strings.Repeat("x", 72), strings.Repeat("y", 256), "{SSHA}x", "{CLEARTEXT}x", "null", `\2a`, "\x01control", withNUL,
}

// withNUL is a value that is refused before a server sees it.
const withNUL = "n\x00ul"

func TestHostileNamesAreOneEntryEach(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3})
	c, err := s.Root()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	dns := make(map[string]string)
	for n, login := range hostile {
		// Under cn, so that the login is a value only, and under uid, so that
		// it is a part of the DN.
		rdn := fmt.Sprintf("cn=hostile%d", n)
		if n%2 == 0 {
			rdn = (&goldap.AttributeTypeAndValue{Type: "uid", Value: login}).String()
		}
		dns[login] = rdn + ",ou=people," + s.BaseDN
		add := goldap.NewAddRequest(dns[login], nil)
		add.Attribute("objectClass", []string{"inetOrgPerson"})
		add.Attribute("uid", []string{login})
		add.Attribute("cn", []string{fmt.Sprintf("hostile%d", n)})
		add.Attribute("sn", []string{"x"})
		add.Attribute("userPassword", []string{"first"})
		if err := c.Add(add); err != nil {
			t.Fatalf("%q: %v", login, err)
		}
	}
	i := open(t, s)
	for n, login := range hostile {
		value := fmt.Sprint(canary, n)
		wantReceipt(t, i.Apply(t.Context(), set(login, value)), "applied")
		wantBind(t, s, dns[login], value, true)
		wantVerdict(t, i, dns[login], value, sdk.Accepted)
		a, err := i.Find(t.Context(), login)
		if err != nil || a.Login != login {
			t.Errorf("Find(%q) = %q, %v", login, a.Login, err)
		}
	}
	for n, login := range hostile { // nobody got somebody else's
		wantBind(t, s, dns[login], fmt.Sprint(canary, n), true)
	}
	for _, value := range hostileValues {
		want := "applied"
		if value == withNUL {
			want = "refused PolicyViolation forbidden_characters"
		}
		for _, login := range hostile {
			wantReceipt(t, i.Apply(t.Context(), set(login, value)), want)
		}
		for _, login := range hostile {
			wantBind(t, s, dns[login], value, value != withNUL)
		}
	}
	if len(hostile) < 40 || len(hostileValues) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(hostile), len(hostileValues))
	}
	for n := range 3 {
		wantBind(t, s, s.UserDN(n), s.UserPassword(n), true)
	}
	for _, absent := range []string{"**", "user?", ")(objectClass=*", "uid=nobody"} {
		wantReceipt(t, i.Apply(t.Context(), set(absent, "x")), "refused AccountNotFound")
	}
}

func TestPolicyOfTheServerIsTold(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3, PPolicy: true})
	i := open(t, s)
	dn := s.UserDN(0)
	wantReceipt(t, i.Apply(t.Context(), set(dn, "first value")), "applied")
	tests := []struct {
		name string
		op   sdk.Operation
		want string
	}{
		{"too short", set(dn, "short"), "refused PolicyViolation min_length"},
		{"empty", set(dn, ""), "refused PolicyViolation min_length"},
		{"the present one", set(dn, "first value"), "refused PolicyViolation same_as_current"},
		{"an earlier one", set(dn, s.UserPassword(0)), "refused PolicyViolation history"},
		{"the present one, sent again", again(set(dn, "first value")), "already-applied"},
		{"an earlier one, sent again", again(set(dn, s.UserPassword(0))), "refused PolicyViolation history"},
		{"too short, sent again", again(set(dn, "short")), "refused PolicyViolation min_length"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { wantReceipt(t, i.Apply(t.Context(), tt.op), tt.want) })
	}
	wantBind(t, s, dn, "first value", true)
}

func TestHistoryRefusalOfALostSetIsLookedAt(t *testing.T) {
	// This overlay does not say "existing value", as other servers do not.
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	i := open(t, s)
	history := result{ldapwire.Result{Code: resultConstraint, Text: "Password is in history of old passwords",
		Policy: ldapwire.PolicyAnswer{Answered: true, Err: ldapwire.PolicyInHistory}}}
	op := again(set(s.UserDN(0), s.UserPassword(0)))
	wantReceipt(t, i.writer.settle(t.Context(), s.UserDN(0), op, history.receipt()), "already-applied")
	op.Value = secret.New("never was")
	wantReceipt(t, i.writer.settle(t.Context(), s.UserDN(0), op, history.receipt()), "refused PolicyViolation history")
	asRoot(t, s, s.UserDN(0), "pwdAccountLockedTime", forGood)
	wantReceipt(t, i.writer.settle(t.Context(), s.UserDN(0), op, history.receipt()), "unknown PolicyViolation history")
}

func TestResetReturnsTheServersValue(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	i := open(t, s)
	r := i.Reset(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Reset, Account: "user0"})
	if r.Outcome != sdk.Applied || r.Value.Empty() {
		t.Fatalf("got %s, value present %v", say(r), r.Value.Present())
	}
	wantBind(t, s, s.UserDN(0), r.Value.Reveal(), true)
	wantReceipt(t, i.Reset(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: s.DeniedDN()}), "refused PermissionDenied")
	wantReceipt(t, i.Reset(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: s.BindDN}), "refused Protected")

	asRoot(t, s, s.PolicyDN(), "pwdMinLength", "12") // slapd makes 8 characters
	wantReceipt(t, i.Reset(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: "user0"}), "refused PolicyViolation min_length")

	r = i.Reset(t.Context(), must(sdk.Operation{Verb: sdk.Reset, Account: s.DeniedDN()}, true))
	wantReceipt(t, r, "refused PermissionDenied")
}

func TestOnlyRFC3062Resets(t *testing.T) {
	for _, tt := range []struct {
		mode string
		want bool
	}{{"rfc3062", true}, {"attribute", false}, {"ad", false}} {
		c := sdk.Config{Values: map[string]any{"url": "ldaps://ds.example", "bind_dn": "cn=x,dc=y", "mode": tt.mode}, Secrets: map[string]secret.Value{"bind_password": secret.New("x")}}
		if _, got := configure(t, c).(sdk.Resetter); got != tt.want {
			t.Errorf("mode %s: resets %v, want %v", tt.mode, got, tt.want)
		}
	}
}

func TestChangeIsTheOwners(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 8, PPolicy: true})
	for _, mode := range []string{"rfc3062", "attribute"} {
		t.Run(mode, func(t *testing.T) {
			shift := map[string]int{"rfc3062": 0, "attribute": 4}[mode]
			if mode == "attribute" {
				asRoot(t, s, s.PolicyDN(), "pwdCheckQuality", "0")
			}
			i := configure(t, config(s, "mode", mode))
			dn, old := s.UserDN(shift), s.UserPassword(shift)
			asRoot(t, s, dn, "pwdReset", "TRUE")
			wantReceipt(t, i.Apply(t.Context(), change(dn, "not it", "new value 1")), "refused WrongCurrentPassword")
			wantReceipt(t, i.Apply(t.Context(), change(dn, old, "new value 1")), "applied")
			wantBind(t, s, dn, "new value 1", true)
			if got := attributeOf(t, s, dn, "pwdReset"); got != "" {
				t.Errorf("pwdReset is %q: the server does not know that it was the owner", got)
			}
			wantReceipt(t, i.Apply(t.Context(), change(dn, old, "new value 1")), "refused WrongCurrentPassword")
			wantReceipt(t, i.Apply(t.Context(), again(change(dn, old, "new value 1"))), "already-applied")
			wantReceipt(t, i.Apply(t.Context(), again(change(dn, old, "new value 2"))), "refused WrongCurrentPassword")

			locked := s.UserDN(shift + 1)
			asRoot(t, s, locked, "pwdAccountLockedTime", forGood)
			wantReceipt(t, i.Apply(t.Context(), change(locked, s.UserPassword(shift+1), "new value 1")), "refused AccountStatus locked")
			wantReceipt(t, i.Apply(t.Context(), change("uid=nobody,ou=people,"+s.BaseDN, "x", "new value 1")), "refused AccountNotFound")
			wantReceipt(t, i.Apply(t.Context(), change(dn, "", "new value 1")), "refused InvalidOperation")
		})
	}
}

func TestChangeWhereOwnersMayNotIsTheServiceAccounts(t *testing.T) {
	// Before all other rules: owners may log on and no more.
	rule := `access to dn.subtree="ou=people,dc=rekey,dc=test" attrs=userPassword by dn.exact="cn=rotator,dc=rekey,dc=test" write by anonymous auth by * none`
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true, Before: []string{rule}})
	i := open(t, s)
	wantReceipt(t, i.Apply(t.Context(), change(s.UserDN(0), s.UserPassword(0), "new value 1")), "applied")
	wantBind(t, s, s.UserDN(0), "new value 1", true)
}

func TestChangeThatThePolicyForbidsIsRefused(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	asRoot(t, s, s.PolicyDN(), "pwdAllowUserChange", "FALSE")
	i := open(t, s)
	wantReceipt(t, i.Apply(t.Context(), change(s.UserDN(0), s.UserPassword(0), "new value 1")), "refused ChangeNotAllowed")
	wantBind(t, s, s.UserDN(0), s.UserPassword(0), true)
}

func TestVerdicts(t *testing.T) {
	old := ldaptest.Entry("old", "ou=people,dc=rekey,dc=test", "old value") + "\npwdChangedTime: 20200101000000Z\n\n"
	s := ldaptest.Start(t, ldaptest.Options{Users: 6, PPolicy: true, LDIF: old})
	i := open(t, s)
	asRoot(t, s, s.PolicyDN(), "pwdMustChange", "TRUE")
	asRoot(t, s, s.UserDN(1), "pwdReset", "TRUE")
	asRoot(t, s, s.UserDN(2), "pwdAccountLockedTime", forGood)
	wantVerdict(t, i, "user0", s.UserPassword(0), sdk.Accepted)
	wantVerdict(t, i, "user0", "wrong", sdk.Rejected)
	wantVerdict(t, i, "user0", s.UserPassword(0), sdk.Accepted)
	wantVerdict(t, i, "user1", s.UserPassword(1), sdk.AcceptedMustChange)
	wantVerdict(t, i, "user1", "wrong", sdk.Rejected)
	wantVerdict(t, i, "user2", s.UserPassword(2), sdk.Blocked)
	_, err := i.Verify(t.Context(), "uid=nobody,ou=people,"+s.BaseDN, "", secret.New("x"))
	wantCode(t, err, sdk.AccountNotFound)
	_, err = i.Verify(t.Context(), "user0", "", secret.New(""))
	wantCode(t, err, sdk.InvalidOperation)

	// Expired, and no grace left.
	asRoot(t, s, s.PolicyDN(), "pwdMaxAge", "86400")
	wantVerdict(t, i, "old", "old value", sdk.AcceptedMustChange)
	wantVerdict(t, i, "old", "wrong", sdk.Rejected)
	wantReceipt(t, i.Apply(t.Context(), change("old", "wrong", "new value 1")), "refused WrongCurrentPassword")
	wantReceipt(t, i.Apply(t.Context(), change("old", "old value", "new value 1")), "applied")
	wantVerdict(t, i, "old", "new value 1", sdk.Accepted)
}

func TestSetUnlocksAndUnlockDoesToo(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, PPolicy: true})
	i := open(t, s)
	for n := range 2 {
		asRoot(t, s, s.UserDN(n), "pwdAccountLockedTime", forGood)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user0", "new value 1")), "applied")
	wantBind(t, s, s.UserDN(0), "new value 1", true) // as `rekey backends ldap` warns
	unlock := sdk.Operation{Verb: sdk.Unlock, Account: "user1"}
	wantReceipt(t, i.Unlock(t.Context(), unlock), "applied")
	wantBind(t, s, s.UserDN(1), s.UserPassword(1), true)
	wantReceipt(t, i.Unlock(t.Context(), unlock), "applied")
	unlock.Account = s.DeniedDN()
	wantReceipt(t, i.Unlock(t.Context(), unlock), "refused PermissionDenied")
	if !strings.Contains(New().Describe().Doc, "A SET UNLOCKS A LOCKED ENTRY") {
		t.Error("the documentation does not say that a set unlocks")
	}
}

func TestMustChangeIsWrittenOrTheSetRefused(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3, PPolicy: true})
	asRoot(t, s, s.PolicyDN(), "pwdMustChange", "TRUE")
	i := open(t, s)
	wantReceipt(t, i.Apply(t.Context(), must(set("user0", "new value 1"), true)), "applied")
	wantVerdict(t, i, "user0", "new value 1", sdk.AcceptedMustChange)
	wantReceipt(t, i.Apply(t.Context(), again(must(set("user0", "new value 1"), true))), "already-applied")
	wantVerdict(t, i, "user0", "new value 1", sdk.AcceptedMustChange)
	wantReceipt(t, i.Apply(t.Context(), must(set("user0", "new value 2"), false)), "applied")
	wantVerdict(t, i, "user0", "new value 2", sdk.Accepted)
	wantReceipt(t, i.Apply(t.Context(), must(set("user1", "short"), true)), "refused PolicyViolation min_length")
	wantReceipt(t, i.Apply(t.Context(), must(set(s.DeniedDN(), "new value 1"), true)), "refused PermissionDenied")

	known := open(t, s, "policy_dn", s.PolicyDN())
	wantReceipt(t, known.Apply(t.Context(), must(set("user2", "new value 1"), true)), "applied")
	asRoot(t, s, s.PolicyDN(), "pwdMustChange", "FALSE") // the mark would be written, and nobody asked
	wantReceipt(t, known.Apply(t.Context(), must(set("user2", "new value 2"), true)), "refused Unsupported")
	wantReceipt(t, known.Reset(t.Context(), must(sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Reset, Account: "user2"}, true)), "refused Unsupported")
	wantBind(t, s, s.UserDN(2), "new value 1", true)

	without := ldaptest.Start(t, ldaptest.Options{Users: 1})
	j := open(t, without)
	wantReceipt(t, j.Apply(t.Context(), must(set("user0", "new value 1"), true)), "refused Unsupported")
	wantBind(t, without, without.UserDN(0), without.UserPassword(0), true)
	wantReceipt(t, j.Apply(t.Context(), must(set("user0", "new value 1"), false)), "applied")
}

func TestModeAttributeStoresNoClearText(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3, Global: []string{"moduleload pw-sha2"}})
	for _, hash := range []string{"", "ssha", "ssha256", "ssha512"} {
		i := openOther(t, s, "mode", "attribute", "hash", hash)
		value := canary + hash
		wantReceipt(t, i.Apply(t.Context(), set("user0", value)), "applied")
		wantBind(t, s, s.UserDN(0), value, true)
		stored := attributeOf(t, s, s.UserDN(0), "userPassword")
		if prefix := "{" + strings.ToUpper(either(hash, "ssha")) + "}"; !strings.HasPrefix(stored, prefix) || strings.Contains(stored, canary) {
			t.Errorf("hash %q: stored in another form than %s", hash, prefix)
		}
	}
	plain := openOther(t, s, "mode", "attribute", "hash", "plain")
	wantReceipt(t, plain.Apply(t.Context(), set("user0", "{SSHA}no hash")), "refused PolicyViolation custom")
	wantReceipt(t, plain.Apply(t.Context(), set("user0", "as it is")), "applied")
	if got := attributeOf(t, s, s.UserDN(0), "userPassword"); got != "as it is" {
		t.Errorf("stored %q", got)
	}
	found := plain.Check(t.Context())
	if len(found) != 1 || found[0].Severity != sdk.Warning || !strings.Contains(found[0].Message, "OpenLDAP stores userPassword as it is sent") {
		t.Errorf("Check = %+v, want a warning", found)
	}
}

func TestHashedValuesAreWrittenAsTheyAre(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1})
	for _, mode := range []string{"rfc3062", "attribute"} {
		i := configure(t, config(s, "mode", mode))
		op := set("user0", userPassword(hashSSHA, "behind the hash "+mode))
		op.HashFormat = "rfc2307"
		wantReceipt(t, i.Apply(t.Context(), op), "applied")
		wantBind(t, s, s.UserDN(0), "behind the hash "+mode, true)
		op.Value = secret.New("no hash")
		wantReceipt(t, i.Apply(t.Context(), op), "refused InvalidOperation")
	}
	strict := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	i := openOther(t, strict, "mode", "attribute")
	wantReceipt(t, i.Apply(t.Context(), set("user0", "long enough value")), "refused PolicyViolation quality")
}

func TestFindTellsStateAndStamp(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 6, PPolicy: true})
	i := open(t, s, "policy_dn", s.PolicyDN())
	no := false
	wantReceipt(t, i.Apply(t.Context(), set("user0", "new value 1")), "applied")
	a, err := i.Find(t.Context(), "user0")
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(a.ChangedAt) > time.Minute {
		t.Errorf("changed at %v", a.ChangedAt)
	}
	stamp := a.Stamp
	a.Stamp, a.ChangedAt = "", time.Time{}
	want := sdk.Account{Account: "user0", ID: s.UserDN(0), Login: "user0", Name: "The user0", Mail: "user0@rekey.test", Status: sdk.StatusActive, MustChange: &no}
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("Find (-want +got):\n%s", d)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user0", "new value 2")), "applied")
	if b, err := i.Find(t.Context(), "user0"); err != nil || b.Stamp == stamp || stamp == "" {
		t.Errorf("stamps %q and %q, %v: want two", stamp, b.Stamp, err)
	}
	_, err = i.Find(t.Context(), "nobody")
	wantCode(t, err, sdk.AccountNotFound)
	_, err = i.Find(t.Context(), "uid=nobody,ou=people,"+s.BaseDN)
	wantCode(t, err, sdk.AccountNotFound)

	asRoot(t, s, s.UserDN(1), "pwdAccountLockedTime", forGood)
	asRoot(t, s, s.UserDN(2), "pwdAccountLockedTime", "20200101000000Z")
	asRoot(t, s, s.UserDN(3), "pwdReset", "TRUE")
	asRoot(t, s, s.PolicyDN(), "pwdLockoutDuration", "300")
	asRoot(t, s, s.UserDN(4), "pwdAccountLockedTime", time.Now().UTC().Format("20060102150405Z"))
	for account, want := range map[string]sdk.Status{"user1": sdk.StatusLocked, "user2": sdk.StatusActive, "user3": sdk.StatusActive, "user4": sdk.StatusLocked} {
		if a, err := i.Find(t.Context(), account); err != nil || a.Status != want {
			t.Errorf("Find(%s) = %v, %v, want %v", account, a.Status, err, want)
		}
	}
	if a, err := i.Find(t.Context(), "user3"); err != nil || a.MustChange == nil || !*a.MustChange {
		t.Errorf("Find(user3): must change %v, %v", a.MustChange, err)
	}
}

func TestListIsWholeAndPaged(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 250})
	for _, page := range []int64{0, 1, 7, 250, 500} {
		i := open(t, s, "page_size", page)
		seen := make(map[string]bool)
		err := i.List(t.Context(), "(&(uid=user*)(!(uid=user0)))", []string{"sn", "objectClass", "absent"}, func(a sdk.Account) error {
			seen[a.Login] = true
			if a.ID != a.Account || a.Attributes["sn"] != a.Login || !strings.Contains(a.Attributes["objectClass"], "inetOrgPerson") {
				t.Errorf("%+v", a)
			}
			return nil
		})
		if err != nil || len(seen) != 249 {
			t.Errorf("page_size %d: %d accounts, %v, want 249", page, len(seen), err)
		}
	}
	i := open(t, s)
	count := 0
	all := func(sdk.Account) error { count++; return nil }
	if err := i.List(t.Context(), "", nil, all); err != nil || count != 251 {
		t.Errorf("all: %d accounts, %v, want 251", count, err)
	}
	if err := i.List(t.Context(), "uid=user1", nil, func(a sdk.Account) error { return nil }); err != nil {
		t.Errorf("a filter without brackets: %v", err)
	}
	wantCode(t, i.List(t.Context(), "(uid=", nil, all), sdk.InvalidOperation)
	wantCode(t, i.List(t.Context(), "", []string{"userPassword"}, all), sdk.InvalidOperation)
	stop := errors.New("enough")
	if err := i.List(t.Context(), "", nil, func(sdk.Account) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List = %v, want yield's error", err)
	}
	wantReceipt(t, i.Apply(t.Context(), set("user1", "after a broken list")), "applied")
	j := open(t, s, "base_dn", "ou=nowhere,"+s.BaseDN)
	wantCode(t, j.List(t.Context(), "", nil, all), sdk.InvalidConfig)
}

func TestShortListIsAnError(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 50, Global: []string{"sizelimit 10"}, NoLimits: true})
	i := open(t, s, "page_size", int64(0))
	err := i.List(t.Context(), "", nil, func(sdk.Account) error { return nil })
	wantCode(t, err, sdk.TargetError)
	if err != nil && !strings.Contains(err.Error(), "the list would be short") {
		t.Errorf("got %v", err)
	}
}

func TestPolicyIsReadFromTheDirectory(t *testing.T) {
	strict := ldaptest.Entry("strict", "ou=people,dc=rekey,dc=test", "x") + "\npwdPolicySubentry: cn=strict,ou=policies,dc=rekey,dc=test\n\n"
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true, LDIF: strict})
	base := sdk.Policy{MinLength: 8, History: 3}
	tough := sdk.Policy{MinLength: 12, History: 5}
	tests := []struct {
		name, account, policyDN string
		want                    sdk.Policy
	}{
		{"the default, told", "", s.PolicyDN(), base},
		{"an account of the default", "user0", s.PolicyDN(), base},
		{"an account with its own", "strict", s.PolicyDN(), tough},
		{"not told: all are respected", "", "", tough},
		{"a policy that is not there", "", "cn=none," + s.BaseDN, sdk.Policy{MinLength: 1}},
	}
	for _, tt := range tests {
		got, err := open(t, s, "policy_dn", tt.policyDN).Policy(t.Context(), tt.account, "")
		if d := cmp.Diff(tt.want, got); err != nil || d != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, d)
		}
	}
	_, err := open(t, s).Policy(t.Context(), "nobody", "")
	wantCode(t, err, sdk.AccountNotFound)
	plain := openOther(t, s, "mode", "attribute", "hash", "plain", "policy_dn", s.PolicyDN())
	if got, err := plain.Policy(t.Context(), "", ""); err != nil || got.ForbidFirst != "{" {
		t.Errorf("plain: %+v, %v", got, err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, TLS: true})
	other := ldaptest.Start(t, ldaptest.Options{TLS: true})
	find := func(c sdk.Config) []string {
		var got []string
		for _, f := range configure(t, c).(sdk.Checker).Check(t.Context()) {
			got = append(got, fmt.Sprint([...]string{"info", "warning", "bad"}[f.Severity], " ", f.Code))
		}
		return got
	}
	wrong := config(s)
	wrong.Secrets["bind_password"] = secret.New("wrong")
	gone := config(s)
	gone.Values["url"] = "ldap://127.0.0.1:1"
	tests := []struct {
		name string
		c    sdk.Config
		want []string
	}{
		{"ready", config(s), nil},
		{"over TLS", config(s, "url", s.TLSURL, "ca_file", s.CAFile), nil},
		{"over the socket", config(s, "url", s.Socket), nil},
		{"no base", config(s, "base_dn", ""), []string{"info "}},
		{"base that is not there", config(s, "base_dn", "ou=none,"+s.BaseDN), []string{"bad InvalidConfig"}},
		{"wrong password", wrong, []string{"bad LoginExpired"}},
		{"nobody there", gone, []string{"bad Unreachable"}},
		{"not a directory of Windows", config(s, "mode", "ad", "url", s.TLSURL, "ca_file", s.CAFile), []string{"warning "}},
		{"another authority", config(s, "url", s.TLSURL, "ca_file", other.CAFile), []string{"bad InvalidConfig"}},
		{"authority of the system", config(s, "url", s.TLSURL), []string{"bad InvalidConfig"}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, find(tt.c)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestDescriptionIsStatic(t *testing.T) {
	d := New().Describe()
	if diff := cmp.Diff(d, New().Describe()); diff != "" {
		t.Errorf("Describe differs from call to call:\n%s", diff)
	}
	for _, a := range []sdk.Ability{sdk.CanFind, sdk.CanList, sdk.CanPolicy, sdk.CanVerify, sdk.CanCheck, sdk.CanReset, sdk.CanUnlock} {
		if !d.Can(a) {
			t.Errorf("Describe lacks ability %s", a)
		}
	}
	if !slices.Equal(d.ReplaySafe, []sdk.Verb{sdk.Set}) || !d.VerifyIsLogon {
		t.Error("a set is to be replay-safe, a verify a logon")
	}
}

func TestConfigureChecksItsSettings(t *testing.T) {
	dir := t.TempDir()
	notPEM := dir + "/ca"
	if err := os.WriteFile(notPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() sdk.Config {
		return sdk.Config{
			Values:  map[string]any{"url": "ldaps://ds.example", "bind_dn": "cn=x,dc=y", "base_dn": "dc=y"},
			Secrets: map[string]secret.Value{"bind_password": secret.New(canary)},
		}
	}
	tests := []struct {
		name string
		set  func(sdk.Config)
		want sdk.Code // "": fine
	}{
		{"fine", func(sdk.Config) {}, ""},
		{"loopback in clear", func(c sdk.Config) { c.Values["url"] = "ldap://127.0.0.1:20389/" }, sdk.InsecureTransport},
		{"loopback in clear, wanted", func(c sdk.Config) { c.Values["url"], c.Values["insecure"] = "ldap://127.0.0.1:20389/", true }, ""},
		{"loopback by name", func(c sdk.Config) { c.Values["url"] = "ldap://localhost" }, sdk.InsecureTransport},
		{"loopback of IPv6", func(c sdk.Config) { c.Values["url"], c.Values["insecure"] = "ldap://[::1]:20389", true }, ""},
		{"socket", func(c sdk.Config) { c.Values["url"] = "ldapi:///run/ldapi" }, ""},
		{"socket, escaped", func(c sdk.Config) { c.Values["url"] = "ldapi://%2Frun%2Fldapi" }, ""},
		{"in clear", func(c sdk.Config) { c.Values["url"] = "ldap://ds.example" }, sdk.InsecureTransport},
		{"in clear, by an address", func(c sdk.Config) { c.Values["url"] = "ldap://10.0.0.1" }, sdk.InsecureTransport},
		{"in clear, wanted", func(c sdk.Config) { c.Values["url"], c.Values["insecure"] = "ldap://ds.example", true }, ""},
		{"start_tls", func(c sdk.Config) { c.Values["url"], c.Values["start_tls"] = "ldap://ds.example", true }, ""},
		{"Windows in clear", func(c sdk.Config) {
			c.Values["url"], c.Values["mode"], c.Values["insecure"] = "ldap://127.0.0.1", "ad", true
		}, sdk.InsecureTransport},
		{"Windows", func(c sdk.Config) { c.Values["mode"] = "ad" }, ""},
		{"global catalogue", func(c sdk.Config) { c.Values["url"], c.Values["mode"] = "ldaps://dc1.example:3269", "ad" }, sdk.InvalidConfig},
		{"the same port of another server", func(c sdk.Config) { c.Values["url"] = "ldaps://ds.example:3269" }, ""},
		{"start_tls over ldaps", func(c sdk.Config) { c.Values["start_tls"] = true }, sdk.InvalidConfig},
		{"start_tls over a socket", func(c sdk.Config) { c.Values["url"], c.Values["start_tls"] = "ldapi:///x", true }, sdk.InvalidConfig},
		{"ca_file without TLS", func(c sdk.Config) { c.Values["url"], c.Values["ca_file"] = "ldap://localhost", notPEM }, sdk.InvalidConfig},
		{"ca_file that is none", func(c sdk.Config) { c.Values["ca_file"] = notPEM }, sdk.InvalidConfig},
		{"ca_file that is not there", func(c sdk.Config) { c.Values["ca_file"] = dir + "/none" }, sdk.InvalidConfig},
		{"no url", func(c sdk.Config) { delete(c.Values, "url") }, sdk.InvalidConfig},
		{"other scheme", func(c sdk.Config) { c.Values["url"] = "https://ds.example" }, sdk.InvalidConfig},
		{"url with a base", func(c sdk.Config) { c.Values["url"] = "ldaps://ds.example/dc=y" }, sdk.InvalidConfig},
		{"url with a password", func(c sdk.Config) { c.Values["url"] = "ldaps://u:" + "pw@ds.example" }, sdk.InvalidConfig},
		{"no bind_dn", func(c sdk.Config) { delete(c.Values, "bind_dn") }, sdk.InvalidConfig},
		{"empty password", func(c sdk.Config) { c.Secrets["bind_password"] = secret.New("") }, sdk.InvalidConfig},
		{"base_dn that is none", func(c sdk.Config) { c.Values["base_dn"] = "people" }, sdk.InvalidConfig},
		{"login_attribute that is none", func(c sdk.Config) { c.Values["login_attribute"] = "uid)(x" }, sdk.InvalidConfig},
		{"mode", func(c sdk.Config) { c.Values["mode"] = "x500" }, sdk.InvalidConfig},
		{"hash", func(c sdk.Config) { c.Values["hash"] = "md4" }, sdk.InvalidConfig},
		{"page_size", func(c sdk.Config) { c.Values["page_size"] = int64(-1) }, sdk.InvalidConfig},
	}
	for _, tt := range tests {
		c := good()
		tt.set(c)
		i, err := New().Configure(t.Context(), c)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v, want none", tt.name, err)
		case tt.want != "" && !errors.Is(err, &sdk.Error{Code: tt.want}):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "pw@"):
			t.Errorf("%s: %v quotes a password", tt.name, err)
		case err == nil:
			_ = i.Close()
		}
	}
}
