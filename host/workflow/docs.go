package workflow

import (
	"cmp"
	"strings"
)

// Entry is one name of the language, as rekey docs and editors show it.
type Entry struct {
	Name      string     `json:"name"`      // dotted: an attribute, as param.int or r.status
	Signature string     `json:"signature"` // csv(path, key, delimiter = ",")
	Where     string     `json:"where"`     // in which part of a script it may be used
	Doc       string     `json:"doc"`       // the first sentence stands alone
	Params    []EntryArg `json:"params,omitempty"`
	Example   string     `json:"example,omitempty"`
	Later     string     `json:"later,omitempty"` // it is not there yet: what to use until then
}

// EntryArg is one parameter of an Entry.
type EntryArg struct {
	Name    string `json:"name"`
	Default string `json:"default,omitempty"` // as written in a script; "": required
	Doc     string `json:"doc"`
}

// Docs returns every name of the language, in the order of the design: the
// same table that scripts are checked by.
func Docs() []Entry {
	var all []Entry
	for _, e := range table() {
		shown := Entry{Name: e.name, Signature: e.signature(), Where: e.at.String(), Doc: e.doc, Example: e.example, Later: e.later}
		for _, p := range e.params {
			shown.Params = append(shown.Params, EntryArg{Name: p.name, Default: p.def, Doc: p.doc})
		}
		all = append(all, shown)
	}
	return all
}

// Statements are what scripts use of Starlark itself that is another here.
func Statements() []Entry {
	return []Entry{
		{Name: "load", Signature: `load(FILE, "name", other = "name", …)`, Where: atTop.String(),
			Doc:     "Uses names of another file. FILE is relative to the script's directory and in it or below; \"@rekey//lib/given.star\" is what ships with rekey. A name that begins with _ stays in its file.",
			Example: `load("lib/teams.star", "frozen")` + "\n" + `load("@rekey//lib/given.star", "no_passwords_beside")`},
		{Name: "print", Signature: "print(…)", Where: anywhere.String(), Doc: "Writes its arguments to standard error, with the place in the script; secrets are redacted."},
		{Name: "fail", Signature: "fail(…)", Where: anywhere.String(), Doc: "Stops: at top level, in select and in wave the plan, in rotate that user, whose code is ScriptError. A user whose treatment failed is better told of by return failed(reason)."},
	}
}

// NearName returns the name of the language that is most like the one asked
// for, by its whole name or by what follows the dot; "": none is.
func NearName(asked string) string {
	var names, members []string
	whole := map[string]string{} // by member, the first of several
	for _, e := range Statements() {
		names = append(names, e.Name)
	}
	for _, e := range table() {
		names = append(names, e.name)
		_, member, dotted := strings.Cut(e.name, ".")
		if _, known := whole[member]; dotted && !known {
			members = append(members, member)
			whole[member] = e.name
		}
	}
	return cmp.Or(nearest(asked, names), whole[nearest(asked, members)])
}
