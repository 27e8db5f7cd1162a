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

// parallel calls call number times at once and waits.
func parallel(probe *probe, count int, call func(number int)) {
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { probe.guard(func() { call(i) }) })
	}
	wg.Wait()
}

func manyAtOnce(probe *probe) {
	subject := probe.open()
	values := map[string]string{}
	var ops []sdk.Operation
	for _, text := range probe.target.Accounts {
		op := anyOp(probe, text, probe.value())
		values[text], ops = op.Value.Reveal(), append(ops, op)
	}
	for index, receipt := range subject.submit(ops) {
		if !ok(receipt) {
			probe.fail("%d accounts at once: account %q: %s, want applied", len(ops), ops[index].Account, said(receipt))
		}
	}
	for text, value := range values {
		probe.wantHolds(text, value, "operations on many accounts at once")
	}
}

// moment is a context that ends before, during or after an operation. sent says
// that the operation may reach the target before it ends, and be carried out there
// after the backend has answered.
type moment struct {
	what  string
	sent  bool
	begin func(context.Context) (context.Context, context.CancelFunc)
}

func moments() []moment {
	in := func(span time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, span) }
	}
	return []moment{
		{"a deadline that has passed", false, in(-time.Second)},
		{"a cancelled context", false, func(ctx context.Context) (context.Context, context.CancelFunc) {
			c, cancel := context.WithCancel(ctx)
			cancel()
			return c, cancel
		}},
		{"a deadline in 100 µs", true, in(100 * time.Microsecond)},
		{"a deadline in 2 ms", true, in(2 * time.Millisecond)},
	}
}

// deadlines gives each operation that may have been sent an account of its own:
// what the target carries out late would else undo what comes after it.
func deadlines(probe *probe) {
	subject, accounts := probe.open(), probe.target.Accounts
	for _, moment := range moments() {
		text := accounts[0]
		if moment.sent && len(accounts) > 1 {
			accounts = accounts[1:]
		}
		was := known(probe, subject, text)
		op := probe.set(text, probe.value())
		if !probe.d.Does(sdk.Set) {
			op = probe.change(text, was, probe.value())
		}
		ctx, stop := moment.begin(probe.t.Context())
		receipt := subject.apply(ctx, op)
		stop()
		probe.wantTruth(receipt, text, was, op.Value.Reveal(), moment.what)
		if receipt.Outcome == sdk.Applied && ctx.Err() != nil && strings.HasPrefix(moment.what, "a deadline that has") {
			probe.fail("%s: applied, want a refusal before anything was sent", moment.what)
		}
		if !ok(receipt) && receipt.Err != nil && !slices.Contains([]sdk.Code{sdk.Timeout, sdk.Cancelled, sdk.ConnectionLost, sdk.Unreachable, sdk.RateLimited}, receipt.Err.Code) {
			probe.fail("%s: %s, want Timeout, Cancelled, ConnectionLost, Unreachable or RateLimited", moment.what, said(receipt))
		}
		if !probe.d.Does(sdk.Set) && receipt.Outcome != sdk.Refused {
			return // the present value may be another now
		}
	}
}

// batch applies operations to the target's accounts, with one in the middle
// refused.
func batch(ctx context.Context, probe *probe) (ops []sdk.Operation, was []string, receipts []sdk.Receipt) {
	w := probe.open().(watched)
	for _, text := range probe.target.Accounts[:3] {
		was = append(was, known(probe, w, text))
		ops = append(ops, anyOp(probe, text, probe.value()))
	}
	if limit := probe.d.Limits.Batch; limit == 0 || limit > 3 {
		bad := anyOp(probe, probe.target.Accounts[0], probe.value())
		bad.Account = probe.target.Missing
		ops, was = slices.Insert(ops, 1, bad), slices.Insert(was, 1, "")
	} else {
		ops, was = ops[:limit], was[:limit]
	}
	batchApplier := w.subject.(near).Instance.(sdk.BatchApplier)
	probe.within("ApplyBatch", func() { receipts = batchApplier.ApplyBatch(ctx, ops) })
	if len(receipts) != len(ops) {
		probe.stop("ApplyBatch: %d receipts for %d operations", len(receipts), len(ops))
	}
	return ops, was, receipts
}

func batchOrder(probe *probe) {
	ops, was, receipts := batch(probe.t.Context(), probe)
	for index, receipt := range receipts {
		if ops[index].Account == probe.target.Missing {
			probe.wantRefused(receipt, fmt.Sprintf("operation %d of a batch, on a missing account", index), sdk.AccountNotFound, sdk.InvalidOperation)
			continue
		}
		if !ok(receipt) {
			probe.fail("operation %d of a batch: %s, want applied", index, said(receipt))
		}
		probe.wantTruth(receipt, ops[index].Account, was[index], ops[index].Value.Reveal(), fmt.Sprintf("operation %d of a batch", index))
	}
}

func batchDeadline(probe *probe) {
	ctx, cancel := context.WithCancel(probe.t.Context())
	cancel()
	ops, was, receipts := batch(ctx, probe)
	for index, receipt := range receipts {
		if ops[index].Account != probe.target.Missing {
			probe.wantTruth(receipt, ops[index].Account, was[index], ops[index].Value.Reveal(), fmt.Sprintf("operation %d of a batch with a cancelled context", index))
		}
	}
}
