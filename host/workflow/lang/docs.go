package lang

import (
	"cmp"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
)

// Doc is one name of the language, as rekey docs and editors show it.
type Doc struct {
	Name      string     `json:"name"`      // dotted: an attribute, as param.int or r.status
	Signature string     `json:"signature"` // csv(path, key, delimiter = ",")
	Where     string     `json:"where"`     // in which part of a script it may be used
	Doc       string     `json:"doc"`       // the first sentence stands alone
	Params    []ParamDoc `json:"params,omitempty"`
	Example   string     `json:"example,omitempty"`
	Later     string     `json:"later,omitempty"` // it is not there yet: what to use until then
}

// ParamDoc is one parameter of a Doc.
type ParamDoc struct {
	Name    string `json:"name"`
	Default string `json:"default,omitempty"` // as written in a script; "": required
	Doc     string `json:"doc"`
}

// Docs returns every name of the language, in the order of the documentation.
func Docs(table *Table) []Doc {
	var all []Doc
	for i := range table.entries {
		all = append(all, docOf(&table.entries[i]))
	}
	return all
}

// docOf returns the entry as the documentation has it.
func docOf(entry *Entry) Doc {
	shown := Doc{Name: entry.Name, Signature: entry.Signature(), Where: entry.At.String(), Doc: entry.Doc, Example: entry.Example, Later: entry.Later}
	for _, param := range entry.Params {
		shown.Params = append(shown.Params, ParamDoc{Name: param.Name, Default: param.Default, Doc: param.Doc})
	}
	return shown
}

// Statements are the parts of Starlark itself that differ here.
func Statements() []Doc {
	return []Doc{
		{Name: "load", Signature: `load(FILE, "name", other = "name", …)`, Where: AtTop.String(),
			Doc:     "Uses names of another file. FILE is relative to the script's directory and in it or below; \"@rekey//lib/given.star\" is what ships with rekey. A name that begins with _ stays in its file.",
			Example: `load("lib/teams.star", "frozen")` + "\n" + `load("@rekey//lib/given.star", "given")`},
		{Name: "print", Signature: "print(…)", Where: Anywhere.String(), Doc: "Writes its arguments to standard error, with the place in the script; secrets are redacted."},
		{Name: "fail", Signature: "fail(…)", Where: Anywhere.String(), Doc: "Stops: at top level, in select and in wave the plan, in rotate that user, whose code is ScriptError. A user whose treatment failed is better told of by return failed(reason)."},
	}
}

// Near returns the name most like the one asked for, by its whole name
// or by what follows the dot; "": none is.
func Near(table *Table, asked string) string {
	var names, members []string
	whole := map[string]string{} // by member, the first of several
	for _, doc := range Statements() {
		names = append(names, doc.Name)
	}
	for i := range table.entries {
		name := table.entries[i].Name
		names = append(names, name)
		_, member, dotted := strings.Cut(name, ".")
		if _, known := whole[member]; dotted && !known {
			members = append(members, member)
			whole[member] = name
		}
	}
	return cmp.Or(diag.Nearest(asked, names), whole[diag.Nearest(asked, members)])
}
