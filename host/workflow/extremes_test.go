package workflow

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// extremes are values of a kind at the edges of what a script can write.
func extremes(kind lang.Kind) []string {
	long := `"` + strings.Repeat("x", 5000) + `"`
	switch kind {
	case lang.KindInt:
		return []string{"-1", "0", "1 << 31", "1 << 200"}
	case lang.KindText, lang.KindValue:
		return []string{`""`, `"\n"`, `"a\x00b"`, `"\u202e"`, long}
	case lang.KindDuration, lang.KindRate, lang.KindFailures:
		return []string{`""`, `"-1s"`, `"0s"`, `"0/s"`, `"-1/s"`, `"nan%"`, `"inf/s"`, `"-0%"`, `"1e400%"`, `"999999999h"`, long}
	case lang.KindTexts, lang.KindList:
		return []string{"[]", `[""]`, `["a", "a"]`, `["a\nb"]`, "[" + long + "]"}
	case lang.KindDict, lang.KindTypes:
		return []string{"{}", `{"": ""}`, `{"a\nb": "c\nd"}`, "{" + long + ": " + long + "}"}
	}
	return nil
}

// TestNoValueIsTooStrange: whatever stands in an argument, the script is taken,
// or each thing that is wrong is one line that can be shown, with a place, and
// that does not repeat a whole page.
func TestNoValueIsTooStrange(t *testing.T) {
	const longest = maxReason + 200 // the place, and what is advised
	for _, e := range called() {
		for _, p := range e.Params {
			for _, value := range extremes(p.Kind) {
				got := complaint(t, e, callOf(e, p.Name, value))
				for line := range strings.SplitSeq(got, "\n") {
					switch shown := shorten(value, 40); {
					case line == "":
					case strings.Contains(line, "defect in rekey"):
						t.Errorf("%s(%s = %s): %s", e.Name, p.Name, shown, line)
					case len(line) > longest:
						t.Errorf("%s(%s = %s): a line of %d bytes: %s", e.Name, p.Name, shown, len(line), shorten(line, 200))
					case strings.ContainsFunc(line, unicode.IsControl):
						t.Errorf("%s(%s = %s): %q", e.Name, p.Name, shown, line)
					case e.At&lang.AtTop != 0 && !located.MatchString(line):
						t.Errorf("%s(%s = %s): no place: %s", e.Name, p.Name, shown, line)
					}
				}
			}
		}
	}
}

// located is a problem of the script, or of a file that it names.
var located = regexp.MustCompile(`^(w\.star:[1-9][0-9]*:[1-9][0-9]*|[^:]+(:[0-9]+)*): \S`)

// TestADefaultIsReadAsItIsWritten: what --help says of a parameter can be given,
// and is the same value then.
func TestADefaultIsReadAsItIsWritten(t *testing.T) {
	for _, expr := range []string{
		`param.string("p", default = "a b")`, `param.string("p", default = "")`, `param.string("p", default = "é,\"'")`,
		`param.int("p", default = -7)`, `param.int("p", default = 5, min = 5, max = 5)`, `param.int("p", default = 9223372036854775807)`,
		`param.bool("p", default = True)`, `param.bool("p", default = False)`,
		`param.path("p", default = "a/b c.csv")`, `param.duration("p", default = "1h30m")`, `param.duration("p", default = "0s")`,
		`param.choice("p", ["Fast", "slow"], default = "slow")`, `param.choice("p", ["Fast", "slow"], default = "quick", aliases = {"quick": "Fast"})`,
		`param.list("p", default = [])`, `param.list("p", default = ["a", "b c"])`,
		`param.json("p", default = None)`, `param.json("p", default = {"a": [1, 2.5, None, True, "é"]})`, `param.json("p", default = 123456789012345678901234567890)`,
	} {
		fallback, wrong := valueOfExpr(t, expr, nil, false)
		if wrong != "" {
			t.Errorf("%s: %s", expr, wrong)
			continue
		}
		flow := mustLoad(t, script(t, "p = "+expr+tail))
		text := flow.Params[0].Default
		if text == nil {
			t.Errorf("%s has no default in the help", expr)
			continue
		}
		if *text == "" && fallback == "None" {
			continue // no text stands for None
		}
		if given, wrong := valueOfExpr(t, expr, map[string]string{"p": *text}, false); given != fallback || wrong != "" {
			t.Errorf("%s is %s, given as %q %s %s", expr, fallback, *text, given, wrong)
		}
	}
}

