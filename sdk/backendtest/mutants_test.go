package backendtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

func withPatience(o Options) Options {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	return o
}

// broken is a memory backend that one thing is wrong with. A nil hook leaves
// that part as it is.
type broken struct {
	memory   *memory.Backend
	describe func(*sdk.Description)
	apply    func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt
	batch    func(receipts []sdk.Receipt) []sdk.Receipt
	find     func(a sdk.Account, err error, name string) (sdk.Account, error)
	list     func(ctx context.Context, i *instance, yield func(sdk.Account) error) error
	resolve  func(found []sdk.Identity) []sdk.Identity
	verify   func(v sdk.Verdict, err error) (sdk.Verdict, error)
	policy   func(p sdk.Policy) sdk.Policy
	generate func(n int, values []secret.Value) []secret.Value
	reset    func(r sdk.Receipt) sdk.Receipt
	unlock   func(op sdk.Operation) *sdk.Receipt
	revoke   func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt
	check    func() []sdk.Finding
	config   func(c *sdk.Config) error
	close    func(i *instance) error

	once  sync.Once
	first *instance
	calls int
}

// instance is one of a broken backend.
type instance struct {
	*memory.Instance
	batch sdk.BatchApplier
	b     *broken
	c     sdk.Config
}

func (b *broken) Describe() sdk.Description {
	d := b.memory.Describe()
	if b.describe != nil {
		b.calls++
		b.describe(&d)
	}
	return d
}

func (b *broken) Configure(ctx context.Context, c sdk.Config) (sdk.Instance, error) {
	if b.config != nil {
		if err := b.config(&c); err != nil {
			return nil, err
		}
	}
	made, err := b.memory.Configure(ctx, c)
	if err != nil {
		return nil, err
	}
	batch := made.(sdk.BatchApplier)
	plain := &memory.Backend{Store: b.memory.Store, Policy: b.memory.Policy, Kinds: b.memory.Kinds}
	inner, err := plain.Configure(ctx, c)
	if err != nil {
		return nil, err
	}
	i := &instance{Instance: inner.(*memory.Instance), batch: batch, b: b, c: c}
	b.once.Do(func() { b.first = i })
	return i, nil
}

func (i *instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if i.b.apply != nil {
		return i.b.apply(ctx, i, op)
	}
	return i.Instance.Apply(ctx, op)
}

func (i *instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	r := i.batchOf(ctx, ops)
	if i.b.batch != nil {
		return i.b.batch(r)
	}
	return r
}

func (i *instance) batchOf(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	if i.b.apply == nil {
		return i.batch.ApplyBatch(ctx, ops)
	}
	var r []sdk.Receipt
	for _, op := range ops {
		r = append(r, i.Apply(ctx, op))
	}
	return r
}

func (i *instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	a, err := i.Instance.Find(ctx, account)
	if i.b.find != nil {
		return i.b.find(a, err, account)
	}
	return a, err
}

func (i *instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	found, err := i.Instance.Resolve(ctx, names)
	if i.b.resolve != nil {
		found = i.b.resolve(found)
	}
	return found, err
}

func (i *instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if i.b.list != nil {
		return i.b.list(ctx, i, yield)
	}
	return i.Instance.List(ctx, filter, attributes, yield)
}

func (i *instance) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	got, err := i.Instance.Verify(ctx, account, kind, v)
	if i.b.verify != nil {
		return i.b.verify(got, err)
	}
	return got, err
}

func (i *instance) Policy(ctx context.Context, account, kind string) (sdk.Policy, error) {
	p, err := i.Instance.Policy(ctx, account, kind)
	if i.b.policy != nil {
		return i.b.policy(p), err
	}
	return p, err
}

func (i *instance) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	v, err := i.Instance.Generate(ctx, kind, n)
	if i.b.generate != nil {
		return i.b.generate(n, v), err
	}
	return v, err
}

func (i *instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	r := i.Instance.Reset(ctx, op)
	if i.b.reset != nil {
		return i.b.reset(r)
	}
	return r
}

func (i *instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if i.b.unlock != nil {
		if r := i.b.unlock(op); r != nil {
			return *r
		}
	}
	return i.Instance.Unlock(ctx, op)
}

func (i *instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if i.b.revoke != nil {
		return i.b.revoke(ctx, i, op)
	}
	return i.Instance.Revoke(ctx, op)
}

func (i *instance) Check(ctx context.Context) []sdk.Finding {
	if i.b.check != nil {
		return i.b.check()
	}
	return i.Instance.Check(ctx)
}

func (i *instance) Close() error {
	if i.b.close != nil {
		return i.b.close(i)
	}
	return i.Instance.Close()
}

// real does what the memory backend would.
func (i *instance) real(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.Instance.Apply(ctx, op)
}

// findings runs the named checks, or all, on a backend in this process and returns
// the problems by check.
func findings(t *testing.T, o Options, only ...string) map[string][]string {
	t.Helper()
	return findingsOf(t, o, &direct{backend: o.Backend}, only...)
}

func findingsOf(t *testing.T, o Options, p plugin, only ...string) map[string][]string {
	t.Helper()
	o = withPatience(o)
	d, err := describe(o, p)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	stage := sceneOf(o, p, d, o.Target(t))
	for _, c := range checks() {
		if c.lacks(stage) != "" || len(only) > 0 && !slices.Contains(only, c.name) {
			continue
		}
		if problems := c.try(t, o, p, d); len(problems) > 0 {
			found[c.name] = problems
		}
	}
	return found
}

