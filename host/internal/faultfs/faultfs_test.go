package faultfs

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mounted(t *testing.T, o Options) *FS {
	t.Helper()
	f, err := Mount(t.TempDir(), o)
	if err != nil {
		t.Fatalf("Mount: %v; these tests need /dev/fuse, and root or fusermount3", err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// put writes a file in place, and syncs what it is told to.
func put(t *testing.T, name, text string, syncFile, syncDir bool) {
	t.Helper()
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err == nil && syncFile {
		err = file.Sync()
	}
	if err == nil {
		err = file.Close()
	}
	if err == nil && syncDir {
		var dir *os.File
		if dir, err = os.Open(filepath.Dir(name)); err == nil {
			defer dir.Close()
			err = dir.Sync()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPowerCutLosesWhatWasNotSynced(t *testing.T) {
	f := mounted(t, Options{})
	at := func(name string) string { return filepath.Join(f.Dir(), name) }
	put(t, at("both"), "both", true, false)
	put(t, at("name-only"), "text", false, true) // the directory's sync covers both names
	put(t, at("nothing"), "text", false, false)
	put(t, at("replaced"), "old", true, true)
	put(t, at("new"), "new", false, false)
	if err := os.Rename(at("new"), at("replaced")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(at("replaced")); err != nil || string(data) != "new" {
		t.Fatalf("before the cut: %q, %v", data, err)
	}
	image := f.Cut(nil)
	want := map[string]string{"both": "both", "name-only": "", "replaced": "old", "nothing": ""}
	if len(image) != len(want) {
		t.Errorf("after the cut: %d files, want %d", len(image), len(want))
	}
	for name, text := range want {
		if got := string(image[name].Data); got != text {
			t.Errorf("after the cut %s holds %q, want %q", name, got, text)
		}
	}
}

func TestTheClassicRenameWithoutASync(t *testing.T) {
	f := mounted(t, Options{})
	at := func(name string) string { return filepath.Join(f.Dir(), name) }
	put(t, at("file"), "old", true, true)
	put(t, at("tmp"), "new", false, false)
	if err := os.Rename(at("tmp"), at("file")); err != nil {
		t.Fatal(err)
	}
	empty, old, whole := 0, 0, 0
	for seed := range uint64(200) {
		switch got := string(f.Cut(rand.New(rand.NewPCG(seed, 1)))["file"].Data); got {
		case "":
			empty++
		case "old":
			old++
		case "new":
			whole++
		default:
			t.Fatalf("the file holds %q", got)
		}
	}
	if empty == 0 || old == 0 || whole == 0 {
		t.Errorf("in 200 cuts: %d empty, %d old, %d new; want some of each", empty, old, whole)
	}
}

func TestOperationsFailAsTold(t *testing.T) {
	for _, op := range Ops() {
		f := mounted(t, Options{})
		at := func(name string) string { return filepath.Join(f.Dir(), name) }
		put(t, at("a"), "text", false, false)
		f.Set(Options{Before: func(e Event) syscall.Errno {
			if e.Op == op {
				return syscall.ENOSPC
			}
			return 0
		}})
		got := map[Op]error{Create: os.Mkdir(at("dir"), 0o700), Write: os.WriteFile(at("b"), []byte("x"), 0o600), Truncate: os.Truncate(at("a"), 1), Link: os.Link(at("a"), at("l"))}
		if op != Create && op != Write {
			got[Sync], got[SyncDir] = syncPath(at("b")), syncPath(f.Dir())
			got[Rename] = os.Rename(at("b"), at("c"))
			got[Remove] = os.Remove(at("a"))
		}
		if !errors.Is(got[op], syscall.ENOSPC) {
			t.Errorf("%s: %v, want ENOSPC", op, got[op])
		}
		for other, err := range got {
			if other != op && err != nil && !(op == Create && other == Write) {
				t.Errorf("%s fails with %v while %s is told to", other, err, op)
			}
		}
	}
}

func syncPath(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

func TestADiskFillsAndHasRoomAgain(t *testing.T) {
	f := mounted(t, Options{Capacity: 10_000})
	name := filepath.Join(f.Dir(), "a")
	err := os.WriteFile(name, make([]byte, 20_000), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("20,000 bytes: %v, want ENOSPC", err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, 9_000), 0o600); err != nil {
		t.Errorf("9,000 bytes after the removal: %v", err)
	}
}

func TestAnImageComesBack(t *testing.T) {
	f := mounted(t, Options{})
	dir := filepath.Join(f.Dir(), "d", "e")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "f"), strings.Repeat("x", 5000), true, true)
	image := f.Now()
	out := filepath.Join(t.TempDir(), "out")
	if err := image.Save(out); err != nil {
		t.Fatal(err)
	}
	again, err := Load(out)
	if err != nil || len(again) != 3 || string(again["d/e/f"].Data) != strings.Repeat("x", 5000) {
		t.Fatalf("Load: %d files, %v", len(again), err)
	}
	f.Restore(Image{})
	if left, err := os.ReadDir(f.Dir()); err != nil || len(left) != 0 {
		t.Fatalf("%d names are left, %v", len(left), err)
	}
	f.Restore(again)
	if data, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || len(data) != 5000 {
		t.Errorf("after Restore: %d bytes, %v", len(data), err)
	}
	if n := f.Cut(nil); len(n) != 3 {
		t.Errorf("%d files are durable, want 3", len(n))
	}
}
