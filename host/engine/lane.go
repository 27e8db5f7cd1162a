package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rekey-host/rekey/sdk"
)

// frameSize is the most operations of one frame.
const frameSize = 64

// errNotSent answers an operation that was given up before its first byte left.
var errNotSent = errors.New("given up before it was sent")

// errUnderWay answers an operation that was under way when the run was
// cancelled. Nothing is recorded of it: its intent stays open, and the next
// process settles it.
var errUnderWay = errors.New("under way when the run was cancelled")

// parcel is one durable operation on its way to a plugin.
type parcel struct {
	op     sdk.Operation
	user   *ticket
	lane   *lane
	answer chan reply // of capacity 1; nil: of a user of a batch
	member *member    // the user of a batch

	durable bool // its intent is on the disk
	through bool // it goes through an open circuit
	looks   bool // it changes nothing: there is no intent, and its user need not be inside the gate

	sent, abandoned bool // guarded by lane.mu
}

// reply is what came of a parcel: a receipt, or an error if it was not sent.
type reply struct {
	receipt sdk.Receipt
	err     error
}

// end tells the parcel's user what came of it. It is called once and does not
// block.
func (p *parcel) end(r reply) {
	if p.member != nil {
		p.member.answered(r)
		return
	}
	p.answer <- r
}

// written sends the operation whose intent is durable, or cannot be.
func (p *parcel) written(err error) {
	if err != nil {
		p.end(reply{err: err})
		return
	}
	p.durable = true
	p.lane.push(p)
}

// lane is the way to one instance: the queue of durable operations, the credit
// that bounds what is sent and unanswered, the rate, the circuit.
type lane struct {
	backend Backend
	writer  *writer
	gate    *gate
	limiter *rate.Limiter   // nil: no limit
	soft    context.Context // ends when the run stops
	end     func()          // ends it with the lane
	circuit circuit
	silence silence
	names   *resolver // set by the crew

	durable atomic.Int64 // operations that are durable and not yet sent

	mu       sync.Mutex
	cond     *sync.Cond
	queue    []*parcel
	inFlight int
	stopping bool // nothing new for users that have sent nothing
	closed   bool
	done     chan struct{}

	slots chan struct{} // of reads and resets, which do not go through the stream
}

func newLane(soft context.Context, b Backend, w *writer, g *gate) *lane {
	l := &lane{backend: b, writer: w, gate: g, done: make(chan struct{}), slots: make(chan struct{}, max(1, b.Concurrency))}
	l.cond = sync.NewCond(&l.mu)
	l.soft, l.end = context.WithCancel(soft)
	if b.Rate > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(b.Rate), max(1, int(b.Rate/10)))
	}
	l.circuit.init()
	g.onRelease(l.signal)
	go w.panics.guarded(l.run)()
	return l
}

// saw takes an answer of the backend over.
func (l *lane) saw(r sdk.Receipt) {
	l.circuit.saw(r.Err)
	if r.Err == nil || r.Outcome != sdk.Unknown && !r.Err.Code.Transient() {
		l.silence.broken()
	}
}

// free reports whether an attempt costs a user nothing: the circuit is open, and
// all wait for the target to come back.
func (l *lane) free(err *sdk.Error) bool {
	return err != nil && err.Code.Away() && l.circuit.holds() && l.soft.Err() == nil
}

// hungry reports whether the plugin would run dry unless intents become
// durable soon.
func (l *lane) hungry() bool {
	return l.durable.Load() <= int64(l.backend.credit())
}

// push queues an operation whose intent is durable.
func (l *lane) push(p *parcel) {
	l.mu.Lock()
	if !p.abandoned {
		l.durable.Add(1)
		l.queue = append(l.queue, p)
	}
	l.mu.Unlock()
	l.cond.Signal()
}

// abandon gives up on an operation whose user waits no longer, and reports
// whether it was, and is, never sent.
func (l *lane) abandon(p *parcel) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.sent {
		return false
	}
	p.abandoned = true
	if i := slices.Index(l.queue, p); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
		l.took(1)
	}
	return true
}

func (l *lane) signal() { l.mu.Lock(); l.cond.Signal(); l.mu.Unlock() }

// stop answers the operations of users that have sent nothing, now and later,
// with errNotSent.
func (l *lane) stop() {
	l.mu.Lock()
	l.stopping = true
	l.mu.Unlock()
	l.cond.Signal()
}

// close ends the lane; its queue is empty by then, because every user has ended.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	l.cond.Signal()
	<-l.done
}

