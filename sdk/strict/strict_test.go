package strict_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rekey-host/rekey/sdk/strict"
)

// me and other are the user of these tests and somebody else who is not root.
// Whoever is not root cannot give files away: then the judge takes the files'
// owner for somebody else.
const other = 65534

// tree is a directory of the test's own in which dir/file is sound: 0755 and
// 0700, whatever the umask.
func tree(t *testing.T) (root, file string) {
	t.Helper()
	root = t.TempDir()
	file = filepath.Join(root, "dir", "file")
	must(t, os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o700))
	must(t, os.Chmod(root, 0o755), os.Chmod(filepath.Dir(file), 0o755))
	return root, file
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// TestWhoMayPutAnotherFileThere is every mode of a file, of its directory, and
// of a directory above it.
func TestWhoMayPutAnotherFileThere(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		mode                  fs.FileMode
		file, holder, further string // what is wrong with each of that mode; "": nothing
	}{
		{0o700, "", "", ""},
		{0o755, "", "", ""},
		{0o711, "", "", ""},
		{0o775, "its group may write it; chmod g-w ", "its group may write it; chmod g-w ", "its group may write it; chmod g-w "},
		{0o770, "its group may write it; chmod g-w ", "its group may write it; chmod g-w ", "its group may write it; chmod g-w "},
		{0o757, "everybody may write it; chmod o-w ", "everybody may write it; chmod o-w ", "everybody may write it; chmod o-w "},
		{0o702, "everybody may write it; chmod o-w ", "everybody may write it; chmod o-w ", ""}, // nobody may go through it
		{0o777, "its group and everybody else may write it; chmod go-w ", "its group and everybody else may write it; chmod go-w ", "its group and everybody else may write it; chmod go-w "},
		{0o777 | fs.ModeSticky, "its group and everybody else may write it; chmod go-w ", "its group and everybody else may write it; chmod go-w ", ""},
		{0o775 | fs.ModeSticky, "its group may write it; chmod g-w ", "its group may write it; chmod g-w ", ""},
		{0o755 | fs.ModeSticky, "", "", ""},
	} {
		for place, want := range map[string]string{"file": x.file, "holder": x.holder, "further": x.further} {
			if x.mode == 0o702 && place == "further" {
				continue
			}
			root, file := tree(t)
			at := map[string]string{"file": file, "holder": filepath.Dir(file), "further": root}[place]
			must(t, os.Chmod(at, x.mode))
			_, err := strict.Walk(file, os.Getuid())
			checkProblem(t, fmt.Sprintf("%s of mode %v", place, x.mode), err, at, want)
		}
	}
}

func checkProblem(t *testing.T, what string, err error, at, want string) {
	t.Helper()
	var p *strict.Problem
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v, want nothing", what, err)
	case want != "" && (!errors.As(err, &p) || p.Path != at || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %s: …%s", what, err, at, want)
	}
}

// TestWhoseItIs gives the file, its directory, one above, a link and its target
// to somebody else.
func TestWhoseItIs(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"file", "holder", "further", "link", "link to the directory", "beside the target", "target"} {
		root, file := tree(t)
		path, at := file, file
		switch place {
		case "holder":
			at = filepath.Dir(file)
		case "further":
			at = root
		case "link":
			at = filepath.Join(root, "link")
			must(t, os.Symlink("dir/file", at))
			path = at
		case "link to the directory":
			at = filepath.Join(root, "link")
			must(t, os.Symlink(filepath.Dir(file), at))
			path = filepath.Join(at, "file")
		case "beside the target", "target":
			elsewhere, target := tree(t)
			path = filepath.Join(root, "link")
			must(t, os.Symlink(target, path))
			if at = target; place == "beside the target" {
				at = elsewhere
			}
		}
		if _, err := strict.Walk(path, os.Getuid()); err != nil {
			t.Fatalf("%s: %v before it was given away", place, err)
		}
		uid, give := os.Getuid(), ""
		if uid == 0 {
			must(t, os.Lchown(at, other, -1))
			give = "chown "
		} else {
			uid, at, give = other, "", "chown " // all files are somebody else's
		}
		_, err := strict.Walk(path, uid)
		var p *strict.Problem
		if !errors.As(err, &p) || at != "" && p.Path != at || !strings.Contains(err.Error(), ", who is n") || !strings.HasPrefix(p.Fix, give) {
			t.Errorf("%s: %v, want %s: it belongs to …", place, err, at)
		}
		if uid == 0 { // and that somebody may run it
			if _, err := strict.Walk(path, other); err != nil {
				t.Errorf("%s: %v for its owner", place, err)
			}
		}
	}
}

