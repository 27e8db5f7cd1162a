package vet

import (
	"slices"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Values are what names of the top level stand for once it is evaluated.
type Values interface {
	// Backend returns the backend that a name of a file stands for; nil: it is
	// none, or the script leaves open which plugin it is.
	Backend(f *tree.File, name string) *Backend
	// IsText reports whether a name of a file stands for a text that is not empty.
	IsText(f *tree.File, name string) bool
}

// Script is an evaluated script.
type Script struct {
	Table    *lang.Table
	Main     *tree.File
	Files    map[string]*tree.File // by Shown, Main among them
	Values   Values
	Backends []*Backend     // in the order of their backend() calls
	Hooks    []Hook         // in the order in which they are checked
	Schema   *source.Schema // of the users; nil: not known
	OrderBy  []string       // nil too where it depends on a parameter without a value
	Waves    []string       // names; nil where they depend on such a one
}

// Hook is a function that the script gave to workflow() or a report.
type Hook struct {
	At    syntax.Position // of its def or lambda
	Phase lang.Phase
	Roles []string // what its first parameters get
}

// Findings are what the checks found, in the order of the text that each
// follows.
type Findings struct {
	Problems []source.Problem
	Warnings []source.Problem
	Given    []string          // columns whose values users get
	Used     []string          // columns whose values are given to steps as passwords, old ones too
	Forms    map[string]string // of columns of passwords, the form of their hashes; "": plain values
}

// holds notes the form of what is in a column; "": plain values.
func (f *Findings) holds(column, form string) {
	if f.Forms == nil {
		f.Forms = map[string]string{}
	}
	if before, known := f.Forms[column]; known && before != form {
		form = mixedForms
	}
	f.Forms[column] = form
}

// Check follows users, steps and results through the hooks of a script and the
// functions that they are given to.
func Check(s Script) Findings {
	c := &checker{Script: s, columns: newColumns(s.Schema), seen: map[visit]bool{}}
	for _, h := range s.Hooks {
		c.hook(h)
	}
	for _, h := range s.Hooks {
		if h.Phase == lang.InRotate {
			warnIdle(c, h)
		}
	}
	if c.columns != nil {
		checkOrder(c)
	}
	return c.found
}

// role is what a name in a hook stands for.
type role string

// The roles. The first three are the names of the hooks' parameters.
const (
	roleUser role = "user"
	roleStep role = "step"
	roleRow  role = "r"

	roleSecret role = "secret" // what user.temporary and step.generate() give
	roleNone   role = "none"   // what step.set() gives
)

// roles are what names stand for, by the first binding of a name.
type roles map[*syntax.Ident]role

// visit is one way to come to a function.
type visit struct {
	fn    *tree.Function
	phase lang.Phase
	roles string
}

// checker goes through the functions of one script.
type checker struct {
	Script
	columns *columns
	seen    map[visit]bool
	found   Findings
}

// hook checks a hook with the roles that it gets.
func (c *checker) hook(h Hook) {
	fn, given := c.hooked(h)
	if fn == nil {
		return
	}
	c.function(fn, h.Phase, given)
	if h.Phase == lang.InWave && c.Waves != nil {
		fn.Returned(func(x syntax.Expr) { c.wave(fn.File, x) })
	}
}

// hooked returns a hook's function and the roles of its parameters; nil: it is
// not seen.
func (c *checker) hooked(h Hook) (*tree.Function, roles) {
	f := c.Files[h.At.Filename()]
	if f == nil || f.FunctionAt(h.At) == nil {
		return nil, nil
	}
	fn := f.FunctionAt(h.At)
	given := roles{}
	for i, id := range fn.Params() {
		if i < len(h.Roles) && id != nil {
			given[id] = role(h.Roles[i])
		}
	}
	return fn, given
}

// function checks a body once for each set of roles that its parameters get.
func (c *checker) function(fn *tree.Function, phase lang.Phase, given roles) {
	key := visit{fn: fn, phase: phase}
	for _, id := range fn.Params() {
		if id != nil {
			key.roles += string(given[id]) + ","
		}
	}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	fn.Walk(newBody(c, fn, phase, given).node)
}

// wave checks an expression that is the name of a wave.
func (c *checker) wave(f *tree.File, x syntax.Expr) {
	switch x := x.(type) {
	case *syntax.ParenExpr:
		c.wave(f, x.X)
	case *syntax.CondExpr:
		c.wave(f, x.True)
		c.wave(f, x.False)
	case *syntax.Literal:
		if name, ok := tree.Text(x); ok && !slices.Contains(c.Waves, name) {
			c.misuse(f, x.TokenPos, lang.NoWave(name, c.Waves))
		}
	}
}

func (c *checker) note(p source.Problem) { c.found.Problems = append(c.found.Problems, p) }

func (c *checker) misuse(f *tree.File, at syntax.Position, m *lang.Misuse) {
	c.note(f.Problem(at, m.Fix, "%s", m.Message))
}

// warn notes a warning once.
func (c *checker) warn(p source.Problem) {
	if !slices.Contains(c.found.Warnings, p) {
		c.found.Warnings = append(c.found.Warnings, p)
	}
}
