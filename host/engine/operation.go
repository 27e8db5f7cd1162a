package engine

import (
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sending is one value to send: what the intent says and the operation does.
type sending struct {
	verb       sdk.Verb
	value, old secret.Value
	origin     int
	mustChange *bool
	bridge     bool
	again      bool // the value may have been sent before, in another operation: the plugin has to look first
}

// place is where a value stands in a run: whose it is, at which step, and which
// value of that.
type place struct {
	user      int64
	step, try int
}

// verbOf is the operation that a step is made of: a revert is a set.
func verbOf(step journal.Step) sdk.Verb {
	traits, _ := journal.TraitsOf(step.Verb)
	return traits.Operation
}

// wanted is what a step asks to send.
func wanted(step journal.Step) sending {
	what := sending{verb: verbOf(step), value: step.Value.Secret(), origin: step.Value.Origin, mustChange: step.MustChange}
	if step.Verb == journal.Change {
		what.old = step.Old.Secret()
	}
	return what
}

// outcomeOf is the record of what became of an intent at its last attempt.
func outcomeOf(intent *journal.Record, attempt int, receipt sdk.Receipt) (made journal.Record) {
	writeOutcome(&made, intent, attempt, receipt)
	return made
}

// writeOutcome makes an empty record the one of outcomeOf.
func writeOutcome(record, intent *journal.Record, attempt int, receipt sdk.Receipt) {
	record.Kind, record.User, record.Step, record.Try, record.Origin = journal.Outcome, intent.User, intent.Step, intent.Try, intent.Origin
	record.Verb, record.Backend, record.Account, record.Cred, record.Code = intent.Verb, intent.Backend, intent.Account, intent.Cred, intent.Code
	record.Outcome = receipt.Outcome
	detail := &record.Detail
	detail.Op, detail.Bridge, detail.Attempt, detail.Ref, detail.Stamp = intent.Detail.Op, intent.Detail.Bridge, attempt, receipt.Ref, receipt.Stamp
	record.Blame(receipt.Err)
	if receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied {
		record.Code = ""
	}
}

// notSent is what an operation came to that never left: the target certainly
// has its old value.
func notSent() sdk.Receipt {
	return sdk.Refuse(sdk.Errorf(sdk.Cancelled, "the run stopped before it was sent"))
}
