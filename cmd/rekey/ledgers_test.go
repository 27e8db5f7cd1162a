package main_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLedgersOfEarlierVersionsAreGoneOnWith: what rekey wrote before History
// read records can be listed, verified, revealed, reported, approved and
// resumed, also what a kill -9 left. The passwords of testdata/ledgers/1 are of
// accounts in memory; the state directory was made at the path that the runs
// name, which is why the test goes there.
func TestLedgersOfEarlierVersionsAreGoneOnWith(t *testing.T) {
	const dir = "/tmp/rekey-ledgers-1"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatalf("%v; the ledgers name it as their directory", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	copyTree(t, "testdata/ledgers/1", dir)
	p := &place{t: t, dir: dir, state: filepath.Join(dir, "state")}
	runs := p.must(0, "runs").stdout
	for _, want := range []string{"interrupted  6 users, 1 done, 1 skipped, 4 pending", "held         6 users, 2 done, 1 skipped, 3 held",
		"finished     6 users, 3 done, 1 failed, 1 partial, 1 skipped", "finished     6 users, 4 done, 1 failed, 1 skipped"} {
		if !strings.Contains(runs, want) {
			t.Errorf("runs says\n%s\nwithout %q", runs, want)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(p.read("reveals.sha256")), "\n") {
		run, want, _ := strings.Cut(line, " ")
		if got := digestOfLines(p.must(0, "reveal", run).stdout); got != want {
			t.Errorf("run %s: other values, or other words of them, are revealed than were", run)
		}
		p.must(0, "audit", "verify", run)
		p.must(0, "report", run, "--format", "jsonl")
	}
	held, interrupted := runIn(runs, "held"), runIn(runs, "interrupted")
	if before := p.must(0, "show", interrupted, "--user", "ann").stdout; !strings.Contains(before, "set a ann  applied") {
		t.Errorf("what was recorded before the kill is not shown:\n%s", before)
	}
	p.must(2, "resume", interrupted, "--yes") // it is a copy
	if r := p.must(3, "resume", interrupted, "--yes", "--moved"); !strings.Contains(r.stderr, "3 done, 1 failed, 1 partial, 1 skipped") {
		t.Errorf("resumed:\n%s", r.stderr)
	}
	p.must(0, "approve", held, "--moved")
	if r := p.must(3, "resume", held, "--yes", "--moved"); !strings.Contains(r.stderr, "4 done, 1 failed, 1 skipped") {
		t.Errorf("approved and resumed:\n%s", r.stderr)
	}
	for _, run := range []string{held, interrupted} {
		p.must(0, "audit", "verify", run)
	}
}

// runIn returns the run of the list that has the status.
func runIn(runs, status string) string {
	for line := range strings.Lines(runs) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[2] == status {
			return fields[0]
		}
	}
	return ""
}

// digestOfLines is the SHA-256 of the sorted lines of a text, in hex.
func digestOfLines(text string) string {
	lines := slices.Sorted(strings.Lines(text))
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, ""))))
}

// copyTree copies files for their owner alone, as a state directory has them.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(from, path)
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
