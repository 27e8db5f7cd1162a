package broadworks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	loginPW = "Odin-canary-9"
	ann     = "ann@acme.example"
	canary  = "c\"A\\n%y é-4711-xyz"
	code    = "847162"
)

var kinds = []string{broadworks.SIP, broadworks.Voicemail, broadworks.Web}

func valueOf(kind string) string {
	if kind == broadworks.Voicemail {
		return code
	}
	return canary
}

func simulate(t *testing.T, o broadworkstest.Options, users ...broadworkstest.User) *broadworkstest.Simulator {
	t.Helper()
	o.Password, o.Strict = loginPW, true // the contract is held against a lenient one, too
	s := broadworkstest.New(o, users...)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func config(url string, values ...any) sdk.Config {
	c := sdk.Config{
		Label: "odin", Concurrency: 8, Timeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
		Values: map[string]any{"url": url, "user": "admin", "provider": "Acme", "group": "Sales", "check_services": true,
			"sip_generator": "sip-password", "refresh_after": 10 * time.Minute},
		Secrets: map[string]secret.Value{"password": secret.New(loginPW)},
	}
	for n := 0; n+1 < len(values); n += 2 {
		c.Values[values[n].(string)] = values[n+1]
	}
	return c
}

func open(t *testing.T, url string, values ...any) *broadworks.Instance {
	t.Helper()
	return openAt(t, time.Now, url, values...)
}

func openAt(t *testing.T, now func() time.Time, url string, values ...any) *broadworks.Instance {
	t.Helper()
	i, err := broadworks.NewAt(now).Configure(t.Context(), config(url, values...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i.(*broadworks.Instance)
}

func set(account, kind, value string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: account, Kind: kind, Value: secret.New(value)}
}

func again(op sdk.Operation) sdk.Operation { op.Attempt++; return op }

// line is what an operator reads of a receipt.
func line(r sdk.Receipt) string {
	if r.Err == nil {
		return r.Outcome.String()
	}
	return fmt.Sprintf("%s %v", r.Outcome, r.Err)
}

func TestEachKindIsItsOwnCall(t *testing.T) {
	paths := map[string]string{broadworks.SIP: "PUT /users/authentication", broadworks.Voicemail: "PUT /users/portal-passcode", broadworks.Web: "PUT /users/passwords"}
	for _, kind := range kinds {
		s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
		if r := open(t, s.URL()).Apply(t.Context(), set(ann, kind, valueOf(kind))); r.Outcome != sdk.Applied {
			t.Errorf("%s: got %s", kind, line(r))
		}
		for _, other := range kinds {
			want, n := "", 0
			if other == kind {
				want, n = valueOf(kind), 1
			}
			if s.Value(ann, other) != want || s.Requests()[paths[other]] != n {
				t.Errorf("set of %s: %s is %q after %d requests, want %q after %d", kind, other, s.Value(ann, other), s.Requests()[paths[other]], want, n)
			}
		}
	}
}

func TestWhatMakesNoSenseIsRefusedBeforeAnythingIsSent(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
	i := open(t, s.URL())
	tests := []struct {
		name string
		op   sdk.Operation
		want string
	}{
		{"the login itself", set("ADMIN", broadworks.Web, canary), "refused Protected"},
		{"not UTF-8", set(ann, broadworks.Web, "abcd\xff"), "refused InvalidOperation"},
	}
	for _, test := range tests {
		if r := i.Apply(t.Context(), test.op); !strings.HasPrefix(line(r), test.want) {
			t.Errorf("%s: got %q, want %q", test.name, line(r), test.want)
		}
	}
	if _, err := i.Generate(t.Context(), "fax", 1); err == nil || !strings.Contains(err.Error(), "sip, voicemail or web") {
		t.Errorf("generate: got %v, want the three kinds", err)
	}
	if _, err := i.Policy(t.Context(), "", "fax"); err == nil || !strings.Contains(err.Error(), "sip, voicemail or web") {
		t.Errorf("policy: got %v, want the three kinds", err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%v was sent", s.Requests())
	}
}

func TestAServiceIsMissedBeforeItsValueIsSent(t *testing.T) {
	tests := []struct {
		name   string
		user   broadworkstest.User
		hidden bool
		kind   string
		want   string
	}{
		{"sip without it", broadworkstest.User{Services: []string{broadworkstest.VoiceMessaging}}, false, "sip", `refused NoCredential: has not the service "Authentication"`},
		{"voicemail without it", broadworkstest.User{Services: []string{broadworkstest.Authentication}}, false, "voicemail", `refused NoCredential: has not the service "Voice Messaging User"`},
		{"web needs none", broadworkstest.User{Services: []string{}}, false, "web", "applied"},
		{"by a pack", broadworkstest.User{Services: []string{}, Packs: map[string]string{"Premium": broadworkstest.Authentication}}, false, "sip", "applied"},
		{"by a pack that only its page shows", broadworkstest.User{Services: []string{}, Packs: map[string]string{"Premium": broadworkstest.Authentication}}, true, "sip", "applied"},
		{"a pack that brings something else", broadworkstest.User{Services: []string{}, Packs: map[string]string{"Premium": "Fax"}}, true, "sip", "refused NoCredential"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.user.ID = ann
			s := simulate(t, broadworkstest.Options{PacksHidden: test.hidden}, test.user)
			r := open(t, s.URL()).Apply(t.Context(), set(ann, test.kind, valueOf(test.kind)))
			if !strings.HasPrefix(line(r), test.want) {
				t.Errorf("got %q, want %q", line(r), test.want)
			}
			if n := s.Requests()["PUT /users/authentication"] + s.Requests()["PUT /users/portal-passcode"]; r.Outcome == sdk.Refused && n != 0 {
				t.Error("the value was sent")
			}
		})
	}
}

func TestWithoutTheCheckTheSystemRefuses(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann, Services: []string{}})
	r := open(t, s.URL(), "check_services", false).Apply(t.Context(), set(ann, "sip", canary))
	if line(r) != "refused NoCredential: User service is not assigned: Authentication" || r.Err.Native != "Error 4410" {
		t.Errorf("got %q, %q", line(r), r.Err.Native)
	}
}

