package reachtest

import (
	"slices"
	"testing"
	"time"
)

// Race is a backend beside a loop that is written by hand, and beside a script that
// starts a program for each account.
type Race struct {
	Accounts int    // that Mine and Hand give a value each
	Mine     func() // the backend, as its host calls it
	Hand     func() // the loop
	Scripted int    // accounts of Script
	Script   func()
	Program  string // that Script starts
}

// Run has rounds of all three until the benchmark has enough, and reports accounts/s and
// the medians of the ratios within a round. Whoever is first in one round is second in
// the next: a machine that is slow for a while is slow for both.
func (r Race) Run(b *testing.B) {
	b.Helper()
	var ratios, scripts []float64
	var mine, hand time.Duration
	for round := 0; b.Loop(); round++ {
		script := took(r.Script)
		first, second := r.Mine, r.Hand
		if round%2 == 1 {
			first, second = second, first
		}
		ours, theirs := took(first), took(second)
		if round%2 == 1 {
			ours, theirs = theirs, ours
		}
		mine, hand = mine+ours, hand+theirs
		ratios = append(ratios, float64(theirs)/float64(ours))
		scripts = append(scripts, script.Seconds()/float64(r.Scripted)/(ours.Seconds()/float64(r.Accounts)))
	}
	accounts := float64(len(ratios) * r.Accounts)
	b.ReportMetric(accounts/hand.Seconds(), "byhand-accounts/s")
	b.ReportMetric(accounts/mine.Seconds(), "backend-accounts/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(median(scripts), "ratio-"+r.Program)
}

func took(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
