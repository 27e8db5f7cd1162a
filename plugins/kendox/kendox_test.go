package kendox_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// canary is a password that shows whether it leaks or is mangled.
const canary = "c\"a\\n%y é"

// service is the service account's password: its hashes differ by encoding.
const service = "sërvice"

// begin starts a server with the user jdoe and returns it with an instance.
func begin(t *testing.T, o kendoxtest.Options, settings ...any) (*kendoxtest.Server, *kendox.Instance) {
	t.Helper()
	s := serve(t, o)
	return s, configure(t, s, settings...)
}

func serve(t *testing.T, o kendoxtest.Options) *kendoxtest.Server {
	t.Helper()
	o.Strict = true // the contract is held against a lenient one, too
	s := kendoxtest.New(o)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, service)
	s.Add(kendoxtest.User{Login: "jdoe", Name: "Jane Doe", Domain: "ACME", Mail: "jdoe@example.com"}, "old-pass-0")
	return s
}

func config(s *kendoxtest.Server, settings ...any) sdk.Config {
	c := sdk.Config{Label: "docs", Values: map[string]any{"url": s.URL(), "user": "rekey"},
		Secrets: map[string]secret.Value{"password": secret.New(service)}, Concurrency: 4, Timeout: 10 * time.Second}
	for n := 0; n < len(settings); n += 2 {
		switch v := settings[n+1].(type) {
		case secret.Value:
			c.Secrets[settings[n].(string)] = v
		case int:
			c.Values[settings[n].(string)] = int64(v)
		default:
			c.Values[settings[n].(string)] = v
		}
	}
	return c
}

