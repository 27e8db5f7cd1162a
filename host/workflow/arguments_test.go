package workflow

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

// samples are values as scripts write them, and the kinds of parameters that
// take each: the contract that lang.Kind has to keep.
func samples() []sample {
	texts := []lang.Kind{lang.KindText, lang.KindDuration, lang.KindRate, lang.KindFailures, lang.KindValue, lang.KindBlocked, lang.KindAny}
	lists := []lang.Kind{lang.KindList, lang.KindTexts, lang.KindBackends, lang.KindReports, lang.KindAny}
	dicts := []lang.Kind{lang.KindDict, lang.KindTypes, lang.KindWaves, lang.KindAny}
	return []sample{
		{`"10m"`, "string", texts},
		{`7`, "int", []lang.Kind{lang.KindInt, lang.KindFailures, lang.KindAny}},
		{`1.5`, "float", []lang.Kind{lang.KindAny}},
		{`True`, "bool", []lang.Kind{lang.KindBool, lang.KindBlocked, lang.KindAny}},
		{`b"x"`, "bytes", []lang.Kind{lang.KindAny}},
		{`[]`, "list", lists},
		{`()`, "tuple", lists},
		{`["a"]`, "list", []lang.Kind{lang.KindList, lang.KindTexts, lang.KindAny}},
		{`[1]`, "list", []lang.Kind{lang.KindList, lang.KindAny}},
		{`[target]`, "list", []lang.Kind{lang.KindList, lang.KindBackends, lang.KindAny}},
		{`{}`, "dict", dicts},
		{`{"a": "b"}`, "dict", []lang.Kind{lang.KindDict, lang.KindTypes, lang.KindAny}},
		{`{"a": 1}`, "dict", []lang.Kind{lang.KindDict, lang.KindAny}},
		{`{1: "b"}`, "dict", []lang.Kind{lang.KindAny}},
		{`{"a": rule}`, "dict", []lang.Kind{lang.KindDict, lang.KindWaves, lang.KindAny}},
		{`set([1])`, "set", []lang.Kind{lang.KindAny}},
		{`(lambda user: True)`, "function", []lang.Kind{lang.KindHook, lang.KindAny}},
		{`len`, "builtin_function_or_method", []lang.Kind{lang.KindAny}},
		{`csv`, "builtin", []lang.Kind{lang.KindAny}},
		{`target`, "backend", []lang.Kind{lang.KindBackend, lang.KindAny}},
		{`users`, "source", []lang.Kind{lang.KindSource, lang.KindAny}},
		{`pin`, "policy", []lang.Kind{lang.KindPolicy, lang.KindAny}},
		{`rule`, "wave rule", []lang.Kind{lang.KindWave, lang.KindAny}},
		{`page`, "report", []lang.Kind{lang.KindReport, lang.KindAny}},
		{`ref`, "secret reference", []lang.Kind{lang.KindAny}},
		{`struct(a = 1)`, "struct", []lang.Kind{lang.KindAny}},
	}
}

type sample struct {
	text, valueType string
	fits            []lang.Kind
}

// fitting returns a value of the kind.
func fitting(k lang.Kind) string {
	for _, s := range samples() {
		if slices.Contains(s.fits, k) {
			return s.text
		}
	}
	return "None"
}

// callOf is the call of an entry with what it requires, one parameter being
// given otherwise.
func callOf(e *lang.Entry, name, value string) string {
	var args []string
	for _, p := range e.Params {
		switch {
		case p.Name == name:
			args = append(args, p.Name+" = "+value)
		case p.Required():
			args = append(args, p.Name+" = "+fitting(p.Kind))
		}
	}
	return callee(e) + "(" + strings.Join(args, ", ") + ")"
}

func callee(e *lang.Entry) string { return strings.Replace(e.Name, "BACKEND.", "target.", 1) }

const prelude = `users = rows(["ann"], key = "login")
target = backend("memory", label = "target")
rule = wave_rule()
pin = policy.pin()
page = report.summary()
ref = secret.env("A")
`

// complaint evaluates a call, at top level or in the hook that it is for, and
// returns what is wrong. In a hook the checks of the text do not see it: it is
// got by getattr.
func complaint(t testing.TB, e *lang.Entry, call string) string {
	t.Helper()
	if e.At&lang.AtTop != 0 {
		if e.Name == "workflow" {
			return problems(t, script(t, prelude+call))
		}
		return problems(t, script(t, prelude+"x = "+call+tail))
	}
	call = strings.ReplaceAll(call, "step.", "s.")
	if of, name, dotted := strings.Cut(call, "."); dotted && of == "s" {
		member, args, _ := strings.Cut(name, "(")
		call = fmt.Sprintf("getattr(step, %q)(%s", member, args)
	}
	text := prelude + "def rotate(user, step):\n    return " + call + "\nworkflow(users = users, rotate = rotate)\n"
	w, err := Load(context.Background(), script(t, text))
	if err != nil {
		return err.Error()
	}
	defer closeQuietly(w)
	v := w.rotate(context.Background(), rowsOf(t, w)[0], kindless{&fakeSteps{}})
	if v.Fault == nil {
		return ""
	}
	return v.Fault.Message
}

// kindless is the engine with backends of one kind of credential: it refuses
// every other.
type kindless struct{ *fakeSteps }

func (k kindless) Do(ctx context.Context, step journal.Step) (journal.Result, error) {
	if step.Kind != "" {
		return journal.Result{}, &journal.Fault{Code: sdk.InvalidOperation, Message: "no such kind"}
	}
	return k.fakeSteps.Do(ctx, step)
}