func TestPolicyFollowsTheLevel(t *testing.T) {
	rules := func(change func(*broadworkstest.Rules)) *broadworkstest.Rules {
		r := broadworkstest.DefaultRules()
		change(&r)
		return &r
	}
	tests := []struct {
		name  string
		rules *broadworkstest.Rules
		kind  string
		want  sdk.Policy
	}{
		{"web, of the group", rules(func(r *broadworkstest.Rules) {
			r.GroupWeb = broadworkstest.PasswordRules{MinLength: 9, RestrictMinDigits: true, MinDigits: 2, MinUpperCaseLetters: 5, RestrictMinNonAlphanumericCharacter: true,
				MinNonAlphanumericCharacters: 3, DisallowPreviousPasswords: true, NumberOfPreviousPasswords: 4, DisallowReversedOldPassword: true}
		}), "web", sdk.Policy{MinLength: 9, Digits: 2, Symbols: 3, History: 4, Note: "not the old one backwards"}},
		{"sip, of the system", rules(func(r *broadworkstest.Rules) {
			r.SystemSIP = broadworkstest.PasswordRules{MinLength: 11, RestrictMinLowerCaseLetters: true, MinLowerCaseLetters: 2, DisallowOldPassword: true}
		}), "sip", sdk.Policy{MinLength: 11, MaxLength: 60, Lower: 2, History: 1}},
		{"sip, of the provider", rules(func(r *broadworkstest.Rules) {
			r.ProviderSIP = broadworkstest.PasswordRules{UseServiceProviderSettings: true, MinLength: 20, RestrictMinUpperCaseLetters: true, MinUpperCaseLetters: 1, DisallowAuthenticationName: true}
		}), "sip", sdk.Policy{MinLength: 20, MaxLength: 60, Upper: 1, NoAccountName: true}},
		{"voicemail, of the group", rules(func(r *broadworkstest.Rules) {
			r.GroupPasscode = broadworkstest.PasscodeRules{UseRuleLevel: "Group", MinCodeLength: 4, MaxCodeLength: 7, DisallowRepeatedDigits: true, NumberOfRepeatedDigits: 3,
				DisallowContiguousSequences: true, NumberOfAscendingDigits: 5, NumberOfDescendingDigits: 4, DisallowUserNumber: true}
		}), "voicemail", sdk.Policy{Alphabet: "0123456789", MinLength: 4, MaxLength: 7, MaxRepeat: 2, MaxSequence: 3, Note: "not the user's number"}},
		{"voicemail, of the provider", rules(func(r *broadworkstest.Rules) {
			r.GroupPasscode.UseRuleLevel = broadworkstest.LevelProvider
			r.ProviderPasscode = broadworkstest.PasscodeRules{MinCodeLength: 5, MaxCodeLength: 5}
		}), "voicemail", sdk.Policy{Alphabet: "0123456789", MinLength: 5, MaxLength: 5}},
		{"voicemail, of the system", rules(func(r *broadworkstest.Rules) {
			r.GroupPasscode.UseRuleLevel = broadworkstest.LevelSystem
			r.SystemPasscode = broadworkstest.PasscodeRules{MinCodeLength: 6, MaxCodeLength: 30, DisallowOldPasscode: true, NumberOfPreviousPasscodes: 5}
		}), "voicemail", sdk.Policy{Alphabet: "0123456789", MinLength: 6, MaxLength: 30, History: 5}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := simulate(t, broadworkstest.Options{Rules: test.rules})
			got, err := open(t, s.URL()).Policy(t.Context(), "", test.kind)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", test.want) || err != nil {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func TestRulesThatAreNotShownAreLeftToThePlatform(t *testing.T) {
	s := simulate(t, broadworkstest.Options{})
	for _, page := range []string{"/service-providers/sip-authentication-password-rules", "/system/sip-authentication-password-rules"} {
		s.Faults.Add(resttest.Fault{Op: "GET " + page, Answer: resttest.Say(404, "application/json", `{"error":"no"}`)})
	}
	p, err := open(t, s.URL()).Policy(t.Context(), "", "sip")
	if err != nil || p.MinLength != 0 || p.Note == "" {
		t.Errorf("got %+v, %v; want a note only", p, err)
	}
}

func TestPolicyRefusalsNameTheirRules(t *testing.T) {
	rules := broadworkstest.DefaultRules()
	rules.GroupWeb.DisallowPreviousPasswords, rules.GroupWeb.NumberOfPreviousPasswords = true, 3
	rules.GroupWeb.DisallowReversedOldPassword = true
	rules.SystemSIP.DisallowOldPassword = true
	rules.GroupPasscode.DisallowRepeatedPatterns, rules.GroupPasscode.MinCodeLength, rules.GroupPasscode.MaxCodeLength = true, 6, 8
	user := broadworkstest.User{ID: ann, SIPName: "sipann", Extension: "2468135", Values: map[string]string{"web": "0ld-Web-value", "sip": "0ld-Sip-value-1"}}
	tests := []struct {
		kind, value string
		want        sdk.Rule
	}{
		{"web", "Sh0rt", sdk.RuleMinLength}, {"web", "no-Digits-here", sdk.RuleDigits}, {"web", "no-upper-1-here", sdk.RuleUpper},
		{"web", "NO-LOWER-1-HERE", sdk.RuleLower}, {"web", "X1-ann@acme.example", sdk.RuleContainsName}, {"web", "0ld-Web-value", sdk.RuleHistory},
		{"web", "eulav-beW-dl0", sdk.RuleCustom}, {"sip", "Sh0rter", sdk.RuleMinLength}, {"sip", "0ld-Sip-value-1", sdk.RuleSameAsCurrent},
		{"sip", "X1-sipann-abcdef", sdk.RuleContainsName}, {"voicemail", "1357", sdk.RuleMinLength}, {"voicemail", "135791357", sdk.RuleMaxLength},
		{"voicemail", "13a579", sdk.RuleForbidden}, {"voicemail", "111793", sdk.RuleMaxRepeat}, {"voicemail", "123950", sdk.RuleMaxSequence},
		{"voicemail", "321950", sdk.RuleMaxSequence}, {"voicemail", "136136", sdk.RuleCustom}, {"voicemail", "2468135", sdk.RuleCustom},
	}
	for _, test := range tests {
		s := simulate(t, broadworkstest.Options{Rules: &rules}, user)
		r := open(t, s.URL()).Apply(t.Context(), set(ann, test.kind, test.value))
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation || len(r.Err.Violations) != 1 || r.Err.Violations[0].Rule != test.want {
			t.Errorf("%s %q: got %s %+v, want %s", test.kind, test.value, line(r), r.Err, test.want)
		}
	}
}

func TestGeneratedValuesAreCountedAndTaken(t *testing.T) {
	for _, kind := range kinds {
		for _, generator := range []string{"sip-password", "password"} {
			s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
			i := open(t, s.URL(), "sip_generator", generator)
			for _, n := range []int{1, 5} {
				values, err := i.Generate(t.Context(), kind, n)
				if err != nil || len(values) != n {
					t.Fatalf("%s %s: %d values, %v; want %d", kind, generator, len(values), err, n)
				}
				for _, v := range values {
					if r := i.Apply(t.Context(), set(ann, kind, v.Reveal())); r.Outcome != sdk.Applied {
						t.Errorf("%s: %q is refused: %s", kind, v.Reveal(), line(r))
					}
				}
			}
		}
	}
}

func TestAGeneratorThatMakesTooFewIsRefused(t *testing.T) {
	s := simulate(t, broadworkstest.Options{Short: 1})
	i := open(t, s.URL())
	for _, kind := range []string{"voicemail", "web"} {
		if _, err := i.Generate(t.Context(), kind, 5); err == nil || !strings.Contains(err.Error(), "made 4 values, want 5") {
			t.Errorf("%s: got %v, want both counts", kind, err)
		}
	}
	for name, body := range map[string]string{"too many": `{"passwords":["a","b","c"]}`, "an empty one": `{"passwords":["a",""]}`, "none": `{}`, "no JSON": `<html>`} {
		s.Faults.Clear()
		s.Faults.Add(resttest.Fault{Op: "GET /password/generate", Answer: resttest.Say(200, "application/json", body)})
		if values, err := i.Generate(t.Context(), "web", 2); err == nil || sdk.AsError(err, "").Code != sdk.TargetError {
			t.Errorf("%s: %d values, %v; want TargetError", name, len(values), err)
		}
	}
	if _, err := i.Generate(t.Context(), "web", 0); err == nil {
		t.Error("no values at all: want an error")
	}
}

func TestFindTellsTheKinds(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann, First: "Ann", Last: "Lee", Email: "ann@mail.example", Services: []string{broadworkstest.Authentication}})
	i := open(t, s.URL())
	a, err := i.Find(t.Context(), ann)
	if err != nil || a.Account != ann || a.Name != "Ann Lee" || a.Mail != "ann@mail.example" || !slices.Equal(a.Kinds, []string{"sip", "web"}) {
		t.Errorf("got %+v, %v", a, err)
	}
	for _, who := range []string{"nobody@acme.example", ""} {
		if _, err := i.Find(t.Context(), who); err == nil {
			t.Errorf("Find(%q): want an error", who)
		}
	}
	s.Faults.Add(resttest.Fault{Op: "GET /users", Answer: resttest.Say(200, "application/json", `[]`)})
	if _, err := i.Find(t.Context(), ann); err == nil || sdk.AsError(err, "").Code != sdk.AccountNotFound {
		t.Errorf("an empty list: got %v, want AccountNotFound", err)
	}
}