// soundTarget is what the broken backends are tried on: with a history and a
// policy.
func soundTarget() func(testing.TB) Target {
	l := &numbered{}
	return func(t testing.TB) Target {
		x := l.target(map[string]any{"history": int64(3)})(t)
		x.Weak = "weak value"
		return x
	}
}

func soundBackend() *memory.Backend {
	return &memory.Backend{Store: &memory.Store{}, Batch: 64, Policy: sdk.Policy{MinLength: 8, Digits: 1}}
}

func TestTheBackendWithoutAMutationPasses(t *testing.T) {
	for name, problems := range findings(t, Options{Backend: &broken{memory: soundBackend()}, Target: soundTarget()}) {
		t.Errorf("%s: %q", name, problems)
	}
}

// mutant is a backend, on a target that edit may change, of which one check has
// to find what is wrong.
type mutant struct {
	name  string
	check string
	b     *broken
	edit  func(*Target)
}

func mutants() []mutant {
	policyViolation := func(rule sdk.Rule, text string) sdk.Receipt {
		return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Message: text, Violations: []sdk.Violation{{Rule: rule, Message: text}}})
	}
	logged := openable{soundBackend()}
	return []mutant{
		{"answers applied without doing", "set/takes effect", &broken{apply: func(_ context.Context, _ *instance, op sdk.Operation) sdk.Receipt { return sdk.OK() }}, nil},
		{"does it twice to another account", "set/leaves other accounts alone", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			other := op
			other.ID, other.Account = op.ID+"-", "bob"
			i.real(ctx, other)
			return i.real(ctx, op)
		}}, nil},
		{"trims values", "set/keeps every character", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.Value = secret.New(strings.TrimSpace(op.Value.Reveal()))
			return i.real(ctx, op)
		}}, nil},
		{"cuts values at 72 bytes", "set/keeps every character", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if v := op.Value.Reveal(); len(v) > 71 {
				op.Value = secret.New(v[:71])
			}
			return i.real(ctx, op)
		}}, nil},
		{"keeps the old value too", "set/replaces the value before", &broken{verify: func(v sdk.Verdict, err error) (sdk.Verdict, error) {
			if v == sdk.Rejected {
				v = sdk.Accepted
			}
			return v, err
		}}, nil},
		{"does not look at the old value of a change", "change/needs the old value", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.Verb, op.Old = sdk.Set, secret.Value{}
			return i.real(ctx, op)
		}}, nil},
		{"refuses a wrong old value without saying so", "change/needs the old value", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil && r.Err.Code == sdk.WrongCurrentPassword {
				r.Err = sdk.Errorf(sdk.TargetError, "no")
			}
			return r
		}}, nil},
		{"makes missing accounts", "refuse/a missing account", &broken{config: func(c *sdk.Config) error { c.Values["create"] = true; return nil }}, nil},
		{"sets locked accounts", "refuse/accounts by their state", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			i.Instance.Unlock(ctx, sdk.Operation{Verb: sdk.Unlock, Account: op.Account})
			return i.real(ctx, op)
		}}, nil},
		{"does not say which status", "refuse/accounts by their state", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil {
				r.Err.AccountStatus = ""
			}
			return r
		}}, nil},
		{"names no rule of a policy refusal", "refuse/a weak value by its rule", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil {
				r.Err.Violations = nil
			}
			return r
		}}, nil},
		{"invents a rule", "refuse/a weak value by its rule", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil && len(r.Err.Violations) > 0 {
				r.Err.Violations[0].Rule = "too_weak"
			}
			return r
		}}, nil},
		{"says refused and does it", "refuse/a weak value by its rule", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil && r.Err.Code == sdk.PolicyViolation {
				op.ID, op.Value = op.ID+"-", secret.New("Some Other Value 1")
				i.real(ctx, op)
			}
			return r
		}}, nil},
		{"forgets the history", "refuse/a value from before", &broken{config: func(c *sdk.Config) error { c.Values["history"] = int64(0); return nil }}, nil},
		{"takes the first account that begins so", "refuse/hostile names", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if strings.HasSuffix(op.Account, "*") {
				op.Account = "ann"
			}
			return i.real(ctx, op)
		}}, nil},
		{"trims account names", "refuse/hostile names", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.Account = strings.TrimSpace(op.Account)
			return i.real(ctx, op)
		}}, nil},
		{"finds accounts by pattern", "refuse/hostile names", &broken{find: func(a sdk.Account, err error, name string) (sdk.Account, error) {
			if name == "*" {
				return sdk.Account{Account: "ann", ID: "ann"}, nil
			}
			return a, err
		}}, nil},
		{"finds accounts as SQL's LIKE does", "refuse/hostile names", &broken{find: func(a sdk.Account, err error, name string) (sdk.Account, error) {
			if name == "an_" || name == "%" {
				return sdk.Account{Account: "ann", ID: "ann"}, nil
			}
			return a, err
		}}, nil},
		{"refuses history on a retry", "replay/the same operation is not done twice", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if op.Attempt > 1 {
				return policyViolation(sdk.RuleHistory, "the value is the present one")
			}
			return i.real(ctx, op)
		}}, nil},
		{"forgets replays", "replay/the same operation is not done twice", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.ID, op.Attempt = fmt.Sprint(op.ID, op.Attempt), 1
			return i.real(ctx, op)
		}}, nil},
		{"forgets replays when it is opened again", "replay/after the instance was opened again", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if i.b.first != i && i.c.Label == i.b.first.c.Label && op.Attempt > 1 {
				return policyViolation(sdk.RuleHistory, "the value is the present one")
			}
			return i.real(ctx, op)
		}, close: func(i *instance) error { i.b.first = i; return nil }}, nil},
		{"cannot do two at once", "replay/at the same time", &broken{apply: busy()}, nil},
		{"cannot do many at once", "concurrency/many accounts at once", &broken{apply: busy()}, nil},
		{"shares settings between instances", "config/instances do not share settings", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			return i.b.first.real(ctx, op)
		}}, nil},
		{"says refused after it was done in time", "deadline/answers tell the truth", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(context.WithoutCancel(ctx), op)
			if ctx.Err() != nil {
				return sdk.Refuse(sdk.Errorf(sdk.Timeout, "late"))
			}
			return r
		}}, nil},
		{"ignores the deadline", "deadline/answers tell the truth", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			return i.real(context.WithoutCancel(ctx), op)
		}}, nil},
		{"answers a batch in the wrong order", "batch/keeps length and order", &broken{batch: func(r []sdk.Receipt) []sdk.Receipt { slices.Reverse(r); return r }}, nil},
		{"answers a batch too shortly", "batch/keeps length and order", &broken{batch: func(r []sdk.Receipt) []sdk.Receipt { return r[1:] }}, nil},
		{"says a cancelled batch is applied", "deadline/a batch tells the truth", &broken{batch: func(r []sdk.Receipt) []sdk.Receipt {
			for n := range r {
				if r[n].Err != nil && r[n].Err.Code == sdk.Cancelled {
					r[n] = sdk.OK()
				}
			}
			return r
		}}, nil},
		{"verifies everything", "verify/tells right from wrong", &broken{verify: func(sdk.Verdict, error) (sdk.Verdict, error) { return sdk.Accepted, nil }}, nil},
		{"verifies nothing", "verify/tells right from wrong", &broken{verify: func(sdk.Verdict, error) (sdk.Verdict, error) { return sdk.CannotTell, nil }}, nil},
		{"finds what there is not", "refuse/a missing account", &broken{find: func(a sdk.Account, _ error, name string) (sdk.Account, error) {
			return sdk.Account{Account: name}, nil
		}}, nil},
		{"finds accounts without a name", "find/knows the account", &broken{find: func(a sdk.Account, err error, _ string) (sdk.Account, error) {
			a.Account = ""
			return a, err
		}}, nil},
		{"stamps by the clock of the asker", "find/stamps differ after a change", &broken{find: func() func(sdk.Account, error, string) (sdk.Account, error) {
			var mu sync.Mutex
			n := 0
			return func(a sdk.Account, err error, _ string) (sdk.Account, error) {
				mu.Lock()
				defer mu.Unlock()
				n++
				a.Stamp = fmt.Sprint(n)
				return a, err
			}
		}()}, nil},
		{"has one stamp for ever", "find/stamps differ after a change", &broken{find: func(a sdk.Account, err error, _ string) (sdk.Account, error) {
			a.Stamp = "same"
			return a, err
		}}, nil},
		{"takes all accounts for one", "resolve/tells accounts apart", &broken{resolve: func(found []sdk.Identity) []sdk.Identity {
			for n := range found {
				found[n] = sdk.Identity{ID: "all"}
			}
			return found
		}}, nil},
		{"answers for one name only", "resolve/tells accounts apart", &broken{resolve: func(found []sdk.Identity) []sdk.Identity {
			return found[:1]
		}}, nil},
		{"takes names for accounts", "resolve/knows an account by its other names", &broken{resolve: func(found []sdk.Identity) []sdk.Identity {
			for n := range found {
				found[n].ID = fmt.Sprint(found[n].ID, n)
			}
			return found
		}}, func(t *Target) { t.Aliases = map[string]string{t.Accounts[0]: t.Accounts[0]} }},
		{"lists the first account only", "list/yields every account", &broken{list: func(ctx context.Context, i *instance, yield func(sdk.Account) error) error {
			first := true
			return i.Instance.List(ctx, "", nil, func(a sdk.Account) error {
				if !first {
					return nil
				}
				first = false
				return yield(a)
			})
		}}, nil},
		{"lists on after yield's error", "list/stops when it is told", &broken{list: func(ctx context.Context, i *instance, yield func(sdk.Account) error) error {
			var last error
			_ = i.Instance.List(ctx, "", nil, func(a sdk.Account) error { last = yield(a); return nil })
			return last
		}}, nil},
		{"hides yield's error", "list/stops when it is told", &broken{list: func(ctx context.Context, i *instance, yield func(sdk.Account) error) error {
			_ = i.Instance.List(ctx, "", nil, yield)
			return nil
		}}, nil},
		{"takes a cut list for a whole one", "list/is never short in silence", &broken{list: func(ctx context.Context, i *instance, yield func(sdk.Account) error) error {
			err := i.Instance.List(ctx, "", nil, yield)
			if e := sdk.AsError(err, ""); e != nil && e.Code == sdk.Cancelled {
				return nil
			}
			return err
		}}, nil},
		{"promises a longer value than it wants", "policy/agrees with the target", &broken{policy: func(p sdk.Policy) sdk.Policy { p.MinLength = 1; p.History = 0; return p }}, nil},
		{"wants less than its policy says", "policy/agrees with the target", &broken{policy: func(p sdk.Policy) sdk.Policy { p.MinLength = 99; p.MaxLength = 12; return p }}, nil},
		{"says less of its policy than it enforces", "policy/agrees with the target", &broken{policy: func(p sdk.Policy) sdk.Policy { p.Digits = 0; return p }}, nil},
		{"generates one value", "generate/gives accepted values", &broken{generate: func(n int, v []secret.Value) []secret.Value {
			for i := range v {
				v[i] = v[0]
			}
			return v
		}}, nil},
		{"generates values that it refuses", "generate/gives accepted values", &broken{generate: func(n int, v []secret.Value) []secret.Value {
			for i := range v {
				v[i] = secret.New(fmt.Sprint("v", i))
			}
			return v
		}}, nil},
		{"tells another value of a reset", "reset/tells the value or keeps it", &broken{reset: func(r sdk.Receipt) sdk.Receipt { r.Value = secret.New("another"); return r }}, nil},
		{"does not unlock", "unlock/makes the account usable", &broken{unlock: func(op sdk.Operation) *sdk.Receipt { r := sdk.OK(); return &r }}, nil},
		{"finds its good target bad", "check/finds a good target ready", &broken{check: func() []sdk.Finding {
			return []sdk.Finding{{Severity: sdk.Bad, Code: sdk.Unreachable, Message: "no"}}
		}}, nil},
		{"does not name the wrong setting", "config/wrong settings are named", &broken{config: func(c *sdk.Config) error {
			if c.Int("history") < 0 {
				return errors.New("bad settings")
			}
			return nil
		}}, nil},
		{"takes wrong settings", "config/wrong settings are named", &broken{config: func(c *sdk.Config) error {
			c.Values["history"] = max(int64(0), c.Values["history"].(int64))
			return nil
		}}, nil},
		{"leaks the value in an error", "leaks/no secret in answers or logs", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil {
				r.Err.Message += fmt.Sprintf(": %q", op.Value.Reveal())
			}
			return r
		}}, nil},
		{"leaks the old value as base64", "leaks/no secret in answers or logs", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil && op.Verb == sdk.Change {
				r.Err.Native = forms(op.Old.Reveal())["base64"]
			}
			return r
		}}, nil},
		{"logs the value", "leaks/no secret in answers or logs", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			i.c.Log.Info("setting", "value", op.Value.Reveal())
			return i.real(ctx, op)
		}}, nil},
		{"logs a setting's secret", "leaks/no secret in answers or logs", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			i.c.Log.Info("logging in", "url", "https://admin:"+i.c.Secret("token").Reveal()+"@host")
			return i.real(ctx, op)
		}}, func(t *Target) { t.Config.Secrets = map[string]secret.Value{"token": secret.New("service token")} }},
		{"leaves a goroutine behind", "close/is clean", &broken{close: func() func(*instance) error {
			forever := make(chan struct{})
			return func(*instance) error {
				go func() { <-forever }()
				return nil
			}
		}()}, nil},
		{"cannot close", "close/is clean", &broken{close: func(*instance) error { return io.ErrClosedPipe }}, nil},
		{"describes the time of day", "describe/is stable", &broken{describe: func() func(*sdk.Description) {
			n := 0
			return func(d *sdk.Description) { n++; d.Doc = fmt.Sprint(n) }
		}()}, nil},
		{"declares a default of another type", "describe/makes sense", &broken{describe: func(d *sdk.Description) { d.Config[0].Default = "yes" }}, nil},
		{"names a target that it does not have", "describe/makes sense", &broken{describe: func(d *sdk.Description) { d.Target = []string{"uri"} }}, nil},
		{"declares a verb for an ability that it lacks", "describe/makes sense", &broken{describe: func(d *sdk.Description) {
			d.Abilities = slices.DeleteFunc(slices.Clone(d.Abilities), func(a sdk.Ability) bool { return a == sdk.CanReset })
		}}, nil},
		{"has a password that is no secret", "describe/secrets have the type secret", &broken{describe: func(d *sdk.Description) {
			d.Config = append(d.Config, sdk.Field{Name: "bind_password", Type: sdk.String, Doc: "of the bind"})
		}}, nil},
		{"does not declare what it can", "abilities/are those declared", &broken{describe: func(d *sdk.Description) {
			d.Abilities = d.Abilities[1:]
		}}, nil},
		{"answers applied with an error", "set/takes effect", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			r.Err = sdk.Errorf(sdk.TargetError, "but")
			return r
		}}, nil},
		{"panics", "set/takes effect", &broken{apply: func(context.Context, *instance, sdk.Operation) sdk.Receipt { panic("oh") }}, nil},
		{"says unknown for what it does not know to be false", "refuse/a missing account", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			r := i.real(ctx, op)
			if r.Err != nil {
				r.Outcome = sdk.Unknown
			}
			return r
		}}, nil},
		{"does not tell that its target is gone", "down/a lost target is told as such", &broken{}, func(t *Target) { t.Down = func() {} }},
		{"sets one kind for all", "set/of every kind", &broken{memory: twoKinds(), apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.Kind = "sip"
			return i.real(ctx, op)
		}}, nil},
		{"takes a hash for the value itself", "set/of hashed values", &broken{describe: takesHashes, apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.HashFormat = ""
			return i.real(ctx, op)
		}}, hasHashes},
		{"declares a hash format that it refuses", "set/of hashed values", &broken{describe: takesHashes}, hasHashes},
		{"forgets must_change", "set/can demand a change at the next logon", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.MustChange = nil
			return i.real(ctx, op)
		}}, nil},
		{"answers a change without doing it", "change/takes effect", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if op.Verb == sdk.Change {
				return sdk.OK()
			}
			return i.real(ctx, op)
		}}, nil},
		{"declares changes safe to repeat", "replay/of a change", &broken{describe: func(d *sdk.Description) { d.ReplaySafe = []sdk.Verb{sdk.Set, sdk.Change} },
			apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
				op.ID, op.Attempt = fmt.Sprint(op.ID, op.Attempt), 1
				return i.real(ctx, op)
			}}, nil},
		{"verifies a kind that cannot be", "verify/says where it cannot tell", &broken{}, func(t *Target) {
			t.Unverifiable, t.Holds = true, func(string, string, string) bool { return true }
		}},
		{"forgets what was handed over", "handover/goes on with the new value", &broken{config: func(c *sdk.Config) error { c.Handed = nil; return nil }}, logsIn},
		{"hands every account over", "handover/goes on with the new value", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if op.Verb == sdk.Handover && op.Account != "svc" {
				op.Verb = sdk.Set
			}
			return i.real(ctx, op)
		}}, logsIn},
		{"answers a revoke without doing it", checkOfSessions, logged.but(func(context.Context, *instance, sdk.Operation) sdk.Receipt { return sdk.OK() }), logged.sessions},
		{"ends every session", checkOfSessions, logged.but(func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			for _, op.Account = range []string{"bob", "ann"} {
				i.Instance.Revoke(ctx, op)
			}
			return sdk.OK()
		}), logged.sessions},
		{"takes the value with the sessions", checkOfSessions, &broken{revoke: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			i.Instance.Reset(ctx, sdk.Operation{Verb: sdk.Reset, Account: op.Account})
			return i.Instance.Revoke(ctx, op)
		}}, nil},
		{"ends its own session", checkOfSessions, &broken{revoke: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			if op.Account == "svc" {
				return sdk.OK()
			}
			return i.Instance.Revoke(ctx, op)
		}}, logsIn},
	}
}

