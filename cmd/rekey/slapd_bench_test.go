package main_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// pairs is how often each is measured, in turn: what else the machine does
// hits both alike.
const pairs = 5

// workers is how many operations both have under way at once.
const workers = 16

// setOnly is what the loop by hand does, and no more.
const setOnly = `"""Set."""

directory = backend("ldap", url = param.string("url"), bind_dn = param.string("bind_dn"), bind_password = secret.env("LDAP_BIND_PASSWORD"), insecure = True)

def rotate(user, step):
    step.set(directory, user.dn, step.generate())

workflow(users = csv("dns.csv", key = "dn", delimiter = ";"), rotate = rotate, concurrency = %d, reports = [])
`

// BenchmarkSlapd compares rekey, with its ledger and a plugin in a process of
// its own, with a loop written by hand, at the same concurrency against the
// same slapd: users/s of either, and the median of the ratios.
func BenchmarkSlapd(b *testing.B) {
	for _, c := range []struct {
		name  string
		sync  bool
		users int
	}{{"as-installed", true, 4000}, {"dbnosync", false, 20000}} {
		b.Run(c.name, func(b *testing.B) {
			s := ldaptest.Start(b, ldaptest.Options{Users: c.users, Sync: c.sync})
			p := benchPlace(b, s, c.users)
			for b.Loop() {
				compare(b, s, p, c.users)
			}
		})
	}
}

func benchPlace(b *testing.B, s *ldaptest.Server, users int) *place {
	b.Helper()
	dir := b.TempDir()
	p := &place{dir: dir, state: filepath.Join(dir, "state"), env: []string{"LDAP_BIND_PASSWORD=" + s.Password}}
	var list strings.Builder
	list.WriteString("dn\n")
	for n := range users {
		fmt.Fprintln(&list, s.UserDN(n))
	}
	for name, text := range map[string]string{"dns.csv": list.String(), "set.star": fmt.Sprintf(setOnly, workers)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// compare measures the pairs and reports their medians.
func compare(b *testing.B, s *ldaptest.Server, p *place, users int) {
	b.Helper()
	var byHand, byRekey, whole, ratio, cpuHand, cpuRekey []float64
	rate := func(d time.Duration) float64 { return float64(users) / d.Seconds() }
	loop(b, s, users) // warms the server up
	for range pairs {
		mine := usage(b, syscall.RUSAGE_SELF)
		hand := rate(loop(b, s, users))
		mine, children := usage(b, syscall.RUSAGE_SELF)-mine, usage(b, syscall.RUSAGE_CHILDREN)
		start := time.Now()
		said(b, p, "run", "set.star", "url="+s.URL, "bind_dn="+s.BindDN, "--yes")
		all := rate(time.Since(start))
		children = usage(b, syscall.RUSAGE_CHILDREN) - children
		rekey := rate(applied(b, p, users))
		cpuHand = append(cpuHand, float64(mine.Microseconds())/float64(users))
		cpuRekey = append(cpuRekey, float64(children.Microseconds())/float64(users))
		byHand, byRekey, whole, ratio = append(byHand, hand), append(byRekey, rekey), append(whole, all), append(ratio, rekey/hand)
	}
	b.ReportMetric(median(byHand), "byhand-users/s")
	b.ReportMetric(median(byRekey), "rekey-users/s")
	b.ReportMetric(median(whole), "rekey-with-start-and-plan-users/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(cpuHand), "byhand-cpu-µs/user")
	b.ReportMetric(median(cpuRekey), "rekey-cpu-µs/user")
	b.Logf("ratios %.2f", ratio)
}

// said is what a command that has to succeed writes to standard output.
func said(b *testing.B, p *place, args ...string) string {
	b.Helper()
	var stderr strings.Builder
	cmd := p.command(args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("rekey %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// usage is the time that this process, or the children that it waited for,
// plugins of rekey included, were on a processor.
func usage(b *testing.B, who int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// loop is what an administrator would write in Go: connections that stay open,
// each with one operation under way.
func loop(b *testing.B, s *ldaptest.Server, users int) time.Duration {
	b.Helper()
	var conns []*goldap.Conn
	for range workers {
		c, err := goldap.DialURL(s.URL)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if err := c.Bind(s.BindDN, s.Password); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
	}
	numbers := make(chan int)
	var running sync.WaitGroup
	start := time.Now()
	for _, c := range conns {
		running.Go(func() {
			for n := range numbers {
				if _, err := c.PasswordModify(goldap.NewPasswordModifyRequest(s.UserDN(n), "", rand.Text()[:20])); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n := range users {
		numbers <- n
	}
	close(numbers)
	running.Wait()
	return time.Since(start)
}

// applied is how long the last run took from the first outcome to the last.
func applied(b *testing.B, p *place, users int) time.Duration {
	b.Helper()
	var first, last time.Time
	lines := 0
	for line := range strings.Lines(said(b, p, "report", "last", "--format", "jsonl", "--out", "-")) {
		var r struct {
			Status string
			Steps  []struct{ At time.Time }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.Status != "done" || len(r.Steps) != 1 {
			b.Fatalf("%v: %s", err, line)
		}
		at := r.Steps[0].At
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
		lines++
	}
	if lines != users {
		b.Fatalf("%d users, want %d", lines, users)
	}
	return last.Sub(first)
}
