package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/internal/faultfs"
)

// fault is how one life of a trial ends, if it does not end by itself.
type fault struct {
	point string // in the process; "": none
	n     int    // at which passing of the point, or at which operation

	op      faultfs.Op    // of the file system; "": none; any: counted over all
	errno   syscall.Errno // what the operation fails with; 0: the process is killed
	forever bool          // and every later one of its kind

	capacity int64      // of the disk; 0: no limit
	cut      bool       // the power goes when the process has ended
	luck     *rand.Rand // what of the unsynced survives the cut; nil: nothing
	lose     int        // how many of a hundred answers are lost
}

const anyOp faultfs.Op = "any"

func (f fault) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case f.point != "":
		add("kill at %s %d", f.point, f.n)
	case f.op != "" && f.errno == 0:
		add("kill at %s %d", f.op, f.n)
	case f.op != "":
		add("%s at %s %d", f.errno, f.op, f.n)
	}
	if f.forever {
		add("for ever")
	}
	if f.capacity > 0 {
		add("a disk of %d bytes", f.capacity)
	}
	if f.cut {
		add("power cut")
	}
	if f.lose > 0 {
		add("%d%% of the answers lost", f.lose)
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// trial is one run from its plan to its end: lives that end by a fault, then
// one that does not.
type trial struct {
	lives []fault
	seed  uint64
	off   string // the protection that is turned off
}

func (t trial) String() string {
	parts := make([]string, len(t.lives))
	for i, f := range t.lives {
		parts[i] = f.String()
	}
	return fmt.Sprintf("[%s], seed %d", strings.Join(parts, "; then "), t.seed)
}

// stand is where trials are made, one at a time: a file system that fails as
// told, and the bank's file outside it.
type stand struct {
	fs   *faultfs.FS
	dir  string
	n    int
	tell *tally
}

// tally adds up what all trials came to.
type tally struct {
	mu       sync.Mutex
	trials   int
	noted    int
	lives    int
	kills    map[string]int // by point or operation
	cuts     int
	errors   int // operations of the file system that failed
	full     int // disks that were full
	nested   int // faults in a life that came after a fault
	lostOnes int // lives in which answers were lost
	findings map[string]int
	firsts   []string
}

func newTally() *tally { return &tally{kills: map[string]int{}, findings: map[string]int{}} }

func (t *tally) killed() (n int) {
	for _, k := range t.kills {
		n += k
	}
	return n
}

// note counts a trial's findings, keeps the first of all, and returns how many
// trials there were.
func (t *tally) note(of trial, found []finding) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noted++
	for _, f := range found {
		t.findings[f.class]++
		if len(t.firsts) < 20 {
			t.firsts = append(t.firsts, fmt.Sprintf("%s: %s", of, f))
		}
	}
	return t.noted
}

