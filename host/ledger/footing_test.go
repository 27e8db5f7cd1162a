package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// harm is something that befalls the files of a run while it is applied.
type harm struct {
	name string
	do   func(t bench, s *Store, id string)
	says string // part of what is said
	// saved: what the process had open is a file again, without a byte less.
	saved bool
}

func renamed(from func(*Store, string) string) func(bench, *Store, string) {
	return func(t bench, s *Store, id string) { must(t, os.Rename(from(s, id), from(s, id)+".away")) }
}

func cutTo(suffix string, size int64) func(bench, *Store, string) {
	return func(t bench, s *Store, id string) { must(t, os.Truncate(s.runFile(id)+suffix, size)) }
}

// exchanged puts a copy of a file in its place: the same bytes, another file.
func exchanged(suffix string) func(bench, *Store, string) {
	return func(t bench, s *Store, id string) {
		path := s.runFile(id) + suffix
		text, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(path+".copy", text, 0o600))
		must(t, os.Rename(path+".copy", path))
	}
}

func harms() []harm {
	removeAll := func(t bench, s *Store, id string) {
		left, err := filepath.Glob(filepath.Join(s.runs(), "*"))
		must(t, err)
		for _, path := range left {
			must(t, os.Remove(path))
		}
	}
	return []harm{
		{"all removed", removeAll, ".db was removed", true},
		{"database removed", func(t bench, s *Store, id string) { must(t, os.Remove(s.runFile(id))) }, ".db was removed", true},
		{"database moved", renamed((*Store).runFile), ".db was removed", true},
		{"database exchanged", exchanged(""), ".db was replaced", true},
		{"database a link", func(t bench, s *Store, id string) {
			must(t, os.Rename(s.runFile(id), s.runFile(id)+".x"))
			must(t, os.WriteFile(s.runFile(id)+".y", nil, 0o600))
			must(t, os.Symlink(s.runFile(id)+".y", s.runFile(id)))
		}, ".db was replaced", true},
		{"database cut off", cutTo("", 4096), ".db was cut off", false},
		{"database emptied", cutTo("", 0), ".db was cut off", false},
		{"write-ahead file removed", func(t bench, s *Store, id string) { must(t, os.Remove(s.runFile(id)+"-wal")) }, "-wal was removed", true},
		{"write-ahead file exchanged", exchanged("-wal"), "-wal was replaced", true},
		{"write-ahead file cut off", cutTo("-wal", 5000), "-wal was cut off", false},
		{"write-ahead file emptied", cutTo("-wal", 0), "-wal was cut off", false},
		{"write-ahead file with a hole", func(t bench, s *Store, id string) {
			info, err := os.Stat(s.runFile(id) + "-wal")
			must(t, err)
			cutTo("-wal", 0)(t, s, id)
			cutTo("-wal", info.Size())(t, s, id)
		}, "-wal was cut off", false},
		{"shared memory removed", func(t bench, s *Store, id string) { must(t, os.Remove(s.runFile(id)+"-shm")) }, "-shm was removed", true},
		{"shared memory exchanged", exchanged("-shm"), "-shm was replaced", true},
		{"lock removed", func(t bench, s *Store, id string) { must(t, os.Remove(s.lockFile(id))) }, ".lock was removed", true},
		{"lock taken anew", func(t bench, s *Store, id string) {
			must(t, os.Remove(s.lockFile(id)))
			must(t, os.WriteFile(s.lockFile(id), nil, 0o600))
		}, ".lock was replaced", true},
		{"runs moved", renamed(func(s *Store, _ string) string { return s.runs() }), "runs was removed", true},
		{"runs exchanged", func(t bench, s *Store, _ string) {
			must(t, os.Rename(s.runs(), s.runs()+".away"))
			must(t, os.Mkdir(s.runs(), 0o700))
		}, "runs was replaced", true},
		{"state directory a file", func(t bench, s *Store, _ string) {
			must(t, os.Rename(s.dir, s.dir+".away"))
			must(t, os.WriteFile(s.dir, nil, 0o600))
		}, "runs was removed", true},
		{"state directory moved", renamed(func(s *Store, _ string) string { return s.dir }), "runs was removed", true},
	}
}

