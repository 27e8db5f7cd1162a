package main_test

import (
	"testing"
	"time"
)

// BenchmarkCheck is rekey check on the largest script that ships. Its figures are
// the processor time of the whole command, and that in times of a start which does
// nothing but print the version.
func BenchmarkCheck(b *testing.B) {
	p := &place{dir: b.TempDir(), state: b.TempDir()}
	var check, start time.Duration
	for b.Loop() {
		check += processorTime(b, p, "check", "@rekey/openiam_sync.star")
		start += processorTime(b, p, "version")
	}
	b.ReportMetric(float64(check.Milliseconds())/float64(b.N), "cpu-ms/check")
	b.ReportMetric(check.Seconds()/start.Seconds(), "starts/check")
}

// processorTime is that of a command.
func processorTime(b *testing.B, p *place, args ...string) time.Duration {
	b.Helper()
	cmd := p.command(args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
