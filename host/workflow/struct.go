package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

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
	s := &structValue{names: sortedKeys(fields)}
	for _, name := range s.names {
		s.fields = append(s.fields, fields[name])
	}
	return s
}

func evalStruct(args *arguments) (starlark.Value, error) {
	fields := map[string]starlark.Value{}
	for _, kw := range args.more {
		fields[textOf(kw[0])] = kw[1]
	}
	return newStruct(fields), nil
}

func (s *structValue) Type() string         { return "struct" }
func (s *structValue) Truth() starlark.Bool { return true }
func (s *structValue) AttrNames() []string  { return s.names }

func (s *structValue) Attr(name string) (starlark.Value, error) {
	if i, ok := slices.BinarySearch(s.names, name); ok {
		return s.fields[i], nil
	}
	return nil, lang.Mistake(fmt.Sprintf("the struct has no %q", name), lang.DidYouMean(name, s.names))
}

func (s *structValue) Freeze() {
	if s.frozen {
		return
	}
	s.frozen = true
	for _, v := range s.fields {
		v.Freeze()
	}
}

func (s *structValue) Hash() (uint32, error) {
	h := uint32(8731)
	for i, v := range s.fields {
		x, err := v.Hash()
		if err != nil {
			return 0, err
		}
		n, _ := starlark.String(s.names[i]).Hash()
		h = (h ^ n ^ x*9839) * 16777619
	}
	return h, nil
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
	var b strings.Builder
	write(&b, s, 0)
	return b.String()
}

// maxShown bounds the text of a struct.
const maxShown = 64 << 10

// write is what String of containers does, with bounds.
func write(b *strings.Builder, v starlark.Value, depth int) {
	if depth > 16 || b.Len() > maxShown {
		b.WriteString("…")
		return
	}
	switch v := v.(type) {
	case *structValue:
		b.WriteString("struct(")
		for i, name := range v.names {
			separate(b, i)
			b.WriteString(name + " = ")
			write(b, v.fields[i], depth+1)
		}
		b.WriteString(")")
	case *starlark.List, starlark.Tuple, *starlark.Set:
		open, shut := brackets(v)
		b.WriteString(open)
		i := 0
		for e := range starlark.Elements(v.(starlark.Iterable)) {
			separate(b, i)
			write(b, e, depth+1)
			if i++; b.Len() > maxShown {
				break
			}
		}
		b.WriteString(shut)
	case *starlark.Dict:
		b.WriteString("{")
		for i, item := range v.Items() {
			separate(b, i)
			write(b, item[0], depth+1)
			b.WriteString(": ")
			write(b, item[1], depth+1)
		}
		b.WriteString("}")
	default:
		b.WriteString(v.String())
	}
}

func separate(b *strings.Builder, i int) {
	if i > 0 {
		b.WriteString(", ")
	}
}

func brackets(v starlark.Value) (open, shut string) {
	switch v.(type) {
	case starlark.Tuple:
		return "(", ")"
	case *starlark.Set:
		return "set([", "])"
	}
	return "[", "]"
}