// underWay is a run with a few users under way, and one who is done.
func underWay(t bench, s *Store, k Keys) *Run {
	t.Helper()
	r := newRun(t, s, k, 40)
	commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "test host"}}, intent(r, 1, 1, 0, canary))
	commit(t, r, outcome(1, 1, 0, sdk.Applied, ""), finished(1, journal.Done, ""), intent(r, 2, 1, 0, canary), intent(r, 3, 1, 0, canary))
	return r
}

// holds reports whether a file is a whole ledger with the values under way.
func holds(t bench, s *Store, k Keys, path, id string) bool {
	t.Helper()
	dir := t.TempDir()
	to, err := Open(dir, Options{})
	must(t, err)
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	must(t, os.WriteFile(to.runFile(id), text, 0o600))
	r, err := to.ReadWith(id, k)
	if err != nil {
		return false
	}
	defer r.Close()
	for pos := int64(1); pos <= 3; pos++ {
		h, err := r.history(pos)
		if err != nil || len(h) == 0 {
			return false
		}
		if v, err := r.Unseal(pos, 1, 0, "value", h[0].Sealed); err != nil || v.Reveal() != canary {
			return false
		}
	}
	return true
}

func TestHarmToTheFilesIsNoticedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, h := range harms() {
		for _, when := range []string{"before a commit", "between commits", "at the end"} {
			t.Run(h.name+" "+when, func(t *testing.T) {
				cases++
				s := newStore(t)
				k := newKeys(t, s)
				r := underWay(t, s, k)
				h.do(t, s, r.ID())
				time.Sleep(2 * checkEvery)
				var err error
				switch when {
				case "before a commit":
					err = r.Commit([]*journal.Record{intent(r, 4, 1, 0, canary)})
				case "between commits":
					err = r.Intact()
				default:
					err = r.Confirm()
				}
				if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), h.says) {
					t.Fatalf("got %v, want that it %s", err, h.says)
				}
				told := r.Salvage(err).Error()
				if strings.Contains(told, "\n") || !h.wholeMessage(told) {
					t.Errorf("it is said: %s", told)
				}
				must(t, r.Close())
				if got := h.savedAs(t, s, k, r.ID(), told); got != h.saved {
					t.Errorf("the values are in a file: %v, want %v; it is said: %s", got, h.saved, told)
				}
			})
		}
	}
	t.Logf("%d cases", cases)
}

// TestWhoLosesTheLastValueIsNamed: of what only a write-ahead file held, also of
// users whose outcome was recorded.
func TestWhoLosesTheLastValueIsNamed(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	if _, err := r.fold(); err != nil {
		t.Fatal(err)
	}
	commit(t, r, outcome(2, 1, 0, sdk.Applied, ""), finished(2, journal.Done, ""))
	for u := int64(10); u < 23; u++ {
		commit(t, r, intent(r, u, 1, 0, canary), outcome(u, 1, 0, sdk.Applied, ""), finished(u, journal.Done, ""))
	}
	cutTo("-wal", 0)(t, s, r.ID())
	told := r.Salvage(r.Commit([]*journal.Record{intent(r, 30, 1, 0, canary)})).Error()
	if want := "; lost are 41 records, and with them the last values of: user-10, user-11,"; !strings.Contains(told, want) || !strings.Contains(told, " and 3 more;") {
		t.Errorf("it is said: %s", told)
	}
}

// TestTheValueOfTheFirstLostRecordIsLost: what is left of the file ends just
// before it.
func TestTheValueOfTheFirstLostRecordIsLost(t *testing.T) {
	s := newStore(t)
	r := underWay(t, s, newKeys(t, s))
	if _, err := r.fold(); err != nil {
		t.Fatal(err)
	}
	commit(t, r, intent(r, 5, 1, 0, canary))
	cutTo("-wal", 0)(t, s, r.ID())
	told := r.Salvage(r.Commit([]*journal.Record{intent(r, 30, 1, 0, canary)})).Error()
	if want := "; lost are 1 records, and with them the last values of: user-5;"; !strings.Contains(told, want) {
		t.Errorf("it is said: %s", told)
	}
}