const checkOfSessions = "revoke/ends the sessions and leaves the value alone"

// openable is a target whose accounts the kit can log in.
type openable struct{ *memory.Backend }

// but returns a backend on the accounts, with another Revoke.
func (o openable) but(revoke func(context.Context, *instance, sdk.Operation) sdk.Receipt) *broken {
	return &broken{memory: o.Backend, revoke: revoke}
}

// sessions has the kit log accounts in.
func (o openable) sessions(t *Target) {
	t.Session = func(account, value string) func() bool {
		return o.Store.Session(t.Config.Label, account, "", secret.New(value))
	}
}

// logsIn has the backend log in as an account of its own, which may get the value
// from before back.
func logsIn(t *Target) {
	t.Own, t.OwnValue, t.History = "svc", "the configured password 1", false
	t.Config.Values["login"], t.Config.Values["history"] = t.Own, int64(0)
	t.Config.Secrets = map[string]secret.Value{"login_password": secret.New(t.OwnValue)}
}

func TestABackendThatLogsInPasses(t *testing.T) {
	target := soundTarget()
	for name, problems := range findings(t, Options{Backend: &broken{memory: soundBackend()}, Target: func(t testing.TB) Target { x := target(t); logsIn(&x); return x }}) {
		t.Errorf("%s: %q", name, problems)
	}
}

