package serve

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// instance is one configured backend and the workers that call it.
type instance struct {
	service   *service
	described sdk.Description
	inst      sdk.Instance
	batcher   sdk.BatchApplier // nil: operations go one by one
	timeout   time.Duration
	base      context.Context // of every call; ends with the instance
	stop      context.CancelFunc
	pool      *pool
	watch     *watch
	past      *outcomes
}

func newInstance(service *service, described sdk.Description, inst sdk.Instance, config sdk.Config) *instance {
	made := &instance{service: service, described: described, inst: inst, timeout: config.Timeout, past: newOutcomes()}
	made.pool = newPool(config.Concurrency, made.do)
	made.watch = newWatch(made.timeout, made.pool.calls, made.abandon)
	base, cancel := context.WithCancel(context.Background())
	made.base, made.stop = base, func() { cancel(); made.watch.close() }
	if batchApplier, ok := inst.(sdk.BatchApplier); ok {
		made.batcher = batchApplier
		made.pool.batch = min(config.Concurrency, maxBatch)
		if batch := described.Limits.Batch; batch > 0 {
			made.pool.batch = min(batch, made.pool.batch)
		}
	}
	return made
}

// maxBatch bounds a batch where the backend does not.
const maxBatch = 500

// close refuses what waits, lets what runs end within the grace, then cancels
// it, and releases the instance once nothing runs. It returns the ids of
// operations that run although they were cancelled.
func (i *instance) close(grace time.Duration) []string {
	idle := i.pool.shut()
	if !within(idle, grace) {
		i.stop()
	}
	if within(idle, obey) {
		i.release()
		return nil
	}
	go func() { // the owner of what ignores its context is the process
		<-idle
		i.release()
	}()
	return i.pool.running()
}

// obey is how long a cancelled call may take to return.
const obey = 250 * time.Millisecond

func within(done <-chan struct{}, span time.Duration) bool {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (i *instance) release() {
	i.stop()
	var err error
	if failure := i.service.guard("Close", func() { err = i.inst.Close() }); failure == nil && err != nil {
		i.service.log.Warn("the backend did not close well", "error", err)
	}
}

// submit queues jobs. A nil one is left out.
func (i *instance) submit(jobs []*job) { i.pool.push(jobs) }

// applyJob returns the job of a Set, Change or Handover, or nil if nothing is to be done
// because the operation was applied before or runs already; then answer is
// called without a worker.
func (i *instance) applyJob(ctx context.Context, op sdk.Operation, answer func(sdk.Receipt)) *job {
	if op.Verb != sdk.Set && op.Verb != sdk.Change && op.Verb != sdk.Handover {
		answer(sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "verb %q is not one of Apply", op.Verb)))
		return nil
	}
	if failure := i.described.Refusal(op); failure != nil {
		answer(sdk.Refuse(failure))
		return nil
	}
	made := &job{ctx: ctx, room: op, method: "Apply", answer: answer}
	made.op = &made.room
	if op.ID == "" {
		return made
	}
	made.past = i.past
	if !i.past.begin(made.op, answer, i.timeout+grace) {
		return nil
	}
	return made
}

// streamJob returns the job of an operation of a stream: as applyJob, or a verify.
func (i *instance) streamJob(ctx context.Context, op sdk.Operation, answer func(sdk.Receipt)) *job {
	if op.Verb != sdk.Verify {
		return i.applyJob(ctx, op, answer)
	}
	verifier, ok := i.inst.(sdk.Verifier)
	if !ok {
		answer(sdk.Refuse(unsupported("verify")))
		return nil
	}
	if failure := i.described.Refusal(op); failure != nil {
		answer(sdk.Refuse(failure))
		return nil
	}
	return i.task(ctx, "Verify", answer, func(ctx context.Context) sdk.Receipt {
		verdict, err := verifier.Verify(ctx, op.Account, op.Kind, op.Value)
		if err != nil {
			return sdk.Refuse(sdk.AsError(err, sdk.TargetError))
		}
		return sdk.Receipt{Outcome: sdk.Applied, Verdict: verdict}
	})
}

// task returns the job of anything else.
func (i *instance) task(ctx context.Context, method string, answer func(sdk.Receipt), work func(context.Context) sdk.Receipt) *job {
	return &job{ctx: ctx, method: method, answer: answer, work: work}
}

