package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// structValue is a struct(): named values that do not change.
type structValue struct {
	names  []string // sorted
	fields []starlark.Value
	frozen bool
}

var (
	_ starlark.HasAttrs   = (*structValue)(nil)
	_ starlark.Comparable = (*structValue)(nil)
)

func newStruct(fields map[string]starlark.Value) *structValue {
	made := &structValue{names: sortedKeys(fields)}
	for _, name := range made.names {
		made.fields = append(made.fields, fields[name])
	}
	return made
}

// each visits the fields by name.
func (s *structValue) each(visit func(string, starlark.Value) error) error {
	for i, name := range s.names {
		if err := visit(name, s.fields[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *structValue) Type() string         { return "struct" }
func (s *structValue) Truth() starlark.Bool { return true }
func (s *structValue) AttrNames() []string  { return s.names }

func (s *structValue) Attr(name string) (starlark.Value, error) {
	if i, ok := slices.BinarySearch(s.names, name); ok {
		return s.fields[i], nil
	}
	return nil, lang.Mistake(fmt.Sprintf("the struct has no %q", name), diag.DidYouMean(name, s.names))
}

func (s *structValue) Freeze() {
	if s.frozen {
		return
	}
	s.frozen = true
	for _, value := range s.fields {
		value.Freeze()
	}
}

func (s *structValue) Hash() (uint32, error) {
	count := uint32(8731)
	for i, value := range s.fields {
		number, err := value.Hash()
		if err != nil {
			return 0, err
		}
		index, _ := starlark.String(s.names[i]).Hash()
		count = (count ^ index ^ number*9839) * 16777619
	}
	return count, nil
}

func (s *structValue) CompareSameType(op syntax.Token, other starlark.Value, depth int) (bool, error) {
	t := other.(*structValue)
	if op != syntax.EQL && op != syntax.NEQ {
		return false, fmt.Errorf("struct %s struct: structs have no order; compare their fields", op)
	}
	same := slices.Equal(s.names, t.names)
	for i := 0; same && i < len(s.fields); i++ {
		var err error
		if same, err = starlark.EqualDepth(s.fields[i], t.fields[i], depth-1); err != nil {
			return false, err
		}
	}
	return same == (op == syntax.EQL), nil
}

// String is safe for a struct in a list in the same struct.
func (s *structValue) String() string {
	var out strings.Builder
	write(&out, s, 0)
	return out.String()
}

// maxShown bounds the text of a struct.
const maxShown = 64 << 10

// write is what String of containers does, with bounds.
func write(out *strings.Builder, value starlark.Value, depth int) {
	if depth > 16 || out.Len() > maxShown {
		out.WriteString("…")
		return
	}
	switch v := value.(type) {
	case *structValue:
		out.WriteString("struct(")
		for i, name := range v.names {
			separate(out, i)
			out.WriteString(name + " = ")
			write(out, v.fields[i], depth+1)
		}
		out.WriteString(")")
	case *starlark.List, starlark.Tuple, *starlark.Set:
		open, shut := brackets(v)
		out.WriteString(open)
		i := 0
		for value := range starlark.Elements(v.(starlark.Iterable)) {
			separate(out, i)
			write(out, value, depth+1)
			if i++; out.Len() > maxShown {
				break
			}
		}
		out.WriteString(shut)
	case *starlark.Dict:
		out.WriteString("{")
		for i, item := range v.Items() {
			separate(out, i)
			write(out, item[0], depth+1)
			out.WriteString(": ")
			write(out, item[1], depth+1)
		}
		out.WriteString("}")
	default:
		out.WriteString(v.String())
	}
}

func separate(out *strings.Builder, i int) {
	if i > 0 {
		out.WriteString(", ")
	}
}

func brackets(value starlark.Value) (open, shut string) {
	switch value.(type) {
	case starlark.Tuple:
		return "(", ")"
	case *starlark.Set:
		return "set([", "])"
	}
	return "[", "]"
}
