package engine

import (
	"errors"
	"sync/atomic"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// member is one user of a batch.
type member struct {
	batch   *batch
	user    ledger.User
	permit  permit
	steps   []trialStep // the steps that the hook takes if each succeeds
	at      int         // which of them is under way
	tries   int         // operations that were sent to change something
	records []journal.Record

	request request
	open    atomic.Bool // the request has no answer
	got     reply
}

// try runs the user's hook on trial, and reports whether a batch can carry the
// user; lacks is a value that could not be made, nil: none.
func (m *member) try() (carried bool, lacks *mintFailure) {
	run := m.batch.of.run
	defer run.panics.guard(m.user.Key)
	row, err := run.Row(m.user)
	if err != nil {
		return false, nil // whoever serves the user says so
	}
	made, steps := &m.batch.trying.trial, &m.batch.trying.steps
	*made = trial{run: run, names: namesOf(row), steps: m.steps, policyFailed: &m.batch.policyFailed}
	*steps = Steps{userState: userState{run: run, user: m.user, row: row, names: made.names, history: &m.batch.trying.history}, trial: made}
	verdict := run.Hooks.Rotate(run.hard, row, steps)
	m.steps = made.steps
	return !made.failed && (verdict.Kind == journal.Returned || verdict.Kind == journal.SaidDone) && m.sends(), made.mintFailure
}

// sends reports whether one of the member's steps sends a value: a user for whom
// nothing is changed is not simply done.
func (m *member) sends() bool {
	for i := range m.steps {
		if m.steps[i].changes() {
			return true
		}
	}
	return false
}

// answered takes over what came of the member's operation, once.
func (m *member) answered(reply reply) {
	if !m.open.CompareAndSwap(true, false) {
		return
	}
	m.got = reply
	batch := m.batch
	batch.mu.Lock()
	batch.answers = append(batch.answers, m)
	batch.waiting--
	due := !batch.queued && (len(batch.answers) >= frameSize || batch.waiting == 0)
	batch.queued = batch.queued || due
	batch.mu.Unlock()
	if due {
		batch.of.work <- batch
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

// advance takes the answer of the member's step over.
func (m *member) advance(out *outbox) {
	run, got := m.batch.of.run, m.got
	defer run.panics.guard(m.user.Key)
	if got.err == nil && run.hard.Err() != nil && got.receipt.Outcome == sdk.Unknown {
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
	m.write(out, m.answer(got.receipt))
	m.at++
	if m.at < len(m.steps) {
		m.begin(out)
		return
	}
	m.finish(out)
}

func applied(receipt sdk.Receipt) bool { return receipt.Outcome == sdk.Applied && receipt.Err == nil }

func accepted(receipt sdk.Receipt) bool { return applied(receipt) && accepts(receipt.Verdict) }

// answer is the record of a good answer.
func (m *member) answer(receipt sdk.Receipt) *journal.Record {
	step, intent, record := &m.steps[m.at], len(m.records)-1, m.record()
	if step.changes() {
		m.batch.of.run.at(CrashOutcomeMade)
		writeOutcome(record, &m.records[intent], 1, receipt)
		return record
	}
	m.batch.of.run.at(CrashReadAnswered)
	step.Write(record, journal.Answer, m.user.Pos, step.ordinal)
	record.Outcome, record.Detail.Verdict = sdk.Applied, receipt.Verdict.String()
	return record
}

// record returns an empty record that the member keeps: to be filled, and written.
func (m *member) record() *journal.Record {
	m.records = append(m.records, journal.Record{})
	return &m.records[len(m.records)-1]
}

// write has a record written for which nothing waits.
func (m *member) write(out *outbox, record *journal.Record) {
	out.records = append(out.records, entry{rec: record, then: m.batch})
}

// begin begins the step at which the member is. Of a run that stops only those
// begin who have sent something; whose account is another user's leaves.
func (m *member) begin(out *outbox) {
	run, step := m.batch.of.run, &m.steps[m.at]
	if run.isBroken() || run.hard.Err() != nil || run.soft.Err() != nil && !m.permit.sent() {
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
		intent := m.record()
		run.writeIntent(intent, &step.Step, step.place(m.user.Pos), what)
		intent.Detail.Identity = step.identity
		m.tries++
		m.request.op = run.operation(step.Step, step.place(m.user.Pos), what)
		run.at(CrashIntentMade)
		out.records = append(out.records, entry{rec: intent, backlog: &step.dispatcher.backlog, then: &m.request})
	} else {
		m.request.op = run.question(step.Step, step.place(m.user.Pos))
		m.request.durable, m.request.looks = true, true
		out.questions = append(out.questions, &m.request)
	}
	out.began = append(out.began, m)
}

// owns claims the account of a step about to be sent: by its name and, where
// the target has told, by its identity. Who does not get it, or cannot be told, asks
// again by himself.
func (m *member) owns(step *trialStep) bool {
	owners := m.batch.of.run.owners
	_, mine, err := owners.claim(step.Backend, step.Account, step.Kind, m.user.Pos)
	if err != nil || !mine || !step.known {
		return err == nil && mine
	}
	_, mine, err = owners.claimIdentity(claimOf(step.identity, step.Call().Credential), step.Kind, m.user.Pos)
	return err == nil && mine
}

// unknownName returns the answer about a name to be asked for again; nil: every
// name is known.
func (m *member) unknownName() *nameReply {
	for i := range m.steps {
		if m.steps[i].told != nil {
			return m.steps[i].told
		}
	}
	return nil
}

// aliased reports whether two steps of the member mean one account by different
// names.
func (m *member) aliased() bool {
	for i := range m.steps {
		for index := range m.steps[:i] {
			trialStep, b := &m.steps[i], &m.steps[index]
			if trialStep.changes() && b.changes() && trialStep.Kind == b.Kind && trialStep.Call().Credential != b.Call().Credential &&
				claimOf(trialStep.identity, trialStep.Call().Credential) == claimOf(b.identity, b.Call().Credential) {
				return true
			}
		}
	}
	return false
}

// finish ends a user who is done.
func (m *member) finish(out *outbox) {
	run := m.batch.of.run
	if run.isBroken() {
		m.end(out)
		return
	}
	done := m.record()
	*done = journal.Fulfilled()
	done.User, done.Detail.Attempt = m.user.Pos, m.tries
	run.at(CrashStatusMade)
	m.write(out, done)
	out.done++
	m.batch.of.endsRow.Store(true)
	m.end(out)
}

// unsent ends a user whose operation did not leave, or whose answer is
// not waited for any more: it goes back to pending.
func (m *member) unsent(out *outbox, err error) {
	switch {
	case errors.Is(err, errUnderWay):
	case !errors.Is(err, errNotSent):
		_ = m.batch.of.run.broken(err)
	case m.steps[m.at].changes():
		intent := unwritten(&m.records[len(m.records)-1]) // the ledger may be writing it just now
		outcome := m.record()
		writeOutcome(outcome, &intent, 1, notSent())
		m.write(out, outcome)
	}
	m.end(out)
}

// end ends a user in the batch.
func (m *member) end(out *outbox) { out.ended++ }

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

// leaveUnsent hands over a user for whom nothing was sealed.
func (m *member) leaveUnsent(fallback fallback) {
	fallback.user = m.user
	m.batch.of.handOver(fallback)
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

// unwritten is a copy of a record without what the ledger adds to it.
func unwritten(record *journal.Record) journal.Record {
	return journal.Record{Kind: record.Kind, User: record.User, Step: record.Step, Try: record.Try, Verb: record.Verb, Backend: record.Backend, Account: record.Account,
		Cred: record.Cred, Origin: record.Origin, Outcome: record.Outcome, Code: record.Code, Sealed: record.Sealed, SealedOld: record.SealedOld, Detail: record.Detail}
}

// fallback is a user who leaves a batch, with its records.
type fallback struct {
	user        ledger.User
	records     []journal.Record
	tries       int
	sent        bool
	endsRow     bool // users were done since the one before left
	batchReply  *batchReply
	mintFailure *mintFailure
	nameReply   *nameReply
}
