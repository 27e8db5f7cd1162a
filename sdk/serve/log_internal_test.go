package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"

	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é`

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func scrubbing() (*output, *slog.Logger) {
	r, out := &wire.Redactor{}, &output{}
	r.Note(secret.New(canary))
	return out, newLogger(out, r, hclog.Trace)
}

func TestALogLineIsOneScrubbedObjectWithHclogsNames(t *testing.T) {
	out, log := scrubbing()
	log.With("w", canary).WithGroup("g").Log(t.Context(), slog.LevelDebug-4, "m "+canary,
		canary, 1, "e", errors.New(canary), "v", secret.New(canary), "q", strings.Repeat("x", 1<<20))
	text := out.String()
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatalf("%v: %.200q", err, text)
	}
	if line["@level"] != "trace" || line["@message"] != "m [redacted]" || line["w"] != "[redacted]" || len(text) > maxLine {
		t.Errorf("got %.300q of %d bytes", text, len(text))
	}
	quoted, _ := json.Marshal(canary)
	if strings.Contains(text, canary) || strings.Contains(text, strings.Trim(string(quoted), `"`)) {
		t.Errorf("%.300q shows the secret", text)
	}
}

// TestSharedLoggersAreScrubbed changes the loggers of the process: not in
// parallel with others.
func TestSharedLoggersAreScrubbed(t *testing.T) {
	before, flags := slog.Default(), log.Flags()
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	})
	out, logger := scrubbing()
	takeLogs(logger)
	log.Print("standard " + canary)
	slog.Warn("shared", "k", canary)
	grpclog.Error("grpc " + canary)
	chatter(t)
	for end := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "Unsolicited response"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("net/http's words are not there: %q", out)
		}
	}
	text := out.String()
	quoted, _ := json.Marshal(canary)
	if strings.Contains(text, canary) || strings.Contains(text, strings.Trim(string(quoted), `"`)) {
		t.Errorf("%q shows the secret", text)
	}
	for _, want := range []string{`"@message":"standard [redacted]"`, `"@message":"shared"`, `"@level":"warn"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %s", text, want)
		}
	}
	if strings.Contains(text, "grpc ") {
		t.Error("gRPC's own words are passed on")
	}
}

// chatter makes net/http print what a server sends it unasked.
func chatter(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		_, _ = c.Write([]byte("HTTP/1.1 500 " + canary + "\r\nX: " + canary + "\r\n\r\n"))
		_, _ = c.Read(make([]byte, 1))
	}()
	transport := &http.Transport{}
	r, err := (&http.Client{Transport: transport}).Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	<-served
}
