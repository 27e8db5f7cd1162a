package tree

import (
	"strings"
	"testing"

	"go.starlark.net/syntax"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// TestPlacesCountBytes, as editors and compilers do, while the scanner counts
// characters.
func TestPlacesCountBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.StringMatching(`[aé€𝄞]{0,12}`).Draw(t, "before")
		f := New("w.star", "lib/w.star", []byte("x = 1\n\""+before+"\"\n"))
		name, line, column := f.Place(syntax.MakePosition(nil, 2, int32(len([]rune(before))+2)))
		if name != "lib/w.star" || line != 2 || column != len(before)+2 {
			t.Fatalf("%q: %s:%d:%d", before, name, line, column)
		}
	})
}

func TestPlacesOutsideOfTheText(t *testing.T) {
	f := New("w.star", "w.star", []byte("ab\ncd"))
	for _, tt := range []struct{ line, column, wantLine, wantColumn int32 }{{1, 3, 1, 3}, {1, 9, 1, 3}, {0, 0, 0, 0}, {-1, -1, 0, 0}, {7, 2, 7, 2}, {2, 0, 2, 0}} {
		if _, line, column := f.Place(syntax.MakePosition(nil, tt.line, tt.column)); line != int(tt.wantLine) || column != int(tt.wantColumn) {
			t.Errorf("%d:%d is placed at %d:%d", tt.line, tt.column, line, column)
		}
	}
}

func TestLinesAreThoseOfTheScanner(t *testing.T) {
	for text, want := range map[string]int{"": 1, "a": 1, "a\n": 2, "a\r\nb": 2, "a\rb": 2, "a\n\rb": 3} {
		if got := len(Lines(text)); got != want {
			t.Errorf("%q has %d lines, want %d", text, got, want)
		}
	}
}

