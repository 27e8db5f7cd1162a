package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// TestWhatAHookIsToBlameFor, in an exercise, and where only the first user of a wave
// is tried.
func TestWhatAHookIsToBlameFor(t *testing.T) {
	raised := func(fault *journal.Fault) journal.Verdict {
		return journal.Verdict{Kind: journal.Raised, Fault: fault}
	}
	for _, tt := range []struct {
		name            string
		in              journal.Verdict
		faulty, certain bool
	}{
		{"nothing", journal.Verdict{}, false, false},
		{"failed()", journal.Verdict{Kind: journal.SaidFailed}, false, false},
		{"a misspelt name", raised(&journal.Fault{Code: journal.ScriptError}), true, true},
		{"an index of this row", raised(&journal.Fault{Code: journal.ScriptError, OfRow: true}), true, false},
		{"a step that the backend lacks", raised(static(misuse("cannot reset"))), true, true},
		{"an empty value", raised(misuse("the value is empty")), true, false},
		{"raised, and nobody knows what", journal.Verdict{Kind: journal.Raised}, false, false},
		{"failed() with what came before", journal.Verdict{Kind: journal.SaidFailed, Fault: &journal.Fault{Code: journal.ScriptError}}, false, false},
		{"a refusal", raised(&journal.Fault{Code: sdk.AccountNotFound}), false, false},
		{"a refusal of a step", journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: sdk.InvalidOperation}, Refused: &journal.Result{}}, false, false},
	} {
		if got := faulty(tt.in); got != tt.faulty || got && certain(tt.in) != tt.certain {
			t.Errorf("%s: faulty %v, want %v, and certain %v", tt.name, got, tt.faulty, tt.certain)
		}
	}
}

// exercised plans for users with a hook, and returns what is wrong.
func exercised(t *testing.T, how Exercise, users int, hook func(ctx context.Context, row source.Row, steps *Steps) journal.Verdict) string {
	t.Helper()
	var list pages
	for i := range users {
		list = append(list, source.Row{Line: i + 2, Key: keyOf(int64(i))})
	}
	job := PlanJob{Users: list, Waves: all(), Draft: newSheet(), Hooks: script(hook), Random: rand.Reader, Backends: []Backend{newTarget(t, newBook(1)).backend("a")}, Exercise: how}
	_, err := MakePlan(t.Context(), job)
	var found *diag.Problems
	if err != nil && !errors.As(err, &found) {
		t.Fatal(err)
	}
	return fmt.Sprint(err)
}

// TestAnExerciseFindsOneUserInThousands, as many as it tries.
func TestAnExerciseFindsOneUserInThousands(t *testing.T) {
	hook := func(_ context.Context, row source.Row, _ *Steps) journal.Verdict {
		if row.Key == keyOf(1500) {
			return raisedBy(&journal.Fault{Code: journal.ScriptError, OfRow: true, Message: "no such team (s.star:7)", File: "s.star", Line: 7, Column: 3})
		}
		return journal.Verdict{}
	}
	want := fmt.Sprintf(`s.star:7:3: rotate(%q), tried on simulated steps: no such team`, keyOf(1500))
	if got := exercised(t, Exercise{Users: 2000}, 2000, hook); got != want {
		t.Errorf("found %s\nwant %s", got, want)
	}
	for _, users := range []int64{0, 1500} {
		if got := exercised(t, Exercise{Users: users}, 2000, hook); got != "<nil>" {
			t.Errorf("with %d users it found %s", users, got)
		}
	}
}

