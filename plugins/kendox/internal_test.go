package kendox

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// clock is what the server's time is and what the keep-alive waits for.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	asked chan time.Duration
	ticks chan time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.asked <- d
	return c.ticks
}

func TestTheSessionIsKeptAliveWhileNothingHappens(t *testing.T) {
	c := &clock{now: time.Unix(0, 0), asked: make(chan time.Duration, 100), ticks: make(chan time.Time)}
	s := kendoxtest.New(kendoxtest.Options{Now: c.Now})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, "pw")
	s.Add(kendoxtest.User{Login: "jdoe"}, "old-pass-0")
	i, err := backend{after: c.after}.Configure(t.Context(), sdk.Config{Values: map[string]any{"url": s.URL(), "user": "rekey"},
		Secrets: map[string]secret.Value{"password": secret.New("pw")}, Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	op := sdk.Operation{Verb: sdk.Set, Account: "jdoe", Value: secret.New("new-pass-1"), Attempt: 1}
	if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
		t.Fatal(r.Err)
	}
	for range 12 { // forty minutes, four times the idle time
		every := <-c.asked
		c.pass(every)
		c.ticks <- c.Now()
	}
	if every := <-c.asked; every >= 10*time.Minute/2 {
		t.Errorf("a call every %v does not keep a session of 10m alive", every)
	}
	if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied || s.Calls("Logon") != 1 {
		t.Errorf("after forty idle minutes: %v, %d logons; want applied, 1", r.Outcome, s.Calls("Logon"))
	}
	if err := i.Close(); err != nil || s.Open() != 0 {
		t.Errorf("Close = %v with %d sessions left", err, s.Open())
	}
}

func TestDigestHasGoldenVectors(t *testing.T) {
	// From the shell: printf %s TEXT | iconv -t ENCODING | openssl dgst -sha512 -binary | base64 -w0
	for _, test := range []struct{ text, encoding, want string }{
		{"", "utf-8", "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="},
		{"abc", "utf-8", "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="},
		{"c\"a\\n%y é", "utf-8", "uh+StqJyhR27oh6mqNgXpWKUC4hsoU0+OgirnuE7eAsyi6PXHQjULHnmWdzQyqRcgHA1PCdBh7bjy2MnIXcV8g=="},
		{"c\"a\\n%y é", "utf-16le", "L/J8xSok3QOgPZU0X5NbrqyGBTROGR0gdInYa5z+kxL0hwLsclLTj6F+IWGBvhu5CV8bqEeFpV1S2agPLlHn4Q=="},
		{"🙂", "utf-16le", "ZZ59eLFOfTiXbTjC/pdrWm3MJF32L2UXaI7LYLfpsAA5wDomNMVacCI065ifUR0l7GCsGtVy53ZzdGhgJbnXng=="},
	} {
		if got := digest(secret.New(test.text), test.encoding).Reveal(); got != test.want {
			t.Errorf("digest(%q, %s) = %s, want %s", test.text, test.encoding, got, test.want)
		}
	}
}

// Whatever a server answers, looking for its exception ends, and finds a code
// that is one or none.
func FuzzException(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, ok := find(body); ok && (e.code < 10000 || e.code > 19999) {
			t.Fatalf("code %d", e.code)
		}
		for _, status := range []int{200, 400, 500} {
			failed := &rest.Failure{Outcome: sdk.Unknown, Err: &sdk.Error{Code: sdk.TargetError}, Answer: rest.Answer{Status: status, Body: body}}
			explain(failed)
			if failed.Err.Code == "" || failed.Outcome == sdk.Applied || failed.Err.Code == sdk.PolicyViolation && failed.Err.Violations == nil {
				t.Fatalf("%+v", failed.Err)
			}
		}
		result, failure := read(rest.Answer{Status: 200, Body: body}, call{method: "SetUserPassword"})
		if failure == nil && !json.Valid(result) || failure != nil && failure.Outcome == sdk.Applied {
			t.Fatalf("%s, %v", result, failure)
		}
	})
}

// Whatever a value is, the call carries it unchanged.
func FuzzBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, value string) {
		i := &Instance{}
		if i.violates(secret.New(value)) != nil {
			return
		}
		body, secrets := call{arguments: map[string]any{"newPassword": secret.New(value)}}.body(secret.New("id"))
		var back map[string]string
		if err := json.Unmarshal(body, &back); err != nil || back["newPassword"] != value || back["connectionId"] != "id" {
			t.Fatalf("%q arrives as %q, %v", value, back["newPassword"], err)
		}
		if !slices.ContainsFunc(secrets, func(s secret.Value) bool { return s.Reveal() == value }) {
			t.Fatal("the value is not among the secrets")
		}
		if b, err := base64.StdEncoding.DecodeString(digest(secret.New(value), utf16leText).Reveal()); err != nil || len(b) != 64 {
			t.Fatalf("digest of %d bytes, %v", len(b), err)
		}
	})
}

func TestEveryPolicyCodeNamesItsRules(t *testing.T) {
	for code, m := range meanings {
		if (m.code == sdk.PolicyViolation) != (len(m.rules) > 0) || m.text == "" {
			t.Errorf("%d: %+v", code, m)
		}
	}
}
