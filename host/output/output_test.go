package output

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// put writes a file whole, and returns its digest.
func put(t *testing.T, path, text string, o Options) string {
	t.Helper()
	f, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	digest, err := f.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %.40q, %v, want %.40q", filepath.Base(path), got, err, want)
	}
}

// names lists a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// dir is a test's directory without symbolic links in its path.
func dir(t *testing.T) string {
	t.Helper()
	d, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// both runs a test with files that have no name until they are complete, and
// with the fallback for file systems that have no such files.
func both(t *testing.T, test func(t *testing.T, create func(string, Options) (*File, error))) {
	t.Run("unnamed", func(t *testing.T) { test(t, Create) })
	t.Run("named", func(t *testing.T) { test(t, createNamed) })
}

// createNamed is Create where the file system has no files without a name.
func createNamed(path string, o Options) (*File, error) {
	f, err := Create(path, o)
	if err != nil {
		return nil, err
	}
	if err := f.file.Close(); err != nil {
		return nil, err
	}
	if err := f.beginNamed(); err != nil {
		return nil, err
	}
	f.sync = f.file.Sync
	return f, nil
}

func TestAFileAppearsWholeAndPrivate(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		old := unix.Umask(0)
		defer unix.Umask(old)
		d := dir(t)
		path := filepath.Join(d, "passwords.csv")
		f, err := create(path, Options{Run: "r7k2"})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("login,password\n", 20_000)
		for part := range strings.Lines(text) {
			if _, err := f.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("before Commit: %v, want no file", err)
		}
		if f.temp != "" {
			info, err := os.Lstat(filepath.Join(d, f.temp))
			if err != nil || info.Mode().Perm() != 0o600 || !strings.HasPrefix(f.temp, ".rekey-r7k2-") {
				t.Errorf("the file that is not complete: %v, %v, want .rekey-r7k2-… of mode 0600", info, err)
			}
		}
		digest, err := f.Commit()
		if err != nil || digest != sha(text) || f.Path() != path {
			t.Errorf("Commit = %s, %v at %s, want %s at %s", digest, err, f.Path(), sha(text), path)
		}
		holds(t, path, text)
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 || names(t, d) != "passwords.csv" {
			t.Errorf("mode %v, %v, directory %s; want 0600 and nothing else there", info.Mode(), err, names(t, d))
		}
		if _, err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Commit again: %v, want fs.ErrClosed", err)
		}
		if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Write after Commit: %v, want fs.ErrClosed", err)
		}
	})
}

func TestTheUmaskDoesNotCount(t *testing.T) {
	for _, mask := range []int{0, 0o077} {
		d := dir(t)
		old := unix.Umask(mask)
		defer unix.Umask(old)
		path := filepath.Join(d, "a", "b", "report.html")
		put(t, path, "x", Options{Mode: 0o644})
		for name, want := range map[string]fs.FileMode{path: 0o644, filepath.Dir(path): fs.ModeDir | 0o700, filepath.Dir(filepath.Dir(path)): fs.ModeDir | 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode() != want {
				t.Errorf("umask %03o: %s: %v, %v, want mode %v", mask, filepath.Base(name), info.Mode(), err, want)
			}
		}
	}
}

