package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestSettingsBehindLinks: what a backend reaches is told by where its paths
// lead, made yet or not.
func TestSettingsBehindLinks(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Mkdir(filepath.Join(root, "dir"), 0o700), os.WriteFile(filepath.Join(root, "dir", "file"), nil, 0o600),
		os.Symlink("dir", filepath.Join(root, "link")), os.Symlink("link/file", filepath.Join(root, "to")),
		os.Symlink("link/gone", filepath.Join(root, "dangling")), os.Symlink("loop", filepath.Join(root, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d := sdk.Description{Config: []sdk.Field{{Name: "path", Type: sdk.Path}, {Name: "url", Type: sdk.URL}, {Name: "text", Type: sdk.String}}}
	for _, x := range []struct{ field, value, want string }{
		{"path", "ROOT/dir/file", "ROOT/dir/file"},
		{"path", "ROOT/link/file", "ROOT/dir/file"},
		{"path", "ROOT/to", "ROOT/dir/file"},
		{"path", "ROOT/link/new", "ROOT/dir/new"},
		{"path", "ROOT/link/none/yet/new", "ROOT/dir/none/yet/new"},
		{"path", "ROOT/none/new", "ROOT/none/new"},
		{"path", "ROOT/dangling", "ROOT/dir/gone"},
		{"path", "ROOT/loop", "ROOT/loop"},
		{"path", "", ""},
		{"text", "ROOT/link/file", "ROOT/link/file"},
		{"url", "ldapi://ROOT/link/file", "ldapi://ROOT/dir/file"},
		{"url", "ldapi://ROOT/link/file/", "ldapi://ROOT/dir/file"},
		{"url", "ldapi://" + strings.ReplaceAll("ROOT/link/file", "/", "%2F"), "ldapi://ROOT/dir/file"},
		{"url", "ldaps://host.example", "ldaps://host.example"},
		{"url", "https://host.example/link/file", "https://host.example/link/file"},
		{"url", "nothing", "nothing"},
	} {
		in := func(s string) string {
			s = strings.ReplaceAll(s, "ROOT", root)
			if strings.Contains(x.value, "%2F") {
				s = strings.ReplaceAll(s, "://"+root+"%2F", "://"+strings.ReplaceAll(root, "/", "%2F")+"%2F")
			}
			return s
		}
		got := realPaths(d, map[string]any{x.field: in(x.value), "number": 1})
		if got[x.field] != in(x.want) {
			t.Errorf("%s %s: %v, want %s", x.field, x.value, got[x.field], in(x.want))
		}
	}
}