func many(n int) []broadworkstest.User {
	var all []broadworkstest.User
	for k := range n {
		all = append(all, broadworkstest.User{ID: fmt.Sprintf("user%04d@acme.example", k), Last: []string{"Brown", "Black", "White"}[k%3], Extension: fmt.Sprint(1000 + k)})
	}
	return append(all, broadworkstest.User{ID: "other@acme.example", Group: "Support"})
}

func list(t *testing.T, i *broadworks.Instance, filter string, attributes ...string) ([]sdk.Account, error) {
	t.Helper()
	var got []sdk.Account
	err := i.List(t.Context(), filter, attributes, func(a sdk.Account) error { got = append(got, a); return nil })
	return got, err
}

func TestListReadsTheGroup(t *testing.T) {
	for _, paged := range []int{0, 7, 30} {
		s := simulate(t, broadworkstest.Options{Paged: paged}, many(30)...)
		i := open(t, s.URL())
		for filter, want := range map[string]int{"": 30, "lastName=B*": 20, "lastName=*ck": 10, "lastName=*hit*&extension=1002": 1, "userId=nobody*": 0} {
			got, err := list(t, i, filter, "extension", "nothing")
			if err != nil || len(got) != want {
				t.Errorf("pages of %d, filter %q: %d users, %v; want %d", paged, filter, len(got), err, want)
			}
			if len(got) > 0 && (got[0].Attributes["extension"] == "" || got[0].Attributes["nothing"] != "") {
				t.Errorf("attributes %v", got[0].Attributes)
			}
		}
		for _, filter := range []string{"department=1", "%zz"} {
			if _, err := list(t, i, filter); err == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
				t.Errorf("filter %q: got %v, want InvalidOperation", filter, err)
			}
		}
	}
}