// TestHarmThatWasFoundStays: who asks a moment later is told too, and also when
// the file has come back.
func TestHarmThatWasFoundStays(t *testing.T) {
	s := newStore(t)
	r := underWay(t, s, newKeys(t, s))
	path := s.runFile(r.ID())
	must(t, os.Rename(path, path+".away"))
	if err := r.Commit([]*journal.Record{intent(r, 4, 1, 0, canary)}); !errors.Is(err, ErrGone) {
		t.Fatalf("Commit() = %v", err)
	}
	if err := r.Intact(); !errors.Is(err, ErrGone) {
		t.Errorf("at once after the commit that failed: Intact() = %v", err)
	}
	must(t, os.Rename(path+".away", path))
	time.Sleep(2 * checkEvery)
	if err := r.Intact(); !errors.Is(err, ErrGone) {
		t.Errorf("with the file back: Intact() = %v", err)
	}
	must(t, r.Close())
}

// wholeMessage reports whether it is said who was under way and what to do; a
// database that is cut off does not tell keys any more.
func (h harm) wholeMessage(told string) bool {
	names := strings.Contains(told, "sent, or about to be: user-2, user-3;") || strings.Contains(told, "the user at position 2")
	if strings.HasPrefix(h.name, "write-ahead file") && !h.saved && !strings.Contains(told, "; lost are ") {
		return false // what only that file had
	}
	return names && strings.Contains(told, "rekey resume") && strings.Contains(told, "nothing was sent after that")
}

// savedAs looks for the values in the file that is named.
func (h harm) savedAs(t bench, s *Store, k Keys, id, told string) bool {
	paths := []string{s.runFile(id)}
	if _, rest, ok := strings.Cut(told, "is saved in "); ok {
		path, _, _ := strings.Cut(rest, ":")
		defer os.Remove(path)
		paths = append(paths, path)
	}
	for _, path := range paths {
		if holds(t, s, k, path, id) {
			return true
		}
	}
	return false
}

func TestRunGoesOnFromWhatWasSaved(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	must(t, os.Remove(s.runFile(r.ID())))
	must(t, os.Remove(s.runFile(r.ID())+"-wal"))
	told := r.Salvage(r.Commit([]*journal.Record{intent(r, 4, 1, 0, canary)})).Error()
	if !strings.Contains(told, "written there anew") {
		t.Fatalf("it is said: %s", told)
	}
	must(t, r.Close())
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	defer again.Close()
	commit(t, again, outcome(2, 1, 0, sdk.Applied, ""), finished(2, journal.Done, ""))
	must(t, again.Confirm())
	audited(t, s, r.ID(), "")
}

// TestWhatIsSavedTakesAFreeName: what was saved before stays.
func TestWhatIsSavedTakesAFreeName(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	exchanged("")(t, s, r.ID())
	saved := func(n int) string { return filepath.Join(s.runs(), fmt.Sprintf("%s.saved-%d", r.ID(), n)) }
	for n := 1; n <= 2; n++ {
		must(t, os.WriteFile(saved(n), []byte("earlier"), 0o600))
	}
	told := r.Salvage(r.Commit([]*journal.Record{intent(r, 4, 1, 0, canary)})).Error()
	if !strings.Contains(told, "is saved in "+saved(3)+":") || !holds(t, s, k, saved(3), r.ID()) {
		t.Errorf("it is said: %s", told)
	}
	for n := 1; n <= 2; n++ {
		if text, err := os.ReadFile(saved(n)); err != nil || string(text) != "earlier" {
			t.Errorf("%s: %d bytes, %v", saved(n), len(text), err)
		}
	}
	must(t, r.Close())
}

// TestNamesOfOtherFilesAreNotTheRuns.
func TestNamesOfOtherFilesAreNotTheRuns(t *testing.T) {
	s := newStore(t)
	r := underWay(t, s, newKeys(t, s))
	other := s.runFile("other")
	must(t, os.Link(s.runFile(r.ID()), other)) // the same file under a name that is not the run's
	st, err := files.Stat(other)
	must(t, err)
	if r.footing.is(other) || r.footing.has(other, st) {
		t.Error("another name is the run's")
	}
	if !r.footing.is(s.runFile(r.ID())) || !r.footing.has(s.runFile(r.ID()), st) {
		t.Error("the run's own name is not")
	}
}

