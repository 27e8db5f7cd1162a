package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rekey-host/rekey/sdk"
)

// frameSize is the most operations of one frame.
const frameSize = 64

// errNotSent answers an operation given up before its first byte left.
var errNotSent = errors.New("given up before it was sent")

// errUnderWay answers an operation under way at the cancellation of the
// run. Nothing is recorded of it: its intent stays open, and the next
// process settles it.
var errUnderWay = errors.New("under way when the run was cancelled")

// request is one durable operation on its way to a plugin.
type request struct {
	op         sdk.Operation
	user       *permit
	dispatcher *dispatcher
	answer     chan reply // of capacity 1; nil: of a user of a batch
	member     answerer   // the user of a batch

	durable bool // its intent is on the disk
	through bool // it goes through an open circuit
	looks   bool // it changes nothing, so it needs neither an intent nor a permit

	sent, abandoned bool // guarded by dispatcher.mu
}

// answerer takes over what came of its request. It must not block.
type answerer interface{ answered(reply) }

// reply is what came of a request: a receipt, or an error if it was not sent.
type reply struct {
	receipt sdk.Receipt
	err     error
}

// end tells the request's user what came of it. It is called once and does not
// block.
func (p *request) end(reply reply) {
	if p.member != nil {
		p.member.answered(reply)
		return
	}
	p.answer <- reply
}

// written sends the operation whose intent is durable, or cannot be.
func (r *request) written(err error) {
	if err != nil {
		r.end(reply{err: err})
		return
	}
	r.durable = true
	r.dispatcher.push(r)
}

// upstream is where operations become durable: the committer.
type upstream interface {
	intact() error // why nothing may be sent any more, or nil
	kick()         // looks at what waits there: a dispatcher may run dry
}

// dispatcher is the way to one instance: the queue of durable operations, the credit
// that bounds operations without an answer, the rate, the circuit.
type dispatcher struct {
	backlog
	backend   Backend
	upstream  upstream
	semaphore *semaphore
	crash     crash
	panics    panics
	limiter   *rate.Limiter   // nil: no limit
	soft      context.Context // ends when the run stops
	end       func()          // ends it with the dispatcher
	circuit   circuit
	silence   silence
	waits     stays
	clock     Clock
	names     *resolver // set by the run

	mu       sync.Mutex
	cond     *sync.Cond
	queue    []*request
	inFlight int
	stopping bool // nothing new for users that have sent nothing
	closed   bool
	done     chan struct{}

	slots chan struct{} // of reads and resets, which do not go through the stream
}

func newDispatcher(soft context.Context, job *Job, backend Backend, from upstream, semaphore *semaphore) *dispatcher {
	made := &dispatcher{backlog: backlog{credit: int64(backend.credit())}, backend: backend, upstream: from, semaphore: semaphore, crash: job.Crash, panics: job.Panicked, clock: job.Clock, done: make(chan struct{}), slots: make(chan struct{}, max(1, backend.Concurrency))}
	made.cond = sync.NewCond(&made.mu)
	made.soft, made.end = context.WithCancel(soft)
	if backend.Rate > 0 {
		made.limiter = rate.NewLimiter(rate.Limit(backend.Rate), max(1, int(backend.Rate/10)))
	}
	made.circuit.init()
	semaphore.onRelease(made.signal)
	go made.panics.guarded(made.run)()
	return made
}

// observe takes an answer of the backend over.
func (d *dispatcher) observe(receipt sdk.Receipt) {
	d.circuit.observe(receipt.Err)
	if receipt.Err == nil || receipt.Outcome != sdk.Unknown && !receipt.Err.Code.Transient() {
		if d.silence.broken() {
			d.waits.end(d.clock.Now())
		}
	}
}

// free reports whether an attempt costs a user nothing: the circuit is open, and
// all wait for the target to come back.
func (d *dispatcher) free(err *sdk.Error) bool {
	return err != nil && err.Code.Away() && d.circuit.holds() && d.soft.Err() == nil
}