func twoKinds() *memory.Backend {
	b := soundBackend()
	b.Kinds = []sdk.Kind{{Name: "sip"}, {Name: "web"}}
	return b
}

func takesHashes(d *sdk.Description) { d.HashFormats = []string{"rot13"} }

func hasHashes(t *Target) {
	t.Hashed = map[string]Hashed{"rot13": {Hash: "Tbbq inyhr 1", Value: "Good value 1"}}
}

func TestEveryMutantIsCaughtByItsCheck(t *testing.T) {
	for _, tt := range mutants() {
		t.Run(tt.name, func(t *testing.T) {
			if tt.b.memory == nil {
				tt.b.memory = soundBackend()
			}
			target := soundTarget()
			found := findings(t, Options{Backend: tt.b, Patience: time.Second, Target: func(t testing.TB) Target {
				x := target(t)
				if tt.edit != nil {
					tt.edit(&x)
				}
				return x
			}}, tt.check)
			if len(found[tt.check]) == 0 {
				t.Errorf("the check %q found nothing", tt.check)
			}
		})
	}
}

func TestEveryCheckHasAMutant(t *testing.T) {
	caught := map[string]bool{checkOfBoasts: true, checkOfNonsense: true, checkOfShards: true,
		"set/stamps differ": true, "faults/sets tell the truth": true, "faults/verify tells the truth": true, "faults/find says nothing of an account": true,
		"faults/a list is never short in silence": true, "faults/a target that is back is asked again": true, "faults/an unlocked account is asked again": true,
		"wire/strangers are refused": true, "wire/the socket is where it was told": true, "wire/a message has a limit": true, "wire/each operation is answered once": true,
		"wire/the deadline holds": true, "wire/no more at once than allowed": true, "close/waits for what runs": true, "close/leaves no process": true,
		checkOfSandbox: true, checkOfNames: true, checkOfRawLeaks: true, checkOfIDs: true, checkOfTraces: true, checkOfFrames: true}
	for _, m := range mutants() {
		caught[m.check] = true
	}
	for _, c := range checks() {
		if !caught[c.name] {
			t.Errorf("no mutant fails the check %q: it may find nothing", c.name)
		}
		delete(caught, c.name)
	}
	for name := range caught {
		t.Errorf("mutants of the check %q, which there is not", name)
	}
}

