package source_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/source"
)

// logins is a file of n users.
func logins(n int) string {
	var b strings.Builder
	b.WriteString("login\n")
	for i := range n {
		b.WriteString("user" + string(rune('a'+i%26)) + strings.Repeat("x", 20) + "\n")
	}
	return b.String()
}

func csvOf(t *testing.T, o source.CSVOptions) source.Source {
	t.Helper()
	o.Key, o.Quote = "login", quote()
	s, err := source.CSV(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spool(t *testing.T, r io.Reader, dir string) *source.Spool {
	t.Helper()
	s := source.NewSpool(r, dir)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStdinIsReadOnceAndServedManyTimes(t *testing.T) {
	for name, n := range map[string]int{"in memory": 3, "in a file": 180_000} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := logins(n)
			files := source.Files{Stdin: spool(t, iotest.OneByteReader(strings.NewReader(text[:30])), dir)}
			if n > 3 {
				files.Stdin = spool(t, strings.NewReader(text), dir)
			} else {
				text = text[:30]
			}
			s := csvOf(t, source.CSVOptions{Path: "-", Files: files})
			want := strings.Count(strings.TrimSuffix(text, "\n"), "\n")
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					rows := 0
					if err := s.Rows(context.Background(), func(source.Row) error { rows++; return nil }); err != nil || rows != want {
						t.Errorf("%d rows, %v, want %d", rows, err, want)
					}
				})
			}
			wg.Wait()
			sum := sha256.Sum256([]byte(text))
			prints, err := source.Fingerprints(context.Background(), s)
			if diff := cmp.Diff([]source.Fingerprint{{Name: "stdin", SHA256: hex.EncodeToString(sum[:]), Stdin: true}}, prints); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("the spool has a name: %v, %v", left, err)
			}
		})
	}
}

// TestTwoSourcesShareStdin: csv("-") twice is the same users twice.
func TestTwoSourcesShareStdin(t *testing.T) {
	files := source.Files{Stdin: spool(t, strings.NewReader("login\nann\n"), t.TempDir())}
	both, err := source.Concat(csvOf(t, source.CSVOptions{Path: "-", Files: files}), csvOf(t, source.CSVOptions{Path: "-", Files: files}))
	if err != nil {
		t.Fatal(err)
	}
	rows, problems := read(t, both)
	if len(rows) != 2 || problems != "" {
		t.Errorf("%q, %s", rows, problems)
	}
}

// TestAStreamThatBreaksIsNoShortList: it fails each time it is read, with what
// was read of it in no row.
func TestAStreamThatBreaksIsNoShortList(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("login\nann\nbob\n"), iotest.ErrReader(errors.New("connection reset")))
	s := csvOf(t, source.CSVOptions{Path: "-", Files: source.Files{Stdin: spool(t, broken, t.TempDir())}})
	for range 2 {
		rows, problems := read(t, s)
		if len(rows) != 0 || problems != "stdin: cannot be read: connection reset" {
			t.Errorf("%q, %q", rows, problems)
		}
	}
}

func TestThereMayBeNoStdin(t *testing.T) {
	if _, problems := read(t, csvOf(t, source.CSVOptions{Path: "-"})); problems != "stdin: there is no standard input to read users from" {
		t.Error(problems)
	}
	gone := source.NewSpool(strings.NewReader("login\nann\n"), "")
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Open(context.Background()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Open of a closed spool = %v", err)
	}
	if err := gone.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestASpoolNeedsItsDirectory(t *testing.T) {
	s := spool(t, bytes.NewReader(bytes.Repeat([]byte{10}, 5<<20)), filepath.Join(t.TempDir(), "missing"))
	if _, err := s.Open(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v, want that there is no such directory", err)
	}
}

// TestAFIFOIsReadOnceAndServedManyTimes, as <(…) of a shell is.
func TestAFIFOIsReadOnceAndServedManyTimes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte("login\nann\nbob\n"), 0) }()
	s := csvOf(t, source.CSVOptions{Path: path, Files: source.Files{SpoolDir: dir}})
	if _, err := s.Schema(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rows, problems := read(t, s); len(rows) != 2 || problems != "" {
			t.Errorf("%q, %s", rows, problems)
		}
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if prints, err := source.Fingerprints(context.Background(), s); err != nil || !prints[0].Stdin {
		t.Errorf("fingerprints = %+v, %v: a FIFO cannot be compared later", prints, err)
	}
}

func TestAFileThatChangesIsNoPlan(t *testing.T) {
	dir := write(t, "login\nann\n")
	s := csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: dir}})
	if rows, problems := read(t, s); len(rows) != 1 || problems != "" {
		t.Fatal(rows, problems)
	}
	if err := os.WriteFile(filepath.Join(dir, "users.csv"), []byte("login\nann\nbob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "users.csv: changed while it was being read; run again when nothing writes to it"
	if _, problems := read(t, s); problems != want {
		t.Errorf("Rows: %q, want %q", problems, want)
	}
	if _, err := source.Fingerprints(context.Background(), s); err == nil || err.Error() != want {
		t.Errorf("Fingerprints: %v, want %q", err, want)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"sub":         "sub: is a directory, not a file of users",
		"none.csv":    "none.csv: no such file",
		"loop":        "loop: cannot be read: too many levels of symbolic links",
		"@rekey/none": "@rekey/none: no such file",
	} {
		_, problems := read(t, csvOf(t, source.CSVOptions{Path: path, Files: source.Files{Dir: dir}}))
		if problems != want {
			t.Errorf("%s: %q, want %q", path, problems, want)
		}
	}
}

func TestFingerprintsOfAConcatenation(t *testing.T) {
	dir := write(t, "login\nann\n")
	list, err := source.List(source.ListOptions{Items: []any{"eve"}, Key: "login"})
	if err != nil {
		t.Fatal(err)
	}
	file := csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: dir}})
	all, err := source.Concat(list, file)
	if err != nil {
		t.Fatal(err)
	}
	prints, err := source.Fingerprints(context.Background(), all)
	if err != nil || len(prints) != 1 || prints[0].Name != "users.csv" || prints[0].Stdin {
		t.Errorf("%+v, %v", prints, err)
	}
	if prints, err := source.Fingerprints(context.Background(), list); prints != nil || err != nil {
		t.Errorf("of a list: %+v, %v", prints, err)
	}
}
