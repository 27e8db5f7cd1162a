package htpasswd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// desk is a rewriter that is told when it may go on.
type desk struct {
	began, goOn chan struct{}

	mu   sync.Mutex
	done []string // the accounts of each rewrite that succeeded
}

func newDesk() *desk { return &desk{began: make(chan struct{}), goOn: make(chan struct{})} }

func (d *desk) rewrite(ctx context.Context, jobs []*job) (sdk.Outcome, *sdk.Error) {
	d.began <- struct{}{}
	select {
	case <-d.goOn:
	case <-ctx.Done():
		return sdk.Refused, files.Error(ctx.Err())
	}
	var names []string
	for _, j := range jobs {
		names = append(names, j.op.Account)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, strings.Join(names, " "))
	return sdk.Applied, nil
}

// join gives the accounts to a rewrite and returns what becomes of them.
func join(ctx context.Context, r *rewrites, d *desk, accounts ...string) <-chan []*job {
	var jobs []*job
	for _, a := range accounts {
		jobs = append(jobs, &job{op: set(a, "x"), hash: "h"})
	}
	settled := make(chan []*job, 1)
	r.coming()
	before, busy := r.queued(), len(r.turn) > 0
	go func() {
		r.join(ctx, jobs, d.rewrite)
		settled <- jobs
	}()
	for busy && r.queued() == before { // else it is taken at once
		time.Sleep(time.Millisecond)
	}
	return settled
}

func (r *rewrites) queued() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

func outcomes(jobs []*job) string {
	var all []string
	for _, j := range jobs {
		code := ""
		if j.receipt.Err != nil {
			code = " " + string(j.receipt.Err.Code)
		}
		all = append(all, j.op.Account+": "+j.receipt.Outcome.String()+code)
	}
	return strings.Join(all, ", ")
}

// TestBatchesThatWaitShareARewrite, but for one that changes an account again.
func TestBatchesThatWaitShareARewrite(t *testing.T) {
	r, d := newRewrites(), newDesk()
	all := []<-chan []*job{join(t.Context(), r, d, "a")}
	<-d.began
	for _, accounts := range []string{"b c", "d", "c e", "f"} {
		all = append(all, join(t.Context(), r, d, strings.Fields(accounts)...))
	}
	for n := range 3 {
		if n > 0 {
			<-d.began
		}
		d.goOn <- struct{}{}
	}
	for _, settled := range all {
		if got := outcomes(<-settled); strings.Contains(got, "refused") || strings.Contains(got, "unknown") {
			t.Error(got)
		}
	}
	if got := fmt.Sprint(d.done); got != "[a b c d f c e]" {
		t.Errorf("rewrites of %v", d.done)
	}
	if len(d.done) != 3 {
		t.Errorf("%d rewrites: %q, want 3", len(d.done), d.done)
	}
}

// TestABatchWhoseTimeEndsTakesNobodyAlong: the others are written without it.
func TestABatchWhoseTimeEndsTakesNobodyAlong(t *testing.T) {
	r, d := newRewrites(), newDesk()
	first := join(t.Context(), r, d, "first")
	<-d.began
	gone, cancel := context.WithCancel(t.Context())
	short, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	stays, goes, late := join(t.Context(), r, d, "stays"), join(gone, r, d, "goes"), join(short, r, d, "late")
	d.goOn <- struct{}{}
	<-first
	<-d.began // the rewrite of all three
	cancel()
	<-d.began // of two
	<-d.began // of one
	d.goOn <- struct{}{}
	for _, c := range []struct {
		settled <-chan []*job
		want    string
	}{{stays, "stays: applied"}, {goes, "goes: refused Cancelled"}, {late, "late: refused Timeout"}} {
		if got := outcomes(<-c.settled); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	waits, cancel := context.WithCancel(t.Context())
	busy := join(t.Context(), r, d, "busy")
	<-d.began
	left := join(waits, r, d, "left")
	cancel()
	if got := outcomes(<-left); got != "left: refused Cancelled" {
		t.Errorf("who leaves while another is written: %s", got)
	}
	d.goOn <- struct{}{}
	<-busy
}
