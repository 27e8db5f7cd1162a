package tree

import (
	"slices"
	"strings"
	"testing"

	"go.starlark.net/syntax"
)

// written is a type as the tests write it.
func written(expr *TypeExpr) string {
	if expr == nil {
		return ""
	}
	var parts []string
	for _, one := range append(slices.Clone(expr.Either), expr.Of...) {
		parts = append(parts, written(one))
	}
	switch {
	case expr.Either != nil:
		return strings.Join(parts, " | ")
	case expr.Of != nil:
		return expr.Name + "[" + strings.Join(parts, ", ") + "]"
	}
	return expr.Name
}

func TestTypesAreReadAndLeaveNoTrace(t *testing.T) {
	for _, tt := range []struct{ text, plain, want string }{
		{"def f(a: int) -> str:\n    return a\n", "def f(a     )       :\n    return a\n", "a: int, -> str"},
		{"def f(a, b: list[str] = [\"x:y\"], *c: int, **d: dict[str, int]):\n    pass\n", "", "b: list[str], c: int, d: dict[str, int]"},
		{"def f(a: int | None, b: (str)) -> list[str] | None: return a\n", "", "a: int | None, b: str, -> list[str] | None"},
		{"x: int = 3\ny = 4\n", "x      = 3\ny = 4\n", "x: int"},
		{"def f():\n\tx: str = \"def g(a: int):\"\n\treturn x\n", "", "x: str"},
		{"x = \"\"\"\ndef g(a: int):\n\"\"\"\ndef f(a: int):\n    return b\"x\"\n", "", "a: int"},
		{"def f(\n    a: int,  # an int: yes\n    b = lambda x: 1,\n):\n    return {1: 2}\n", "", "a: int"},
		{"def é(größe: été = 1) -> ñ:\n    return größe\n", "", "größe: été, -> ñ"},
		{"def f(s: Step, v: a.b):\n    pass\n", "", "s: Step, v: a.b"},
	} {
		f := New("w.star", "w.star", []byte(tt.text))
		if bad := f.Parse(); bad != nil {
			t.Errorf("%q: %v", tt.text, bad)
			continue
		}
		if plain, _ := New("", "", f.Text).withoutTypes(f.Text); tt.plain != "" && string(plain) != tt.plain {
			t.Errorf("%q becomes %q", tt.text, plain)
		}
		if string(f.Text) != tt.text {
			t.Errorf("the text is another: %q", f.Text)
		}
		if bad := f.Resolve(scope(), nil); bad != nil {
			t.Errorf("%q: %v", tt.text, bad)
			continue
		}
		var got []string
		syntax.Walk(f.Tree, func(node syntax.Node) bool {
			if id, is := node.(*syntax.Ident); is && First(id) == id && f.TypeOf(id) != nil {
				got = append(got, id.Name+": "+written(f.TypeOf(id)))
			}
			return true
		})
		for fn := range f.Functions {
			if fn.Returns() != nil {
				got = append(got, "-> "+written(fn.Returns()))
			}
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%q: %s, want %s", tt.text, text, tt.want)
		}
	}
}

func TestFlawsOfScriptsWithTypesKeepTheirPlaces(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"def f(größe: int) -> str: return größ", `w.star:1:36: undefined: größ; did you mean "größe"?`},
		{"def f(a: int):\n    return a is None", "w.star:2:14: there is no is; write == or !=, as in x == None"},
		{"def f(a: int)\n    return a", "w.star:1:14: the line ends without a colon; write : at its end"},
		{"x: int\n", "w.star:1:1: x has a type and no value; write name: type = value"},
		{"def f(a: list[\n    str]):\n    pass", "w.star:1:8: a type goes over several lines; write it on one line"},
	} {
		if _, got := flaws(tt.text); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}
