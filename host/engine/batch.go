package engine

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// batch carries users together while every answer is the good one: nobody
// waits in a goroutine of his own. A user with any other answer leaves it with
// his records, and an executor goes on.
type batch struct {
	of      *batcher
	members []member
	began   time.Time

	mu      sync.Mutex
	answers []*member // whose answers came and were not looked at
	waiting int       // operations without an answer
	queued  bool      // for a worker
	begun   bool      // its users' hooks were tried
	held    int       // members that have not ended, records that are not durable, and visits

	policyFailed map[[2]string]bool // backends and kinds whose rules were not told; used by whoever tries the hooks
	sending      sync.RWMutex       // held while members' records are queued: nobody gives those up meanwhile
}

// member is one user of a batch.
type member struct {
	batch   *batch
	user    ledger.User
	permit  permit
	steps   []trialStep // the steps that the hook takes if each does what it is asked
	at      int         // which of them is under way
	tries   int         // operations that were sent to change something
	records []journal.Record

	request request
	open    atomic.Bool // the request has no answer
	got     reply
}

// trialStep is a step that a hook took on trial.
type trialStep struct {
	journal.Step
	ordinal    int
	dispatcher *dispatcher
	identity   string     // what the target takes the account's name for; see identityOf
	known      bool       // the target has told
	told       *nameReply // what the backend said of the name, where that does not do
}

// place is where the step stands.
func (t *trialStep) place(user int64) place { return place{user, t.ordinal, 0} }

// changes reports whether the step sends a value.
func (t *trialStep) changes() bool { return t.Verb != journal.Verify }

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
		m := &b.members[i]
		m.batch, m.user, m.at, m.tries = b, users[i], 0, 0
		m.permit.admitted.Store(false)
		m.permit.outside = true
		m.steps, m.records = m.steps[:0], m.records[:0]
	}
}

// written notes that a record is durable: its memory is free.
func (b *batch) written(error) { b.release(1) }

// hold keeps the batch's memory for a visit, or for records that are about to be
// written.
func (b *batch) hold(records int) {
	b.mu.Lock()
	b.held += records
	b.mu.Unlock()
}

// release gives the batch back when nothing needs it any more.
func (b *batch) release(n int) {
	b.mu.Lock()
	b.held -= n
	free := b.held == 0
	b.mu.Unlock()
	if free {
		b.of.giveBack(b)
	}
}

