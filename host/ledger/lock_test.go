package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

func TestLockIsHeldWhileItIsHeldAndSigned(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.lock")
	held := func(when string, want bool) {
		t.Helper()
		if got, err := lockHeld(path); got != want || err != nil {
			t.Errorf("%s: lockHeld() = %v, %v", when, got, err)
		}
	}
	held("without a file", false)
	l, err := holdLock(path)
	must(t, err)
	held("without a signature", false)
	must(t, l.sign("7"))
	held("signed", true)
	l.release()
	held("released", false)
	if got, err := lockHeld(filepath.Join(path, "x")); got || err == nil {
		t.Errorf("lockHeld() of what cannot be asked = %v, %v", got, err)
	}
}

func TestPrivateDirectoryIsOneOrAnError(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		must(t, makePrivateDir(deep))
	}
	for at := deep; at != dir; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		must(t, err)
		if !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v", at, info.Mode())
		}
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	dangling := filepath.Join(dir, "dangling")
	must(t, os.Symlink("nowhere", dangling))
	for _, at := range []string{file, filepath.Join(file, "x"), dangling, filepath.Join(dangling, "x")} {
		if err := makePrivateDir(at); err == nil {
			t.Errorf("makePrivateDir(%s) gave no error", at)
		}
	}
	if err := makePrivateDir(filepath.Join(dir, string(make([]byte, 300)))); err == nil {
		t.Error("a name that cannot be made gave no error")
	}
}

func TestWhatIsNotThereIsNotDurable(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	for name, f := range map[string]func(string) error{"syncDir": syncDir, "syncOwn": syncOwn, "syncUp": syncUp, "syncFile": files.Sync} {
		if err := f(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if name != "syncFile" {
			must(t, f(filepath.Dir(gone)))
		}
	}
}

// TestFileIsWhereItIs: a name that means another file now is noticed.
func TestFileIsWhereItIs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	f, err := files.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	must(t, err)
	defer f.Close()
	if !isAt(f, path) || isAt(f, path+"2") {
		t.Error("the file is not where it is, or is where it is not")
	}
	must(t, os.Rename(path, path+"2"))
	must(t, os.WriteFile(path, nil, 0o600))
	if isAt(f, path) || !isAt(f, path+"2") {
		t.Error("a renamed file is not where it is, or is where it is not")
	}
	closed, err := os.Open(path)
	must(t, err)
	if must(t, closed.Close()); isAt(closed, path) {
		t.Error("a file that is closed is where it was")
	}
	b, err := birthOf(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if age := info.ModTime().Sub(time.Unix(0, b.born)); b.born != 0 && (age < -time.Second || age > time.Second) {
		t.Errorf("%s was made %v before it was written", path, age)
	}
	if _, err := birthOf(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("birthOf() = %v", err)
	}
}
