package types

import (
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Type is what a value may be, one of several kinds; nil: anything.
type Type []kind

// kind is a type of the interpreter's, with what is known of its insides.
type kind struct {
	name   string          // as type() says it
	of     Type            // elements, or keys
	value  Type            // of a dict
	fields map[string]Type // of a struct or a value of the language's; nil: not known

	fn     *tree.Function // of a function, if it is the only one
	entry  *lang.Entry    // of a builtin of the language's
	method string         // "string.upper": of a builtin of the interpreter's; "len" of one that is no method
}

// The interpreter's names of its types.
const (
	tString   = "string"
	tInt      = "int"
	tFloat    = "float"
	tBool     = "bool"
	tNone     = "NoneType"
	tBytes    = "bytes"
	tList     = "list"
	tTuple    = "tuple"
	tDict     = "dict"
	tSet      = "set"
	tRange    = "range"
	tFunction = "function"
	tBuiltin  = "builtin"
	tUser     = "user"
	tStruct   = "struct"
	tSecret   = "secret"
	tDate     = "date"
	tMatch    = "match"
	tVerdict  = "verdict"
)

func just(name string) Type { return Type{{name: name}} }

func listOf(of Type) Type { return Type{{name: tList, of: of}} }

// or is what is of one type or the other.
func (t Type) or(other Type) Type {
	if t == nil || other == nil {
		return nil
	}
	all := slices.Clone(t)
	for _, one := range other {
		if !slices.ContainsFunc(all, one.equals) {
			all = append(all, one)
		}
	}
	return all
}

// equals reports whether two kinds are alike in all that is known.
func (k kind) equals(other kind) bool {
	return k.name == other.name && k.fn == other.fn && k.entry == other.entry && k.method == other.method && k.of == nil && other.of == nil &&
		k.value == nil && other.value == nil && k.fields == nil && other.fields == nil
}

// without is the type without a kind.
func (t Type) without(name string) Type {
	if t == nil {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(t), func(one kind) bool { return one.name == name })
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// some is the type of a value that is not None, if it may be another: whatever is
// done with it fails for None.
func (t Type) some() Type {
	if t.is(tNone) {
		return t
	}
	return t.without(tNone)
}

// has reports whether a value of the type may be of a kind.
func (t Type) has(name string) bool {
	return slices.ContainsFunc(t, func(one kind) bool { return one.name == name })
}

// is reports whether a value of the type is of a kind, certainly.
func (t Type) is(name string) bool { return len(t) == 1 && t[0].name == name }

// open is the type of a variable that begins with a value: what is in a list may
// be another thing later.
func (t Type) open() Type {
	opened := slices.Clone(t)
	for i := range opened {
		if opened[i].name != tTuple {
			opened[i].of, opened[i].value = nil, nil
		}
	}
	return opened
}

// all reports whether something is so for every kind that a value may have; what
// may be anything is not.
func (t Type) all(so func(kind) bool) bool {
	return len(t) > 0 && !slices.ContainsFunc(t, func(one kind) bool { return !so(one) })
}

// fits reports whether a value of the type may be of another: one of its kinds is
// among those. Of containers what is in them counts too.
func (t Type) fits(want Type) bool {
	if t == nil || want == nil {
		return true
	}
	return slices.ContainsFunc(t, func(one kind) bool {
		return slices.ContainsFunc(want, one.fits)
	})
}

func (k kind) fits(want kind) bool {
	if k.name != want.name {
		return k.name == tInt && want.name == tFloat || k.name == tBuiltin && want.name == tFunction
	}
	return k.of.fits(want.of) && k.value.fits(want.value)
}

// String is the type as messages say it: without None, if it may be more.
func (t Type) String() string {
	said := t
	if rest := t.without(tNone); rest != nil {
		said = rest
	}
	var words []string
	for _, one := range said {
		if word := one.String(); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return lang.Listed(words)
}

// String is the kind as messages say it.
func (k kind) String() string {
	switch k.name {
	case tNone:
		return "None"
	case tVerdict:
		return "a verdict, as of skip()"
	case tBuiltin:
		return "a builtin"
	}
	name := k.name
	if of := k.of.without(tNone); len(of) == 1 && k.name != tDict {
		name += " of " + of[0].name + "s"
	}
	if strings.ContainsRune("aeiou", rune(name[0])) && k.name != tUser {
		return "an " + name
	}
	return "a " + name
}
