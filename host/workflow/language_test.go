package workflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The scripts of testdata/lang state what holds of the language, in the
// language. eq() of assert.star is for values. A mark at the end of a line is
// for what the line makes happen:
//
//	#! 12: text   loading says text, at that column of this line
//	#!! text      the hook that the line is in ends with text, at this line or
//	              at the one that text begins with
//	#> text       the engine is asked for text, or the hook ends with it
//	#= text       it prints text
//	#? 12: text   loading warns of it, at that column of this line
//	#< set refused Protected root   what the backend answers, in that hook
//	#< name=value                   what the parameter of the line is given
//
// {here} and {next} stand for the number of this line and of the next. Lines
// with #! and #!! are left out but for one at a time, so that each is
// known to be wrong by itself. A function whose name begins with select_,
// wave_, rotate_ or row_ is a hook, called for the first user; a mark beside its
// def is for what it returns.

// marked is a line of a script with a mark.
type marked struct {
	line int // from 0
	kind string
	text string
}

// starScript is a script of testdata/lang.
type starScript struct {
	name  string
	lines []string // without the marks: what a script says is looked at too
	marks []marked
	hooks []starHook
}

// starHook is a function of it, and its lines from the def to its end.
type starHook struct {
	name     string
	from, to int
}

var (
	markOf = regexp.MustCompile(`(?:^|\s+)#(!!|[!>=<?]) `)
	hookOf = regexp.MustCompile(`^def ((?:select|wave|rotate|row)_\w+)\(`)
)

// readStar reads the marks and hooks of a script.
func readStar(t *testing.T, path string) *starScript {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &starScript{name: filepath.Base(path), lines: strings.Split(string(text), "\n")}
	for i, line := range s.lines {
		if m := hookOf.FindStringSubmatch(line); m != nil {
			s.hooks = append(s.hooks, starHook{name: m[1], from: i, to: i + 1})
		} else if last := len(s.hooks) - 1; last >= 0 && s.hooks[last].to == i && (strings.HasPrefix(line, " ") || line == "") {
			s.hooks[last].to = i + 1
		}
		at := markOf.FindAllStringSubmatchIndex(line, -1)
		if len(at) > 0 {
			s.lines[i] = line[:at[0][0]]
		}
		for k, m := range at {
			to := len(line)
			if k+1 < len(at) {
				to = at[k+1][0]
			}
			places := strings.NewReplacer("{here}", strconv.Itoa(i+1), "{next}", strconv.Itoa(i+2))
			s.marks = append(s.marks, marked{line: i, kind: line[m[2]:m[3]], text: places.Replace(line[m[1]:to])})
		}
	}
	return s
}

// within returns the marks of the kinds in a hook, or of the whole script.
func (s *starScript) within(h starHook, kinds ...string) []marked {
	var list []marked
	for _, m := range s.marks {
		if m.line >= h.from && m.line < h.to && slices.Contains(kinds, m.kind) {
			list = append(list, m)
		}
	}
	return list
}

// text is the script without its wrong lines but for one, -1 for none, and
// with a call of workflow() at its end that has the hook. What stands under a
// wrong line of the top level is left out too.
func (s *starScript) text(keep int, h starHook) string {
	lines := slices.Clone(s.lines)
	for _, m := range s.marks {
		if line := lines[m.line]; strings.HasPrefix(m.kind, "!") && m.line != keep && !hookOf.MatchString(line) {
			lines[m.line] = line[:len(line)-len(strings.TrimLeft(line, " "))] + "pass"
		}
	}
	if keep >= 0 && h.name == "" {
		lines = lines[:keep+1]
	}
	text := strings.Join(lines, "\n")
	if regexp.MustCompile(`(?m)^workflow\(`).MatchString(text) {
		return text
	}
	args := ", backend = target"
	switch kind, _, _ := strings.Cut(h.name, "_"); kind {
	case "select", "wave":
		args += ", " + kind + " = " + h.name
	case "rotate":
		args = ", rotate = " + h.name
	case "row":
		args += ", reports = [report.csv(\"r.csv\", row = " + h.name + ")]"
	}
	if strings.HasPrefix(h.name, "wave_") {
		args += ", waves = {\"canary\": wave_rule(), \"most\": wave_rule(), \"rest\": wave_rule()}"
	}
	return text + "\nworkflow(users = users" + args + ")\n"
}

