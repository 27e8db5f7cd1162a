package workflow

import (
	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// hook is a function of the script, with the roles that it gets.
type hook struct {
	name  string // of the argument: select, wave, rotate or row
	phase lang.Phase
	fn    *starlark.Function
	roles []string // of its parameters, in order: user, step or r

	projection projection // of a row function that is one; else nil
}

// hookArgument reads a function and gives it the parameters that it names, of those
// on offer.
func hookArgument(args *arguments, name string, phase lang.Phase, offers ...string) *hook {
	fn, ok := args.value(name).(*starlark.Function)
	if !ok {
		return nil
	}
	fn.Freeze() // it may be a lambda that no global leads to
	made := &hook{name: name, phase: phase, fn: fn}
	takes := "it takes " + lang.Listed(offers)
	if fn.HasVarargs() || fn.HasKwargs() || fn.NumKwonlyParams() > 0 {
		args.bad(name, takes, "%s: %s has * parameters; a hook gets the parameters that it names", name, fn.Name())
		return nil
	}
	if fn.Name() == "lambda" && fn.NumParams() == 1 {
		made.roles = []string{lambdaRole(fn, offers)}
		return made
	}
	for i := range fn.NumParams() {
		if !hookRole(args, made, i, offers) {
			return nil
		}
	}
	return made
}

// lambdaRole is the role of a lambda's only parameter: the one that it names, else
// the first on offer.
func lambdaRole(fn *starlark.Function, offers []string) string {
	name, _ := fn.Param(0)
	for _, text := range offers {
		if text == name {
			return text
		}
	}
	return offers[0]
}

// hookRole gives a hook's parameter its role, or notes why it has none.
func hookRole(args *arguments, given *hook, i int, offers []string) bool {
	name, pos := given.fn.Param(i)
	offered := false
	for _, text := range offers {
		offered = offered || text == name
	}
	note := func(fix, format string, words ...any) {
		args.bad(given.name, fix, format, words...)
		problem := &args.problems[len(args.problems)-1]
		if file := args.in.files[pos.Filename()]; file != nil {
			problem.File, problem.Line, problem.Column = file.Place(pos)
		}
	}
	switch {
	case offered && len(given.roles) < i:
		note("put "+name+" first", "%s: parameter %q stands after one that a hook does not get", given.name, name)
	case offered:
		given.roles = append(given.roles, name)
	case given.fn.ParamDefault(i) == nil:
		fix := diag.DidYouMean(name, offers)
		if fix == "" {
			fix = "it takes " + lang.Listed(offers)
		}
		note(fix, "%s does not get %q", given.name, name)
	default:
		return true
	}
	return offered
}

// offers are the values that a hook may get, by their roles.
type offers struct{ user, step, r starlark.Value }

func (o offers) of(role string) starlark.Value {
	switch role {
	case "user":
		return o.user
	case "step":
		return o.step
	}
	return o.r
}

// args appends the values of a hook's parameters.
func (h *hook) args(args starlark.Tuple, values offers) starlark.Tuple {
	for _, role := range h.roles {
		args = append(args, values.of(role))
	}
	return args
}
