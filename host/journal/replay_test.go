package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
)

func call(verb string) Call { return Call{verb, ann} }

// putBack ends a round with a status, and begins another.
func putBack(with Status) []Record {
	return []Record{{Kind: Finished, User: 1, Detail: Detail{Status: with}}, {Kind: Reopened, User: 1}}
}

// moved returns the records with another step and try.
func moved(log []Record, step, try int) []Record {
	log = slices.Clone(log)
	for i := range log {
		log[i].Step, log[i].Try = step, try
	}
	return log
}

// taken returns the step that a call takes up, and fails where it diverges.
func taken(t *testing.T, h *History, ordinal int, verb string) *RecordedStep {
	t.Helper()
	s, err := h.Replay.At(ordinal, call(verb))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAReplayedHookFindsItsSteps(t *testing.T) {
	h := Read(join(told(t, "set applied, unlock refused"), one(rec(Answer, Verify, 3, sdk.Applied, ""))))
	if s := taken(t, h, 1, Set); len(s.Attempts) != 1 || !s.Last().Applied() || s.State() != AttemptsApplied || s.Answer != nil {
		t.Errorf("the set: %+v", s)
	}
	if s := taken(t, h, 2, Unlock); len(s.Attempts) != 1 || !s.Last().Refused() || s.Ordinal != 2 {
		t.Errorf("the unlock: %+v", s)
	}
	if s := taken(t, h, 3, Verify); s.Answer != h.Records()[4] || s.Last() != nil {
		t.Errorf("the verify: %+v", s)
	}
	fresh := taken(t, h, 4, Set)
	if len(fresh.Attempts) != 0 || fresh.Answer != nil || fresh.State() != Untouched || fresh.Last() != nil {
		t.Errorf("a step that was never taken: %+v", fresh)
	}
	if again := taken(t, h, 4, Set); again != fresh {
		t.Error("the same call at the same place is another step")
	}
	if h.Replay.Highest() != 4 || (&Replay{}).Highest() != 0 {
		t.Errorf("the highest place is %d", h.Replay.Highest())
	}
}

// TestAnotherStepAtARecordedPlaceDiverges, whatever it differs in.
func TestAnotherStepAtARecordedPlaceDiverges(t *testing.T) {
	was := Credential{"a", "ann", "mail"}
	log := told(t, "set applied")
	for i := range log {
		log[i].Cred = "mail"
	}
	for _, is := range []Call{{Change, was}, {Set, Credential{"b", "ann", "mail"}}, {Set, Credential{"a", "bea", "mail"}}, {Set, Credential{"a", "ann", ""}}} {
		s, err := Read(log).Replay.At(1, is)
		var diverged *Divergence
		if s != nil || !errors.As(err, &diverged) {
			t.Fatalf("%s: %+v %v", is, s, err)
		}
		want := fmt.Sprintf(`step 1 was "set a ann (mail)" when it was recorded and is %q now; run the script that was recorded`, is)
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
}

func TestAPlaceWithAStepIsNoneWithout(t *testing.T) {
	h := Read(told(t, "set applied"))
	if err := h.Replay.NoStepAt(2, "generate"); err != nil {
		t.Error(err)
	}
	want := `step 1 was "set a ann" when it was recorded and is "generate" now; run the script that was recorded`
	if err := h.Replay.NoStepAt(1, "generate"); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestAHookThatEndsBeforeItsRecordedStepsDiverges; what the host set back is no
// step of the hook.
func TestAHookThatEndsBeforeItsRecordedStepsDiverges(t *testing.T) {
	h := Read(told(t, "set applied, unlock applied, revert applied"))
	for last, diverges := range []bool{true, true, false, false} {
		if err := h.Replay.Beyond(last); (err != nil) != diverges {
			t.Errorf("after step %d: %v", last, err)
		}
	}
	want := `step 2 was "unlock a ann" when it was recorded and is not taken now; run the script that was recorded`
	if err := h.Replay.Beyond(1); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestACallThatWasGivenUpIsNoStep: an older rekey recorded it.
func TestACallThatWasGivenUpIsNoStep(t *testing.T) {
	h := Read(one(rec(Answer, Verify, 1, sdk.Refused, sdk.Cancelled)))
	if err := h.Replay.NoStepAt(1, "generate"); err != nil {
		t.Error(err)
	}
}

// TestARetryKeepsWhatTookEffect or may have, and was not set back. Another round
// that settles what was left unknown keeps all.
func TestARetryKeepsWhatTookEffect(t *testing.T) {
	find := func(o sdk.Outcome) []Record { return one(rec(Answer, Find, 1, o, "")) }
	for _, c := range []struct {
		name string
		log  []Record
		verb string
		kept bool
	}{
		{"a set", told(t, "set applied"), Set, true},
		{"a set of an earlier attempt", told(t, "set already"), Set, true},
		{"a set that is not known", told(t, "set unknown"), Set, true},
		{"a bridge", told(t, "bridge applied"), Set, true},
		{"a set that was refused", told(t, "set refused"), Set, false},
		{"an unlock", told(t, "unlock applied"), Unlock, true},
		{"an unlock that was refused", told(t, "unlock refused"), Unlock, false},
		{"a set that was set back", told(t, "set applied, revert applied"), Set, false},
		{"a set that could not be set back", told(t, "set applied, revert refused"), Set, true},
		{"a set of which it is not known whether it was set back", told(t, "set applied, revert unknown"), Set, true},
		{"a set, and another account set back", join(told(t, "set applied"), onAll("b", moved(told(t, "revert applied"), 2, 0))), Set, true},
		{"the second value of a step", join(told(t, "set refused"), moved(told(t, "set applied"), 1, 1)), Set, true},
		{"what was found", find(sdk.Applied), Find, true},
		{"what was not found", find(sdk.Refused), Find, false},
		{"what was not answered", find(sdk.Unknown), Find, false},
		{"a set that the host refused", one(rec(Answer, Set, 1, sdk.Refused, DuplicateAccount)), Set, false},
	} {
		for status, want := range map[Status]bool{Failed: c.kept, Partial: c.kept, Unresolved: true} {
			s := taken(t, Read(join(c.log, putBack(status))), 1, c.verb)
			if got := len(s.Attempts) > 0 || s.Answer != nil; got != want {
				t.Errorf("%s, put back from %q: kept %v, want %v", c.name, status, got, want)
			}
		}
	}
}

// TestARetryKeepsNothingThatASetBackHasOutdated, of whichever label or kind: a
// revoke ended the sessions of before, and a verify asked of another value.
func TestARetryKeepsNothingThatASetBackHasOutdated(t *testing.T) {
	mail := func(log []Record) []Record {
		for i := range log {
			log[i].Cred = "mail"
		}
		return log
	}
	step := func(n int, story string) []Record { return moved(told(t, story), n, 0) }
	verified := one(rec(Answer, Verify, 2, sdk.Applied, ""))
	found := one(rec(Answer, Find, 2, sdk.Applied, ""))
	for _, c := range []struct {
		name string
		log  []Record
		verb string
		kept bool
	}{
		{"a revoke of another label", join(onAll("b", step(1, "set applied")), step(2, "revoke applied"), onAll("b", step(3, "revert applied"))), Revoke, false},
		{"a revoke of another kind", join(mail(step(1, "set applied")), step(2, "revoke applied"), mail(step(3, "revert applied"))), Revoke, false},
		{"a verify of another label", join(onAll("b", step(1, "set applied")), verified, onAll("b", step(3, "revert applied"))), Verify, false},
		{"a verify of another kind", join(mail(step(1, "set applied")), verified, mail(step(3, "revert applied"))), Verify, false},
		{"a revoke, and a set-back in doubt", join(onAll("b", step(1, "set applied")), step(2, "revoke applied"), onAll("b", step(3, "revert unknown"))), Revoke, false},
		{"a revoke, and a set-back that was refused", join(onAll("b", step(1, "set applied")), step(2, "revoke applied"), onAll("b", step(3, "revert refused"))), Revoke, true},
		{"a revoke of after a set-back", join(onAll("b", step(1, "set applied, revert applied")), putBack(Failed), step(2, "revoke applied")), Revoke, true},
		{"a revoke, and nothing set back", join(step(1, "set refused"), step(2, "revoke applied")), Revoke, true},
		{"a revoke asked again and refused", join(step(2, "revoke applied"), moved(told(t, "revoke refused"), 2, 1)), Revoke, false},
		{"an unlock", join(onAll("b", step(1, "set applied")), step(2, "unlock applied"), onAll("b", step(3, "revert applied"))), Unlock, true},
		{"a find", join(onAll("b", step(1, "set applied")), found, onAll("b", step(3, "revert applied"))), Find, true},
	} {
		s := taken(t, Read(join(c.log, putBack(Partial))), 2, c.verb)
		if got := len(s.Attempts) > 0 || s.Answer != nil; got != c.kept {
			t.Errorf("%s: kept %v, want %v", c.name, got, c.kept)
		}
	}
}

// TestWhatIsSentBeforeAStepOutdatesIt where the step ages: a set of any label
// that is sent, or settled, after the step was asked.
func TestWhatIsSentBeforeAStepOutdatesIt(t *testing.T) {
	settled := func() []Record { return one(rec(Outcome, Set, 1, sdk.Applied, "")) }
	verified := one(rec(Answer, Verify, 2, sdk.Refused, sdk.NotAccepted))
	found := one(rec(Answer, Find, 2, sdk.Applied, ""))
	step := func(n int, story string) []Record { return moved(told(t, story), n, 0) }
	for _, c := range []struct {
		name string
		log  []Record
		verb string
		want bool
	}{
		{"a revoke", join(step(1, "set unknown"), step(2, "revoke applied"), settled()), Revoke, true},
		{"a revoke of after it", join(step(1, "set unknown"), settled(), step(2, "revoke applied")), Revoke, false},
		{"a revoke that was asked again", join(step(1, "set unknown"), step(2, "revoke applied"), settled(), moved(told(t, "revoke applied"), 2, 1)), Revoke, false},
		{"a verify", join(step(1, "set unknown"), verified, settled()), Verify, true},
		{"a verify that was asked again", join(step(1, "set unknown"), verified, settled(), verified), Verify, false},
		{"an unlock", join(step(1, "set unknown"), step(2, "unlock applied"), settled()), Unlock, false},
		{"a find", join(step(1, "set unknown"), found, settled()), Find, false},
		{"a step behind it", join(step(2, "revoke applied"), step(3, "set applied")), Revoke, false},
	} {
		for _, backend := range []string{"a", "b"} {
			h := Read(onAll(backend, slices.Clone(c.log)))
			for i, verb := range []string{Set, c.verb} {
				s, err := h.Replay.At(i+1, Call{verb, Credential{backend, "ann", ""}})
				if got := i == 1 && h.Replay.Outdated(s); err != nil || i == 1 && got != c.want {
					t.Errorf("%s of %s: outdated %v, %v; want %v", c.name, backend, got, err, c.want)
				}
			}
		}
	}
}

func onAll(backend string, log []Record) []Record {
	for i := range log {
		log[i].Backend = backend
	}
	return log
}

// TestARoundKnowsWhatItIsThereFor, and whether it has sent anything yet.
func TestARoundKnowsWhatItIsThereFor(t *testing.T) {
	first := told(t, "set unknown")
	for _, c := range []struct {
		name          string
		log           []Record
		settles, sent bool
	}{
		{"the first, before anything is sent", nil, false, false},
		{"the first", first, false, true},
		{"a read", one(rec(Answer, Verify, 1, sdk.Applied, "")), false, false},
		{"a retry", join(first, putBack(Partial)), false, false},
		{"a settling", join(first, putBack(Unresolved)), true, false},
		{"a settling that sends", join(first, putBack(Unresolved), moved(first[:1], 1, 1)), true, true},
		{"a retry after a settling", join(first, putBack(Unresolved), putBack(Failed)), false, false},
	} {
		if p := Read(c.log).Replay; p.RecoveryRound != c.settles || p.Sent != c.sent {
			t.Errorf("%s: settles %v, sent %v; want %v, %v", c.name, p.RecoveryRound, p.Sent, c.settles, c.sent)
		}
	}
}

// TestAStepOfAnEarlierRoundIsTakenUpOnce: by the call at its own place before
// any other, else the first like it, in whatever order they were recorded.
func TestAStepOfAnEarlierRoundIsTakenUpOnce(t *testing.T) {
	first, third := told(t, "set applied"), moved(told(t, "set applied"), 3, 0)
	for _, log := range [][]Record{join(first, third, putBack(Failed)), join(third, first, putBack(Failed))} {
		for _, c := range []struct{ calls, finds []int }{
			{[]int{1, 2, 3}, []int{1, 3, 0}},
			{[]int{3, 1, 2}, []int{3, 1, 0}},
			{[]int{2, 3, 4}, []int{1, 3, 0}},
			{[]int{3, 4, 5}, []int{3, 1, 0}},
		} {
			h, finds := Read(log), []int(nil)
			for _, ordinal := range c.calls {
				s := taken(t, h, ordinal, Set)
				found := 0
				if len(s.Attempts) > 0 {
					found = s.Attempts[0].Intent.Step
				}
				finds = append(finds, found)
			}
			if !slices.Equal(finds, c.finds) {
				t.Errorf("calls at %v find the steps %v, want %v", c.calls, finds, c.finds)
			}
		}
		if s := taken(t, Read(log), 1, Change); len(s.Attempts) != 0 {
			t.Error("a change has taken up the step of a set")
		}
	}
}

// TestWhatIsSentToSettleAStepBelongsToIt, and to no other that is like it.
func TestWhatIsSentToSettleAStepBelongsToIt(t *testing.T) {
	lost := told(t, "set unknown")
	again := moved(told(t, "set applied"), 3, 1)
	h := Read(join(lost, moved(lost, 3, 0), putBack(Unresolved), again))
	first, third := taken(t, h, 1, Set), taken(t, h, 3, Set)
	if len(first.Attempts) != 1 || len(third.Attempts) != 2 || third.Last() != h.Attempt(3, 1) {
		t.Errorf("step 1 has %d attempts, step 3 has %d", len(first.Attempts), len(third.Attempts))
	}
	other := onAll("b", moved(told(t, "set applied"), 1, 1))
	h = Read(join(told(t, "set applied"), putBack(Failed), other))
	if s := taken(t, h, 2, Set); len(s.Attempts) != 1 || s.Last() != h.Attempt(1, 0) {
		t.Errorf("what was sent to another account is among the %d attempts of the step", len(s.Attempts))
	}
	if s, err := h.Replay.At(1, Call{Set, Credential{Backend: "b", Account: "ann"}}); err != nil || len(s.Attempts) != 1 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestATryHasItsNumberForGood: over rounds, and in whatever order they come.
func TestATryHasItsNumberForGood(t *testing.T) {
	first := told(t, "set refused")
	for _, c := range []struct {
		name string
		log  []Record
		want int
	}{
		{"none", nil, 0},
		{"one", first, 1},
		{"two", join(first, moved(first, 1, 1)), 2},
		{"two, the newer first", join(moved(first, 1, 1), first), 2},
		{"two over rounds", join(first, putBack(Failed), moved(first, 1, 1)), 2},
		{"one of an earlier round", join(first, putBack(Failed)), 1},
		{"those of another step", moved(first, 2, 5), 0},
	} {
		h := Read(c.log)
		if got := h.Replay.NextTry(1); got != c.want {
			t.Errorf("%s: the next is %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAStepKnowsWhatTheTargetCallsItsAccount(t *testing.T) {
	log := told(t, "set refused, unlock applied")
	log[0].Detail.Identity = "id 7"
	h := Read(log)
	if s := taken(t, h, 1, Set); s.Identity != "id 7" {
		t.Errorf("%q", s.Identity)
	}
	if s := taken(t, h, 2, Unlock); s.Identity != "" {
		t.Errorf("%q", s.Identity)
	}
}

func TestAStepRecoversWhileItsHostDoesWhatTheScriptDidNotAsk(t *testing.T) {
	inside := told(t, "change applied")
	inside[0].Detail.Op = "set"
	for name, c := range map[string]struct {
		log  []Record
		want bool
	}{
		"a set":                    {told(t, "set unknown"), false},
		"a bridge":                 {told(t, "bridge applied"), true},
		"a set inside a change":    {inside, true},
		"a second value of a step": {join(told(t, "bridge applied"), moved(told(t, "set unknown"), 1, 1)), true},
	} {
		h := Read(c.log)
		if got := taken(t, h, 1, h.Records()[0].Verb).Recovering(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestWhatWasSetBackIsFoundOverAllRounds.
func TestWhatWasSetBackIsFoundOverAllRounds(t *testing.T) {
	log := join(told(t, "set applied, revert unknown"), onAll("b", moved(told(t, "revert unknown"), 3, 0)), putBack(Unresolved),
		moved(told(t, "revert refused"), 4, 0))
	h := Read(log)
	var places []int
	for _, s := range h.Replay.Backs() {
		places = append(places, s.Ordinal)
	}
	if want := []int{2, 3, 4}; !slices.Equal(places, want) {
		t.Errorf("set back at %v, want %v", places, want)
	}
	for name, want := range map[Credential]int{ann: 4, {Backend: "b", Account: "ann"}: 3} {
		if s := h.Replay.Back(name); s == nil || s.Ordinal != want || s.Call != name.Back() {
			t.Errorf("%v was last set back in %+v, want step %d", name, s, want)
		}
	}
	if s := h.Replay.Back(Credential{Backend: "c", Account: "ann"}); s != nil {
		t.Errorf("step %d has set another credential back", s.Ordinal)
	}
}

// TestAReplayedGenerateReturnsTheValueThatWasSentLast: of rounds before a retry
// only one that took effect, or may have.
func TestAReplayedGenerateReturnsTheValueThatWasSentLast(t *testing.T) {
	of := func(origin int, log []Record) []Record {
		log = slices.Clone(log)
		for i := range log {
			log[i].Origin = origin
		}
		return log
	}
	set, refused, bridge := of(1, told(t, "set applied")), of(1, told(t, "set refused")), of(1, told(t, "bridge applied"))
	for _, c := range []struct {
		name string
		log  []Record
		want string // step and try; "": none
	}{
		{"nothing", nil, ""},
		{"a set", set, "1 0"},
		{"a value of another generate", of(2, told(t, "set applied")), ""},
		{"a value that was given", told(t, "set applied"), ""},
		{"a bridge", bridge, ""},
		{"a set that was refused", refused, "1 0"},
		{"another after a refusal", join(refused, moved(set, 1, 1)), "1 1"},
		{"a bridge, and then the value", join(bridge, moved(set, 1, 1)), "1 1"},
		{"the value, and then a bridge", join(set, moved(bridge, 1, 1)), "1 0"},
		{"at two accounts", join(set, onAll("b", moved(set, 2, 0))), "2 0"},
		{"another try of the first step, behind the second", join(set, onAll("b", moved(set, 2, 0)), moved(set, 1, 1)), "1 1"},
		{"a set before a retry", join(set, putBack(Partial)), "1 0"},
		{"a refusal before a retry", join(refused, putBack(Failed)), ""},
		{"a set and a refusal before a retry", join(set, moved(refused, 1, 1), putBack(Failed)), "1 0"},
		{"a refusal before a settling", join(refused, putBack(Unresolved)), "1 0"},
		{"a set and a refusal before a settling", join(set, moved(refused, 1, 1), putBack(Unresolved)), "1 1"},
		{"a set before a retry, and a refusal in it", join(set, putBack(Partial), onAll("b", moved(refused, 2, 0))), "2 0"},
	} {
		got, h := "", Read(c.log)
		if r := h.Replay.Generated(1); r != nil {
			got = fmt.Sprint(r.Step, " ", r.Try)
			if r.Kind != Intent || !strings.HasPrefix(string(r.Sealed), "value") {
				t.Errorf("%s: the value is not in the record: %+v", c.name, r)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestACallSaysWhatItIsAbout.
func TestACallSaysWhatItIsAbout(t *testing.T) {
	if got := call(Set).String(); got != "set a ann" {
		t.Error(got)
	}
	if got := (Credential{"a", "ann", "mail"}).Back().String(); got != "revert a ann (mail)" {
		t.Error(got)
	}
}

// TestASettlingLosesNoAttempt: whatever was recorded, a hook that takes the same
// steps once more finds each attempt again, and finds it once.
func TestASettlingLosesNoAttempt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t)
		h := Read(join(w.log, putBack(Unresolved)))
		found := map[*Attempt]bool{}
		for _, a := range h.Attempts() {
			s, err := h.Replay.At(a.Intent.Step, CallOf(a.Intent))
			if err != nil {
				t.Fatal(err)
			}
			if s.Answer != nil {
				found[a] = s.Answer == a.Intent
			}
			for _, of := range s.Attempts {
				if found[of] {
					t.Fatalf("step %d was found twice", of.Intent.Step)
				}
				found[of] = true
			}
		}
		for _, a := range h.Attempts() {
			if !found[a] {
				t.Fatalf("step %d was not found", a.Intent.Step)
			}
		}
		if err := h.Replay.Beyond(0); err != nil {
			t.Fatal(err)
		}
	})
}