func TestFlippedByteIsNoticedOrHarmless(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	noticed, harmless := 0, 0
	for _, suffix := range []string{"", "-wal"} {
		for place := 0; place < 60; place += 2 {
			r := underWay(t, s, k)
			if suffix == "" {
				_, err := r.fold()
				must(t, err)
			}
			flipAt(t, s.runFile(r.ID())+suffix, place)
			err := r.Confirm()
			must(t, r.Close())
			switch {
			case errors.Is(err, ErrGone):
				noticed++
			case err != nil:
				noticed++
			case !holds(t, s, k, s.runFile(r.ID()), r.ID()):
				t.Errorf("%q, place %d of 60: values are lost, and it was not noticed", suffix, place)
			default:
				harmless++
			}
		}
	}
	if noticed < 10 {
		t.Errorf("%d of %d were noticed: the test shows nothing", noticed, noticed+harmless)
	}
	t.Logf("%d noticed, %d without harm", noticed, harmless)
}

// flipAt flips a bit of a byte that is not zero, place sixtieths into the file.
func flipAt(t bench, path string, place int) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var full []int
	for i, b := range text {
		if b != 0 {
			full = append(full, i)
		}
	}
	at := full[len(full)*place/60]
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{text[at] ^ 0x10}, int64(at))
	must(t, err)
}

func TestRecordThatWasChangedIsNamedAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, says string }{
		{"UPDATE REC SET body = CAST(replace(CAST(body AS TEXT), 'user-2', 'user-9') AS BLOB)", "record 6 was changed"},
		{"DELETE FROM REC WHERE ID = 5", "record 4 was changed"},
		{"UPDATE user SET status = 2", "statuses of users"},
		{"UPDATE state SET size = size - 1", "lacks records"},
		{"DELETE FROM state", "lacks records"},
		{"UPDATE state SET standing = replace(standing, 'running', 'finished')", "its state is another"},
		{"UPDATE key SET wrapped = x'00'", "data key"},
		{"DELETE FROM key", "data key"},
	} {
		s := newStore(t)
		r := underWay(t, s, newKeys(t, s))
		edit(t, s, r.ID(), c.query)
		err := r.Confirm()
		if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Confirm() = %v, want %q", c.query, err, c.says)
		}
		if err := r.Commit([]*journal.Record{{Kind: journal.Stopped}}); err == nil {
			t.Errorf("%s: it takes records", c.query)
		}
		must(t, r.Close())
	}
}

func TestNotesOfOthersAreNoHarm(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	for i := range 2 * maxDoubts {
		must(t, s.Note(r.ID(), &journal.Record{Kind: journal.Revealed}))
		commit(t, r, intent(r, int64(10+i), 1, 0, canary))
		must(t, r.Intact())
	}
	must(t, s.Note(r.ID(), &journal.Record{Kind: journal.Reported}))
	must(t, r.Confirm())
	must(t, r.Close())
	audited(t, s, r.ID(), "")
}

// alone lists what lies beside a run's database.
func alone(t bench, s *Store, id string) (beside []string) {
	for _, name := range filesIn(t, s.runs()) {
		if strings.HasPrefix(name, id+".db-") {
			beside = append(beside, name)
		}
	}
	return beside
}

