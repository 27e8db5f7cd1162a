package smartcloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	admin    = "admin@acme.example"
	adminPW  = "Adm1n-canary-9"
	ann      = "ann@acme.example"
	tempPW   = "temp0rary!"
	canaryPW = "c\"a\\n%yé-4711" // the system's policy allows no blank
)

func simulate(t *testing.T, o smartcloudtest.Options, accounts ...smartcloudtest.Account) *smartcloudtest.Simulator {
	t.Helper()
	o.AdminPassword, o.Strict = adminPW, true // the contract is held against a lenient one, too
	s := smartcloudtest.New(o, accounts...)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func config(url string, values ...any) sdk.Config {
	c := sdk.Config{
		Label: "cloud", Concurrency: 8, Timeout: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
		Values:  map[string]any{"url": url, "admin": admin, "logon_check": "settle"},
		Secrets: map[string]secret.Value{"password": secret.New(adminPW)},
	}
	for n := 0; n+1 < len(values); n += 2 {
		c.Values[values[n].(string)] = values[n+1]
	}
	return c
}

func open(t *testing.T, url string, values ...any) sdk.Instance {
	t.Helper()
	i, err := smartcloud.New().Configure(t.Context(), config(url, values...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func once(account, value string) sdk.Operation {
	op, yes := set(account, value), true
	op.MustChange = &yes
	return op
}

func change(account, old, value string) sdk.Operation {
	op := set(account, value)
	op.Verb, op.Old = sdk.Change, secret.New(old)
	return op
}

func reset(account string) sdk.Operation {
	return sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Reset, Account: account}
}

func do(ctx context.Context, i sdk.Instance, op sdk.Operation) sdk.Receipt {
	if op.Verb == sdk.Reset {
		return i.(sdk.Resetter).Reset(ctx, op)
	}
	return i.Apply(ctx, op)
}

// line is what an operator reads of a receipt.
func line(r sdk.Receipt) string {
	if r.Err == nil {
		return r.Outcome.String()
	}
	return fmt.Sprintf("%s %v", r.Outcome, r.Err)
}

func TestEachVerbIsItsOwnCall(t *testing.T) {
	tests := []struct {
		name    string
		op      sdk.Operation
		state   string
		realm   string
		want    string // the line, by its beginning
		call    string // made once; "" none
		value   string // in the end
		oneTime bool
		after   string // the state in the end
	}{
		{"set, active", set(ann, canaryPW), "ACTIVE", "", "applied", "setUserPassword", canaryPW, false, "ACTIVE"},
		{"set, pending", set(ann, canaryPW), "PENDING", "", "refused AccountStatus: is PENDING: ", "", tempPW, true, "PENDING"},
		{"set, suspended", set(ann, canaryPW), "SUSPENDED", "", "refused AccountStatus: is SUSPENDED: ", "", tempPW, true, "SUSPENDED"},
		{"set, deleted", set(ann, canaryPW), "SOFT_DELETED", "", "refused AccountStatus: is SOFT_DELETED: ", "", tempPW, true, "SOFT_DELETED"},
		{"set, about to be deleted", set(ann, canaryPW), "REMOVE_PENDING", "", "refused AccountStatus: is REMOVE_PENDING: ", "", tempPW, true, "REMOVE_PENDING"},
		{"set, federated", set(ann, canaryPW), "ACTIVE", "FEDERATED", "refused NoCredential: is federated", "", tempPW, true, "ACTIVE"},
		{"set, federated and suspended", set(ann, canaryPW), "SUSPENDED", "FEDERATED", "refused NoCredential: is federated", "", tempPW, true, "SUSPENDED"},
		{"set, partly federated", set(ann, canaryPW), "ACTIVE", "PARTIAL_FEDERATED", "applied", "setUserPassword", canaryPW, false, "ACTIVE"},
		{"one-time, active", once(ann, canaryPW), "ACTIVE", "", "applied", "setOneTimePassword", canaryPW, true, "ACTIVE"},
		{"one-time, pending", once(ann, canaryPW), "PENDING", "", "applied", "setOneTimePassword", canaryPW, true, "PENDING"},
		{"one-time, suspended", once(ann, canaryPW), "SUSPENDED", "", "refused AccountStatus", "", tempPW, true, "SUSPENDED"},
		{"change, pending", change(ann, tempPW, canaryPW), "PENDING", "", "applied", "changePassword", canaryPW, false, "ACTIVE"},
		{"change, active", change(ann, tempPW, canaryPW), "ACTIVE", "", "applied", "changePassword", canaryPW, false, "ACTIVE"},
		{"change, suspended", change(ann, tempPW, canaryPW), "SUSPENDED", "", "refused AccountStatus", "", tempPW, true, "SUSPENDED"},
		{"change, federated", change(ann, tempPW, canaryPW), "PENDING", "FEDERATED", "refused NoCredential", "", tempPW, true, "PENDING"},
		{"reset", reset(ann), "ACTIVE", "", "applied", "resetPassword", "?", true, "ACTIVE"},
		{"reset, suspended", reset(ann), "SUSPENDED", "", "refused AccountStatus", "", tempPW, true, "SUSPENDED"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW, OneTime: true, State: test.state, Realm: test.realm})
			r := do(t.Context(), open(t, s.URL()), test.op)
			if !strings.HasPrefix(line(r), test.want) || r.Value.Present() {
				t.Errorf("got %q, want %q…", line(r), test.want)
			}
			value, oneTime := s.Password(ann)
			if value != test.value && (test.value != "?" || value == tempPW) || oneTime != test.oneTime || s.State(ann) != test.after {
				t.Errorf("in the end: %q, one-time %v, %s; want %q, %v, %s", value, oneTime, s.State(ann), test.value, test.oneTime, test.after)
			}
			for _, call := range []string{"setUserPassword", "setOneTimePassword", "changePassword", "resetPassword"} {
				if n := s.Requests()[call]; (n == 1) != (call == test.call) {
					t.Errorf("%s was called %d times", call, n)
				}
			}
		})
	}
}

