package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

var canary = secret.New("c\"a\\n%y é")

func newClient(t *testing.T, h http.HandlerFunc, change ...func(*rest.Options)) *rest.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return clientOf(t, s.URL, change...)
}

func clientOf(t *testing.T, base string, change ...func(*rest.Options)) *rest.Client {
	t.Helper()
	o := rest.Options{Base: base, Concurrency: 4}
	for _, c := range change {
		c(&o)
	}
	c, err := rest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// raw is a server that does as told with each connection.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer func() { _ = c.Close() }(); serve(c) }()
		}
	}()
	return "http://" + l.Addr().String()
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func readRequest(c net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func put(body string) rest.Request {
	return rest.Request{Method: "PUT", Path: "/p", Body: []byte(body), Secrets: []secret.Value{canary}}
}

// A server that breaks in every way: what the client says of it, for a
// request that changes something and for one that does not.
func TestABrokenExchangeIsRefusedOnlyIfNothingLeft(t *testing.T) {
	tests := []struct {
		name    string
		serve   func(net.Conn)
		outcome sdk.Outcome
		code    sdk.Code
		read    sdk.Code // of a ReadOnly request, which is always refused
	}{
		{"cut after the request", readRequest, sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"reset after the request", func(c net.Conn) { readRequest(c); reset(c) }, sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"silence", func(c net.Conn) { readRequest(c); _, _ = c.Read(make([]byte, 1)) }, sdk.Unknown, sdk.Timeout, sdk.Timeout},
		{"half a status line", answer("HTTP/1.1 20"), sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"not HTTP", answer("SSH-2.0-OpenSSH\r\n\r\n"), sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"half a body", answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\""), sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"a body that stops coming", func(c net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")(c)
			_, _ = c.Read(make([]byte, 1))
		}, sdk.Unknown, sdk.Timeout, sdk.Timeout},
		{"headers without end", func(c net.Conn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for n := 0; ; n++ {
				if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", n, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}, sdk.Unknown, sdk.ConnectionLost, sdk.TargetUnavailable},
		{"a refusal with half a body", answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{\"a\""), sdk.Refused, sdk.InvalidOperation, sdk.InvalidOperation},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := clientOf(t, raw(t, test.serve))
			for _, reads := range []bool{false, true} {
				outcome, code := test.outcome, test.code
				if reads {
					outcome, code = sdk.Refused, test.read
				}
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				r := put("{}")
				r.ReadOnly = reads
				_, f := c.Do(ctx, r)
				cancel()
				if f == nil || f.Outcome != outcome || f.Err.Code != code {
					t.Errorf("ReadOnly %v: got %+v, want %v %s", reads, f, outcome, code)
				}
			}
		})
	}
}

func answer(text string) func(net.Conn) {
	return func(c net.Conn) { readRequest(c); _, _ = io.WriteString(c, text) }
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	_ = l.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	tests := []struct {
		name string
		ctx  context.Context
		base string
		want sdk.Code
	}{
		{"nobody listens", t.Context(), "http://" + closed, sdk.Unreachable},
		{"no TLS there", t.Context(), strings.Replace(raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad\r\n\r\n") }), "http:", "https:", 1), sdk.Unreachable},
		{"reset in the handshake", t.Context(), strings.Replace(raw(t, reset), "http:", "https:", 1), sdk.Unreachable},
		{"cancelled", gone, "http://" + closed, sdk.Cancelled},
		{"out of time", late, "http://" + closed, sdk.Timeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, f := clientOf(t, test.base).Do(test.ctx, put("{}"))
			if f == nil || f.Outcome != sdk.Refused || f.Err.Code != test.want {
				t.Errorf("got %+v, want refused %s", f, test.want)
			}
		})
	}
}

func TestAnUntrustedCertificateIsRefusedBeforeAnythingIsSent(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer s.Close()
	_, f := clientOf(t, s.URL).Do(t.Context(), put("{}"))
	if f == nil || f.Err.Code != sdk.Unreachable || !strings.Contains(f.Error(), "ca_file") || asked.Load() != 0 {
		t.Errorf("got %v after %d requests, want Unreachable that names ca_file", f, asked.Load())
	}
}

func TestTheClientHasADeadlineOfItsOwn(t *testing.T) {
	base := raw(t, func(c net.Conn) { readRequest(c); _, _ = c.Read(make([]byte, 1)) })
	c := clientOf(t, base, func(o *rest.Options) { o.Timeout = 50 * time.Millisecond })
	if _, f := c.Do(t.Context(), put("{}")); f == nil || f.Err.Code != sdk.Timeout {
		t.Errorf("got %v, want Timeout", f)
	}
}

func TestAHugeBodyIsNeitherReadNorKept(t *testing.T) {
	const huge = 100 << 20
	for _, status := range []int{200, 400, 500} {
		var sent atomic.Int64
		done := make(chan struct{}, 1)
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			defer func() { done <- struct{}{} }()
			w.WriteHeader(status)
			chunk := bytes.Repeat([]byte("x"), 64<<10)
			for sent.Load() < huge {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		})
		a, f := c.Do(t.Context(), put("{}"))
		<-done
		if f == nil || !a.TooLong || len(a.Body) != 0 {
			t.Fatalf("%d: got %+v, want a failure without a body", status, f)
		}
		if sent.Load() > huge/4 {
			t.Errorf("%d: the server got rid of %d bytes, want the connection dropped", status, sent.Load())
		}
	}
}

func TestStatusesHaveOutcomesAndCodes(t *testing.T) {
	tests := []struct {
		status  int
		outcome sdk.Outcome
		code    sdk.Code
	}{
		{301, sdk.Refused, sdk.InvalidConfig}, {302, sdk.Unknown, sdk.TargetError}, {303, sdk.Unknown, sdk.TargetError},
		{304, sdk.Refused, sdk.TargetError}, {307, sdk.Refused, sdk.InvalidConfig}, {308, sdk.Refused, sdk.InvalidConfig},
		{400, sdk.Refused, sdk.InvalidOperation}, {401, sdk.Refused, sdk.LoginExpired}, {402, sdk.Refused, sdk.TargetError},
		{403, sdk.Refused, sdk.PermissionDenied}, {404, sdk.Refused, sdk.AccountNotFound}, {405, sdk.Refused, sdk.Unsupported},
		{408, sdk.Refused, sdk.Timeout}, {409, sdk.Refused, sdk.Conflict}, {410, sdk.Refused, sdk.AccountNotFound},
		{412, sdk.Refused, sdk.Conflict}, {413, sdk.Refused, sdk.InvalidOperation}, {418, sdk.Refused, sdk.TargetError},
		{422, sdk.Refused, sdk.InvalidOperation}, {423, sdk.Refused, sdk.AccountStatus}, {429, sdk.Refused, sdk.RateLimited},
		{500, sdk.Unknown, sdk.TargetError}, {501, sdk.Refused, sdk.Unsupported}, {502, sdk.Unknown, sdk.TargetUnavailable},
		{503, sdk.Refused, sdk.TargetUnavailable}, {504, sdk.Unknown, sdk.Timeout}, {520, sdk.Unknown, sdk.TargetError},
	}
	for _, test := range tests {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(test.status) })
		_, f := c.Do(t.Context(), put("{}"))
		native := fmt.Sprintf("HTTP %d", test.status)
		if f == nil || f.Outcome != test.outcome || f.Err.Code != test.code || f.Err.Native != native {
			t.Errorf("%d: got %+v, want %v %s", test.status, f, test.outcome, test.code)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var reached atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		c := newClient(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		if _, f := c.Do(t.Context(), rest.Request{Method: "GET", Authorization: rest.Basic("a", canary)}); f == nil || !strings.Contains(f.Error(), "not followed") {
			t.Errorf("%d: got %v, want a refusal to follow", status, f)
		}
	}
	if reached.Load() != 0 {
		t.Error("the other server was asked")
	}
}

func TestAnHTMLErrorPageIsNamedAndNotQuoted(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "\ufeff  <!DOCTYPE html><html><title>Oops</title>")
	})
	_, f := c.Do(t.Context(), put("{}"))
	if f == nil || !strings.Contains(f.Error(), "HTML") || strings.Contains(f.Error(), "Oops") {
		t.Errorf("got %v, want a line that says HTML and quotes nothing", f)
	}
}

