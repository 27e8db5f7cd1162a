package kendox_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// exit is what a run of this one user ends with, once the host's retries are
// used up.
func exit(r sdk.Receipt) int {
	switch {
	case r.Outcome == sdk.Unknown:
		return 5
	case r.Outcome != sdk.Refused:
		return 0
	case r.Err.Code == sdk.InvalidConfig || r.Err.Code == sdk.SecondFactorNeeded:
		return 4
	}
	return 3
}

func TestEveryExceptionHasItsMeaning(t *testing.T) {
	for _, test := range []struct {
		code  int
		text  string // of the exception, from the reference where it has one
		rules []sdk.Rule
		exit  int
		line  string
	}{
		{10006, "", nil, 3, "refused LoginExpired: the user cannot log in: wrong name or password, or not active"},
		{10007, "", nil, 4, "refused InvalidConfig: there is no Windows identity"},
		{10008, "The connection id {connectionId} isn't valid or has expired", nil, 3, "refused LoginExpired: the session is not valid or has ended"},
		{10038, "", nil, 4, "refused InvalidConfig: the tenant is not known; check tenant"},
		{10047, "", nil, 3, "refused AccountNotFound: no such user"},
		{10052, "", nil, 4, "refused InvalidConfig: the user may not log in by Windows"},
		{10053, "", nil, 3, "refused TargetUnavailable: no licence is left"},
		{10054, "", nil, 3, "refused TargetUnavailable: no licence is left"},
		{10055, "", nil, 3, "refused TargetUnavailable: the user has too many sessions; end some of them"},
		{10063, "", nil, 3, "refused TargetError: the token's life is over"},
		{10068, "", nil, 3, "refused TargetError: the login name exists"},
		{10071, "Not enough rights (Reset user password, " + kendoxtest.RightPassword + ")", nil, 3,
			"refused PermissionDenied: the service account lacks a right: Not enough rights (Reset user password, 01002059-38a7-11d8-a902-0050bf427e8f)"},
		{10072, "", nil, 3, "refused Protected: DCIAdmin cannot be deactivated"},
		{10078, "", nil, 3, "refused TargetError: the server refused it"},
		{10081, "", []sdk.Rule{sdk.RuleMinLength}, 3, "refused PolicyViolation: too short"},
		{10082, "", []sdk.Rule{sdk.RuleLetters}, 3, "refused PolicyViolation: needs a letter"},
		{10083, "", []sdk.Rule{sdk.RuleSymbols}, 3, "refused PolicyViolation: needs a special character"},
		{10084, "", []sdk.Rule{sdk.RuleUpper, sdk.RuleLower}, 3, "refused PolicyViolation: needs upper-case and lower-case letters"},
		{10085, "", []sdk.Rule{sdk.RuleOpaque}, 3, "refused PolicyViolation: the server could not set it and does not say why"},
		{10086, "", []sdk.Rule{sdk.RuleDigits}, 3, "refused PolicyViolation: needs a digit"},
		{10129, "The administrative context users is already checked out by user root", nil, 3,
			"refused Conflict: another user has the administrative context; it is tried again: The administrative context users is already checked out by user root"},
		{10144, "", nil, 4, "refused SecondFactorNeeded: the second factor's code could not be sent"},
		{10145, "", nil, 3, "refused TargetError: the server's mail settings are wrong"},
		{10146, "", nil, 3, "refused TargetError: the user has no mail address"},
		{10147, "", nil, 4, "refused SecondFactorNeeded: the second factor's code could not be sent"},
		{10148, "", nil, 4, "refused SecondFactorNeeded: the second factor is not complete"},
		{10149, "", nil, 4, "refused SecondFactorNeeded: the second factor's code could not be sent"},
		{10150, "", nil, 4, "refused SecondFactorNeeded: the second factor's code is wrong"},
		{10151, "", nil, 3, "refused TargetError: the second factor is not needed"},
		{10152, "Verification code is needed: Verification code not yet verified", nil, 4,
			"refused SecondFactorNeeded: the service account has a second factor; use one without"},
		{10153, "", nil, 4, "refused SecondFactorNeeded: the second factor's code could not be sent"},
		{10154, "", nil, 4, "refused SecondFactorNeeded: the second factor is not complete"},
		{10157, "", nil, 3, "refused TargetError: the second factor was confirmed already"},
		{10165, "", nil, 3, "refused AccountStatus: the user is not valid"},
		{10166, "", nil, 3, "refused TargetError: the mail could not be sent"},
		{10167, "", nil, 3, "refused TargetError: the mail could not be sent"},
		{10168, "", nil, 3, "refused ChangeNotAllowed: no attempt is left"},
		{10169, "", nil, 3, "refused TargetError: the server could not make a password"},
		{10170, "", nil, 3, "refused Ambiguous: several users have the mail address"},
		{10244, "", nil, 3, "refused AccountNotFound: the token's user does not exist"},
		{10256, "", nil, 3, "refused TargetError: the server refused it"},
		{10263, "", nil, 3, "refused TargetError: the server refused it"},
		{10264, "", nil, 3, "refused TargetError: the server refused it"},
		{10369, "Only the DCIAdmin user can set the password for the DCIAdmin user", nil, 3,
			"refused Protected: only DCIAdmin may set DCIAdmin's password"},
		{10376, "", nil, 3, "refused TargetError: the token is not valid"},
		{19999, "Something new", nil, 5, "unknown TargetError: an exception that this plugin does not know: Something new (19999)"},
	} {
		for _, o := range []kendoxtest.Options{{}, {Status: 400}, {Status: 200}, {Form: kendoxtest.FormMessage}, {Form: kendoxtest.FormFault}, {Form: kendoxtest.FormText},
			{Form: kendoxtest.FormText, Status: 200}} {
			s, i := begin(t, o)
			s.Faults.Add(resttest.Fault{Op: "SetUserPasswordHashed", Answer: s.Exception(test.code, test.text)})
			r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
			if line(r) != test.line || exit(r) != test.exit || r.Err.Native != strconv.Itoa(test.code) {
				t.Errorf("%d as %+v: %s, exit %d, native %q; want %s, %d", test.code, o, line(r), exit(r), r.Err.Native, test.line, test.exit)
			}
			var rules []sdk.Rule
			for _, v := range r.Err.Violations {
				rules = append(rules, v.Rule)
				if v.Native != strconv.Itoa(test.code) {
					t.Errorf("%d: violation's native name %q", test.code, v.Native)
				}
			}
			if diff := cmp.Diff(test.rules, rules); diff != "" {
				t.Errorf("%d: rules (-want +got):\n%s", test.code, diff)
			}
		}
	}
}

