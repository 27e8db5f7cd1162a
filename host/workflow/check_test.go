package workflow

import (
	"context"
	"strings"
	"testing"
)

// checkedAs is what Check finds of one of the files that a test has.
func checkedAs(t *testing.T, name string, files ...string) (*Checked, string) {
	t.Helper()
	options := script(t, "x = 1\n", files...)
	options.Path, options.Placeholders = name, true
	found, err := Check(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, finding := range found.Findings {
		lines = append(lines, finding.String())
	}
	if found.Flow != nil {
		closeQuietly(found.Flow)
	}
	return found, strings.Join(lines, "\n")
}

func TestALibraryIsCheckedAsOne(t *testing.T) {
	files := []string{"lib/a.star", "load(\"lib/deep/b.star\", \"b\")\na = b + 1\n", "lib/deep/b.star", "b = 1\n",
		"lib/deep/c.star", "load(\"lib/a.star\", \"a\")\nc = a\n", "lib/lost.star", "load(\"lib/none.star\", \"x\")\ny = x\n",
		"main.star", "load(\"lib/deep/none.star\", \"x\")\nworkflow(users = x)\n"}
	for name, want := range map[string]string{
		"lib/a.star":      "",
		"lib/deep/b.star": "",
		"lib/deep/c.star": "",
		"lib/lost.star":   `lib/lost.star:1:6: load: "lib/none.star" does not exist`,
		"main.star":       `main.star:1:6: load: "lib/deep/none.star" does not exist; did you mean "lib/deep/b.star" or "lib/deep/c.star"?`,
	} {
		found, got := checkedAs(t, name, files...)
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if want == "" && (!found.Library || !found.Sound() || found.Flow != nil) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