// answered takes over what came of the member's operation, once.
func (m *member) answered(r reply) {
	if !m.open.CompareAndSwap(true, false) {
		return
	}
	m.got = r
	b := m.batch
	b.mu.Lock()
	b.answers = append(b.answers, m)
	b.waiting--
	due := !b.queued && (len(b.answers) >= frameSize || b.waiting == 0)
	b.queued = b.queued || due
	b.mu.Unlock()
	if due {
		b.of.work <- b
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

func (m *member) giveUp() {
	if !m.open.Load() {
		return
	}
	if m.request.dispatcher.abandon(&m.request) {
		m.answered(reply{err: errNotSent})
	} else {
		m.answered(reply{err: errUnderWay})
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
	out := &outbox{batch: b}
	for _, m := range members {
		m.advance(out)
	}
	out.send()
}

// advance takes the answer of the member's step over.
func (m *member) advance(out *outbox) {
	c, got := m.batch.of.run, m.got
	defer c.panics.guard(m.user.Key)
	if got.err == nil && c.hard.Err() != nil && got.receipt.Outcome == sdk.Unknown {
		got.err = errUnderWay
	}
	got.receipt = normalized(got.receipt)
	step := &m.steps[m.at]
	switch {
	case got.err != nil:
		m.unsent(out, got.err)
		return
	case step.changes() && !applied(got.receipt) || !step.changes() && !accepted(got.receipt):
		m.leave(got)
		return
	}
	m.record(out, m.answer(got.receipt))
	m.at++
	if m.at < len(m.steps) {
		m.begin(out)
		return
	}
	m.finish(out)
}

func applied(r sdk.Receipt) bool { return r.Outcome == sdk.Applied && r.Err == nil }

func accepted(r sdk.Receipt) bool { return applied(r) && accepts(r.Verdict) }

// answer is the record of a good answer.
func (m *member) answer(r sdk.Receipt) journal.Record {
	step := &m.steps[m.at]
	if step.changes() {
		m.batch.of.run.at(CrashOutcomeMade)
		return outcomeOf(&m.records[len(m.records)-1], 1, r)
	}
	m.batch.of.run.at(CrashReadAnswered)
	a := step.Record(journal.Answer, m.user.Pos, step.ordinal)
	a.Outcome, a.Detail.Verdict = sdk.Applied, r.Verdict.String()
	return a
}

// record keeps a record and has it written.
func (m *member) record(out *outbox, r journal.Record) {
	m.records = append(m.records, r)
	out.records = append(out.records, entry{rec: &m.records[len(m.records)-1], then: m.batch})
}

// begin begins the step at which the member is. Of a run that stops nobody
// begins who has sent nothing, and whose account is another user's leaves.
func (m *member) begin(out *outbox) {
	c, step := m.batch.of.run, &m.steps[m.at]
	if c.isBroken() || c.hard.Err() != nil || c.soft.Err() != nil && !m.permit.sent() {
		m.end(out)
		return
	}
	if step.changes() && !m.owns(step) {
		out.left = append(out.left, fallback{user: m.user, records: m.copied(), tries: m.tries, sent: m.permit.sent()})
		return
	}
	m.request = request{user: &m.permit, dispatcher: step.dispatcher, member: m}
	if step.changes() {
		what := wanted(step.Step)
		intent := c.intent(step.Step, step.place(m.user.Pos), what)
		intent.Detail.Identity = step.identity
		m.tries++
		m.request.op = c.operation(step.Step, step.place(m.user.Pos), what)
		m.records = append(m.records, intent)
		c.at(CrashIntentMade)
		out.records = append(out.records, entry{rec: &m.records[len(m.records)-1], dispatcher: step.dispatcher, then: &m.request})
	} else {
		m.request.op = c.question(step.Step, step.place(m.user.Pos))
		m.request.durable, m.request.looks = true, true
		out.questions = append(out.questions, &m.request)
	}
	out.began = append(out.began, m)
}

// finish ends a user who is done.
func (m *member) finish(out *outbox) {
	c := m.batch.of.run
	if c.isBroken() {
		m.end(out)
		return
	}
	done := journal.Fulfilled()
	done.User, done.Detail.Attempt = m.user.Pos, m.tries
	c.at(CrashStatusMade)
	m.record(out, done)
	out.done++
	m.batch.of.endsRow.Store(true)
	m.end(out)
}

// unsent ends a user whose operation did not leave, or whose answer nobody
// waits for any more: it goes back to pending.
func (m *member) unsent(out *outbox, err error) {
	switch {
	case errors.Is(err, errUnderWay):
	case !errors.Is(err, errNotSent):
		_ = m.batch.of.run.broken(err)
	case m.steps[m.at].changes():
		intent := unwritten(&m.records[len(m.records)-1]) // the ledger may be writing it just now
		m.record(out, outcomeOf(&intent, 1, notSent()))
	}
	m.end(out)
}

// end ends a user in the batch.
func (m *member) end(out *outbox) { out.ended++ }

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
	b, c := o.batch, o.batch.of.run
	c.tellDone(o.done)
	o.queue()
	for _, x := range o.left {
		b.of.handOver(x)
	}
	if c.hard.Err() != nil { // whoever watches it may have looked before
		for _, m := range o.began {
			m.giveUp()
		}
	}
	c.pools.demand.ended(o.ended)
	b.of.ended(o.ended)
	b.release(o.ended + len(o.left) + 1)
}

// queue hands the records to the committer, and what needs none to the dispatchers.
func (o *outbox) queue() {
	b := o.batch
	b.sending.RLock()
	defer b.sending.RUnlock()
	b.mu.Lock()
	b.waiting += len(o.began)
	b.mu.Unlock()
	for _, m := range o.began {
		m.open.Store(true)
	}
	kept := 0
	for _, e := range o.records {
		if e.then == waiter(b) {
			kept++
		}
	}
	b.hold(kept)
	if len(o.records) > 0 {
		b.of.run.committer.add(o.records...)
	}
	for _, p := range o.questions {
		p.dispatcher.push(p)
	}
}

// unwritten is a copy of a record without what the ledger adds to it.
func unwritten(r *journal.Record) journal.Record {
	return journal.Record{Kind: r.Kind, User: r.User, Step: r.Step, Try: r.Try, Verb: r.Verb, Backend: r.Backend, Account: r.Account,
		Cred: r.Cred, Origin: r.Origin, Outcome: r.Outcome, Code: r.Code, Sealed: r.Sealed, SealedOld: r.SealedOld, Detail: r.Detail}
}

// leave hands the user over to an executor, with what came of the step at which
// it is.
func (m *member) leave(got reply) {
	m.batch.of.run.at(CrashBatchLeft)
	tries := m.tries
	if m.steps[m.at].changes() {
		tries-- // the executor counts it
	}
	m.batch.of.handOver(fallback{user: m.user, records: m.copied(), tries: tries, sent: m.permit.sent(),
		endsRow: m.batch.of.endsRow.Swap(false), batchReply: &batchReply{m.request.op.ID, got}})
	m.batch.release(1)
}

// copied are the member's records without what the ledger adds to them.
func (m *member) copied() []journal.Record {
	records := make([]journal.Record, len(m.records))
	for i := range m.records {
		records[i] = unwritten(&m.records[i])
	}
	return records
}

// batchReply is what came of an operation that a batch sent.
type batchReply struct {
	id  string
	got reply
}

// is reports whether it came of that operation.
func (h *batchReply) is(id string) bool { return h != nil && h.id == id }

// take returns what came of the operation, once.
func (h *batchReply) take(id string) (reply, bool) {
	if !h.is(id) {
		return reply{}, false
	}
	h.id = ""
	return h.got, true
}