// bare is a backend to which everything comes that serve refuses, as it does to a
// plugin that is not built on the sdk.
type bare struct{ *direct }

func (b bare) configure(ctx context.Context, c sdk.Config) (subject, error) {
	s, err := b.direct.configure(ctx, c)
	if err != nil {
		return nil, err
	}
	return near{s.(near).Instance, func(sdk.Operation) *sdk.Error { return nil }}, nil
}

func TestAPluginThatTakesWhatItDoesNotDeclareIsFound(t *testing.T) {
	for name, apply := range map[string]func(op *sdk.Operation){
		"takes any verb for a set": func(op *sdk.Operation) {
			if op.Verb != sdk.Change {
				op.Verb = sdk.Set
			}
		},
		"takes hashes for values": func(op *sdk.Operation) { op.HashFormat = "" },
	} {
		b := &broken{memory: soundBackend(), apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			apply(&op)
			return i.real(ctx, op)
		}}
		if found := findingsOf(t, Options{Backend: b, Target: soundTarget()}, bare{&direct{backend: b}}, checkOfNonsense); len(found) == 0 {
			t.Errorf("%s: the check %q found nothing", name, checkOfNonsense)
		}
	}
}

const checkOfSandbox = "sandbox/it works within what it declares"

// TestAPluginThatNeedsMoreThanItDeclaresIsCaught: what stands for a confinement here is
// a word in the environment, without which it works.
func TestAPluginThatNeedsMoreThanItDeclaresIsCaught(t *testing.T) {
	needy := &broken{memory: soundBackend(), apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
		if os.Getenv("KIT_CONFINED") != "" {
			return sdk.Refuse(sdk.Errorf(sdk.Unreachable, "permission denied"))
		}
		return i.real(ctx, op)
	}}
	o := Options{Backend: needy, Target: soundTarget()}
	serveIfChild(t, o)
	for word, want := range map[string]bool{"": false, "yes": true} {
		o.Confine = func(d sdk.Description, _ sdk.Config) (Confinement, error) {
			return Confinement{Grants: []string{"read /of/" + d.Name}, Line: func(_ string, program []string) []string {
				return append([]string{"/usr/bin/env", "KIT_CONFINED=" + word}, program...)
			}}, nil
		}
		plugin := startWired(t, self(t))
		plugin.confine = o.Confine
		problems := findingsOf(t, o, plugin, checkOfSandbox)[checkOfSandbox]
		if told := slices.ContainsFunc(problems, func(text string) bool { return strings.HasPrefix(text, "confined to read /of/memory, as in a run: ") }); told != want {
			t.Errorf("confined %q: found %q", word, problems)
		}
	}
}