func TestAListThatBreaksIsAnError(t *testing.T) {
	s := simulate(t, broadworkstest.Options{Paged: 10}, many(30)...)
	i := open(t, s.URL())
	answers := map[string]resttest.Answer{
		"malformed": resttest.Malformed(200), "huge": resttest.Huge(200, 100<<20), "a page": resttest.HTML(200), "dropped": resttest.Drop(),
		"a number": resttest.Say(200, "application/json", "7"), "stops": resttest.Say(200, "application/json", `{"total":30,"count":0,"offset":10,"data":[]}`),
		"repeats": resttest.Say(200, "application/json", `{"total":30,"count":1,"offset":0,"data":[{"userId":"user0000@acme.example"}]}`),
		"nobody":  resttest.Say(200, "application/json", `[{"lastName":"x"}]`),
	}
	for name, answer := range answers {
		s.Faults.Clear()
		s.Faults.Add(resttest.Fault{Op: "GET /users", Skip: 1, Answer: answer})
		if got, err := list(t, i, ""); err == nil || len(got) < 10 {
			t.Errorf("%s: %d users and %v, want an error after the first page", name, len(got), err)
		}
	}
	boom := fmt.Errorf("enough")
	s.Faults.Clear()
	if err := i.List(t.Context(), "", nil, func(sdk.Account) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("the caller's error: got %v", err)
	}
}

