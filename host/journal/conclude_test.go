package journal

import (
	"reflect"
	"slices"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// rec is a record of ann on a; of another account where it says so.
func rec(kind Kind, verb string, step int, outcome sdk.Outcome, code sdk.Code) Record {
	return Record{Kind: kind, User: 1, Step: step, Verb: verb, Backend: "a", Account: "ann", Outcome: outcome, Code: code}
}

func on(backend string, r Record) Record { r.Backend = backend; return r }

// took is a step that sent a value, and what became of it.
func took(verb string, step int, outcome sdk.Outcome, code sdk.Code) []Record {
	return []Record{rec(Intent, verb, step, 0, ""), rec(Outcome, verb, step, outcome, code)}
}

func join(lists ...[]Record) []Record {
	var all []Record
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func one(r Record) []Record { return []Record{r} }

// TestStatusByRecords is design section 4 "Status of a user", as a table.
func TestStatusByRecords(t *testing.T) {
	set, reset := took(Set, 1, sdk.Applied, ""), took(Reset, 1, sdk.Applied, "")
	refused := took(Set, 1, sdk.Refused, sdk.PermissionDenied)
	lost := took(Set, 1, sdk.Unknown, sdk.Timeout)
	accepted := one(rec(Answer, Verify, 2, sdk.Applied, ""))
	rejected := one(rec(Answer, Verify, 2, sdk.Refused, sdk.NotAccepted))
	silent := one(rec(Answer, Verify, 2, sdk.Applied, sdk.Unsupported))
	elsewhere := []Record{on("b", rec(Intent, Set, 3, 0, "")), on("b", rec(Outcome, Set, 3, sdk.Refused, sdk.AccountStatus))}
	back := took(Revert, 4, sdk.Applied, "")
	said := func(kind VerdictKind) Verdict { return Verdict{Kind: kind, Reason: "why"} }
	for _, c := range []struct {
		name    string
		records []Record
		verdict Verdict
		status  Status
		code    sdk.Code
		message string
	}{
		{"nothing at all", nil, Verdict{}, Skipped, "", "nothing was changed"},
		{"done() without a step", nil, said(SaidDone), Skipped, "", "nothing was changed"},
		{"skip()", nil, said(SaidSkip), Skipped, "", "why"},
		{"failed()", nil, said(SaidFailed), Failed, ScriptFailed, "why"},
		{"a set", set, Verdict{}, Done, "", ""},
		{"a set, failed()", set, said(SaidFailed), Partial, ScriptFailed, "why"},
		{"a set that was refused", refused, Verdict{}, Failed, sdk.PermissionDenied, ""},
		{"a set that was refused, done()", refused, said(SaidDone), Done, "", ""},
		{"a set that is not known", lost, Verdict{}, Unresolved, sdk.Timeout, ""},
		{"an intent without an outcome", set[:1], Verdict{}, Unresolved, sdk.ConnectionLost, "no answer came"},
		{"one that is not known, and one that is refused", join(lost, elsewhere), said(SaidFailed), Unresolved, sdk.Timeout, ""},
		{"applied, refused elsewhere", join(set, elsewhere), Verdict{}, Partial, sdk.AccountStatus, ""},
		{"refused, then applied", join(refused, took(Set, 2, sdk.Applied, "")), Verdict{}, Done, "", ""},
		{"applied, then refused", join(set, took(Set, 2, sdk.Refused, sdk.Conflict)), Verdict{}, Done, "", ""},
		{"verified", join(set, accepted), Verdict{}, Done, "", ""},
		{"not accepted", join(set, rejected), Verdict{}, Partial, sdk.NotAccepted, ""},
		{"not accepted, and then accepted", join(set, rejected, one(rec(Answer, Verify, 3, sdk.Applied, ""))), Verdict{}, Done, "", ""},
		{"not accepted, and another value applied", join(set, rejected, took(Set, 3, sdk.Applied, "")), Verdict{}, Done, "", ""},
		{"not accepted, and another value refused", join(set, rejected, took(Set, 3, sdk.Refused, sdk.Conflict)), Verdict{}, Partial, sdk.NotAccepted, ""},
		{"no verdict", join(set, silent), Verdict{}, Done, "", NotProven},
		{"no verdict, then accepted", join(set, silent, one(rec(Answer, Verify, 3, sdk.Applied, ""))), Verdict{}, Done, "", ""},
		{"a reset whose value is kept", reset, Verdict{}, Done, "", "the target picked a value and did not tell it"},
		{"set back", join(set, back), said(SaidFailed), Failed, ScriptFailed, "why"},
		{"set back, without a failing hook", join(set, back), Verdict{}, Failed, ScriptFailed, ""},
		{"set back and set again", join(set, back, took(Set, 5, sdk.Applied, "")), Verdict{}, Done, "", ""},
		{"a set-back that is not known", join(set, took(Revert, 4, sdk.Unknown, sdk.Timeout)), Verdict{}, Unresolved, sdk.Timeout, ""},
		{"refused by the host", one(rec(Answer, Set, 1, sdk.Refused, DuplicateAccount)), Verdict{}, Failed, DuplicateAccount, ""},
		{"an error of the script", nil, Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError, Message: "name x"}}, Failed, ScriptError, "name x"},
		{"a step that raised", refused, Verdict{Kind: Raised, Refused: &Result{Code: sdk.PermissionDenied, Message: "no"}}, Failed, sdk.PermissionDenied, "no"},
		{"postponed", set, Verdict{Kind: Raised, Fault: &Fault{Code: sdk.ConnectionLost, Message: "rekey resume goes on", Postponed: true}}, Unresolved, sdk.ConnectionLost, "rekey resume goes on"},
		{"not accepted, and unlocked", join(set, rejected, took(Unlock, 3, sdk.Applied, "")), Verdict{}, Partial, sdk.NotAccepted, ""},
		{"unlocked", took(Unlock, 1, sdk.Applied, ""), Verdict{}, Done, "", ""},
	} {
		got := Read(c.records).Conclude(c.verdict)
		if got.Detail.Status != c.status || got.Code != c.code || got.Detail.Message != c.message {
			t.Errorf("%s: %s %s %q, want %s %s %q", c.name, got.Detail.Status, got.Code, got.Detail.Message, c.status, c.code, c.message)
		}
	}
}

