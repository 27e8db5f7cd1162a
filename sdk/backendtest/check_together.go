package backendtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// parallel calls f n times at once and waits.
func (p *probe) parallel(n int, f func(n int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { p.guard(func() { f(i) }) })
	}
	wg.Wait()
}

func manyAtOnce(p *probe) {
	s := p.open()
	values := map[string]string{}
	var ops []sdk.Operation
	for _, a := range p.target.Accounts {
		op := p.anyOp(a, p.value())
		values[a], ops = op.Value.Reveal(), append(ops, op)
	}
	for n, r := range s.submit(ops) {
		if !ok(r) {
			p.fail("%d accounts at once: account %q: %s, want applied", len(ops), ops[n].Account, said(r))
		}
	}
	for a, v := range values {
		p.wantHolds(a, v, "operations on many accounts at once")
	}
}

// moments are contexts that end before, during and after an operation.
func moments(ctx context.Context) map[string]func() (context.Context, context.CancelFunc) {
	in := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	return map[string]func() (context.Context, context.CancelFunc){
		"a deadline that has passed": in(-time.Second),
		"a deadline in 100 µs":       in(100 * time.Microsecond),
		"a deadline in 2 ms":         in(2 * time.Millisecond),
		"a cancelled context": func() (context.Context, context.CancelFunc) {
			c, cancel := context.WithCancel(ctx)
			cancel()
			return c, cancel
		},
	}
}

func deadlines(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	for what, moment := range moments(p.t.Context()) {
		was := p.start(s, a)
		op := p.set(a, p.value())
		if !p.d.Does(sdk.Set) {
			op = p.change(a, was, p.value())
		}
		ctx, stop := moment()
		r := s.apply(ctx, op)
		stop()
		p.wantTruth(r, a, was, op.Value.Reveal(), what)
		if r.Outcome == sdk.Applied && ctx.Err() != nil && strings.HasPrefix(what, "a deadline that has") {
			p.fail("%s: applied, want a refusal before anything was sent", what)
		}
		if !ok(r) && r.Err != nil && !slices.Contains([]sdk.Code{sdk.Timeout, sdk.Cancelled, sdk.ConnectionLost, sdk.Unreachable, sdk.RateLimited}, r.Err.Code) {
			p.fail("%s: %s, want Timeout, Cancelled, ConnectionLost, Unreachable or RateLimited", what, said(r))
		}
		if !p.d.Does(sdk.Set) {
			return // the present value may be another now
		}
	}
}

// batch applies operations to the target's accounts, with one in the middle
// that is refused.
func (p *probe) batch(ctx context.Context) (ops []sdk.Operation, was []string, receipts []sdk.Receipt) {
	w := p.open().(watched)
	for _, a := range p.target.Accounts[:3] {
		was = append(was, p.start(w, a))
		ops = append(ops, p.anyOp(a, p.value()))
	}
	if limit := p.d.Limits.Batch; limit == 0 || limit > 3 {
		bad := p.anyOp(p.target.Accounts[0], p.value())
		bad.Account = p.target.Missing
		ops, was = slices.Insert(ops, 1, bad), slices.Insert(was, 1, "")
	} else {
		ops, was = ops[:limit], was[:limit]
	}
	b := w.subject.(near).Instance.(sdk.BatchApplier)
	p.within("ApplyBatch", func() { receipts = b.ApplyBatch(ctx, ops) })
	if len(receipts) != len(ops) {
		p.stop("ApplyBatch: %d receipts for %d operations", len(receipts), len(ops))
	}
	return ops, was, receipts
}

func batchOrder(p *probe) {
	ops, was, receipts := p.batch(p.t.Context())
	for n, r := range receipts {
		if ops[n].Account == p.target.Missing {
			p.wantRefused(r, fmt.Sprintf("operation %d of a batch, on a missing account", n), sdk.AccountNotFound, sdk.InvalidOperation)
			continue
		}
		if !ok(r) {
			p.fail("operation %d of a batch: %s, want applied", n, said(r))
		}
		p.wantTruth(r, ops[n].Account, was[n], ops[n].Value.Reveal(), fmt.Sprintf("operation %d of a batch", n))
	}
}

func batchDeadline(p *probe) {
	ctx, cancel := context.WithCancel(p.t.Context())
	cancel()
	ops, was, receipts := p.batch(ctx)
	for n, r := range receipts {
		if ops[n].Account != p.target.Missing {
			p.wantTruth(r, ops[n].Account, was[n], ops[n].Value.Reveal(), fmt.Sprintf("operation %d of a batch with a cancelled context", n))
		}
	}
}