func TestOnlyOurUnchangedFilesAreReplaced(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		d := dir(t)
		path := filepath.Join(d, "report.csv")
		ours := map[string][]string{}
		o := Options{Dir: d, Owns: func(p string) []string { return ours[p] }}
		again := func(text string, o Options) error {
			f, err := create("report.csv", o)
			if err != nil {
				return err
			}
			defer f.Abort()
			if _, err := f.Write([]byte(text)); err != nil {
				return err
			}
			digest, err := f.Commit()
			if err == nil {
				ours[f.Path()] = []string{digest}
			}
			return err
		}
		for _, text := range []string{"first", "second", "third"} {
			if err := again(text, o); err != nil {
				t.Fatal(err)
			}
			holds(t, path, text)
		}
		write(t, path, "edited")
		want := "report.csv: was changed since a run wrote it; move it away, or give --overwrite"
		if err := again("fourth", o); err == nil || err.Error() != want {
			t.Errorf("over a changed file: %v, want %s", err, want)
		}
		clear(ours)
		want = "report.csv: is there already and was not written by a run; move it away, or give --overwrite"
		if err := again("fourth", o); err == nil || err.Error() != want {
			t.Errorf("over a foreign file: %v, want %s", err, want)
		}
		if err := again("fourth", Options{Dir: d}); err == nil || err.Error() != want {
			t.Errorf("where nothing is ours: %v, want %s", err, want)
		}
		holds(t, path, "edited")
		o.Overwrite = true
		if err := again("fifth", o); err != nil {
			t.Error(err)
		}
		holds(t, path, "fifth")
		if got := names(t, d); got != "report.csv" {
			t.Errorf("directory holds %s, want the report only", got)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	d := dir(t)
	script := write(t, filepath.Join(d, "rotate.star"), "x")
	state := filepath.Join(d, "state")
	for _, name := range []string{state, filepath.Join(d, "sub")} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(state, "db"), "x")
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(d, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("rotate.star", "to-script")
	link("state", "to-state")
	link("state/db", "to-db")
	link("elsewhere.csv", "to-elsewhere")
	link("nowhere/at/all", "to-nowhere")
	if err := os.Link(script, filepath.Join(d, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(d, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		edit func(*Options)
		want string
	}{
		{"rotate.star", nil, "is " + script + ", which rekey needs; choose another path"},
		{"sub/../rotate.star", nil, "is " + script + ", which rekey needs; choose another path"},
		{"to-script", nil, "is " + script + ", which rekey needs; choose another path"},
		{"hard", nil, "is another name of " + script + ", which rekey needs; choose another path"},
		{"state/report.csv", nil, "is inside " + state + ", which rekey needs; choose another path"},
		{"state/a/b/report.csv", nil, "is inside " + state + ", which rekey needs; choose another path"},
		{"to-state/a/report.csv", nil, "is inside " + state + ", which rekey needs; choose another path"},
		{"to-state", nil, "is " + state + ", which rekey needs; choose another path"},
		{"to-db", nil, "is inside " + state + ", which rekey needs; choose another path"},
		{"sub", nil, "is a directory; choose another path"},
		{"sub/", nil, "is a directory; choose another path"},
		{"fifo", nil, "is not a regular file; choose another path"},
		{"/dev/null", nil, "is not a regular file; choose another path"},
		{"to-nowhere/report.csv", nil, filepath.Join(d, "to-nowhere") + " leads nowhere: no such file or directory; choose another path"},
		{"rotate.star/report.csv", nil, script + " is not a directory; choose another path"},
		{"", nil, "is not a path; choose another path"},
		{"a\x00b", nil, "is not a path; choose another path"},
		{"report.csv", func(o *Options) { o.Mode = 0o755 }, "mode -rwxr-xr-x is refused: what is written is data, not a program"},
		{"report.csv", func(o *Options) { o.Mode = fs.ModeSetuid | 0o600 }, "mode urw------- is refused: what is written is data, not a program"},
	}
	for _, c := range tests {
		t.Run(c.path, func(t *testing.T) {
			o := Options{Dir: d, Overwrite: true, Forbidden: []string{script, state, filepath.Join(d, "not-there")}}
			if c.edit != nil {
				c.edit(&o)
			}
			var r *Refusal
			if _, err := Check(c.path, o); !errors.As(err, &r) || err.Error() != c.path+": "+c.want {
				t.Errorf("Check: %v, want %s: %s", err, c.path, c.want)
			}
			if _, err := Create(c.path, o); !errors.As(err, &r) {
				t.Errorf("Create: %v, want a Refusal", err)
			}
		})
	}
	if _, err := Check("state2/report.csv", Options{Dir: d, Forbidden: []string{state}}); err != nil {
		t.Errorf("Check of a path that begins like a forbidden one: %v", err)
	}
	if got := names(t, d); got != "fifo hard rotate.star state sub to-db to-elsewhere to-nowhere to-script to-state" {
		t.Errorf("Check and Create left something: %s", got)
	}
}

// A process may be killed when the file has its name and before anybody could
// note that: what it is about to get is told before.
func TestWhatAPathIsAboutToGetIsToldBefore(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		d := dir(t)
		path := write(t, filepath.Join(d, "report.csv"), "from before")
		told := []string{sha("from before")}
		o := Options{Dir: d, Owns: func(string) []string { return told }, Writes: func(p, digest string) error {
			if holds(t, path, "from before"); p != path {
				t.Errorf("told of %q", p)
			}
			told = append(told, digest)
			return nil
		}}
		commit := func(text string) error {
			f, err := create("report.csv", o)
			if err != nil {
				return err
			}
			defer f.Abort()
			if _, err := f.Write([]byte(text)); err != nil {
				return err
			}
			_, err = f.Commit()
			return err
		}
		if err := commit("new"); err != nil || told[len(told)-1] != sha("new") {
			t.Fatalf("Commit: %v, told %q", err, told)
		}
		holds(t, path, "new")
		full := errors.New("the disk is full")
		o.Writes = func(string, string) error { return full }
		if err := commit("newer"); !errors.Is(err, full) { // and "new", which nobody noted, is ours
			t.Errorf("Commit: %v, want %v", err, full)
		}
		holds(t, path, "new")
		if got := names(t, d); got != "report.csv" {
			t.Errorf("left behind: %s", got)
		}
	})
}

func TestASymbolicLinkIsReplacedAndNeverFollowed(t *testing.T) {
	d := dir(t)
	victim := write(t, filepath.Join(d, "victim"), "precious")
	path := filepath.Join(d, "report.csv")
	if err := os.Symlink("victim", path); err != nil {
		t.Fatal(err)
	}
	owns := func(string) []string { return []string{sha("precious")} }
	want := path + ": is a symbolic link; remove the link, or give --overwrite to replace it"
	if _, err := Check(path, Options{Owns: owns}); err == nil || err.Error() != want {
		t.Errorf("Check: %v, want %s", err, want)
	}
	put(t, path, "new", Options{Overwrite: true})
	holds(t, victim, "precious")
	holds(t, path, "new")
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the path is %v, %v, want a regular file", info, err)
	}
}