func TestServersRulesOfThePlainCall(t *testing.T) {
	for value, want := range map[string]sdk.Rule{"aB1!": sdk.RuleMinLength, "1234567!": sdk.RuleLetters, "aB345678": sdk.RuleSymbols,
		"ab34567!": sdk.RuleUpper, "aBcdefg!": sdk.RuleDigits} {
		s, i := begin(t, kendoxtest.Options{Rules: kendoxtest.Rules{MinLength: 8, Letter: true, Special: true, Mixed: true, Digit: true}})
		r := i.Apply(t.Context(), plain(set("jdoe", value)))
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.PolicyViolation || r.Err.Violations[0].Rule != want || !s.Accepts("jdoe", "old-pass-0") {
			t.Errorf("%q: %s; want refused for %s", value, line(r), want)
		}
	}
}

// Every case ends as it should, and sending the same value again leaves it as
// the only new one.
func TestFaultsOnTheWay(t *testing.T) {
	const lost = "unknown ConnectionLost: HOST: the connection broke before the whole answer came"
	const odd = "unknown TargetError: the answer is not what SetUserPasswordHashed answers"
	for _, test := range []struct {
		name  string
		fault resttest.Fault
		line  string
		retry time.Duration
		took  bool // it took effect
	}{
		{"session expired", resttest.Fault{}, "applied", 0, true},
		{"answer lost after the effect", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Reset()}, lost, 0, true},
		{"reset before the effect", resttest.Fault{Times: 1, Answer: resttest.Reset()}, lost, 0, false},
		{"silence", resttest.Fault{Times: 1, Answer: resttest.Silence()}, "unknown Timeout: HOST: no answer in time", 0, false},
		{"silence after the effect", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Silence()}, "unknown Timeout: HOST: no answer in time", 0, true},
		{"throttled", resttest.Fault{Times: 1, Answer: resttest.Say(429, "application/json", "")}, "refused RateLimited: HTTP 429 Too Many Requests", 0, false},
		{"throttled with Retry-After", resttest.Fault{Times: 1, Answer: resttest.Say(429, "application/json", "", "Retry-After", "7")}, "refused RateLimited: HTTP 429 Too Many Requests", 7 * time.Second, false},
		{"busy with Retry-After", resttest.Fault{Times: 1, Answer: resttest.Say(503, "application/json", "", "Retry-After", "2")}, "refused TargetUnavailable: HTTP 503 Service Unavailable", 2 * time.Second, false},
		{"500 as HTML", resttest.Fault{Times: 1, Answer: resttest.Say(500, "application/json", "<html><body>Runtime Error</body></html>")},
			"unknown TargetError: HTTP 500 Internal Server Error, as an HTML page: it may come from a proxy", 0, false},
		{"401", resttest.Fault{Times: 1, Answer: resttest.Say(401, "application/json", "")}, "refused InvalidConfig: something before InfoShare wants a login of its own", 0, false},
		{"400", resttest.Fault{Times: 1, Answer: resttest.Say(400, "application/json", "")}, "refused InvalidOperation: the server does not understand the request", 0, false},
		{"100 MB", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Huge(200, 100<<20)}, "unknown TargetError: the answer is longer than 1048576 bytes", 0, true},
		{"empty", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", "")}, odd, 0, true},
		{"HTML", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", "<html>Welcome</html>")}, odd, 0, true},
		{"cut JSON", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", `{"SetUserPasswordHashedRes`)}, odd, 0, true},
		{"another object", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", `{"LogonResult":{}}`)}, odd, 0, true},
		{"two values", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", `{ }{ }`)}, odd, 0, true},
		{"null", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", `null`)}, odd, 0, true},
		{"nested deeply", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", strings.Repeat(`{"a":`, 100000))}, odd, 0, true},
		{"nested deeply, as 500", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(500, "application/json", strings.Repeat("[", 5000)+strings.Repeat("]", 5000))}, "unknown TargetError: HTTP 500 Internal Server Error", 0, true},
		{"a null result", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Say(200, "application/json", `{"SetUserPasswordHashedResult":null}`)}, "applied", 0, true},
		{"late", resttest.Fault{Times: 1, Delay: 20 * time.Millisecond}, "applied", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := begin(t, kendoxtest.Options{})
			test.fault.Op, test.fault.Times = "SetUserPasswordHashed", 1
			if test.name == "session expired" {
				test.fault.Answer = s.Expired()
			}
			s.Faults.Add(test.fault)
			limit := 10 * time.Second
			if strings.HasPrefix(test.name, "silence") {
				limit = 150 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			r := i.Apply(ctx, set("jdoe", "new-pass-1"))
			if got := strings.ReplaceAll(line(r), s.Host()[len("http://"):], "HOST"); got != test.line {
				t.Errorf("Apply = %s, want %s", got, test.line)
			}
			if r.Err != nil && r.Err.RetryAfter != test.retry {
				t.Errorf("retry after %v, want %v", r.Err.RetryAfter, test.retry)
			}
			if s.Accepts("jdoe", "new-pass-1") != test.took {
				t.Errorf("effect %t, want %t", !test.took, test.took)
			}
			if again := i.Apply(t.Context(), set("jdoe", "new-pass-1")); r.Outcome != sdk.Applied && line(again) != "applied" {
				t.Errorf("the same again = %s", line(again))
			}
			onlyNew(t, s)
		})
	}
}

func onlyNew(t *testing.T, s *kendoxtest.Server) {
	t.Helper()
	u, _ := s.User("jdoe")
	for _, h := range u.Hashes[1:] {
		if h != s.Hash("new-pass-1") {
			t.Error("the user took a second value")
		}
	}
	if !s.Accepts("jdoe", "new-pass-1") {
		t.Error("the user has not the new password")
	}
}

func TestAnExpiredSessionLosesNobody(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	const n = 24
	for k := range n {
		s.Add(kendoxtest.User{Login: "u" + strconv.Itoa(k)}, "old-pass-0")
	}
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	s.Expire()
	done := make(chan string)
	for k := range n {
		go func() { done <- line(i.Apply(context.Background(), set("u"+strconv.Itoa(k), "new-pass-1"))) }()
	}
	for range n {
		if got := <-done; got != "applied" {
			t.Errorf("Apply = %s", got)
		}
	}
	if s.Calls("Logon") != 2 {
		t.Errorf("%d logons, want one and one more for all", s.Calls("Logon"))
	}
}

func TestASessionThatExpiresAtOnceIsRenewedOncePerOperation(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Faults.Add(resttest.Fault{Op: "SetUserPasswordHashed", Answer: s.Expired()})
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if line(r) != "refused LoginExpired: the session is not valid or has ended" || s.Calls("Logon") != 2 {
		t.Errorf("Apply = %s after %d logons; want refused LoginExpired after 2", line(r), s.Calls("Logon"))
	}
}

func TestASecondFactorInTheMiddleStopsTheRun(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	s.Update("rekey", func(u *kendoxtest.User) { u.SecondFactor = true })
	s.Expire()
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	want := "refused SecondFactorNeeded: login: the service account has a second factor; use an account without one, or switch it off for this one"
	if line(r) != want || s.Open() != 0 {
		t.Errorf("Apply = %s with %d sessions; want %s, none", line(r), s.Open(), want)
	}
}

func TestTheAdministrativeContextIsWaitedFor(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.CheckOut("root", 1)
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Conflict || !strings.Contains(r.Err.Message, "checked out by user root") {
		t.Errorf("Apply = %s, want refused Conflict naming root", line(r))
	}
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Errorf("the same again = %s", got)
	}
}

func TestALogonWhoseAnswerIsLostIsNotAnUnknownOutcome(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Faults.Add(resttest.Fault{Op: "Logon", Times: 1, Effect: true, Answer: resttest.Reset()})
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.TargetUnavailable {
		t.Errorf("Apply = %s, want refused TargetUnavailable", line(r))
	}
}

func TestNobodyListensIsRefused(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	s.Close()
	if r := i.Apply(t.Context(), set("jdoe", "new-pass-1")); r.Outcome != sdk.Refused || r.Err.Code != sdk.Unreachable {
		t.Errorf("Apply = %s, want refused Unreachable", line(r))
	}
}

func TestALongListOfUsersIsRead(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	for k := range 5000 {
		s.Add(kendoxtest.User{Login: "u" + strconv.Itoa(k)}, "x")
	}
	if got := line(i.Apply(t.Context(), set("u4711", "new-pass-1"))); got != "applied" {
		t.Errorf("Apply = %s", got)
	}
	s.Faults.Add(resttest.Fault{Op: "GetUserStore", Answer: resttest.Huge(200, 100<<20)})
	s.Faults.Add(resttest.Fault{Op: "GetAllUsersSimple", Answer: s.Exception(10071, "")})
	other := configure(t, s)
	if got := line(other.Apply(t.Context(), set("u4711", "new-pass-1"))); got != "refused TargetError: the answer is longer than 67108864 bytes" {
		t.Errorf("Apply with a list of 100 MB = %s", got)
	}
}

// log collects what the plugin logs at the highest level there is.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) tell(text string) { _, _ = l.Write([]byte(text + "\n")) }

// forms are the guises that a secret could leak in.
func forms(v string) []string {
	quoted := strconv.Quote(v)
	return []string{v, quoted[1 : len(quoted)-1], url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)),
		base64.StdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v))}
}

func TestNoSecretAndNoHashInLogsAndErrors(t *testing.T) {
	var told log
	s := serve(t, kendoxtest.Options{})
	c := config(s)
	c.Log, c.Timeout = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug - 8})), 100*time.Millisecond
	i, err := kendox.New().Configure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	docs := i.(*kendox.Instance)
	secrets := strconv.Quote(canary + " " + digest(canary) + " " + digest(service))
	for _, test := range []struct {
		fault  resttest.Fault
		echoes bool // the value, not only its hash
	}{
		{resttest.Fault{}, false},
		{resttest.Fault{Answer: resttest.Reset()}, false},
		{resttest.Fault{Delay: 300 * time.Millisecond}, false},
		{resttest.Fault{Answer: resttest.Say(500, "application/json", "Cannot take "+canary+" or "+digest(canary)+" of "+service+" "+digest(service))}, true},
		{resttest.Fault{Answer: resttest.Say(500, "application/json", `{"ErrorCode":19999,"Message":`+secrets+`}`)}, true},
		{resttest.Fault{Answer: resttest.Say(200, "application/json", `{"ErrorCode":19998,"Message":`+secrets+`}`)}, true},
		{resttest.Fault{Answer: resttest.Say(500, "application/json", "Cannot take "+digest(canary))}, false},
		{resttest.Fault{Answer: resttest.Say(302, "application/json", "", "Location", "/"+digest(canary))}, false},
	} {
		for _, method := range []string{"SetUserPasswordHashed", "SetUserPassword", "Logon", ""} {
			test.fault.Op = method
			s.Faults.Add(test.fault)
			told.tell(line(docs.Apply(t.Context(), set("jdoe", canary))))
			told.tell(line(docs.Apply(t.Context(), plain(set("jdoe", canary)))))
			// Of a given hash the plugin does not know the value, nor does the server.
			if !test.echoes {
				told.tell(line(docs.Apply(t.Context(), hashed(set("jdoe", digest(canary))))))
			}
			if _, err := docs.Verify(t.Context(), "jdoe", "", secret.New(canary)); err != nil {
				told.tell(err.Error())
			}
			s.Faults.Clear()
		}
	}
	for _, f := range docs.Check(t.Context()) {
		told.tell(f.Message + f.Fix)
	}
	_ = docs.Close()
	text := told.b.String()
	for _, v := range []string{canary, digest(canary), service, digest(service)} {
		for _, form := range forms(v) {
			if n := strings.Index(text, form); n >= 0 {
				t.Errorf("%q stands in what was told: %s", form, text[max(0, n-200):n])
			}
		}
	}
	if !strings.Contains(text, "http exchange") {
		t.Error("nothing was logged at the highest level: the test would see no leak")
	}
}

// What is not read takes no memory: of a hundred megabytes the plugin reads the
// megabyte that it may, and drops the connection.
func TestALongAnswerIsNotKept(t *testing.T) {
	s, i := begin(t, kendoxtest.Options{})
	i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	s.Faults.Add(resttest.Fault{Op: "SetUserPasswordHashed", Times: 1, Answer: resttest.Huge(200, 100<<20)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := i.Apply(t.Context(), set("jdoe", "new-pass-2"))
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; r.Outcome != sdk.Unknown || took > 50 {
		t.Errorf("Apply = %s after %d MB were allocated; want unknown, some", line(r), took)
	}
}

// No form of a field that decides nothing keeps rekey from logging on or from
// finding a user.
func TestFieldsThatDecideNothingAreReadInAnyForm(t *testing.T) {
	for _, test := range []struct{ logon, user string }{
		{`"ConnectionTimeoutSeconds": 600, "OwnUserId": "u", "IsReadOnlyLicence": false`, `"DisplayName": "J", "Active": true, "Obsolete": false`},
		{`"ConnectionTimeoutSeconds": "600", "OwnUserId": null, "IsReadOnlyLicence": "false", "IsVerificationCodeNeeded": 0`, `"DisplayName": null, "Domain": 7, "Email": {}, "Active": "true", "Obsolete": 0, "LoginWithInternalPassword": "1"`},
		{`"ConnectionTimeoutSeconds": null, "OwnUserId": 7, "IsReadOnlyLicence": null`, `"Active": null, "Obsolete": null, "LoginWithInternalPassword": []`},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; method {
			case "Logon":
				_, _ = w.Write([]byte(`{"LogonResult": {"ConnectionId": "c", ` + test.logon + `}}`))
			case "GetUserStore":
				_, _ = w.Write([]byte(`{"GetUserStoreResult": {"Users": [{"Id": "11111111-2222-3333-4444-555555555555", "LoginName": "jdoe", ` + test.user + `}]}}`))
			case "GetUserAdminAccessRights":
				_, _ = w.Write([]byte(`{"GetUserAdminAccessRightsResult": ["01002040-38a7-11d8-a902-0050bf427e8f", "01002050-38a7-11d8-a902-0050bf427e8f", "01002059-38a7-11d8-a902-0050bf427e8f"]}`))
			default:
				_, _ = w.Write([]byte(`{ }`))
			}
		}))
		i, err := kendox.New().Configure(t.Context(), sdk.Config{Values: map[string]any{"url": s.URL + "/InfoShare/Json", "user": "rekey"},
			Secrets: map[string]secret.Value{"password": secret.New("pw")}, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if a, err := i.(*kendox.Instance).Find(t.Context(), "jdoe"); err != nil || a.Status != sdk.StatusActive {
			t.Errorf("%s: Find = %v, %v", test.user, a, err)
		}
		if r := i.Apply(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: "jdoe", Value: secret.New("New-pass-1")}); r.Outcome != sdk.Applied {
			t.Errorf("%s, %s: Apply = %v %v", test.logon, test.user, r.Outcome, r.Err)
		}
		_ = i.Close()
		s.Close()
	}
}
