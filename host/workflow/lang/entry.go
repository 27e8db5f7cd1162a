package lang

import "strings"

// Unset is the default of a parameter simply absent without it.
const Unset = "unset"

// Param is one parameter of a function.
type Param struct {
	Name    string
	Kind    Kind
	Default string // as written in Starlark; "": the parameter is required
	Doc     string
}

// Required reports whether a call has to give the parameter.
func (p Param) Required() bool { return p.Default == "" }

// Help says what the parameter is.
func (p Param) Help() string { return p.Name + ": " + p.Doc }

// TakesNone reports whether None is accepted whatever the kind: it means that
// the parameter is not given, or it is a value of its own.
func (p Param) TakesNone() bool {
	return p.Default == "None" || p.Default == Unset || p.Name == "quote" || p.Name == "delimiter"
}

// Use is how scripts use a name.
type Use uint8

// The uses.
const (
	Value     Use = iota // an attribute, or a hook's parameter
	Function             // called
	Namespace            // only its members are used
	Hook                 // defined by the script, and given to workflow() or a report
)

// Entry is one name of the language. A dotted name is an attribute: of a
// namespace (param.int), of a function (policy.pin) or of a kind of value
// (BACKEND.accounts, r.status).
type Entry struct {
	Name    string
	At      Phase
	Use     Use
	Params  []Param
	Many    string // name of a *parameter; "": none
	More    string // name of a **parameter; "": none
	Gives   Kind
	Later   string // the name is reserved: what to use until it comes
	Rename  string // what to call a variable of one's own instead
	Doc     string // the first sentence stands alone
	Example string // a script, or a part of one, that loads
}

// Signature is how the entry is called: csv(path, key, delimiter = ",").
func (e *Entry) Signature() string {
	if e.Use != Function && len(e.Params) == 0 {
		return e.Name
	}
	var parts []string
	for _, param := range e.Params {
		switch param.Default {
		case "", Unset:
			parts = append(parts, param.Name)
		default:
			parts = append(parts, param.Name+" = "+param.Default)
		}
	}
	if e.Many != "" {
		parts = append(parts, "*"+e.Many)
	}
	if e.More != "" {
		parts = append(parts, "**"+e.More)
	}
	return e.Name + "(" + strings.Join(parts, ", ") + ")"
}

// ParamNames returns the names of the parameters, in their order.
func (e *Entry) ParamNames() []string {
	names := make([]string, len(e.Params))
	for i, param := range e.Params {
		names[i] = param.Name
	}
	return names
}

// Index returns the position of a parameter; -1: the entry has none of that
// name.
func (e *Entry) Index(name string) int {
	for i := range e.Params {
		if e.Params[i].Name == name {
			return i
		}
	}
	return -1
}

// Dotted reports whether the name is an attribute of another.
func (e *Entry) Dotted() bool { return strings.Contains(e.Name, ".") }

// InScope reports whether a script can write the name by itself. A hook's
// parameters and the hooks' own names are listed for their documentation only.
func (e *Entry) InScope() bool {
	return !e.Dotted() && (e.Use == Function || e.Use == Namespace && e.At&AtTop != 0)
}

// ComesLater is the misuse of a reserved name.
func (e *Entry) ComesLater() *Misuse {
	return &Misuse{Message: e.Name + " comes later", Fix: "until then use " + e.Later}
}

// Misplaced is the misuse of a name in a phase that it is not for. hook names
// the phase for the message.
func (e *Entry) Misplaced(at Phase, hook string) *Misuse {
	if at == AtTop {
		hook = "the top level"
	}
	fix := "use it in " + e.At.String()
	if e.At == AtTop {
		fix = "make it at top level and give it a name"
	}
	return &Misuse{Message: e.Name + " cannot be used in " + hook, Fix: fix}
}
