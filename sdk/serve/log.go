package serve

import (
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/grpclog"

	"github.com/rekey-host/rekey/sdk/hlog"
	"github.com/rekey-host/rekey/sdk/internal/wire"
)

// maxLine is the most bytes of a line of log: the host cuts longer ones.
const maxLine = 8 << 10

// newHclog returns a logger that writes one JSON object a line to w, as
// go-plugin's hosts read them. Secrets that redact knows are scrubbed from texts
// before they are encoded and once more from the line.
func newHclog(w io.Writer, redact *wire.Redactor, level hclog.Level) hclog.Logger {
	return hlog.Scrubbed(encoder(w, redact, level), scrubber(redact))
}

// newLogger is newHclog for backends, which write in slog.
func newLogger(w io.Writer, redact *wire.Redactor, level hclog.Level) *slog.Logger {
	return hlog.Slog(encoder(w, redact, level), scrubber(redact))
}

func encoder(w io.Writer, redact *wire.Redactor, level hclog.Level) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: level, Output: &lines{w: w, redact: redact}, JSONFormat: true})
}

func scrubber(redact *wire.Redactor) func(string) string {
	return func(text string) string { return shorten(redact.Scrub(text)) }
}

// takeLogs makes the loggers that a whole process shares write to log: slog's,
// the standard one, to which net/http reports what servers send it, and gRPC's.
// Unscrubbed they would write to standard error whatever they were given.
func takeLogs(log *slog.Logger) {
	slog.SetDefault(log)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// parseLevel returns Info for a name that it does not know.
func parseLevel(name string) hclog.Level {
	if level := hclog.LevelFromString(name); level != hclog.NoLevel {
		return level
	}
	return hclog.Info
}

func shorten(text string) string {
	if len(text) <= maxLine/4 {
		return text
	}
	return strings.ToValidUTF8(text[:maxLine/4], "") + "…"
}

// lines writes whole scrubbed lines.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	redact *wire.Redactor
}

// Write takes one line at a time, which is how hclog writes.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := io.WriteString(l.w, l.redact.Scrub(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}
