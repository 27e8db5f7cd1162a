package home_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/internal/home"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ path, dir, want, problem string }{
		{"~/list.csv", "/home/ann", "/home/ann/list.csv", ""},
		{"~//a/../b", "/home/ann", "/home/ann/b", ""},
		{"~", "/home/ann", "/home/ann", ""},
		{"~/", "/home/ann", "/home/ann", ""},
		{"~backup", "/home/ann", "~backup", ""}, // a file's name
		{"~$doc.csv", "/home/ann", "~$doc.csv", ""},
		{"./~/x", "/home/ann", "./~/x", ""},
		{"a/~/x", "/home/ann", "a/~/x", ""},
		{"/~/x", "/home/ann", "/~/x", ""},
		{"x~/y", "/home/ann", "x~/y", ""},
		{"", "/home/ann", "", ""},
		{"-", "", "-", ""},
		{"@rekey/a.star", "", "@rekey/a.star", ""},
		{"~bob/x", "/home/ann", "", "~bob/x: the home of another user is not looked up; write the whole path, or ./~bob/x"},
		{"~/x", "", "", "~/x: there is no home directory; write the whole path, or ./~/x"},
	} {
		got, err := home.Expand(x.path, x.dir)
		if got != x.want || (err == nil) != (x.problem == "") || err != nil && !strings.Contains(err.Error(), x.problem) {
			t.Errorf("%q in %q: %q %v, want %q %s", x.path, x.dir, got, err, x.want, x.problem)
		}
	}
}
