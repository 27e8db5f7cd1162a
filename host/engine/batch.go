package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// batch carries users together while every answer is the good one, without
// a goroutine for each. A user with any other answer leaves it with its records,
// and an executor goes on.
type batch struct {
	of      *batcher
	members []member
	began   time.Time

	mu      sync.Mutex
	answers []*member // whose answers came and were not looked at
	waiting int       // operations without an answer
	queued  bool      // for a worker
	begun   bool      // its users' hooks were tried
	held    int       // members that have not ended, records not durable yet, and visits

	trying       trying             // of whoever tries the hooks
	policyFailed map[[2]string]bool // backends and kinds whose rules were not told; used by whoever tries the hooks
	sending      sync.RWMutex       // held while members' records are queued: those are not given up meanwhile
}

// load fills the batch with users.
func (b *batch) load(users []ledger.User) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if cap(b.members) < len(users) {
		b.members = make([]member, len(users))
	}
	b.members = b.members[:len(users)]
	b.answers, b.waiting, b.queued, b.begun, b.policyFailed = nil, 0, true, false, nil
	b.held, b.began = len(users)+1, time.Now()
	for i := range users {
		member := &b.members[i]
		member.batch, member.user, member.at, member.tries = b, users[i], 0, 0
		member.permit.admitted.Store(false)
		member.permit.outside = true
		member.steps, member.records = member.steps[:0], member.records[:0]
	}
}

// written notes that a record is durable: its memory is free.
func (b *batch) written(error) { b.release(1) }

// hold keeps the batch's memory for a visit, or for records on their way to the
// ledger.
func (b *batch) hold(records int) {
	b.mu.Lock()
	b.held += records
	b.mu.Unlock()
}

// release gives the batch back when nothing needs it any more.
func (b *batch) release(count int) {
	b.mu.Lock()
	b.held -= count
	free := b.held == 0
	b.mu.Unlock()
	if free {
		b.of.giveBack(b)
	}
}

// nudge queues a batch whose answers wait for others that may take long.
func (b *batch) nudge() {
	b.mu.Lock()
	due := !b.queued && len(b.answers) > 0
	b.queued = b.queued || due
	b.mu.Unlock()
	if due {
		b.of.work <- b
	}
}

// giveUp ends the waiting of all members: the run was cancelled. It waits until
// the records of those who begin something are queued: what becomes of an
// intent is to stand behind it.
func (b *batch) giveUp() {
	b.sending.Lock()
	defer b.sending.Unlock()
	b.mu.Lock()
	members := b.members
	b.mu.Unlock()
	for i := range members {
		members[i].giveUp()
	}
}

// takeAnswers returns the members whose answers came, or that the batch has to
// begin.
func (b *batch) takeAnswers() (list []*member, fresh bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list, fresh = b.answers, !b.begun
	b.answers, b.queued, b.begun = nil, false, true
	return list, fresh
}

// advance moves members on whose answers came.
func (b *batch) advance(members []*member) {
	b.hold(1)
	out := &outbox{batch: b, records: make([]entry, 0, 2*len(members))}
	for _, member := range members {
		member.advance(out)
	}
	out.send()
}

// outbox is what members of a batch want written and sent.
type outbox struct {
	batch       *batch
	records     []entry
	questions   []*request
	began       []*member
	left        []fallback // before a step, with records that may be among these
	ended, done int
}

// send writes the records, sends what needs none, and ends the visit.
func (o *outbox) send() {
	batch, run := o.batch, o.batch.of.run
	run.tellDone(o.done)
	o.queue()
	for _, fallback := range o.left {
		batch.of.handOver(fallback)
	}
	if run.hard.Err() != nil { // whoever watches it may have looked before
		for _, member := range o.began {
			member.giveUp()
		}
	}
	run.pools.demand.ended(o.ended)
	batch.of.ended(o.ended)
	batch.release(o.ended + len(o.left) + 1)
}

// queue hands the records to the committer, and what needs none to the dispatchers.
func (o *outbox) queue() {
	batch := o.batch
	batch.sending.RLock()
	defer batch.sending.RUnlock()
	batch.mu.Lock()
	batch.waiting += len(o.began)
	batch.mu.Unlock()
	for _, member := range o.began {
		member.open.Store(true)
	}
	kept := 0
	for _, entry := range o.records {
		if entry.then == waiter(batch) {
			kept++
		}
	}
	batch.hold(kept)
	if len(o.records) > 0 {
		batch.of.run.committer.add(o.records...)
	}
	for _, request := range o.questions {
		request.dispatcher.push(request)
	}
}

// visit does what there is to do for a batch.
func (b *batch) visit() {
	answered, fresh := b.takeAnswers()
	if fresh {
		b.begin()
		return
	}
	b.advance(answered)
}

// begin tries the hooks of the batch's users and begins the first steps of those
// that it carries.
func (b *batch) begin() {
	run := b.of.run
	carried := b.tried()
	run.at(CrashBatchTried)
	b.of.judge(len(carried), len(b.members))
	if b.asksNames(carried) {
		b.of.workers.Go(run.panics.guarded(func() { b.send(b.named(carried)) }))
		return
	}
	b.send(carried)
}

// tried returns the members that the batch carries. Where a value cannot be made
// the others are not tried: they ask for it together.
func (b *batch) tried() []*member {
	carried := make([]*member, 0, len(b.members))
	lacking := false
	for i := range b.members {
		member, ok := &b.members[i], false
		var failed *mintFailure
		if !lacking && b.of.run.soft.Err() == nil {
			ok, failed = member.try()
		}
		lacking = lacking || failed != nil
		if ok {
			carried = append(carried, member)
			continue
		}
		member.leaveUnsent(fallback{mintFailure: failed})
	}
	return carried
}

// send begins the members' first steps.
func (b *batch) send(members []*member) {
	out := &outbox{batch: b, records: make([]entry, 0, len(members)), began: make([]*member, 0, len(members))}
	for _, member := range members {
		if count := 2*len(member.steps) + 1; cap(member.records) < count {
			member.records = make([]journal.Record, 0, count) // they are never moved: the ledger is given their addresses
		}
		member.begin(out)
	}
	out.send()
}

// asksNames reports whether a backend has to be asked which accounts are meant.
func (b *batch) asksNames(members []*member) bool {
	return slices.ContainsFunc(members, func(m *member) bool {
		return slices.ContainsFunc(m.steps, func(t trialStep) bool { return t.changes() && t.dispatcher.names.instance != nil })
	})
}

// named returns the members of whose names the backends say clearly which accounts
// they mean.
func (b *batch) named(members []*member) []*member {
	b.ask(members)
	known := members[:0]
	for _, member := range members {
		if told := member.unknownName(); told != nil || member.aliased() {
			member.leaveUnsent(fallback{nameReply: told})
			continue
		}
		known = append(known, member)
	}
	return known
}

// ask asks each backend which accounts the members' steps mean there, all at once.
func (b *batch) ask(members []*member) {
	steps := map[*resolver][]*trialStep{}
	for _, member := range members {
		for i := range member.steps {
			step := &member.steps[i]
			if step.told = nil; step.changes() && step.dispatcher.names.instance != nil {
				steps[step.dispatcher.names] = append(steps[step.dispatcher.names], step)
			}
		}
	}
	var asks sync.WaitGroup
	for resolver, list := range steps {
		asks.Go(b.of.run.panics.guarded(func() { resolver.name(list) }))
	}
	asks.Wait()
}