// load loads a text as the script, beside the others of testdata/lang, with
// what the lines that it has of its parameters are given.
func (s *starScript) load(t *testing.T, dir, text string) (*Workflow, *printed, error) {
	t.Helper()
	put(t, dir, s.name, text)
	out := &printed{}
	params, lines := map[string]string{}, strings.Split(text, "\n")
	for _, m := range s.marks {
		if m.kind == "<" && s.hookAt(m.line).name == "" && m.line < len(lines) && lines[m.line] == s.lines[m.line] {
			name, value, _ := strings.Cut(m.text, "=")
			params[name] = value
		}
	}
	w, err := Load(context.Background(), Options{Path: s.name, WorkDir: dir, Home: "/home/ann", Describe: describe, BackendNames: backendNames(), Print: out,
		Params: params, Stdin: strings.NewReader("login\nzoe\n"), Fatal: func(line string) { panic(line) }})
	if err == nil {
		t.Cleanup(func() { w.Close() })
	}
	return w, out, err
}

// wrong is what an error of loading or of a hook says: its lines, without the
// place where it is expected.
func wrong(t *testing.T, place string, err error) string {
	t.Helper()
	var list *diag.Problems
	if !errors.As(err, &list) {
		t.Fatalf("the error is %T %v, want *diag.Problems", err, err)
	}
	var texts []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		texts = append(texts, strings.TrimPrefix(line, place))
	}
	return strings.Join(texts, " & ")
}

// TestTheLanguage runs the scripts of testdata/lang, one after the other: memory
// is the process's.
func TestTheLanguage(t *testing.T) {
	paths, err := filepath.Glob("testdata/lang/*.star")
	if err != nil || len(paths) < 15 {
		t.Fatalf("scripts: %q, %v", paths, err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "assert.star" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".star"), func(t *testing.T) {
			s, dir := readStar(t, path), t.TempDir()
			for _, name := range []string{"assert.star", "people.csv", "breached.txt", "prevalence.txt"} {
				text, err := os.ReadFile(filepath.Join("testdata/lang", name))
				if err != nil {
					t.Fatal(err)
				}
				put(t, dir, name, string(text))
			}
			s.check(t, dir)
		})
	}
}

// check holds a script against its marks.
func (s *starScript) check(t *testing.T, dir string) {
	t.Helper()
	if _, out, err := s.load(t, dir, s.text(-1, starHook{})); err != nil {
		t.Errorf("without its wrong lines: %v", err)
		return
	} else if want := s.prints(starHook{to: len(s.lines)}, true); out.String() != want {
		t.Errorf("it prints\n%swant\n%s", out, want)
	}
	for _, m := range s.within(starHook{to: len(s.lines)}, "!") {
		h := s.hookAt(m.line)
		place := fmt.Sprintf("%s:%d:", s.name, m.line+1)
		if _, _, err := s.load(t, dir, s.text(m.line, h)); err == nil {
			t.Errorf("%s nothing is wrong, want %s", place, m.text)
		} else if got := wrong(t, place, err); got != m.text {
			t.Errorf("%s\n got %s\nwant %s", place, got, m.text)
		}
	}
	for _, h := range s.hooks {
		if len(s.within(h, ">", "?")) > 0 {
			s.checkHook(t, dir, h, -1, "")
		} else if len(s.within(h, "!", "!!")) == 0 {
			t.Errorf("%s:%d: %s says nothing of how it ends", s.name, h.from+1, h.name)
		}
		for _, m := range s.within(h, "!!") {
			s.checkHook(t, dir, h, m.line, m.text)
		}
	}
}