func TestWhatIsNotDeclaredIsNamed(t *testing.T) {
	config := sdk.Config{Values: map[string]any{"path": "/srv/users.db", "url": "https://login:pw@portal.example:8443/x", "hosts": []string{"a:1", "/b"}, "name": "a, b"}}
	for field, want := range map[string]string{
		"path": `the setting path is the path /srv/users.db, which paths does not declare: add "{path}", or "write {path}" to write there`,
		"url":  `the setting url is the address https://portal.example:8443/x, whose port egress does not declare: add "{url}"`, "name": "",
		"hosts": `the setting hosts is the address a:1, whose port egress does not declare: add "{hosts}"; the setting hosts is the path /b, which paths does not declare: add "{hosts}", or "write {hosts}" to write there`,
	} {
		if got := strings.Join(undeclared(sdk.Description{}, field, config), "; "); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
		whole := sdk.Description{Paths: []string{"write {path}", "{hosts}"}, Egress: []string{"{url}", "{hosts}"}}
		if got := undeclared(whole, field, config); len(got) > 0 {
			t.Errorf("%s is declared: %q", field, got)
		}
	}
}

const checkOfNonsense = "refuse/what makes no sense"

const checkOfBoasts = "abilities/others answer Unsupported"

// boastful is a plugin that answers what it said it could not.
type boastful struct{ *direct }

func (b boastful) configure(ctx context.Context, c sdk.Config) (subject, error) {
	s, err := b.direct.configure(ctx, c)
	return modest{s}, err
}

type modest struct{ subject }

