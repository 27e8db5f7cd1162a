package ledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// backedUp makes a store with three runs: one under way, one planned, one
// damaged.
func backedUp(t bench) (*Store, Keys, *Run) {
	s := newStore(t)
	k := newKeys(t, s)
	r := fuzzedRun(t, s)
	must(t, newRun(t, s, k, 2).Close())
	must(t, s.Wrote("/x/report.csv", "abc", "report"))
	must(t, os.WriteFile(s.runFile("rjunk"), []byte(strings.Repeat("x", 4096)), 0o600))
	must(t, os.WriteFile(s.runFile("rjunk")+"-wal", []byte("y"), 0o600))
	return s, k, r
}

func TestBackupIsAStateDirectory(t *testing.T) {
	t.Parallel()
	s, k, r := backedUp(t)
	for _, empty := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "made", "backup")
		if empty {
			must(t, os.MkdirAll(dir, 0o755))
		}
		b, err := s.Backup(t.Context(), dir, filepath.Join(s.dir, "identity.txt"))
		must(t, err)
		if b.Runs != 3 || len(b.Damaged) != 1 || !strings.HasPrefix(b.Damaged[0], "run rjunk: ") || b.Dir != dir {
			t.Errorf("Backup() = %+v", b)
		}
		if left := filesIn(t, filepath.Dir(dir)); !slices.Equal(left, []string{"backup"}) {
			t.Errorf("beside it lie %v", left)
		}
		eachFile(t, dir, func(path string, info fs.FileInfo) {
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v", path, info.Mode())
			}
		})
		want, err := contents(s, k, r.ID())
		must(t, err)
		to := opened(t, dir, "test host")
		got, err := contents(to, k, r.ID())
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		audited(t, to, r.ID(), "")
		if own := to.Owns("/x/report.csv"); !slices.Equal(own, []string{"abc"}) {
			t.Errorf("Owns() = %v", own)
		}
		for _, suffix := range []string{"", "-wal"} {
			a, _ := os.ReadFile(s.runFile("rjunk") + suffix)
			b, _ := os.ReadFile(to.runFile("rjunk") + suffix)
			if string(a) != string(b) {
				t.Errorf("the damaged run%s is not there as it lies", suffix)
			}
		}
		if _, err := to.Lock(r.ID(), k); !errors.As(err, new(*MovedError)) {
			t.Errorf("Lock() = %v, want that it was moved", err)
		}
		again, err := to.LockMoved(r.ID(), k)
		must(t, err)
		must(t, again.Close())
	}
	must(t, r.Close())
}

func TestBackupIsMadeNowhereElse(t *testing.T) {
	s, _, r := backedUp(t)
	defer r.Close()
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	must(t, os.MkdirAll(filepath.Join(full, "x"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, at := range []string{full, filepath.Join(dir, "file"), filepath.Join(dir, "file", "x")} {
		if _, err := s.Backup(t.Context(), at, ""); err == nil {
			t.Errorf("Backup(%s) gave no error", at)
		}
	}
	if _, err := s.Backup(t.Context(), full, ""); !errors.Is(err, ErrNotVacant) {
		t.Errorf("Backup() = %v, want ErrNotVacant", err)
	}
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "new"), filepath.Join(dir, "no identity")); err == nil {
		t.Error("Backup() without the identity that was asked for gave no error")
	}
	if left := filesIn(t, dir); !slices.Equal(left, []string{"file", "full"}) {
		t.Errorf("left are %v", left)
	}
	must(t, os.Remove(filepath.Join(s.dir, "audit.key")))
	b, err := s.Backup(t.Context(), filepath.Join(dir, "new"), "")
	must(t, err)
	if _, err := os.Stat(filepath.Join(b.Dir, "identity.txt")); err == nil {
		t.Error("the identity was copied without being asked for")
	}
}

// TestBackupSweepsWhatAKilledOneLeft, with an identity in it, and leaves that of
// a living one and what is somebody's own.
func TestBackupSweepsWhatAKilledOneLeft(t *testing.T) {
	s, _, r := backedUp(t)
	defer r.Close()
	dir := t.TempDir()
	for _, name := range []string{".rekey-backup-123", ".rekey-backup-456", ".rekey-backup-notes", ".rekey-backup-"} {
		must(t, os.MkdirAll(filepath.Join(dir, name, "runs"), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, name, "identity.txt"), []byte("x"), 0o600))
	}
	living, err := files.HoldDir(filepath.Join(dir, ".rekey-backup-456"))
	must(t, err)
	defer living.Close()
	_, err = s.Backup(t.Context(), filepath.Join(dir, "new"), "")
	must(t, err)
	if left := filesIn(t, dir); !slices.Equal(left, []string{".rekey-backup-", ".rekey-backup-456", ".rekey-backup-notes", "new"}) {
		t.Errorf("left are %v", left)
	}
}

