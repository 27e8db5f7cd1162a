package tree

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFlawsHaveTheirPlaceAndFix(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"sound", "x = 1\n", ""},
		{"empty", "", ""},
		{"a mark", "\ufeffx = 1", "w.star:1:1: the file starts with a byte order mark; save it without one"},
		{"not UTF-8", "x = 1\ny = \"a\xff\"", "w.star:2:7: not valid UTF-8; save the file as UTF-8"},
		{"a replacement character is one", "x = \"\ufffd\"", ""},
		{"a letter that nobody sees", "x = 1\ny = \"a\u200bb\"", "w.star:2:7: the script has U+200B"},
		{"import", "import os", `w.star:1:1: there is no import; scripts use load("lib/file.star", "name")`},
		{"try", "def f():\n    try:\n        pass", "w.star:2:5"},
		{"an f-string", `x = f"{y}"`, "there are no f-strings"},
		{"a class", "class A:\n    pass", "w.star:1:1: there are no classes; use struct() or a dict"},
		{"while", "while True:\n    pass", "use for x in range(n), which ends"},
		{"a bracket", "x = [1,\n\ny = 2", "w.star:1:5: the [ is never closed; close it with ], before line 3"},
		{"a quote of a word processor", "x = “a”", "type \" on the keyboard"},
		{"indented", "x = 1\n    y = 2", "begin it where the one above begins"},
		{"not indented", "def f():\nreturn 1", "indent it by four spaces"},
		{"an exclamation mark", "x = !y", "write not x, or x != y"},
		{"undefined", "x = y", "w.star:1:5: undefined: y"},
		{"two that are undefined", "x = yy\nz = xx", "w.star:1:5: undefined: yy; give it a value above, or load() it\nw.star:2:5: undefined: xx"},
		{"misspelt", "x = cvs(1)", `w.star:1:5: undefined: cvs; did you mean "csv"?`},
		{"misspelt of its own", "teams = []\nx = team", `did you mean "teams"?`},
		{"of the interpreter", "x = sortd([])", `did you mean "sorted"?`},
		{"hidden names are not suggested", "x = text", "w.star:1:5: undefined: text"},
		{"a backend", "x = ldap", `w.star:1:5: undefined: ldap; write ldap = backend("ldap", …) above`},
		{"a clock", "x = time", "scripts know no clock and no chance"},
		{"I/O", "x = open(1)", "scripts do no I/O"},
		{"a parameter of hooks", "x = user", "a hook gets user if it names it as a parameter"},
		{"null", "x = null", `did you mean "None"?`},
		{"exceptions", "x = ValueError", "use fail() or return failed()"},
		{"reassigned", "x = 1\nx = 2", "w.star:2:1: cannot reassign global x declared at w.star:1:1; give each value a name of its own"},
		{"a loop outside", "for x in []:\n    pass", "put it into a def and call that"},
		{"columns count bytes", "é = \"é\" + y", "w.star:1:13: undefined: y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := flaws(tt.text)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("%q: %s, want %s", tt.text, got, tt.want)
			}
			if tt.name == "hidden names are not suggested" && strings.Contains(got, "$") {
				t.Error(got)
			}
		})
	}
}

// TestAnyTextIsAScriptOrHasFlawsInIt: parsing ends, and each flaw stands at a
// place of the text.
func TestAnyTextIsAScriptOrHasFlawsInIt(t *testing.T) {
	piece := rapid.SampledFrom([]string{"x", " = ", "1", "\n", "    ", "def f(a):", "return ", "(", ")", "[", "]", "{", "\"", "'", "é", "“", "#", "\t", ":", "if ", "for x in y:", "load(", "csv", ".", ",", "*", "\r", "\xff", "\u200b", "\"\"\"", "\\", "lambda: "})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 25).Draw(t, "text"), "")
		f := New("w.star", "w.star", []byte(text))
		found := f.Parse()
		if found == nil {
			found = f.Resolve(scope(), nil)
		}
		all := Lines(text)
		for _, x := range found {
			if x.File != "w.star" || x.Line < 1 || x.Line > len(all) || x.Column < 1 || x.Column > len(all[x.Line-1])+1 {
				t.Fatalf("%q: a place that is not there: %s", text, x.String())
			}
			if x.Message == "" || strings.Contains(x.Message, "\n") {
				t.Fatalf("%q: no line: %q", text, x.Message)
			}
		}
		if (f.Tree == nil || f.Program == nil) != (len(found) > 0) {
			t.Fatalf("%q: flaws %v, tree %v, program %v", text, found, f.Tree != nil, f.Program != nil)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("x = [1,\ny = “a”")
	f.Add("def f():\n    return lambda x: x\n")
	f.Fuzz(func(_ *testing.T, text string) {
		file, _ := flaws(text)
		if file.Tree != nil {
			file.Docstring()
			file.Globals()
		}
	})
}
