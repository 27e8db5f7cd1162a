package memory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = "c\"a\\n%y é"

// open configures an instance labelled "memory".
func open(t testing.TB, b *memory.Backend, values map[string]any) *memory.Instance {
	t.Helper()
	i, err := b.Configure(t.Context(), sdk.Config{Label: "memory", Values: values, Concurrency: 1})
	if err != nil {
		t.Fatalf("Configure: %v", err)
	}
	return i.(*memory.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account + "/" + value, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func change(account, old, value string) sdk.Operation {
	op := set(account, value)
	op.Verb, op.Old = sdk.Change, secret.New(old)
	return op
}

func with(op sdk.Operation, edit func(*sdk.Operation)) sdk.Operation {
	edit(&op)
	return op
}

func TestApplyAnswersByTheStateOfTheAccount(t *testing.T) {
	twice := func(o *sdk.Operation) { o.Attempt = 2 }
	other := func(o *sdk.Operation) { o.ID += " again" }
	tests := []struct {
		name   string
		values map[string]any
		before []sdk.Operation
		op     sdk.Operation
		want   sdk.Outcome
		code   sdk.Code
	}{
		{name: "a set makes a missing account", op: set("ann", "one"), want: sdk.Applied},
		{name: "a change of a missing account believes the old value", op: change("ann", "zero", "one"), want: sdk.Applied},
		{name: "without create a missing account is refused", values: map[string]any{"create": false}, op: set("ann", "one"), want: sdk.Refused, code: sdk.AccountNotFound},
		{name: "a change from the present value", before: []sdk.Operation{set("ann", "one")}, op: change("ann", "one", "two"), want: sdk.Applied},
		{name: "a change from another value", before: []sdk.Operation{set("ann", "one")}, op: change("ann", "eins", "two"), want: sdk.Refused, code: sdk.WrongCurrentPassword},
		{name: "the same operation again", before: []sdk.Operation{set("ann", "one")}, op: with(set("ann", "one"), twice), want: sdk.AlreadyApplied},
		{name: "the same change again", before: []sdk.Operation{change("ann", "zero", "one")}, op: with(change("ann", "zero", "one"), twice), want: sdk.AlreadyApplied},
		{name: "the present value, history on", values: map[string]any{"history": int64(1)}, before: []sdk.Operation{set("ann", "one")}, op: with(set("ann", "one"), other), want: sdk.Refused, code: sdk.PolicyViolation},
		{name: "the present value at a second attempt, history on", values: map[string]any{"history": int64(1)}, before: []sdk.Operation{set("ann", "one")}, op: with(with(set("ann", "one"), other), twice), want: sdk.AlreadyApplied},
		{name: "a value within the history", values: map[string]any{"history": int64(2)}, before: []sdk.Operation{set("ann", "one"), set("ann", "two"), set("ann", "three")}, op: with(set("ann", "one"), other), want: sdk.Refused, code: sdk.PolicyViolation},
		{name: "a value older than the history", values: map[string]any{"history": int64(1)}, before: []sdk.Operation{set("ann", "one"), set("ann", "two"), set("ann", "three")}, op: with(set("ann", "one"), other), want: sdk.Applied},
		{name: "a locked account", values: map[string]any{"locked": []string{"ann"}}, op: set("ann", "one"), want: sdk.Refused, code: sdk.AccountStatus},
		{name: "an empty value", op: set("ann", ""), want: sdk.Refused, code: sdk.PolicyViolation},
		{name: "an absent value", op: with(set("ann", ""), func(o *sdk.Operation) { o.Value = secret.Value{} }), want: sdk.Refused, code: sdk.InvalidOperation},
		{name: "a change without the old value", op: with(set("ann", "one"), func(o *sdk.Operation) { o.Verb = sdk.Change }), want: sdk.Refused, code: sdk.InvalidOperation},
		{name: "an empty name", op: set("", "one"), want: sdk.Refused, code: sdk.InvalidOperation},
		{name: "an unknown kind", op: with(set("ann", "one"), func(o *sdk.Operation) { o.Kind = "sip" }), want: sdk.Refused, code: sdk.InvalidOperation},
		{name: "a hashed value", op: with(set("ann", "one"), func(o *sdk.Operation) { o.HashFormat = "bcrypt" }), want: sdk.Refused, code: sdk.Unsupported},
		{name: "an unlock", op: with(set("ann", "one"), func(o *sdk.Operation) { o.Verb = sdk.Unlock }), want: sdk.Refused, code: sdk.Unsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := open(t, memory.New(), tt.values)
			for _, op := range tt.before {
				if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
					t.Fatalf("before: %v: %v", r.Outcome, r.Err)
				}
			}
			got := i.Apply(t.Context(), tt.op)
			if got.Outcome != tt.want || code(got.Err) != tt.code {
				t.Errorf("Apply = %v %v, want %v %v", got.Outcome, got.Err, tt.want, tt.code)
			}
		})
	}
}

