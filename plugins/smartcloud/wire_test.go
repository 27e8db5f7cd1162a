package smartcloud_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

func spellA(code, message, id string) string {
	return fmt.Sprintf(`{"BSSResponse":{"ResponseCode":%q,"ResponseMessage":%q,"Severity":"Error","Useraction":"Do it right.","MessageCode":%q}}`, code, message, id)
}

func spellB(code, message, id string) string {
	return fmt.Sprintf(`{"BSSResponse":{"responseCode":%q,"ResponseMessage":%q,"severity":"Error","userAction":"Do it right.","messageId":%q,"ExceptionMessage":"com.ibm.X"}}`, code, message, id)
}

const found = `{"List":[{"Id":20000001,"CustomerId":1,"SubscriberState":"ACTIVE","Person":{"EmailAddress":"ann@acme.example","SecurityRealm":"NON_FEDERATED"}}]}`

// From the bytes on the wire to what the operator reads, for every error in
// the notes.
func TestErrorsOnTheWire(t *testing.T) {
	s, c, o := set(ann, canaryPW), change(ann, tempPW, canaryPW), once(ann, canaryPW)
	html := "<!DOCTYPE html><html>Oops</html>"
	tests := []struct {
		name   string
		op     sdk.Operation
		status int
		header string
		body   string
		want   string // the line
		native string
		rule   sdk.Rule
	}{
		{"missing field, A", s, 400, "", spellA("400", "LoginName is missing.", "BZSAU1010E"), "refused InvalidOperation: LoginName is missing. (Do it right.)", "BZSAU1010E", ""},
		{"missing field, B", s, 400, "", spellB("400", "LoginName is missing.", "BZSAU1010E"), "refused InvalidOperation: LoginName is missing. (Do it right.)", "BZSAU1010E", ""},
		{"policy, set", s, 400, "", spellA("400", "The password does not comply.", "BZSAU1015E"), "refused PolicyViolation: The password does not comply. (Do it right.)", "BZSAU1015E", sdk.RuleOpaque},
		{"policy, one-time", o, 400, "", spellB("400", "No.", "BZSAU1015E"), "refused PolicyViolation: No. (Do it right.)", "BZSAU1015E", sdk.RuleOpaque},
		{"history", c, 400, "", spellA("400", "Password was used before.", "BZSAU1015E"), "refused PolicyViolation: Password was used before. (Do it right.)", "BZSAU1015E", sdk.RuleHistory},
		{"policy, change", c, 400, "", spellA("400", "The password policy says no.", ""), "refused PolicyViolation: The password policy says no. (Do it right.)", "HTTP 400", sdk.RuleOpaque},
		{"wrong old password", c, 400, "", spellA("400", "The old password is not correct.", "BZSAU1014E"), "refused WrongCurrentPassword: The old password is not correct. (Do it right.)", "BZSAU1014E", ""},
		{"a 400 of a change that says nothing", c, 400, "", "", "refused WrongCurrentPassword: HTTP 400 Bad Request", "HTTP 400", ""},
		{"a 400 from a proxy", s, 400, "", html, "refused TargetError: HTTP 400 Bad Request, as an HTML page: it may come from a proxy", "HTTP 400", ""},
		{"suspended meanwhile", s, 400, "", spellA("400", "Subscriber is suspended.", "X"), "refused AccountStatus: Subscriber is suspended. (Do it right.)", "X", ""},
		{"federated", s, 400, "", spellA("400", "The subscriber is federated.", "X"), "refused NoCredential: The subscriber is federated. (Do it right.)", "X", ""},
		{"not modified", s, 304, "", "", "refused TargetError: HTTP 304 Not Modified: a redirect, which is not followed; check the url", "HTTP 304", ""},
		{"not authenticated", s, 401, "", spellA("401", "Who are you?", "BZSAU1001E"), "refused LoginExpired: login: Who are you? (Do it right.)", "BZSAU1001E", ""},
		{"not authorised", s, 403, "", spellB("403", "You may not.", "BZSAU1003E"), "refused PermissionDenied: You may not. (Do it right.)", "BZSAU1003E", ""},
		{"not there", s, 404, "", spellA("404", "Not found.", "BZSAU1004E"), "refused AccountNotFound: Not found. (Do it right.)", "BZSAU1004E", ""},
		{"another site", s, 404, "", html, "refused TargetError: HTTP 404 Not Found, as an HTML page: it may come from a proxy", "HTTP 404", ""},
		{"a state that forbids", s, 409, "", spellA("409", "Not now.", "BZSAU1020E"), "refused AccountStatus: Not now. (Do it right.)", "BZSAU1020E", ""},
		{"throttled", s, 429, "7", "", "refused RateLimited: HTTP 429 Too Many Requests", "HTTP 429", ""},
		{"failed", s, 500, "", spellA("500", "java.lang.NullPointerException", "BZSBS0500E"), "unknown TargetError: java.lang.NullPointerException (Do it right.)", "BZSBS0500E", ""},
		{"failed, as a page", s, 500, "", html, "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page: it may come from a proxy", "HTTP 500", ""},
		{"a gateway that lost it", s, 502, "", spellA("502", "Bad gateway.", "BZSBS0502E"), "unknown TargetUnavailable: Bad gateway. (Do it right.)", "BZSBS0502E", ""},
		{"busy", s, 503, "", spellA("503", "Busy.", "BZSBS0503E"), "refused TargetUnavailable: Busy. (Do it right.)", "BZSBS0503E", ""},
		{"busy, and for how long", s, 503, "7", spellA("503", "Busy.", "BZSBS0503E"), "refused RateLimited: Busy. (Do it right.)", "BZSBS0503E", ""},
		{"a gateway that gave up", s, 504, "", "", "unknown Timeout: HTTP 504 Gateway Timeout", "HTTP 504", ""},
		{"accepted, not done", s, 202, "", "", "unknown TargetError: answered HTTP 202, want 204", "HTTP 202", ""},
		{"a portal's page", s, 200, "", html, "unknown TargetError: answered HTTP 200, want 204", "HTTP 200", ""},
		{"malformed", s, 400, "", `{"BSSResponse":{"Resp`, "refused PolicyViolation: HTTP 400 Bad Request", "HTTP 400", sdk.RuleOpaque},
		{"another form", s, 403, "", `{"BSSResponse":["x"]}`, "refused PermissionDenied: HTTP 403 Forbidden", "HTTP 403", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == "GET":
					_, _ = w.Write([]byte(found))
					return
				case strings.HasSuffix(r.URL.Path, "getRoleList") && test.status != 401:
					_, _ = w.Write([]byte(`{"List":["CustomerAdministrator"]}`))
					return
				}
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			r := do(t.Context(), open(t, server.URL), test.op)
			if got := line(r); got != test.want || r.Err.Native != test.native {
				t.Errorf("got  %q, %q\nwant %q, %q", got, r.Err.Native, test.want, test.native)
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

func TestBothSpellingsOfTheSimulatorAreRead(t *testing.T) {
	for _, spelling := range []string{"A", "B"} {
		s := simulate(t, smartcloudtest.Options{Spelling: spelling}, smartcloudtest.Account{Login: ann, Password: tempPW})
		r := do(t.Context(), open(t, s.URL()), change(ann, "n0t-this-one", canaryPW))
		want := "refused WrongCurrentPassword: The old password is not correct. (Correct the request and try again.)"
		if line(r) != want || r.Err.Native != "BZSAU1014E" {
			t.Errorf("%s: got %q %q, want %q", spelling, line(r), r.Err.Native, want)
		}
	}
}

// Each fault is told apart, and whatever it was, what the host does next ends
// with the same value as the only new one: it sends a set again, and finishes a
// change by a set of the same value.
func TestFaultsAreToldApartAndDoNoHarm(t *testing.T) {
	tests := []struct {
		name  string
		fault resttest.Fault
		want  map[string]string // by call; "" any
	}{
		{"the session expires", resttest.Fault{Answer: resttest.Say(401, "", "")}, map[string]string{"": "applied"}},
		{"throttled", resttest.Fault{Answer: resttest.Say(429, "", "")}, map[string]string{"": "refused RateLimited"}},
		{"throttled, and for how long", resttest.Fault{Answer: resttest.Say(503, "", "", "Retry-After", "3")}, map[string]string{"": "refused RateLimited"}},
		{"busy", resttest.Fault{Answer: resttest.Say(503, "", "")}, map[string]string{"": "refused TargetUnavailable"}},
		{"lost after the effect", resttest.Fault{Effect: true, Answer: resttest.Drop()}, map[string]string{"": "unknown ConnectionLost"}},
		{"cut in the middle of an answer", resttest.Fault{Effect: true, Answer: resttest.Half(200)}, map[string]string{"": "unknown ConnectionLost"}},
		{"reset before the effect", resttest.Fault{Answer: resttest.Reset()}, map[string]string{"": "unknown ConnectionLost"}},
		{"a page", resttest.Fault{Answer: resttest.HTML(500)}, map[string]string{"": "unknown TargetError"}},
		{"a page after the effect", resttest.Fault{Effect: true, Answer: resttest.HTML(500)}, map[string]string{"": "unknown TargetError"}},
		{"silence", resttest.Fault{Answer: resttest.Silence()}, map[string]string{"": "unknown Timeout"}},
		{"silence after the effect", resttest.Fault{Effect: true, Answer: resttest.Silence()}, map[string]string{"": "unknown Timeout"}},
		{"100 MB", resttest.Fault{Answer: resttest.Huge(200, 100<<20)}, map[string]string{"": "unknown TargetError"}},
		{"100 MB of a refusal", resttest.Fault{Answer: resttest.Huge(400, 100<<20)}, map[string]string{"": "refused PolicyViolation", "changePassword": "refused WrongCurrentPassword"}},
		{"malformed", resttest.Fault{Answer: resttest.Malformed(400)}, map[string]string{"": "refused PolicyViolation", "changePassword": "refused WrongCurrentPassword"}},
	}
	calls := map[string]sdk.Operation{"setUserPassword": set(ann, canaryPW), "changePassword": change(ann, tempPW, canaryPW), "setOneTimePassword": once(ann, canaryPW)}
	for _, test := range tests {
		for call, op := range calls {
			t.Run(test.name+", "+call, func(t *testing.T) {
				t.Parallel()
				s := simulate(t, smartcloudtest.Options{RepeatAllowed: call == "setOneTimePassword"}, smartcloudtest.Account{Login: ann, Password: tempPW})
				fault := test.fault
				fault.Op, fault.Times = call, 1
				s.Faults.Add(fault)
				i := open(t, s.URL())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				want := test.want[call]
				if want == "" {
					want = test.want[""]
				}
				if r := do(ctx, i, op); !strings.HasPrefix(line(r), want) {
					t.Errorf("got %s, want %s", line(r), want)
				}
				op := op
				if op.Attempt = 2; op.Verb == sdk.Change {
					op.Verb, op.Old = sdk.Set, secret.Value{}
				}
				if r := do(t.Context(), i, op); r.Outcome != sdk.Applied && r.Outcome != sdk.AlreadyApplied {
					t.Errorf("again: got %s, want applied", line(r))
				}
				for n, v := range s.Values(ann) {
					if (v == tempPW) != (n == 0) || n > 0 && v != canaryPW {
						t.Errorf("the account had %q, want the old and the new value only", s.Values(ann))
					}
				}
				if v, oneTime := s.Password(ann); v != canaryPW || oneTime != (call == "setOneTimePassword") {
					t.Errorf("in the end %q, one-time %v", v, oneTime)
				}
			})
		}
	}
}

// What is not read takes no memory: of a hundred megabytes the plugin reads the
// megabyte that it may, and drops the connection.
func TestALongAnswerIsNotKept(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	s.Faults.Add(resttest.Fault{Op: "setUserPassword", Answer: resttest.Huge(200, 100<<20)})
	i := open(t, s.URL())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := do(t.Context(), i, set(ann, canaryPW))
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; line(r) != "unknown TargetError: the answer is longer than 1048576 bytes" || took > 20 {
		t.Errorf("got %s after %d MB were allocated", line(r), took)
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
		{"failed", resttest.HTML(500), "refused TargetError"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
			s.Faults.Add(resttest.Fault{Op: "GET subscriber", Answer: test.answer})
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if r := do(ctx, open(t, s.URL()), set(ann, canaryPW)); !strings.HasPrefix(line(r), test.want) {
				t.Errorf("got %s, want %s", line(r), test.want)
			}
			if s.Requests()["setUserPassword"] != 0 {
				t.Error("the password was sent")
			}
		})
	}
}

func TestARefusedLoginIsAskedOnceAndThenGivenUp(t *testing.T) {
	s := simulate(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: tempPW})
	now := time.Unix(0, 0)
	i, err := smartcloud.NewAt(func() time.Time { return now }).Configure(t.Context(), config(s.URL()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	unauthorised := resttest.Say(401, "", "")
	s.Faults.Add(resttest.Fault{Op: "setUserPassword", Times: 1, Answer: unauthorised})
	if r := do(t.Context(), i, set(ann, canaryPW)); r.Outcome != sdk.Applied {
		t.Errorf("refused once: got %s, want applied by the second try", line(r))
	}
	logins := s.Faults.Add(resttest.Fault{Op: "getRoleList", Answer: unauthorised})
	s.Faults.Add(resttest.Fault{Answer: unauthorised})
	for n, want := range []sdk.Code{sdk.LoginExpired, sdk.LoginExpired, sdk.LoginExpired, sdk.InvalidConfig, sdk.InvalidConfig} {
		now = now.Add(time.Minute)
		if r := do(t.Context(), i, set(ann, "an0ther-value")); r.Err == nil || r.Err.Code != want {
			t.Errorf("%d: got %s, want %s", n, line(r), want)
		}
	}
	if logins() != 3 {
		t.Errorf("%d logins, want 3", logins())
	}
}

func TestTheBudgetKeepsTheSystemFromRefusing(t *testing.T) {
	const period = 100 * time.Millisecond
	s := simulate(t, smartcloudtest.Options{Budget: smartcloudtest.Budget{Limit: 12, Period: period}}, many(30)...)
	i := open(t, s.URL(), "budget", "6/200ms") // half of what a window at any moment bears
	var wait sync.WaitGroup
	var applied atomic.Int32
	for k := range 30 {
		wait.Go(func() {
			op := once(fmt.Sprintf("user%04d@acme.example", k), canaryPW)
			for do(t.Context(), i, op).Outcome != sdk.Applied {
				if t.Context().Err() != nil {
					return
				}
			}
			applied.Add(1)
		})
	}
	wait.Wait()
	if applied.Load() != 30 {
		t.Errorf("%d applied, want 30", applied.Load())
	}
	if n := s.Requests()["setOneTimePassword"]; n != 30 {
		t.Errorf("%d requests for 30 users: the system refused some", n)
	}
}

func TestOverloadIsTold(t *testing.T) {
	for _, tells := range []bool{false, true} {
		s := simulate(t, smartcloudtest.Options{Budget: smartcloudtest.Budget{Limit: 4, Period: time.Hour, RetryAfter: tells}}, many(4)...)
		i := open(t, s.URL())
		var got string
		for k := range 4 {
			if r := do(t.Context(), i, once(fmt.Sprintf("user%04d@acme.example", k), canaryPW)); r.Err != nil {
				got = line(r)
				if (r.Err.RetryAfter > 0) != tells {
					t.Errorf("retry after %v, told %v", r.Err.RetryAfter, tells)
				}
			}
		}
		want := map[bool]string{false: "refused TargetUnavailable: The system is busy.", true: "refused RateLimited: The system is busy."}[tells]
		if !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// No form of a field that decides nothing keeps an account from being found, or
// an error from being read.
func TestFieldsThatDecideNothingAreReadInAnyForm(t *testing.T) {
	for _, person := range []string{
		`"GivenName": "Ann", "FamilyName": "A", "Created": "03/01/2026 12:00:00", "Owner": 1, "Deleted": ""`,
		`"GivenName": null, "FamilyName": null, "Deleted": false, "Owner": "1"`,
		`"GivenName": 7, "FamilyName": {}, "SecurityRealm": null, "RoleSet": "User"`,
	} {
		for _, id := range []string{`20000001`, `"20000001"`, `"S-1"`, `null`} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, "getRoleList"):
					_, _ = w.Write([]byte(`{"List": ["CustomerAdministrator", 7, null]}`))
				case r.Method == http.MethodGet:
					_, _ = w.Write([]byte(`{"List": [{"Id": ` + id + `, "CustomerId": "1", "SubscriberState": "ACTIVE", "IsGuest": "false", "Person": {"EmailAddress": "` + ann + `", ` + person + `}}]}`))
				default:
					w.WriteHeader(http.StatusBadRequest)
					_, _ = w.Write([]byte(`{"BSSResponse": {"ResponseCode": 400, "ResponseMessage": "The password does not comply with the password policy", "Severity": 3, "MessageCode": null}}`))
				}
			}))
			i := open(t, s.URL)
			if a, err := i.(sdk.Finder).Find(t.Context(), ann); err != nil || a.Status != sdk.StatusActive {
				t.Errorf("%s, Id %s: Find = %v, %v", person, id, a, err)
			}
			r := i.Apply(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: ann, Value: secret.New("new_passw0rd")})
			if r.Err == nil || r.Err.Code != sdk.PolicyViolation || !strings.Contains(r.Err.Message, "does not comply") {
				t.Errorf("%s, Id %s: Apply = %v", person, id, r.Err)
			}
			s.Close()
		}
	}
}