func TestALinkedDirectoryIsFollowedAndNamed(t *testing.T) {
	d := dir(t)
	if err := os.Mkdir(filepath.Join(d, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(d, "link")); err != nil {
		t.Fatal(err)
	}
	f, err := Create("link/a/report.csv", Options{Dir: d})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(d, "real", "a", "report.csv"); f.Path() != want {
		t.Errorf("Path = %s, want %s", f.Path(), want)
	}
	holds(t, filepath.Join(d, "real", "a", "report.csv"), "")
}

// TestWhatComesUpMeanwhileIsNotWrittenOver changes the path between Create and
// Commit.
func TestWhatComesUpMeanwhileIsNotWrittenOver(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		tests := []struct {
			name   string
			change func(t *testing.T, d string)
			want   string
		}{
			{"a file", func(t *testing.T, d string) { write(t, filepath.Join(d, "out", "x"), "foreign") }, "is there already and was not written by a run"},
			{"a link to a forbidden file", func(t *testing.T, d string) {
				if err := os.Symlink("../state/db", filepath.Join(d, "out", "x")); err != nil {
					t.Fatal(err)
				}
			}, "is inside"},
			{"a directory", func(t *testing.T, d string) {
				if err := os.Mkdir(filepath.Join(d, "out", "x"), 0o700); err != nil {
					t.Fatal(err)
				}
			}, "is a directory"},
			{"another directory above", func(t *testing.T, d string) {
				if err := errors.Join(os.Rename(filepath.Join(d, "out"), filepath.Join(d, "moved")), os.Mkdir(filepath.Join(d, "out"), 0o700)); err != nil {
					t.Fatal(err)
				}
			}, "its directory was replaced while it was written"},
			{"a link above", func(t *testing.T, d string) {
				if err := errors.Join(os.Rename(filepath.Join(d, "out"), filepath.Join(d, "moved")), os.Symlink("state", filepath.Join(d, "out"))); err != nil {
					t.Fatal(err)
				}
			}, "its directory was replaced while it was written"},
		}
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				d := dir(t)
				state := filepath.Join(d, "state")
				if err := errors.Join(os.Mkdir(state, 0o700), os.Mkdir(filepath.Join(d, "out"), 0o700)); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(state, "db"), "precious")
				f, err := create("out/x", Options{Dir: d, Forbidden: []string{state}})
				if err != nil {
					t.Fatal(err)
				}
				c.change(t, d)
				var r *Refusal
				if _, err := f.Commit(); !errors.As(err, &r) || !strings.Contains(r.Message, c.want) {
					t.Errorf("Commit: %v, want a Refusal: %s", err, c.want)
				}
				if got := names(t, state); got != "db" {
					t.Errorf("the forbidden directory holds %s, want what it held", got)
				}
				holds(t, filepath.Join(state, "db"), "precious")
				err = filepath.WalkDir(d, func(path string, e fs.DirEntry, err error) error {
					if strings.HasPrefix(e.Name(), tempPrefix) {
						t.Errorf("%s is left behind", path)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestAFaultLeavesThePathUntouched(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		tests := []struct {
			name  string
			fault func(*testing.T, *File)
			want  error
		}{
			{"sync", func(_ *testing.T, f *File) { f.sync = func() error { return unix.EIO } }, unix.EIO},
			{"closed", func(_ *testing.T, f *File) { f.file.Close() }, os.ErrClosed},
			{"full", func(t *testing.T, f *File) {
				full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				f.file.Close()
				f.file = full
			}, unix.ENOSPC},
		}
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				d := dir(t)
				path := write(t, filepath.Join(d, "report.csv"), "old")
				f, err := create(path, Options{Overwrite: true})
				if err != nil {
					t.Fatal(err)
				}
				c.fault(t, f)
				_, _ = f.Write(bytes.Repeat([]byte("x"), 3*bufferSize))
				if _, err := f.Commit(); !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), path+": ") {
					t.Errorf("Commit: %v, want %v with the path", err, c.want)
				}
				holds(t, path, "old")
				if got := names(t, d); got != "report.csv" {
					t.Errorf("directory holds %s, want the old report only", got)
				}
			})
		}
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, create func(string, Options) (*File, error)) {
		d := dir(t)
		f, err := create("report.csv", Options{Dir: d})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		f.Abort()
		f.Abort()
		if got := names(t, d); got != "" {
			t.Errorf("directory holds %s, want nothing", got)
		}
	})
}

