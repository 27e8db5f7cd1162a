package lang

import (
	"fmt"
	"slices"
	"strings"
)

// Stubs are the names of the language for editors that read Python: a rekey.pyi with
// types, defaults and documentation. What comes later is left out.
func Stubs(table *Table) string {
	made := &stubs{table: table}
	made.out.WriteString("# What rekey scripts can use, for editors that read stubs of Python.\nfrom collections.abc import Callable\nfrom typing import Any, NoReturn\n\nFunction = Callable[..., Any]\n")
	for _, one := range TypeNames() {
		made.class(one)
	}
	for _, entry := range table.Entries() {
		switch {
		case !entry.InScope() || entry.Later != "":
		case len(table.Members(entry.Name)) > 0:
			made.namespace(entry)
		default:
			made.out.WriteString("\n")
			made.function(entry, entry.Name, "", "")
		}
	}
	made.out.WriteString("\ndef fail(*args: Any) -> NoReturn: ...\n")
	return made.out.String()
}

// stubs are being written.
type stubs struct {
	out   strings.Builder
	table *Table
}

// python are the types that Python has itself.
var python = []string{"str", "int", "float", "bool", "None", "bytes", "list", "tuple", "dict", "set", "Any", "Function"}

// class writes a type of the language's.
func (s *stubs) class(one TypeName) {
	if slices.Contains(python, one.Name) {
		return
	}
	fmt.Fprintf(&s.out, "\nclass %s:\n%s", one.Name, docstring("    ", one.Doc, nil))
	for _, field := range one.Fields {
		fmt.Fprintf(&s.out, "    %s: %s\n", field.Name, field.Type)
	}
	if one.Member != "" {
		s.members(one.Member)
	}
	if one.Name == "User" || one.Name == "Struct" {
		s.out.WriteString("    def __getattr__(self, name: str) -> Any: ...\n")
	}
	if one.Name == "User" || one.Name == "Match" {
		s.out.WriteString("    def __getitem__(self, name: Any) -> Any: ...\n")
	}
	if one.Name == "Date" {
		for _, method := range []string{"lt", "le", "gt", "ge"} {
			fmt.Fprintf(&s.out, "    def __%s__(self, other: Date) -> bool: ...\n", method)
		}
	}
}

// namespace writes a name that has members, and may be a function too.
func (s *stubs) namespace(entry *Entry) {
	fmt.Fprintf(&s.out, "\nclass _%s:\n%s", entry.Name, docstring("    ", entry.Doc, nil))
	if entry.Use == Function {
		s.function(entry, "__call__", "    ", "self")
	}
	s.members(entry.Name)
	fmt.Fprintf(&s.out, "\n%s: _%s\n", entry.Name, entry.Name)
}

// members write the attributes of a name.
func (s *stubs) members(of string) {
	for _, name := range s.table.Members(of) {
		member := s.table.Member(of, name)
		if member.Use == Function {
			s.function(member, name, "    ", "self")
			continue
		}
		fmt.Fprintf(&s.out, "    %s: %s\n%s", name, member.Gives.Written(), docstring("    ", member.Doc, nil))
	}
}

// function writes a function; first is its first parameter, "" if it has none of
// its own.
func (s *stubs) function(entry *Entry, name, indent, first string) {
	var parts []string
	if first != "" {
		parts = append(parts, first)
	}
	for _, param := range entry.Params {
		parts = append(parts, param.stub())
	}
	if entry.Many != "" {
		parts = append(parts, "*"+entry.Many+": Any")
	}
	if entry.More != "" {
		parts = append(parts, "**"+entry.More+": Any")
	}
	fmt.Fprintf(&s.out, "%sdef %s(%s) -> %s:\n%s%s    ...\n", indent, name, strings.Join(parts, ", "), entry.Gives.Written(), docstring(indent+"    ", entry.Doc, entry.Params), indent)
}

// stub is a parameter with its type and its default.
func (p Param) stub() string {
	written := p.Kind.Written()
	if p.TakesNone() && written != "Any" {
		written += " | None"
	}
	switch p.Default {
	case "":
		return p.Name + ": " + written
	case Unset:
		return p.Name + ": " + written + " = ..."
	}
	return p.Name + ": " + written + " = " + p.Default
}

// docstring is a text of Python, with a line for each parameter.
func docstring(indent, doc string, params []Param) string {
	lines := []string{doc}
	if len(params) > 0 {
		lines = append(lines, "")
	}
	for _, param := range params {
		lines = append(lines, param.Help())
	}
	text := strings.ReplaceAll(strings.Join(lines, "\n"), `\`, `\\`)
	text = strings.ReplaceAll(strings.ReplaceAll(text, `"`, `\"`), "\n", "\n"+indent)
	if len(params) > 0 {
		text = strings.ReplaceAll(text, indent+"\n", "\n") + "\n" + indent
	}
	return indent + `"""` + text + `"""` + "\n"
}