func TestWhatMakesNoSenseIsRefusedBeforeAnythingIsSent(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	i := open(t, s.URL())
	with := func(op sdk.Operation, change func(*sdk.Operation)) sdk.Operation { change(&op); return op }
	yes := true
	tests := []struct {
		name string
		op   sdk.Operation
		want sdk.Code
	}{
		{"no account", set("", canaryPW), sdk.InvalidOperation},
		{"the administrator", set("Admin@ACME.example", canaryPW), sdk.Protected},
		{"reset of the administrator", reset(admin), sdk.Protected},
		{"a kind", with(set(ann, canaryPW), func(op *sdk.Operation) { op.Kind = "sip" }), sdk.InvalidOperation},
		{"no old value", change(ann, "", canaryPW), sdk.InvalidOperation},
		{"not UTF-8", set(ann, "abcd1234\xff"), sdk.InvalidOperation},
		{"a change to a one-time password", with(change(ann, tempPW, canaryPW), func(op *sdk.Operation) { op.MustChange = &yes }), sdk.Unsupported},
	}
	for _, test := range tests {
		if r := do(t.Context(), i, test.op); r.Outcome != sdk.Refused || r.Err.Code != test.want {
			t.Errorf("%s: got %s, want refused %s", test.name, line(r), test.want)
		}
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%v was sent", s.Requests())
	}
}

func TestPolicyRefusalsNameTheirRules(t *testing.T) {
	tests := []struct {
		name, value string
		want        sdk.Rule
	}{
		{"short", "abcd-12", sdk.RuleMinLength},
		{"few letters", "abc-12345", sdk.RuleLetters},
		{"letters only", "abcdefgh", sdk.RuleNonLetters},
		{"a blank", "abcd 1234", sdk.RuleForbidden},
		{"three in a row", "abcddd-12", sdk.RuleMaxRepeat},
		{"the user name", "xX-ANNette-1", sdk.RuleContainsName},
		{"the present one", "the-0ne-before", sdk.RuleHistory},
	}
	for _, test := range tests {
		for _, verb := range []func(string) sdk.Operation{
			func(v string) sdk.Operation { return set("annette@acme.example", v) },
			func(v string) sdk.Operation { return once("annette@acme.example", v) },
			func(v string) sdk.Operation { return change("annette@acme.example", "the-0ne-before", v) },
		} {
			s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: "annette@acme.example", Password: "the-0ne-before"})
			op := verb(test.value)
			r := do(t.Context(), open(t, s.URL()), op)
			if r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation || len(r.Err.Violations) != 1 || r.Err.Violations[0].Rule != test.want {
				t.Errorf("%s, %s: got %+v, want %s", test.name, op.Verb, r.Err, test.want)
			}
		}
	}
}

