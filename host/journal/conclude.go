package journal

import "github.com/rekey-host/rekey/sdk"

// NotProven is the note on a value whose target answers a verify without a
// verdict. That does not count as a refusal: the set was applied, and honesty about what
// cannot be proven fails no user.
const NotProven = "not proven: the target does not tell whether it accepts the value"

// conclusion is what a user's records come to when its rotate ends.
type conclusion struct{ *History }

func (c conclusion) record(verdict Verdict) Record {
	out := Record{Kind: Finished}
	out.Detail.Status = c.status(verdict)
	switch out.Detail.Status {
	case Unresolved:
		c.explainDoubt(&out, verdict)
	case Partial, Failed:
		c.explainFailure(&out, verdict)
	case Done:
		c.explainDone(&out)
	case Skipped:
		if out.Detail.Message = verdict.Reason; verdict.Kind != SaidSkip {
			out.Detail.Message = "nothing was changed"
		}
	}
	return out
}

// status is what a user came to.
func (c conclusion) status(verdict Verdict) Status {
	sum := c.sum()
	failed := verdict.Kind == SaidFailed || verdict.Kind == Raised
	switch {
	case sum.doubtful != nil || verdict.isPostponed():
		return Unresolved
	case sum.applied && (sum.refused != nil || failed || c.notAccepted() != nil):
		return Partial
	case sum.applied:
		return Done
	case sum.reverted || failed || sum.refused != nil && verdict.Kind != SaidDone:
		return Failed
	case verdict.Kind == SaidSkip || !c.asked: // who was only looked up is not done
		return Skipped
	default:
		return Done
	}
}

// totals is what a user's credentials came to together.
type totals struct {
	doubtful          *CredentialHistory // the last
	refused           *CredentialHistory // the first
	applied, reverted bool
}

func (c conclusion) sum() totals {
	var t totals
	for _, credential := range c.touched {
		switch {
		case credential.State == AttemptsDoubtful:
			t.doubtful = credential
		case credential.Reverted:
			t.reverted = true
		case credential.State == AttemptsApplied:
			t.applied = true
		case t.refused == nil:
			t.refused = credential
		}
	}
	return t
}

// notAccepted returns a verify that found a value in force not to work; nil:
// none did.
func (c conclusion) notAccepted() *Record {
	for _, credential := range c.credentials {
		if credential.NotAccepted != nil {
			return credential.NotAccepted
		}
	}
	return nil
}

func (c conclusion) explainDoubt(out *Record, verdict Verdict) {
	doubtful := c.sum().doubtful
	switch {
	case doubtful == nil:
		out.Code, out.Detail.Message = verdict.Fault.Code, verdict.Fault.Message
		return
	case doubtful.Deciding != nil:
		out.copyReason(doubtful.Deciding)
	}
	if out.Code == "" {
		out.Code, out.Detail.Message = sdk.ConnectionLost, "no answer came"
	}
}

// explainFailure fills in the reason of a failure: the step's that ended the
// hook, else a refusal, else what the script says.
func (c conclusion) explainFailure(out *Record, verdict Verdict) {
	refused, notAccepted := c.sum().refused, c.notAccepted()
	switch {
	case verdict.Kind == Raised && verdict.Refused != nil:
		out.Code, out.Detail.Message, out.Detail.Native = verdict.Refused.Code, verdict.Refused.Message, verdict.Refused.Native
	case verdict.Kind == Raised && verdict.Fault != nil:
		out.Code, out.Detail.Message = verdict.Fault.Code, verdict.Fault.Message
	case refused != nil && refused.Deciding != nil:
		out.copyReason(refused.Deciding)
	case notAccepted != nil:
		out.copyReason(notAccepted)
	default:
		out.Code = ScriptFailed
	}
	if verdict.Kind == SaidFailed {
		out.Detail.Message = verdict.Reason
	}
	if verdict.Kind == Raised && verdict.Fault != nil {
		out.Detail.Backtrace = verdict.Fault.Backtrace
	}
}

func (c conclusion) explainDone(out *Record) {
	if !c.sum().applied {
		out.Detail.Unchanged = true
		return
	}
	for _, credential := range c.touched {
		if credential.Untold() {
			out.Detail.Message = "the target picked a value and did not tell it"
			return
		}
	}
	for _, credential := range c.credentials {
		if credential.Unproven {
			out.Detail.Message = NotProven
		}
	}
}

// Fulfilled returns what Conclude returns for a user who is simply done: each
// step succeeded, one of them sent a value, and no verify was left
// without a verdict.
func Fulfilled() Record {
	return Record{Kind: Finished, Detail: Detail{Status: Done}}
}