func TestSweepRemovesWhatNobodyHolds(t *testing.T) {
	d := dir(t)
	f, err := createNamed("report.csv", Options{Dir: d, Run: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	dead := write(t, filepath.Join(d, ".rekey-r2-0123456789abcdef"), "half")
	for _, name := range []string{".rekey-notes", ".rekey-r2-0123456789abcdef.bak", "report.csv", ".rekey-spool-12345"} {
		write(t, filepath.Join(d, name), "mine")
	}
	if err := os.Symlink("report.csv", filepath.Join(d, ".rekey-r3-0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	removed, err := Sweep(d, filepath.Join(d, "not-there"))
	if err != nil || len(removed) != 1 || removed[0] != dead {
		t.Errorf("Sweep = %q, %v, want %q", removed, err, dead)
	}
	if _, err := os.Lstat(filepath.Join(d, f.temp)); err != nil {
		t.Errorf("the file that is being written: %v", err)
	}
	if got := len(strings.Fields(names(t, d))); got != 6 {
		t.Errorf("directory holds %s, want all but the one that was left behind", names(t, d))
	}
}

func TestWritingGoesOnWhereTheDirectoryIsSwept(t *testing.T) {
	d := dir(t)
	f, err := createNamed("report.csv", Options{Dir: d})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sweep(d); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(); err != nil {
		t.Errorf("Commit after a Sweep: %v", err)
	}
}