func TestStatusOfAUser(t *testing.T) {
	set := func(account string, outcome sdk.Outcome, code sdk.Code, step int) []Record {
		base := Record{Step: step, Verb: Set, Backend: "a", Account: account}
		intent, end := base, base
		intent.Kind, end.Kind, end.Outcome, end.Code = Intent, Outcome, outcome, code
		return []Record{intent, end}
	}
	verify := Record{Kind: Answer, Verb: Verify, Backend: "a", Account: "x", Outcome: sdk.Refused, Code: sdk.NotAccepted}
	found := Record{Kind: Answer, Verb: Find, Backend: "a", Account: "x", Outcome: sdk.Applied}
	accepted := Record{Kind: Answer, Verb: Verify, Backend: "a", Account: "x", Outcome: sdk.Applied}
	unlocked := Record{Kind: Outcome, Verb: Unlock, Backend: "a", Account: "x", Outcome: sdk.Applied}
	join := func(parts ...[]Record) (all []Record) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	applied, refused, lost := set("x", sdk.Applied, "", 1), set("y", sdk.Refused, sdk.AccountNotFound, 2), set("z", sdk.Unknown, sdk.Timeout, 3)
	again := set("x", sdk.Refused, sdk.Conflict, 1)
	for _, c := range []struct {
		name    string
		records []Record
		verdict Verdict
		want    Status
		code    sdk.Code
	}{
		{"nothing", nil, Verdict{}, Skipped, ""},
		{"nothing, done()", nil, Verdict{Kind: SaidDone}, Skipped, ""},
		{"only looked", []Record{found}, Verdict{}, Skipped, ""},
		{"only verified", []Record{accepted}, Verdict{}, Done, ""},
		{"only unlocked", []Record{unlocked}, Verdict{}, Done, ""},
		{"skip", nil, Verdict{Kind: SaidSkip, Reason: "later"}, Skipped, ""},
		{"applied", applied, Verdict{}, Done, ""},
		{"refused", refused, Verdict{}, Failed, sdk.AccountNotFound},
		{"refused, done()", refused, Verdict{Kind: SaidDone}, Done, ""},
		{"applied and refused", join(applied, refused), Verdict{}, Partial, sdk.AccountNotFound},
		{"applied and failed()", applied, Verdict{Kind: SaidFailed, Reason: "no"}, Partial, ScriptFailed},
		{"applied and not accepted", join(applied, []Record{verify}), Verdict{}, Partial, sdk.NotAccepted},
		{"unknown beats all", join(applied, refused, lost), Verdict{Kind: SaidFailed}, Unresolved, sdk.Timeout},
		{"refused, then applied", join(again, set("x", sdk.Applied, "", 2)), Verdict{}, Done, ""},
		{"failed() alone", nil, Verdict{Kind: SaidFailed, Reason: "no"}, Failed, ScriptFailed},
		{"script error", nil, Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError}}, Failed, ScriptError},
	} {
		got := Read(c.records).Conclude(c.verdict)
		if got.Detail.Status != c.want || got.Code != c.code {
			t.Errorf("%s: %s %s, want %s %s", c.name, got.Detail.Status, got.Code, c.want, c.code)
		}
		if changed := slices.ContainsFunc(Read(c.records).Touched(), func(c *CredentialHistory) bool { return c.State == AttemptsApplied }); got.Detail.Status == Done && got.Detail.Unchanged == changed {
			t.Errorf("%s: unchanged %v", c.name, got.Detail.Unchanged)
		}
		if got.Detail.Status == Skipped && got.Detail.Message == "" {
			t.Errorf("%s: skipped without a reason", c.name)
		}
	}
}