// push queues an operation whose intent is durable.
func (d *dispatcher) push(request *request) {
	d.mu.Lock()
	if !request.abandoned {
		d.durable.Add(1)
		d.queue = append(d.queue, request)
	}
	d.mu.Unlock()
	d.cond.Signal()
}

// abandon gives up on an operation whose user waits no longer, and reports
// whether it was, and is, never sent.
func (d *dispatcher) abandon(request *request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if request.sent {
		return false
	}
	request.abandoned = true
	if i := slices.Index(d.queue, request); i >= 0 {
		d.queue = slices.Delete(d.queue, i, i+1)
		d.took(1)
	}
	return true
}

func (d *dispatcher) signal() { d.mu.Lock(); d.cond.Signal(); d.mu.Unlock() }

// stop answers the operations of users that have sent nothing, now and later,
// with errNotSent.
func (d *dispatcher) stop() {
	d.mu.Lock()
	d.stopping = true
	d.mu.Unlock()
	d.cond.Signal()
}

// close ends the dispatcher; its queue is empty by then, because every user has ended.
func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.end()
	d.cond.Signal()
	<-d.done
}

func (d *dispatcher) run() {
	defer close(d.done)
	for {
		frame, dropped, ok := d.next(d.allowed())
		for _, request := range dropped {
			request.end(reply{err: errNotSent})
		}
		if len(frame) > 0 {
			d.submit(frame)
		}
		if !ok {
			return
		}
	}
}

// next waits for operations that may be sent now, and takes up to limit of them.
// It waits for room for a good frame rather than sending crumbs: a backend that
// takes 2 ms a frame would never recover from them.
func (d *dispatcher) next(limit int) (frame, dropped []*request, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if d.stopping {
			dropped = d.dropUnsent()
		}
		room := d.backend.credit() - d.inFlight
		if room >= min(frameSize, d.backend.credit()/4) {
			frame = d.pick(min(limit, room))
		}
		if len(frame) > 0 || len(dropped) > 0 || d.closed {
			d.inFlight += len(frame)
			return frame, dropped, !d.closed
		}
		d.cond.Wait()
	}
}

// pick takes up to count operations, those of admitted users first; while the
// circuit is open, the probe.
func (d *dispatcher) pick(count int) []*request {
	open := !d.stopping && d.circuit.holds()
	if open {
		count = min(count, 1)
	}
	var frame []*request
	rest := d.queue[:0]
	looked := 0
	for ; looked < len(d.queue) && len(frame) < count; looked++ {
		request := d.queue[looked]
		if d.mayEnter(request) && (!open || request.through || d.circuit.passes()) && (request.looks || d.semaphore.admit(request.user)) {
			request.sent = true
			frame = append(frame, request)
		} else {
			rest = append(rest, request)
		}
	}
	rest = append(rest, d.queue[looked:]...)
	clear(d.queue[len(rest):])
	d.queue = rest
	d.took(len(frame))
	return frame
}

// mayEnter reports whether the request's user holds a permit, or may get one.
func (d *dispatcher) mayEnter(request *request) bool {
	return request.looks || d.semaphore.room(request.user)
}

// dropUnsent takes the operations of users that have sent nothing.
func (d *dispatcher) dropUnsent() []*request {
	var dropped []*request
	rest := d.queue[:0]
	for _, request := range d.queue {
		if request.user.sent() {
			rest = append(rest, request)
		} else {
			dropped = append(dropped, request)
		}
	}
	clear(d.queue[len(rest):])
	d.queue = rest
	d.took(len(dropped))
	return dropped
}

// took counts operations that left the queue, and has more made durable when
// the rest would not last.
func (d *dispatcher) took(count int) {
	if count > 0 && d.durable.Add(int64(-count)) <= d.credit {
		d.upstream.kick()
	}
}