func TestRunIsOneWholeFileWhenNobodyHasItOpen(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	id := r.ID()
	look := func(what string) {
		t.Helper()
		if left := alone(t, s, id); len(left) > 0 || !holds(t, s, k, s.runFile(id), id) {
			t.Errorf("after %s: %v lie beside it, whole %v", what, left, holds(t, s, k, s.runFile(id), id))
		}
	}
	must(t, r.Close())
	look("applying")
	must(t, s.Note(id, &journal.Record{Kind: journal.Revealed}))
	look("a note")
	ro, err := s.ReadWith(id, k)
	must(t, err)
	_, err = ro.Counts()
	must(t, err)
	must(t, s.Note(id, &journal.Record{Kind: journal.Revealed}))
	_, err = ro.Prove("user-1")
	must(t, err)
	must(t, ro.Close())
	look("a note beside a reader")
	audited(t, s, id, "")
	look("a verification")
	_, err = s.Runs()
	must(t, err)
	look("a list")
	r, err = s.Lock(id, k)
	must(t, err)
	reader, err := s.Read(id)
	must(t, err)
	must(t, reader.reading(func(c storage) error {
		return c.Moment(func() error {
			_, _, err := c.Ends()
			must(t, err)
			commit(t, r, intent(r, 5, 1, 0, canary))
			must(t, r.Confirm()) // somebody reads: not one file yet
			must(t, r.Close())
			return err
		})
	}))
	must(t, reader.Close())
	look("a reader that was the last")
}

// killedInBetween returns a run that a killed process left something beside. On a
// fast disk a kill may come too late for that.
func killedInBetween(t *testing.T, s *Store, k Keys) (id string) {
	t.Helper()
	for range 20 {
		r := newRun(t, s, k, 200)
		must(t, r.Close())
		cmd, out := start(t, s.Dir(), "apply", r.ID())
		killAfter(t, cmd, out, 3)
		if len(alone(t, s, r.ID())) > 0 {
			return r.ID()
		}
	}
	t.Fatal("it left nothing: the test shows nothing")
	return ""
}

func TestReaderFoldsInWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	for _, how := range []string{"read", "list", "verify", "lock"} {
		id := killedInBetween(t, s, k)
		switch how {
		case "read":
			r, err := s.Read(id)
			must(t, err)
			must(t, r.Close())
		case "list":
			_, err := s.Runs()
			must(t, err)
		case "verify":
			_, err := s.Verify(id, "")
			must(t, err)
		case "lock":
			r, err := s.Lock(id, k)
			must(t, err)
			must(t, r.Close())
		}
		if left := alone(t, s, id); len(left) > 0 {
			t.Errorf("%s: %v are left", how, left)
		}
		audited(t, s, id, "")
	}
}

func TestOlderAndOtherLedgersAreRefused(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	id := r.ID()
	must(t, r.Close())
	older, err := os.ReadFile(s.runFile(id))
	must(t, err)
	r, err = s.Lock(id, k)
	must(t, err)
	commit(t, r, intent(r, 9, 1, 0, canary))
	must(t, r.Close())
	newest, err := os.ReadFile(s.runFile(id))
	must(t, err)
	put := func(text []byte) { must(t, os.WriteFile(s.runFile(id), text, 0o600)) }
	stale := func(what string) {
		t.Helper()
		for _, take := range []func(string, Keys) (*Run, error){s.Lock, s.LockMoved} {
			if _, err := take(id, k); !errors.As(err, new(*StaleError)) || !strings.Contains(err.Error(), what) {
				t.Errorf("Lock() = %v, want that it %s", err, what)
			}
		}
		if a, err := s.Verify(id, ""); err != nil || a.OK {
			t.Errorf("Verify() = %+v, %v, want that it is broken", a, err)
		}
	}
	put(older)
	stale("has 8 records, and had 9: an older copy")
	put(newest)
	r, err = s.Lock(id, k)
	must(t, err)
	must(t, r.Close())

	// Another history of the same length, made from the older copy elsewhere.
	put(older)
	mark, err := os.ReadFile(s.markFile(id))
	must(t, err)
	must(t, os.Remove(s.markFile(id)))
	r, err = s.LockMoved(id, k)
	must(t, err)
	commit(t, r, intent(r, 10, 1, 0, canary))
	must(t, r.Close())
	must(t, os.WriteFile(s.markFile(id), mark, 0o600))
	stale("is not the one that had 9 records")
}

