package workflow

import (
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
)

// hooks are the functions of a script that are called for one user.
type hooks struct {
	choose, wave, rotate *hook
	reports              []*reportValue
	target               *backendValue // of a workflow without rotate
	users                *sourceValue
}

func (c *call) workflow() (starlark.Value, error) {
	in := c.state.in
	switch f := c.site().file; {
	case in.called:
		c.bad("", "merge them, or make two scripts", "workflow() is called twice")
		return starlark.None, nil
	case f != nil && f != in.script:
		c.bad("", "call it in the script, and load() what it needs", "workflow() is called in a loaded file")
		return starlark.None, nil
	}
	in.called = true
	w := in.workflow
	w.hooks = hooks{choose: c.hook("select", "user"), wave: c.hook("wave", "user"), rotate: c.hook("rotate", "user", "step"), reports: c.reports()}
	w.HasSelect, w.HasWave, w.HasRotate = w.hooks.choose != nil, w.hooks.wave != nil, w.hooks.rotate != nil
	if users, ok := c.value("users").(*sourceValue); ok {
		w.hooks.users, w.Users = users, users.source
	}
	in.looseWaves, in.looseOrder = c.loose("waves"), c.loose("order_by")
	w.OrderBy = c.orderBy()
	w.Waves = c.waves(w.HasWave)
	w.Concurrency = c.number("concurrency", 1)
	w.Revert = c.choice("on_failure", "keep", "revert") == "revert"
	if p, ok := c.value("policy").(*policyValue); ok {
		w.Policy = p.spec
	}
	for _, r := range w.hooks.reports {
		w.Reports = append(w.Reports, r.spec)
	}
	c.target(w)
	return starlark.None, nil
}

func (c *call) orderBy() []string {
	columns := c.texts("order_by")
	seen := map[string]bool{}
	for _, name := range columns {
		if seen[name] {
			c.badValue("order_by", "", "order_by names %q twice", name)
		}
		seen[name] = true
	}
	return columns
}

// target checks the backend of a workflow without rotate.
func (c *call) target(w *Workflow) {
	b, given := c.value("backend").(*backendValue)
	if given {
		w.Default, w.hooks.target = b.spec.Label, b
	}
	switch {
	case w.HasRotate:
	case !given && (c.has("rotate") || len(c.problems) > 0): // what is wrong has been said
	case !given:
		c.bad("", `give it backend = backend("…"), or a rotate hook`, "one of backend and rotate is required")
	case !b.known:
	case !b.desc.Does(sdk.Set):
		c.bad("backend", "write a rotate hook", "backend %q cannot set passwords", b.spec.Label)
	case !b.desc.HasKind(""):
		c.bad("backend", "write a rotate hook that names one", "backend %q has credentials of several kinds: %s", b.spec.Label, strings.Join(kindNames(b.desc), ", "))
	}
}

func kindNames(d sdk.Description) []string {
	names := make([]string, len(d.Kinds))
	for i, k := range d.Kinds {
		names[i] = k.Name
	}
	return names
}

// hook is a function of the script, with the roles that it gets.
type hook struct {
	name  string
	fn    *starlark.Function
	roles []string // of its parameters, in order: user, step or r
}

// hook reads an argument that is a function and gives it the parameters that
// it names, of those on offer.
func (c *call) hook(name string, offers ...string) *hook {
	fn, ok := c.value(name).(*starlark.Function)
	if !ok {
		return nil
	}
	fn.Freeze() // it may be a lambda that no global leads to
	h := &hook{name: name, fn: fn}
	takes := "it takes " + listed(offers)
	if fn.HasVarargs() || fn.HasKwargs() || fn.NumKwonlyParams() > 0 {
		c.bad(name, takes, "%s: %s has * parameters; a hook gets the parameters that it names", name, fn.Name())
		return nil
	}
	required := 0
	for i := range fn.NumParams() {
		if fn.ParamDefault(i) == nil {
			required++
		}
	}
	if fn.Name() == "lambda" && fn.NumParams() == 1 {
		h.roles = []string{lambdaRole(fn, offers)}
		return h
	}
	for i := range fn.NumParams() {
		if !c.role(h, i, offers) {
			return nil
		}
	}
	return h
}

// lambdaRole is what a lambda of one parameter gets: what it names, else the
// first on offer.
func lambdaRole(fn *starlark.Function, offers []string) string {
	name, _ := fn.Param(0)
	for _, o := range offers {
		if o == name {
			return o
		}
	}
	return offers[0]
}

// role gives a hook's parameter its role, or notes why it has none.
func (c *call) role(h *hook, i int, offers []string) bool {
	name, pos := h.fn.Param(i)
	offered := false
	for _, o := range offers {
		offered = offered || o == name
	}
	note := func(fix, format string, args ...any) {
		c.bad(h.name, fix, format, args...)
		x := &c.problems[len(c.problems)-1]
		if f := c.state.in.files[pos.Filename()]; f != nil {
			x.File, x.Line, x.Column = f.place(pos)
		}
	}
	switch {
	case offered && len(h.roles) < i:
		note("put "+name+" first", "%s: parameter %q stands after one that a hook does not get", h.name, name)
	case offered:
		h.roles = append(h.roles, name)
	case h.fn.ParamDefault(i) == nil:
		fix := didYouMean(name, offers)
		if fix == "" {
			fix = "it takes " + listed(offers)
		}
		note(fix, "%s does not get %q", h.name, name)
	default:
		return true
	}
	return offered
}

// args are the values of a hook's parameters.
func (h *hook) args(values map[string]starlark.Value) starlark.Tuple {
	args := make(starlark.Tuple, len(h.roles))
	for i, role := range h.roles {
		args[i] = values[role]
	}
	return args
}