func TestVerifyIsALogonOfTheWebKind(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann, Values: map[string]string{"web": canary}})
	i := open(t, s.URL())
	verify := func(kind, value string) sdk.Verdict {
		v, err := i.Verify(t.Context(), ann, kind, secret.New(value))
		if err != nil {
			t.Error(err)
		}
		return v
	}
	if v := verify("sip", canary); v != sdk.CannotTell {
		t.Errorf("sip: %v, want cannot-tell", v)
	}
	if v := verify("web", canary); v != sdk.Accepted {
		t.Errorf("right: %v, want accepted", v)
	}
	for range 5 {
		if v := verify("web", "wr0ng-Value"); v != sdk.Rejected {
			t.Errorf("wrong: %v, want rejected", v)
		}
	}
	if v := verify("web", canary); v != sdk.Blocked || !s.Locked(ann) {
		t.Errorf("locked: %v, want blocked", v)
	}
	if r := i.Apply(t.Context(), set(ann, "web", "An0ther-value")); r.Outcome != sdk.Applied || s.Locked(ann) {
		t.Errorf("a new password: %s, locked %v; want it unlocked", line(r), s.Locked(ann))
	}
	s.Faults.Add(resttest.Fault{Op: "POST /auth/token", Times: 1, Answer: resttest.Say(402, "application/json", `{"error":"change it"}`)})
	if v := verify("web", canary); v != sdk.AcceptedMustChange {
		t.Errorf("402: %v, want accepted-must-change", v)
	}
}