// TestRootsFilesAreEverybodys: what the system installs is for all.
func TestRootsFilesAreEverybodys(t *testing.T) {
	t.Parallel()
	if _, err := strict.Walk("/bin/sh", other); err != nil {
		t.Error(err)
	}
}

// TestLinksAreFollowedAsTheKernelDoes compares where Walk ends with where Stat
// does, over relative, absolute, nested and upward links.
func TestLinksAreFollowedAsTheKernelDoes(t *testing.T) {
	t.Parallel()
	root, file := tree(t)
	links := []struct{ name, target string }{
		{"absolute", file}, {"relative", "dir/file"}, {"dotted", "./dir/../dir/./file"}, {"chain", "relative"},
		{"todir", "dir"}, {"dir/up", "../absolute"}, {"slashes", "dir//file"}, {"dir/above", ".."},
	}
	for _, l := range links {
		must(t, os.Symlink(l.target, filepath.Join(root, l.name)))
	}
	for _, path := range []string{"absolute", "relative", "dotted", "chain", "todir/file", "dir/up", "slashes", "todir/up", "dir/above/chain", "todir/above/todir/file"} {
		got, err := strict.Walk(filepath.Join(root, path), os.Getuid())
		want, serr := os.Stat(filepath.Join(root, path))
		if err != nil || serr != nil || !os.SameFile(got, want) {
			t.Errorf("%s: %v, Stat: %v", path, err, serr)
		}
	}
	must(t, os.Symlink("loop", filepath.Join(root, "loop")), os.Symlink("/nowhere/at/all", filepath.Join(root, "dangling")))
	if _, err := strict.Walk(filepath.Join(root, "loop"), os.Getuid()); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	for _, path := range []string{"dangling", "missing", "file/x"} {
		if _, err := strict.Walk(filepath.Join(root, path), os.Getuid()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestALinkIntoAStickyDirectory: what lies directly in a directory that all may
// write is refused, what lies in a directory of ours below it is not.
func TestALinkIntoAStickyDirectory(t *testing.T) {
	t.Parallel()
	root, file := tree(t)
	open := filepath.Join(root, "open")
	must(t, os.Mkdir(open, 0o700), os.Mkdir(filepath.Join(open, "mine"), 0o700))
	must(t, os.WriteFile(filepath.Join(open, "file"), nil, 0o700), os.WriteFile(filepath.Join(open, "mine", "file"), nil, 0o700))
	must(t, os.Chmod(open, 0o777|fs.ModeSticky), os.Symlink(file, filepath.Join(open, "link")))
	must(t, os.Symlink("open/file", filepath.Join(root, "in")), os.Symlink("open/mine/file", filepath.Join(root, "below")))
	for path, want := range map[string]string{"in": "write it", "below": "", "open/file": "write it", "open/link": "write it", "open/mine/file": ""} {
		_, err := strict.Walk(filepath.Join(root, path), os.Getuid())
		checkProblem(t, path, err, open, want)
		_, err = strict.Keep(filepath.Join(root, path), os.Getuid())
		checkProblem(t, path+", kept", err, open, "")
	}
}

// TestASecretFile is every mode of a key.
func TestASecretFile(t *testing.T) {
	t.Parallel()
	for mode := fs.FileMode(0); mode <= 0o777; mode++ {
		p := strict.Secret("/x/key", mode)
		if want := mode&0o077 != 0; (p != nil) != want {
			t.Errorf("%04o: %v, want a problem: %v", mode, p, want)
		}
	}
	if got, want := strict.Secret("/x/key", 0o644).Error(), "/x/key: its mode is 0644, so others than its owner may use it; chmod 600 /x/key"; got != want {
		t.Errorf("got %s", got)
	}
}