func TestBypassPolicyReachesTheSystemAndThePolicy(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	i := open(t, s.URL(), "bypass_policy", true)
	if r := i.Apply(t.Context(), set(ann, "x")); r.Outcome != sdk.Applied {
		t.Errorf("got %s, want applied", line(r))
	}
	if p, err := i.(sdk.PolicyReader).Policy(t.Context(), "", ""); err != nil || p.MinLength != 0 || p.Note == "" {
		t.Errorf("Policy = %+v, %v; want no rule and a note", p, err)
	}
}

func TestPolicyIsTheDocumentedOne(t *testing.T) {
	p, err := open(t, "https://cloud.example").(sdk.PolicyReader).Policy(t.Context(), "annette@acme.example", "")
	if err != nil || p.MinLength != 8 || p.Letters != 4 || p.NonLetters != 1 || p.MaxRepeat != 2 || p.History != 8 || !p.NoAccountName ||
		!strings.Contains(p.Forbid, " ") || !slices.Equal(p.ForbidWords, []string{"annette"}) {
		t.Errorf("Policy = %+v, %v", p, err)
	}
}

func TestAnAnswerThatWasLostIsSettledWithTheSameValue(t *testing.T) {
	again := func(op sdk.Operation) sdk.Operation { op.Attempt = 2; return op }
	tests := []struct {
		name    string
		account smartcloudtest.Account
		options smartcloudtest.Options
		op      sdk.Operation
		check   string
		want    string // of the second attempt
		value   string
	}{
		{"set that counts as a repeat", smartcloudtest.Account{}, smartcloudtest.Options{}, set(ann, canaryPW), "settle", "already-applied", canaryPW},
		{"set that may be repeated", smartcloudtest.Account{}, smartcloudtest.Options{RepeatAllowed: true}, set(ann, canaryPW), "settle", "applied", canaryPW},
		{"set, without a look", smartcloudtest.Account{}, smartcloudtest.Options{}, set(ann, canaryPW), "never", "refused PolicyViolation", canaryPW},
		{"one-time, which a logon would use up", smartcloudtest.Account{}, smartcloudtest.Options{}, once(ann, canaryPW), "settle", "already-applied", canaryPW},
		{"one-time, without a look", smartcloudtest.Account{}, smartcloudtest.Options{}, once(ann, canaryPW), "never", "refused PolicyViolation", canaryPW},
		{"change", smartcloudtest.Account{}, smartcloudtest.Options{}, change(ann, tempPW, canaryPW), "settle", "already-applied", canaryPW},
		{"change while pending", smartcloudtest.Account{State: "PENDING"}, smartcloudtest.Options{StayPending: true}, change(ann, tempPW, canaryPW), "settle", "already-applied", canaryPW},
		{"reset", smartcloudtest.Account{}, smartcloudtest.Options{}, reset(ann), "settle", "applied", "?"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.account.Login, test.account.Password = ann, tempPW
			s := simulate(t, test.options, test.account)
			i := open(t, s.URL(), "logon_check", test.check)
			lost := s.Faults.Add(resttest.Fault{Skip: 2, Times: 1, Effect: true, Answer: resttest.Drop()}) // after the login and the look
			if r := do(t.Context(), i, test.op); r.Outcome != sdk.Unknown || r.Err.Code != sdk.ConnectionLost {
				t.Fatalf("first: got %s, want unknown ConnectionLost", line(r))
			}
			if lost() != 1 {
				t.Fatalf("%d answers were lost, want 1", lost())
			}
			if r := do(t.Context(), i, again(test.op)); !strings.HasPrefix(line(r), test.want) {
				t.Errorf("second: got %s, want %s", line(r), test.want)
			}
			if v, _ := s.Password(ann); v != test.value && test.value != "?" {
				t.Errorf("in the end: %q, want %q", v, test.value)
			}
		})
	}
}

