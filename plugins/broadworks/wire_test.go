package broadworks_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// From the bytes on the wire to what the operator reads, for every error in
// the notes.
func TestErrorsOnTheWire(t *testing.T) {
	html := "<!DOCTYPE html><html>Oops</html>"
	tests := []struct {
		name   string
		status int
		header string
		body   string
		want   string // the line
		native string
		rule   sdk.Rule
	}{
		{"all three keys", 400, "", `{"error":"[Error 4962] Invalid password","status":400,"details":"Bad Request"}`, "refused PolicyViolation: Invalid password", "Error 4962", sdk.RuleOpaque},
		{"error alone", 400, "", `{"error":"[Error 4962] Invalid password"}`, "refused PolicyViolation: Invalid password", "Error 4962", sdk.RuleOpaque},
		{"details alone", 400, "", `{"details":"Invalid password"}`, "refused PolicyViolation: Invalid password", "HTTP 400", sdk.RuleOpaque},
		{"keys of other types", 400, "", `{"error":{"code":1},"status":"400","details":["x"]}`, "refused InvalidOperation: HTTP 400 Bad Request", "HTTP 400", ""},
		{"a previous one", 422, "", `{"error":"The passcode was one of the previous 3."}`, "refused PolicyViolation: The passcode was one of the previous 3.", "HTTP 422", sdk.RuleHistory},
		{"the old one", 400, "", `{"error":"password must not be the same as the old password"}`, "refused PolicyViolation: password must not be the same as the old password", "HTTP 400", sdk.RuleSameAsCurrent},
		{"account disabled", 400, "", `{"error":"[Error 5202] Account is disabled."}`, "refused AccountStatus: Account is disabled.", "Error 5202", ""},
		{"unauthorized transaction", 400, "", `{"error":"[Error 5404] Unauthorized transaction."}`, "refused PermissionDenied: Unauthorized transaction.", "Error 5404", ""},
		{"forbidden", 403, "", `{"error":"No."}`, "refused PermissionDenied: No.", "HTTP 403", ""},
		{"service not assigned", 400, "", `{"error":"Service Authentication is not assigned to user"}`, "refused NoCredential: Service Authentication is not assigned to user", "HTTP 400", ""},
		{"unknown user", 404, "", `{"error":"[Error 4008] User not found: x"}`, "refused AccountNotFound: User not found: x", "Error 4008", ""},
		{"unknown user, as 400", 400, "", `{"error":"[Error 4008] User not found: x"}`, "refused AccountNotFound: User not found: x", "Error 4008", ""},
		{"another refusal", 418, "", `{"error":"No tea."}`, "refused TargetError: No tea.", "HTTP 418", ""},
		{"a state that refuses", 409, "", `{"error":"Being moved."}`, "refused AccountStatus: Being moved.", "HTTP 409", ""},
		{"the token is dead", 401, "", `{"error":"expired"}`, "refused LoginExpired: expired", "HTTP 401", ""},
		{"the login must change its password", 402, "", `{"error":"Change your password."}`, "refused InvalidConfig: the login's password has to be changed first: Change your password.", "HTTP 402", ""},
		{"throttled", 429, "7", "", "refused RateLimited: HTTP 429 Too Many Requests", "HTTP 429", ""},
		{"busy", 503, "7", `{"error":"Busy."}`, "refused TargetUnavailable: Busy.", "HTTP 503", ""},
		{"failed", 500, "", `{"error":"Oops.","status":500,"details":"x"}`, "unknown TargetError: Oops.", "HTTP 500", ""},
		{"failed, as a page", 500, "", html, "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page: it may come from a proxy", "HTTP 500", ""},
		{"a proxy's page", 400, "", html, "refused TargetError: HTTP 400 Bad Request, as an HTML page: it may come from a proxy", "HTTP 400", ""},
		{"a gateway", 502, "", "", "unknown TargetUnavailable: HTTP 502 Bad Gateway", "HTTP 502", ""},
		{"a gateway that gave up", 504, "", "", "unknown Timeout: HTTP 504 Gateway Timeout", "HTTP 504", ""},
		{"malformed", 400, "", `{"error":"x`, "refused InvalidOperation: HTTP 400 Bad Request", "HTTP 400", ""},
		{"a portal's page", 200, "", html, "unknown TargetError: HTTP 200: the answer is not the interface's own: HTML", "HTTP 200", ""},
		{"accepted, not done", 202, "", "{}", "unknown TargetError: HTTP 202: the answer is not the interface's own: JSON", "HTTP 202", ""},
		{"an error in a good answer", 200, "", `{"error":"No."}`, "unknown TargetError: HTTP 200: the answer has an error in it", "HTTP 200", ""},
		{"an array", 200, "", `[]`, "applied", "", ""},
		{"nothing", 204, "", ``, "applied", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/auth/token"):
					_, _ = io.WriteString(w, `{"token":"the-t0ken-of-one"}`)
					return
				case r.Method == "GET":
					_, _ = io.WriteString(w, `{}`)
					return
				}
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			r := open(t, server.URL+"/api/v2").Apply(t.Context(), set(ann, "web", canary))
			if got := line(r); got != test.want || r.Err != nil && r.Err.Native != test.native {
				t.Errorf("got  %q, %+v\nwant %q, %q", got, r.Err, test.want, test.native)
			}
			if test.rule != "" && (len(r.Err.Violations) != 1 || r.Err.Violations[0].Rule != test.rule) {
				t.Errorf("violations %+v, want %s", r.Err.Violations, test.rule)
			}
			if test.header == "7" && r.Err.RetryAfter != 7*time.Second {
				t.Errorf("retry after %v, want 7s", r.Err.RetryAfter)
			}
		})
	}
}

