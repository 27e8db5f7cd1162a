package types

import (
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// names turn what a script writes into types.
type names struct {
	table  *lang.Table
	byName map[string]lang.TypeName
	schema *source.Schema
}

func newNames(table *lang.Table, schema *source.Schema) *names {
	made := &names{table: table, byName: map[string]lang.TypeName{}, schema: schema}
	for _, one := range lang.TypeNames() {
		made.byName[one.Name] = one
	}
	return made
}

// flaw is a type that a script cannot write.
type flaw struct {
	at           *tree.TypeExpr
	message, fix string
}

// read is the type of an expression, and what is wrong with that.
func (n *names) read(expr *tree.TypeExpr) (Type, *flaw) {
	if expr.Either != nil {
		var either Type
		for i, part := range expr.Either {
			one, bad := n.read(part)
			if bad != nil {
				return nil, bad
			}
			if i == 0 {
				either = one
			} else {
				either = either.or(one)
			}
		}
		return either, nil
	}
	known, is := n.byName[expr.Name]
	if !is {
		return nil, n.unknown(expr)
	}
	if len(expr.Of) > 0 && len(expr.Of) != len(known.Of) {
		fix := "write " + expr.Name
		if len(known.Of) > 0 {
			fix += "[" + strings.Join(known.Of, ", ") + "]"
		}
		return nil, &flaw{expr, expr.Name + " does not take that in brackets", fix}
	}
	made := n.named(known)
	for i, part := range expr.Of {
		of, bad := n.read(part)
		if bad != nil {
			return nil, bad
		}
		if i == 0 {
			made[0].of = of
		} else {
			made[0].value = of
		}
	}
	return made, nil
}

// unknown is what is wrong with a name that is no type.
func (n *names) unknown(expr *tree.TypeExpr) *flaw {
	var all []string
	for _, one := range lang.TypeNames() {
		all = append(all, one.Name)
	}
	fix := map[string]string{"string": "write str", "integer": "write int", "number": "write int or float", "boolean": "write bool", "any": "write Any", "object": "write Any",
		"Optional": "write X | None", "Union": "write X | Y", "List": "write list[X]", "Dict": "write dict[K, V]", "Callable": "write Function"}[expr.Name]
	if fix == "" {
		fix = diag.DidYouMean(expr.Name, all)
	}
	if fix == "" {
		fix = "see rekey docs types"
	}
	return &flaw{expr, "there is no type " + expr.Name, fix}
}

// named is a type of the language's.
func (n *names) named(known lang.TypeName) Type {
	if known.Value == "" {
		return nil
	}
	made := kind{name: known.Value}
	switch {
	case known.Value == tUser:
		made.fields = n.columns()
	case known.Member != "" || known.Fields != nil:
		made.fields = n.members(known)
	}
	return Type{made}
}

// text is the type that a text of the table's writes.
func (n *names) text(written string) Type {
	var either Type
	for i, part := range strings.Split(written, " | ") {
		name, of, _ := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		one := n.named(n.byName[name])
		if one == nil {
			return nil
		}
		if key, value, two := strings.Cut(of, ", "); two {
			one[0].of, one[0].value = n.text(key), n.text(value)
		} else if of != "" {
			one[0].of = n.text(of)
		}
		if i == 0 {
			either = one
		} else {
			either = either.or(one)
		}
	}
	return either
}

// members are the attributes of a value of the language's.
func (n *names) members(known lang.TypeName) map[string]Type {
	made := map[string]Type{}
	for _, field := range known.Fields {
		made[field.Name] = n.text(field.Type)
	}
	if known.Member == "" {
		return made
	}
	for _, name := range n.table.Members(known.Member) {
		entry := n.table.Member(known.Member, name)
		switch {
		case entry.Use == lang.Function:
			made[name] = Type{{name: tBuiltin, entry: entry}}
		case entry.Gives == lang.KindDict || entry.Gives == lang.KindUser && n.schema == nil: // of r: they are no dicts of scripts
			made[name] = nil
		default:
			made[name] = n.text(entry.Gives.Written()).or(just(tNone))
		}
	}
	if known.Member == "r" {
		made["user"] = n.named(n.byName["User"])
	}
	return made
}

// columns are the types of the users' cells; nil: they are not known.
func (n *names) columns() map[string]Type {
	if n.schema == nil {
		return nil
	}
	made := map[string]Type{}
	for _, column := range n.schema.Columns {
		switch {
		case column.Secret:
			made[column.Name] = n.text("Secret")
		case column.Type == source.Any:
			made[column.Name] = nil
		default:
			name := map[source.Type]string{source.Int: "int", source.Bool: "bool", source.Date: "Date"}[column.Type]
			if name == "" {
				name = "str"
			}
			made[column.Name] = n.text(name).or(just(tNone))
		}
	}
	return made
}

// methodsOf are the attributes of a value of the interpreter's; false: nothing is
// known of them.
func methodsOf(name string) (list []string, known bool) {
	switch name {
	case tString:
		return starlark.String("").AttrNames(), true
	case tBytes:
		return starlark.Bytes("").AttrNames(), true
	case tList:
		return new(starlark.List).AttrNames(), true
	case tDict:
		return new(starlark.Dict).AttrNames(), true
	case tSet:
		return new(starlark.Set).AttrNames(), true
	case tInt, tFloat, tBool, tNone, tTuple, tRange, tFunction, tSecret, tVerdict, "source", "policy", "wave rule", "report", "secret reference":
		return nil, true
	}
	return nil, false
}

// gives are what methods and functions of the interpreter's give, as far as it is of one
// type whatever they are called with.
func gives(method string) string {
	name := method[strings.Index(method, ".")+1:]
	switch {
	case strings.HasPrefix(method, "string."):
		switch {
		case strings.HasPrefix(name, "is") || name == "startswith" || name == "endswith":
			return "bool"
		case slices.Contains([]string{"count", "find", "index", "rfind", "rindex"}, name):
			return "int"
		case name == "split" || name == "rsplit" || name == "splitlines":
			return "list[str]"
		case name == "partition" || name == "rpartition":
			return "tuple"
		case slices.Contains([]string{"elems", "codepoints", "elem_ords", "codepoint_ords"}, name):
			return ""
		}
		return "str"
	case strings.HasPrefix(method, "list."):
		return map[string]string{"append": "None", "clear": "None", "extend": "None", "insert": "None", "remove": "None", "index": "int"}[name]
	case strings.HasPrefix(method, "dict."):
		return map[string]string{"clear": "None", "update": "None", "keys": "list", "values": "list", "items": "list"}[name]
	case strings.HasPrefix(method, "set."):
		return map[string]string{"add": "None", "clear": "None", "discard": "None", "remove": "None"}[name]
	}
	return map[string]string{"len": "int", "str": "str", "repr": "str", "type": "str", "bool": "bool", "int": "int", "float": "float", "list": "list", "tuple": "tuple", "sorted": "list",
		"reversed": "list", "enumerate": "list", "zip": "list", "any": "bool", "all": "bool", "dir": "list[str]", "hasattr": "bool", "print": "None", "hash": "int", "ord": "int", "chr": "str", "dict": "dict",
		"set": "set", "bytes": "bytes"}[name]
}

// takes are the types that the first argument of a function of the interpreter's may
// have; nil: any.
func takes(method string) []string {
	whole := []string{tList, tTuple, tDict, tSet, tRange}
	switch method {
	case "len":
		return append(whole, tString, tBytes)
	case "list", "tuple", "sorted", "reversed", "enumerate", "any", "all", "set", "string.join", "list.extend":
		return whole
	case "range", "chr":
		return []string{tInt}
	case "int":
		return []string{tInt, tFloat, tBool, tString}
	case "float":
		return []string{tInt, tFloat, tBool, tString}
	case "string.startswith", "string.endswith":
		return []string{tString, tTuple}
	case "string.replace", "string.find", "string.count", "string.index", "string.rfind", "string.partition", "string.rpartition", "string.removeprefix", "string.removesuffix":
		return []string{tString}
	case "string.split", "string.strip", "string.lstrip", "string.rstrip", "string.rsplit":
		return []string{tString, tNone}
	}
	return nil
}