// A lost change is finished by the host with a set of the same value, which is
// marked as a further attempt; a bridge follows where the account is PENDING.
func TestALostChangeCanBeRecovered(t *testing.T) {
	for _, effect := range []bool{true, false} {
		for _, state := range []string{"ACTIVE", "PENDING"} {
			for _, stays := range []bool{true, false} {
				name := fmt.Sprintf("effect %v, %s, stays %v", effect, state, stays)
				s := simulate(t, smartcloudtest.Options{StayPending: stays}, smartcloudtest.Account{Login: ann, Password: tempPW, OneTime: true, State: state})
				s.Faults.Add(resttest.Fault{Op: "changePassword", Times: 1, Effect: effect, Answer: resttest.Reset()})
				i := open(t, s.URL())
				if r := i.Apply(t.Context(), change(ann, tempPW, canaryPW)); r.Outcome != sdk.Unknown {
					t.Fatalf("%s: got %s, want unknown", name, line(r))
				}
				finish := set(ann, canaryPW)
				finish.Attempt = 2
				r := i.Apply(t.Context(), finish)
				if r.Outcome == sdk.Refused && r.Err.Code == sdk.AccountStatus {
					if r := i.Apply(t.Context(), once(ann, "br1dge-value")); r.Outcome != sdk.Applied {
						t.Fatalf("%s: bridge: %s", name, line(r))
					}
					r = i.Apply(t.Context(), change(ann, "br1dge-value", canaryPW))
				}
				if r.Outcome != sdk.Applied && r.Outcome != sdk.AlreadyApplied {
					t.Errorf("%s: got %s, want it finished", name, line(r))
				}
				if v, oneTime := s.Password(ann); v != canaryPW || oneTime {
					t.Errorf("%s: in the end %q, one-time %v", name, v, oneTime)
				}
			}
		}
	}
}

func TestFindTellsStatesApart(t *testing.T) {
	tests := []struct {
		state, realm string
		want         sdk.Status
	}{
		{"ACTIVE", "", sdk.StatusActive}, {"PENDING", "", sdk.StatusPending}, {"SUSPENDED", "", sdk.StatusSuspended},
		{"SOFT_DELETED", "", sdk.StatusDeleted}, {"CANCEL_PENDING", "", sdk.StatusDeleted}, {"REMOVE_PENDING", "", sdk.StatusDeleted},
		{"DEREGISTER_PENDING", "", sdk.StatusDeleted}, {"ODD", "", sdk.StatusUnknown}, {"ACTIVE", "FEDERATED", sdk.StatusFederated},
		{"ACTIVE", "MODIFIED_FEDERATED", sdk.StatusActive}, {"ACTIVE", "PARTIAL_FEDERATED", sdk.StatusActive},
	}
	for _, test := range tests {
		s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Given: "Ann", Family: "Lee", State: test.state, Realm: test.realm})
		a, err := open(t, s.URL()).(sdk.Finder).Find(t.Context(), "ANN@acme.example")
		if err != nil || a.Status != test.want || a.Name != "Ann Lee" || a.Account != ann || a.ID == "" {
			t.Errorf("%s %s: got %+v, %v; want %v", test.state, test.realm, a, err, test.want)
		}
	}
}

func TestFindOfNobodyAndOfTwo(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{},
		smartcloudtest.Account{Login: "two@acme.example"}, smartcloudtest.Account{Login: "TWO@acme.example"},
		smartcloudtest.Account{Login: "old@acme.example", State: "SOFT_DELETED"}, smartcloudtest.Account{Login: "old@acme.example"})
	i := open(t, s.URL()).(sdk.Finder)
	for account, want := range map[string]sdk.Code{"nobody@acme.example": sdk.AccountNotFound, "two@acme.example": sdk.Ambiguous} {
		if _, err := i.Find(t.Context(), account); err == nil || sdk.AsError(err, "").Code != want {
			t.Errorf("Find(%q) = %v, want %s", account, err, want)
		}
	}
	if a, err := i.Find(t.Context(), "old@acme.example"); err != nil || a.Status != sdk.StatusActive {
		t.Errorf("an address that was used before: %+v, %v; want the active one", a, err)
	}
}

