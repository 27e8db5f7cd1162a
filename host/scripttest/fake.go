package scripttest

import (
	"context"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// fake stands in for one backend: accounts in memory, with the kinds, the verbs and the
// abilities of the plugin that it stands for.
type fake struct {
	label       string
	description sdk.Description
	world       *world
	life        *life
	target      *memory.Instance
	ctx         context.Context // of the life
	each        time.Duration   // that a call takes by the rate of the script; 0: none
}

var (
	_ host.StandIn = (*fake)(nil)
	_ host.Paced   = (*fake)(nil)
	_ sdk.Resolver = (*fake)(nil)
)

// openFake makes the instance of one host. Its accounts are those of the world; those
// that a test does not name are made when they are needed, unless it names some.
func openFake(world *world, life *life, description sdk.Description, config sdk.Config) (host.StandIn, error) {
	backend := &memory.Backend{Store: &world.store, Kinds: description.Kinds, Rand: world.random, Now: world.clock.Now}
	_, seeded := world.seeds[config.Label]
	opened, err := backend.Configure(life.ctx, sdk.Config{Label: config.Label, Values: map[string]any{"create": !seeded}})
	if err != nil {
		return nil, err
	}
	return &fake{config.Label, description, world, life, opened.(*memory.Instance), life.ctx, 0}, nil
}

// Abilities are those of the plugin.
func (f *fake) Abilities() []sdk.Ability {
	return slices.DeleteFunc(slices.Clone(f.description.Abilities), func(ability sdk.Ability) bool { return ability == sdk.CanBatch })
}

// Pace has each call take its time by the clock of the run.
func (f *fake) Pace(perSecond float64) {
	if perSecond > 0 {
		f.each = time.Duration(float64(time.Second) / perSecond)
	}
}

// happens notes a call.
func (f *fake) happens() {
	f.world.clock.happens()
	f.world.clock.advance(f.each)
}

// Close does nothing: the accounts are the world's.
func (f *fake) Close() error { return nil }

// Submit carries a frame out.
func (f *fake) Submit(ops []sdk.Operation, answer func(n int, receipt sdk.Receipt)) {
	go func() {
		for i, op := range ops {
			if op.Verb == sdk.Verify {
				verdict, err := f.Verify(f.ctx, op.Account, op.Kind, op.Value)
				answer(i, verified(verdict, err))
				continue
			}
			answer(i, f.carryOut(op, f.apply))
		}
	}()
}

func verified(verdict sdk.Verdict, err error) sdk.Receipt {
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.TargetError))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Verdict: verdict}
}

// Ask carries one operation out.
func (f *fake) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return f.carryOut(op, func(op sdk.Operation) sdk.Receipt {
		switch op.Verb {
		case sdk.Reset:
			return f.target.Reset(ctx, op)
		case sdk.Unlock:
			return f.target.Unlock(ctx, op)
		default:
			return f.target.Revoke(ctx, op)
		}
	})
}

// apply gives an account a value, in whatever form; a handover is a set of what the
// instance logs in as.
func (f *fake) apply(op sdk.Operation) sdk.Receipt {
	op.HashFormat = ""
	if op.Verb == sdk.Handover {
		op.Verb = sdk.Set
	}
	return f.target.Apply(f.ctx, op)
}

// carryOut lets the test and the scenario interfere with an operation.
func (f *fake) carryOut(op sdk.Operation, act func(sdk.Operation) sdk.Receipt) sdk.Receipt {
	f.happens()
	at := place{f.label, op.Account, op.Kind}
	if f.life.dead() {
		return gone()
	}
	number := f.world.nextChange()
	lose, arrives := f.life.loses(number, op.ID, at)
	if lose {
		f.world.lose(at)
	}
	if f.world.isLost(at) && !(lose && arrives) {
		f.note(op, gone(), false)
		return gone()
	}
	receipt := f.answer(op, at, act)
	f.note(op, receipt, receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied || receipt.Outcome == sdk.Unknown)
	f.life.goesOn(op.ID, at)
	if f.life.answered(number) || lose {
		return gone()
	}
	return receipt
}

// answer is what the target says.
func (f *fake) answer(op sdk.Operation, at place, act func(sdk.Operation) sdk.Receipt) sdk.Receipt {
	able := f.description.MustChange
	code := f.world.code(string(op.Verb), at)
	switch {
	case able != nil && !*able && op.MustChange != nil && *op.MustChange:
		return sdk.Refuse(sdk.Errorf(sdk.Unsupported, "it cannot ask the owner for another password"))
	case code == "":
		return act(op)
	case code == lostCode:
		act(op)
		return gone()
	default:
		return sdk.Refuse(&sdk.Error{Code: sdk.Code(code), Message: "the test says so"})
	}
}

func gone() sdk.Receipt { return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "no answer came")) }

// note keeps the call.
func (f *fake) note(op sdk.Operation, receipt sdk.Receipt, applied bool) {
	value := op.Value
	if op.Verb == sdk.Reset {
		value = receipt.Value
	}
	made := call{place: place{f.label, op.Account, op.Kind}, verb: string(op.Verb), outcome: receipt.Outcome.String(), value: value, life: f.life.number}
	if receipt.Outcome == sdk.AlreadyApplied {
		made.outcome = sdk.Applied.String()
	}
	if receipt.Err != nil {
		made.code = string(receipt.Err.Code)
	}
	f.world.note(made, applied)
}

// reads lets the test and the scenario interfere with a question.
func (f *fake) reads(verb string, at place, value secret.Value) *sdk.Error {
	f.happens()
	if f.life.dead() || f.world.isLost(at) {
		return sdk.Errorf(sdk.ConnectionLost, "no answer came")
	}
	failure := (*sdk.Error)(nil)
	switch code := f.world.code(verb, at); code {
	case "":
	case lostCode:
		failure = sdk.Errorf(sdk.ConnectionLost, "no answer came")
	default:
		failure = &sdk.Error{Code: sdk.Code(code), Message: "the test says so"}
	}
	made := call{place: at, verb: verb, outcome: sdk.Applied.String(), value: value, life: f.life.number}
	if failure != nil {
		made.outcome, made.code = sdk.Refused.String(), string(failure.Code)
	}
	f.world.note(made, false)
	return failure
}

// Find returns the account.
func (f *fake) Find(ctx context.Context, name string) (sdk.Account, error) {
	if failure := f.reads("find", place{f.label, name, ""}, secret.Value{}); failure != nil {
		return sdk.Account{}, failure
	}
	return f.target.Find(ctx, name)
}

// Verify compares a value with the present one.
func (f *fake) Verify(ctx context.Context, name, kind string, value secret.Value) (sdk.Verdict, error) {
	if failure := f.reads("verify", place{f.label, name, kind}, value); failure != nil {
		if failure.Code == sdk.NotAccepted {
			return sdk.Rejected, nil
		}
		return sdk.CannotTell, failure
	}
	return f.target.Verify(ctx, name, kind, value)
}

// Policy returns no rules: those of the script alone decide.
func (f *fake) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{}, nil
}

// Generate returns values.
func (f *fake) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	return f.target.Generate(ctx, kind, count)
}

// Check finds nothing.
func (f *fake) Check(context.Context) []sdk.Finding { return nil }

// Resolve returns the accounts' own names.
func (f *fake) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	return f.target.Resolve(ctx, names)
}

// Accounts lists the accounts that the test names.
func (f *fake) Accounts(ctx context.Context, _ string, attributes, _ []string, yield func(sdk.Account) error) error {
	return f.target.List(ctx, "", attributes, yield)
}