// Each fault is told apart, and whatever it was, the same value sent again
// ends as the only one.
func TestFaultsAreToldApartAndDoNoHarm(t *testing.T) {
	tests := []struct {
		name  string
		fault resttest.Fault
		want  string
	}{
		{"the session expires", resttest.Fault{Answer: resttest.Say(401, "application/json", `{"error":"expired"}`)}, "applied"},
		{"throttled", resttest.Fault{Answer: resttest.Say(429, "", "")}, "refused RateLimited"},
		{"throttled, and for how long", resttest.Fault{Answer: resttest.Say(429, "", "", "Retry-After", "3")}, "refused RateLimited"},
		{"busy", resttest.Fault{Answer: resttest.Say(503, "", "")}, "refused TargetUnavailable"},
		{"lost after the effect", resttest.Fault{Effect: true, Answer: resttest.Drop()}, "unknown ConnectionLost"},
		{"cut in the middle of the answer", resttest.Fault{Effect: true, Answer: resttest.Half(200)}, "unknown ConnectionLost"},
		{"reset before the effect", resttest.Fault{Answer: resttest.Reset()}, "unknown ConnectionLost"},
		{"a page", resttest.Fault{Answer: resttest.HTML(500)}, "unknown TargetError"},
		{"a page after the effect", resttest.Fault{Effect: true, Answer: resttest.HTML(500)}, "unknown TargetError"},
		{"silence", resttest.Fault{Answer: resttest.Silence()}, "unknown Timeout"},
		{"silence after the effect", resttest.Fault{Effect: true, Answer: resttest.Silence()}, "unknown Timeout"},
		{"100 MB", resttest.Fault{Answer: resttest.Huge(200, 100<<20)}, "unknown TargetError"},
		{"malformed", resttest.Fault{Answer: resttest.Malformed(400)}, "refused InvalidOperation"},
	}
	for _, test := range tests {
		for _, kind := range kinds {
			t.Run(test.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
				for _, path := range []string{"/users/passwords", "/users/authentication", "/users/portal-passcode"} {
					fault := test.fault
					fault.Op, fault.Times = "PUT "+path, 1
					s.Faults.Add(fault)
				}
				i := open(t, s.URL())
				op := set(ann, kind, valueOf(kind))
				ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
				defer cancel()
				if r := i.Apply(ctx, op); !strings.HasPrefix(line(r), test.want) {
					t.Errorf("got %s, want %s", line(r), test.want)
				}
				if r := i.Apply(t.Context(), again(op)); r.Outcome != sdk.Applied {
					t.Errorf("again: got %s, want applied", line(r))
				}
				for _, v := range s.Values(ann, kind) {
					if v != valueOf(kind) {
						t.Errorf("the user had %q", v)
					}
				}
			})
		}
	}
}

// What is not read takes no memory: of a hundred megabytes the plugin reads the
// megabyte that it may, and drops the connection.
func TestALongAnswerIsNotKept(t *testing.T) {
	s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
	s.Faults.Add(resttest.Fault{Op: "PUT /users/passwords", Answer: resttest.Huge(200, 100<<20)})
	i := open(t, s.URL())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := i.Apply(t.Context(), set(ann, "web", canary))
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; line(r) != "unknown TargetError: the answer is longer than 1048576 bytes" || took > 20 {
		t.Errorf("got %s after %d MB were allocated", line(r), took)
	}
}

func TestARepeatThatARuleRefusesIsNotTakenForAFailure(t *testing.T) {
	rules := broadworkstest.DefaultRules()
	rules.SystemSIP.DisallowOldPassword = true
	rules.GroupPasscode.DisallowOldPasscode, rules.GroupPasscode.NumberOfPreviousPasscodes = true, 3
	for kind, want := range map[string]string{"sip": "already-applied", "voicemail": "refused PolicyViolation"} {
		s := simulate(t, broadworkstest.Options{Rules: &rules}, broadworkstest.User{ID: ann})
		i := open(t, s.URL())
		op := set(ann, kind, valueOf(kind))
		if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
			t.Fatal(line(r))
		}
		if r := i.Apply(t.Context(), op); r.Outcome != sdk.Refused {
			t.Errorf("%s, another operation: got %s, want refused", kind, line(r))
		}
		if r := i.Apply(t.Context(), again(op)); !strings.HasPrefix(line(r), want) {
			t.Errorf("%s, the same one again: got %s, want %s", kind, line(r), want)
		}
	}
}

