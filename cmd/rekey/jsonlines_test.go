package main_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestStandardErrorIsOfOneFormat: with --log-format json each line is an object
// with hclog's keys, whoever writes it.
func TestStandardErrorIsOfOneFormat(t *testing.T) {
	p := newPlace(t)
	p.write("users.csv", "login,pw\nann,x-1\nbob,x-1\n")
	p.write("r.star", "b = backend(\"memory\")\ndef rotate(user, step):\n    print(\"at\", user.login)\n    step.set(b, user.login, user.pw)\nworkflow(users = csv(\"users.csv\", key = \"login\"), rotate = rotate)\n")
	p.write("bad.star", "x = null\n")
	p.env = append(p.env, "REKEY_LOG=debug")
	for _, c := range []struct {
		args  []string
		exit  int
		level string // of the line with these words
		words string
	}{
		{[]string{"run", "r.star", "--yes"}, 0, "info", "finished: 2 users, 2 done"},
		{[]string{"run", "r.star", "--yes", "--new"}, 0, "info", "audit head "},
		{[]string{"run", "r.star", "--yes", "--new"}, 0, "warn", `column "pw" gives user "bob" the value`},
		{[]string{"run", "r.star", "--yes", "--new"}, 0, "info", "r.star:3: at ann"},
		{[]string{"run", "r.star", "--yes", "--new", "--json"}, 0, "info", "run "},
		{[]string{"run", "r.star", "--new"}, 2, "error", "give --yes"},
		{[]string{"check", "bad.star"}, 2, "error", "undefined: null"},
		{[]string{"run"}, 2, "error", "run wants a SCRIPT"},
		{[]string{"show", "last", "--status", "failed"}, 0, "info", "no user of run "},
		{[]string{"show", "rnone"}, 2, "error", "rnone"},
	} {
		r := p.must(c.exit, append(c.args, "--log-format", "json")...)
		found := false
		for line := range strings.Lines(r.stderr) {
			var said struct {
				Level   string `json:"@level"`
				Message string `json:"@message"`
				Module  string `json:"@module"`
				At      string `json:"@timestamp"`
			}
			if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level == "" || said.Message == "" || said.Module == "" || said.At == "" {
				t.Errorf("%q: %v: %s", c.args, err, line)
			}
			found = found || said.Level == c.level && strings.Contains(said.Message, c.words)
		}
		if !found {
			t.Errorf("%q: no line of level %s with %q:\n%s", c.args, c.level, c.words, r.stderr)
		}
		if text := p.must(c.exit, c.args...).stderr; strings.Contains(text, "\x00") || !strings.Contains(text, "rekey: ") {
			t.Errorf("%q: %s", c.args, text)
		}
	}
}