func (modest) abilities() []sdk.Ability { return []sdk.Ability{sdk.CanVerify} }

func TestAPluginThatCanMoreThanItSaysIsFound(t *testing.T) {
	b := soundBackend()
	problems := findingsOf(t, Options{Backend: b, Target: soundTarget()}, boastful{&direct{backend: b}}, checkOfBoasts)[checkOfBoasts]
	for _, a := range []sdk.Ability{sdk.CanReset, sdk.CanUnlock, sdk.CanRevoke, sdk.CanFind, sdk.CanList, sdk.CanPolicy, sdk.CanGenerate} {
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, string(a)+", which the instance lacks") }) {
			t.Errorf("nothing is said of %q: %q", a, problems)
		}
	}
}

// The checks of plugins that are not built on the sdk.
const (
	checkOfNames    = "close/instances are known by their names"
	checkOfRawLeaks = "leaks/no secret in unscrubbed answers"
	checkOfIDs      = "replay/an id stands for one operation"
	checkOfTraces   = "leaks/no secret where others can look"
	checkOfFrames   = "verify/in frames says the same"
)

// foreign is a plugin whose answers are not those of the sdk.
type foreign struct {
	*wired
	spoil func(pb.BackendClient) pb.BackendClient
}

func (f foreign) raw(ctx context.Context, config sdk.Config) (pb.BackendClient, func() error, error) {
	rpc, hangUp, err := f.wired.raw(ctx, config)
	return f.spoil(rpc), hangUp, err
}

// quoting is a plugin that quotes what it refuses.
type quoting struct{ pb.BackendClient }

func (q quoting) Apply(ctx context.Context, in *pb.ApplyRequest, o ...grpc.CallOption) (*pb.ApplyResponse, error) {
	out, err := q.BackendClient.Apply(ctx, in, o...)
	if e := out.GetReceipt().GetError(); e != nil {
		e.Message += " " + string(in.GetOperation().GetValue().GetValue())
	}
	return out, err
}

// forgetful is a plugin that looks at no id.
type forgetful struct{ pb.BackendClient }

func (f forgetful) Apply(ctx context.Context, in *pb.ApplyRequest, o ...grpc.CallOption) (*pb.ApplyResponse, error) {
	in.Operation.Id = rand.Text()
	return f.BackendClient.Apply(ctx, in, o...)
}

// nameless is a plugin that keeps one instance, whatever it is called.
type nameless struct{ pb.BackendClient }

func (n nameless) Configure(ctx context.Context, in *pb.ConfigureRequest, o ...grpc.CallOption) (*pb.ConfigureResponse, error) {
	in.Instance = rand.Text()
	return n.BackendClient.Configure(ctx, in, o...)
}

func (n nameless) Apply(context.Context, *pb.ApplyRequest, ...grpc.CallOption) (*pb.ApplyResponse, error) {
	return &pb.ApplyResponse{Receipt: &pb.Receipt{Outcome: pb.Outcome_OUTCOME_APPLIED}}, nil
}

func (n nameless) Close(context.Context, *pb.CloseRequest, ...grpc.CallOption) (*pb.CloseResponse, error) {
	return nil, status.Error(codes.Internal, "oh")
}

// credulous is a plugin that accepts every verify of a stream.
type credulous struct{ pb.BackendClient }

type yes struct {
	grpc.BidiStreamingClient[pb.OperationFrame, pb.AnswerFrame]
}

func (c credulous) ApplyStream(ctx context.Context, o ...grpc.CallOption) (grpc.BidiStreamingClient[pb.OperationFrame, pb.AnswerFrame], error) {
	s, err := c.BackendClient.ApplyStream(ctx, o...)
	return yes{s}, err
}

func (y yes) Recv() (*pb.AnswerFrame, error) {
	f, err := y.BidiStreamingClient.Recv()
	for _, a := range f.GetAnswers() {
		a.Receipt.Verdict = pb.Verdict_VERDICT_ACCEPTED
	}
	return f, err
}

func TestForeignPluginsAreCaught(t *testing.T) {
	o := Options{Backend: soundBackend(), Target: soundTarget()}
	serveIfChild(t, o)
	good := startWired(t, self(t))
	tests := []struct {
		check string
		spoil func(pb.BackendClient) pb.BackendClient
		want  []string
	}{
		{checkOfRawLeaks, func(c pb.BackendClient) pb.BackendClient { return quoting{c} }, []string{"the answer to an unknown kind: holds secret 1 of 2 (raw)"}},
		{checkOfIDs, func(c pb.BackendClient) pb.BackendClient { return forgetful{c} }, []string{
			"the id of one operation for another: applied, want refused [InvalidOperation]",
			`a refusal of an id that was used before: the target does not accept the value of account "bob"`,
		}},
		{checkOfFrames, func(c pb.BackendClient) pb.BackendClient { return credulous{c} }, []string{
			`a verify in a frame: the answers ["applied accepted"], want one of [rejected]`,
		}},
		{checkOfNames, func(c pb.BackendClient) pb.BackendClient { return nameless{c} }, []string{
			"an operation on an instance that was never opened: gRPC status OK (<nil>), want NotFound",
			"Close of an instance that was never opened: gRPC status Internal (rpc error: code = Internal desc = oh), want OK",
			"Configure with the name of an open instance: gRPC status OK (<nil>), want AlreadyExists",
			"an operation on an instance that was closed: gRPC status OK (<nil>), want NotFound",
		}},
	}
	for _, tt := range tests {
		problems := findingsOf(t, o, foreign{good, tt.spoil}, tt.check)[tt.check]
		for _, want := range tt.want {
			if !slices.Contains(problems, want) {
				t.Errorf("%s: found %q, want %q", tt.check, problems, want)
			}
		}
	}
}

