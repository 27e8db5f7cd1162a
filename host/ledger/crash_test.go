package ledger

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// childEnv tells the test binary to be a process that is going to be killed.
const childEnv = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child does what its first argument says and tells each step on stdout.
func child(dir string, args []string) error {
	s, err := Open(dir, Options{Host: "child"})
	if err != nil {
		return err
	}
	k, _, err := LoadKeys(filepath.Join(dir, "identity.txt"), nil)
	if err != nil {
		return err
	}
	if args[0] == "plan" {
		return childPlan(s, k)
	}
	r, err := s.Lock(args[1], k)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Commit([]*journal.Record{{Kind: journal.Started}}); err != nil {
		return err
	}
	return childApply(r)
}

func childPlan(s *Store, k Keys) error {
	d, err := s.Draft(Header{Script: "test.star"}, k)
	if err != nil {
		return err
	}
	for i := 1; i <= 2000; i++ {
		if err := d.Add(planned(i)); err != nil {
			return err
		}
		if i%100 == 0 {
			fmt.Println("added")
		}
	}
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	if err != nil {
		return err
	}
	fmt.Println("frozen", r.ID())
	return r.Close()
}

// childApply applies what is open, a random group at a time: of each user an
// intent, then its outcome and status. After each commit it prints the size.
func childApply(r *Run) error {
	var group []*journal.Record
	put := func(force bool) error {
		if len(group) == 0 || !force && len(group) < 1+rand.IntN(60) {
			return nil
		}
		if err := r.Commit(group); err != nil {
			return err
		}
		fmt.Println(group[len(group)-1].Index + 1)
		group = nil
		return nil
	}
	for after := int64(0); ; {
		list, err := r.OpenUsers(0, after, 64)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, u := range list {
			after = u.Pos
			if len(u.History) == 0 {
				group = append(group, intent(r, u.Pos, 1, 0, canary))
				if err := put(false); err != nil {
					return err
				}
			}
			if len(u.History) < 2 {
				group = append(group, outcome(u.Pos, 1, 0, sdk.Applied, ""))
				if err := put(false); err != nil {
					return err
				}
			}
			group = append(group, finished(u.Pos, journal.Done, ""))
			if err := put(false); err != nil {
				return err
			}
		}
		if err := put(true); err != nil {
			return err
		}
	}
}

// start runs a child and returns its output.
func start(t *testing.T, dir string, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewReader(out)
}

// killAfter kills the child when it has told n steps and returns the last line
// that it told, which may be a later one.
func killAfter(t *testing.T, cmd *exec.Cmd, out *bufio.Reader, n int) string {
	t.Helper()
	last := ""
	for i := 0; ; i++ {
		if i == n {
			must(t, cmd.Process.Kill())
		}
		line, err := out.ReadString('\n')
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			return last
		}
		last = strings.TrimSpace(line)
	}
}

// TestKilledProcessLosesNothingItWasTold: how many kills hit a run before it is
// done depends on the disk, so runs are made until enough have.
func TestKilledProcessLosesNothingItWasTold(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	k := newKeys(t, s)
	kills := 0
	for runs := 0; kills < 30; runs++ {
		if runs == 20 {
			t.Fatalf("%d kills are too few to tell", kills)
		}
		kills += killedUntilDone(t, s, k)
	}
	t.Logf("%d kills", kills)
}

// killedUntilDone applies a run by processes that are killed until one comes to
// its end, and returns how many were.
func killedUntilDone(t *testing.T, s *Store, k Keys) (kills int) {
	t.Helper()
	const users = 400
	r := newRun(t, s, k, users)
	id := r.ID()
	must(t, r.Close())
	checkpoint := ""
	for done := false; !done; {
		cmd, out := start(t, s.Dir(), "apply", id)
		told := killAfter(t, cmd, out, rand.IntN(8))
		if done = cmd.ProcessState.Success(); !done {
			kills++
		}
		acknowledged, _ := strconv.ParseInt(told, 10, 64)
		checkpoint = survived(t, s, id, acknowledged, checkpoint)
	}
	last, err := s.Read(id)
	must(t, err)
	defer last.Close()
	c, err := last.Counts()
	must(t, err)
	if want := (Counts{Total: users, Done: users}); c != want {
		t.Fatalf("Counts() = %+v, want %+v", c, want)
	}
	return kills
}

// survived checks a run after a kill and returns its head.
func survived(t *testing.T, s *Store, id string, acknowledged int64, checkpoint string) string {
	t.Helper()
	a := audited(t, s, id, checkpoint)
	if a.Size < acknowledged {
		t.Fatalf("%d records are there, %d were acknowledged", a.Size, acknowledged)
	}
	r, err := s.Read(id)
	must(t, err)
	defer r.Close()
	c, err := r.Counts()
	must(t, err)
	n := int64(0)
	must(t, r.Each(Filter{Status: []journal.Status{journal.Done}}, OrderApply, func(u User) error {
		n++
		if len(u.History) != 3 {
			t.Fatalf("user %q is done with %d records", u.Key, len(u.History))
		}
		return nil
	}))
	if n != c.Done || c.Done+c.Pending != c.Total {
		t.Fatalf("Counts() = %+v, the table has %d done", c, n)
	}
	return a.Head
}

func TestKilledPlanLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	newKeys(t, s)
	frozen := 0
	for range 25 {
		cmd, out := start(t, s.Dir(), "plan")
		told := killAfter(t, cmd, out, rand.IntN(22))
		_, err := Open(s.Dir(), Options{})
		must(t, err)
		if id, ok := strings.CutPrefix(told, "frozen "); ok {
			frozen++
			audited(t, s, id, "")
		}
		list, err := s.ids()
		must(t, err)
		if len(list) < frozen {
			t.Fatalf("%d runs are there, %d were frozen", len(list), frozen)
		}
		for _, id := range list {
			audited(t, s, id, "")
		}
		for _, name := range filesIn(t, s.runs()) {
			id, _, _ := strings.Cut(strings.TrimPrefix(name, "."), ".")
			if !files.Exists(s.runFile(id)) {
				t.Fatalf("%s is left of a run that is not there", name)
			}
		}
		if left := filesIn(t, s.temp()); len(left) > 0 {
			t.Fatalf("temporary files are left: %v", left)
		}
		frozen = len(list)
	}
}

// TestARunPassesItsCrashPointsInOrder: what is done between two of them is tried
// by ending the process there, so that none may be left out.
func TestARunPassesItsCrashPointsInOrder(t *testing.T) {
	var passed []string
	s, err := Open(filepath.Join(t.TempDir(), "state"), Options{Host: "test host", OSUser: "ann", Crash: func(point string) { passed = append(passed, point) }})
	must(t, err)
	k := newKeys(t, s)
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(passed, want) {
			t.Errorf("%s passes\n%q, want\n%q", what, passed, want)
		}
		passed = nil
	}
	r := newRun(t, s, k, 2)
	expect("planning", CrashHomeNamed, CrashDraftBegun, CrashDraftFilled, CrashDraftCommitted, CrashDraftSynced, CrashMarkMade, CrashDraftRenamed,
		CrashDraftPublished)
	commit(t, r, &journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}})
	expect("a commit", CrashCommitBegun, CrashAppended, CrashStateSaved, CrashHeadSigned, CrashCommitReady, CrashCommitted, CrashMarked)
	must(t, r.Confirm())
	expect("the end", CrashConfirming, CrashFolded)
	must(t, r.Close())
	expect("closing")
	again, err := s.Lock(r.ID(), k)
	must(t, err)
	defer again.Close()
	expect("locking", CrashLocked, CrashOpened)
}