func code(err *sdk.Error) sdk.Code {
	if err == nil {
		return ""
	}
	return err.Code
}

func TestARefusedOperationMakesNoAccount(t *testing.T) {
	b := &memory.Backend{Store: &memory.Store{}}
	i := open(t, b, map[string]any{"history": int64(1)})
	if r := i.Apply(t.Context(), change("ann", "one", "one")); r.Outcome != sdk.Refused {
		t.Fatalf("Apply = %v, want refused", r.Outcome)
	}
	if n := b.Store.Len("memory"); n != 0 {
		t.Errorf("accounts = %d, want 0", n)
	}
}

func TestAccountsOutliveTheirInstanceAndDoNotCrossLabels(t *testing.T) {
	b := memory.New()
	open(t, b, nil).Apply(t.Context(), set("ann", "one"))
	again := open(t, b, map[string]any{"create": false})
	if v, err := again.Verify(t.Context(), "ann", "", secret.New("one")); v != sdk.Accepted || err != nil {
		t.Errorf("same label: Verify = %v, %v, want accepted", v, err)
	}
	other, err := b.Configure(t.Context(), sdk.Config{Label: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.(sdk.Finder).Find(t.Context(), "ann"); !errors.Is(err, &sdk.Error{Code: sdk.AccountNotFound}) {
		t.Errorf("other label: Find = %v, want AccountNotFound", err)
	}
}

func TestVerifyTellsWhatALogonWould(t *testing.T) {
	yes := true
	i := open(t, memory.New(), map[string]any{"locked": []string{"lou"}, "accounts": []string{"new"}})
	i.Apply(t.Context(), set("ann", canary))
	i.Apply(t.Context(), with(set("tom", canary), func(o *sdk.Operation) { o.MustChange = &yes }))
	tests := []struct {
		name, account, value string
		want                 sdk.Verdict
	}{
		{"the present value", "ann", canary, sdk.Accepted},
		{"another value", "ann", canary + " ", sdk.Rejected},
		{"a value that has to be changed", "tom", canary, sdk.AcceptedMustChange},
		{"a locked account", "lou", canary, sdk.Blocked},
		{"an account without a value", "new", "", sdk.Rejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := i.Verify(t.Context(), tt.account, "", secret.New(tt.value))
			if got != tt.want || err != nil {
				t.Errorf("Verify = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
	if _, err := i.Verify(t.Context(), "nobody", "", secret.New("x")); !errors.Is(err, &sdk.Error{Code: sdk.AccountNotFound}) {
		t.Errorf("Verify of nobody = %v, want AccountNotFound", err)
	}
}

func TestFindTellsStateAndStamp(t *testing.T) {
	day := time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	i := open(t, &memory.Backend{Now: func() time.Time { return day }}, nil)
	first := i.Apply(t.Context(), set("ann", "one"))
	got, err := i.Find(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := sdk.Account{Account: "ann", ID: "ann", Login: "ann", Status: sdk.StatusActive, MustChange: &no, ChangedAt: day, Stamp: first.Stamp}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Find (-want +got):\n%s", diff)
	}
	second := i.Apply(t.Context(), set("ann", "two"))
	if second.Stamp == first.Stamp || second.Stamp == "" {
		t.Errorf("stamps %q and %q, want two different ones", first.Stamp, second.Stamp)
	}
}

func TestListYieldsInOrderWhatTheFilterSelects(t *testing.T) {
	store := &memory.Store{}
	for _, name := range []string{"team-b", "team-a", "solo"} {
		store.Put("memory", sdk.Account{Account: name, Status: sdk.StatusActive, Attributes: map[string]string{"city": "Ulm", "zip": "89073"}}, nil)
	}
	i := open(t, &memory.Backend{Store: store}, nil)
	for _, tt := range []struct{ filter, want string }{
		{"", "solo team-a team-b "}, {"team-*", "team-a team-b "}, {"x*", ""},
	} {
		got := ""
		err := i.List(t.Context(), tt.filter, []string{"city"}, func(a sdk.Account) error {
			got += a.Account + " "
			if diff := cmp.Diff(map[string]string{"city": "Ulm"}, a.Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			return nil
		})
		if got != tt.want || err != nil {
			t.Errorf("List(%q) = %q, %v, want %q", tt.filter, got, err, tt.want)
		}
	}
	if err := i.List(t.Context(), "[", nil, nil); sdk.AsError(err, "") == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
		t.Errorf("List of a bad filter = %v, want InvalidOperation", err)
	}
	stop := errors.New("stop")
	if err := i.List(t.Context(), "", nil, func(sdk.Account) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List = %v, want yield's error", err)
	}
}

func TestResetTellsAValueThatWorks(t *testing.T) {
	i := open(t, &memory.Backend{Policy: sdk.Policy{MinLength: 24, Digits: 2, Symbols: 1}}, nil)
	r := i.Reset(t.Context(), sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Reset, Account: "ann"})
	if r.Outcome != sdk.Applied || len(r.Value.Reveal()) != 24 {
		t.Fatalf("Reset = %v %v, want applied and a value of 24 characters", r.Outcome, r.Err)
	}
	if v, err := i.Verify(t.Context(), "ann", "", r.Value); v != sdk.Accepted || err != nil {
		t.Errorf("Verify = %v, %v, want accepted", v, err)
	}
}

func TestUnlockMakesALockedAccountActive(t *testing.T) {
	i := open(t, memory.New(), map[string]any{"locked": []string{"lou"}})
	if r := i.Unlock(t.Context(), sdk.Operation{ID: "1", Verb: sdk.Unlock, Account: "lou"}); r.Outcome != sdk.Applied {
		t.Fatalf("Unlock = %v: %v", r.Outcome, r.Err)
	}
	if r := i.Apply(t.Context(), set("lou", "one")); r.Outcome != sdk.Applied {
		t.Errorf("Apply = %v: %v, want applied", r.Outcome, r.Err)
	}
	if r := i.Unlock(t.Context(), sdk.Operation{ID: "2", Verb: sdk.Unlock, Account: "nobody"}); code(r.Err) != sdk.AccountNotFound {
		t.Errorf("Unlock of nobody = %v, want AccountNotFound", r.Err)
	}
}

func TestGenerateGivesDifferentValuesThatThePolicyAllows(t *testing.T) {
	i := open(t, &memory.Backend{Policy: sdk.Policy{MaxLength: 8, Digits: 1, Upper: 1, Lower: 1}}, nil)
	values, err := i.Generate(t.Context(), "", 50)
	if err != nil || len(values) != 50 {
		t.Fatalf("Generate = %d values, %v", len(values), err)
	}
	seen := map[string]bool{}
	for n, v := range values {
		seen[v.Reveal()] = true
		if r := i.Apply(t.Context(), set(fmt.Sprint(n), v.Reveal())); r.Outcome != sdk.Applied {
			t.Errorf("value %d: %v", n, r.Err)
		}
	}
	if len(seen) != 50 {
		t.Errorf("%d different values, want 50", len(seen))
	}
}

func TestPolicyNamesEveryBrokenRule(t *testing.T) {
	p := sdk.Policy{MinLength: 8, Lower: 1, Upper: 1, Digits: 1, Symbols: 1, MaxRepeat: 2, Forbid: "{}", NoAccountName: true}
	i := open(t, &memory.Backend{Policy: p}, nil)
	tests := []struct {
		value string
		want  []sdk.Rule
	}{
		{"Good.1 enough", nil},
		{"aaa", []sdk.Rule{sdk.RuleMinLength, sdk.RuleUpper, sdk.RuleDigits, sdk.RuleSymbols, sdk.RuleMaxRepeat}},
		{"Hi {} 12345 é", []sdk.Rule{sdk.RuleForbidden}},
		{"I am ANN, 42", []sdk.Rule{sdk.RuleContainsName}},
	}
	for _, tt := range tests {
		r := i.Apply(t.Context(), set("ann", tt.value))
		var got []sdk.Rule
		if r.Err != nil {
			for _, v := range r.Err.Violations {
				got = append(got, v.Rule)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("rules of %q (-want +got):\n%s", tt.value, diff)
		}
	}
	told, err := i.Policy(t.Context(), "ann", "")
	if diff := cmp.Diff(p, told); diff != "" || err != nil {
		t.Errorf("Policy: %v (-want +got):\n%s", err, diff)
	}
}

func TestWhatEndsWithinTheLatencyChangesNothing(t *testing.T) {
	store := &memory.Store{}
	i := open(t, &memory.Backend{Store: store}, map[string]any{"latency": time.Hour})
	late, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want sdk.Code
	}{{"deadline", late, sdk.Timeout}, {"cancelled", gone, sdk.Cancelled}} {
		r := i.Apply(tt.ctx, set("ann", "one"))
		if r.Outcome != sdk.Refused || code(r.Err) != tt.want {
			t.Errorf("%s: Apply = %v %v, want refused %v", tt.name, r.Outcome, r.Err, tt.want)
		}
	}
	if n := store.Len("memory"); n != 0 {
		t.Errorf("accounts = %d, want 0", n)
	}
}

func TestInjectDecidesAnswerAndEffectApart(t *testing.T) {
	store := &memory.Store{}
	b := &memory.Backend{Store: store, Inject: func(_ context.Context, op sdk.Operation) *memory.Fault {
		switch op.Account {
		case "lost":
			return &memory.Fault{Receipt: sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut")), Applied: true}
		case "busy":
			return &memory.Fault{Receipt: sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "busy"))}
		}
		return nil
	}}
	i := open(t, b, nil)
	for _, tt := range []struct {
		account string
		want    sdk.Outcome
		holds   bool
	}{{"lost", sdk.Unknown, true}, {"busy", sdk.Refused, false}, {"ann", sdk.Applied, true}} {
		r := i.Apply(t.Context(), set(tt.account, canary))
		holds := store.Holds("memory", tt.account, "", secret.New(canary))
		if r.Outcome != tt.want || holds != tt.holds {
			t.Errorf("%s: %v, holds %v, want %v, %v", tt.account, r.Outcome, holds, tt.want, tt.holds)
		}
	}
}

func TestKindsAreSeparateCredentials(t *testing.T) {
	store := &memory.Store{}
	i := open(t, &memory.Backend{Store: store, Kinds: []sdk.Kind{{Name: "sip"}, {Name: "web"}}}, nil)
	for _, kind := range []string{"sip", "web"} {
		op := set("ann", "of "+kind)
		op.Kind = kind
		if r := i.Apply(t.Context(), op); r.Outcome != sdk.Applied {
			t.Fatalf("%s: %v", kind, r.Err)
		}
	}
	if !store.Holds("memory", "ann", "sip", secret.New("of sip")) || store.Holds("memory", "ann", "web", secret.New("of sip")) {
		t.Error("the kinds share a value")
	}
}

func TestBatchIsAnAbilityOfBackendsThatHaveOne(t *testing.T) {
	b := &memory.Backend{Batch: 10, Store: &memory.Store{}}
	if d := memory.New().Describe(); d.Can(sdk.CanBatch) || !b.Describe().Can(sdk.CanBatch) {
		t.Error("batch is declared by the wrong backend")
	}
	i, err := b.Configure(t.Context(), sdk.Config{Values: map[string]any{"locked": []string{"lou"}}})
	if err != nil {
		t.Fatal(err)
	}
	got := i.(sdk.BatchApplier).ApplyBatch(t.Context(), []sdk.Operation{set("ann", "one"), set("lou", "one"), set("tom", "one")})
	var outcomes []sdk.Outcome
	for _, r := range got {
		outcomes = append(outcomes, r.Outcome)
	}
	if diff := cmp.Diff([]sdk.Outcome{sdk.Applied, sdk.Refused, sdk.Applied}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestConfigureNamesTheWrongSetting(t *testing.T) {
	tests := []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"latency": -time.Second}, "InvalidConfig: latency: got -1s, want at least 0s"},
		{map[string]any{"history": int64(-1)}, "InvalidConfig: history: got -1, want 0 to 1000"},
		{map[string]any{"accounts": []string{"ann", ""}}, "InvalidConfig: accounts: an account's name is empty"},
	}
	for _, tt := range tests {
		_, err := memory.New().Configure(t.Context(), sdk.Config{Values: tt.values})
		if err == nil || err.Error() != tt.want {
			t.Errorf("Configure(%v) = %v, want %q", tt.values, err, tt.want)
		}
	}
}

func TestConcurrentOperationsKeepTheirAccountsApart(t *testing.T) {
	store := &memory.Store{}
	i := open(t, &memory.Backend{Store: store}, map[string]any{"history": int64(3)})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 200 {
				i.Apply(t.Context(), set(fmt.Sprint("user", n), fmt.Sprint(w, "-", n)))
			}
		})
	}
	wg.Wait()
	if n := store.Len("memory"); n != 200 {
		t.Errorf("accounts = %d, want 200", n)
	}
}

