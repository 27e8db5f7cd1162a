package htpasswd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// job is one operation of a batch on its way through it.
type job struct {
	op      sdk.Operation
	hash    string // of the new value
	receipt sdk.Receipt
	settled bool // the receipt is final
}

func (j *job) refuse(failure *sdk.Error) {
	j.receipt, j.settled = sdk.Refuse(failure), true
}

// ApplyBatch hashes the new values, on as many processors as there are, and
// replaces the file once, for all batches that are ready then. What is not hashed when three quarters of the time
// have passed is to come again, so that the rest can be written.
func (i *Instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	jobs := make([]*job, len(ops))
	for index, op := range ops {
		jobs[index] = &job{op: op}
		if failure := i.refuse(op); failure != nil {
			jobs[index].refuse(failure)
		}
	}
	i.rewrites.coming()
	i.hash(ctx, jobs)
	i.write(ctx, jobs)
	receipts := make([]sdk.Receipt, len(jobs))
	for index, job := range jobs {
		receipts[index] = job.receipt
		if failure := job.receipt.Err; failure == nil || failure.RetryAfter == 0 && failure.Code != sdk.Timeout {
			i.hashing.over(job.op)
		}
	}
	return receipts
}

// refuse returns why an operation makes no sense whatever the file holds.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	if failure := refuseName(op.Account); failure != nil {
		return failure
	}
	return i.hasher.refuse([]byte(op.Value.Reveal()))
}

// hash fills in the hashes of the jobs that are not settled.
func (i *Instance) hash(ctx context.Context, jobs []*job) {
	budget, cancel := shortened(ctx)
	defer cancel()
	waits := make([]*making, len(jobs))
	for index := range jobs {
		if !jobs[index].settled && ctx.Err() == nil {
			waits[index] = i.hashing.of(jobs[index].op)
		}
	}
	for index := range jobs {
		switch {
		case jobs[index].settled:
		case waits[index] == nil:
			jobs[index].refuse(files.Error(ctx.Err()))
		default:
			i.await(budget, ctx, jobs[index], waits[index])
		}
	}
}

// await gives a job its hash, or refuses it when the time for that is over.
func (i *Instance) await(budget, ctx context.Context, job *job, making *making) {
	select {
	case <-making.done:
	case <-budget.Done():
		if errors.Is(ctx.Err(), context.Canceled) {
			job.refuse(files.Error(ctx.Err()))
			return
		}
		select {
		case <-making.done: // both at once
		default:
			job.refuse(i.hashing.later())
			return
		}
	}
	switch {
	case errors.Is(making.err, context.Canceled):
		job.refuse(files.Error(making.err))
	case making.err != nil:
		job.refuse(sdk.Errorf(sdk.Internal, "hash %s: %v", i.hasher.kind, making.err))
	}
	job.hash = making.text
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
	for index := range jobs {
		job := jobs[index]
		if job.settled {
			continue
		}
		if !i.checks.begin(ctx) {
			if errors.Is(ctx.Err(), context.Canceled) {
				job.refuse(files.Error(ctx.Err()))
			} else {
				job.refuse(i.hashing.later())
			}
			continue
		}
		running.Go(func() {
			defer i.checks.end()
			do(job)
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
	for _, job := range jobs {
		if job.settled = false; job.op.Verb == sdk.Change { // compares hashes
			slow = append(slow, job)
		} else {
			i.admit(job, now)
		}
	}
	i.each(budget, slow, func(j *job) { i.admit(j, now) })
	var replaced, added []edit
	for _, job := range jobs {
		switch at, exists := now.entry(job.op.Account); {
		case job.settled:
		case exists:
			replaced = append(replaced, edit{hash: job.hash, at: at})
		default:
			added = append(added, edit{name: job.op.Account, hash: job.hash})
		}
	}
	if len(replaced)+len(added) == 0 {
		return nil
	}
	slices.SortFunc(replaced, func(a, b edit) int { return cmp.Compare(a.at.start, b.at.start) })
	return now.with(replaced, added, i.file.room())
}

// admit settles a job that the account's present line does not allow.
func (i *Instance) admit(job *job, now *view) {
	switch entry, exists := now.entry(job.op.Account); {
	case !exists && (job.op.Verb != sdk.Set || !i.file.create):
		job.refuse(notFound(job.op.Account))
	case job.op.Verb == sdk.Change:
		job.admitChange(entry)
	}
}

// admitChange wants the old value to be the present one. When an earlier
// attempt did the change already, the new one is.
func (j *job) admitChange(entry entry) {
	switch verdict(string(entry.hash), []byte(j.op.Old.Reveal())) {
	case sdk.Accepted:
	case sdk.CannotTell:
		j.refuse(sdk.Errorf(sdk.Unsupported, "account %q: the present hash is of a kind that cannot be compared; use set", j.op.Account))
	default:
		if j.op.Attempt > 1 && verdict(string(entry.hash), []byte(j.op.Value.Reveal())) == sdk.Accepted {
			j.receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied, Stamp: stamp(string(entry.hash))}
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
