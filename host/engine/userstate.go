package engine

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// userState is what this process knows of a user, and has done about it. It
// belongs to the goroutine that serves the user.
type userState struct {
	run    *run
	user   ledger.User
	row    source.Row
	names  []string // that a value must not contain
	permit permit
	n      int // ordinal of the step

	history  *journal.History // the user's records, old and new
	before   int              // how many of them are of earlier processes
	attempts int
	through  bool                      // the next operation goes through an open circuit
	lost     map[*journal.Attempt]loss // of what this process concluded

	batchReply *batchReply // what came of an operation that a batch sent; nil: nothing
	nameReply  *nameReply  // what a batch was told of a name; nil: nothing
}

// record takes a record into the history and queues it.
func (u *userState) record(record *journal.Record) {
	u.history.Add(record)
	rec := *record
	u.run.committer.add(entry{rec: &rec})
}

// recordNow is record that waits until it is durable.
func (u *userState) recordNow(record *journal.Record) error {
	u.history.Add(record)
	rec := *record
	if err := u.run.committer.write(&rec); err != nil {
		return u.run.broken(err)
	}
	return nil
}

// answer records what a reading step, or the host itself, said.
func (u *userState) answer(step journal.Step, outcome sdk.Outcome, err *sdk.Error, detail journal.Detail) journal.Result {
	record := step.Record(journal.Answer, u.user.Pos, u.n)
	record.Outcome, record.Detail = outcome, detail
	record.Blame(err)
	u.record(&record)
	return journal.ResultOf(&record)
}

// changed reports whether something of the user is applied or not known.
func (u *userState) changed() bool { return u.history.Live(nil) }

// unseal opens a value of a record.
func (u *userState) unseal(record *journal.Record, role string, sealed []byte) (secret.Value, error) {
	return u.run.Vault.Unseal(record.User, record.Step, record.Try, role, sealed)
}

// unsealed turns a value that does not open into the end of the run.
func (u *userState) unsealed(err error) error {
	if err != nil {
		return u.run.broken(err)
	}
	return nil
}

// patience is the context of a wait: when the run stops, a user of whom nothing is
// applied or in doubt does not wait on.
func (u *userState) patience() context.Context {
	if u.changed() {
		return u.run.hard
	}
	return u.run.soft
}

// pause waits before another attempt, within patience, and then for the circuit.
func (u *userState) pause(within context.Context, to *dispatcher, wait time.Duration) error {
	if u.run.Clock.Sleep(within, wait) != nil {
		return errNotSent
	}
	var err error
	if u.through, err = to.circuit.waitClosed(u.run.soft); err != nil && within == u.run.soft {
		return errNotSent
	}
	return nil
}

// exchange sends an operation once. With an intent, the record is made durable
// first.
func (u *userState) exchange(dispatcher *dispatcher, op sdk.Operation, intent *journal.Record) reply {
	if got, ok := u.batchReply.take(op.ID); ok {
		u.attempts++
		return u.weighed(got)
	}
	made := &request{op: op, user: &u.permit, dispatcher: dispatcher, answer: make(chan reply, 1), through: u.through}
	u.through = false
	u.attempts++
	if intent == nil {
		made.durable = true // as the intent of its first attempt, or of an earlier process, is
		dispatcher.push(made)
		return u.await(dispatcher, made)
	}
	rec := *intent
	u.run.at(CrashIntentMade)
	u.run.committer.add(entry{rec: &rec, backlog: &dispatcher.backlog, pressing: u.run.semaphore.pressing(&u.permit), then: made})
	return u.await(dispatcher, made)
}

// await returns what came of a request. A cancelled run does not wait: a sent
// operation is lost from sight then, and settled by the next resume.
func (u *userState) await(dispatcher *dispatcher, request *request) reply {
	select {
	case reply := <-request.answer:
		return u.weighed(reply)
	case <-u.run.hard.Done():
	}
	if dispatcher.abandon(request) {
		return reply{err: errNotSent}
	}
	select {
	case reply := <-request.answer:
		return u.weighed(reply)
	default:
		return reply{err: errUnderWay}
	}
}

// weighed is what an answer is worth: one of unknown outcome that comes after the
// cancellation is worth nothing.
func (u *userState) weighed(r reply) reply {
	if u.run.hard.Err() != nil && r.receipt.Outcome == sdk.Unknown && r.err == nil {
		return reply{err: errUnderWay}
	}
	r.receipt = normalized(r.receipt)
	return r
}

// noteLoss notes in an outcome that a request of the attempt was lost.
func (u *userState) noteLoss(attempt *journal.Attempt, outcome *journal.Record, lost loss) {
	if !lost.happened() {
		return
	}
	if u.lost == nil {
		u.lost = map[*journal.Attempt]loss{}
	}
	u.lost[attempt] = lost
	until := lost.until.UTC().Truncate(time.Microsecond)
	outcome.Detail.Late = &until
}

// hasSent reports whether something of the user was sent, now or by an earlier
// process.
func (u *userState) hasSent() bool { return u.permit.sent() || u.history.Replay.Sent }

// mayContinue returns a *Fault that cancels a user who has sent nothing when the
// run stops, and everybody when the ledger is gone.
func (u *userState) mayContinue() error {
	if u.run.isBroken() || u.run.hard.Err() != nil || u.run.soft.Err() != nil && !u.permit.sent() {
		return cancelled()
	}
	return nil
}

// admit waits for the dispatcher's circuit before something new is sent.
func (u *userState) admit(to *dispatcher) error {
	if err := u.mayContinue(); err != nil {
		return err
	}
	through, err := to.circuit.waitClosed(u.run.soft)
	if err != nil && !u.permit.sent() {
		return cancelled()
	}
	u.through = u.through || through
	return nil
}

// namesOf returns what a generated value must not contain: the key, and what
// is left of an address without its domain.
func namesOf(row source.Row) []string {
	for i, letter := range row.Key {
		if letter == '@' && i > 0 {
			return []string{row.Key, row.Key[:i]}
		}
	}
	return []string{row.Key}
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

// nameReply is what a backend says that a name means.
type nameReply struct {
	label, name string
	who         sdk.Identity
	err         error
}