func TestATokenIsRenewed(t *testing.T) {
	for _, way := range []string{"", "token", "session"} {
		now := time.Unix(0, 0)
		clock := func() time.Time { return now }
		s := simulate(t, broadworkstest.Options{Refresh: way, TokenLife: 20 * time.Minute, Now: clock}, broadworkstest.User{ID: ann})
		i := openAt(t, clock, s.URL())
		apply := func(value string) {
			t.Helper()
			if r := i.Apply(t.Context(), set(ann, "web", value)); r.Outcome != sdk.Applied {
				t.Errorf("%q: got %s", way, line(r))
			}
		}
		apply("F1rst-value")
		now = now.Add(11 * time.Minute) // older than refresh_after
		apply("Sec0nd-value")
		if n := s.Requests()["POST /auth/token"]; n != 1 {
			t.Errorf("%q: %d logins, want a refresh", way, n)
		}
		s.Expire() // dead before its time: the next request is answered 401
		apply("Th1rd-value")
		if n := s.Requests()["POST /auth/token"]; n != 2 {
			t.Errorf("%q: %d logins, want a second one", way, n)
		}
	}
}

func TestConcurrentOperationsShareOneLogin(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, many(40)...)
	i := open(t, s.URL())
	for round := 1; round <= 2; round++ {
		var wait sync.WaitGroup
		for k := range 40 {
			wait.Go(func() {
				op := set(fmt.Sprintf("user%04d@acme.example", k), "web", fmt.Sprintf("Value-of-%d-%d", round, k))
				if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
					t.Error(line(r))
				}
			})
		}
		wait.Wait()
		if n := s.Requests()["POST /auth/token"]; n != round {
			t.Errorf("%d logins after round %d", n, round)
		}
		s.Expire()
	}
}

func TestALoginThatFailsSaysWhy(t *testing.T) {
	s := simulate(t, broadworkstest.Options{MustChange: true}, broadworkstest.User{ID: ann})
	tests := []struct {
		name  string
		fault resttest.Answer
		want  string
	}{
		{"must change", nil, "refused InvalidConfig: login: the password of admin has to be changed first"},
		{"wrong", resttest.Say(401, "application/json", `{"error":"[Error 4962] Invalid password","status":401,"details":"x"}`), "refused LoginExpired: login: Invalid password"},
		{"disabled", resttest.Say(401, "application/json", `{"error":"[Error 5202] Account is disabled."}`), "refused LoginExpired: login: Account is disabled."},
		{"no such page", resttest.HTML(404), "refused InvalidConfig: login: there is no login at this url"},
		{"no token", resttest.Say(200, "application/json", `{}`), "refused LoginExpired: login: the answer to the login has no token"},
		{"down", resttest.Say(503, "", ""), "refused TargetUnavailable: login: HTTP 503"},
		{"cut", resttest.Drop(), "refused TargetUnavailable: login: "},
	}
	for _, test := range tests {
		s.Faults.Clear()
		if test.fault != nil {
			s.Faults.Add(resttest.Fault{Op: "POST /auth/token", Answer: test.fault})
		}
		if r := open(t, s.URL()).Apply(t.Context(), set(ann, "web", canary)); !strings.HasPrefix(line(r), test.want) {
			t.Errorf("%s: got %q, want %q", test.name, line(r), test.want)
		}
	}
	if s.Value(ann, "web") != "" {
		t.Error("the password was set without a login")
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann, Values: map[string]string{"web": loginPW}})
	must := simulate(t, broadworkstest.Options{MustChange: true})
	gone := simulate(t, broadworkstest.Options{})
	gone.Close()
	soon := simulate(t, broadworkstest.Options{})
	soon.Faults.Add(resttest.Fault{Op: "GET /auth/session", Answer: resttest.Say(200, "application/json", `{"loginType":"Group","passwordExpiresDays":-3}`)})
	tests := []struct {
		name, url string
		values    []any
		want      sdk.Code
		findings  int
	}{
		{"fine", s.URL(), nil, "", 1}, {"expired", soon.URL(), nil, "", 2},
		{"an ordinary user", s.URL(), []any{"user", ann}, sdk.PermissionDenied, 1},
		{"nobody", s.URL(), []any{"user", "nobody"}, sdk.InvalidConfig, 1},
		{"another group", s.URL(), []any{"group", "Sails"}, sdk.InvalidConfig, 1},
		{"another provider", s.URL(), []any{"provider", "Acne"}, sdk.InvalidConfig, 1},
		{"must change", must.URL(), nil, sdk.InvalidConfig, 1}, {"down", gone.URL(), nil, sdk.Unreachable, 1},
	}
	for _, test := range tests {
		f := open(t, test.url, test.values...).Check(t.Context())
		last := f[len(f)-1]
		if len(f) != test.findings || last.Code != test.want || (last.Severity == sdk.Bad) != (test.want != "") || test.want != "" && last.Fix == "" {
			t.Errorf("%s: got %+v, want %q", test.name, f, test.want)
		}
	}
}

