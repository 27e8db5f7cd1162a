package host_test

import (
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rekey-host/rekey/host/internal/faultfs"
	"github.com/rekey-host/rekey/host/output"
)

const (
	oldText = "login,password\nann,the one before\n"
	newText = "login,password\nann,the new one, which is longer\n"
)

// writing is how a report is written.
type writing struct {
	name   string
	before faultfs.Image
	path   string
}

func writings() []writing {
	return []writing{
		{"in directories that have to be made", faultfs.Image{}, "reports/today/passwords.csv"},
		{"in place of an older one", faultfs.Image{"passwords.csv": {Mode: 0o600, Data: []byte(oldText)}}, "passwords.csv"},
	}
}

func (w writing) write(root string) error {
	f, err := output.Create(filepath.Join(root, w.path), output.Options{Overwrite: true, Run: "r1"})
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write([]byte(newText)); err != nil {
		return err
	}
	_, err = f.Commit()
	return err
}

// TestFaultsAnOutputIsTheOldOneOrTheNewOne ends the writing of a report at each
// operation of the file system, by a kill, an error or a power cut: the file is
// then what it was, or the new one, whole and private; and the new one wherever
// rekey has said that it is written.
func TestFaultsAnOutputIsTheOldOneOrTheNewOne(t *testing.T) {
	f, err := faultfs.Mount(t.TempDir(), faultfs.Options{})
	if err != nil {
		t.Fatalf("mount: %v; the harness needs /dev/fuse, and root or fusermount3", err)
	}
	defer func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	ends := 0
	for _, w := range writings() {
		for _, errno := range []syscall.Errno{0, syscall.EIO, syscall.ENOSPC} {
			for n := 1; endsAt(t, f, w, n, errno); n++ {
				ends++
			}
		}
	}
	if ends < 40 {
		t.Errorf("%d ends are too few to tell", ends)
	}
	t.Logf("counts: an output was ended at %d places: whole every time", ends)
}

// endsAt meets the n-th operation with a fault, 0 being the end of the process,
// and reports whether there was one.
func endsAt(t *testing.T, f *faultfs.FS, w writing, n int, errno syscall.Errno) bool {
	t.Helper()
	f.Set(faultfs.Options{})
	f.Restore(w.before)
	met := false
	f.Set(faultfs.Options{Before: func(e faultfs.Event) syscall.Errno {
		switch {
		case e.All != n:
			return 0
		case errno == 0:
			met = true
			f.Stop()
			return syscall.EIO
		}
		met = true
		return errno
	}})
	err := w.write(f.Dir())
	f.Set(faultfs.Options{})
	f.Restart()
	whole(t, w, n, errno, f.Now(), err == nil)
	for seed := range uint64(6) {
		luck := rand.New(rand.NewPCG(seed, uint64(n)))
		if seed == 0 {
			luck = nil
		}
		whole(t, w, n, errno, f.Cut(luck), err == nil)
	}
	return met
}

// whole checks what is left. written says that the writing was said to be done.
func whole(t *testing.T, w writing, n int, errno syscall.Errno, image faultfs.Image, written bool) {
	t.Helper()
	file, there := image[w.path]
	was, before := w.before[w.path]
	got := string(file.Data)
	switch {
	case written && got != newText,
		there && got != newText && got != string(was.Data),
		!there && before,
		there && file.Mode != 0o600:
		t.Errorf("%s, %v at operation %d: the file is there: %v, mode %o, and holds %q; it was said to be written: %v", w.name, errno, n, there, file.Mode, got, written)
	}
	for _, name := range slices.Sorted(maps.Keys(image)) {
		unfinished := strings.HasPrefix(path.Base(name), ".rekey-r1-") // the next command removes it
		if name != w.path && !strings.HasSuffix(name, "/") && (!unfinished || written) {
			t.Errorf("%s, %v at operation %d: %s is left", w.name, errno, n, name)
		}
	}
}
