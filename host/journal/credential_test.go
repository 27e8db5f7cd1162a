package journal

import (
	"slices"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestWhereACredentialStands is the fold of attempts, as a table. Numbers are
// those of steps, 0 is no step.
func TestWhereACredentialStands(t *testing.T) {
	for _, c := range []struct {
		story    string
		state    AttemptState
		decides  int
		open     []int
		first    int // that took effect
		held     int // the newest that may be in force
		reverted bool
	}{
		{"set open", AttemptsDoubtful, 0, []int{1}, 0, 1, false},
		{"set unknown", AttemptsDoubtful, 1, []int{1}, 0, 1, false},
		{"set applied", AttemptsApplied, 1, nil, 1, 1, false},
		{"set already", AttemptsApplied, 1, nil, 1, 1, false},
		{"change applied", AttemptsApplied, 1, nil, 1, 1, false},
		{"reset told", AttemptsApplied, 1, nil, 1, 1, false},
		{"set refused", AttemptsRefused, 1, nil, 0, 0, false},
		{"set refused, set refused", AttemptsRefused, 2, nil, 0, 0, false},
		{"set refused, set applied", AttemptsApplied, 2, nil, 2, 2, false},
		{"set applied, set refused", AttemptsApplied, 1, nil, 1, 1, false},
		{"set applied, set already", AttemptsApplied, 2, nil, 1, 2, false},
		{"set unknown, set refused", AttemptsDoubtful, 1, []int{1}, 0, 1, false},
		{"set unknown, set applied", AttemptsApplied, 2, nil, 2, 2, false},
		{"set applied, set unknown", AttemptsDoubtful, 2, []int{2}, 1, 2, false},
		{"set applied, set unknown, set refused", AttemptsDoubtful, 2, []int{2}, 1, 2, false},
		{"set unknown, set unknown", AttemptsDoubtful, 2, []int{1, 2}, 0, 2, false},
		{"set unknown, set unknown, set applied, set open", AttemptsDoubtful, 0, []int{4}, 3, 4, false},
		{"bridge applied", AttemptsDoubtful, 1, nil, 1, 1, false},
		{"bridge refused", AttemptsRefused, 1, nil, 0, 0, false},
		{"bridge applied, set refused", AttemptsDoubtful, 1, nil, 1, 1, false},
		{"bridge unknown, set refused", AttemptsDoubtful, 1, []int{1}, 0, 1, false},
		{"bridge applied, set applied", AttemptsApplied, 2, nil, 1, 2, false},
		{"set unknown, bridge applied", AttemptsDoubtful, 2, []int{1}, 2, 2, false},
		{"set applied, revert applied", AttemptsApplied, 2, nil, 1, 2, true},
		{"set applied, revert refused", AttemptsApplied, 1, nil, 1, 1, false},
		{"set applied, revert unknown", AttemptsDoubtful, 2, []int{2}, 1, 2, false},
		{"set applied, revert applied, set refused", AttemptsApplied, 2, nil, 1, 2, true},
		{"set applied, revert applied, bridge applied", AttemptsDoubtful, 3, nil, 1, 3, true},
		{"set applied, revert applied, set applied", AttemptsApplied, 3, nil, 1, 3, false},
	} {
		cred := Read(told(t, c.story)).Credential(ann)
		decides := 0
		if cred.Deciding != nil {
			decides = cred.Deciding.Step
		}
		if cred.State != c.state || decides != c.decides || cred.Reverted != c.reverted {
			t.Errorf("%s: stands %d by step %d, reverted %v; want %d by %d, %v", c.story, cred.State, decides, cred.Reverted, c.state, c.decides, c.reverted)
		}
		if got := stepsOf(cred.Open()...); !slices.Equal(got, c.open) {
			t.Errorf("%s: open %v, want %v", c.story, got, c.open)
		}
		if first, held := stepsOf(cred.First()), stepsOf(cred.Held()); !slices.Equal(first, none(c.first)) || !slices.Equal(held, none(c.held)) {
			t.Errorf("%s: the first in force is %v, the newest that may be is %v; want %d, %d", c.story, first, held, c.first, c.held)
		}
		if got, want := cred.Last(), cred.Attempts[len(cred.Attempts)-1]; got != want {
			t.Errorf("%s: the last attempt is %v, want %v", c.story, stepsOf(got), stepsOf(want))
		}
	}
}

// none returns the step in a list, and nothing for 0.
func none(step int) []int {
	if step == 0 {
		return nil
	}
	return []int{step}
}

func TestACredentialWithoutAttemptsIsUntouched(t *testing.T) {
	cred := Read(one(rec(Answer, Verify, 1, sdk.Applied, ""))).Credential(ann)
	if cred == nil || cred.State != Untouched || cred.Deciding != nil || cred.Open() != nil || cred.Last() != nil || cred.First() != nil || cred.Held() != nil {
		t.Errorf("%+v", cred)
	}
}

func TestOnlyAResetThatKeptItsValueIsUntold(t *testing.T) {
	for story, want := range map[string]bool{
		"reset applied":              true,
		"reset already":              true,
		"reset told":                 false,
		"reset refused":              false,
		"reset unknown":              false,
		"set applied":                false,
		"set applied, reset applied": true,
		"reset applied, set applied": false,
		"reset applied, set refused": true,
		"reset applied, set unknown": false,
	} {
		if got := Read(told(t, story)).Credential(ann).Untold(); got != want {
			t.Errorf("%s: untold %v, want %v", story, got, want)
		}
	}
}

// TestTheLastVerifyCountsUntilAnotherValueTakesEffect.
func TestTheLastVerifyCountsUntilAnotherValueTakesEffect(t *testing.T) {
	set := told(t, "set applied")
	verify := func(o sdk.Outcome, code sdk.Code) []Record { return one(rec(Answer, Verify, 9, o, code)) }
	rejected, silent := verify(sdk.Refused, sdk.NotAccepted), verify(sdk.Applied, sdk.Unsupported)
	ofMail := rejected[0]
	ofMail.Cred = "mail"
	for _, c := range []struct {
		name                  string
		log                   []Record
		notAccepted, unproven bool
	}{
		{"not verified", set, false, false},
		{"accepted", join(set, verify(sdk.Applied, "")), false, false},
		{"not accepted", join(set, rejected), true, false},
		{"no verdict", join(set, silent), false, true},
		{"not answered", join(set, verify(sdk.Unknown, sdk.Timeout)), false, false},
		{"unknown whether it is accepted", join(set, verify(sdk.Unknown, sdk.NotAccepted)), false, false},
		{"refused for another reason", join(set, verify(sdk.Refused, sdk.AccountStatus)), false, false},
		{"refused, for it cannot be done", join(set, verify(sdk.Refused, sdk.Unsupported)), false, false},
		{"not accepted, then no verdict", join(set, rejected, silent), false, true},
		{"no verdict, then not accepted", join(set, silent, rejected), true, false},
		{"another kind of credential is not accepted", join(set, one(ofMail)), false, false},
		{"not accepted, then set", join(set, rejected, took(Set, 10, sdk.Applied, "")), false, false},
		{"not accepted, then refused", join(set, rejected, took(Set, 10, sdk.Refused, sdk.Conflict)), true, false},
		{"not accepted, then lost", join(set, rejected, took(Set, 10, sdk.Unknown, sdk.Timeout)), true, false},
	} {
		cred := Read(c.log).Credential(ann)
		if got := cred.NotAccepted != nil; got != c.notAccepted || cred.Unproven != c.unproven {
			t.Errorf("%s: not accepted %v, unproven %v; want %v, %v", c.name, got, cred.Unproven, c.notAccepted, c.unproven)
		}
	}
}

// TestAnAttemptIsUnknownAppliedOrRefused: one of the three, and settled unless
// it is unknown.
func TestAnAttemptIsUnknownAppliedOrRefused(t *testing.T) {
	for _, c := range []struct {
		story                            string
		unknown, applied, refused, stays bool
	}{
		{"set open", true, false, false, false},
		{"set unknown", true, false, false, false},
		{"set applied", false, true, false, true},
		{"set already", false, true, false, true},
		{"set refused", false, false, true, false},
		{"bridge open", true, false, false, false},
		{"bridge applied", false, true, false, false},
	} {
		a := Read(told(t, c.story)).Attempts()[0]
		if a.Unknown() != c.unknown || a.Applied() != c.applied || a.Refused() != c.refused || a.Stays() != c.stays || a.Settled() == c.unknown {
			t.Errorf("%s: unknown %v, applied %v, refused %v, stays %v, settled %v", c.story, a.Unknown(), a.Applied(), a.Refused(), a.Stays(), a.Settled())
		}
	}
}