// TestAFailureSaysAllThatIsKnownOfIt: where the reason is a record's, with what
// the target says in its own words, and where it is the script's, where.
func TestAFailureSaysAllThatIsKnownOfIt(t *testing.T) {
	why := Detail{Message: "too short", Native: "0x52D", Violations: []sdk.Violation{{Limit: 12}}, AccountStatus: sdk.StatusLocked}
	with := func(d Detail, log []Record) []Record { log[len(log)-1].Detail = d; return log }
	refused := with(why, took(Set, 1, sdk.Refused, sdk.PolicyViolation))
	lost := with(why, took(Set, 1, sdk.Unknown, sdk.ConnectionLost))
	rejected := join(took(Set, 1, sdk.Applied, ""), with(why, one(rec(Answer, Verify, 2, sdk.Refused, sdk.NotAccepted))))
	said := why
	said.Message = "by the script"
	for _, c := range []struct {
		name    string
		log     []Record
		verdict Verdict
		code    sdk.Code
		want    Detail
	}{
		{"a refusal", refused, Verdict{}, sdk.PolicyViolation, why},
		{"the first refusal of two", join(refused, onAll("b", took(Set, 2, sdk.Refused, sdk.Conflict))), Verdict{}, sdk.PolicyViolation, why},
		{"a refusal, and failed()", refused, Verdict{Kind: SaidFailed, Reason: "by the script"}, sdk.PolicyViolation, said},
		{"a refusal, and an error of which nothing is known", refused, Verdict{Kind: Raised}, sdk.PolicyViolation, why},
		{"an attempt that got no answer", lost, Verdict{}, sdk.ConnectionLost, why},
		{"a value that is not accepted", rejected, Verdict{}, sdk.NotAccepted, why},
		{"a refusal before a value that is not accepted", join(onAll("b", with(why, took(Set, 3, sdk.Refused, sdk.Protected))), rejected), Verdict{}, sdk.Protected, why},
		{"a step that raised", nil, Verdict{Kind: Raised, Refused: &Result{Code: sdk.Protected, Message: "m", Native: "n"}}, sdk.Protected, Detail{Message: "m", Native: "n"}},
		{"an error of the script", nil, Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError, Message: "m", Backtrace: "at line 3"}}, ScriptError, Detail{Message: "m", Backtrace: "at line 3"}},
		{"an error of the script behind a refusal", refused, Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError, Message: "m", Backtrace: "at line 3"}}, ScriptError, Detail{Message: "m", Backtrace: "at line 3"}},
	} {
		got := Read(c.log).Conclude(c.verdict)
		c.want.Status = got.Detail.Status
		if got.Kind != Finished || got.Code != c.code || !reflect.DeepEqual(got.Detail, c.want) || !got.Detail.Status.Failure() {
			t.Errorf("%s: %s %s %+v, want %s %+v", c.name, got.Kind, got.Code, got.Detail, c.code, c.want)
		}
	}
}