// What happens to the look before an operation refuses it: nothing was sent.
func TestFaultsOfTheLookRefuse(t *testing.T) {
	tests := []struct {
		name   string
		answer resttest.Answer
		want   string
	}{
		{"lost", resttest.Drop(), "refused TargetUnavailable"},
		{"throttled", resttest.Say(429, "", ""), "refused RateLimited"},
		{"malformed", resttest.Malformed(200), "refused TargetError: the answer's JSON is malformed"},
		{"a page", resttest.HTML(200), "refused TargetError: the answer is HTML, want JSON"},
		{"too long", resttest.Huge(200, 100<<20), "refused TargetError"},
		{"silence", resttest.Silence(), "refused Timeout"},
		{"nobody", resttest.Say(404, "application/json", `{"error":"[Error 4008] User not found: x"}`), "refused AccountNotFound"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := simulate(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
			s.Faults.Add(resttest.Fault{Op: "GET /users/services/assigned", Answer: test.answer})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if r := open(t, s.URL()).Apply(ctx, set(ann, "sip", canary)); !strings.HasPrefix(line(r), test.want) {
				t.Errorf("got %s, want %s", line(r), test.want)
			}
			if s.Requests()["PUT /users/authentication"] != 0 {
				t.Error("the password was sent")
			}
		})
	}
}

// No form of a field that only feeds a warning keeps rekey from logging in.
func TestTheSessionIsReadWhateverItsFieldsAre(t *testing.T) {
	for _, test := range []struct{ session, warning string }{
		{`"passwordExpiresDays": 2147483647, "loginType": "Provisioning"`, ""},
		{`"passwordExpiresDays": "-2147483648"`, ""},
		{`"passwordExpiresDays": "-107"`, "the login's password has expired"},
		{`"passwordExpiresDays": -107`, "the login's password has expired"},
		{`"passwordExpiresDays": "5"`, "the login's password expires in 5 days"},
		{`"passwordExpiresDays": null, "loginType": null`, ""},
		{`"passwordExpiresDays": "never", "loginType": 7`, ""},
		{`"passwordExpiresDays": {}, "loginType": ["System"]`, ""},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch strings.TrimPrefix(r.URL.Path, "/api/v2") {
			case "/auth/token", "/auth/session":
				_, _ = w.Write([]byte(`{"token": "T", ` + test.session + `}`))
			default:
				_, _ = w.Write([]byte(`[]`))
			}
		}))
		warning := ""
		for _, f := range open(t, s.URL+"/api/v2").Check(t.Context()) {
			switch f.Severity {
			case sdk.Bad:
				t.Errorf("%s: %s", test.session, f.Message)
			case sdk.Warning:
				warning = f.Message
			}
		}
		if warning != test.warning {
			t.Errorf("%s: warned of %q, want %q", test.session, warning, test.warning)
		}
		s.Close()
	}
}

// Rules that this login may not read, or that are not there, leave the check to
// the platform: for each kind.
func TestRulesThatMayNotBeReadFailNobody(t *testing.T) {
	for _, status := range []int{403, 404, 405, 501} {
		s := simulate(t, broadworkstest.Options{NoRules: status}, broadworkstest.User{ID: ann})
		i := open(t, s.URL())
		for _, kind := range kinds {
			p, err := i.Policy(t.Context(), ann, kind)
			if err != nil || p.Note != "the rules could not be read; the platform checks them" || (p.Alphabet != "") != (kind == broadworks.Voicemail) {
				t.Errorf("%d, %s: Policy = %+v, %v", status, kind, p, err)
			}
			if r := i.Apply(t.Context(), set(ann, kind, valueOf(kind))); r.Outcome != sdk.Applied {
				t.Errorf("%d, %s: %s", status, kind, line(r))
			}
		}
	}
}

// Rules are read whether their numbers are numbers or texts.
func TestRulesAreReadWhateverTheirFieldsAre(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch strings.TrimPrefix(r.URL.Path, "/api/v2") {
		case "/auth/token":
			_, _ = w.Write([]byte(`{"token": "T"}`))
		case "/groups/password-rules":
			_, _ = w.Write([]byte(`{"minLength": "9", "restrictMinDigits": "true", "minDigits": "2", "disallowUserId": 1, "passwordExpiresDays": "-1"}`))
		case "/groups/passcode-rules":
			_, _ = w.Write([]byte(`{"useRuleLevel": "Group", "minCodeLength": "4", "maxCodeLength": 6, "disallowRepeatedDigits": "true", "numberOfRepeatedDigits": "3"}`))
		}
	}))
	defer s.Close()
	i := open(t, s.URL+"/api/v2")
	web, err := i.Policy(t.Context(), ann, broadworks.Web)
	if err != nil || web.MinLength != 9 || web.Digits != 2 || !web.NoAccountName {
		t.Errorf("web: %+v, %v", web, err)
	}
	code, err := i.Policy(t.Context(), ann, broadworks.Voicemail)
	if err != nil || code.MinLength != 4 || code.MaxLength != 6 || code.MaxRepeat != 2 {
		t.Errorf("voicemail: %+v, %v", code, err)
	}
}