// configure opens an instance with settings given as name and value.
func configure(t *testing.T, s *kendoxtest.Server, settings ...any) *kendox.Instance {
	t.Helper()
	i, err := kendox.New().Configure(t.Context(), config(s, settings...))
	if err != nil {
		t.Fatalf("Configure = %v", err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i.(*kendox.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "op", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func plain(op sdk.Operation) sdk.Operation { op.Options = map[string]any{"plain": true}; return op }

func hashed(op sdk.Operation) sdk.Operation { op.HashFormat = "sha512-base64"; return op }

func digest(v string) string {
	sum := sha512.Sum512([]byte(v))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// line is what an operator reads of a receipt.
func line(r sdk.Receipt) string {
	text := r.Outcome.String()
	if r.Err != nil {
		text += " " + r.Err.Error()
	}
	return text
}

func TestSetSendsTheHash(t *testing.T) {
	for _, utf16 := range []bool{false, true} {
		encoding := map[bool]string{false: "utf-8", true: "utf-16le"}[utf16]
		s, i := begin(t, kendoxtest.Options{UTF16: utf16}, "hash_encoding", encoding)
		if got := line(i.Apply(t.Context(), set("jdoe", canary))); got != "applied" {
			t.Fatalf("%s: Apply = %s", encoding, got)
		}
		if !s.Accepts("jdoe", canary) || s.Calls("SetUserPassword") != 0 {
			t.Errorf("%s: the server does not take the new password", encoding)
		}
	}
}

func TestPlainSendsTheValue(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	if got := line(i.Apply(t.Context(), plain(set("jdoe", canary)))); got != "applied" {
		t.Fatalf("Apply = %s", got)
	}
	if !s.Accepts("jdoe", canary) || s.Calls("SetUserPasswordHashed") != 0 {
		t.Error("the server does not take the new password")
	}
}

func TestAGivenHashIsSentAsItIs(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{}, "min_length", 200)
	if got := line(i.Apply(t.Context(), hashed(set("jdoe", digest(canary))))); got != "applied" {
		t.Fatalf("Apply = %s", got)
	}
	if !s.Accepts("jdoe", canary) {
		t.Error("the server does not take the new password")
	}
}

func TestRefusedBeforeAnythingIsSent(t *testing.T) {
	for _, test := range []struct {
		name string
		op   sdk.Operation
		want string
	}{
		{"plain hash", plain(hashed(set("jdoe", digest("x")))), "refused InvalidOperation: plain: a hash cannot be sent as the value itself"},
		{"hash of 32 bytes", hashed(set("jdoe", base64.StdEncoding.EncodeToString(make([]byte, 32)))), "refused InvalidOperation: hash_format: the value is not the Base64 of the 64 bytes of a SHA-512"},
		{"hash with a line end", hashed(set("jdoe", digest("x")+"\n")), "refused InvalidOperation: hash_format: the value is not the Base64 of the 64 bytes of a SHA-512"},
		{"hash in the URL's alphabet", hashed(set("jdoe", strings.Repeat("_", 86)+"==")), "refused InvalidOperation: hash_format: the value is not the Base64 of the 64 bytes of a SHA-512"},
		{"not UTF-8", set("jdoe", "Abc\xff12345!"), "refused PolicyViolation: the value is not UTF-8"},
		{"not UTF-8, plain", plain(set("jdoe", "Abc\xff12345!")), "refused PolicyViolation: the value is not UTF-8"},
	} {
		s, i := begin(t, kendoxtest.Options{})
		if r := i.Apply(t.Context(), test.op); line(r) != test.want || s.Calls("Logon") != 0 {
			t.Errorf("%s: %s after %d logons; want %s, none", test.name, line(r), s.Calls("Logon"), test.want)
		}
	}
}

func TestPolicyOfTheSettingsIsCheckedBeforeSending(t *testing.T) {
	rules := []any{"min_length", 8, "max_length", 12, "lower", 2, "upper", 1, "digits", 1, "symbols", 1}
	for _, test := range []struct {
		value string
		want  []sdk.Rule
	}{
		{"ab1!Xyzz", nil},
		{"ab1éXyzz", []sdk.Rule{sdk.RuleSymbols}},
		{"ab1!X", []sdk.Rule{sdk.RuleMinLength}},
		{"ab1!Xyzzzzzzz", []sdk.Rule{sdk.RuleMaxLength}},
		{"AB1!XYZZ", []sdk.Rule{sdk.RuleLower}},
		{"ab1!xyzz", []sdk.Rule{sdk.RuleUpper}},
		{"aba!Xyzz", []sdk.Rule{sdk.RuleDigits}},
		{"ab1aXyzz", []sdk.Rule{sdk.RuleSymbols}},
		{"-", []sdk.Rule{sdk.RuleMinLength, sdk.RuleLower, sdk.RuleUpper, sdk.RuleDigits}},
	} {
		for _, op := range []sdk.Operation{set("jdoe", test.value), plain(set("jdoe", test.value))} {
			s, i := begin(t, kendoxtest.Options{}, rules...)
			r := i.Apply(t.Context(), op)
			var got []sdk.Rule
			if r.Err != nil {
				for _, v := range r.Err.Violations {
					got = append(got, v.Rule)
				}
			}
			if !slices.Equal(got, test.want) || len(test.want) > 0 && s.Calls("Logon") != 0 {
				t.Errorf("%q: %s, rules %v, %d logons; want %v, none", test.value, line(r), got, s.Calls("Logon"), test.want)
			}
		}
	}
}

func TestPolicyIsTheSettings(t *testing.T) {
	_, i := begin(t, kendoxtest.Options{}, "min_length", 8, "max_length", 12, "lower", 2, "upper", 1, "digits", 3, "symbols", 4)
	got, err := i.Policy(t.Context(), "", "")
	want := sdk.Policy{MinLength: 8, MaxLength: 12, Lower: 2, Upper: 1, Digits: 3, Symbols: 4}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Policy = %v (-want +got):\n%s", err, diff)
	}
}

func TestConfigureRefuses(t *testing.T) {
	s := serve(t, kendoxtest.Options{})
	for _, test := range []struct {
		settings []any
		want     string
	}{
		{[]any{"url", "http://docs.example/InfoShare/Json"}, "InsecureTransport: url: http:// to docs.example would send passwords in clear; use https://, or insecure = True"},
		{[]any{"password", secret.New("")}, "InvalidConfig: user and password: both are needed"},
		{[]any{"hash_encoding", "latin-1"}, `InvalidConfig: hash_encoding: "latin-1" is neither utf-8 nor utf-16le`},
		{[]any{"min_length", -1}, "InvalidConfig: min_length: got -1, want at least 0"},
		{[]any{"max_length", 3, "lower", 2, "digits", 2}, "InvalidConfig: max_length: got 3, but the other rules need 4"},
	} {
		if _, err := kendox.New().Configure(t.Context(), config(s, test.settings...)); err == nil || err.Error() != test.want {
			t.Errorf("%v: Configure = %v, want %s", test.settings, err, test.want)
		}
	}
}

func TestAccountsAreLoginsOrIDs(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	jdoe, _ := s.User("jdoe")
	hostile := `o'br"<ien> & co%2f`
	s.Add(kendoxtest.User{Login: hostile}, "x")
	s.Add(kendoxtest.User{Login: "Zoë 漢字"}, "x")
	s.Add(kendoxtest.User{Login: "twice", Domain: "A"}, "x")
	second := s.Add(kendoxtest.User{Login: "twice", Domain: "B"}, "x")
	s.Add(kendoxtest.User{Login: "came-back", Obsolete: true}, "x")
	s.Add(kendoxtest.User{Login: "came-back"}, "x")
	for account, want := range map[string]string{
		"jdoe": "applied", "JDOE": "applied", `acme\jdoe`: "applied", jdoe.ID: "applied", "{" + strings.ToUpper(jdoe.ID) + "}": "applied",
		hostile: "applied", "Zoë 漢字": "applied", "ZOË 漢字": "applied", `b\twice`: "applied", second: "applied", "came-back": "applied",
		"nobody":                               `refused AccountNotFound: no user has the login name "nobody"`,
		"11111111-2222-3333-4444-555555555555": `refused AccountNotFound: no user has the id "11111111-2222-3333-4444-555555555555"`,
		"twice":                                `refused Ambiguous: 2 users have the login name "twice"; use DOMAIN\login or the id`,
		`c\twice`:                              `refused AccountNotFound: no user has the login name "c\\twice"`,
		"dciadmin":                             `refused Protected: "dciadmin" is DCIAdmin, whose password only DCIAdmin may set`,
		strings.ToUpper(kendoxtest.DCIAdmin):   `refused Protected: "dciadmin" is DCIAdmin, whose password only DCIAdmin may set`,
		"Rekey":                                `refused Protected: "rekey" is the account that this backend logs in with`,
	} {
		if got := line(i.Apply(t.Context(), set(account, "new-pass-1"))); got != want {
			t.Errorf("Apply(%q) = %s, want %s", account, got, want)
		}
	}
	if got, _ := s.User(hostile); len(got.Hashes) != 2 {
		t.Errorf("%q took %d values, want its first and one", hostile, len(got.Hashes)-1)
	}
	if n := s.Calls("GetUserStore"); n != 1 {
		t.Errorf("the list of users was read %d times, want once", n)
	}
}

func TestUsersWhosePasswordIsOfNoUse(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Add(kendoxtest.User{Login: "windows", NoInternalPassword: true}, "x")
	s.Add(kendoxtest.User{Login: "gone", Obsolete: true}, "x")
	s.Add(kendoxtest.User{Login: "off", Inactive: true}, "x")
	for account, want := range map[string]string{
		"windows": "refused NoCredential: the user does not log in with an internal password",
		"gone":    "refused AccountStatus: the user is deleted",
		"off":     "applied",
	} {
		if got := line(i.Apply(t.Context(), set(account, "new-pass-1"))); got != want {
			t.Errorf("Apply(%q) = %s, want %s", account, got, want)
		}
	}
}

func TestFindAndList(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Add(kendoxtest.User{Login: "off", Inactive: true}, "x")
	s.Add(kendoxtest.User{Login: "gone", Obsolete: true}, "x")
	jdoe, _ := s.User("jdoe")
	want := sdk.Account{Account: "jdoe", ID: jdoe.ID, Login: "jdoe", Name: "Jane Doe", Mail: "jdoe@example.com", Status: sdk.StatusActive}
	got, err := i.Find(t.Context(), "jdoe")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Find = %v (-want +got):\n%s", err, diff)
	}
	for account, status := range map[string]sdk.Status{"off": sdk.StatusDisabled, "gone": sdk.StatusDeleted} {
		if a, err := i.Find(t.Context(), account); err != nil || a.Status != status {
			t.Errorf("Find(%q) = %v, %v; want %v", account, a.Status, err, status)
		}
	}
	want.Attributes = map[string]string{"Domain": "ACME", "NamedUser": "false"}
	for filter, logins := range map[string][]string{"": {"dciadmin", "jdoe", "off", "rekey"}, "J*": {"jdoe"}, "x*": nil} {
		var names []string
		err := i.List(t.Context(), filter, []string{"Domain", "NamedUser", "Nothing"}, func(a sdk.Account) error {
			names = append(names, a.Login)
			if a.Login == "jdoe" {
				if diff := cmp.Diff(want, a); diff != "" {
					t.Errorf("List (-want +got):\n%s", diff)
				}
			}
			return nil
		})
		if err != nil || !slices.Equal(names, logins) {
			t.Errorf("List(%q) = %q, %v; want %q", filter, names, err, logins)
		}
	}
	if err := i.List(t.Context(), "[", nil, nil); err == nil {
		t.Error("List([) took a broken pattern")
	}
}

func TestUsersAreFoundByTheSimplerCallToo(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Add(kendoxtest.User{Login: "off", Inactive: true}, "x")
	s.Faults.Add(resttest.Fault{Op: "GetUserStore", Answer: s.Exception(10071, "")})
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Errorf("Apply = %s", got)
	}
	if a, err := i.Find(t.Context(), "off"); err != nil || a.Status != sdk.StatusDisabled {
		t.Errorf("Find = %v, %v; want disabled", a.Status, err)
	}
}

func TestVerifyLogsOnAndOff(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Add(kendoxtest.User{Login: "off", Inactive: true}, "x")
	s.Add(kendoxtest.User{Login: "windows", NoInternalPassword: true}, "x")
	s.Add(kendoxtest.User{Login: "factor", SecondFactor: true}, "x")
	for _, test := range []struct {
		account, value string
		want           sdk.Verdict
		code           sdk.Code
	}{
		{"jdoe", "old-pass-0", sdk.Accepted, ""},
		{"jdoe", "wrong", sdk.Rejected, ""},
		{"off", "x", sdk.Blocked, ""},
		{"factor", "x", sdk.Accepted, ""},
		{"windows", "x", sdk.CannotTell, sdk.NoCredential},
		{"nobody", "x", sdk.CannotTell, sdk.AccountNotFound},
	} {
		got, err := i.Verify(t.Context(), test.account, "", secret.New(test.value))
		var code sdk.Code
		if err != nil {
			code = sdk.AsError(err, sdk.Internal).Code
		}
		if got != test.want || code != test.code {
			t.Errorf("Verify(%q) = %v, %v; want %v, %q", test.account, got, err, test.want, test.code)
		}
	}
	if n := s.Open(); n != 1 {
		t.Errorf("%d sessions are open, want the service account's only", n)
	}
}

func TestVerifyWithoutALicenceCannotTell(t *testing.T) {
	_, i := begin(t, kendoxtest.Options{Licences: 1})
	if got, err := i.Verify(t.Context(), "jdoe", "", secret.New("old-pass-0")); got != sdk.CannotTell || err != nil {
		t.Errorf("Verify = %v, %v; want cannot-tell", got, err)
	}
}

func TestCheck(t *testing.T) {
	ruled := []any{"min_length", 8}
	type findings []string
	for _, test := range []struct {
		name     string
		options  kendoxtest.Options
		settings []any
		change   func(*kendoxtest.Server)
		want     findings // severity, code, message, fix
		logons   int
	}{
		{"ready", kendoxtest.Options{}, ruled, nil, nil, 1},
		{"no rules", kendoxtest.Options{}, nil, nil,
			findings{"1  no password rules are set, and the server cannot check a hash against its own | enter the server's rules as min_length, max_length, lower, upper, digits, symbols"}, 1},
		{"the other encoding", kendoxtest.Options{UTF16: true}, ruled, nil,
			findings{`2 InvalidConfig the server refuses the logon with hash_encoding = "utf-8" and takes it with "utf-16le" | hash_encoding = "utf-16le"`}, 2},
		{"that encoding set", kendoxtest.Options{UTF16: true}, append(ruled, "hash_encoding", "utf-16le"), nil, nil, 1},
		{"and back", kendoxtest.Options{}, append(ruled, "hash_encoding", "utf-16le"), nil,
			findings{`2 InvalidConfig the server refuses the logon with hash_encoding = "utf-16le" and takes it with "utf-8" | hash_encoding = "utf-8"`}, 2},
		{"wrong password", kendoxtest.Options{}, append(ruled, "password", secret.New("not-that-one")), nil,
			findings{"2 LoginExpired login: the user cannot log in: wrong name or password, or not active | check tenant, user and password; neither hash_encoding works"}, 2},
		{"tenant", kendoxtest.Options{Tenant: "acme"}, ruled, nil, findings{"2 InvalidConfig login: the tenant is not known; check tenant | "}, 1},
		{"tenant given", kendoxtest.Options{Tenant: "acme"}, append(ruled, "tenant", "acme"), nil, nil, 1},
		{"two rights missing", kendoxtest.Options{}, ruled, func(s *kendoxtest.Server) {
			s.Update("rekey", func(u *kendoxtest.User) { u.Rights = []string{strings.ToUpper(kendoxtest.RightSecurity)} })
		}, findings{
			"2 PermissionDenied the service account lacks the right Access to users and user groups (01002040-38a7-11d8-a902-0050bf427e8f) | give rekey the right in InfoShare's user administration",
			"2 PermissionDenied the service account lacks the right Reset user password (01002059-38a7-11d8-a902-0050bf427e8f) | give rekey the right in InfoShare's user administration"}, 1},
		{"second factor", kendoxtest.Options{}, ruled, func(s *kendoxtest.Server) {
			s.Update("rekey", func(u *kendoxtest.User) { u.SecondFactor = true })
		}, findings{"2 SecondFactorNeeded login: the service account has a second factor; use an account without one, or switch it off for this one | use a service account without a second factor"}, 1},
		{"no users", kendoxtest.Options{}, ruled, func(s *kendoxtest.Server) {
			s.Faults.Add(resttest.Fault{Op: "GetUserStore", Answer: s.Exception(10071, "Not enough rights (X, 1)")})
			s.Faults.Add(resttest.Fault{Op: "GetAllUsersSimple", Answer: s.Exception(10071, "")})
		}, findings{"2 PermissionDenied the list of users cannot be read, so login names cannot be resolved: the service account lacks a right: Not enough rights (X, 1) | "}, 1},
		{"wrong url", kendoxtest.Options{}, append(ruled, "url", ""), nil,
			findings{"2 InvalidConfig login: there is no such service; check the url, which ends in /InfoShare/Json | "}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.options)
			if test.change != nil {
				test.change(s)
			}
			if test.name == "wrong url" {
				test.settings = []any{"min_length", 8, "url", s.Host() + "/Elsewhere"}
			}
			i := configure(t, s, test.settings...)
			var got findings
			for _, f := range i.Check(t.Context()) {
				got = append(got, string('0'+byte(f.Severity))+" "+string(f.Code)+" "+f.Message+" | "+f.Fix)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Check (-want +got):\n%s", diff)
			}
			if n := s.Calls("Logon"); n != test.logons {
				t.Errorf("%d logons, want %d", n, test.logons)
			}
		})
	}
}