// checkWarnings holds what loading warned of against marks.
func (s *starScript) checkWarnings(t *testing.T, w *Workflow, marks []marked) {
	t.Helper()
	var got, want []string
	for _, x := range w.Warnings {
		got = append(got, x.String())
	}
	for _, m := range marks {
		want = append(want, fmt.Sprintf("%s:%d:%s", s.name, m.line+1, m.text))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s warns\n%s\nwant\n%s", s.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// hookAt is the hook that a line is in, if it is in one.
func (s *starScript) hookAt(line int) starHook {
	for _, h := range s.hooks {
		if line >= h.from && line < h.to {
			return h
		}
	}
	return starHook{}
}

// prints is what the lines of a hook say that they print, or those of no hook.
func (s *starScript) prints(h starHook, top bool) string {
	text := ""
	for _, m := range s.within(h, "=") {
		if (s.hookAt(m.line) == starHook{}) == top {
			text += fmt.Sprintf("%s:%d: %s\n", s.name, m.line+1, m.text)
		}
	}
	return text
}

// checkHook calls a hook with one of its wrong lines, or without any, and
// holds what happens against its marks.
func (s *starScript) checkHook(t *testing.T, dir string, h starHook, keep int, failure string) {
	t.Helper()
	place := fmt.Sprintf("%s:%d: %s", s.name, max(keep, h.from)+1, h.name)
	if slices.ContainsFunc(s.lines, func(line string) bool { return strings.HasPrefix(line, "workflow(") }) {
		t.Fatalf("%s is no hook of the workflow that the script calls", place)
	}
	w, out, err := s.load(t, dir, s.text(keep, h))
	if err != nil {
		t.Errorf("%s: Load: %v", place, err)
		return
	}
	out.Reset()
	if warned := s.within(h, "?"); len(warned) > 0 && keep < 0 {
		s.checkWarnings(t, w, warned)
	}
	var want []string
	for _, m := range s.within(h, ">") {
		if keep < 0 || m.line < keep {
			want = append(want, m.text)
		}
	}
	if at, elsewhere := strings.CutPrefix(failure, s.name+":"); elsewhere {
		want = append(want, at)
	} else if keep >= 0 {
		want = append(want, fmt.Sprintf("%d: %s", keep+1, failure))
	}
	got := s.called(t, w, h)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", place, got, want)
	}
	if text := s.prints(h, false); keep < 0 && out.String() != text {
		t.Errorf("%s: it prints\n%swant\n%s", place, out, text)
	}
}

// called is what a hook asks for, and how it ends.
func (s *starScript) called(t *testing.T, w *Workflow, h starHook) []string {
	t.Helper()
	row := rowsOf(t, w)[0]
	ctx := context.Background()
	text, err := "", error(nil)
	kind, _, _ := strings.Cut(h.name, "_")
	switch kind {
	case "select":
		due, reason, failed := w.Select(ctx, row)
		text, err = map[bool]string{true: "due", false: "not due"}[due], failed
		if reason != "" {
			text += ": " + reason
		}
	case "wave":
		text, err = w.Wave(ctx, row)
	case "row":
		fields, include, failed := w.ReportRow(ctx, 0, outcome(row))
		if text, err = shown(fields), failed; !include {
			text = "left out"
		}
	case "rotate":
		f := s.answers(t, h)
		v := w.rotate(ctx, row, f)
		return append(f.calls, s.verdict(v))
	}
	if err != nil {
		text = s.placed(wrong(t, s.name+":", err), row.Key)
	}
	return []string{text}
}

// placed is an error of a hook, without its column and whose call it was.
func (s *starScript) placed(text, key string) string {
	line, text, _ := strings.Cut(text, ":")
	_, text, _ = strings.Cut(text, fmt.Sprintf("(%q), people.csv:2: ", key))
	return line + ": " + text
}

// verdict is how a rotate ends; of an error of the script the place first.
func (s *starScript) verdict(v journal.Verdict) string {
	text := strings.TrimPrefix(said(v), "raised: ")
	if v.Fault == nil || v.Fault.Code != journal.ScriptError {
		return text
	}
	text = strings.TrimPrefix(text, "ScriptError: ")
	message, place, _ := strings.Cut(text, " ("+s.name+":")
	return strings.TrimSuffix(place, ")") + ": " + message
}

// answers plays the backend that a hook's marks describe.
func (s *starScript) answers(t *testing.T, h starHook) *fakeSteps {
	t.Helper()
	f := &fakeSteps{answers: map[string]journal.Result{}, faults: map[string]error{}}
	outcomes := map[string]sdk.Outcome{"applied": sdk.Applied, "already": sdk.AlreadyApplied, "refused": sdk.Refused, "unknown": sdk.Unknown}
	for _, m := range s.within(h, "<") {
		words := append(strings.SplitN(m.text, " ", 4), "", "")
		r := journal.Result{Outcome: outcomes[words[1]], Code: sdk.Code(words[2]), Message: words[3]}
		switch words[1] {
		case "fault":
			f.faults[words[0]] = &journal.Fault{Code: sdk.Code(words[2]), Message: words[3]}
			continue
		case "value":
			value := secret.Value{}
			if words[2] != "" {
				value = secret.New(words[2])
			}
			r = journal.Result{Outcome: sdk.Applied, Value: journal.Given(value)}
		case "account":
			r = journal.Result{Outcome: sdk.Applied, Account: &sdk.Account{Account: words[2], ID: words[3]}}
		default:
			if _, known := outcomes[words[1]]; !known {
				t.Fatalf("%s:%d: no such answer: %s", s.name, m.line+1, m.text)
			}
		}
		f.answers[words[0]] = r
	}
	return f
}
