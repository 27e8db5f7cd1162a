package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// BenchmarkRun is the whole command on the memory backend: plan, generate,
// seal, send to a plugin process, record, report. Its figures are per user and
// MiB of the host at its highest; both are to stay flat.
func BenchmarkRun(b *testing.B) {
	for _, users := range []int{20_000, 200_000} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			for b.Loop() {
				applyToMemory(b, users)
			}
		})
	}
}

func applyToMemory(b *testing.B, users int) {
	dir := b.TempDir()
	if err := writeUsers(filepath.Join(dir, "users.csv"), users); err != nil {
		b.Fatal(err)
	}
	script := `workflow(users = csv("users.csv", key = "login"), backend = backend("memory"), reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password})])`
	if err := os.WriteFile(filepath.Join(dir, "bench.star"), []byte(script), 0o600); err != nil {
		b.Fatal(err)
	}
	p := &place{dir: dir, state: filepath.Join(dir, "state")}
	cmd := p.command("run", "bench.star", "--yes")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	highest := make(chan float64)
	done := make(chan struct{})
	go func() { highest <- peakMemory(cmd.Process.Pid, done) }()
	err := cmd.Wait()
	close(done)
	mib := <-highest
	if err != nil {
		b.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	took := time.Since(began)
	b.ReportMetric(mib, "host-MiB")
	b.ReportMetric(float64(took.Nanoseconds())/float64(users), "ns/user")
	b.ReportMetric(float64(users)/took.Seconds(), "users/s")
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(users), "cpu-ns/user")
}

func writeUsers(path string, users int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	_, _ = fmt.Fprintln(w, "login,team,mail")
	for n := range users {
		fmt.Fprintf(w, "user%07d,team%d,user%07d@acme.example\n", n, n%17, n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

var peakLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory returns the most memory that a process had, in MiB.
func peakMemory(pid int, done <-chan struct{}) float64 {
	most := 0.0
	for {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if m := peakLine.FindSubmatch(text); m != nil {
				kib, _ := strconv.ParseFloat(string(m[1]), 64)
				most = max(most, kib/1024)
			}
		}
		select {
		case <-done:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}