// TestALimitIsReachedAndNotPassed: min and max themselves are taken.
func TestALimitIsReachedAndNotPassed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		least := rapid.IntRange(-5, 5).Draw(rt, "min")
		most := least + rapid.IntRange(0, 5).Draw(rt, "span")
		number := rapid.IntRange(-7, 12).Draw(rt, "number")
		expr := fmt.Sprintf(`param.int("p", min = %d, max = %d)`, least, most)
		_, wrong := valueOfExpr(t, expr, map[string]string{"p": fmt.Sprint(number)}, false)
		if taken := wrong == ""; taken != (number >= least && number <= most) {
			rt.Fatalf("%s given %d: %s", expr, number, wrong)
		}
		for limit, word := range map[int]string{least: "at least", most: "at most"} {
			if strings.Contains(wrong, word) && !strings.HasSuffix(wrong, fmt.Sprintf("%s %d", word, limit)) {
				rt.Fatalf("%s given %d: %s", expr, number, wrong)
			}
		}
	})
}

// TestAHookGetsItsParametersInAnyOrder, with defaults behind them or without.
func TestAHookGetsItsParametersInAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation([]string{"user", "step"}).Draw(rt, "order")
		taken := order[:rapid.IntRange(0, 2).Draw(rt, "taken")]
		own := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"extra", "other"}), 0, 2, rapid.ID[string]).Draw(rt, "own")
		params := slices.Clone(taken)
		for _, name := range own {
			params = append(params, name+" = 7")
		}
		checks := []string{"[" + strings.Join(own, ", ") + "] == [7] * " + fmt.Sprint(len(own))}
		for _, name := range taken {
			checks = append(checks, map[string]string{"user": `user.login == "ann"`, "step": `type(step) == "builtin"`}[name])
		}
		text := fmt.Sprintf("target = backend(\"memory\")\ndef rotate(%s):\n    return done() if %s else failed(\"mixed up\")\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate)\n",
			strings.Join(params, ", "), strings.Join(checks, " and "))
		flow := mustLoad(t, script(t, text))
		if verdict := flow.rotate(context.Background(), rowsOf(t, flow)[0], &fakeSteps{}); said(verdict) != "done" {
			rt.Fatalf("%s\n%s", text, said(verdict))
		}
	})
}

// TestALambdaOfOneParameterGetsTheUserWhateverItIsCalled, unless it asks for
// something else by name.
func TestALambdaOfOneParameterGetsTheUser(t *testing.T) {
	for _, tt := range []struct{ lambda, want string }{
		{`lambda user: done() if user.login == "ann" else failed("another")`, "done"},
		{`lambda u: done() if u.login == "ann" else failed("another")`, "done"},
		{`lambda step: done() if type(step) == "builtin" else failed(type(step))`, "done"},
		{`lambda: done()`, "done"},
		{`lambda step, user: done() if user.login == "ann" else failed("another")`, "done"},
	} {
		flow := mustLoad(t, script(t, "workflow(users = rows([\"ann\"], key = \"login\"), rotate = "+tt.lambda+")\n"))
		if verdict := flow.rotate(context.Background(), rowsOf(t, flow)[0], &fakeSteps{}); said(verdict) != tt.want {
			t.Errorf("%s: %s, want %s", tt.lambda, said(verdict), tt.want)
		}
	}
}
