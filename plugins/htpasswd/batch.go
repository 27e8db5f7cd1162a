package htpasswd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// job is one operation of a batch on its way through it.
type job struct {
	op      sdk.Operation
	hash    string // of the new value
	receipt sdk.Receipt
	settled bool // the receipt is final
}

func (j *job) refuse(e *sdk.Error) {
	j.receipt, j.settled = sdk.Refuse(e), true
}

// ApplyBatch hashes the new values, on as many processors as there are, and
// replaces the file once, for all batches that are ready then. What is not hashed when three quarters of the time
// have passed is to come again, so that the rest can be written.
func (i *Instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	jobs := make([]*job, len(ops))
	for n, op := range ops {
		jobs[n] = &job{op: op}
		if e := i.refuse(op); e != nil {
			jobs[n].refuse(e)
		}
	}
	i.rewrites.coming()
	i.hash(ctx, jobs)
	i.write(ctx, jobs)
	receipts := make([]sdk.Receipt, len(jobs))
	for n, j := range jobs {
		receipts[n] = j.receipt
		if e := j.receipt.Err; e == nil || e.RetryAfter == 0 && e.Code != sdk.Timeout {
			i.hashing.over(j.op)
		}
	}
	return receipts
}

// refuse returns why an operation makes no sense whatever the file holds.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	if e := refuseName(op.Account); e != nil {
		return e
	}
	switch {
	case op.Verb != sdk.Set && op.Verb != sdk.Change:
		return sdk.Errorf(sdk.Unsupported, "a password file has no %s", op.Verb)
	case op.Kind != "":
		return sdk.Errorf(sdk.Unsupported, "kind %q: a password file has one credential an account", op.Kind)
	case op.HashFormat != "":
		return sdk.Errorf(sdk.Unsupported, "hash_format %q: values are hashed here", op.HashFormat)
	case op.MustChange != nil && *op.MustChange:
		return sdk.Errorf(sdk.Unsupported, "must_change: a password file cannot ask for a change")
	}
	return i.hasher.refuse([]byte(op.Value.Reveal()))
}

// hash fills in the hashes of the jobs that are not settled.
func (i *Instance) hash(ctx context.Context, jobs []*job) {
	budget, cancel := shortened(ctx)
	defer cancel()
	waits := make([]*making, len(jobs))
	for n := range jobs {
		if !jobs[n].settled && ctx.Err() == nil {
			waits[n] = i.hashing.of(jobs[n].op)
		}
	}
	for n := range jobs {
		switch {
		case jobs[n].settled:
		case waits[n] == nil:
			jobs[n].refuse(fileError(ctx.Err()))
		default:
			i.await(budget, ctx, jobs[n], waits[n])
		}
	}
}

// await gives a job its hash, or refuses it when the time for that is over.
func (i *Instance) await(budget, ctx context.Context, j *job, h *making) {
	select {
	case <-h.done:
	case <-budget.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			j.refuse(fileError(ctx.Err()))
			return
		}
		select {
		case <-h.done: // both at once
		default:
			j.refuse(i.hashing.later())
			return
		}
	}
	switch {
	case errors.Is(h.err, context.Canceled):
		j.refuse(fileError(h.err))
	case h.err != nil:
		j.refuse(sdk.Errorf(sdk.Internal, "hash %s: %v", i.hasher.kind, h.err))
	}
	j.hash = h.text
}

// shortened ends when three quarters of the time to ctx's deadline are over.
func shortened(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*3/4)
}

// each runs do on every job that is not settled, in parallel, and waits. A job
// whose turn does not come before ctx ends is to come again.
func (i *Instance) each(ctx context.Context, jobs []*job, do func(*job)) {
	var running sync.WaitGroup
	defer running.Wait()
	for n := range jobs {
		j := jobs[n]
		if j.settled {
			continue
		}
		if !i.checks.begin(ctx) {
			if errors.Is(ctx.Err(), context.Canceled) {
				j.refuse(fileError(ctx.Err()))
			} else {
				j.refuse(i.hashing.later())
			}
			continue
		}
		running.Go(func() {
			defer i.checks.end()
			do(j)
		})
	}
}

// write replaces the file with what the jobs make of it, and settles them all.
func (i *Instance) write(ctx context.Context, jobs []*job) {
	open := slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.settled })
	i.rewrites.join(ctx, open, i.rewrite)
}

// rewrite does the jobs of one or several batches.
func (i *Instance) rewrite(ctx context.Context, jobs []*job) (sdk.Outcome, *sdk.Error) {
	return i.file.update(ctx, func(now *view) *view { return i.change(ctx, jobs, now) })
}

// change returns the file with the hashes of all jobs that the accounts in it
// allow, nil if there is none, and settles the others: afresh at every call, for
// another file may be another answer.
func (i *Instance) change(ctx context.Context, jobs []*job, now *view) *view {
	budget, cancel := shortened(ctx)
	defer cancel()
	var slow []*job
	for _, j := range jobs {
		if j.settled = false; j.op.Verb == sdk.Change { // compares hashes
			slow = append(slow, j)
		} else {
			i.admit(j, now)
		}
	}
	i.each(budget, slow, func(j *job) { i.admit(j, now) })
	var replaced, added []edit
	for _, j := range jobs {
		switch at, exists := now.entry(j.op.Account); {
		case j.settled:
		case exists:
			replaced = append(replaced, edit{hash: j.hash, at: at})
		default:
			added = append(added, edit{name: j.op.Account, hash: j.hash})
		}
	}
	if len(replaced)+len(added) == 0 {
		return nil
	}
	slices.SortFunc(replaced, func(a, b edit) int { return cmp.Compare(a.at.start, b.at.start) })
	return now.with(replaced, added, i.file.room())
}

// admit settles a job that the account's present line does not allow.
func (i *Instance) admit(j *job, now *view) {
	switch e, exists := now.entry(j.op.Account); {
	case !exists && (j.op.Verb != sdk.Set || !i.file.create):
		j.refuse(notFound(j.op.Account))
	case j.op.Verb == sdk.Change:
		j.admitChange(e)
	}
}

// admitChange wants the old value to be the present one. When an earlier
// attempt did the change already, the new one is.
func (j *job) admitChange(e entry) {
	switch verdict(string(e.hash), []byte(j.op.Old.Reveal())) {
	case sdk.Accepted:
	case sdk.CannotTell:
		j.refuse(sdk.Errorf(sdk.Unsupported, "account %q: the present hash is of a kind that cannot be compared; use set", j.op.Account))
	default:
		if j.op.Attempt > 1 && verdict(string(e.hash), []byte(j.op.Value.Reveal())) == sdk.Accepted {
			j.receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied, Stamp: stamp(string(e.hash))}
			j.settled = true
			return
		}
		j.refuse(sdk.Errorf(sdk.WrongCurrentPassword, "account %q: the old value does not match", j.op.Account))
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
