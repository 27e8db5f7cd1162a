package ledger

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// peak reports the most memory that the process ever had.
func peak(b *testing.B) {
	text, err := os.ReadFile("/proc/self/status")
	must(b, err)
	if found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text); found != nil {
		kb, _ := strconv.ParseFloat(string(found[1]), 64)
		b.ReportMetric(kb/1024, "peak-MB")
	}
}

// BenchmarkPlan plans users with a sealed cell, two waves and two sort keys.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := newStore(b)
			k := newKeys(b, s)
			for b.Loop() {
				must(b, planMany(b, s, k, n).Close())
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			peak(b)
		})
	}
}

func planMany(b *testing.B, s *Store, k Keys, n int) *Run {
	start := time.Now()
	d, err := s.Draft(Header{Script: "test.star"}, k)
	must(b, err)
	cell := secret.New("initial-password")
	for i := 1; i <= n; i++ {
		p := planned(i)
		p.Sort = []any{fmt.Sprintf("team-%d", i%97), int64(i * 7919 % n)}
		p.Wave = i % 2
		p.Row = append(p.Row, d.Seal("password", p.Seq, cell)...)
		must(b, d.Add(p))
	}
	b.ReportMetric(time.Since(start).Seconds()*1e6/float64(n), "µs/add")
	r, err := d.Freeze([]WavePlan{{Name: "a"}, {Name: "b"}})
	must(b, err)
	return r
}

// BenchmarkPlanInOrder plans users that nothing sorts.
func BenchmarkPlanInOrder(b *testing.B) {
	const n = 200_000
	s := newStore(b)
	k := newKeys(b, s)
	for b.Loop() {
		d, err := s.Draft(Header{Script: "test.star"}, k)
		must(b, err)
		for i := 1; i <= n; i++ {
			if err := d.Add(planned(i)); err != nil {
				b.Fatal(err)
			}
		}
		r, err := d.Freeze([]WavePlan{{Name: "all"}})
		must(b, err)
		must(b, r.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/user")
	peak(b)
}

// BenchmarkCommit appends an intent, an outcome and a status of each user, in
// groups, sealing included.
func BenchmarkCommit(b *testing.B) {
	for _, group := range []int{1, 50, 500, 2000} {
		b.Run(fmt.Sprint(group), func(b *testing.B) {
			s := newStore(b)
			r := newRun(b, s, newKeys(b, s), 1_000_000)
			commit(b, r, &journal.Record{Kind: journal.Started})
			n, user := 0, int64(1)
			recs := make([]*journal.Record, 0, group+2)
			for b.Loop() {
				recs = recs[:0]
				for len(recs) < group {
					recs = append(recs, intent(r, user, 1, 0, "generated-password-1"))
					if user > 300 {
						recs = append(recs, outcome(user-300, 1, 0, sdk.Applied, ""), finished(user-300, journal.Done, ""))
					}
					user++
				}
				n += len(recs)
				commit(b, r, recs...)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			peak(b)
		})
	}
}

// applied makes a run in which all users are done.
func applied(b *testing.B, n int) (*Store, *Run) {
	s := newStore(b)
	r := planMany(b, s, newKeys(b, s), n)
	recs := make([]*journal.Record, 0, 3000)
	for user := int64(1); user <= int64(n); user++ {
		recs = append(recs, intent(r, user, 1, 0, "generated-password-1"), outcome(user, 1, 0, sdk.Applied, ""), finished(user, journal.Done, ""))
		if len(recs) == cap(recs) || user == int64(n) {
			commit(b, r, recs...)
			recs = recs[:0]
		}
	}
	_, _, err := r.SignHead()
	must(b, err)
	return s, r
}

// BenchmarkEach streams all users of an applied run with their histories, in
// the order of the source, as reports do.
func BenchmarkEach(b *testing.B) {
	const n = 200_000
	_, r := applied(b, n)
	for b.Loop() {
		must(b, r.Each(Filter{}, OrderSource, func(User) error { return nil }))
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "users/s")
	peak(b)
}

// BenchmarkVerify computes every hash of an applied run anew.
func BenchmarkVerify(b *testing.B) {
	const n = 200_000
	s, r := applied(b, n)
	for b.Loop() {
		audited(b, s, r.ID(), "")
	}
	b.ReportMetric(float64(3*n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOneUser opens an applied run and looks at one user, or proves one.
func BenchmarkOneUser(b *testing.B) {
	const n = 1_000_000
	s, r := applied(b, n)
	id := r.ID()
	must(b, r.Close())
	for name, look := range map[string]func(*Run) error{
		"user":  func(r *Run) error { _, err := r.User("user-654321"); return err },
		"prove": func(r *Run) error { _, err := r.Prove("user-654321"); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				ro, err := s.Read(id)
				must(b, err)
				must(b, look(ro))
				must(b, ro.Close())
			}
		})
	}
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			audited(b, s, id, "")
		}
	})
}

// BenchmarkCounts is what a progress bar costs.
func BenchmarkCounts(b *testing.B) {
	_, r := applied(b, 50_000)
	for b.Loop() {
		_, err := r.Counts()
		must(b, err)
	}
}

// BenchmarkSeal seals one value.
func BenchmarkSeal(b *testing.B) {
	s := newStore(b)
	r := newRun(b, s, newKeys(b, s), 1)
	v := secret.New("generated-password-1")
	for b.Loop() {
		_ = r.Seal(1, 1, 0, "value", v)
	}
}
