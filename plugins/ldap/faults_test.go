package ldap

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// through is an instance whose connections go through a proxy, warmed up: they
// are open and bound.
func through(t *testing.T, s *ldaptest.Server, more ...any) (*resetting, *ldaptest.Proxy) {
	t.Helper()
	p := ldaptest.StartProxy(t, s)
	i := open(t, s, append([]any{"url", p.URL}, more...)...)
	wantReceipt(t, i.Apply(t.Context(), set(s.UserDN(0), "before the fault")), "applied")
	return i, p
}

// Whatever happened to a request, what is said of it is true, and the same
// value sent again ends as the only one.
func TestFaultsAreToldApart(t *testing.T) {
	tests := []struct {
		name    string
		fault   ldaptest.Fault
		want    string
		applied bool
	}{
		{"cut before it arrived", ldaptest.CutRequest, "unknown ConnectionLost", false},
		{"cut after the effect", ldaptest.CutAnswer, "unknown ConnectionLost", true},
		{"no answer", ldaptest.BlackHole, "unknown Timeout", true},
	}
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	ops := map[string]sdk.Operation{
		"set":    set(s.UserDN(0), ""),
		"change": change(s.UserDN(0), "before the fault", ""),
	}
	for verb, op := range ops {
		for n, tt := range tests {
			t.Run(verb+" "+tt.name, func(t *testing.T) {
				asRoot(t, s, s.PolicyDN(), "pwdInHistory", "0") // of the warm-ups
				i, p := through(t, s)
				asRoot(t, s, s.PolicyDN(), "pwdInHistory", "3")
				op.Value = secret.New(fmt.Sprint(verb, " value ", n))
				if op.Verb == sdk.Change {
					// The connection that the request goes over is bound by the
					// request before it.
					p.After(1)
				}
				p.Next(tt.fault)
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				wantReceipt(t, i.Apply(ctx, op), tt.want)
				wantBind(t, s, s.UserDN(0), op.Value.Reveal(), tt.applied)
				wantBind(t, s, s.UserDN(0), "before the fault", !tt.applied)
				want := "applied"
				if tt.applied {
					want = "already-applied"
				}
				wantReceipt(t, i.Apply(t.Context(), again(op)), want)
				wantBind(t, s, s.UserDN(0), op.Value.Reveal(), true)
			})
		}
	}
}

// Reading and proving change nothing, so a cut is no doubt.
func TestLostReadsAreNotUnknown(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	i, p := through(t, s)
	p.Next(ldaptest.CutAnswer)
	if a, err := i.Find(t.Context(), "user0"); err != nil || a.Login != "user0" {
		t.Errorf("Find = %+v, %v: want a second connection to help", a, err)
	}
	wantVerdict(t, i, s.UserDN(0), "before the fault", sdk.Accepted)
	p.Next(ldaptest.CutAnswer)
	_, err := i.Verify(t.Context(), s.UserDN(0), "", secret.New("before the fault"))
	wantCode(t, err, sdk.Unreachable) // not tried again: a logon may count
	p.Next(ldaptest.CutAnswer)
	wantReceipt(t, i.Apply(t.Context(), change(s.UserDN(0), "before the fault", "never sent")), "refused Unreachable")
	wantBind(t, s, s.UserDN(0), "before the fault", true)
}

// A firewall or a server that drops idle connections costs nobody anything.
func TestIdleConnectionsThatWereClosedAreReplaced(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, Global: []string{"idletimeout 1"}})
	i, p := through(t, s)
	wantVerdict(t, i, s.UserDN(0), "before the fault", sdk.Accepted)
	for _, drop := range []func(){p.Drop, func() {}} { // the latter: the server does
		drop()
		wantStale(t, i.server.admin.idle)
		wantReceipt(t, i.Apply(t.Context(), set(s.UserDN(0), "before the fault")), "applied")
		wantVerdict(t, i, s.UserDN(0), "before the fault", sdk.Accepted)
	}
}

// wantStale waits until the server has closed them.
func wantStale(t *testing.T, idle []*conn) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		open := 0
		for _, c := range idle {
			if !c.stale() {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d idle connections are still open", open)
		}
	}
}