func TestRunThatWasMovedSaysSo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		move func(t bench, s *Store, id string) *Store
		says string
	}{
		{"another host", func(t bench, s *Store, _ string) *Store { return opened(t, s.dir, "elsewhere") }, "on host test host, and this is elsewhere"},
		{"a copy", func(t bench, s *Store, _ string) *Store {
			to := filepath.Join(t.TempDir(), "copy")
			must(t, os.CopyFS(to, os.DirFS(s.dir)))
			return opened(t, to, "test host")
		}, "of which this is a copy"},
		{"a copy under the old name", func(t bench, s *Store, _ string) *Store {
			must(t, os.CopyFS(s.dir+".copy", os.DirFS(s.dir)))
			must(t, os.Rename(s.dir, s.dir+".away"))
			must(t, os.Rename(s.dir+".copy", s.dir))
			return opened(t, s.dir, "test host")
		}, "put back from one"},
		{"all files put back", func(t bench, s *Store, _ string) *Store {
			must(t, exec.Command("sh", "-c", `cp -a "$1" "$1.copy" && rm -rf "$1"/* && cp -a "$1.copy"/. "$1"`, "sh", s.dir).Run())
			return opened(t, s.dir, "test host")
		}, "put back from one"},
		{"the run alone in another directory", func(t bench, s *Store, id string) *Store {
			to := opened(t, filepath.Join(t.TempDir(), "new"), "test host")
			_, err := to.settleHome()
			must(t, err)
			text, err := os.ReadFile(s.runFile(id))
			must(t, err)
			must(t, os.WriteFile(to.runFile(id), text, 0o600))
			must(t, os.Rename(filepath.Join(s.dir, "audit.key"), filepath.Join(to.dir, "audit.key")))
			return to
		}, "with another state directory"},
		{"without its mark", func(t bench, s *Store, id string) *Store { must(t, os.Remove(s.markFile(id))); return s }, "is gone"},
		{"with a mark of nothing", func(t bench, s *Store, id string) *Store {
			must(t, os.WriteFile(s.markFile(id), bytes.Repeat([]byte("x"), 5000), 0o600))
			return s
		}, "is gone"},
		{"with a mark that was put back", func(t bench, s *Store, id string) *Store {
			text, err := os.ReadFile(s.markFile(id))
			must(t, err)
			must(t, os.WriteFile(s.markFile(id)+".copy", text, 0o600))
			must(t, os.Rename(s.markFile(id)+".copy", s.markFile(id)))
			return s
		}, "was copied, or put back"},
	} {
		for _, state := range []string{"planned", "applied"} {
			t.Run(c.name+" "+state, func(t *testing.T) {
				s := newStore(t)
				k := newKeys(t, s)
				d, err := s.Draft(Header{Script: "x", Host: "test host", OSUser: "ann"}, k)
				must(t, err)
				must(t, d.Add(planned(1)))
				r, err := d.Freeze([]WavePlan{{Name: "all"}})
				must(t, err)
				if state == "applied" {
					commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "test host", OSUser: "ann"}})
				}
				must(t, r.Close())
				there := c.move(t, s, r.ID())
				_, err = there.Lock(r.ID(), k)
				if !errors.As(err, new(*MovedError)) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "last "+state+" at 20") {
					t.Fatalf("Lock() = %v, want %q", err, c.says)
				}
				r, err = there.LockMoved(r.ID(), k)
				must(t, err)
				must(t, r.Close())
				r, err = there.Lock(r.ID(), k)
				must(t, err)
				must(t, r.Close())
				audited(t, there, r.ID(), "")
			})
		}
	}
}

func opened(t bench, dir, host string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Host: host, OSUser: "ann"})
	must(t, err)
	return s
}

func TestRunFromBeforePlacesWereKeptStaysUsable(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	id := before(t, s, k)
	must(t, os.Remove(s.markFile(id)))
	must(t, os.Remove(s.homeFile()))
	r, err := opened(t, s.dir, "another host").Lock(id, k)
	must(t, err)
	commit(t, r, &journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "another host"}})
	must(t, r.Close())
	if _, err := s.Lock(id, k); !errors.As(err, new(*MovedError)) {
		t.Fatalf("Lock() on the first host again = %v, want that it was moved", err)
	}
	audited(t, s, id, "")
}

// before makes a run as it was before its place and its key were kept.
func before(t bench, s *Store, k Keys) string {
	t.Helper()
	d, err := s.Draft(Header{Script: "x"}, k)
	must(t, err)
	must(t, d.Add(planned(1)))
	d.home, d.key = "", ""
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(t, err)
	must(t, r.Close())
	return r.ID()
}

