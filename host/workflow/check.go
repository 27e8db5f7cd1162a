package workflow

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/types"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// The rules that Finding.Rule names, beside those of vet.
const (
	RuleScript = "script" // what keeps a script from doing what it says
	RuleSyntax = "syntax" // what is no Starlark
)

// Finding is what a check has to say of one place.
type Finding struct {
	diag.Problem
	Warning bool   // the script can be run
	Source  string // the line, if it is one of a script; texts that may be passwords are blanked
}

// Checked is what Check found.
type Checked struct {
	Flow     *Workflow // nil: it cannot be run, or is a library
	Library  bool      // it does not call workflow(): others load it
	Shown    []string  // what messages call the files that were looked at, the script first
	Findings []Finding // all of them, the script's first
}

// Sound reports whether the script can be run, or the library loaded.
func (c *Checked) Sound() bool {
	return !slices.ContainsFunc(c.Findings, func(one Finding) bool { return !one.Warning })
}

// Check finds all mistakes of a script or library, and what is left over in it.
// An error is that it could not be looked at to the end.
func Check(ctx context.Context, options Options) (*Checked, error) {
	options.Library = true
	made, err := assemble(ctx, options)
	for err == nil && made.lacksModules() && options.above < mostAbove {
		var other *assembly
		options.above++
		if other, err = assemble(ctx, options); err == nil && !other.lacksModules() {
			made = other
		}
	}
	if err != nil {
		return nil, err
	}
	found := &Checked{Library: made.library}
	for _, file := range made.in.spec.Files {
		found.Shown = append(found.Shown, file.Name)
	}
	for _, problem := range mistaken(made) {
		if !made.in.notes.at(problem) { // another check, or the evaluation, may have come by it
			made.in.notes.add(problem)
		}
	}
	made.in.spec.Warnings = append(made.in.spec.Warnings, leftOver(made)...)
	found.Findings = findings(made)
	switch {
	case !found.Sound() || made.library:
		err = made.in.spool.Close()
	default:
		found.Flow = made.workflow()
	}
	return found, err
}

// mostAbove is in how many directories above that of a library is looked for
// those that it loads.
const mostAbove = 4

// lacksModules reports whether a library loads what is not there: it may lie below
// the script whose directory its names are relative to.
func (a *assembly) lacksModules() bool {
	return a.library && slices.ContainsFunc(a.in.notes.all(a.in.rank), func(one diag.Problem) bool {
		return strings.HasPrefix(one.Message, "load: ") && strings.HasSuffix(one.Message, " does not exist") && one.File == a.in.script.Shown
	})
}

// findings are the notes and the warnings, by their places. Of two at one place the first
// noted stays.
func findings(made *assembly) []Finding {
	in := made.in
	problems := in.notes.all(in.rank)
	var all []Finding
	for _, problem := range problems {
		all = append(all, in.finding(problem, false))
	}
	for _, problem := range in.spec.Warnings {
		all = append(all, in.finding(problem, true))
	}
	slices.SortStableFunc(all, func(one, other Finding) int {
		return cmp.Or(cmp.Compare(in.rank(one.File), in.rank(other.File)), cmp.Compare(one.File, other.File), cmp.Compare(one.Line, other.Line), cmp.Compare(one.Column, other.Column))
	})
	return all
}

// finding is a problem with its line.
func (in *interp) finding(problem diag.Problem, warning bool) Finding {
	made := Finding{Problem: problem, Warning: warning}
	made.Rule = cmp.Or(problem.Rule, RuleScript)
	file := in.files[problem.File]
	if file == nil || problem.Line < 1 {
		return made
	}
	lines := tree.Lines(string(file.Text))
	if problem.Line <= len(lines) {
		made.Source = withoutPasswords(lines[problem.Line-1], problem)
	}
	return made
}

// own are the files that are looked into once they are evaluated: those that do
// not ship with rekey.
func (a *assembly) own() []*tree.File {
	if a.in.script == nil || a.in.script.Program == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.in.ordered), func(file *tree.File) bool {
		return file.Program == nil || file != a.in.script && strings.HasPrefix(file.Name, embeddedModule)
	})
}

// mistaken is what is certainly wrong in the text of the files, beside what an
// evaluation and the checks of a run find.
func mistaken(made *assembly) []diag.Problem {
	var all []diag.Problem
	for _, file := range made.own() {
		all = append(all, vet.Duplicates(file)...)
	}
	return append(all, types.Check(scriptOf(made.in, made.declared, made.in.columns), made.own())...)
}

// leftOver is what the text of the files has and does not need.
func leftOver(made *assembly) []diag.Problem {
	var all []diag.Problem
	for _, file := range made.own() {
		all = append(all, vet.Unused(file, file == made.in.script && !made.library, scriptOf(made.in, made.declared, nil).Hooks)...)
		all = append(all, vet.Unreachable(file)...)
		all = append(all, vet.MixedIndent(file)...)
	}
	return all
}

// callsWorkflow reports whether a file calls workflow() anywhere.
func callsWorkflow(file *tree.File) bool {
	if file == nil || file.Tree == nil {
		return true // what cannot be read may well be a script
	}
	calls := false
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		if call, is := node.(*syntax.CallExpr); is {
			id, named := call.Fn.(*syntax.Ident)
			calls = calls || named && id.Name == "workflow"
		}
		return !calls
	})
	return calls
}

// A line of a script is shown with what it says, but not with a password that
// stands in it in clear.
var (
	passwordText = regexp.MustCompile(`(?i)(\w*(?:pass|pwd|secret|token|pin|credential)\w*["']?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')`)
	anyText      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	givesValue   = regexp.MustCompile(`\.(?:try_)?(?:set|change|verify|handover)\(`)
	namesOther   = regexp.MustCompile(`(?:kind|hash_format|account)\s*=\s*$`)
)

// withoutPasswords blanks the texts of a line that may be passwords, at their
// length, so that the column stays.
func withoutPasswords(line string, problem diag.Problem) string {
	blank := func(text string) string { return text[:1] + strings.Repeat("*", len(text)-2) + text[len(text)-1:] }
	switch {
	case strings.Contains(problem.Message, "password"):
		return anyText.ReplaceAllStringFunc(line, blank)
	case givesValue.MatchString(line):
		return blankedValues(line, blank)
	}
	return passwordText.ReplaceAllStringFunc(line, func(found string) string {
		parts := passwordText.FindStringSubmatch(found)
		return parts[1] + blank(parts[2])
	})
}

// blankedValues blanks the texts of a line on which a step is given a value, but
// for those whose argument says that they are none.
func blankedValues(line string, blank func(string) string) string {
	var out strings.Builder
	at := 0
	for _, text := range anyText.FindAllStringIndex(line, -1) {
		out.WriteString(line[at:text[0]])
		if at = text[1]; namesOther.MatchString(line[:text[0]]) {
			out.WriteString(line[text[0]:text[1]])
		} else {
			out.WriteString(blank(line[text[0]:text[1]]))
		}
	}
	return out.String() + line[at:]
}