func list(t *testing.T, i sdk.Instance, filter string, attributes ...string) ([]sdk.Account, error) {
	t.Helper()
	var got []sdk.Account
	err := i.(sdk.Lister).List(t.Context(), filter, attributes, func(a sdk.Account) error { got = append(got, a); return nil })
	return got, err
}

func many(n int) []smartcloudtest.Account {
	var all []smartcloudtest.Account
	for k := range n {
		a := smartcloudtest.Account{Login: fmt.Sprintf("user%04d@acme.example", k), Family: fmt.Sprint(k), Customer: int64(1 + k%2)}
		if k%10 == 0 {
			a.State = "PENDING"
		}
		all = append(all, a)
	}
	return all
}

func TestListReadsEveryPage(t *testing.T) {
	tests := []struct {
		name, filter string
		maxPage      int
		want         int
	}{
		{"all", "", 0, 251}, // the administrator is one
		{"a server with smaller pages", "", 7, 251},
		{"one organisation", "customer=2", 0, 125},
		{"an organisation without subscribers", "customer=9", 0, 0},
		{"one state", "SubscriberState=PENDING", 0, 25},
		{"one state of one organisation", "customer=1&SubscriberState=PENDING", 0, 25},
		{"one address", "emailAddress=user0003@acme.example", 0, 1},
	}
	for _, test := range tests {
		s := simulate(t, smartcloudtest.Options{MaxPage: test.maxPage}, many(250)...)
		got, err := list(t, open(t, s.URL()), test.filter, "FamilyName", "RoleSet", "CustomerId", "Nothing")
		if err != nil || len(got) != test.want {
			t.Errorf("%s: %d accounts, %v; want %d", test.name, len(got), err, test.want)
		}
		for _, a := range got {
			if a.Account != admin && (a.Attributes["RoleSet"] != "User" || a.Attributes["CustomerId"] == "" || a.Attributes["FamilyName"] == "") {
				t.Fatalf("%s: attributes %v of %s", test.name, a.Attributes, a.Account)
			}
		}
	}
}

func TestAListThatBreaksIsAnError(t *testing.T) {
	boom := fmt.Errorf("enough")
	s := simulate(t, smartcloudtest.Options{}, many(250)...)
	i := open(t, s.URL())
	if err := i.(sdk.Lister).List(t.Context(), "", nil, func(sdk.Account) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("the caller's error: got %v", err)
	}
	for _, filter := range []string{"department=1", "%zz", "customer=1&emailAddress=a"} {
		if _, err := list(t, i, filter); err == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
			t.Errorf("filter %q: got %v, want InvalidOperation", filter, err)
		}
	}
	answers := map[string]resttest.Answer{"malformed": resttest.Malformed(200), "huge": resttest.Huge(200, 100<<20), "a page": resttest.HTML(200),
		"dropped": resttest.Drop(), "no list": resttest.Say(200, "application/json", `{"Subscriber":{}}`)}
	for name, answer := range answers {
		s.Faults.Clear()
		s.Faults.Add(resttest.Fault{Op: "GET subscriber", Skip: 1, Answer: answer})
		if got, err := list(t, i, ""); err == nil || len(got) != 100 {
			t.Errorf("%s: %d accounts and %v, want an error after the first page", name, len(got), err)
		}
	}
	s.Faults.Clear()
	s.Faults.Add(resttest.Fault{Op: "GET subscriber", Answer: resttest.Say(200, "application/json", `{"List":[{"Id":1,"Person":{"EmailAddress":"a@b"}}]}`)})
	if _, err := list(t, i, ""); err == nil || !strings.Contains(err.Error(), "repeats") {
		t.Errorf("a server without pages: got %v, want an error", err)
	}
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	vsr := smartcloudtest.Account{Login: "vsr@acme.example", Password: adminPW, Roles: []string{"VSR"}}
	plain := smartcloudtest.Account{Login: "plain@acme.example", Password: adminPW}
	s := simulate(t, smartcloudtest.Options{}, vsr, plain)
	gone := simulate(t, smartcloudtest.Options{})
	gone.Close()
	busy := simulate(t, smartcloudtest.Options{})
	busy.Faults.Add(resttest.Fault{Answer: resttest.Say(503, "", "")})
	other := simulate(t, smartcloudtest.Options{})
	other.Faults.Add(resttest.Fault{Answer: resttest.HTML(404)})
	denied := simulate(t, smartcloudtest.Options{})
	denied.Faults.Add(resttest.Fault{Answer: resttest.Say(403, "application/json", `{"BSSResponse":{"ResponseCode":"403"}}`)})
	tests := []struct {
		name string
		url  string
		by   string
		want sdk.Code
	}{
		{"administrator", s.URL(), admin, ""}, {"reseller", s.URL(), "vsr@acme.example", ""},
		{"no role", s.URL(), "plain@acme.example", sdk.PermissionDenied}, {"nobody", s.URL(), "who@acme.example", sdk.InvalidConfig},
		{"not enabled", denied.URL(), admin, sdk.PermissionDenied}, {"another site", other.URL(), admin, sdk.InvalidConfig},
		{"down", gone.URL(), admin, sdk.Unreachable}, {"busy", busy.URL(), admin, sdk.TargetUnavailable},
	}
	for _, test := range tests {
		f := open(t, test.url, "admin", test.by).(sdk.Checker).Check(t.Context())
		if len(f) != 1 || f[0].Code != test.want || (f[0].Severity == sdk.Bad) != (test.want != "") || test.want != "" && f[0].Fix == "" {
			t.Errorf("%s: got %+v, want %q", test.name, f, test.want)
		}
	}
}

