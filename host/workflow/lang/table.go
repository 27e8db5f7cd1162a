package lang

import (
	"slices"
	"strings"
)

// Table is every name of the language. Evaluation unpacks arguments by it, the
// static checks read it, and the documentation, the stubs for editors and all
// suggestions come from it. It does not change.
type Table struct {
	entries []Entry
	byName  map[string]*Entry
}

// New returns the table.
func New() *Table {
	table := &Table{entries: entries(), byName: map[string]*Entry{}}
	for i := range table.entries {
		table.byName[table.entries[i].Name] = &table.entries[i]
	}
	return table
}

// entries lists the names in the order of the documentation.
func entries() []Entry {
	return slices.Concat(topLevel(), paramEntries(), secretEntries(), policyEntries(), reportEntries(), sourceEntries(),
		valueEntries(), hookEntries(), verdictEntries(), stepEntries(), rowEntries())
}

// Entries returns every name, in the order of the documentation.
func (t *Table) Entries() []*Entry {
	all := make([]*Entry, len(t.entries))
	for i := range t.entries {
		all[i] = &t.entries[i]
	}
	return all
}

// Lookup returns a name; nil: the language has none.
func (t *Table) Lookup(name string) *Entry { return t.byName[name] }

// Member returns an attribute of a name; nil: it has none such.
func (t *Table) Member(of, name string) *Entry { return t.byName[of+"."+name] }

// Members returns the names of the attributes of a name, without those that
// come later.
func (t *Table) Members(of string) []string {
	var names []string
	for i := range t.entries {
		if rest, ok := strings.CutPrefix(t.entries[i].Name, of+"."); ok && t.entries[i].Later == "" {
			names = append(names, rest)
		}
	}
	return names
}

// NoMember is the misuse of an attribute that a name does not have.
func (t *Table) NoMember(of, name string) *Misuse {
	return Unknown(of+" has no", name, t.Members(of), "")
}
