package engine

import (
	"maps"
	"slices"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// account is where one credential of one account stands, from a user's records.
type account struct {
	cred     signature // without a verb
	tries    []*try    // in the order in which they were begun
	state    standing
	reverted bool          // the last applied value is the one it had before
	outcome  ledger.Record // the one that decides
}

// standings sums a user's set, change and reset steps up by account, in the
// order in which the accounts were first touched.
func standings(records []ledger.Record) []*account {
	var list []*account
	byCred := map[signature]*account{}
	tries := map[[2]int]*try{}
	for i := range records {
		r := &records[i]
		if !changes(r) {
			continue
		}
		cred := signatureOf(*r).credential()
		a := byCred[cred]
		if a == nil {
			a = &account{cred: cred}
			byCred[cred] = a
			list = append(list, a)
		}
		a.read(r, tries)
	}
	for _, a := range list {
		a.sumUp()
	}
	return list
}

// changes reports whether the record is about a step that changes a credential.
func changes(r *ledger.Record) bool {
	switch r.Verb {
	case verbSet, verbChange, verbReset, verbRevert:
		return r.Kind == ledger.Intent || r.Kind == ledger.Outcome || r.Kind == ledger.Answer
	}
	return false
}

func (a *account) read(r *ledger.Record, tries map[[2]int]*try) {
	key := [2]int{r.Step, r.Try}
	switch r.Kind {
	case ledger.Intent:
		tries[key] = &try{intent: *r}
		a.tries = append(a.tries, tries[key])
	case ledger.Outcome:
		if y := tries[key]; y != nil {
			y.outcome = r
		}
	case ledger.Answer: // the host refused it itself
		a.tries = append(a.tries, &try{intent: *r, outcome: r})
	}
}

// sumUp folds the tries: an applied value settles what came before it, a
// refusal leaves what was.
func (a *account) sumUp() {
	for _, y := range a.tries {
		switch {
		case y.unknown() || y.applied() && y.intent.Detail.Bridge:
			a.state = standingUnknown
		case y.applied():
			a.state, a.reverted = standingApplied, y.intent.Verb == verbRevert
		case a.state == standingNone || a.state == standingRefused:
			a.state = standingRefused
		default:
			continue
		}
		if y.outcome != nil {
			a.outcome = *y.outcome
		}
	}
}

// untold reports whether nobody here knows the value that the credential has:
// a reset was applied, and the target kept what it picked to itself.
func (a *account) untold() bool {
	return a.state == standingApplied && a.outcome.Verb == verbReset && a.outcome.Sealed == nil
}

// statusOf is a user's status and why, by design section 4 "Status of a user".
func statusOf(records []ledger.Record, v Verdict) ledger.Record {
	accounts := standings(records)
	out := ledger.Record{Kind: ledger.Finished}
	var unknown, applied, refused, reverted *account
	for _, a := range accounts {
		switch {
		case a.state == standingUnknown:
			unknown = a
		case a.reverted:
			reverted = a
		case a.state == standingApplied:
			applied = a
		case a.state == standingRefused && refused == nil:
			refused = a
		}
	}
	hookFailed := v.Kind == SaidFailed || v.Kind == Raised
	notAccepted := lastNotAccepted(records)
	switch {
	case unknown != nil:
		out.Detail.Status = ledger.Unresolved
		explain(&out, unknown.outcome)
		if out.Code == "" {
			out.Code, out.Detail.Message = sdk.ConnectionLost, "no answer came"
		}
	case v.isPostponed():
		out.Detail.Status, out.Code, out.Detail.Message = ledger.Unresolved, v.Fault.Code, v.Fault.Message
	case applied != nil && (refused != nil || hookFailed || notAccepted != nil):
		out.Detail.Status = ledger.Partial
		because(&out, v, refused, notAccepted)
	case applied != nil:
		out.Detail.Status = ledger.Done
		switch {
		case slices.ContainsFunc(accounts, (*account).untold):
			out.Detail.Message = "the target picked a value and did not tell it"
		case unproven(records):
			out.Detail.Message = notProven
		}
	case reverted != nil || hookFailed || refused != nil && v.Kind != SaidDone:
		out.Detail.Status = ledger.Failed
		because(&out, v, refused, notAccepted)
	case v.Kind == SaidSkip:
		out.Detail.Status, out.Detail.Message = ledger.Skipped, v.Reason
	case !asked(records):
		out.Detail.Status, out.Detail.Message = ledger.Skipped, "nothing was changed"
	default:
		out.Detail.Status, out.Detail.Unchanged = ledger.Done, true
	}
	return out
}

// asked reports whether a step was more than a look: a user of whom nothing but
// generate and find was asked is not done.
func asked(records []ledger.Record) bool {
	return slices.ContainsFunc(records, func(r ledger.Record) bool { return r.Verb != "" && r.Verb != verbFind })
}

// lastNotAccepted returns a verify that found a value not to work, unless a
// later one of the same credential found it to work, or another value took
// effect since.
func lastNotAccepted(records []ledger.Record) *ledger.Record {
	failed := map[signature]*ledger.Record{}
	for i := range records {
		r := &records[i]
		if r.Kind == ledger.Answer && r.Verb == verbVerify {
			delete(failed, signatureOf(*r))
			if r.Outcome == sdk.Refused && r.Code == sdk.NotAccepted {
				failed[signatureOf(*r)] = r
			}
		}
		if r.Kind == ledger.Outcome && (r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied) {
			sig := signatureOf(*r)
			sig.verb = verbVerify
			delete(failed, sig)
		}
	}
	for _, r := range failed {
		return r
	}
	return nil
}

// unproven reports whether the last verify of a credential got no verdict.
func unproven(records []ledger.Record) bool {
	open := map[signature]bool{}
	for i := range records {
		if r := &records[i]; r.Kind == ledger.Answer && r.Verb == verbVerify {
			open[signatureOf(*r)] = r.Outcome == sdk.Applied && r.Code == sdk.Unsupported
		}
	}
	return slices.Contains(slices.Collect(maps.Values(open)), true)
}

// because fills in the reason of a failure: the step's that ended the hook,
// else a refusal, else what the script says.
func because(out *ledger.Record, v Verdict, refused *account, notAccepted *ledger.Record) {
	switch {
	case v.Kind == Raised && v.Refused != nil:
		out.Code, out.Detail.Message, out.Detail.Native = v.Refused.Code, v.Refused.Message, v.Refused.Native
	case v.Kind == Raised && v.Fault != nil:
		out.Code, out.Detail.Message, out.Detail.Backtrace = v.Fault.Code, v.Fault.Message, v.Fault.Backtrace
	case refused != nil:
		explain(out, refused.outcome)
	case notAccepted != nil:
		explain(out, *notAccepted)
	default:
		out.Code = ScriptFailed
	}
	if v.Kind == SaidFailed {
		out.Detail.Message = v.Reason
	}
	if v.Kind == Raised && v.Fault != nil {
		out.Detail.Backtrace = v.Fault.Backtrace
	}
}

func explain(out *ledger.Record, from ledger.Record) {
	out.Code = from.Code
	out.Detail.Message, out.Detail.Native = from.Detail.Message, from.Detail.Native
	out.Detail.Violations, out.Detail.AccountStatus = from.Detail.Violations, from.Detail.AccountStatus
}
