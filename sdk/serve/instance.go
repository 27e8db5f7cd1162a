package serve

import (
	"context"
	"errors"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// instance is one configured backend and the workers that call it.
type instance struct {
	service *service
	inst    sdk.Instance
	batcher sdk.BatchApplier // nil: operations go one by one
	timeout time.Duration
	base    context.Context // of every call; ends with the instance
	stop    context.CancelFunc
	pool    *pool
	watch   *watch
	past    *outcomes
}

func newInstance(s *service, inst sdk.Instance, c sdk.Config, batch int) *instance {
	i := &instance{service: s, inst: inst, timeout: c.Timeout, past: newOutcomes()}
	i.pool = newPool(c.Concurrency, i.do)
	i.watch = newWatch(i.timeout, i.pool.calls, i.abandon)
	base, cancel := context.WithCancel(context.Background())
	i.base, i.stop = base, func() { cancel(); i.watch.close() }
	if b, ok := inst.(sdk.BatchApplier); ok {
		i.batcher = b
		i.pool.batch = min(c.Concurrency, maxBatch)
		if batch > 0 {
			i.pool.batch = min(batch, i.pool.batch)
		}
	}
	return i
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

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

func (i *instance) release() {
	i.stop()
	var err error
	if e := i.service.guard("Close", func() { err = i.inst.Close() }); e == nil && err != nil {
		i.service.log.Warn("the backend did not close well", "error", err)
	}
}

// submit queues jobs. A nil one is left out.
func (i *instance) submit(jobs []*job) { i.pool.push(jobs) }

// applyJob returns the job of a Set or Change, or nil if nothing is to be done
// because the operation was applied before or runs already; then answer is
// called without a worker.
func (i *instance) applyJob(ctx context.Context, op sdk.Operation, answer func(sdk.Receipt)) *job {
	if op.Verb != sdk.Set && op.Verb != sdk.Change {
		answer(sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "verb %q is not one of Apply", op.Verb)))
		return nil
	}
	j := &job{ctx: ctx, room: op, method: "Apply", answer: answer}
	j.op = &j.room
	if op.ID == "" {
		return j
	}
	j.past = i.past
	if !i.past.begin(j.op, answer, i.timeout+grace) {
		return nil
	}
	return j
}

// streamJob returns the job of an operation of a stream: as applyJob, or a verify.
func (i *instance) streamJob(ctx context.Context, op sdk.Operation, answer func(sdk.Receipt)) *job {
	if op.Verb != sdk.Verify {
		return i.applyJob(ctx, op, answer)
	}
	v, ok := i.inst.(sdk.Verifier)
	if !ok {
		answer(sdk.Refuse(unsupported("verify")))
		return nil
	}
	return i.task(ctx, "Verify", answer, func(ctx context.Context) sdk.Receipt {
		verdict, err := v.Verify(ctx, op.Account, op.Kind, op.Value)
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
func ask[T any](ctx context.Context, i *instance, method string, question func(context.Context) (T, error)) (T, *sdk.Error) {
	var found T // written before the receipt is sent, read after
	got := make(chan sdk.Receipt, 1)
	i.submit([]*job{i.task(ctx, method, func(r sdk.Receipt) { got <- r }, func(ctx context.Context) sdk.Receipt {
		v, err := question(ctx)
		if err != nil {
			return sdk.Refuse(sdk.AsError(err, sdk.TargetError))
		}
		found = v
		return sdk.OK()
	})})
	if r := <-got; r.Outcome != sdk.Applied {
		var none T
		return none, r.Err
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
func (i *instance) do(w *worker, jobs []*job) {
	jobs = i.inTime(jobs)
	if len(jobs) == 0 {
		return
	}
	c := i.begin(w, jobs)
	if j := jobs[0]; len(jobs) == 1 && !j.shared && j.ctx != nil && j.ctx.Done() != nil {
		defer context.AfterFunc(j.ctx, c.giveUp)()
	}
	receipts := i.call(c, jobs)
	w.calling.Store(nil)
	c.giveUp()
	i.settle(jobs, receipts)
}

// begin makes the call known to who watches it. Whoever ended meanwhile could
// not see it, so it is looked at again.
func (i *instance) begin(w *worker, jobs []*job) *call {
	c := newCall(jobs, time.Now().Add(i.timeout))
	w.calling.Store(c)
	i.watch.began()
	if i.base.Err() != nil || len(jobs) == 1 && jobs[0].expired() != nil {
		c.giveUp()
	}
	return c
}

// inTime answers the jobs whose caller has gone while they waited.
func (i *instance) inTime(jobs []*job) []*job {
	kept := jobs[:0]
	for _, j := range jobs {
		if e := j.expired(); e != nil {
			j.finish(sdk.Refuse(e))
			continue
		}
		kept = append(kept, j)
	}
	return kept
}

// call calls the backend. A panic is an outcome that is not known, of all of a
// batch.
func (i *instance) call(ctx context.Context, jobs []*job) (receipts []sdk.Receipt) {
	j := jobs[0]
	method := j.method
	if j.op != nil && i.batcher != nil {
		method = "ApplyBatch"
	}
	e := i.service.guard(method, func() {
		switch {
		case j.work != nil:
			receipts = []sdk.Receipt{j.work(ctx)}
		case i.batcher == nil:
			receipts = []sdk.Receipt{i.inst.Apply(ctx, *j.op)}
		default:
			receipts = i.batcher.ApplyBatch(ctx, operations(jobs))
		}
	})
	if e != nil {
		receipts = nil
		for range jobs {
			receipts = append(receipts, sdk.Lost(e))
		}
	}
	return receipts
}

func operations(jobs []*job) []sdk.Operation {
	ops := make([]sdk.Operation, len(jobs))
	for n, j := range jobs {
		ops[n] = *j.op
	}
	return ops
}

// settle gives each job its receipt.
func (i *instance) settle(jobs []*job, receipts []sdk.Receipt) {
	back := 0
	for n, j := range jobs {
		var r sdk.Receipt
		if n < len(receipts) {
			r = receipts[n]
		} else {
			r = sdk.Lost(sdk.Errorf(sdk.Internal, "the backend gave %d receipts for %d operations", len(receipts), len(jobs)))
		}
		if !j.finish(r) {
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
	for _, j := range jobs {
		if j.reply(sdk.Lost(sdk.Errorf(sdk.Timeout, "no answer within %s, and the call goes on", i.timeout))) {
			lost++
		}
	}
	i.pool.lose(lost)
}

// expired returns why a job need not be started any more.
func (j *job) expired() *sdk.Error {
	if j.ctx == nil {
		return nil
	}
	switch err := j.ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the deadline passed before it was sent")
	default:
		return sdk.Errorf(sdk.Cancelled, "given up before it was sent")
	}
}
