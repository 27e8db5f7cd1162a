package host_test

import (
	"os"
	"testing"
	"time"
)

// BenchmarkApplyOnTheLedger applies a run of two sets a user on the real ledger
// against a target that writes a line a set.
func BenchmarkApplyOnTheLedger(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		b.StopTimer()
		if _, err := planIn(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		start := time.Now()
		if err := applyIn(dir); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(2*killedUsers/time.Since(start).Seconds(), "sets/s")
		_ = os.RemoveAll(dir)
	}
}