func TestDocstring(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"x = 1":                         "",
		"\"\"\"\nWhat it does.\n\"\"\"": "What it does.",
		"'short'\nx = 1":                "short",
		"f = 1\n'late'":                 "",
		"1":                             "",
	} {
		if got := sound(t, text).Docstring(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestGlobals(t *testing.T) {
	f := sound(t, "a = 1\nb, (c, [d]) = 1, (2, [3])\n(e) = 1\ndef g(x):\n    y = 1\n")
	if got := strings.Join(f.Globals(), " "); got != "a b c d e g" {
		t.Error(got)
	}
}

// TestErrorsStandWhereTheirOperationIsWritten: the interpreter gives the place of
// a parenthesis or dot.
func TestErrorsStandWhereTheirOperationIsWritten(t *testing.T) {
	f := sound(t, "x = csv(1)\ny = csv.name\nz = csv(\n  1)(2)\n")
	for _, tt := range []struct{ line, column, want int32 }{
		{1, 8, 5}, // csv( begins at csv
		{2, 8, 9}, // .name is about name
		{4, 5, 5}, // begins on another line: where the error is
		{1, 5, 5}, // nothing stands there
	} {
		if got := f.Start(syntax.MakePosition(nil, tt.line, tt.column)); got.Line != tt.line || got.Col != tt.want {
			t.Errorf("%d:%d starts at %d:%d, want column %d", tt.line, tt.column, got.Line, got.Col, tt.want)
		}
	}
	if f.CallAt(syntax.MakePosition(nil, 1, 8)) == nil || f.CallAt(syntax.MakePosition(nil, 1, 5)) != nil {
		t.Error("a call is found by its parenthesis")
	}
	var none *File
	if none.NodeAt(syntax.MakePosition(nil, 1, 1)) != nil {
		t.Error("no file has an operation")
	}
}

// callIn returns the last call of a file.
func callIn(f *File) *syntax.CallExpr {
	var last *syntax.CallExpr
	syntax.Walk(f.Tree, func(n syntax.Node) bool {
		if c, ok := n.(*syntax.CallExpr); ok && last == nil {
			last = c
		}
		return true
	})
	return last
}

func TestCalleesAreFollowedThroughLoads(t *testing.T) {
	lib := sound(t, "def check(a):\n    return a\nother = lambda b: b\nplain = 1\n")
	for _, tt := range []struct{ name, text, want string }{
		{"a def", "def check(a):\n    return a\nx = check(1)", "check"},
		{"a lambda with a name", "check = lambda a: a\nx = check(1)", "lambda"},
		{"loaded", "load(\"lib.star\", \"check\")\nx = check(1)", "check"},
		{"loaded by another name", "load(\"lib.star\", mine = \"check\")\nx = mine(1)", "check"},
		{"a loaded lambda", "load(\"lib.star\", \"other\")\nx = other(1)", "lambda"},
		{"no function", "load(\"lib.star\", \"plain\")\nx = plain(1)", ""},
		{"of the language", "x = csv(1)", ""},
		{"of a value", "def f(g):\n    return g(1)", ""},
		{"a method", "x = [].append(1)", ""},
	} {
		f := New("w.star", "w.star", []byte(tt.text))
		if bad := f.Parse(); bad != nil {
			t.Fatal(bad)
		}
		f.Loads["lib.star"] = lib
		if bad := f.Resolve(scope(), nil); bad != nil {
			t.Fatal(bad)
		}
		got := ""
		if fn := f.Callee(callIn(f)); fn != nil {
			got = fn.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q is called, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFunctionsKnowTheirParametersAndWhatTheyReturn(t *testing.T) {
	f := sound(t, "def outer(a, b = 1, *c, d, **e):\n    def inner():\n        return a\n    if b:\n        return 1\n    return 2\n")
	var outer, inner *Function
	for fn := range f.Functions {
		if fn.Name == "outer" {
			outer = fn
		} else {
			inner = fn
		}
	}
	var names []string
	for _, id := range outer.Params() {
		names = append(names, id.Name)
	}
	if got := strings.Join(names, " "); got != "a b c d e" {
		t.Errorf("parameters %s", got)
	}
	n := 0
	outer.Returned(func(syntax.Expr) { n++ })
	if n != 2 {
		t.Errorf("%d values returned, want those of outer only, 2", n)
	}
	if outer.Captures() || !inner.Captures() {
		t.Errorf("outer captures %v, inner %v", outer.Captures(), inner.Captures())
	}
}

func TestArgumentsAreFoundByPlaceAndName(t *testing.T) {
	e := lang.New().Lookup("csv")
	for _, tt := range []struct{ call, path, key string }{
		{`csv("a", "b")`, `"a"`, `"b"`},
		{`csv(key = "b", path = "a")`, `"a"`, `"b"`},
		{`csv("a", key = "b")`, `"a"`, `"b"`},
		{`csv(*["a"])`, ``, ``},
		{`csv("a", *["b"])`, `"a"`, ``},
		{`csv()`, ``, ``},
	} {
		f := sound(t, "x = "+tt.call)
		s := Site{File: f, Node: callIn(f)}
		for name, want := range map[string]string{"path": tt.path, "key": tt.key} {
			got := ""
			if l, ok := s.Argument(e, name).(*syntax.Literal); ok {
				got = l.Raw
			}
			if got != want {
				t.Errorf("%s: %s is %s, want %s", tt.call, name, got, want)
			}
		}
	}
	if (Site{}).Argument(e, "path") != nil || (Site{}).Written(e, "") != nil {
		t.Error("a site that is not known has arguments")
	}
}

func TestHiddenCallsAreNotOfTheScript(t *testing.T) {
	f := New("w.star", "w.star", []byte("x = csv"))
	if bad := f.Parse(); bad != nil {
		t.Fatal(bad)
	}
	assign := f.Tree.Stmts[0].(*syntax.AssignStmt)
	written := assign.RHS
	assign.RHS = Hidden("$text", written)
	if bad := f.Resolve(scope(), nil); bad != nil {
		t.Fatal(bad)
	}
	for range f.Calls {
		t.Error("the hidden call is listed")
	}
	if Unhidden(assign.RHS) != written || Unhidden(written) != written {
		t.Error("what is hidden is not found")
	}
	if syntax.Start(assign.RHS) != syntax.Start(written) {
		t.Error("the hidden call stands elsewhere")
	}
}

func TestSpelt(t *testing.T) {
	for text, want := range map[string]string{"csv": "csv", "csv.a.b": "csv.a.b", `csv["a b"]`: `csv["a b"]`, "None": "", "csv(1)": "", "csv[0]": "", "1": ""} {
		f := sound(t, "x = "+text)
		if got := Spelt(f.Tree.Stmts[0].(*syntax.AssignStmt).RHS); got != want {
			t.Errorf("%s is spelt %q, want %q", text, got, want)
		}
	}
}
