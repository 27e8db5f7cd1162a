package serve

import (
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// outcomes knows, by operation id, which operations of an instance run and
// which were applied: at least the last 10,000, no secrets.
type outcomes struct {
	mu       sync.Mutex
	running  map[string]present
	current  map[string]applied
	previous map[string]applied
}

// remember is how many applied operations a generation takes.
const remember = 10_000

type applied struct {
	what       target
	ref, stamp string
}

type present struct {
	what  target
	joins []*job // who else wants to know
}

// target is what an id stands for: the same id for something else is a defect
// of the caller.
type target struct {
	verb          sdk.Verb
	account, kind string
}

func targetOf(op *sdk.Operation) target { return target{op.Verb, op.Account, op.Kind} }

func newOutcomes() *outcomes {
	return &outcomes{running: map[string]present{}, current: map[string]applied{}}
}

// begin reports whether the operation has to be done. If not, it was applied
// before and answer is called at once, or it runs and answer is called when it
// ends, at the latest after patience.
func (o *outcomes) begin(op *sdk.Operation, answer func(sdk.Receipt), patience time.Duration) bool {
	receipt, again := o.look(op, answer, patience)
	if receipt != nil {
		answer(*receipt)
	}
	return !again
}

func (o *outcomes) look(op *sdk.Operation, answer func(sdk.Receipt), patience time.Duration) (now *sdk.Receipt, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	what := targetOf(op)
	if applied, ok := o.find(op.ID); ok {
		if applied.what != what {
			return reused(), true
		}
		return &sdk.Receipt{Outcome: sdk.AlreadyApplied, Ref: applied.ref, Stamp: applied.stamp}, true
	}
	if present, ok := o.running[op.ID]; ok {
		if present.what != what {
			return reused(), true
		}
		made := &job{answer: answer}
		present.joins = append(present.joins, made)
		o.running[op.ID] = present
		time.AfterFunc(patience, func() {
			made.reply(sdk.Lost(sdk.Errorf(sdk.Timeout, "an earlier attempt still runs")))
		})
		return nil, true
	}
	o.running[op.ID] = present{what: what}
	return nil, false
}

func reused() *sdk.Receipt {
	receipt := sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "the id was used for another operation"))
	return &receipt
}

// find looks in both generations; a used one stays. The caller holds the lock.
func (o *outcomes) find(id string) (applied, bool) {
	if applied, ok := o.current[id]; ok {
		return applied, true
	}
	a, ok := o.previous[id]
	if ok {
		o.put(id, a)
	}
	return a, ok
}

func (o *outcomes) put(id string, a applied) {
	if len(o.current) >= remember {
		o.previous, o.current = o.current, make(map[string]applied, remember)
	}
	o.current[id] = a
}

// end tells what came of an operation that began.
func (o *outcomes) end(op *sdk.Operation, receipt sdk.Receipt) {
	o.mu.Lock()
	present := o.running[op.ID]
	delete(o.running, op.ID)
	if receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied {
		o.put(op.ID, applied{targetOf(op), receipt.Ref, receipt.Stamp})
	}
	o.mu.Unlock()
	if receipt.Outcome == sdk.Applied {
		receipt.Outcome = sdk.AlreadyApplied
	}
	for _, job := range present.joins {
		job.reply(receipt)
	}
}