func TestSecretsAreInNoFailureAndNoLog(t *testing.T) {
	var log bytes.Buffer
	token := secret.New("t0ken-of-the-session")
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %q %s", body, r.URL, r.URL.Query().Get("p"), r.Header.Get("Authorization"))
	}, func(o *rest.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.Level(-100)}))
		o.Explain = func(f *rest.Failure) {
			f.Err.Message, f.Err.Native = string(f.Answer.Body), string(f.Answer.Body)
			f.Err.Violations = []sdk.Violation{{Rule: sdk.RuleOpaque, Message: string(f.Answer.Body), Native: string(f.Answer.Body)}}
		}
	})
	early := secret.New("of-an-earlier-request")
	_, f := c.Do(rest.WithSecrets(t.Context(), early), rest.Request{Method: "POST", Path: "/p", Query: map[string][]string{"p": {canary.Reveal()}},
		Body: []byte(canary.Reveal() + early.Reveal()), Authorization: rest.Bearer(token), Secrets: []secret.Value{canary}})
	all := fmt.Sprintf("%+v %s %s", f.Err, f.Error(), log.String())
	for _, bad := range []string{canary.Reveal(), `c\"a`, "c%22a", token.Reveal(), early.Reveal()} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is in %s", bad, all)
		}
	}
	if !strings.Contains(f.Error(), secret.Redacted) || !strings.Contains(log.String(), "status=400") {
		t.Errorf("got %v and log %q, want the redacted text and a line", f, log.String())
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		in   string
		want time.Duration
	}{
		{"", 0}, {"7", 7 * time.Second}, {" 7 ", 7 * time.Second}, {"-3", 0}, {"soon", 0}, {"999999999999", time.Hour}, {"0", 0},
		{"Sun, 01 Mar 2026 12:00:30 GMT", 30 * time.Second}, {"Sun, 01 Mar 2026 11:00:00 GMT", 0}, {"Sun, 01 Mar 2037 11:00:00 GMT", time.Hour},
	}
	for _, test := range tests {
		if got := rest.RetryAfter(http.Header{"Retry-After": {test.in}}, now); got != test.want {
			t.Errorf("RetryAfter(%q) = %v, want %v", test.in, got, test.want)
		}
	}
}