// busy refuses what comes while another operation is under way.
func busy() func(context.Context, *instance, sdk.Operation) sdk.Receipt {
	var mu sync.Mutex
	return func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
		if !mu.TryLock() {
			return sdk.Refuse(sdk.Errorf(sdk.TargetError, "busy"))
		}
		defer mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond): // long enough for others to come
		}
		return i.real(ctx, op)
	}
}

func TestABackendThatHangsIsFound(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	hang := &broken{memory: soundBackend(), apply: func(context.Context, *instance, sdk.Operation) sdk.Receipt { <-release; return sdk.OK() }}
	o := Options{Backend: hang, Target: soundTarget(), Patience: 20 * time.Millisecond}
	d := hang.Describe()
	for _, c := range checks() {
		if c.name != "set/takes effect" {
			continue
		}
		problems := c.try(t, o, &direct{backend: hang}, d)
		if !slices.Contains(problems, "Apply: no answer after 20ms") {
			t.Errorf("problems = %q", problems)
		}
	}
}

func TestATargetThatProvesNothingIsRefused(t *testing.T) {
	blind := &broken{memory: soundBackend(), describe: func(d *sdk.Description) {
		d.Abilities = slices.DeleteFunc(d.Abilities, func(a sdk.Ability) bool { return a == sdk.CanVerify })
	}}
	found := findings(t, Options{Backend: blind, Target: soundTarget()})
	if len(found["set/takes effect"]) == 0 {
		t.Error("a set is believed without proof")
	}
}

func TestMutantsAreCaughtOverTheWireToo(t *testing.T) {
	tests := []struct {
		name  string
		check string
		b     *broken
	}{
		{"trims values", "set/keeps every character", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			op.Value = secret.New(strings.TrimSpace(op.Value.Reveal()))
			return i.real(ctx, op)
		}}},
		{"lists the first account only", "list/yields every account", &broken{list: func(ctx context.Context, i *instance, yield func(sdk.Account) error) error {
			first := true
			return i.Instance.List(ctx, "", nil, func(a sdk.Account) error {
				if !first {
					return nil
				}
				first = false
				return yield(a)
			})
		}}},
		{"gives the value to a program as an argument", checkOfTraces, &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			_ = exec.CommandContext(ctx, "/bin/sh", "-c", "sleep 0.1", op.Value.Reveal()).Run()
			return i.real(ctx, op)
		}}},
		{"leaves the value in a file", checkOfTraces, &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			_ = os.WriteFile(filepath.Join(os.TempDir(), "debug"), []byte(op.Value.Reveal()), 0o600)
			return i.real(ctx, op)
		}}},
		{"prints secrets in a form of its own", "leaks/no secret in answers or logs", &broken{apply: func(ctx context.Context, i *instance, op sdk.Operation) sdk.Receipt {
			fmt.Fprintln(os.Stderr, "setting", op.Value.Reveal())
			return i.real(ctx, op)
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.b.memory = soundBackend()
			o := Options{Backend: tt.b, Target: soundTarget()}
			serveIfChild(t, o)
			found := findingsOf(t, o, startWired(t, self(t)), tt.check)
			if len(found[tt.check]) == 0 {
				t.Errorf("the check %q found nothing; found: %q", tt.check, found)
			}
		})
	}
}

func TestAProcessThatMisbehavesIsFound(t *testing.T) {
	serveIfChild(t, Options{Backend: memory.New()})
	good := self(t)
	shell := func(script string) command {
		return command{path: "/bin/sh", args: append([]string{"-c", script, good.path}, good.args...), env: good.env, ends: time.Second}
	}
	tests := []struct {
		name string
		look func(command) []string
		c    command
		want string
	}{
		{"the good one ends", withoutHost, good, ""},
		{"the good one says what it is", byHand, good, ""},
		{"outlives its host", withoutHost, shell(`"$0" "$@"; exec sleep 60`), "the process still runs 1s after its host is gone"},
		{"prints after the handshake", withoutHost, shell(`"$0" "$@"; echo noise`), "standard output holds \"noise\\n\" after the handshake"},
		{"prints before the handshake", withoutHost, shell(`echo noise; exec "$0" "$@"`), `handshake "noise", want 1|1|unix|PATH|grpc|CERTIFICATE`},
		{"ends before the handshake", withoutHost, shell(`exit 3`), "before a handshake"},
		{"the good one ignores an interrupt", interrupted, good, ""},
		{"ends at an interrupt", interrupted, shell(`trap 'kill -9 $!; exit' INT; "$0" "$@" 3<&3 & wait`), "the process ended at an interrupt"},
		{"runs without a host", byHand, shell(`exit 0`), "want an exit code that is not 0"},
		{"says nothing without a host", byHand, shell(`exit 2`), "want a line on standard error that says what it is"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(tt.look(tt.c), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
