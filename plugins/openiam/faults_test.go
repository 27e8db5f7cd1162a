package openiam_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// bomb doubles a text thirty times, if entities are expanded.
func bomb() string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e0 \"lol\">")
	for n := range 30 {
		b.WriteString("<!ENTITY e" + strconv.Itoa(n+1) + " \"&e" + strconv.Itoa(n) + ";&e" + strconv.Itoa(n) + ";\">")
	}
	b.WriteString("]>" + envelope("&e30;"))
	return b.String()
}

func answer(body string) resttest.Fault {
	return resttest.Fault{Op: "setPassword", Times: 1, Effect: true, Answer: resttest.Say(200, "text/xml; charset=UTF-8", body)}
}

// Every case ends as it should, and the host's way of settling an unknown one
// (a verify, then the same value once more) never leaves two values.
func TestFaultsOnTheWay(t *testing.T) {
	const lost = "unknown ConnectionLost: HOST: the connection broke before the whole answer came"
	for _, test := range []struct {
		name  string
		fault resttest.Fault
		line  string
		retry time.Duration
		took  bool // it took effect
	}{
		{"answer lost after the effect", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Reset()}, lost, 0, true},
		{"reset before the effect", resttest.Fault{Times: 1, Answer: resttest.Reset()}, lost, 0, false},
		{"silence", resttest.Fault{Times: 1, Answer: resttest.Silence()}, "unknown Timeout: HOST: no answer in time", 0, false},
		{"silence after the effect", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Silence()}, "unknown Timeout: HOST: no answer in time", 0, true},
		{"throttled", resttest.Fault{Times: 1, Answer: resttest.Say(429, "text/xml; charset=UTF-8", "")}, "refused RateLimited: HTTP 429 Too Many Requests", 0, false},
		{"throttled with Retry-After", resttest.Fault{Times: 1, Answer: resttest.Say(429, "text/xml; charset=UTF-8", "", "Retry-After", "7")}, "refused RateLimited: HTTP 429 Too Many Requests", 7 * time.Second, false},
		{"busy with Retry-After", resttest.Fault{Times: 1, Answer: resttest.Say(503, "text/xml; charset=UTF-8", "", "Retry-After", "2")}, "refused TargetUnavailable: HTTP 503 Service Unavailable", 2 * time.Second, false},
		{"500 as HTML", resttest.Fault{Times: 1, Answer: resttest.Say(500, "text/xml; charset=UTF-8", "<html><body>old-pass-0</body></html>")},
			"unknown TargetError: HTTP 500 Internal Server Error, as an HTML page: it may come from a proxy", 0, false},
		{"200 as HTML", answer("<html><body>Welcome</body></html>"), "unknown TargetError: the answer is not a SOAP 1.1 envelope", 0, true},
		{"401", resttest.Fault{Times: 1, Answer: resttest.Say(401, "text/xml; charset=UTF-8", "")}, "refused InvalidConfig: the server wants a login of its own, or another one; check user and password", 0, false},
		{"404", resttest.Fault{Times: 1, Answer: resttest.Say(404, "text/xml; charset=UTF-8", "")}, "refused InvalidConfig: there is no such service; check the url", 0, false},
		{"100 MB", resttest.Fault{Times: 1, Effect: true, Answer: resttest.Huge(200, 100<<20)}, "unknown TargetError: the answer is longer than 1048576 bytes", 0, true},
		{"empty", answer(""), "unknown TargetError: the answer is empty", 0, true},
		{"not XML", answer("{}"), "unknown TargetError: the answer is not well-formed XML", 0, true},
		{"cut XML", answer(envelope("")[:60]), "unknown TargetError: the answer is not well-formed XML", 0, true},
		{"entity bomb", answer(bomb()), "unknown TargetError: the answer has a document type declaration", 0, true},
		{"external entity", answer(`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + envelope("&e;")), "unknown TargetError: the answer has a document type declaration", 0, true},
		{"entity without a declaration", answer(envelope("&lol;")), "unknown TargetError: the answer uses an entity other than the five", 0, true},
		{"processing instruction", answer(envelope("<?php x?>")), "unknown TargetError: the answer has a processing instruction", 0, true},
		{"nested deeply", answer(envelope(strings.Repeat("<a>", 100000))), "unknown TargetError: the answer is nested too deeply", 0, true},
		{"many elements", answer(envelope(strings.Repeat("<a/>", 100000))), "unknown TargetError: the answer has too many elements", 0, true},
		{"another character set", answer(`<?xml version="1.0" encoding="ISO-8859-1"?>` + envelope("")), "unknown TargetError: the answer is not well-formed XML", 0, true},
		{"not UTF-8", answer(envelope("\xff")), "unknown TargetError: the answer is not UTF-8", 0, true},
		{"another envelope", answer(`<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body/></Envelope>`), "unknown TargetError: the answer is not a SOAP 1.1 envelope", 0, true},
		{"another operation", answer(envelope("<a/>")), "unknown TargetError: the answer answers something else", 0, true},
		{"no return", answer(envelope(`<setPasswordResponse/>`)), "unknown TargetError: the answer says neither success nor failure", 0, true},
		{"status as an element", answer(envelope(`<setPasswordResponse><return><status>success</status></return></setPasswordResponse>`)), "unknown TargetError: the answer says neither success nor failure", 0, true},
		{"failure without a code", answer(envelope(`<setPasswordResponse><return status="failure"/></setPasswordResponse>`)), "unknown TargetError: a failure without a code", 0, true},
		{"late", resttest.Fault{Times: 1, Delay: 20 * time.Millisecond}, "applied", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, i := begin(t, openiamtest.Options{})
			test.fault.Op, test.fault.Times = "setPassword", 1
			s.Faults.Add(test.fault)
			r := apply(t, i, set("jdoe", "new-pass-1"))
			if got := strings.ReplaceAll(line(r), s.Host()[len("http://"):], "HOST"); got != test.line {
				t.Errorf("Apply = %s, want %s", got, test.line)
			}
			if r.Err != nil && r.Err.RetryAfter != test.retry {
				t.Errorf("retry after %v, want %v", r.Err.RetryAfter, test.retry)
			}
			if took := values(s); (took == 2) != test.took {
				t.Errorf("the identity has %d values, effect %t", took, test.took)
			}
			settle(t, s, i, r)
		})
	}
}

// apply gives the operation a deadline that silence exceeds.
func apply(t *testing.T, i *openiam.Instance, op sdk.Operation) sdk.Receipt {
	t.Helper()
	limit := 10 * time.Second
	if strings.Contains(t.Name(), "silence") {
		limit = 150 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return i.Apply(ctx, op)
}

func values(s *openiamtest.Server) int {
	got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
	return len(got.Values)
}

// settle does what the host does with a receipt, and checks that the identity
// ends with the one new value, taken once.
func settle(t *testing.T, s *openiamtest.Server, i *openiam.Instance, r sdk.Receipt) {
	t.Helper()
	again := r.Outcome == sdk.Refused
	if r.Outcome == sdk.Unknown {
		v, err := i.Verify(t.Context(), "jdoe", "", secret.New("new-pass-1"))
		if err != nil {
			t.Fatalf("Verify = %v", err)
		}
		again = v == sdk.Rejected
	}
	if again {
		if r := i.Apply(t.Context(), attempt(set("jdoe", "new-pass-1"), 2)); r.Outcome != sdk.Applied && r.Outcome != sdk.AlreadyApplied {
			t.Fatalf("the second attempt = %s", line(r))
		}
	}
	got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
	if !slices.Equal(got.Values, []string{"old-pass-0", "new-pass-1"}) {
		t.Errorf("the identity took %q, want the old value and then the new one, once", got.Values)
	}
}

func TestALostResetIsSafeToRepeat(t *testing.T) {
	s, i := begin(t, openiamtest.Options{ReturnResets: true})
	s.Faults.Add(resttest.Fault{Op: "resetPassword", Times: 1, Effect: true, Answer: resttest.Reset()})
	op := sdk.Operation{Attempt: 1, Verb: sdk.Reset, Account: "jdoe"}
	if r := i.Reset(t.Context(), op); r.Outcome != sdk.Unknown {
		t.Fatalf("Reset = %s, want unknown", line(r))
	}
	op.Attempt = 2
	r := i.Reset(t.Context(), op)
	got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"})
	if r.Outcome != sdk.Applied || r.Value.Reveal() != got.Password {
		t.Errorf("second Reset = %s, want applied with the server's value", line(r))
	}
}

func TestNobodyListensIsRefused(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Close()
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Unreachable {
		t.Errorf("Apply = %s, want refused Unreachable", line(r))
	}
}

func TestCancelledBeforeItIsSent(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := i.Apply(ctx, set("jdoe", "new-pass-1"))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.Cancelled || s.Calls("setPassword") != 0 {
		t.Errorf("Apply = %s, want refused Cancelled", line(r))
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

// forms are the guises that a secret could leak in.
func forms(v string) []string {
	quoted := strconv.Quote(v)
	return []string{v, quoted[1 : len(quoted)-1], url.QueryEscape(v), url.PathEscape(v), hex.EncodeToString([]byte(v)),
		base64.StdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v))}
}

func TestNoSecretInLogsAndErrors(t *testing.T) {
	var told log
	s := serve(t, openiamtest.Options{User: "svc", Password: "token-" + canary, ReturnResets: true})
	i, err := openiam.New().Configure(t.Context(), sdk.Config{
		Values:  map[string]any{"url": s.URL(), "user": "svc", "policy_principal": "jdoe"},
		Secrets: map[string]secret.Value{"password": secret.New("token-" + canary)},
		Log:     slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug - 8})), Concurrency: 1, Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	iam := i.(*openiam.Instance)
	echo := func(kind string) string {
		return envelope(`<soap:Fault><faultcode>` + kind + xmlText(canary) + `</faultcode><faultstring>` + xmlText(canary+" token-"+canary) + `</faultstring></soap:Fault>`)
	}
	for _, fault := range []resttest.Fault{{}, {Answer: resttest.Say(500, "text/xml; charset=UTF-8", echo("soap:Server "))}, {Answer: resttest.Say(200, "text/xml; charset=UTF-8", echo(""))}, {Answer: resttest.Say(400, "text/xml; charset=UTF-8", canary)}, {Answer: resttest.Reset()}, {Answer: resttest.Say(302, "text/xml; charset=UTF-8", "", "Location", canary)}, {Delay: 300 * time.Millisecond},
		{Answer: resttest.Say(200, "text/xml; charset=UTF-8", envelope(`<setPasswordResponse><return status="failure"><errorCode>`+xmlText(canary)+`</errorCode><errorText>`+xmlText(canary)+`</errorText></return></setPasswordResponse>`))}} {
		s.Faults.Add(fault)
		told.write(line(iam.Apply(t.Context(), set("jdoe", canary))))
		told.write(line(iam.Apply(t.Context(), attempt(mustChange(set("jdoe", canary), true), 2))))
		_, err := iam.Verify(t.Context(), "jdoe", "", secret.New(canary))
		told.write(errorText(err))
		s.Faults.Clear()
	}
	// These do not have the value; what they do have is the token's password.
	for _, body := range []string{"", strings.ReplaceAll(echo("soap:Server"), xmlText(canary+" "), "")} {
		s.Faults.Add(resttest.Fault{Answer: resttest.Say(500, "text/xml; charset=UTF-8", strings.Replace(body, "Server"+xmlText(canary), "Server", 1))})
		told.write(line(iam.Reset(t.Context(), sdk.Operation{Verb: sdk.Reset, Account: "jdoe"})))
		_, err = iam.Find(t.Context(), "jdoe")
		told.write(errorText(err))
		for _, f := range iam.Check(t.Context()) {
			told.write(f.Message + f.Fix)
		}
		s.Faults.Clear()
	}
	text := told.b.String()
	for _, v := range []string{canary, "token-" + canary} {
		for _, form := range forms(v) {
			if strings.Contains(text, form) {
				t.Errorf("%q stands in what was told: %s", form, text[max(0, strings.Index(text, form)-200):strings.Index(text, form)+60])
			}
		}
	}
	if !strings.Contains(text, "http exchange") {
		t.Error("nothing was logged at the highest level: the test would see no leak")
	}
}

func (l *log) write(text string) { _, _ = l.Write([]byte(text + "\n")) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s)
}

// What is not read takes no memory: of a hundred megabytes the plugin reads the
// megabyte that it may, and drops the connection.
func TestALongAnswerIsNotKept(t *testing.T) {
	s, i := begin(t, openiamtest.Options{})
	s.Faults.Add(resttest.Fault{Op: "setPassword", Times: 1, Answer: resttest.Huge(200, 100<<20)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := i.Apply(t.Context(), set("jdoe", "new-pass-1"))
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; r.Outcome != sdk.Unknown || took > 50 {
		t.Errorf("Apply = %s after %d MB were allocated; want unknown, some", line(r), took)
	}
}

// OpenIAM has no sessions; what can end in the middle of a run is the token
// that a server in front of it takes.
func TestATokenRefusedInTheMiddleStopsTheRun(t *testing.T) {
	s, i := begin(t, openiamtest.Options{User: "svc", Password: "pw"}, "user", "svc", "password", secret.New("pw"))
	if got := line(i.Apply(t.Context(), set("jdoe", "new-pass-1"))); got != "applied" {
		t.Fatal(got)
	}
	s.SetToken("svc", "changed")
	r := i.Apply(t.Context(), mustChange(set("jdoe", "new-pass-2"), true))
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig || !strings.Contains(r.Err.Message, "check user and password") {
		t.Errorf("Apply = %s, want refused InvalidConfig with what to check", line(r))
	}
	if got, _ := s.Identity(openiamtest.Key{Principal: "jdoe"}); got.Password != "new-pass-1" {
		t.Error("the refused value was set")
	}
}
