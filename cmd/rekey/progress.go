package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// bar shows a run on a terminal.
type bar struct {
	out    *mpb.Progress
	bar    *mpb.Bar
	failed atomic.Int64
	make   func() *mpb.Progress
}

// progressOf returns a progress bar if standard error is a terminal, and else what
// says now and then how far the run is.
func progressOf(a *app) host.Progress {
	switch {
	case a.cli.Quiet:
		return nil
	case a.cli.JSON || a.cli.LogFormat == "json" || !a.process.stderr.terminal():
		return &milestones{every: 30 * time.Second, now: time.Now, say: func(line string) { fmt.Fprintf(a.process.stderr, "rekey: %s\n", line) }}
	}
	return &bar{make: func() *mpb.Progress { return mpb.New(mpb.WithOutput(a.process.stderr.file), mpb.WithWidth(48)) }}
}

// Begin shows the bar.
func (b *bar) Begin(total, finished int64) {
	b.out = b.make()
	b.bar = b.out.AddBar(total,
		mpb.PrependDecorators(decor.CountersNoUnit("%d / %d users")),
		mpb.AppendDecorators(decor.Percentage(), decor.Any(b.failures), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
	b.bar.SetCurrent(finished)
}

func (b *bar) failures(decor.Statistics) string {
	if count := b.failed.Load(); count > 0 {
		return "  " + thousands(count) + " not done"
	}
	return ""
}

// Finished counts a user.
func (b *bar) Finished(status journal.Status, _ sdk.Code) {
	if status != journal.Done && status != journal.Skipped {
		b.failed.Add(1)
	}
	b.bar.Increment()
}

// End leaves the bar as it is. It waits for a held terminal no longer
// than who prints.
func (b *bar) End() {
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		b.bar.Abort(false)
		b.out.Wait()
	}()
	select {
	case <-shown:
	case <-time.After(patience):
	}
}
