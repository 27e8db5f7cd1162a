package htpasswd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Tests of several processes start this test binary again: with these set it
// is a child that rotates a file instead of testing.
const (
	childEnv = "HTPASSWD_TEST_CHILD"
	pathEnv  = "HTPASSWD_TEST_PATH"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(childEnv); role {
	case "":
		os.Exit(m.Run())
	case "endless":
		rotateEndlessly(os.Getenv(pathEnv))
	default:
		rotateShare(os.Getenv(pathEnv), role)
	}
}

func childInstance(path string) sdk.Instance {
	i, err := New().Configure(context.Background(), sdk.Config{Values: map[string]any{"path": path, "hash": "sha256", "cost": int64(1000)}})
	if err != nil {
		panic(err)
	}
	return i
}

// rotateShare sets the accounts of one process, one at a time.
func rotateShare(path, share string) {
	i := childInstance(path)
	for n := range perShare {
		account := fmt.Sprint(share, n)
		if r := i.Apply(context.Background(), set(account, "new "+account)); r.Outcome != sdk.Applied {
			panic(r.Err)
		}
	}
}

// rotateEndlessly gives all accounts the same value, round after round, each
// in one batch, and says which round is done.
func rotateEndlessly(path string) {
	i := childInstance(path).(*Instance)
	for round := 1; ; round++ {
		for _, r := range i.ApplyBatch(context.Background(), roundOf(round)) {
			if r.Outcome != sdk.Applied {
				panic(r.Err)
			}
		}
		fmt.Println(round)
	}
}

func roundOf(n int) []sdk.Operation {
	var ops []sdk.Operation
	for a := range batch {
		ops = append(ops, set(fmt.Sprint("u", a), fmt.Sprint("round ", n)))
	}
	return ops
}

func child(t *testing.T, path, role string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = append(os.Environ(), childEnv+"="+role, pathEnv+"="+path)
	c.Stderr = os.Stderr
	return c
}

const perShare = 150

func TestProcessesOnOneFileLoseNothing(t *testing.T) {
	shares := []string{"a", "b", "c"}
	var lines strings.Builder
	for n := range perShare {
		for _, s := range shares {
			fmt.Fprintf(&lines, "%s%d:old\n", s, n)
		}
	}
	i, path := open(t, lines.String()+"# the end\n")
	var children []*exec.Cmd
	for _, s := range shares {
		c := child(t, path, s)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	for n := range perShare {
		for _, s := range shares {
			account := fmt.Sprint(s, n)
			wantVerdict(t, i, account, "new "+account, sdk.Accepted)
		}
	}
	if got := content(t, path); strings.Count(got, "\n") != perShare*len(shares)+1 || !strings.HasSuffix(got, "\n# the end\n") {
		t.Errorf("the file has %d lines, want %d", strings.Count(got, "\n"), perShare*len(shares)+1)
	}
}

func TestKilledAtAnyMomentTheFileIsOldOrNew(t *testing.T) {
	var lines strings.Builder
	for a := range batch {
		fmt.Fprintf(&lines, "# account %d\nu%d:old\n", a, a)
	}
	i, path := open(t, lines.String())
	for range 25 {
		done := killAfterFirstRound(t, path)
		wantWholeRound(t, i, path, done)
	}
	i.Apply(t.Context(), set("u0", "x"))
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// killAfterFirstRound returns the last round that the child reported.
func killAfterFirstRound(t *testing.T, path string) int {
	t.Helper()
	c := child(t, path, "endless")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the child did no round")
	}
	last := lines.Text()
	// The moment of the kill is meant to be any.
	kill := time.AfterFunc(rand.N(25*time.Millisecond), func() { _ = c.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		last = lines.Text()
	}
	_, _ = io.Copy(io.Discard, out)
	_ = c.Wait() // killed
	done, err := strconv.Atoi(last)
	if err != nil {
		t.Fatalf("the child said %q", last)
	}
	return done
}

// wantWholeRound wants all accounts to have the value of round done, or all
// that of the next, whose report the kill may have swallowed.
func wantWholeRound(t *testing.T, i *Instance, path string, done int) {
	t.Helper()
	round := done
	if got, _ := i.Verify(t.Context(), "u0", "", roundOf(done + 1)[0].Value); got == sdk.Accepted {
		round++
	}
	for _, op := range roundOf(round) {
		wantVerdict(t, i, op.Account, op.Value.Reveal(), sdk.Accepted)
	}
	if got := strings.Count(content(t, path), "\n"); got != 2*batch {
		t.Fatalf("the file has %d lines, want %d", got, 2*batch)
	}
}