func newStand(t *testing.T, to *tally) *stand {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := faultfs.Mount(filepath.Join(dir, "disk"), faultfs.Options{})
	if err != nil {
		t.Fatalf("mount: %v; the harness needs /dev/fuse, and root or fusermount3", err)
	}
	t.Cleanup(func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return &stand{fs: f, dir: dir, tell: to}
}

// shared reports whether a file is memory that SQLite's processes share: no
// part of the disk's state, and written when the kernel likes.
func shared(name string) bool { return strings.HasSuffix(name, "-shm") }

// ended is how a life ended.
type ended struct {
	killed bool
	failed bool // exit code 1
	said   []byte
	passed map[string]int
	ops    map[faultfs.Op]int
	hit    bool // the fault was met
}

// try makes a trial and returns how its last faulty life ended, and what is
// wrong.
func (s *stand) try(t trial) (ended, []finding, error) {
	s.n++
	s.fs.Set(faultfs.Options{Ignore: shared, LieOnSync: t.off == syncs})
	s.fs.Restore(faultfs.Image{})
	bank := filepath.Join(s.dir, "bank")
	if err := os.RemoveAll(bank); err != nil {
		return ended{}, nil, err
	}
	guard, last, lossy := writeAhead, ended{}, false
	var all []finding
	for i, f := range slices.Concat(t.lives, make([]fault, 5)) {
		end, err := s.live(t, f)
		if err != nil {
			return end, all, fmt.Errorf("life %d: %w", i+1, err)
		}
		s.count(t, i, f, end)
		if f.cut {
			guard = syncs
			s.fs.Restore(s.fs.Cut(f.luck))
		}
		lossy = lossy || f.lose > 0
		found, err := s.examine(scene{image: s.fs.Now(), said: end.said, guard: guard, lossy: lossy, settled: i >= len(t.lives) && !end.killed && !end.failed})
		if err != nil {
			return end, all, fmt.Errorf("after life %d: %w", i+1, err)
		}
		all = append(all, found...)
		switch {
		case i < len(t.lives):
			last = end
		case !end.killed && !end.failed:
			found, err := s.examine(scene{image: s.fs.Cut(nil), said: end.said, guard: syncs, lossy: lossy, settled: true})
			return last, append(all, found...), err
		case end.failed:
			return last, all, fmt.Errorf("life %d, without a fault: %s", i+1, end.said)
		}
	}
	return last, all, fmt.Errorf("it does not come to an end")
}

func (s *stand) count(t trial, i int, f fault, end ended) {
	s.tell.mu.Lock()
	defer s.tell.mu.Unlock()
	s.tell.lives++
	if i == 0 {
		s.tell.trials++
	}
	if i > 0 && end.hit {
		s.tell.nested++
	}
	if end.killed {
		name := f.point
		if name == "" {
			name = "fs/" + string(f.op)
		}
		s.tell.kills[name]++
	}
	if f.errno != 0 && end.hit {
		s.tell.errors++
	}
	if f.capacity > 0 && end.failed {
		s.tell.full++
	}
	if f.cut {
		s.tell.cuts++
	}
	if f.lose > 0 {
		s.tell.lostOnes++
	}
}

// examine looks at what a life left on the disk and at the bank.
func (s *stand) examine(x scene) ([]finding, error) {
	var err error
	if x.entries, err = released(life{Bank: filepath.Join(s.dir, "bank")}); err != nil {
		return nil, err
	}
	maps.DeleteFunc(x.image, func(name string, _ faultfs.File) bool { return shared(name) })
	return examine(x, filepath.Join(s.dir, "look"))
}

// patience is how long a life may last.
const patience = 5 * time.Minute

// live starts a child, lets it meet its fault, and waits for its end.
func (s *stand) live(t trial, f fault) (ended, error) {
	count := filepath.Join(s.dir, "count")
	_ = os.Remove(count)
	spec := life{State: s.fs.Dir(), Bank: filepath.Join(s.dir, "bank"), Seed: t.seed, Lose: f.lose, Point: f.point, N: f.n, Off: t.off, Count: count}
	child, said, err := s.child(spec)
	if err != nil {
		return ended{}, err
	}
	past := s.fs.Counts()
	started := make(chan struct{})
	hit := s.arm(f, t.off, past, func() { <-started; _ = child.Process.Kill() })
	if err := child.Start(); err != nil {
		return ended{}, err
	}
	close(started)
	late := time.AfterFunc(patience, func() { _ = child.Process.Kill() })
	err = child.Wait()
	if !late.Stop() {
		return ended{}, fmt.Errorf("the child hangs: %s", said)
	}
	s.fs.Set(faultfs.Options{Ignore: shared, LieOnSync: t.off == syncs})
	s.fs.Restart()
	end := ended{said: said.Bytes(), hit: *hit, ops: s.fs.Counts()}
	for op, n := range past {
		end.ops[op] -= n
	}
	return s.judge(end, child, err, count)
}

// arm makes the file system meet the fault; what it counted in earlier lives
// does not count. What it returns is true once that happened, and the child has
// ended.
func (s *stand) arm(f fault, off string, past map[faultfs.Op]int, kill func()) *bool {
	all := 0
	for _, n := range past {
		all += n
	}
	hit := new(bool)
	s.fs.Set(faultfs.Options{Ignore: shared, LieOnSync: off == syncs, Capacity: f.capacity, Before: func(e faultfs.Event) syscall.Errno {
		e.N -= past[e.Op]
		e.All -= all
		errno, stop := f.meets(e)
		if stop {
			kill()
			s.fs.Stop()
		}
		*hit = *hit || errno != 0
		return errno
	}})
	return hit
}

// judge says how a child ended, and reads what it counted.
func (s *stand) judge(end ended, child *exec.Cmd, err error, count string) (ended, error) {
	status, _ := child.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case err == nil:
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		end.killed, end.hit = true, true
	case child.ProcessState.ExitCode() == 1:
		end.failed = true
	default:
		return end, fmt.Errorf("the child ended with %w: %s", err, end.said)
	}
	if data, err := os.ReadFile(count); err == nil {
		return end, json.Unmarshal(data, &end.passed)
	}
	return end, nil
}

func (s *stand) child(spec life) (*exec.Cmd, *bytes.Buffer, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, nil, err
	}
	said := &bytes.Buffer{}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lifeEnv+"="+string(text), unhurried())
	child.Stdout, child.Stderr = said, said
	return child, said, nil
}

// meets says what becomes of an operation of the file system, and whether the
// process is killed at it.
func (f fault) meets(e faultfs.Event) (errno syscall.Errno, kill bool) {
	n := e.N
	switch f.op {
	case "":
		return 0, false
	case anyOp:
		n = e.All
	case e.Op:
	default:
		return 0, false
	}
	switch {
	case f.errno == 0 && n == f.n:
		return syscall.EIO, true
	case f.errno != 0 && (n == f.n || f.forever && n > f.n):
		return f.errno, false
	}
	return 0, false
}
