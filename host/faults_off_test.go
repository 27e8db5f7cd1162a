package host_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/internal/faultfs"
	"github.com/rekey-host/rekey/host/ledger"
)

// TestFaultsFindAProtectionThatIsOff is the test of the test: without any one
// of the protections the harness fails, and names the one that is missing.
func TestFaultsFindAProtectionThatIsOff(t *testing.T) {
	for _, c := range []struct {
		protection string
		class      string
		meets      func(n int) fault
	}{
		{writeAhead, lost, func(n int) fault { return fault{point: atAnswer, n: n} }},
		{syncs, lost, func(n int) fault { return fault{point: atAnswer, n: n, cut: true} }},
		{outcomeUnknown, lost, func(int) fault { return fault{lose: 50} }},
		{redaction, leaked, func(int) fault { return fault{} }},
	} {
		s := newStand(t, newTally())
		found, seen := "", []string{}
		for n := 1; n <= 12 && found == ""; n++ {
			// What the rest of the run comes to is of no interest: a ledger that
			// was lied to may well refuse to go on.
			_, list, _ := s.try(trial{lives: []fault{c.meets(2 * n)}, seed: uint64(n), off: c.protection})
			for _, f := range list {
				seen = append(seen, f.String())
				if f.class == c.class && f.protection == c.protection {
					found = f.String()
				}
			}
		}
		if found == "" {
			t.Errorf("without %s the harness finds %q, and nothing that names it", c.protection, seen)
			continue
		}
		t.Logf("counts: without %s: %s", c.protection, found)
	}
}

// TestFaultsTwoProcessesMeetOnOneRun stops a process in the middle of a run and
// starts another: that one is refused, by the first one's number, and changes
// nothing; the first one then goes on to the end.
func TestFaultsTwoProcessesMeetOnOneRun(t *testing.T) {
	s := newStand(t, newTally())
	calm, _, err := s.try(trial{lives: []fault{{}}})
	if err != nil {
		t.Fatal(err)
	}
	places := slices.DeleteFunc(kills(calm), func(f fault) bool {
		planning := strings.HasPrefix(f.point, "ledger/draft") || f.point == ledger.CrashHomeNamed || f.point == ledger.CrashMarkMade // there is no run yet
		return f.point == "" || planning || strings.HasPrefix(f.point, "wire/") && f.n < 10
	})
	met := 0
	for _, f := range some(rand.New(rand.NewPCG(1, 5)), places, 1)[:scaleOf(t).pauses*2] {
		if met == scaleOf(t).pauses {
			break
		}
		if s.meet(t, f) {
			met++
		}
	}
	if met < scaleOf(t).pauses {
		t.Errorf("two processes met %d times, want %d", met, scaleOf(t).pauses)
	}
}

// meet stops a process at a point and starts a second one. It reports whether
// the first was stopped while it held the run.
func (s *stand) meet(t *testing.T, f fault) bool {
	t.Helper()
	s.fs.Set(faultfs.Options{Ignore: shared})
	s.fs.Restore(faultfs.Image{})
	bank := filepath.Join(s.dir, "bank")
	if err := os.RemoveAll(bank); err != nil {
		t.Fatal(err)
	}
	spec := life{State: s.fs.Dir(), Bank: bank, Point: f.point, N: f.n, Pause: true}
	first, said, err := s.child(spec)
	if err == nil {
		err = first.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	held := stopped(t, first.Process.Pid)
	if held {
		held = s.second(t, f, spec, first.Process.Pid)
		if err := first.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Wait(); err != nil {
		t.Fatalf("stopped at %s: the first process: %v: %s", f, err, said)
	}
	found, err := s.examine(scene{image: s.fs.Now(), said: said.Bytes(), guard: "one process a run", settled: true})
	for _, x := range found {
		t.Errorf("stopped at %s: %s", f, x)
	}
	if err != nil {
		t.Error(err)
	}
	return held
}

// stopped waits until the process stops, or ends, and reports which.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	const childStopped = 5 // CLD_STOPPED
	return info.Code == childStopped
}

// second starts a process while the first one stands still. One that stands
// between two locks of the run holds nothing: it reports false then.
func (s *stand) second(t *testing.T, f fault, spec life, pid int) bool {
	t.Helper()
	was, err := os.ReadFile(spec.Bank)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	spec.Point, spec.Pause = "", false
	child, said, err := s.child(spec)
	if err != nil {
		t.Fatal(err)
	}
	err = child.Run()
	if err == nil {
		return false
	}
	now, _ := os.ReadFile(spec.Bank)
	if want := fmt.Sprintf("is being applied by process %d", pid); !strings.Contains(said.String(), want) || string(now) != string(was) {
		t.Errorf("stopped at %s: the second process said %q, want %q, and changed something: %v", f, said, want, string(now) != string(was))
	}
	return true
}

// TestFaultsTwoRunsShareAStateDirectory starts four processes at once on a state
// directory that is not there yet: each plans and applies a run of its own.
func TestFaultsTwoRunsShareAStateDirectory(t *testing.T) {
	const runs = 4
	dir := inMemory(t)
	s := &stand{dir: t.TempDir()}
	var all [runs]*exec.Cmd
	var said [runs]*bytes.Buffer
	for i := range all {
		var err error
		all[i], said[i], err = s.child(life{State: dir, Bank: filepath.Join(s.dir, fmt.Sprint("bank", i)), New: true})
		if err == nil {
			err = all[i].Start()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range all {
		if err := all[i].Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i+1, err, said[i])
		}
	}
	store, err := ledger.Open(filepath.Join(dir, stateDir), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	list, err := store.Runs()
	if err != nil || len(list) != runs {
		t.Fatalf("%d runs, %v; want %d", len(list), err, runs)
	}
	for _, r := range list {
		audit, err := store.Verify(r.Header.ID, "")
		if err != nil || !audit.OK || r.Counts.Done != 6 || r.Counts.Failed != 2 {
			t.Errorf("run %s has %+v; %v, %v", r.Header.ID, r.Counts, audit.Problems, err)
		}
	}
}
