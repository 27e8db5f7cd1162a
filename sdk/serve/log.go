package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/rekey-host/rekey/sdk/internal/wire"
)

// levelTrace is hclog's level below debug.
const levelTrace = slog.LevelDebug - 4

// maxLine is the most bytes of a line of log: the host cuts longer ones.
const maxLine = 8 << 10

// newLogger returns a logger that writes one JSON object a line, with the keys
// that go-plugin's hosts read, to w. Secrets that redact knows are scrubbed
// from texts before they are encoded and once more from the line.
func newLogger(w io.Writer, redact *wire.Redactor, level slog.Level) *slog.Logger {
	replace := func(groups []string, a slog.Attr) slog.Attr { return hclogAttr(redact, groups, a) }
	h := slog.NewJSONHandler(&lines{w: w, redact: redact}, &slog.HandlerOptions{Level: level, ReplaceAttr: replace})
	return slog.New(messages{h, redact})
}

// takeLogs makes the loggers that a whole process shares write to log: slog's,
// the standard one, to which net/http reports what servers send it, and gRPC's.
// Unscrubbed they would write to standard error whatever they were given.
func takeLogs(log *slog.Logger) {
	slog.SetDefault(log)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// messages scrubs the message, which ReplaceAttr sees too late to tell it from
// an attribute of the same name.
type messages struct {
	slog.Handler
	redact *wire.Redactor
}

// Handle scrubs the message and passes the record on.
func (m messages) Handle(ctx context.Context, r slog.Record) error {
	r.Message = shorten(m.redact.Scrub(r.Message))
	return m.Handler.Handle(ctx, r)
}

// WithAttrs keeps the scrubbing.
func (m messages) WithAttrs(attrs []slog.Attr) slog.Handler {
	return messages{m.Handler.WithAttrs(attrs), m.redact}
}

// WithGroup keeps the scrubbing.
func (m messages) WithGroup(name string) slog.Handler {
	return messages{m.Handler.WithGroup(name), m.redact}
}

func hclogAttr(redact *wire.Redactor, groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 {
		switch a.Key {
		case slog.TimeKey:
			return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
		case slog.LevelKey:
			return slog.String("@level", levelName(a.Value))
		case slog.MessageKey:
			return slog.Attr{Key: "@message", Value: a.Value}
		}
	}
	a.Key = redact.Scrub(a.Key)
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(shorten(redact.Scrub(v.String())))
	case slog.KindAny:
		a.Value = slog.StringValue(shorten(redact.Scrub(fmt.Sprint(v.Any()))))
	case slog.KindTime:
		a.Value = slog.StringValue(v.Time().Format(time.RFC3339Nano))
	case slog.KindDuration:
		a.Value = slog.StringValue(v.Duration().String())
	}
	return a
}

func levelName(v slog.Value) string {
	level, _ := v.Any().(slog.Level)
	switch {
	case level < slog.LevelDebug:
		return "trace"
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	default:
		return "error"
	}
}

// parseLevel returns Info for a name that it does not know.
func parseLevel(name string) slog.Level {
	switch name {
	case "trace":
		return levelTrace
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func shorten(s string) string {
	if len(s) <= maxLine/4 {
		return s
	}
	return strings.ToValidUTF8(s[:maxLine/4], "") + "…"
}

// lines writes whole scrubbed lines.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	redact *wire.Redactor
}

// Write takes one line at a time, which is how slog's handlers write.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := io.WriteString(l.w, l.redact.Scrub(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}
