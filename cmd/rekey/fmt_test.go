package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFmtGivesScriptsTheirForm(t *testing.T) {
	p := newPlace(t)
	const crooked, straight = "x=[1,2]   # two\ndef f(a):\n\treturn a\n", "x = [1, 2]  # two\n\ndef f(a):\n    return a\n"
	p.write("lib/crooked.star", crooked)
	p.write("straight.star", straight)
	p.write("bad.star", "x = (\n")
	if r := p.must(2, "fmt", "--check", "lib", "straight.star"); r.stdout != "lib/crooked.star\n" || p.read("lib/crooked.star") != crooked {
		t.Errorf("--check says %q and %q, and leaves %q", r.stdout, r.stderr, p.read("lib/crooked.star"))
	}
	if err := os.Chmod(filepath.Join(p.dir, "lib/crooked.star"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("lib/crooked.star", filepath.Join(p.dir, "link.star")); err != nil {
		t.Fatal(err)
	}
	if r := p.must(2, "fmt"); r.stdout != "lib/crooked.star\n" || r.stderr != "rekey: bad.star:1:5: the ( is never closed; close it with )\n" || p.read("lib/crooked.star") != straight {
		t.Errorf("it says %q and %q, and leaves %q", r.stdout, r.stderr, p.read("lib/crooked.star"))
	}
	p.write("lib/crooked.star", crooked)
	if r := p.must(0, "fmt", "link.star", "--json"); !strings.Contains(r.stdout, `"link.star"`) || p.read("lib/crooked.star") != straight {
		t.Errorf("by a link: %s, leaves %q", r.stdout, p.read("lib/crooked.star"))
	}
	info, err := os.Lstat(filepath.Join(p.dir, "link.star"))
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is one no more: %v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(p.dir, "lib/crooked.star")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("who may read it: %v, %v", info, err)
	}
	p.must(0, "fmt", "--check", "lib")
	if r := p.must(2, "fmt", "@rekey/rotate.star", "none.star"); !strings.Contains(r.stderr, "is in rekey itself; copy it to a file") || !strings.Contains(r.stderr, "none.star: no such file") {
		t.Error(r.stderr)
	}
}