func TestBackupThatIsEndedLeavesNothing(t *testing.T) {
	s, _, r := backedUp(t)
	defer r.Close()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Backup(ctx, filepath.Join(dir, "new"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup() = %v", err)
	}
	if left := filesIn(t, dir); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// TestCopyThatAKilledReaderLeftIsSwept by the next reader that has to copy.
func TestCopyThatAKilledReaderLeftIsSwept(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s := newStore(t)
	r := underWay(t, s, newKeys(t, s))
	defer r.Close()
	must(t, os.MkdirAll(filepath.Join(temp, "rekey-read-77", "x"), 0o700))
	c, err := s.kept.Open(s.runFile(r.ID()), rows.Aside)
	must(t, err)
	must(t, c.Close())
	if left := filesIn(t, temp); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestBackupOfARunThatIsAnotherLogIsDamaged(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"UPDATE state SET size = size + 1", "DELETE FROM state", "DELETE FROM REC WHERE ID = 3",
		"UPDATE REC SET body = (SELECT body FROM REC WHERE ID = 4) WHERE ID = 3", "UPDATE state SET frontier = zeroblob(length(frontier))"} {
		s := newStore(t)
		r := fuzzedRun(t, s)
		must(t, r.Close())
		edit(t, s, r.ID(), query)
		b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), "")
		if err != nil || len(b.Damaged) != 1 {
			t.Errorf("%s: Backup() = %+v, %v", query, b, err)
		}
		if _, err := os.Stat(filepath.Join(b.Dir, "runs", r.ID()+".db")); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestDamagedRunIsCopiedAsItLies with what was not folded in: that may be the
// only place of its last values.
func TestDamagedRunIsCopiedAsItLies(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, os.WriteFile(s.runFile("rjunk"), []byte(strings.Repeat("x", 4096)), 0o600))
	must(t, os.WriteFile(s.runFile("rjunk")+"-wal", []byte("y"), 0o600))
	l, err := takeLock(s.lockFile("rjunk")) // nobody tidies what is applied
	must(t, err)
	defer l.release()
	b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), "")
	must(t, err)
	for suffix, want := range map[string]string{"": strings.Repeat("x", 4096), "-wal": "y"} {
		if got, err := os.ReadFile(filepath.Join(b.Dir, "runs", "rjunk.db"+suffix)); err != nil || string(got) != want {
			t.Errorf("rjunk.db%s: %d bytes, %v", suffix, len(got), err)
		}
	}
	must(t, os.Remove(s.runFile("rjunk")+"-wal"))
	must(t, os.Mkdir(s.runFile("rjunk")+"-wal", 0o700)) // cannot be copied: the backup would lack it
	if b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), ""); err == nil {
		t.Errorf("Backup() = %+v without a write-ahead file that is there", b)
	}
}

func TestBackupWithoutAFileThatIsThereIsNone(t *testing.T) {
	t.Parallel()
	s, _, r := backedUp(t)
	must(t, r.Close())
	for _, name := range []string{"audit.key", filepath.Join("files", "x.json")} {
		path := filepath.Join(s.dir, name)
		was, _ := os.ReadFile(path)
		_ = os.Remove(path)
		must(t, os.Mkdir(path, 0o700))
		if b, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "b"), ""); err == nil {
			t.Errorf("%s cannot be copied: Backup() = %+v", name, b)
		}
		must(t, os.Remove(path))
		if was != nil {
			must(t, os.WriteFile(path, was, 0o600))
		}
	}
	if err := syncTree(filepath.Join(s.dir, "gone")); err == nil {
		t.Error("what is not there is durable")
	}
}

func TestFullDiskSaysNothingOfARun(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&fs.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}, true},
		{&fs.PathError{Op: "write", Path: "x", Err: unix.EDQUOT}, true},
		{&fs.PathError{Op: "write", Path: "x", Err: unix.EIO}, false},
		{hashlog.ErrFrame, false},
	} {
		if got := diskFull(c.err); got != c.want {
			t.Errorf("diskFull(%v) = %v", c.err, got)
		}
	}
}

// TestABackupTellsWhichRunsWereRemoved, also where a process died in the middle of a line.
func TestABackupTellsWhichRunsWereRemoved(t *testing.T) {
	s := newStore(t)
	must(t, s.NotePruned([]byte(`{"run":"rone"}`)))
	file, err := os.OpenFile(filepath.Join(s.Dir(), "pruned.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = file.WriteString(`{"run":"rhal`)
	must(t, errors.Join(err, file.Close()))
	must(t, s.NotePruned([]byte(`{"run":"rtwo"}`)))
	to := filepath.Join(t.TempDir(), "copy")
	_, err = s.Backup(t.Context(), to, "")
	must(t, err)
	for _, dir := range []string{s.Dir(), to} {
		copied, err := Open(dir, Options{})
		must(t, err)
		var lines []string
		must(t, copied.Pruned(func(line []byte) error {
			lines = append(lines, string(line))
			return nil
		}))
		if want := []string{`{"run":"rone"}`, `{"run":"rtwo"}`}; !slices.Equal(lines, want) {
			t.Errorf("%v, want %v", lines, want)
		}
		must(t, copied.Close())
	}
}