// TestTheLastDoubtIsTheReason, where several credentials are in doubt.
func TestTheLastDoubtIsTheReason(t *testing.T) {
	log := join(took(Set, 1, sdk.Unknown, sdk.Timeout), onAll("b", took(Set, 2, sdk.Unknown, sdk.ConnectionLost)))
	if got := Read(log).Conclude(Verdict{}); got.Code != sdk.ConnectionLost {
		t.Errorf("%s", got.Code)
	}
}

// TestWhoIsDoneIsToldWhatIsNotProven: that the target alone knows a value comes
// first, and of several credentials one is enough.
func TestWhoIsDoneIsToldWhatIsNotProven(t *testing.T) {
	const untold = "the target picked a value and did not tell it"
	set, silent := took(Set, 1, sdk.Applied, ""), one(rec(Answer, Verify, 2, sdk.Applied, sdk.Unsupported))
	kept := onAll("b", took(Reset, 3, sdk.Applied, ""))
	proven := onAll("b", join(took(Set, 3, sdk.Applied, ""), one(rec(Answer, Verify, 4, sdk.Applied, ""))))
	for _, c := range []struct {
		name      string
		log       []Record
		message   string
		unchanged bool
	}{
		{"proven", proven, "", false},
		{"not proven", join(set, silent), NotProven, false},
		{"not proven here, proven there", join(set, silent, proven), NotProven, false},
		{"proven there, not proven here", join(proven, set, silent), NotProven, false},
		{"kept by the target, and another not proven", join(set, silent, kept), untold, false},
		{"unlocked only", took(Unlock, 1, sdk.Applied, ""), "", true},
		{"a verify without a verdict only", silent, "", true},
	} {
		got := Read(c.log).Conclude(Verdict{})
		if got.Detail.Status != Done || got.Detail.Message != c.message || got.Detail.Unchanged != c.unchanged {
			t.Errorf("%s: %s %q, unchanged %v; want %q, %v", c.name, got.Detail.Status, got.Detail.Message, got.Detail.Unchanged, c.message, c.unchanged)
		}
	}
}

// TestAUserWhoIsSimplyDoneEndsAsTheRecordsSay: what a batch records of one is
// what a history of the same steps comes to.
func TestAUserWhoIsSimplyDoneEndsAsTheRecordsSay(t *testing.T) {
	for name, records := range map[string][]Record{
		"a set":             took(Set, 1, sdk.Applied, ""),
		"a change":          took(Change, 1, sdk.Applied, ""),
		"a set and a proof": join(took(Set, 1, sdk.Applied, ""), one(rec(Answer, Verify, 2, sdk.Applied, ""))),
		"two values":        join(took(Set, 1, sdk.Applied, ""), took(Set, 2, sdk.Applied, "")),
	} {
		for _, kind := range []VerdictKind{Returned, SaidDone} {
			if got := Read(records).Conclude(Verdict{Kind: kind}); !reflect.DeepEqual(got, Fulfilled()) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
