package hlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/hlog"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é`

func scrub(s string) string { return strings.ReplaceAll(s, canary, "[redacted]") }

type text string

func (t text) String() string { return "text " + string(t) }

// TestEveryTextIsScrubbedAtEveryLevel writes the canary in every place of a
// line, in both formats, at each of hclog's levels.
func TestEveryTextIsScrubbedAtEveryLevel(t *testing.T) {
	t.Parallel()
	values := []any{canary, errors.New(canary), []string{canary}, map[string]string{canary: canary}, text(canary), struct{ A string }{canary},
		[]byte(canary), secret.New(canary), fmt.Errorf("a: %w", errors.New(canary)), hclog.Fmt("%s", canary)}
	for _, asJSON := range []bool{true, false} {
		for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
			var out bytes.Buffer
			log := hlog.Scrubbed(hclog.New(&hclog.LoggerOptions{Name: "rekey", Output: &out, Level: hclog.Trace, JSONFormat: asJSON}), scrub)
			for _, v := range values {
				log.With(canary, v).Named(canary).Log(level, "m "+canary, "k "+canary, v)
			}
			log.ResetNamed(canary).StandardLogger(nil).Print(canary)
			shows(t, out.String(), len(values)+1)
		}
	}
}

func shows(t *testing.T, text string, lines int) {
	t.Helper()
	quoted, _ := json.Marshal(canary)
	for _, form := range []string{canary, strings.Trim(string(quoted), `"`)} {
		if strings.Contains(text, form) {
			t.Errorf("%q is shown: %.300s", form, text)
		}
	}
	if n := strings.Count(text, "[redacted]"); n < lines {
		t.Errorf("%d times redacted, want %d at least: %.300s", n, lines, text)
	}
}

// TestSlogSpeaksHclog: levels, names and values as hclog has them.
func TestSlogSpeaksHclog(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		level slog.Level
		want  string
	}{{slog.LevelDebug - 4, "trace"}, {slog.LevelDebug, "debug"}, {slog.LevelInfo, "info"}, {slog.LevelWarn, "warn"}, {slog.LevelError, "error"}, {slog.LevelError + 4, "error"}} {
		for _, least := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error, hclog.Off} {
			var out bytes.Buffer
			log := hlog.Slog(hclog.New(&hclog.LoggerOptions{Name: "rekey.ldap", Output: &out, Level: least, JSONFormat: true}), scrub)
			log.With("w", canary).WithGroup("g").Log(t.Context(), x.level, "m "+canary, "n", 7, "d", time.Second, slog.Group("in", "v", secret.New(canary)))
			if wanted := hclog.LevelFromString(x.want) >= least; wanted != (out.Len() > 0) || wanted != log.Enabled(t.Context(), x.level) {
				t.Errorf("%v at %v: %q", x.level, least, out.String())
			}
			if out.Len() == 0 {
				continue
			}
			var line map[string]any
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			for key, want := range map[string]any{"@level": x.want, "@module": "rekey.ldap", "@message": "m [redacted]", "w": "[redacted]", "g.n": 7.0, "g.d": "1s", "g.in.v": "[redacted]"} {
				if line[key] != want {
					t.Errorf("%s is %v, want %v in %v", key, line[key], want, line)
				}
			}
		}
	}
}