func TestNoAnswerHoldsAValue(t *testing.T) {
	i := open(t, &memory.Backend{Policy: sdk.Policy{MinLength: 40}}, map[string]any{"history": int64(1)})
	answers := []any{
		i.Apply(t.Context(), set("ann", canary)),
		i.Apply(t.Context(), change("ann", canary, canary)),
		i.Apply(t.Context(), with(set("ann", canary), func(o *sdk.Operation) { o.HashFormat = "x" })),
	}
	for _, a := range answers {
		r := a.(sdk.Receipt)
		if text := fmt.Sprintf("%+v %+v", r, r.Err); strings.Contains(text, canary) {
			t.Errorf("%s holds the value", text)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	i := open(b, memory.New(), nil)
	ops := make([]sdk.Operation, 1<<14)
	for n := range ops {
		ops[n] = set(fmt.Sprint("user", n), "correct horse battery")
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			i.Apply(context.Background(), with(ops[n%len(ops)], func(o *sdk.Operation) { o.ID = "" }))
		}
	})
}

// TestRevokeEndsTheSessionsOfOneAccount, and leaves its value and the sessions of
// others; a session is opened with the present value only.
func TestRevokeEndsTheSessionsOfOneAccount(t *testing.T) {
	b := &memory.Backend{Store: &memory.Store{}}
	i := open(t, b, map[string]any{"create": false, "accounts": []string{"ann", "ben", "new"}})
	for _, name := range []string{"ann", "ben"} {
		applied(t, i.Apply(t.Context(), set(name, "one")))
	}
	session := func(name, value string) func() bool { return b.Store.Session("memory", name, "", secret.New(value)) }
	first, second, other := session("ann", "one"), session("ann", "one"), session("ben", "one")
	if !first() || !second() || !other() || session("ann", "two")() || session("nobody", "one")() {
		t.Fatal("an account is logged in by its present value, and by no other")
	}
	revoke := func(name string) sdk.Receipt {
		return i.Revoke(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Revoke, Account: name})
	}
	applied(t, revoke("ann"))
	if first() || second() || !other() || !session("ann", "one")() {
		t.Error("a revoke ends the sessions of one account, and not its value")
	}
	applied(t, revoke("new"))
	refused(t, revoke("nobody"), sdk.AccountNotFound)
}