func TestCheckOfNothing(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Close()
	found := i.Check(t.Context())
	if len(found) != 1 || found[0].Severity != sdk.Bad || found[0].Code != sdk.Unreachable || found[0].Fix == "" {
		t.Errorf("Check = %+v, want one bad finding Unreachable with a fix", found)
	}
}

func TestRightsAreAskedBeforeTheFirstChange(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Update("rekey", func(u *kendoxtest.User) { u.Rights = u.Rights[:2] })
	want := "refused PermissionDenied: the service account lacks the right Reset user password (01002059-38a7-11d8-a902-0050bf427e8f)"
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != want || s.Calls("SetUserPasswordHashed") != 0 {
		t.Errorf("Apply = %s, want %s before anything was sent", got, want)
	}
	s.Update("rekey", func(u *kendoxtest.User) { u.Rights = kendoxtest.AllRights() })
	for range 3 {
		i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	}
	if n := s.Calls("GetUserAdminAccessRights"); n != 2 {
		t.Errorf("the rights were asked for %d times, want until they were there", n)
	}
}

func TestCloseEndsTheSession(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if n := s.Open(); n != 1 {
		t.Fatalf("%d sessions are open, want 1", n)
	}
	if err := i.Close(); err != nil || s.Open() != 0 {
		t.Errorf("Close = %v with %d sessions left", err, s.Open())
	}
}

func TestNoLogonIsTriedAfterThreeRefusedOnes(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{}, "password", secret.New("wrong"))
	for range 20 {
		i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	}
	if n := s.Calls("Logon"); n > 3 {
		t.Errorf("%d logons with a refused password, want at most 3", n)
	}
}

func TestManyAtOnceShareOneSession(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	const n = 60
	done := make(chan string)
	names := make([]string, n)
	for k := range n {
		names[k] = "u" + string(rune('a'+k%26)) + string(rune('a'+k/26))
		s.Add(kendoxtest.User{Login: names[k]}, "old-pass-0")
	}
	for _, name := range names {
		go func() { done <- line(i.Apply(context.Background(), set(name, "new-pass-1"))) }()
	}
	for range n {
		if got := <-done; got != "applied" {
			t.Errorf("Apply = %s", got)
		}
	}
	if s.Calls("Logon") != 1 {
		t.Errorf("%d logons, want 1", s.Calls("Logon"))
	}
}
