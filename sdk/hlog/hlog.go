// Package hlog joins the two loggers of this project: slog, in which backends
// and their authors write, and hclog, in which go-plugin and the host do. Every
// text is scrubbed on its way. It refuses to know secrets.
package hlog

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Scrubbed returns a logger that passes messages, names and values on to log, each
// text through scrub.
func Scrubbed(log hclog.Logger, scrub func(string) string) hclog.Logger {
	return scrubbed{log, scrub, scrub}
}

// ScrubbedLines is Scrubbed with another scrub for values: they may keep lines of
// their own, which hclog writes below the message.
func ScrubbedLines(log hclog.Logger, scrub, values func(string) string) hclog.Logger {
	return scrubbed{log, scrub, values}
}

type scrubbed struct {
	hclog.Logger
	scrub  func(string) string
	values func(string) string
}

// Log scrubs a line and passes it on, if anybody wants it.
func (s scrubbed) Log(level hclog.Level, msg string, args ...any) {
	if level >= s.GetLevel() {
		s.Logger.Log(level, s.scrub(msg), s.args(args)...)
	}
}

// Trace is Log at that level.
func (s scrubbed) Trace(msg string, args ...any) { s.Log(hclog.Trace, msg, args...) }

// Debug is Log at that level.
func (s scrubbed) Debug(msg string, args ...any) { s.Log(hclog.Debug, msg, args...) }

// Info is Log at that level.
func (s scrubbed) Info(msg string, args ...any) { s.Log(hclog.Info, msg, args...) }

// Warn is Log at that level.
func (s scrubbed) Warn(msg string, args ...any) { s.Log(hclog.Warn, msg, args...) }

// Error is Log at that level.
func (s scrubbed) Error(msg string, args ...any) { s.Log(hclog.Error, msg, args...) }

// With keeps the scrubbing.
func (s scrubbed) With(args ...any) hclog.Logger {
	return scrubbed{s.Logger.With(s.args(args)...), s.scrub, s.values}
}

// Named keeps the scrubbing.
func (s scrubbed) Named(name string) hclog.Logger {
	return scrubbed{s.Logger.Named(s.scrub(name)), s.scrub, s.values}
}

// ResetNamed keeps the scrubbing.
func (s scrubbed) ResetNamed(name string) hclog.Logger {
	return scrubbed{s.Logger.ResetNamed(s.scrub(name)), s.scrub, s.values}
}

// StandardLogger keeps the scrubbing.
func (s scrubbed) StandardLogger(standardLoggerOptions *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(s.StandardWriter(standardLoggerOptions), "", 0)
}

// StandardWriter takes each write for a line at the level info.
func (s scrubbed) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return lines{s} }

type lines struct{ log hclog.Logger }

// Write logs one line.
func (l lines) Write(line []byte) (int, error) {
	l.log.Info(strings.TrimSpace(string(line)))
	return len(line), nil
}

// args are names and values as hclog writes them, scrubbed.
func (s scrubbed) args(args []any) []any {
	out := make([]any, len(args))
	for i, first := range args {
		if name, ok := first.(string); ok && i%2 == 0 {
			out[i] = s.scrub(name)
			continue
		}
		out[i] = s.value(first)
	}
	return out
}

// value turns everything but numbers into scrubbed text: whatever else
// hclog were given it would format after the scrubbing.
func (s scrubbed) value(v any) any {
	switch v := v.(type) {
	case int, int64, uint64, float64, bool:
		return v
	case string:
		return s.values(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return s.values(fmt.Sprint(v))
	}
}

// Slog returns a logger whose lines go to log, at its levels and under its name,
// each text through scrub.
func Slog(log hclog.Logger, scrub func(string) string) *slog.Logger {
	return slog.New(handler{Scrubbed(log, scrub), ""})
}

type handler struct {
	log    hclog.Logger
	prefix string // of the names of a group, ending in a dot
}

// Enabled reports whether a line of the level is wanted.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return LevelOf(level) >= h.log.GetLevel()
}

// Handle passes a record on.
func (h handler) Handle(_ context.Context, record slog.Record) error {
	var args []any
	record.Attrs(func(attr slog.Attr) bool { args = flat(args, h.prefix, attr); return true })
	h.log.Log(LevelOf(record.Level), record.Message, args...)
	return nil
}

// WithAttrs keeps attributes for every line.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, attr := range attrs {
		args = flat(args, h.prefix, attr)
	}
	return handler{h.log.With(args...), h.prefix}
}

// WithGroup puts a name before those that follow.
func (h handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return handler{h.log, h.prefix + name + "."}
}

// flat adds an attribute as a name and a value, a group as several.
func flat(args []any, prefix string, attr slog.Attr) []any {
	value := attr.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		return append(args, prefix+attr.Key, value.Any())
	}
	if attr.Key != "" {
		prefix += attr.Key + "."
	}
	for _, inner := range value.Group() {
		args = flat(args, prefix, inner)
	}
	return args
}

// LevelOf is hclog's level for one of slog's; trace is below slog's debug.
func LevelOf(level slog.Level) hclog.Level {
	switch {
	case level < slog.LevelDebug:
		return hclog.Trace
	case level < slog.LevelInfo:
		return hclog.Debug
	case level < slog.LevelWarn:
		return hclog.Info
	case level < slog.LevelError:
		return hclog.Warn
	default:
		return hclog.Error
	}
}
