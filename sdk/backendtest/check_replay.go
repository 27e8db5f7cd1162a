package backendtest

import (
	"github.com/rekey-host/rekey/sdk"
)

// replay sends one operation twice. Only a verb declared safe has to
// succeed again; any other has to tell the truth.
func replay(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	was := known(probe, subject, text)
	value := probe.value()
	op := anyOp(probe, text, value)
	if receipt := subject.apply(probe.t.Context(), op); !ok(receipt) {
		probe.stop("%s: %s, want applied", op.Verb, said(receipt))
	}
	op.Attempt = 2
	r := subject.apply(probe.t.Context(), op)
	if probe.d.CanReplay(op.Verb) && !ok(r) {
		probe.fail("the same %s at a second attempt: %s, want applied or already-applied", op.Verb, said(r))
	}
	probe.wantHolds(text, value, "a replay")
	if probe.holds(text, probe.kind(), was) {
		probe.fail("after a replay the value from before is accepted again")
	}
}

func replayOfAChange(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	op := probe.change(text, known(probe, subject, text), probe.value())
	for attempt := range 2 {
		op.Attempt = attempt + 1
		if receipt := subject.apply(probe.t.Context(), op); !ok(receipt) {
			probe.fail("change, attempt %d: %s, want applied or already-applied", op.Attempt, said(receipt))
		}
	}
	probe.wantHolds(text, op.Value.Reveal(), "a replay of a change")
}

func replayConcurrently(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	op := probe.set(text, probe.value())
	op.Attempt = 2 // a first attempt may be refused by the history that another one made
	parallel(probe, 8, func(int) {
		receipt := subject.apply(probe.t.Context(), op)
		// In a process, the sdk joins them before they reach the backend.
		if !ok(receipt) && (receipt.Err == nil || receipt.Err.Code != sdk.Conflict && (!probe.near || !remembered(receipt))) {
			probe.fail("the same set eight times at once: %s, want applied, already-applied or Conflict", said(receipt))
		}
	})
	probe.wantHolds(text, op.Value.Reveal(), "the same set eight times at once")
}

func replayAfterReopening(probe *probe) {
	text := probe.target.Accounts[0]
	op := probe.set(text, probe.value())
	subject, err := probe.configure(probe.target.Config)
	if err != nil {
		probe.stop("Configure: %v", err)
	}
	receipt := subject.apply(probe.t.Context(), op)
	if err := subject.close(); err != nil || !ok(receipt) {
		probe.stop("set: %s, want applied; Close: %v", said(receipt), err)
	}
	if err := probe.plugin.restart(); err != nil {
		probe.stop("restart of the plugin: %v", err)
	}
	op.Attempt = 2
	if receipt := probe.open().apply(probe.t.Context(), op); !ok(receipt) {
		probe.fail("the same set after the instance was opened again: %s, want applied or already-applied", said(receipt))
	}
	probe.wantHolds(text, op.Value.Reveal(), "a replay after the instance was opened again")
}
