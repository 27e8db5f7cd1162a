package source

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/host/diag"
)

// wanted is what a script says of a source's columns by name.
type wanted struct {
	key      string
	types    map[string]Type
	secrets  []string
	optional []string
	mayLack  []string // are made where the input lacks them
	anyCase  bool     // the input spells names in any case
	named    string   // how columns get their names: the fix for a missing one
}

// complaint is a problem without a place yet.
type complaint = diag.Problem

// spelling is the script's own of a name that the input has.
func (w wanted) spelling(name string) string {
	if !w.anyCase {
		return name
	}
	for _, known := range slices.Concat([]string{w.key}, sortedKeys(w.types), w.secrets, w.optional, w.mayLack) {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return name
}

// lacking are the columns that the input may lack and does.
func (w wanted) lacking(names []string) []string {
	var list []string
	for _, name := range w.mayLack {
		if !slices.Contains(names, name) {
			list = append(list, name)
		}
	}
	return list
}

// misuse finds the mistakes of any columns.
func (w wanted) misuse() []complaint {
	var list []complaint
	if w.key == "" {
		list = append(list, complaint{Message: "key= is missing", Fix: "name the column that tells users apart"})
	}
	if slices.Contains(w.secrets, w.key) && w.key != "" {
		list = append(list, complaint{Message: fmt.Sprintf("key column %q cannot be secret", w.key), Fix: "keys stand in plans and reports"})
	}
	if slices.Contains(w.mayLack, w.key) && w.key != "" {
		list = append(list, complaint{Message: fmt.Sprintf("may_lack: key column %q has to be there", w.key)})
	}
	for _, name := range sortedKeys(w.types) {
		switch kind := w.types[name]; {
		case !slices.Contains(cellTypes(), kind):
			list = append(list, complaint{Message: fmt.Sprintf("types: %q of column %q is not one of string, int, bool, date", kind, name)})
		case kind != String && slices.Contains(w.secrets, name):
			list = append(list, complaint{Message: fmt.Sprintf("types: column %q is secret and has no type", name)})
		case kind == Bool && name == w.key:
			list = append(list, complaint{Message: fmt.Sprintf("types: key column %q cannot be a bool", name)})
		}
	}
	return list
}

func cellTypes() []Type { return []Type{String, Int, Bool, Date} }

func sortedKeys(table map[string]Type) []string {
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// schema puts the columns of those names together with their types and rules.
func (w wanted) schema(names []string, untyped Type) (Schema, []complaint) {
	schema := Schema{Key: slices.Index(names, w.key), Columns: make([]Column, len(names))}
	for i, name := range names {
		column := Column{Name: name, Type: untyped, Secret: slices.Contains(w.secrets, name), Optional: slices.Contains(w.optional, name) || slices.Contains(w.mayLack, name)}
		if kind, typed := w.types[name]; typed {
			column.Type = kind
		}
		if column.Secret {
			column.Type = String
		}
		schema.Columns[i] = column
	}
	return schema, append(nameFlaws(names), w.missing(names)...)
}

// nameFlaws finds columns without a name, or with one that another has. It
// tells them by their numbers: where a file lacks its header line, the names
// are the first user, with its password.
func nameFlaws(names []string) []complaint {
	var list []complaint
	first := map[string]int{}
	for i, name := range names {
		before, seen := first[name]
		switch {
		case name == "":
			list = append(list, complaint{Message: fmt.Sprintf("column %d has no name", i+1), Fix: "name it, or set columns= if the first line is a user"})
		case seen:
			list = append(list, complaint{Message: fmt.Sprintf("columns %d and %d have the same name", before, i+1), Fix: "name each once"})
		case strings.ContainsFunc(name, isControl):
			list = append(list, complaint{Message: fmt.Sprintf("control character in the name of column %d", i+1), Fix: "remove it"})
		default:
			first[name] = i + 1
		}
	}
	return list
}

// missing finds names that the script uses and the input lacks.
func (w wanted) missing(names []string) []complaint {
	var list []complaint
	look := func(what, name string) {
		if name == "" || slices.Contains(names, name) {
			return
		}
		fix := diag.DidYouMean(name, names)
		switch hidden := slices.IndexFunc(names, func(other string) bool { return seen(other) == name }); {
		case hidden >= 0:
			fix = fmt.Sprintf("the name of column %d is that with characters that are not seen: remove them", hidden+1)
		case fix == "":
			fix = w.named
		}
		list = append(list, complaint{Message: fmt.Sprintf("%s: there is no column %q", what, name), Fix: fix})
	}
	look("key", w.key)
	for _, name := range sortedKeys(w.types) {
		look("types", name)
	}
	for _, name := range w.secrets {
		look("secrets", name)
	}
	for _, name := range w.optional {
		look("optional", name)
	}
	return list
}

// seen is a name without the characters that are not seen, and with ordinary
// spaces inside.
func seen(name string) string {
	shown := strings.Map(func(letter rune) rune {
		switch {
		case unicode.IsSpace(letter):
			return ' '
		case unseen(letter):
			return -1
		}
		return letter
	}, name)
	return strings.TrimSpace(shown)
}

// names returns the names that the script gives, each once.
func (w wanted) names() []string {
	names := []string{w.key}
	known := map[string]bool{w.key: true}
	for _, list := range [][]string{w.secrets, w.optional} {
		for _, name := range list {
			if !known[name] {
				known[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// problemsOf turns complaints into problems of a place.
func problemsOf(list []complaint, place diag.Problem) *diag.Problems {
	problems := &diag.Problems{}
	for _, problem := range list {
		problems.Add(problem.At(place))
	}
	return problems
}