// ask has a question answered by a worker. The answer of one that comes too
// late is dropped.
func ask[T any](ctx context.Context, instance *instance, method string, question func(context.Context) (T, error)) (T, *sdk.Error) {
	var found T // written before the receipt is sent, read after
	got := make(chan sdk.Receipt, 1)
	instance.submit([]*job{instance.task(ctx, method, func(receipt sdk.Receipt) { got <- receipt }, func(ctx context.Context) sdk.Receipt {
		v, err := question(ctx)
		if err != nil {
			return sdk.Refuse(sdk.AsError(err, sdk.TargetError))
		}
		found = v
		return sdk.OK()
	})})
	if receipt := <-got; receipt.Outcome != sdk.Applied {
		var none T
		return none, receipt.Err
	}
	return found, nil
}

// visit makes a call that takes no worker. Its context ends with the caller's
// and with the instance.
func (i *instance) visit(ctx context.Context, method string, call func(context.Context)) *sdk.Error {
	if !i.pool.enter() {
		return sdk.Errorf(sdk.Cancelled, "the backend is being closed")
	}
	defer i.pool.leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(i.base, cancel)()
	return i.service.guard(method, func() { call(ctx) })
}

// do carries jobs out: one, or a batch of operations.
func (i *instance) do(worker *worker, jobs []*job) {
	jobs = i.inTime(jobs)
	if len(jobs) == 0 {
		return
	}
	call := i.begin(worker, jobs)
	if job := jobs[0]; len(jobs) == 1 && !job.shared && job.ctx != nil && job.ctx.Done() != nil {
		defer context.AfterFunc(job.ctx, call.giveUp)()
	}
	receipts := i.call(call, jobs)
	worker.calling.Store(nil)
	call.giveUp()
	i.settle(jobs, receipts)
}

// begin makes the call known to who watches it. Whoever ended meanwhile could
// not see it, so it is looked at again.
func (i *instance) begin(worker *worker, jobs []*job) *call {
	call := newCall(jobs, time.Now().Add(i.timeout))
	worker.calling.Store(call)
	i.watch.began()
	if i.base.Err() != nil || len(jobs) == 1 && jobs[0].expired() != nil {
		call.giveUp()
	}
	return call
}

// inTime answers the jobs whose caller has gone while they waited.
func (i *instance) inTime(jobs []*job) []*job {
	kept := jobs[:0]
	for _, job := range jobs {
		if failure := job.expired(); failure != nil {
			job.finish(sdk.Refuse(failure))
			continue
		}
		kept = append(kept, job)
	}
	return kept
}

// call calls the backend. A panic is an unknown outcome, of all of a
// batch.
func (i *instance) call(ctx context.Context, jobs []*job) (receipts []sdk.Receipt) {
	job := jobs[0]
	method := job.method
	if job.op != nil && i.batcher != nil {
		method = "ApplyBatch"
	}
	failure := i.service.guard(method, func() {
		switch {
		case job.work != nil:
			receipts = []sdk.Receipt{job.work(ctx)}
		case i.batcher == nil:
			receipts = []sdk.Receipt{i.inst.Apply(ctx, *job.op)}
		default:
			receipts = i.batcher.ApplyBatch(ctx, operations(jobs))
		}
	})
	if failure != nil {
		receipts = nil
		for range jobs {
			receipts = append(receipts, sdk.Lost(failure))
		}
	}
	return receipts
}

func operations(jobs []*job) []sdk.Operation {
	ops := make([]sdk.Operation, len(jobs))
	for index, job := range jobs {
		ops[index] = *job.op
	}
	return ops
}

// settle gives each job its receipt.
func (i *instance) settle(jobs []*job, receipts []sdk.Receipt) {
	back := 0
	for index, job := range jobs {
		var receipt sdk.Receipt
		if index < len(receipts) {
			receipt = receipts[index]
		} else {
			receipt = sdk.Lost(sdk.Errorf(sdk.Internal, "the backend gave %d receipts for %d operations", len(receipts), len(jobs)))
		}
		if !job.finish(receipt) {
			back++
		}
	}
	if back > 0 {
		i.service.log.Warn("a call came back after its deadline", "method", jobs[0].method)
		i.pool.back(back)
	}
}

// abandon answers jobs whose call ignores its deadline. Their workers stay
// taken until the calls return; when all are, nothing that waits can ever start.
func (i *instance) abandon(jobs []*job) {
	lost := 0
	for _, job := range jobs {
		if job.reply(sdk.Lost(sdk.Errorf(sdk.Timeout, "no answer within %s, and the call goes on", i.timeout))) {
			lost++
		}
	}
	i.pool.lose(lost)
}