func TestRetryAfterReachesTheFailure(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Retry-After", "2"); w.WriteHeader(429) })
	if _, f := c.Do(t.Context(), put("{}")); f == nil || f.Err.RetryAfter != 2*time.Second {
		t.Errorf("got %+v, want 2 s", f)
	}
}

func TestJSONIsReadByItsBytes(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"plain", `{"a":"x"}`, ""},
		{"after a byte order mark", "\ufeff\n{\"a\":\"x\"}", ""},
		{"empty", "", "is empty"},
		{"a page", "<html>hunter2", "is HTML"},
		{"XML", "<a>hunter2</a>", "is XML"},
		{"text", "hunter2", "is text"},
		{"malformed", `{"a":hunter2`, "malformed"},
		{"another form", `{"a":["hunter2"]}`, "another form"},
		{"two values", `{"a":"x"}{"hunter2":1}`, "malformed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got struct{ A string }
			err := rest.Answer{Body: []byte(test.in)}.JSON(&got)
			switch {
			case test.want == "" && (err != nil || got.A != "x"):
				t.Errorf("got %q, %v", got.A, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("got %v, want %q and no quote", err, test.want)
			}
		})
	}
}

func TestScrubMakesOneShortLine(t *testing.T) {
	c := clientOf(t, "https://cloud.example", func(o *rest.Options) { o.Secrets = []secret.Value{secret.New("admin-pw")} })
	if got := c.Scrub(t.Context(), "a\r\nadmin-pw \x00b "+canary.Reveal(), canary); got != "a [redacted] b [redacted]" {
		t.Errorf("Scrub = %q", got)
	}
	if got := c.Scrub(rest.WithSecrets(t.Context(), canary), "echo of "+canary.Reveal()); got != "echo of [redacted]" {
		t.Errorf("Scrub under the context's secrets = %q", got)
	}
	if got := c.Scrub(t.Context(), strings.Repeat("é", 1000)); len([]rune(got)) != 301 {
		t.Errorf("Scrub leaves %d characters, want 301", len([]rune(got)))
	}
}
