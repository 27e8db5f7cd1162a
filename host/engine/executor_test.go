package engine

import (
	"context"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// tried is an attempt of a step that came to an outcome; without one it is open.
func tried(step, try int, outcome sdk.Outcome, code sdk.Code) *journal.Attempt {
	r := journal.Record{Step: step, Try: try, Verb: journal.Set, Backend: "a", Account: "ann"}
	intent, end := r, r
	intent.Kind, end.Kind, end.Outcome, end.Code = journal.Intent, journal.Outcome, outcome, code
	if code == "open" {
		return &journal.Attempt{Intent: &intent}
	}
	return &journal.Attempt{Intent: &intent, Outcome: &end}
}

// TestAStepSaysWhatItsAttemptsCameTo, the one in doubt before a refusal.
func TestAStepSaysWhatItsAttemptsCameTo(t *testing.T) {
	refused, lost, open := tried(1, 1, sdk.Refused, sdk.PolicyViolation), tried(1, 2, sdk.Unknown, sdk.Timeout), tried(1, 3, sdk.Unknown, "open")
	for _, c := range []struct {
		name    string
		list    []*journal.Attempt
		outcome sdk.Outcome
		code    sdk.Code
	}{
		{"applied", []*journal.Attempt{refused, tried(1, 4, sdk.Applied, "")}, sdk.Applied, ""},
		{"refused", []*journal.Attempt{refused}, sdk.Refused, sdk.PolicyViolation},
		{"unknown", []*journal.Attempt{refused, lost}, sdk.Unknown, sdk.Timeout},
		{"open behind a refusal", []*journal.Attempt{refused, open}, sdk.Unknown, sdk.ConnectionLost},
		{"open and unknown", []*journal.Attempt{open, lost}, sdk.Unknown, sdk.Timeout},
	} {
		x := newExecutor(&userState{}, journal.Step{}, nil, &journal.RecordedStep{Attempts: c.list})
		if got := x.result(); got.Outcome != c.outcome || got.Code != c.code {
			t.Errorf("%s: %s %s, want %s %s", c.name, got.Outcome, got.Code, c.outcome, c.code)
		}
	}
}

// TestValuesThatWereReplacedAreCounted: those that were refused and followed by
// another one.
func TestValuesThatWereReplacedAreCounted(t *testing.T) {
	policy, gone := tried(1, 1, sdk.Refused, sdk.PolicyViolation), tried(1, 1, sdk.Refused, sdk.AccountNotFound)
	lost, open := tried(1, 1, sdk.Unknown, sdk.Timeout), tried(1, 1, sdk.Unknown, "open")
	for _, c := range []struct {
		name string
		list []*journal.Attempt
		want int
	}{
		{"none", nil, 0}, {"the last one is not replaced yet", []*journal.Attempt{policy}, 0}, {"one", []*journal.Attempt{policy, policy}, 1},
		{"two", []*journal.Attempt{policy, policy, open}, 2}, {"others", []*journal.Attempt{gone, lost, open, policy}, 0},
	} {
		x := newExecutor(&userState{}, journal.Step{}, nil, &journal.RecordedStep{Attempts: c.list})
		if got := x.replaced(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestTheHostRefusesWhatItCanTell: a hashed value it cannot, and rules that it is
// not told it does not know.
func TestTheHostRefusesWhatItCanTell(t *testing.T) {
	for _, c := range []struct {
		name, hash string
		broken     bool
		value      string
		want       bool
	}{
		{"long enough", "", false, "longenough", false}, {"short", "", false, "x", true}, {"hashed", "rfc2307", false, "x", false},
		{"the rules are not told", "", true, "x", false},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.policy = sdk.Policy{MinLength: 5}
		be := x.backend("a")
		be.Abilities = append(be.Abilities, sdk.CanPolicy)
		if c.broken {
			be.Instance = &slow{target: x}
		}
		cr := newRun(t.Context(), jobOf(b, nil, be))
		s := &userState{run: cr, history: journal.Read(nil)}
		ex := newExecutor(s, journal.Step{Backend: "a", Account: "ann", Value: given(c.value), HashFormat: c.hash}, &dispatcher{backend: be}, &journal.RecordedStep{})
		if got := ex.refuse(t.Context()); (got != nil) != c.want {
			t.Errorf("%s: %v, want a refusal: %v", c.name, got, c.want)
		}
	}
}

// TestAValueIsReplacedOnlyWhereNothingElseHasIt, and not in a round that settles.
func TestAValueIsReplacedOnlyWhereNothingElseHasIt(t *testing.T) {
	other := journal.Record{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "b", Account: "ann", Origin: 7}
	generated := &journal.Value{Origin: 7, Another: func(context.Context) (secret.Value, error) { return secret.New("next"), nil }}
	policy := tried(2, 1, sdk.Refused, sdk.PolicyViolation)
	aged := tried(2, 1, sdk.Refused, sdk.PolicyViolation)
	aged.Outcome.Detail.Violations = []sdk.Violation{{Rule: sdk.RuleHistory}, {Rule: sdk.RuleMinAge}}
	for _, c := range []struct {
		name    string
		value   *journal.Value
		last    *journal.Attempt
		log     []journal.Record
		settles bool
		want    bool
	}{
		{"generated", generated, policy, nil, false, true}, {"given", given("x"), policy, nil, false, false},
		{"in use elsewhere", generated, policy, []journal.Record{other}, false, false}, {"while it is settled", generated, policy, nil, true, false},
		{"too young", generated, aged, nil, false, false}, {"not there", generated, tried(2, 1, sdk.Refused, sdk.AccountNotFound), nil, false, false},
		{"unknown", generated, tried(2, 1, sdk.Unknown, sdk.PolicyViolation), nil, false, false},
	} {
		s := &userState{history: journal.Read(c.log)}
		s.history.Replay.RecoveryRound = c.settles
		if got := newExecutor(s, journal.Step{Value: c.value}, nil, &journal.RecordedStep{}).replaceable(c.last); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestAFurtherValueOfAStepIsNoneOfTwo: only a bridge, or a recovery, may send
// another one while the first is in doubt.
func TestAFurtherValueOfAStepIsNoneOfTwo(t *testing.T) {
	open := journal.Record{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Sealed: []byte("first")}
	recovering := tried(2, 1, sdk.Unknown, "open")
	recovering.Intent.Detail.Op = "set"
	for _, c := range []struct {
		name     string
		attempts []*journal.Attempt
		bridge   bool
		fails    bool
	}{
		{"the step's first", nil, false, false}, {"a second one", []*journal.Attempt{tried(2, 1, sdk.Unknown, "open")}, false, true},
		{"a bridge", []*journal.Attempt{tried(2, 1, sdk.Unknown, "open")}, true, false}, {"a recovery", []*journal.Attempt{recovering}, false, false},
	} {
		cr := idle(t.Context())
		cr.Vault = newBook(0)
		s := &userState{run: cr, history: journal.Read([]journal.Record{open})}
		call := journal.Call{Verb: journal.Set, Credential: journal.Credential{Backend: "a", Account: "ann"}}
		x := newExecutor(s, journal.Step{}, nil, &journal.RecordedStep{Call: call, Attempts: c.attempts})
		if err := x.oneValue(sending{value: secret.New("second"), bridge: c.bridge}); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