// allowed waits until the rate lets something go and returns how many
// operations may. Of a run that stops only users that have sent something go on: a handful, which is let through rather than kept waiting for a slow
// rate with the others behind them.
func (d *dispatcher) allowed() int {
	if d.limiter == nil || d.limiter.Wait(d.soft) != nil {
		return frameSize
	}
	return 1
}

func (d *dispatcher) submit(frame []*request) {
	if sound := durable(frame); len(sound) < len(frame) {
		d.mu.Lock()
		d.inFlight -= len(frame) - len(sound)
		d.mu.Unlock()
		if frame = sound; len(frame) == 0 {
			return
		}
	}
	if err := d.upstream.intact(); err != nil {
		d.keep(frame, err)
		return
	}
	ops := make([]sdk.Operation, len(frame))
	for i, request := range frame {
		ops[i] = request.op
	}
	d.crash.at(CrashFramePicked)
	d.backend.Instance.Submit(ops, func(count int, receipt sdk.Receipt) {
		defer d.panics.guard("")
		d.crash.at(CrashAnswered)
		d.observe(receipt)
		d.mu.Lock()
		d.inFlight--
		d.mu.Unlock()
		d.cond.Signal() // also where the answer closed the circuit
		frame[count].end(reply{receipt: receipt})
	})
	d.crash.at(CrashFrameSent)
}

// keep answers operations that may not be sent.
func (d *dispatcher) keep(frame []*request, err error) {
	d.mu.Lock()
	d.inFlight -= len(frame)
	d.mu.Unlock()
	for _, request := range frame {
		request.end(reply{err: err})
	}
}

// direct runs a call that does not go through the stream, inside the
// instance's concurrency and rate.
func (d *dispatcher) direct(ctx context.Context, call func(context.Context)) error {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-d.slots }()
	if d.limiter != nil {
		if err := d.limiter.Wait(ctx); err != nil {
			return err
		}
	}
	if err := d.upstream.intact(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.backend.Timeout+5*time.Second)
	defer cancel()
	call(ctx)
	return nil
}

// watch watches the circuit until ctx ends: when it opens, the target is looked
// at for the backend's patience, then giveUp is called.
func (d *dispatcher) watch(ctx context.Context, job *Job, giveUp func(reason string)) {
	for {
		select {
		case <-d.circuit.opening():
		case <-ctx.Done():
			return
		}
		end := job.Clock.Now().Add(d.backend.Patience)
		job.notice("backend %s is away: %s; nothing new is sent to it; it is looked at again until %s, then the run stops", d.backend.Label, d.circuit.reason(), moment(job.Clock.Now(), end))
		d.waits.begin(job.Clock.Now(), d.circuit.reason())
		if !d.waitForTarget(ctx, job.Clock, end) {
			if ctx.Err() == nil {
				giveUp("backend " + d.backend.Label + " stays unreachable")
			}
			return
		}
		d.waits.end(job.Clock.Now())
		d.circuit.reset()
		d.signal()
		job.notice("backend %s is back: the run goes on", d.backend.Label)
	}
}

// waitForTarget reports whether the target came back before the end.
func (d *dispatcher) waitForTarget(ctx context.Context, clock Clock, end time.Time) bool {
	for wait := (backoff{time.Second, 15 * time.Second}); clock.Now().Before(end); {
		if clock.Sleep(ctx, wait.take()) != nil {
			return false
		}
		switch {
		case !d.circuit.holds():
			return true
		case !d.backend.Can(sdk.CanCheck):
			d.circuit.allowProbe()
			d.signal()
		case d.ready(ctx):
			return true
		}
	}
	return !d.circuit.holds()
}

func (d *dispatcher) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, d.backend.Timeout)
	defer cancel()
	for _, finding := range d.backend.Instance.Check(ctx) {
		if finding.Severity == sdk.Bad {
			return false
		}
	}
	return true
}