func TestConfigureRefusesWrongSettings(t *testing.T) {
	tests := []struct {
		name  string
		name1 string
		value any
		want  sdk.Code
	}{
		{"clear text", "url", "http://cloud.example", sdk.InsecureTransport},
		{"no admin", "admin", "", sdk.InvalidConfig},
		{"budget without a period", "budget", "10", sdk.InvalidConfig},
		{"budget of nothing", "budget", "0/s", sdk.InvalidConfig},
		{"budget of another form", "budget", "ten/s", sdk.InvalidConfig},
		{"unknown weight", "weights", []string{"mail=1"}, sdk.InvalidConfig},
		{"no weight", "weights", []string{"subscriber"}, sdk.InvalidConfig},
	}
	for _, test := range tests {
		_, err := smartcloud.New().Configure(t.Context(), config("https://cloud.example", test.name1, test.value))
		if err == nil || sdk.AsError(err, "").Code != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

func TestTheDescriptionFitsTheInstances(t *testing.T) {
	d := smartcloud.New().Describe()
	if d.Recover != sdk.SetThenChange || d.CanReplay(sdk.Change) || !d.CanReplay(sdk.Set) || !d.VerifyIsLogon {
		t.Errorf("recovery %q, replay %v", d.Recover, d.ReplaySafe)
	}
	for check, want := range map[string]bool{"never": false, "settle": false, "verify": true} {
		i := open(t, "https://cloud.example", "logon_check", check)
		if got := slices.Contains(sdk.AbilitiesOf(i), sdk.CanVerify); got != want {
			t.Errorf("logon_check %s: verify %v, want %v", check, got, want)
		}
	}
}

func TestVerifyIsALogon(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: canaryPW}, smartcloudtest.Account{Login: "gone@acme.example", Password: canaryPW, State: "SUSPENDED"})
	v := open(t, s.URL(), "logon_check", "verify").(sdk.Verifier)
	tests := []struct {
		account, value string
		want           sdk.Verdict
		code           sdk.Code
	}{
		{ann, canaryPW, sdk.Accepted, ""}, {ann, "wrong-0ne", sdk.Rejected, ""}, {"gone@acme.example", canaryPW, sdk.Blocked, ""},
		{"nobody@acme.example", canaryPW, sdk.CannotTell, sdk.AccountNotFound}, {admin, adminPW, sdk.CannotTell, sdk.Protected},
	}
	for _, test := range tests {
		got, err := v.Verify(t.Context(), test.account, "", secret.New(test.value))
		if got != test.want || (err == nil) != (test.code == "") || err != nil && sdk.AsError(err, "").Code != test.code {
			t.Errorf("Verify(%q) = %v, %v; want %v %s", test.account, got, err, test.want, test.code)
		}
	}
	s.Faults.Add(resttest.Fault{Answer: resttest.Drop()})
	if got, err := v.Verify(t.Context(), ann, "", secret.New(canaryPW)); got != sdk.CannotTell || err == nil {
		t.Errorf("no answer: %v, %v; want CannotTell and why", got, err)
	}
}