// TestAnExerciseBlamesNoHookForWhatItMadeUp: a hook may fail for what a find finds, if
// that is made up, but not whatever it finds.
func TestAnExerciseBlamesNoHookForWhatItMadeUp(t *testing.T) {
	ofRow := raisedBy(&journal.Fault{Code: journal.ScriptError, OfRow: true, Message: "no"})
	for _, c := range []struct {
		name  string
		bad   func(sdk.Account) bool
		wrong bool
	}{
		{"no date", func(account sdk.Account) bool { return account.ChangedAt.IsZero() }, false},
		{"an id that is the name", func(account sdk.Account) bool { return account.ID == account.Account }, false},
		{"must change", func(account sdk.Account) bool { return account.MustChange != nil && *account.MustChange }, false},
		{"active, which is for who unlocks", func(account sdk.Account) bool { return account.Status == sdk.StatusActive }, false},
		{"an id that is no DN", func(account sdk.Account) bool { return !strings.Contains(account.ID, ",") }, false},
		{"any", func(sdk.Account) bool { return true }, true},
	} {
		got := exercised(t, Exercise{Users: 9}, 2, func(ctx context.Context, row source.Row, steps *Steps) journal.Verdict {
			result, err := steps.Do(ctx, journal.Step{Verb: journal.Find, Backend: "a", Account: row.Key})
			if err != nil {
				return raisedBy(err)
			}
			if c.bad(*result.Account) {
				return ofRow
			}
			return journal.Verdict{}
		})
		if (got != "<nil>") != c.wrong {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestAnExerciseRefusesAShare of the steps of a verb, the same at every time.
func TestAnExerciseRefusesAShare(t *testing.T) {
	refused := 0
	hook := func(ctx context.Context, row source.Row, steps *Steps) journal.Verdict {
		result, err := steps.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: given("value")})
		if err != nil {
			return raisedBy(err)
		}
		if result.OK() {
			return journal.Verdict{}
		}
		refused++
		return raisedBy(&journal.Fault{Code: journal.ScriptError, OfRow: true, Message: "handles no refusal", File: "s.star", Line: 1})
	}
	said := exercised(t, Exercise{Users: 1000, Refuse: map[string]float64{journal.Set: 0.2}}, 1000, hook)
	if refused < 150 || refused > 250 || !strings.Contains(said, "of which some are refused: handles no refusal") {
		t.Errorf("%d of 1000 refused, want about 200: %s", refused, said)
	}
	if again := exercised(t, Exercise{Users: 1000, Refuse: map[string]float64{journal.Set: 0.2}}, 1000, hook); again != said {
		t.Errorf("another time: %s", again)
	}
	for verb, share := range map[string]float64{journal.Set: 0, journal.Change: 1} {
		if got := exercised(t, Exercise{Users: 1000, Refuse: map[string]float64{verb: share}}, 1000, hook); got != "<nil>" {
			t.Errorf("%s %v: %s", verb, share, got)
		}
	}
}

// TestAnExerciseFindsAHookThatDoesNotReplayAlike when the answer to a step is lost
// and the step is settled later.
func TestAnExerciseFindsAHookThatDoesNotReplayAlike(t *testing.T) {
	set := func(account string) journal.Step {
		return journal.Step{Verb: journal.Set, Backend: "a", Account: account, Value: given("value")}
	}
	for _, c := range []struct {
		name  string
		after func(journal.Result) string // account of the step that follows; "": none
		want  string
	}{
		{"whatever comes", func(journal.Result) string { return "next" }, ""},
		{"only if it is applied", func(result journal.Result) string { return map[bool]string{true: "next"}[result.OK()] }, ""},
		{"another if it is not", func(result journal.Result) string { return map[bool]string{true: "next", false: "other"}[result.OK()] }, `goes on with "set a other" as step 2, and when the lost step is found to be applied it takes "set a next" there`},
		{"only if it is not", func(result journal.Result) string { return map[bool]string{false: "other"}[result.OK()] }, `found to be applied it takes no step`},
		{"another if it is refused", func(result journal.Result) string {
			return map[sdk.Outcome]string{sdk.Applied: "next", sdk.Refused: "other"}[result.Outcome]
		}, ""},
	} {
		got := exercised(t, Exercise{Users: 9, Crash: true}, 1, func(ctx context.Context, row source.Row, steps *Steps) journal.Verdict {
			result, err := steps.Do(ctx, set(row.Key))
			if err == nil {
				if next := c.after(result); next != "" {
					_, err = steps.Do(ctx, set(next))
				}
			}
			if err != nil {
				return raisedBy(err)
			}
			return journal.Verdict{}
		})
		if c.want == "" && got != "<nil>" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
