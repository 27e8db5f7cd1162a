package engine

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// knowing makes the target know accounts by several names.
func knowing(x *target, realm string, of map[string]string) Backend {
	x.resolve = func(names []string) ([]sdk.Identity, error) {
		found := make([]sdk.Identity, len(names))
		for n, name := range names {
			found[n] = sdk.Identity{Target: realm, ID: name}
			if id, ok := of[name]; ok {
				found[n].ID = id
			}
		}
		return found, nil
	}
	b := x.backend("web")
	b.Abilities = append(b.Abilities, sdk.CanResolve)
	return b
}

var names = map[string]string{"cyril": "cy", "mail": "cy"}

// sets gives each user's account a value, a step a name: "label/account" or
// "label/account/kind".
func sets(of map[string][]string) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for _, name := range of[row.Key] {
			v, err := s.Generate(ctx, GenerateStep{})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			label, account, _ := strings.Cut(name, "/")
			account, kind, _ := strings.Cut(account, "/")
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: label, Account: account, Kind: kind, Value: v})); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}
}

func TestTwoNamesOfAnAccountHaveOneOwner(t *testing.T) {
	for _, c := range []struct {
		name         string
		realm        string
		first        []string
		second       []string
		refused      bool
		both, labels bool
	}{
		{name: "an alias", first: []string{"web/cy"}, second: []string{"web/cyril"}, refused: true},
		{name: "two aliases", first: []string{"web/mail"}, second: []string{"web/cyril"}, refused: true},
		{name: "two accounts", first: []string{"web/cy"}, second: []string{"web/ann"}},
		{name: "an alias of one target under two labels", realm: "t", first: []string{"web/cy"}, second: []string{"two/cyril"}, refused: true},
		{name: "one name of one target under two labels", realm: "t", first: []string{"web/ann"}, second: []string{"two/ann"}, refused: true},
		{name: "one name of two targets", first: []string{"web/ann"}, second: []string{"two/ann"}},
		{name: "two kinds of one account", first: []string{"web/cy/sip"}, second: []string{"web/cyril/voicemail"}},
		{name: "one kind of one account", first: []string{"web/cy/sip"}, second: []string{"web/cyril/sip"}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(2)
			b.waveOf = func(pos int64) int { return int(pos) - 1 } // one after the other
			x := newTarget(t, b)
			web := knowing(x, c.realm, names)
			web.Description.Kinds = []sdk.Kind{{Name: "sip"}, {Name: "voicemail"}, {Name: ""}}
			two := web
			two.Label = "two"
			job := jobOf(b, sets(map[string][]string{"user1": c.first, "user2": c.second}), web, two)
			job.Waves, job.Planned = append(all(), all()...), []int64{1, 1}
			job.KeyOf = func(pos int64) string { return keyOf(pos) }
			if _, err := Apply(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if got := b.finished(1); got.Detail.Status != journal.Done {
				t.Errorf("first user: %s %s", got.Detail.Status, got.Detail.Message)
			}
			got, sent := b.finished(2), 2
			want := sdk.Code("")
			if c.refused {
				want, sent = journal.DuplicateAccount, 1
			}
			if got.Code != want || x.n != sent {
				t.Errorf("second user: %q (%s) after %d sends, want %q after %d", got.Code, got.Detail.Message, x.n, want, sent)
			}
			if c.refused && !strings.Contains(got.Detail.Message, `"user1"`) {
				t.Errorf("it does not say whose the account is: %s", got.Detail.Message)
			}
		})
	}
}

func TestAUserMayNotGiveOneAccountTwoValuesUnderTwoNames(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	web := knowing(x, "t", names)
	two := web
	two.Label = "two"
	if _, err := Apply(t.Context(), jobOf(b, sets(map[string][]string{"user1": {"web/cy", "two/cyril"}}), web, two)); err != nil {
		t.Fatal(err)
	}
	if got := b.finished(1); got.Detail.Status != journal.Partial || got.Code != journal.DuplicateAccount || x.n != 1 {
		t.Errorf("%s %s after %d sends, want partial DuplicateAccount after 1", got.Detail.Status, got.Code, x.n)
	}
	same := newBook(1)
	y := newTarget(t, same)
	web = knowing(y, "t", names)
	two = web
	two.Label = "two"
	if _, err := Apply(t.Context(), jobOf(same, generateAndSet("web", "two"), web, two)); err != nil {
		t.Fatal(err)
	}
	if got := same.finished(1); got.Detail.Status != journal.Done {
		t.Errorf("one value for two names: %s %s %s, want done", got.Detail.Status, got.Code, got.Detail.Message)
	}
}

