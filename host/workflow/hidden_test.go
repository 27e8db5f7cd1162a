package workflow

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
)

// TestAScriptHasNoHiddenCharacters has every kind of them in every kind of
// place: a reader has to see what the parser does.
func TestAScriptHasNoHiddenCharacters(t *testing.T) {
	for name, hidden := range map[string]string{"override": "\u202e", "isolate": "\u2066", "mark": "\u200f", "Arabic mark": "\u061c", "no width": "\u200b", "joiner": "\u200d",
		"word joiner": "\u2060", "byte order mark": "\ufeff", "soft hyphen": "\u00ad", "tag": "\U000e0041", "filler": "\u3164", "ESC": "\x1b", "bell": "\a", "NUL": "\x00", "C1": "\u009b", "line separator": "\u2028"} {
		for place, text := range map[string]string{
			"comment": "# a " + hidden + "comment", "string": `x = "é` + hidden + `y"`, "name": "adm" + hidden + "in = 1", "code": "x = 1 " + hidden + "+ 2",
		} {
			got := problems(t, script(t, "\n"+text+"\n"+`workflow(users = csv("u.csv", key = "login"), backend = backend("memory"))`, "u.csv", "login\nann\n"))
			want := strings.Index(text, hidden) + 1
			if !strings.HasPrefix(got, "w.star:2:"+strconv.Itoa(want)+": the script has U+") {
				t.Errorf("%s in a %s: %s, want it at 2:%d", name, place, got, want)
			}
		}
	}
}

func TestHiddenCharactersOfAReasonAreShown(t *testing.T) {
	for in, want := range map[string]string{"\x1b[31mred": `\x1b[31mred`, "gnp\u202e.exe": `gnp\u202e.exe`, "plain é": "plain é"} {
		if got := harmless(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

// TestASecretInATextOfAReportIsAnError of every way of putting it there, and of
// no other text with the word.
func TestASecretInATextOfAReportIsAnError(t *testing.T) {
	for _, c := range []struct {
		row   string
		wrong bool
	}{
		{`{"p": "%s" % r.password}`, true},
		{`{"p": "is %s" % r.password}`, true},
		{`{"p": "{}".format(r.password)}`, true},
		{`{"p": str(r.password)}`, true},
		{`{"p": repr(r.password)}`, true},
		{`{"p": "%s" % [r.password]}`, true},
		{`{"p": str(r.user)}`, true},
		{`{"p": str(r.user.temporary)}`, true},
		{`{"p": ["x", {"y": "%s" % r.password}]}`, true},
		{`{"p": r.password}`, false},
		{`{"p": r.user.temporary, "m": r.message}`, false},
		{`{"p": "[" + "redacted" + "]"}`, true},
		{`{"p": "%s" % r.status}`, false},
	} {
		err := rowError(t, c.row, "no such account")
		var p *diag.Problems
		if c.wrong != errors.As(err, &p) {
			t.Errorf("%s: %v", c.row, err)
			continue
		}
		if c.wrong && (p.List[0].Line != 3 || !strings.Contains(p.List[0].Message, `column "p"`) || strings.Contains(err.Error(), "pw")) {
			t.Errorf("%s: %v", c.row, err)
		}
	}
	if err := rowError(t, `{"m": r.message}`, "not [redacted]"); err != nil {
		t.Errorf("what a target said: %v", err)
	}
	if err := rowError(t, `{"p": "[redacted]"}`, ""); err != nil {
		t.Errorf("what the script means: %v", err)
	}
}

// rowError is that of a row function for one user whose target said something.
func rowError(t *testing.T, row, said string) error {
	t.Helper()
	text := "workflow(users = csv(\"u.csv\", key = \"login\", secrets = [\"temporary\"]), backend = backend(\"memory\"), reports = [\n" +
		"    report.json(\"out.json\",\n        row = lambda r: " + row + ")])\n"
	w := mustLoad(t, script(t, text, "u.csv", "login,temporary\nann,t\n"))
	r := outcome(rowsOf(t, w)[0])
	r.Message = said
	_, _, err := w.ReportRow(context.Background(), 0, r)
	return err
}