// Killed and started again in the middle of a run: every answer is true, and a
// second attempt of what has none finishes the run.
func TestServerThatRestartsInTheMiddleOfARun(t *testing.T) {
	const accounts, workers = 300, 8
	s := ldaptest.Start(t, ldaptest.Options{Users: accounts, Sync: true})
	c := config(s)
	c.Concurrency = workers
	i := configure(t, c).(*resetting)
	value := func(n int) string { return fmt.Sprint("new-password-", n) }
	var mu sync.Mutex
	var open []int
	all := func(todo []int, attempt int, at func(done int)) {
		var running sync.WaitGroup
		numbers := make(chan int)
		for range workers {
			running.Go(func() {
				for n := range numbers {
					op := set(s.UserDN(n), value(n))
					op.Attempt = attempt
					r := i.Apply(context.Background(), op)
					if r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied {
						continue
					}
					if r.Outcome == sdk.Refused && r.Err.Code != sdk.Unreachable || r.Outcome == sdk.Unknown && r.Err.Code != sdk.ConnectionLost {
						t.Errorf("user %d: %s", n, say(r))
					}
					mu.Lock()
					open = append(open, n)
					mu.Unlock()
				}
			})
		}
		for k, n := range todo {
			at(k)
			numbers <- n
		}
		close(numbers)
		running.Wait()
	}
	var todo []int
	for n := range accounts {
		todo = append(todo, n)
	}
	all(todo, 1, func(done int) {
		switch done {
		case 100:
			s.Kill()
		case 150:
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if len(open) < 40 || len(open) > 70 {
		t.Errorf("%d accounts were left by a kill after 100 and a start after 150", len(open))
	}
	left := open
	open = nil
	all(left, 2, func(int) {})
	if len(open) > 0 {
		t.Errorf("%d accounts are left after a second attempt", len(open))
	}
	for n := range accounts {
		wantBind(t, s, s.UserDN(n), value(n), true)
	}
}

func TestNothingIsSentTooLate(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1})
	i, p := through(t, s)
	before := p.Connections()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	wantReceipt(t, i.Apply(ctx, set(s.UserDN(0), "x")), "refused Cancelled")
	ctx, stop = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	wantReceipt(t, i.Apply(ctx, set(s.UserDN(0), "x")), "refused Timeout")
	if p.Connections() != before {
		t.Error("it connected")
	}
	wantBind(t, s, s.UserDN(0), "before the fault", true)
}

// silent is a port that takes connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestServerThatNeverAnswersIsATimeoutBeforeAnythingWasSent(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1})
	address := silent(t)
	for name, more := range map[string][]any{
		"bind":      {"url", "ldap://" + address},
		"start_tls": {"url", "ldap://" + address, "start_tls", true},
		"handshake": {"url", "ldaps://" + address},
	} {
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		r := open(t, s, more...).Apply(ctx, set(s.UserDN(0), "x"))
		stop()
		if got := say(r); got != "refused Timeout" {
			t.Errorf("%s: %s (%v)", name, got, r.Err)
		}
	}
}

func TestEveryTransportCarriesASet(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, TLS: true})
	for name, more := range map[string][]any{
		"ldaps":     {"url", s.TLSURL, "ca_file", s.CAFile, "insecure", false},
		"start_tls": {"start_tls", true, "ca_file", s.CAFile, "insecure", false},
		"ldapi":     {"url", s.Socket, "insecure", false},
		"in clear":  {},
	} {
		i := open(t, s, more...)
		wantReceipt(t, i.Apply(t.Context(), set("user0", canary+name)), "applied")
		wantVerdict(t, i, "user0", canary+name, sdk.Accepted)
		wantBind(t, s, s.UserDN(0), canary+name, true)
	}
}

func TestServerThatWantsTLSRefusesTheLogonInClear(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, TLS: true, Global: []string{"localSSF 128", "security simple_bind=128"}})
	r := open(t, s).Apply(t.Context(), set(s.UserDN(0), "x"))
	wantReceipt(t, r, "refused InsecureTransport")
	wantReceipt(t, open(t, s, "start_tls", true, "ca_file", s.CAFile).Apply(t.Context(), set(s.UserDN(0), "x")), "applied")
}

// Somebody in between who answers StartTLS and adds an answer of his own, in
// the hope that it is read as a secured one.
func TestBytesBehindTheConsentToTLSAreRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = c.Read(make([]byte, 4096))
		consent := ldapwire.Encode(ldapwire.TagSequence, ldapwire.Int(ldapwire.TagInteger, 1), ldapwire.Encode(ldapwire.TagExtendedResponse, ldapwire.Int(ldapwire.TagEnumerated, 0), ldapwire.Text(ldapwire.TagOctets, ""), ldapwire.Text(ldapwire.TagOctets, "")))
		_, _ = c.Write(append(consent, wire(ldapwire.TagBindResponse, 0, "")...))
		_, _ = c.Read(make([]byte, 4096))
	})
	d := dialer{network: "tcp", address: l.Addr().String(), startTLS: true, patience: 5 * time.Second}
	u, _, err := parseURL("ldaps://x")
	if err != nil {
		t.Fatal(err)
	}
	d.tls = u.tls
	if _, err := d.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "start_tls") {
		t.Errorf("dial = %v, want the bytes refused", err)
	}
	_ = l.Close()
	serving.Wait()
}

// Sixteen connections that all try a wrong password would lock the account.
func TestWrongBindPasswordIsTriedOnce(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, PPolicy: true})
	now := time.Now()
	b := &Backend{Now: func() time.Time { return now }}
	c := config(s)
	c.Concurrency = 16
	c.Secrets["bind_password"] = secret.New(canary)
	i, err := b.Configure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close() }()
	burst := func() {
		var running sync.WaitGroup
		for range 50 {
			running.Go(func() {
				r := i.Apply(context.Background(), set(s.UserDN(0), "x"))
				if say(r) != "refused LoginExpired" || strings.Contains(r.Err.Error(), canary) {
					t.Errorf("%s (%v)", say(r), r.Err)
				}
			})
		}
		running.Wait()
	}
	burst()
	if got := len(valuesOf(t, s, s.BindDN, "pwdFailureTime")); got != 1 {
		t.Errorf("%d logons were tried, want 1", got)
	}
	now = now.Add(cooling)
	burst()
	if got := len(valuesOf(t, s, s.BindDN, "pwdFailureTime")); got != 2 {
		t.Errorf("after the pause: %d logons were tried in all, want 2", got)
	}
}

func valuesOf(t *testing.T, s *ldaptest.Server, dn, attribute string) []string {
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
	return r.Entries[0].GetAttributeValues(attribute)
}
