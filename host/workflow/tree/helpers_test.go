package tree

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

// scope is what the language predeclares in these tests.
func scope() starlark.StringDict {
	d := starlark.StringDict{}
	for _, name := range []string{"workflow", "csv", "backend", "param", "$text"} {
		d[name] = starlark.None
	}
	return d
}

// flaws parses and resolves a script and returns what is wrong with it, a line
// for each.
func flaws(text string) (*File, string) {
	f := New("w.star", "w.star", []byte(text))
	found := f.Parse()
	if found == nil {
		found = f.Resolve(scope(), []string{"ldap"})
	}
	var list []string
	for _, x := range found {
		list = append(list, x.String())
	}
	return f, strings.Join(list, "\n")
}

// sound is a script without flaws.
func sound(t *testing.T, text string) *File {
	t.Helper()
	f, wrong := flaws(text)
	if wrong != "" {
		t.Fatalf("%s\n%s", text, wrong)
	}
	return f
}