// called returns the functions of the language that are there.
func called() []*lang.Entry {
	return slices.DeleteFunc(lang.New().Entries(), func(e *lang.Entry) bool { return e.Use != lang.Function || e.Later != "" })
}

func TestEveryFunctionOfTheTableDoesSomething(t *testing.T) {
	l := newLanguage(newInterp(Options{}), &declaration{})
	known := map[string]bool{}
	for _, e := range called() {
		known[e.Name] = true
		if l.functions[e.Name] == nil {
			t.Errorf("%s is in the table, and functions.go has nothing for it", e.Name)
		}
	}
	for name := range l.functions {
		if !known[name] {
			t.Errorf("functions.go has %s, and the table has no such function", name)
		}
	}
}

// TestEveryParameterTakesItsKindAndNothingElse gives each parameter of the
// language a value of every type.
func TestEveryParameterTakesItsKindAndNothingElse(t *testing.T) {
	for _, e := range called() {
		for _, p := range e.Params {
			t.Run(e.Name+"/"+p.Name, func(t *testing.T) {
				for _, s := range samples() {
					got := complaint(t, e, callOf(e, p.Name, s.text))
					mismatch := regexp.MustCompile(regexp.QuoteMeta(e.Name+": "+p.Name+": ") + `(want .*, got |element \d+: want |value of .*: want |a key is )`)
					if refused := mismatch.MatchString(got); refused == slices.Contains(s.fits, p.Kind) {
						t.Errorf("%s = %s, which is %s for %s: refused is %v\n%s", p.Name, s.text, s.valueType, p.Kind, refused, got)
					}
				}
			})
		}
	}
}

// placed is a problem with file, line and column, on one line.
var placed = regexp.MustCompile(`^w\.star:[1-9][0-9]*:[1-9][0-9]*: \S.*$`)

// TestWrongArgumentsAreOneLineWithItsPlace: whatever is wrong with a call, each
// line of what is said has a line and a column, and none says more than one
// thing of the same call twice.
func TestWrongArgumentsAreOneLineWithItsPlace(t *testing.T) {
	for _, e := range called() {
		if e.At&lang.AtTop == 0 {
			continue
		}
		calls := map[string]string{}
		for _, p := range e.Params {
			if p.Required() {
				calls["without "+p.Name] = strings.Replace(callOf(e, p.Name, "GONE"), p.Name+" = GONE", "", 1)
			}
			if p.Kind != lang.KindAny {
				calls["another type of "+p.Name] = callOf(e, p.Name, "set([1])")
			}
		}
		if e.More == "" {
			calls["an unknown argument"] = strings.Replace(callOf(e, "", ""), "(", "(bicycle = 1, ", 1)
		}
		if e.Many == "" {
			calls["too many"] = callee(e) + "(" + strings.Repeat("1, ", len(e.Params)+1) + ")"
		}
		for what, call := range calls {
			call = strings.NewReplacer("(, ", "(", ", , ", ", ", ", )", ")").Replace(call)
			t.Run(e.Name+" "+what, func(t *testing.T) {
				got := complaint(t, e, call)
				if got == "" {
					t.Errorf("%s is taken", call)
				}
				for line := range strings.SplitSeq(got, "\n") {
					if !placed.MatchString(line) || strings.Contains(line, "defect in rekey") {
						t.Errorf("%s:\n%s", call, line)
					}
				}
			})
		}
	}
}

// TestTheChecksNeverContradictTheEvaluation: a step that stands in a branch which
// is not taken is refused only if the same step is refused when it is done.
func TestTheChecksNeverContradictTheEvaluation(t *testing.T) {
	var steps []*lang.Entry
	for _, e := range called() {
		if e.At == lang.InRotate && e.Dotted() {
			steps = append(steps, e)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		e := rapid.SampledFrom(steps).Draw(rt, "step")
		var args []string
		for _, p := range e.Params {
			if rapid.IntRange(0, 9).Draw(rt, "drop") > 1 || p.Required() && rapid.Bool().Draw(rt, "keep") {
				args = append(args, p.Name+" = "+rapid.SampledFrom([]string{fitting(p.Kind), fitting(p.Kind), `"x"`, "3", "None", "True", "[]", "{}", "target", "user.login"}).Draw(rt, p.Name))
			}
		}
		call := e.Name + "(" + strings.Join(args, ", ") + ")"
		text := prelude + "def rotate(user, step):\n    if user.login == \"zoe\":\n        result = " + call + "\n    step.set(target, user.login, step.generate())\nworkflow(users = users, rotate = rotate)\n"
		seen := problems(t, script(t, text))
		done := complaint(t, e, call)
		if seen != "" && done == "" {
			rt.Fatalf("%s is refused by its text and done by the evaluation:\n%s", call, seen)
		}
		for line := range strings.SplitSeq(seen, "\n") {
			if seen != "" && !placed.MatchString(line) {
				rt.Fatalf("%s: no place: %s", call, line)
			}
			if _, message, _ := strings.Cut(line, ": "); strings.Contains(message, ", got ") && !strings.Contains(done, message) {
				rt.Fatalf("%s: the text is told %q, the evaluation %q", call, message, done)
			}
		}
	})
}

func TestLoadNeedsAWayToEndTheProcess(t *testing.T) {
	o := script(t, prelude+tail)
	o.Fatal = nil
	if _, err := Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Fatal is missing") {
		t.Errorf("Load without Fatal: %v", err)
	}
}
