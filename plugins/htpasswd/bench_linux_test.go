package htpasswd

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// fileOf writes a file of n accounts.
func fileOf(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	var lines strings.Builder
	for k := range n {
		fmt.Fprintf(&lines, "u%d:$apr1$abcdefgh$0123456789012345678901\n", k)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// BenchmarkSetAndVerify is what a user costs whose value is set and verified, as
// the default workflow does: processor time in files of 1,000 and of 100,000
// accounts, and how many times that of the small file the large one's is.
func BenchmarkSetAndVerify(b *testing.B) {
	for _, crumb := range []int{batch, 8} {
		b.Run(fmt.Sprintf("batches of %d", crumb), func(b *testing.B) {
			var total [2]time.Duration
			for b.Loop() {
				for n, accounts := range []int{1_000, 100_000} {
					total[n] += setAndVerify(b, accounts, crumb)
				}
			}
			users := float64(b.N * measured)
			b.ReportMetric(total[0].Seconds()/users*1e6, "µs/user-of-1k")
			b.ReportMetric(total[1].Seconds()/users*1e6, "µs/user-of-100k")
			b.ReportMetric(total[1].Seconds()/total[0].Seconds(), "ratio")
		})
	}
}

// spent is the processor time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured is how many users of a file are set and verified.
const measured = 24_000

// setAndVerify gives batches to as many at once as the host would.
func setAndVerify(b *testing.B, accounts, crumb int) time.Duration {
	path := fileOf(b, accounts)
	made, err := New().Configure(b.Context(), sdk.Config{Values: map[string]any{"path": path, "hash": "apr1"}})
	if err != nil {
		b.Fatal(err)
	}
	i := made.(*Instance)
	began := spent()
	var next atomic.Int64
	var all sync.WaitGroup
	order := rand.Perm(accounts)
	for range atOnce / crumb {
		all.Go(func() {
			for {
				from := int(next.Add(int64(crumb))) - crumb
				if from >= measured {
					return
				}
				setAndVerifyOne(b, i, order, from, crumb)
			}
		})
	}
	all.Wait()
	return spent() - began
}

func setAndVerifyOne(b *testing.B, i *Instance, order []int, from, crumb int) {
	var ops []sdk.Operation
	for k := range crumb {
		op := set(fmt.Sprint("u", order[(from+k)%len(order)]), fmt.Sprint("value ", from+k))
		op.ID = fmt.Sprint("run-", from+k)
		ops = append(ops, op)
	}
	for k, r := range i.ApplyBatch(b.Context(), ops) {
		if r.Outcome != sdk.Applied {
			b.Error(r.Err)
		}
		if v, err := i.Verify(b.Context(), ops[k].Account, "", ops[k].Value); v != sdk.Accepted {
			b.Errorf("%s: %v %v", ops[k].Account, v, err)
		}
	}
}