func (l *lane) run() {
	defer close(l.done)
	for {
		frame, dropped, ok := l.next(l.allowed())
		for _, p := range dropped {
			p.end(reply{err: errNotSent})
		}
		if len(frame) > 0 {
			l.submit(frame)
		}
		if !ok {
			return
		}
	}
}

// next waits for operations that may be sent now, and takes up to limit of them. It waits for room for a good
// frame rather than sending crumbs: a backend that takes 2 ms a frame would
// never recover from them.
func (l *lane) next(limit int) (frame, dropped []*parcel, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.stopping {
			dropped = l.dropUnsent()
		}
		room := l.backend.credit() - l.inFlight
		if room >= min(frameSize, l.backend.credit()/4) {
			frame = l.pick(min(limit, room))
		}
		if len(frame) > 0 || len(dropped) > 0 || l.closed {
			l.inFlight += len(frame)
			return frame, dropped, !l.closed
		}
		l.cond.Wait()
	}
}

// pick takes up to n operations, those of admitted users first; while the
// circuit is open, the one that is let through.
func (l *lane) pick(n int) []*parcel {
	open := !l.stopping && l.circuit.holds()
	if open {
		n = min(n, 1)
	}
	var frame []*parcel
	rest := l.queue[:0]
	looked := 0
	for ; looked < len(l.queue) && len(frame) < n; looked++ {
		p := l.queue[looked]
		if l.mayEnter(p) && (!open || p.through || l.circuit.passes()) && (p.looks || l.gate.admit(p.user)) {
			p.sent = true
			frame = append(frame, p)
		} else {
			rest = append(rest, p)
		}
	}
	rest = append(rest, l.queue[looked:]...)
	clear(l.queue[len(rest):])
	l.queue = rest
	l.took(len(frame))
	return frame
}

// mayEnter reports whether the parcel's user is inside the gate, or may enter it.
func (l *lane) mayEnter(p *parcel) bool { return p.looks || l.gate.room(p.user) }

// dropUnsent takes the operations of users that have sent nothing.
func (l *lane) dropUnsent() []*parcel {
	var dropped []*parcel
	rest := l.queue[:0]
	for _, p := range l.queue {
		if p.user.sent() {
			rest = append(rest, p)
		} else {
			dropped = append(dropped, p)
		}
	}
	clear(l.queue[len(rest):])
	l.queue = rest
	l.took(len(dropped))
	return dropped
}

// took counts operations that left the queue, and wakes the writer when what
// is left would not last.
func (l *lane) took(n int) {
	if n > 0 && l.durable.Add(int64(-n)) <= int64(l.backend.credit()) {
		l.writer.kick()
	}
}

// allowed waits until the rate lets something go and returns how many
// operations that is. Of a run that stops only users that have sent something
// go on: a handful, which is let through rather than kept waiting for a slow
// rate with the others behind them.
func (l *lane) allowed() int {
	if l.limiter == nil || l.limiter.Wait(l.soft) != nil {
		return frameSize
	}
	return 1
}

func (l *lane) submit(frame []*parcel) {
	if sound := durable(frame); len(sound) < len(frame) {
		l.mu.Lock()
		l.inFlight -= len(frame) - len(sound)
		l.mu.Unlock()
		if frame = sound; len(frame) == 0 {
			return
		}
	}
	if err := l.writer.intact(); err != nil {
		l.keep(frame, err)
		return
	}
	ops := make([]sdk.Operation, len(frame))
	for i, p := range frame {
		ops[i] = p.op
	}
	l.writer.crash.at(CrashFramePicked)
	l.backend.Instance.Submit(ops, func(n int, r sdk.Receipt) {
		defer l.writer.panics.guard("")
		l.writer.crash.at(CrashAnswered)
		l.saw(r)
		l.mu.Lock()
		l.inFlight--
		l.mu.Unlock()
		l.cond.Signal() // also where the answer closed the circuit
		frame[n].end(reply{receipt: r})
	})
	l.writer.crash.at(CrashFrameSent)
}

// keep answers operations that may not be sent.
func (l *lane) keep(frame []*parcel, err error) {
	l.mu.Lock()
	l.inFlight -= len(frame)
	l.mu.Unlock()
	for _, p := range frame {
		p.end(reply{err: err})
	}
}

// direct runs a call that does not go through the stream, inside the
// instance's concurrency and rate.
func (l *lane) direct(ctx context.Context, call func(context.Context)) error {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-l.slots }()
	if l.limiter != nil {
		if err := l.limiter.Wait(ctx); err != nil {
			return err
		}
	}
	if err := l.writer.intact(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.backend.Timeout+5*time.Second)
	defer cancel()
	call(ctx)
	return nil
}
