package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// rec is a record of ann on a; of another account where it says so.
func rec(kind ledger.Kind, verb string, step int, outcome sdk.Outcome, code sdk.Code) ledger.Record {
	return ledger.Record{Kind: kind, User: 1, Step: step, Verb: verb, Backend: "a", Account: "ann", Outcome: outcome, Code: code}
}

func on(backend string, r ledger.Record) ledger.Record { r.Backend = backend; return r }

// took is a step that sent a value, and what became of it.
func took(verb string, step int, outcome sdk.Outcome, code sdk.Code) []ledger.Record {
	return []ledger.Record{rec(ledger.Intent, verb, step, 0, ""), rec(ledger.Outcome, verb, step, outcome, code)}
}

func join(lists ...[]ledger.Record) []ledger.Record {
	var all []ledger.Record
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func one(r ledger.Record) []ledger.Record { return []ledger.Record{r} }

// TestStatusByRecords is design section 4 "Status of a user", as a table.
func TestStatusByRecords(t *testing.T) {
	set, reset := took(verbSet, 1, sdk.Applied, ""), took(verbReset, 1, sdk.Applied, "")
	refused := took(verbSet, 1, sdk.Refused, sdk.PermissionDenied)
	lost := took(verbSet, 1, sdk.Unknown, sdk.Timeout)
	accepted := one(rec(ledger.Answer, verbVerify, 2, sdk.Applied, ""))
	rejected := one(rec(ledger.Answer, verbVerify, 2, sdk.Refused, sdk.NotAccepted))
	silent := one(rec(ledger.Answer, verbVerify, 2, sdk.Applied, sdk.Unsupported))
	elsewhere := []ledger.Record{on("b", rec(ledger.Intent, verbSet, 3, 0, "")), on("b", rec(ledger.Outcome, verbSet, 3, sdk.Refused, sdk.AccountStatus))}
	back := took(verbRevert, 4, sdk.Applied, "")
	said := func(kind VerdictKind) Verdict { return Verdict{Kind: kind, Reason: "why"} }
	for _, c := range []struct {
		name    string
		records []ledger.Record
		verdict Verdict
		status  ledger.Status
		code    sdk.Code
		message string
	}{
		{"nothing at all", nil, Verdict{}, ledger.Skipped, "", "nothing was changed"},
		{"done() without a step", nil, said(SaidDone), ledger.Skipped, "", "nothing was changed"},
		{"skip()", nil, said(SaidSkip), ledger.Skipped, "", "why"},
		{"failed()", nil, said(SaidFailed), ledger.Failed, ScriptFailed, "why"},
		{"a set", set, Verdict{}, ledger.Done, "", ""},
		{"a set, failed()", set, said(SaidFailed), ledger.Partial, ScriptFailed, "why"},
		{"a set that was refused", refused, Verdict{}, ledger.Failed, sdk.PermissionDenied, ""},
		{"a set that was refused, done()", refused, said(SaidDone), ledger.Done, "", ""},
		{"a set that is not known", lost, Verdict{}, ledger.Unresolved, sdk.Timeout, ""},
		{"an intent without an outcome", set[:1], Verdict{}, ledger.Unresolved, sdk.ConnectionLost, "no answer came"},
		{"one that is not known, and one that is refused", join(lost, elsewhere), said(SaidFailed), ledger.Unresolved, sdk.Timeout, ""},
		{"applied, refused elsewhere", join(set, elsewhere), Verdict{}, ledger.Partial, sdk.AccountStatus, ""},
		{"refused, then applied", join(refused, took(verbSet, 2, sdk.Applied, "")), Verdict{}, ledger.Done, "", ""},
		{"applied, then refused", join(set, took(verbSet, 2, sdk.Refused, sdk.Conflict)), Verdict{}, ledger.Done, "", ""},
		{"verified", join(set, accepted), Verdict{}, ledger.Done, "", ""},
		{"not accepted", join(set, rejected), Verdict{}, ledger.Partial, sdk.NotAccepted, ""},
		{"not accepted, and then accepted", join(set, rejected, one(rec(ledger.Answer, verbVerify, 3, sdk.Applied, ""))), Verdict{}, ledger.Done, "", ""},
		{"not accepted, and another value applied", join(set, rejected, took(verbSet, 3, sdk.Applied, "")), Verdict{}, ledger.Done, "", ""},
		{"not accepted, and another value refused", join(set, rejected, took(verbSet, 3, sdk.Refused, sdk.Conflict)), Verdict{}, ledger.Partial, sdk.NotAccepted, ""},
		{"no verdict", join(set, silent), Verdict{}, ledger.Done, "", notProven},
		{"no verdict, then accepted", join(set, silent, one(rec(ledger.Answer, verbVerify, 3, sdk.Applied, ""))), Verdict{}, ledger.Done, "", ""},
		{"a reset whose value is kept", reset, Verdict{}, ledger.Done, "", "the target picked a value and did not tell it"},
		{"set back", join(set, back), said(SaidFailed), ledger.Failed, ScriptFailed, "why"},
		{"set back, without a failing hook", join(set, back), Verdict{}, ledger.Failed, ScriptFailed, ""},
		{"set back and set again", join(set, back, took(verbSet, 5, sdk.Applied, "")), Verdict{}, ledger.Done, "", ""},
		{"a set-back that is not known", join(set, took(verbRevert, 4, sdk.Unknown, sdk.Timeout)), Verdict{}, ledger.Unresolved, sdk.Timeout, ""},
		{"refused by the host", one(rec(ledger.Answer, verbSet, 1, sdk.Refused, DuplicateAccount)), Verdict{}, ledger.Failed, DuplicateAccount, ""},
		{"an error of the script", nil, Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError, Message: "name x"}}, ledger.Failed, ScriptError, "name x"},
		{"a step that raised", refused, Verdict{Kind: Raised, Refused: &Result{Code: sdk.PermissionDenied, Message: "no"}}, ledger.Failed, sdk.PermissionDenied, "no"},
		{"postponed", set, Verdict{Kind: Raised, Fault: postponed("a", "ann")}, ledger.Unresolved, sdk.ConnectionLost, postponed("a", "ann").Message},
		{"unlocked", took(verbUnlock, 1, sdk.Applied, ""), Verdict{}, ledger.Done, "", ""},
	} {
		got := statusOf(c.records, c.verdict)
		if got.Detail.Status != c.status || got.Code != c.code || got.Detail.Message != c.message {
			t.Errorf("%s: %s %s %q, want %s %s %q", c.name, got.Detail.Status, got.Code, got.Detail.Message, c.status, c.code, c.message)
		}
	}
}