func TestAResumeKnowsWhoseTheAccountsAre(t *testing.T) {
	for _, mine := range []string{"cyril", "cy"} { // an opaque identity, and a name that is its own
		b := newBook(2)
		b.waveOf = func(pos int64) int { return int(pos) - 1 }
		x := newTarget(t, b)
		other := map[string]string{"cy": "mail", "cyril": "mail"}[mine]
		hooks := sets(map[string][]string{"user1": {"web/" + mine}, "user2": {"web/" + other}})
		job := jobOf(b, hooks, knowing(x, "", names))
		if _, err := Apply(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		job.Waves, job.Planned = append(all(), all()...), []int64{1, 1}
		if _, err := Apply(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if got := b.finished(2); got.Code != journal.DuplicateAccount || x.n != 1 {
			t.Errorf("%s: the second process: %q after %d sends, want DuplicateAccount after 1", mine, got.Code, x.n)
		}
		for _, r := range b.user(1) {
			if strings.Contains(r.Detail.Identity, "cy") {
				t.Errorf("the identity is told: %q", r.Detail.Identity)
			}
		}
	}
}

// TestNothingIsSentWhileNobodyKnowsWhoseItIs: a target that is away when it is
// asked is asked again, and is not sent to unasked.
func TestNothingIsSentWhileNobodyKnowsWhoseItIs(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails int
		code  sdk.Code
		want  sdk.Code
		sent  int
	}{
		{"away for a moment", 2, sdk.Unreachable, "", 1},
		{"away", 100, sdk.Unreachable, sdk.Unreachable, 0},
		{"a plugin that dies for a moment", 1, sdk.ConnectionLost, "", 1},
		{"broken", 100, sdk.Internal, sdk.Internal, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(1)
			x := newTarget(t, b)
			web := knowing(x, "", nil)
			well, n := x.resolve, 0
			var mu sync.Mutex
			x.resolve = func(names []string) ([]sdk.Identity, error) {
				mu.Lock()
				defer mu.Unlock()
				if n++; n <= c.fails {
					return nil, sdk.Errorf(c.code, "not now")
				}
				return well(names)
			}
			if _, err := Apply(t.Context(), jobOf(b, sets(map[string][]string{"user1": {"web/ann"}}), web)); err != nil {
				t.Fatal(err)
			}
			if got := b.finished(1); got.Code != c.want || x.n != c.sent {
				t.Errorf("%q after %d sends, want %q after %d", got.Code, x.n, c.want, c.sent)
			}
		})
	}
}

func TestANameOfNoAccountIsRefusedByTheTarget(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	web := knowing(x, "", nil)
	x.resolve = func(names []string) ([]sdk.Identity, error) {
		return []sdk.Identity{{Err: sdk.Errorf(sdk.AccountNotFound, "nobody")}}, nil
	}
	x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "nobody")) }
	if _, err := Apply(t.Context(), jobOf(b, sets(map[string][]string{"user1": {"web/ann"}}), web)); err != nil {
		t.Fatal(err)
	}
	if got := b.finished(1); got.Code != sdk.AccountNotFound {
		t.Errorf("%q, want AccountNotFound", got.Code)
	}
}

func TestNamesAreAskedForManyAtOnce(t *testing.T) {
	const users = 500
	b := newBook(users)
	x := newTarget(t, b)
	web := knowing(x, "", nil)
	well, calls := x.resolve, 0
	var mu sync.Mutex
	var asking atomic.Int32
	x.resolve = func(names []string) ([]sdk.Identity, error) {
		if n := asking.Add(1); n > mostQuestions {
			t.Errorf("%d questions at once", n)
		}
		defer asking.Add(-1)
		time.Sleep(time.Millisecond) // as a process and a network take
		mu.Lock()
		defer mu.Unlock()
		calls++
		if len(names) > mostNames {
			t.Errorf("%d names in one question", len(names))
		}
		return well(names)
	}
	if _, err := Apply(t.Context(), jobOf(b, generateAndSet("web"), web)); err != nil {
		t.Fatal(err)
	}
	if b.counts()[journal.Done] != users || calls > users/2 {
		t.Errorf("%v by %d questions", b.counts(), calls)
	}
}

