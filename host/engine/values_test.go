package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// restarting answers the first questions with an error, as a plugin does that
// is killed and started again.
type restarting struct {
	*target
	left atomic.Int32
	err  error
}

func (r *restarting) away() error {
	if r.left.Add(-1) >= 0 {
		return r.err
	}
	return nil
}

func (r *restarting) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{}, r.away()
}

func (r *restarting) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	if err := r.away(); err != nil {
		return nil, err
	}
	return r.target.Generate(ctx, kind, n)
}

func (r *restarting) Find(ctx context.Context, account string) (sdk.Account, error) {
	if err := r.away(); err != nil {
		return sdk.Account{}, err
	}
	return r.target.Find(ctx, account)
}

// What is asked before a value is there may be asked again: a user does not
// fail because a plugin was restarted at that moment.
func TestQuestionsOutliveARestartOfThePlugin(t *testing.T) {
	hooks := map[string]script{
		"rules": generateAndSet("a"),
		"its own values": func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, err := s.Generate(ctx, GenerateStep{Generator: "a"})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		},
		"accounts": func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Find, Backend: "a", Account: row.Key})); bad != nil {
				return *bad
			}
			return generateAndSet("a")(ctx, row, s)
		},
	}
	for name, hook := range hooks {
		for _, c := range []struct {
			code  sdk.Code
			times int32
			want  journal.Status
		}{
			{sdk.ConnectionLost, 2, journal.Done}, {sdk.Unreachable, 2, journal.Done}, {sdk.TargetUnavailable, 2, journal.Done},
			{sdk.ConnectionLost, 3, journal.Failed}, {sdk.TargetError, 1, journal.Failed},
		} {
			b := newBook(1)
			x := &restarting{target: newTarget(t, b), err: sdk.Errorf(c.code, "away")}
			x.left.Store(c.times)
			be := x.backend("a")
			be.Instance = x
			be.Abilities = append(be.Abilities, sdk.CanPolicy)
			apply(t, jobOf(b, hook, be))
			if got := b.finished(1); got.Detail.Status != c.want || c.want == journal.Failed && got.Code != c.code {
				t.Errorf("%s, %s %d times: %s %s, want %s", name, c.code, c.times, got.Detail.Status, got.Code, c.want)
			}
		}
	}
}

// scarce is a generator that makes one value and then says why it makes none.
type scarce struct {
	*target
	made bool
	err  error
}

func (x *scarce) Generate(context.Context, string, int) ([]secret.Value, error) {
	if x.made {
		return nil, x.err
	}
	x.made = true
	return []secret.Value{secret.New("the-only-one")}, nil
}

// A value that was refused by policy and cannot be replaced: the user fails for
// what kept the next value from being made, which is what has to be mended.
func TestAValueThatCannotBeReplacedSaysWhy(t *testing.T) {
	for _, code := range []sdk.Code{sdk.Unreachable, sdk.TargetError} {
		b := newBook(1)
		x := &scarce{target: newTarget(t, b), err: sdk.Errorf(code, "away")}
		x.say = func(int, sdk.Operation) sdk.Receipt {
			return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleOpaque}}})
		}
		be := x.backend("a")
		be.Instance = x
		apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, err := s.Generate(ctx, GenerateStep{Generator: "a"})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		}), be))
		if got := b.finished(1); got.Code != code || got.Detail.Message != "after PolicyViolation: generate: away" {
			t.Errorf("got %s: %s, want %s", got.Code, got.Detail.Message, code)
		}
	}
}

// counting is a generator that tells how many values it was asked for.
type counting struct {
	*target
	asked atomic.Int64
	most  atomic.Int64
}

func (x *counting) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	x.asked.Add(int64(n))
	x.most.Store(max(x.most.Load(), int64(n)))
	return x.target.Generate(ctx, kind, n)
}

// No more values are asked for than users are left: some generators make one a
// request.
func TestGeneratorsAreAskedForNoMoreValuesThanUsersAreLeft(t *testing.T) {
	for _, c := range []struct{ users, most int64 }{{1, 1}, {5, 5}, {32, 32}, {33, 32}, {200, 32}} {
		b := newBook(int(c.users))
		x := &counting{target: newTarget(t, b)}
		be := x.backend("a")
		be.Instance = x
		apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, err := s.Generate(ctx, GenerateStep{Generator: "a"})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		}), be))
		if x.asked.Load() != c.users || x.most.Load() != c.most {
			t.Errorf("%d users: %d values were asked for, %d at once; want %d, %d", c.users, x.asked.Load(), x.most.Load(), c.users, c.most)
		}
	}
}

// A user may take of several kinds, and several values of one.
func TestGeneratorsServeUsersOfSeveralKinds(t *testing.T) {
	b := newBook(40)
	x := &counting{target: newTarget(t, b)}
	be := x.backend("a")
	be.Instance = x
	apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for _, kind := range []string{"sip", "web", "sip"} {
			v, err := s.Generate(ctx, GenerateStep{Generator: "a", Kind: kind})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key + kind, Value: v})); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}), be))
	for user := range int64(40) {
		if got := b.finished(user + 1); got.Detail.Status != journal.Done {
			t.Fatalf("user %d: %s %s %s", user, got.Detail.Status, got.Code, got.Detail.Message)
		}
	}
	if n := x.asked.Load(); n < 120 || n > 160 {
		t.Errorf("%d values were asked for, want about one for each of 120 takings", n)
	}
}