func TestConfigureRefusesWrongSettings(t *testing.T) {
	tests := []struct {
		name, setting, value string
		want                 sdk.Code
	}{
		{"clear text", "url", "http://odin.example/api/v2", sdk.InsecureTransport}, {"no version", "url", "https://odin.example", sdk.InvalidConfig},
		{"no user", "user", "", sdk.InvalidConfig}, {"no group", "group", "", sdk.InvalidConfig}, {"no provider", "provider", "", sdk.InvalidConfig},
	}
	for _, test := range tests {
		_, err := broadworks.New().Configure(t.Context(), config("https://odin.example/api/v2/", test.setting, test.value))
		if err == nil || sdk.AsError(err, "").Code != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

func TestHostileNamesArriveAsTheyAre(t *testing.T) {
	for _, name := range []string{`o"brien\@acme.example`, "<b>&amp;@acme.example", "a%2fb@acme.example", "jürgen.ß@acme.example", "a+b c@acme.example", "x;y,z'@acme.example", "q?a=b#c@acme.example"} {
		s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: name})
		i := open(t, s.URL())
		for _, kind := range kinds {
			if r := i.Apply(t.Context(), set(name, kind, valueOf(kind))); r.Outcome != sdk.Applied || s.Value(name, kind) != valueOf(kind) {
				t.Errorf("%q: %s: got %s", name, kind, line(r))
			}
		}
		if a, err := i.Find(t.Context(), name); err != nil || a.Account != name {
			t.Errorf("%q: found as %+v, %v", name, a, err)
		}
		if got, err := list(t, i, ""); err != nil || len(got) != 1 || got[0].Account != name {
			t.Errorf("%q: listed as %+v, %v", name, got, err)
		}
		if v, err := i.Verify(t.Context(), name, "web", secret.New(canary)); v != sdk.Accepted || err != nil {
			t.Errorf("%q: verify %v, %v", name, v, err)
		}
	}
}

func TestSecretsAreInNoErrorAndNoLog(t *testing.T) {
	var log bytes.Buffer
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
	c := config(s.URL())
	c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.Level(-100)}))
	made, err := broadworks.New().Configure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	i := made.(*broadworks.Instance)
	defer func() { _ = i.Close() }()
	echo := fmt.Sprintf(`{"error":%q,"status":400,"details":%q}`, "[Error "+canary+"] password "+canary+code+loginPW, loginPW)
	answers := []resttest.Answer{nil, resttest.Say(400, "application/json", echo), resttest.Say(500, "application/json", echo), resttest.Say(402, "text/html", echo),
		resttest.Say(401, "application/json", echo), resttest.Drop(), resttest.Malformed(400), resttest.Say(302, "", "", "Location", "https://x/"+loginPW)}
	var said strings.Builder
	for _, answer := range answers {
		s.Faults.Clear()
		if answer != nil {
			for _, path := range []string{"PUT /users/authentication", "PUT /users/passwords", "GET /users/services/assigned"} {
				s.Faults.Add(resttest.Fault{Op: path, Answer: answer, Skip: 1})
			}
		}
		for range 3 {
			op := set(ann, "sip", canary)
			fmt.Fprintf(&said, "%+v\n", i.Apply(t.Context(), op).Err)
			op.Kind = "web"
			fmt.Fprintf(&said, "%+v\n", i.Apply(t.Context(), op).Err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := i.Verify(ctx, ann, "web", secret.New(canary))
		fmt.Fprintf(&said, "%v\n", err)
		cancel()
	}
	all := strings.ReplaceAll(said.String(), code, "") + log.String() // the passcode was no part of these operations
	for _, bad := range []string{canary, `c\"A`, loginPW, "Bearer "} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is in:\n%s", bad, all)
		}
	}
	if !strings.Contains(log.String(), "http exchange") {
		t.Errorf("no trace in the log: %s", log.String())
	}
}