func TestATargetThatIsAwayWhenItIsAskedStopsTheRun(t *testing.T) {
	b := newBook(500)
	x := newTarget(t, b)
	x.bad = true
	web := knowing(x, "", nil)
	web.Abilities, web.Patience, web.Attempts = append(web.Abilities, sdk.CanCheck), 20*time.Millisecond, 1000
	x.resolve = func([]string) ([]sdk.Identity, error) { return nil, sdk.Errorf(sdk.Unreachable, "away") }
	e, err := Apply(t.Context(), jobOf(b, generateAndSet("web"), web))
	if err != nil {
		t.Fatal(err)
	}
	if n := b.counts()[journal.Pending]; e.Stopped == "" || n < 400 || x.n != 0 {
		t.Errorf("stopped %q, %v, %d sends; want it to stop with most pending and nothing sent", e.Stopped, b.counts(), x.n)
	}
}

// TestAnotherNameWithAnotherValueIsFound of the same account and kind, where it
// has that value or may have it.
func TestAnotherNameWithAnotherValueIsFound(t *testing.T) {
	record := func(step int, account, kind, value string) journal.Record {
		r := journal.Record{Kind: journal.Intent, Step: step, Verb: journal.Set, Backend: "web", Account: account, Cred: kind, Detail: journal.Detail{Identity: "one"}}
		if value == "" {
			r.Verb = journal.Reset
			return r
		}
		r.Sealed = []byte(value)
		return r
	}
	refused := record(1, "cyril", "", "other")
	refused.Kind, refused.Outcome, refused.Sealed = journal.Outcome, sdk.Refused, nil
	stranger := record(1, "cyril", "", "other")
	stranger.Detail.Identity = "two"
	for _, c := range []struct {
		name string
		log  []journal.Record
		want string
	}{
		{"none", nil, ""}, {"another value", []journal.Record{record(1, "cyril", "", "other")}, "web cyril"}, {"the same value", []journal.Record{record(1, "cyril", "", "value")}, ""},
		{"a value that the target picks", []journal.Record{record(1, "cyril", "", "")}, "web cyril"}, {"another kind", []journal.Record{record(1, "cyril", "sip", "other")}, ""},
		{"the same name", []journal.Record{record(1, "cy", "", "other")}, ""}, {"refused", []journal.Record{record(1, "cyril", "", "other"), refused}, ""},
		{"another account", []journal.Record{stranger}, ""},
	} {
		cr := idle(t.Context())
		cr.Vault = newBook(0)
		s := &userState{run: cr, history: journal.Read(c.log)}
		call := journal.Call{Verb: journal.Set, Credential: journal.Credential{Backend: "web", Account: "cy"}}
		x := claimer{newStepState(s, journal.Step{Backend: "web", Account: "cy"}, nil, &journal.RecordedStep{Call: call, Identity: "one"})}
		if got := x.otherName(secret.New("value")); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestANameThatIsNotResolvedForAMomentIsAskedForAgain, as often as an operation
// is tried, and nothing is sent unasked.
func TestANameThatIsNotResolvedForAMomentIsAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		name       string
		fails      int
		code       sdk.Code
		asks, sent int
		want       sdk.Code
	}{
		{"for a moment", 2, sdk.Unreachable, 3, 1, ""}, {"for long", 100, sdk.Unreachable, 3, 0, sdk.Unreachable},
		{"there is none", 100, sdk.AccountNotFound, 1, 1, ""},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		web := knowing(x, "", nil)
		well, n := x.resolve, 0
		x.resolve = func(names []string) ([]sdk.Identity, error) {
			if n++; n <= c.fails {
				return []sdk.Identity{{Err: sdk.Errorf(c.code, "not now")}}, nil
			}
			return well(names)
		}
		apply(t, jobOf(b, sets(map[string][]string{"user1": {"web/ann"}}), web))
		if got := b.finished(1); n != c.asks || x.n != c.sent || got.Code != c.want {
			t.Errorf("%s: asked %d times, sent %d, %q; want %d, %d, %q", c.name, n, x.n, got.Code, c.asks, c.sent, c.want)
		}
	}
}