// TestThePlanSaysWhatValuesOfAKindAreLike, and names no kind where there is none.
func TestThePlanSaysWhatValuesOfAKindAreLike(t *testing.T) {
	r := &recipes{policies: &policies{known: map[[2]string]sdk.Policy{}}, known: map[recipeKey]*recipe{}}
	for _, kind := range []string{"", "sip"} {
		if _, err := r.of(t.Context(), GenerateStep{Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	r.cell(recipeKey{kind: "never made"})
	list := r.notes()
	slices.Sort(list)
	if len(list) != 2 || !strings.HasPrefix(list[0], "generated values have ") || !strings.HasPrefix(list[1], `kind "sip": generated values have `) {
		t.Errorf("got %q", list)
	}
}

// TestAGeneratorIsOneOfABackendThatHasOne.
func TestAGeneratorIsOneOfABackendThatHasOne(t *testing.T) {
	c := &minter{dispatchers: map[string]*dispatcher{"a": {backend: Backend{Abilities: []sdk.Ability{sdk.CanGenerate}}}, "b": {}}}
	for label, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if err := c.generates(label); (err == nil) != want {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// TestAUserCountsOnceForAKindOfValue: how many are left is a question of users.
func TestAUserCountsOnceForAKindOfValue(t *testing.T) {
	var w demand
	w.come(5)
	sip, web := poolKey{"a", "sip"}, poolKey{"a", "web"}
	var ann []poolKey
	w.take(sip, &ann)
	w.take(sip, &ann)
	w.take(sip, nil) // nobody's: a bridge
	w.take(web, &ann)
	if len(ann) != 2 || w.left(sip) != 4 || w.left(web) != 4 || w.left(poolKey{"b", ""}) != 5 {
		t.Errorf("taken %v, left %d and %d of 5; want 4 each", ann, w.left(sip), w.left(web))
	}
	if w.leave(ann); w.left(sip) != 4 {
		t.Errorf("%d left when the user has ended, want 4", w.left(sip))
	}
}

// TestAValueIsAsTheWorkflowWantsIt where the step says nothing of its own, and as
// its targets want it.
func TestAValueIsAsTheWorkflowWantsIt(t *testing.T) {
	wide, strict := newTarget(t, newBook(0)), newTarget(t, newBook(0))
	strict.policy = sdk.Policy{MinLength: 40}
	a, b := wide.backend("a"), strict.backend("b")
	a.Abilities, b.Abilities = append(a.Abilities, sdk.CanPolicy), append(b.Abilities, sdk.CanPolicy)
	r := &recipes{backends: []Backend{a, b}, standard: &password.Spec{MinLength: new(24)}, policies: &policies{known: map[[2]string]sdk.Policy{}}, known: map[recipeKey]*recipe{}}
	for _, c := range []struct {
		name string
		step GenerateStep
		want int
	}{
		{"the workflow's, for one", GenerateStep{Targets: []string{"a"}}, 24}, {"for all", GenerateStep{}, 40}, {"for the other", GenerateStep{Targets: []string{"b"}}, 40},
		{"its own", GenerateStep{Policy: &password.Spec{MinLength: new(30)}, Targets: []string{"a"}}, 30}, {"for one, again", GenerateStep{Targets: []string{"a"}}, 24},
	} {
		got, err := r.of(t.Context(), c.step)
		if err != nil || got.Shape() != fmt.Sprintf("%d characters", c.want) {
			t.Errorf("%s: %v, %v; want %d characters", c.name, got, err, c.want)
		}
	}
	for _, note := range r.notes() {
		if strings.HasSuffix(note, "dropped: ") {
			t.Errorf("nothing was dropped: %q", note)
		}
	}
}

// TestRulesThatCannotBeToldFailTheUser with why, and are no defect of the script
// but where they want a kind that there is not.
func TestRulesThatCannotBeToldFailTheUser(t *testing.T) {
	for _, c := range []struct {
		name  string
		kinds []sdk.Kind
		kind  string
		code  sdk.Code
		fault bool
	}{
		{"a kind that it does not have", []sdk.Kind{{Name: "sip"}}, "web", sdk.InvalidOperation, true}, {"away", []sdk.Kind{{Name: "sip"}}, "web", sdk.TargetError, false},
		{"odd, of a kind that it has", []sdk.Kind{{Name: "sip"}}, "sip", sdk.InvalidOperation, false},
	} {
		x := &restarting{target: newTarget(t, newBook(0)), err: sdk.Errorf(c.code, "no")}
		x.left.Store(1)
		be := x.backend("a")
		be.Instance, be.Abilities, be.Description.Kinds = x, append(be.Abilities, sdk.CanPolicy), c.kinds
		r := &recipes{backends: []Backend{be}, policies: &policies{known: map[[2]string]sdk.Policy{}}, known: map[recipeKey]*recipe{}}
		_, err := r.of(t.Context(), GenerateStep{Kind: c.kind})
		var f *journal.Fault
		if is := errors.As(err, &f); err == nil || is != c.fault {
			t.Errorf("%s: %v, a defect of the script: %v", c.name, err, is)
		}
	}
}
