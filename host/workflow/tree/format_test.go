package tree

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFormatKeepsCommentsAndTexts(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"formatted", "x = 1\n", "x = 1\n"},
		{"blanks and quotes", "x=[1,2 ,3]\ny = 'a\"b'\n", "x = [1, 2, 3]\ny = 'a\"b'\n"},
		{"tabs", "def f(a):\n\tif a:\n\t\treturn 1\n\treturn 2\n", "def f(a):\n    if a:\n        return 1\n    return 2\n"},
		{"tabs in a text", "def f():\n\tx = \"\"\"a\n\tb\"\"\"\n\treturn x\n", "def f():\n    x = \"\"\"a\n\tb\"\"\"\n    return x\n"},
		{"ends of lines of Windows", "x = 1\r\ny = \"\"\"a\r\nb\"\"\"\r\n", "x = 1\ny = \"\"\"a\nb\"\"\"\n"},
		{"comments", "# one\nx = [  # two\n  1, # three\n]  # four\n# five\n", "# one\nx = [\n    # two\n    1,  # three\n]  # four\n# five\n"},
		{"texts", `x = r"a\d" + "\u00e9é\t" + """ "q" """` + "\n", `x = r"a\d" + "\u00e9é\t" + """ "q" """` + "\n"},
		{"no line end", "x = 1", "x = 1\n"},
		{"empty", "", ""},
	} {
		got, bad := Format("w.star", []byte(tt.text))
		if bad != nil || string(got) != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, bad, tt.want)
		}
	}
	if _, bad := Format("w.star", []byte("x = (1\n")); len(bad) != 1 || bad[0].String() != "w.star:1:5: the ( is never closed; close it with )" {
		t.Errorf("a script with a flaw: %v", bad)
	}
}

// TestShapesOfScriptsThatDifferDiffer: Format relies on it.
func TestShapesOfScriptsThatDifferDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, text := range []string{"x = 1", "x = 2", `x = "1"`, "y = 1", "x = 1 + y", "x = 1 - y", "x = -y", "x = [y]", "x = (y,)", "x = y", "x = y.x", "x = y[0]", "x = y()", "x = [y for y in z]",
		"x = y if z else 1", "x += y", "def x():\n    pass", "def x():\n    return", "def x():\n    pass\n    pass", "def x(y):\n    pass", "x = lambda: y", "x = {y: 1}", "x = 1\ny = 2", "x = f(a = 1)", "x = f(1)", "x = f(*a)", "x = f(**a)",
		"x = (a + b) * c", "x = a + b * c", "if x:\n    pass\nelse:\n    f()", "if x:\n    f()"} {
		file := New("w.star", "w.star", []byte(text))
		if bad := file.Parse(); bad != nil {
			t.Fatal(bad)
		}
		if other, same := seen[shape(file.Tree)]; same {
			t.Errorf("%q and %q have one shape", text, other)
		}
		seen[shape(file.Tree)] = text
	}
}

var comment = regexp.MustCompile(`#.*`)

func FuzzFormat(f *testing.F) {
	f.Add("x=[1,\n # a\n 2]  # b\ndef f(a , b = 2):\n\treturn a+b\n")
	f.Fuzz(func(t *testing.T, text string) {
		made, bad := Format("w.star", []byte(text))
		if bad != nil || strings.ContainsAny(text, "\"'\r\\") {
			return
		}
		again, bad := Format("w.star", made)
		if bad != nil || string(again) != string(made) {
			t.Fatalf("%q becomes %q, then %q, %v", text, made, again, bad)
		}
		had, has := comment.FindAllString(text, -1), comment.FindAllString(string(made), -1)
		if trimmed(had) != trimmed(has) {
			t.Fatalf("%q loses a comment: %q", text, made)
		}
	})
}

func trimmed(comments []string) string {
	for i := range comments {
		comments[i] = strings.TrimSpace(comments[i])
	}
	slices.Sort(comments)
	return strings.Join(comments, "\n")
}
