package workflow

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

// declaration is what workflow() was called with.
type declaration struct {
	called          bool
	unresolvedWaves bool // their names depend on a parameter without a value
	unresolvedOrder bool // so does order_by
	hooks           hooks
}

// hooks are the functions of a script for one user.
type hooks struct {
	choose, wave, rotate *hook
	reports              []*reportValue
	target               *backendValue // of a workflow without rotate
	users                *sourceValue
}

// all returns the hooks that there are.
func (h *hooks) all() []*hook {
	all := []*hook{h.choose, h.wave, h.rotate}
	for _, reportValue := range h.reports {
		all = append(all, reportValue.row)
	}
	return slices.DeleteFunc(all, func(one *hook) bool { return one == nil })
}

// workflow is workflow().
func (d *declaration) workflow(args *arguments) (starlark.Value, error) {
	in := args.in
	switch file := args.site().File; {
	case d.called:
		args.bad("", "merge them, or make two scripts", "workflow() is called twice")
		return starlark.None, nil
	case file != nil && file != in.script:
		args.bad("", "call it in the script, and load() what it needs", "workflow() is called in a loaded file")
		return starlark.None, nil
	}
	d.called = true
	d.readHooks(args)
	d.unresolvedWaves, d.unresolvedOrder = args.unresolved("waves"), args.unresolved("order_by")
	spec := &in.spec
	spec.HasSelect, spec.HasWave, spec.HasRotate = d.hooks.choose != nil, d.hooks.wave != nil, d.hooks.rotate != nil
	spec.OrderBy = readOrderBy(args)
	spec.Waves = readWaves(args, spec.HasWave)
	spec.Concurrency = args.number("concurrency", 1)
	spec.Revert = args.choice("on_failure", "keep", "revert") == "revert"
	if p, ok := args.value("policy").(*policyValue); ok {
		spec.Policy = p.spec
	}
	for _, reportValue := range d.hooks.reports {
		spec.Reports = append(spec.Reports, reportValue.spec)
	}
	checkTarget(args, d.hooks.target)
	return starlark.None, nil
}

// readHooks reads the functions, and what the hooks are called for.
func (d *declaration) readHooks(args *arguments) {
	d.hooks = hooks{
		choose:  hookArgument(args, "select", lang.InSelect, "user"),
		wave:    hookArgument(args, "wave", lang.InWave, "user"),
		rotate:  hookArgument(args, "rotate", lang.InRotate, "user", "step"),
		reports: readReports(args),
	}
	if users, ok := args.value("users").(*sourceValue); ok {
		d.hooks.users, args.in.spec.Users = users, users.source
	}
	if target, ok := args.value("backend").(*backendValue); ok {
		args.in.spec.Default, d.hooks.target = target.Label, target
	}
}

// readOrderBy reads the columns that users are sorted by.
func readOrderBy(args *arguments) []string {
	columns := args.texts("order_by")
	seen := map[string]bool{}
	for _, written := range columns {
		name := strings.TrimPrefix(written, "-")
		if seen[name] {
			args.badValue("order_by", "", "order_by names %q twice", name)
		}
		seen[name] = true
	}
	return columns
}

// checkTarget checks the backend of a workflow without rotate.
func checkTarget(args *arguments, to *backendValue) {
	switch {
	case args.in.spec.HasRotate:
	case to == nil && (args.has("rotate") || len(args.problems) > 0): // the mistake has been noted
	case to == nil:
		args.bad("", `give it backend = backend("…"), or a rotate hook`, "one of backend and rotate is required")
	case !to.Known:
	case !to.Desc.Does(sdk.Set):
		args.bad("backend", "write a rotate hook", "backend %q cannot set passwords", to.Label)
	case !to.Desc.HasKind(""):
		args.bad("backend", "write a rotate hook that names one", "backend %q has credentials of several kinds: %s", to.Label, strings.Join(to.Kinds(), ", "))
	}
}
