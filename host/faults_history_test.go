package host_test

import (
	"fmt"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// act is one operation as the ledger tells it: what was to be done, and what
// became of it.
type act struct {
	id       string
	where    string // label and account
	verb     string
	value    string // "": one that the system picks and did not tell
	bridge   bool
	told     bool // it has an outcome
	outcome  sdk.Outcome
	code     sdk.Code
	finished int64 // index of the outcome
}

func (a act) applied() bool {
	return a.told && (a.outcome == sdk.Applied || a.outcome == sdk.AlreadyApplied)
}

// actsOf are the operations of a user that give an account a value.
func actsOf(r *ledger.Run, u ledger.User) ([]*act, error) {
	var list []*act
	byTry := map[[2]int]*act{}
	for i := range u.History {
		rec := &u.History[i]
		try := [2]int{rec.Step, rec.Try}
		switch {
		case rec.Verb == journal.Unlock || rec.Verb == journal.Revoke || rec.Kind != journal.Intent && rec.Kind != journal.Outcome:
			continue
		case rec.Kind == journal.Intent:
			byTry[try] = &act{id: fmt.Sprintf("%s-%d-%d-%d", r.ID(), u.Pos, rec.Step, rec.Try), where: key(rec.Backend, rec.Account), verb: rec.Verb, bridge: rec.Detail.Bridge}
			list = append(list, byTry[try])
		case byTry[try] == nil:
			return nil, fmt.Errorf("an outcome of %s without an intent", u.Key)
		default:
			a := byTry[try]
			a.told, a.outcome, a.code, a.finished = true, rec.Outcome, rec.Code, rec.Index
		}
		if rec.Sealed != nil {
			v, err := r.Unseal(u.Pos, rec.Step, rec.Try, "value", rec.Sealed)
			if err != nil {
				return nil, err
			}
			byTry[try].value = v.Reveal()
		}
	}
	return list, nil
}

// past is what the systems' own log tells, when nothing is on its way any more.
type past struct {
	effects map[string]int             // by operation
	values  map[string]map[string]bool // that an account was ever given
	now     map[string]string          // that it has
}

func newPast(entries []entry) past {
	p := past{effects: map[string]int{}, values: map[string]map[string]bool{}, now: map[string]string{}}
	for _, e := range entries {
		if e.What != given {
			continue
		}
		k := key(e.Label, e.Account)
		if p.values[k] == nil {
			p.values[k] = map[string]bool{}
		}
		p.effects[e.Op]++
		p.values[k][e.Value], p.now[k] = true, e.Value
	}
	return p
}

// contradicts compares what the ledger claims of a user with the systems' log,
// and tells every claim that is not true in any order of what overlapped:
// refused means that nothing ever took effect, applied that something did, a
// final status that what was applied last is in force.
func (p past) contradicts(status journal.Status, acts []*act) []finding {
	var found []finding
	report := func(class, protection, format string, args ...any) {
		found = append(found, finding{class, protection, fmt.Sprintf(format, args...)})
	}
	last := map[string]*act{}
	for _, a := range acts {
		effects := p.effects[a.id]
		switch {
		case a.told && a.outcome == sdk.Refused && effects > 0:
			report(falseRefused, outcomeUnknown, "%s of %s was refused (%s), and took effect %d times", a.verb, a.where, a.code, effects)
		case a.applied() && effects == 0 && !p.values[a.where][a.value] && !isBefore(a):
			report(falseDone, outcomeUnknown, "%s of %s was applied, and never took effect", a.verb, a.where)
		}
		if a.applied() && !a.bridge && (last[a.where] == nil || a.finished > last[a.where].finished) {
			last[a.where] = a
		}
		if status == journal.Skipped && effects > 0 {
			report(falseRefused, outcomeUnknown, "a user is skipped, and %s of %s took effect", a.verb, a.where)
		}
	}
	if status == journal.Done || status == journal.Failed {
		found = append(found, p.stale(status, acts, last)...)
	}
	return found
}

// stale tells which accounts of a user with a final status have another value
// than the one that was applied last, or was there before.
func (p past) stale(status journal.Status, acts []*act, last map[string]*act) []finding {
	var found []finding
	seen := map[string]bool{}
	for _, a := range acts {
		if seen[a.where] {
			continue
		}
		seen[a.where] = true
		has, any := p.now[a.where]
		switch claim := last[a.where]; {
		case claim == nil && any && !isBefore(&act{where: a.where, value: has}):
			found = append(found, finding{falseRefused, lateness, fmt.Sprintf("a user is %s without a change of %s, which has another value than before", status, a.where)})
		case claim != nil && claim.value != "" && any && has != claim.value, claim != nil && claim.value != "" && !any && !isBefore(claim):
			found = append(found, finding{falseDone, lateness, fmt.Sprintf("a user is %s, and %s has another value than the one that was applied last", status, a.where)})
		}
	}
	return found
}

// isBefore reports whether the operation's value is the one from before the run.
func isBefore(a *act) bool {
	label, account := cutKey(a.where)
	return a.value == before(label, account)
}

// uncancelled tells what the records of a user say of a call that was cancelled.
// That an operation was never sent is certain, and no answer.
func uncancelled(u ledger.User) []finding {
	var found []finding
	for _, r := range u.History {
		unsent := r.Kind == journal.Outcome && r.Outcome == sdk.Refused
		if r.Code == sdk.Cancelled && !unsent {
			found = append(found, finding{cancelled, cancellation, fmt.Sprintf("%s: %s of %s is recorded as cancelled", u.Key, r.Kind, r.Verb)})
		}
	}
	return found
}

// TestFaultsTheHistoryIsReadRight is the test of the checker: each claim with a
// log that proves it wrong, and one that does not.
func TestFaultsTheHistoryIsReadRight(t *testing.T) {
	effect := func(op, value string) entry {
		return entry{What: given, Label: plain, Account: "u", Value: value, Op: op}
	}
	told := func(id, value string, o sdk.Outcome, at int64) *act {
		return &act{id: id, where: key(plain, "u"), verb: "set", value: value, told: true, outcome: o, finished: at}
	}
	open := &act{id: "1", where: key(plain, "u"), verb: "set", value: "a"}
	for _, c := range []struct {
		name   string
		status journal.Status
		acts   []*act
		log    []entry
		want   string
	}{
		{"done", journal.Done, []*act{told("1", "a", sdk.Applied, 2)}, []entry{effect("1", "a")}, ""},
		{"sent twice", journal.Done, []*act{told("1", "a", sdk.Applied, 2)}, []entry{effect("1", "a"), effect("1", "a")}, ""},
		{"under way", journal.Pending, []*act{open}, []entry{effect("1", "a")}, ""},
		{"refused, and nothing came", journal.Failed, []*act{told("1", "a", sdk.Refused, 2)}, nil, ""},
		{"refused, and it came", journal.Unresolved, []*act{told("1", "a", sdk.Refused, 2)}, []entry{effect("1", "a")}, falseRefused},
		{"applied, and nothing came", journal.Partial, []*act{told("1", "a", sdk.Applied, 2)}, nil, falseDone},
		{"two values in order", journal.Done, []*act{told("1", "a", sdk.Applied, 2), told("2", "b", sdk.Applied, 4)}, []entry{effect("1", "a"), effect("2", "b")}, ""},
		{"the first one came last", journal.Done, []*act{told("1", "a", sdk.Applied, 2), told("2", "b", sdk.Applied, 4)}, []entry{effect("2", "b"), effect("1", "a")}, falseDone},
		{"a lost one came after a failure", journal.Failed, []*act{told("1", "a", sdk.Unknown, 2)}, []entry{effect("1", "a")}, falseRefused},
		{"skipped, and one came", journal.Skipped, []*act{open}, []entry{effect("1", "a")}, falseRefused},
		{"set back", journal.Failed, []*act{told("1", "a", sdk.Applied, 2), told("2", before(plain, "u"), sdk.Applied, 4)}, []entry{effect("1", "a"), effect("2", before(plain, "u"))}, ""},
		{"set back too early", journal.Failed, []*act{told("1", "a", sdk.Applied, 2), told("2", before(plain, "u"), sdk.Applied, 4)}, []entry{effect("2", before(plain, "u")), effect("1", "a")}, falseDone},
	} {
		class := ""
		for _, f := range newPast(c.log).contradicts(c.status, c.acts) {
			class = f.class
		}
		if class != c.want {
			t.Errorf("%s: found %q, want %q", c.name, class, c.want)
		}
	}
	answer := ledger.User{History: []journal.Record{{Kind: journal.Answer, Verb: "find", Code: sdk.Cancelled}}}
	unsent := ledger.User{History: []journal.Record{{Kind: journal.Outcome, Verb: "set", Outcome: sdk.Refused, Code: sdk.Cancelled}}}
	if len(uncancelled(answer)) != 1 || len(uncancelled(unsent)) != 0 {
		t.Error("a recorded cancellation is not told from an operation that was never sent")
	}
}