func TestHostileNamesArriveAsTheyAre(t *testing.T) {
	for _, name := range []string{`o"brien\@acme.example`, "<b>&amp;@acme.example", "a%2fb@acme.example", "jürgen.ß@acme.example", "a+b c@acme.example", "x;y,z'@acme.example", "q?a=b#c@acme.example"} {
		s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: name, Password: tempPW, State: "PENDING"})
		i := open(t, s.URL())
		for _, op := range []sdk.Operation{once(name, "one-t1me-pw"), change(name, "one-t1me-pw", canaryPW), set(name, "an0ther-value")} {
			if r := do(t.Context(), i, op); r.Outcome != sdk.Applied {
				t.Errorf("%q: %s: got %s", name, op.Verb, line(r))
			}
		}
		if v, _ := s.Password(name); v != "an0ther-value" {
			t.Errorf("%q: in the end %q", name, v)
		}
		if r := do(t.Context(), i, reset(name)); r.Outcome != sdk.Applied {
			t.Errorf("%q: reset: %s", name, line(r))
		}
		if got, err := list(t, i, ""); err != nil || got[len(got)-1].Account != name {
			t.Errorf("%q: listed as %+v, %v", name, got, err)
		}
	}
}

func TestSecretsAreInNoErrorAndNoLog(t *testing.T) {
	var log bytes.Buffer
	c := config("")
	c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.Level(-100)}))
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	c.Values["url"] = s.URL()
	i, err := smartcloud.New().Configure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	echo := fmt.Sprintf(`{"BSSResponse":{"ResponseMessage":%q,"Useraction":%q,"MessageCode":%q}}`, canaryPW+tempPW+adminPW, adminPW, canaryPW)
	answers := []resttest.Answer{nil, resttest.Say(400, "application/json", echo), resttest.Say(500, "application/json", echo), resttest.Say(401, "application/json", echo),
		resttest.Say(409, "text/plain", canaryPW), resttest.Drop(), resttest.Malformed(400), resttest.HTML(500), resttest.Say(302, "", "", "Location", "https://x/"+tempPW)}
	var said strings.Builder
	for _, answer := range answers {
		s.Faults.Clear()
		if answer != nil {
			for _, op := range []string{"GET subscriber", "changePassword", "resetPassword"} {
				s.Faults.Add(resttest.Fault{Op: op, Answer: answer, Skip: 1})
			}
		}
		for range 3 {
			op := change(ann, tempPW, canaryPW)
			fmt.Fprintf(&said, "%+v\n", do(t.Context(), i, op).Err)
		}
	}
	all := said.String() + log.String()
	for _, bad := range []string{canaryPW, `c\"a`, tempPW, adminPW, "Basic "} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is in:\n%s", bad, all)
		}
	}
	if !strings.Contains(log.String(), "http exchange") {
		t.Errorf("no trace in the log: %s", log.String())
	}
}

// A value that the account had before and a lost answer: that the system
// remembers it does not make it the present one.
func TestAOneTimePasswordOfLongAgoIsNotTakenForThePresentOne(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	i := open(t, s.URL())
	for _, value := range []string{"l0ng-ago-value", "an0ther-value"} {
		if r := do(t.Context(), i, once(ann, value)); r.Outcome != sdk.Applied {
			t.Fatal(line(r))
		}
	}
	op := once(ann, "l0ng-ago-value")
	op.Attempt = 2
	if r := do(t.Context(), i, op); r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation {
		t.Errorf("got %s, want it refused", line(r))
	}
	if v, oneTime := s.Password(ann); v != "an0ther-value" || !oneTime {
		t.Errorf("in the end %q, one-time %v", v, oneTime)
	}
}