func TestMarkIsReadBack(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 1000, 1<<10 - 1} {
		var tree hashlog.Frontier
		for _, l := range leaves(size) {
			tree.Push(l)
		}
		want := mark{"rabc", tree, birth{7, 1}}
		line := want.line()
		got, err := parseMark(line)
		if err != nil || len(line) != markSlot || got.run != want.run || got.self != want.self || got.tree.Root() != tree.Root() {
			t.Errorf("%d records: %+v, %v", size, got, err)
		}
		line[20] ^= 1
		if _, err := parseMark(line); err == nil {
			t.Error("a mark that was changed is read")
		}
	}
}

func TestMarkNeverLeadsAndSurvivesATornWrite(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	read := func() int64 {
		f, err := os.Open(s.markFile(r.ID()))
		must(t, err)
		defer f.Close()
		m, slot := readMark(f, r.ID())
		if slot < 0 {
			return -1
		}
		return m.tree.Size
	}
	was := read()
	if was != r.writer.tree.Size {
		t.Fatalf("the mark says %d records of %d", was, r.writer.tree.Size)
	}
	s.crash = func(point string) {
		if point == CrashCommitReady && read() > was {
			t.Error("the mark is ahead of the ledger")
		}
	}
	commit(t, r, intent(r, 7, 1, 0, canary))
	s.crash = nil
	f, err := os.OpenFile(s.markFile(r.ID()), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("torn"), int64(nextSlot(r.writer.mark.next))*markSlot)
	must(t, err)
	if got := read(); got != was {
		t.Errorf("after a torn write the mark says %d, want the one before, %d", got, was)
	}
	must(t, r.Close())
	again, err := s.Lock(r.ID(), k) // it lags: that is no harm
	must(t, err)
	must(t, again.Close())
}

func TestCheckpointIsComparedWithTheLog(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r := underWay(t, s, k)
	kept := map[int64]string{}
	for i := range 5 {
		_, _, err := r.SignHead()
		must(t, err)
		text, err := r.Checkpoint()
		must(t, err)
		kept[r.writer.tree.Size] = text
		commit(t, r, intent(r, int64(10+i), 1, 0, canary))
	}
	for size, text := range kept {
		must(t, r.Contains(text))
		must(t, r.Contains(strings.ReplaceAll(text, "\n", "\r\n")))
		edit(t, s, r.ID(), fmt.Sprintf("DELETE FROM head WHERE size = %d", size))
		must(t, r.Contains(text)) // from the records
		if hashlog.HeadOf(text) != r.ID() || hashlog.HeadOf("x"+text) != "" {
			t.Errorf("HeadOf() = %q", hashlog.HeadOf(text))
		}
	}
	var tree hashlog.Frontier
	for _, l := range leaves(100) {
		tree.Push(l)
	}
	if err := r.Contains(hashlog.HeadText(r.ID(), 100, tree.Root())); err == nil || !strings.Contains(err.Error(), "older than it: the checkpoint has 100 records") {
		t.Errorf("Contains() of a newer head = %v", err)
	}
	if err := r.Contains(hashlog.HeadText(r.ID(), 3, tree.Root())); err == nil || !strings.Contains(err.Error(), "another than the one") {
		t.Errorf("Contains() of another head = %v", err)
	}
	if err := r.Contains("nothing"); err == nil {
		t.Error("Contains() of no head gave no error")
	}
}

func TestKeyThatWasExchangedIsNotAppliedWith(t *testing.T) {
	s := newStore(t)
	k := newKeys(t, s)
	r, other := newRun(t, s, k, 1), newRun(t, s, k, 1)
	must(t, r.Close())
	must(t, other.Close())
	edit(t, s, r.ID(), fmt.Sprintf("ATTACH '%s' AS o", s.runFile(other.ID())), "UPDATE key SET wrapped = (SELECT wrapped FROM o.key)")
	if _, err := s.Lock(r.ID(), k); err == nil || !strings.Contains(err.Error(), "not the one that it was planned with") {
		t.Errorf("Lock() = %v, want that the key is another", err)
	}
}
