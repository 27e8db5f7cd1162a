package memory

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one configured memory backend. It has every ability but
// BatchApplier.
type Instance struct {
	accounts *accounts
	login    *login // nil: it needs no account of its own
	create   bool
	latency  time.Duration
	kinds    []sdk.Kind
	policy   sdk.Policy
	inject   func(context.Context, sdk.Operation) *Fault
	rand     io.Reader
	now      func() time.Time
}

// Apply sets or changes a credential, or hands over the instance's own. It refuses with Timeout or Cancelled
// when ctx ends within the latency; nothing has changed then.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if err := i.wait(ctx); err != nil {
		return sdk.Refuse(err)
	}
	if op.Verb == sdk.Handover {
		return i.do(ctx, op, i.handOver)
	}
	return i.do(ctx, op, i.give)
}

// Reset gives the account a value of 20 characters that its policy allows, and
// tells it.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if err := i.wait(ctx); err != nil {
		return sdk.Refuse(err)
	}
	return i.do(ctx, op, i.pick)
}

// Unlock makes a locked account active and leaves others as they are.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if err := i.wait(ctx); err != nil {
		return sdk.Refuse(err)
	}
	return i.do(ctx, op, i.unlock)
}

// Revoke ends the sessions of an account.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if err := i.wait(ctx); err != nil {
		return sdk.Refuse(err)
	}
	return i.do(ctx, op, i.revoke)
}

// Close does nothing: the accounts belong to the Store.
func (i *Instance) Close() error { return nil }

// wait is the way to the target and back.
func (i *Instance) wait(ctx context.Context) *sdk.Error {
	if i.latency > 0 {
		timer := time.NewTimer(i.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if failed := ended(ctx); failed != nil {
		return failed
	}
	return i.login.enters()
}

func ended(ctx context.Context) *sdk.Error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the deadline passed before the account was touched")
	default:
		return sdk.Errorf(sdk.Cancelled, "given up before the account was touched")
	}
}

// do lets Inject interfere with an operation and carries it out.
func (i *Instance) do(ctx context.Context, op sdk.Operation, act func(sdk.Operation) sdk.Receipt) sdk.Receipt {
	if i.inject == nil {
		return act(op)
	}
	fault := i.inject(ctx, op)
	if fault == nil {
		return act(op)
	}
	if fault.Applied {
		act(op)
	}
	return fault.Receipt
}

// give is Set and Change.
func (i *Instance) give(op sdk.Operation) sdk.Receipt {
	if err := i.sane(op); err != nil {
		return sdk.Refuse(err)
	}
	if broken := violations(i.policy, op.Value.Reveal(), op.Account); len(broken) > 0 {
		return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Message: broken[0].Message, Violations: broken})
	}
	value := i.accounts.digest(op.Account, op.Kind, op.Value)
	sh := i.accounts.shard(op.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account, err := i.enter(sh, op)
	if err != nil {
		return sdk.Refuse(err)
	}
	credential := account.credential(op.Kind)
	if credential.op != 0 && credential.op == i.accounts.mark(op.ID) {
		return done(i, sdk.AlreadyApplied, credential)
	}
	if err := i.allowed(credential, op, value); err != nil {
		if op.Attempt > 1 && credential.set && credential.digest == value {
			return done(i, sdk.AlreadyApplied, credential) // an earlier attempt is the reason for the refusal
		}
		return sdk.Refuse(err)
	}
	i.take(credential, op, value)
	sh.put(op.Account, account)
	return done(i, sdk.Applied, credential)
}

// sane refuses what can be refused without a look at the account.
func (i *Instance) sane(op sdk.Operation) *sdk.Error {
	switch {
	case op.Verb != sdk.Set && op.Verb != sdk.Change && op.Verb != sdk.Handover:
		return sdk.Errorf(sdk.Unsupported, "%q is not an operation of apply", op.Verb)
	case op.HashFormat != "":
		return sdk.Errorf(sdk.Unsupported, "hash format %q is not known here", op.HashFormat)
	case !op.Value.Present():
		return sdk.Errorf(sdk.InvalidOperation, "the new value is missing")
	case op.Verb == sdk.Change && !op.Old.Present():
		return sdk.Errorf(sdk.InvalidOperation, "a change needs the old value")
	}
	return i.login.ownOnly(op)
}

// enter returns the account, or a new one that the caller puts in its place when
// the operation succeeds, or why it cannot be touched. The caller holds the
// shard.
func (i *Instance) enter(sh *shard, op sdk.Operation) (*account, *sdk.Error) {
	if err := i.names(op.Account, op.Kind); err != nil {
		return nil, err
	}
	a := sh.m[op.Account]
	if a == nil {
		if !i.create || op.Verb == sdk.Unlock || op.Verb == sdk.Revoke {
			return nil, missing(op.Account)
		}
		a = &account{status: sdk.StatusActive}
		if op.Verb == sdk.Change {
			a.credential(op.Kind).take(i.accounts.digest(op.Account, op.Kind, op.Old), 0)
		}
	}
	if a.status != sdk.StatusActive && op.Verb != sdk.Unlock && op.Verb != sdk.Revoke {
		return nil, &sdk.Error{Code: sdk.AccountStatus, AccountStatus: a.status, Message: "the account is " + a.status.String()}
	}
	return a, nil
}

func (i *Instance) names(name, kind string) *sdk.Error {
	if name == "" {
		return sdk.Errorf(sdk.InvalidOperation, "the account's name is empty")
	}
	if !(sdk.Description{Kinds: i.kinds}).HasKind(kind) {
		return sdk.Errorf(sdk.InvalidOperation, "there is no credential of kind %q", kind)
	}
	return nil
}

func missing(name string) *sdk.Error {
	return sdk.Errorf(sdk.AccountNotFound, "there is no account %q", name)
}

// allowed refuses what the account's own state forbids.
func (i *Instance) allowed(credential *credential, op sdk.Operation, value [32]byte) *sdk.Error {
	if op.Verb == sdk.Change && (!credential.set || credential.digest != i.accounts.digest(op.Account, op.Kind, op.Old)) {
		return sdk.Errorf(sdk.WrongCurrentPassword, "the old value is not the present one")
	}
	if count := i.policy.History; count > 0 && credential.remembers(value, count) {
		violation := sdk.Violation{Rule: sdk.RuleHistory, Limit: count, Message: "the value is the present one or one of those before it"}
		return &sdk.Error{Code: sdk.PolicyViolation, Message: violation.Message, Violations: []sdk.Violation{violation}}
	}
	return nil
}

func (i *Instance) take(credential *credential, op sdk.Operation, value [32]byte) {
	credential.take(value, i.policy.History)
	credential.op = i.accounts.mark(op.ID)
	credential.must = op.Verb != sdk.Change && op.MustChange != nil && *op.MustChange
	credential.version = i.accounts.version.Add(1)
	credential.dated(i.now())
}

// done is the receipt of an operation that succeeded.
func done(instance *Instance, outcome sdk.Outcome, credential *credential) sdk.Receipt {
	return sdk.Receipt{Outcome: outcome, Stamp: instance.accounts.stamp(credential)}
}

// pick is Reset.
func (i *Instance) pick(op sdk.Operation) sdk.Receipt {
	if failed := i.login.ownOnly(op); failed != nil {
		return sdk.Refuse(failed)
	}
	value, err := generate(i.rand, i.policy)
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.Internal))
	}
	sh := i.accounts.shard(op.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account, refusal := i.enter(sh, op)
	if refusal != nil {
		return sdk.Refuse(refusal)
	}
	credential := account.credential(op.Kind)
	i.take(credential, op, i.accounts.digest(op.Account, op.Kind, value))
	sh.put(op.Account, account)
	receipt := done(i, sdk.Applied, credential)
	receipt.Value = value
	return receipt
}

func (i *Instance) unlock(op sdk.Operation) sdk.Receipt {
	sh := i.accounts.shard(op.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account, err := i.enter(sh, op)
	if err != nil {
		return sdk.Refuse(err)
	}
	if account.status == sdk.StatusLocked {
		account.status = sdk.StatusActive
	}
	return done(i, sdk.Applied, account.lookup(op.Kind))
}

// handOver is Handover: the account is given the value, and the instance goes on
// with it.
func (i *Instance) handOver(op sdk.Operation) sdk.Receipt {
	receipt := i.give(op)
	if receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied {
		i.login.passwords.Prefer(op.Value)
	}
	return receipt
}

func (i *Instance) revoke(op sdk.Operation) sdk.Receipt {
	if failed := i.login.ownOnly(op); failed != nil {
		return sdk.Refuse(failed)
	}
	sh := i.accounts.shard(op.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account, err := i.enter(sh, op)
	if err != nil {
		return sdk.Refuse(err)
	}
	account.endSessions()
	return done(i, sdk.Applied, account.lookup(op.Kind))
}

// Find returns the account. Its stamp is that of kind "", or of the first kind
// that the backend declares.
func (i *Instance) Find(ctx context.Context, name string) (sdk.Account, error) {
	if err := i.wait(ctx); err != nil {
		return sdk.Account{}, err
	}
	found, ok := lookUp(i, name)
	if !ok {
		return sdk.Account{}, missing(name)
	}
	return found, nil
}

// lookUp returns the facts about an account.
func lookUp(instance *Instance, name string) (sdk.Account, bool) {
	sh := instance.accounts.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account := sh.m[name]
	if account == nil {
		return sdk.Account{}, false
	}
	found := account.about()
	found.Account, found.Status, found.Kinds = name, account.status, nil
	if found.ID == "" {
		found.ID = name
	}
	if found.Login == "" {
		found.Login = name
	}
	main := ""
	for index, kind := range instance.kinds {
		found.Kinds = append(found.Kinds, kind.Name)
		if index == 0 {
			main = kind.Name
		}
	}
	credential := account.lookup(main)
	found.Stamp = instance.accounts.stamp(credential)
	if credential != nil && credential.set {
		found.MustChange, found.ChangedAt = new(credential.must), credential.changedAt()
	}
	return found, true
}

// Resolve returns the account's own id for each name: what Store.Put said, else
// the name. A name without an account is what a set would make.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	if err := i.wait(ctx); err != nil {
		return nil, err
	}
	found := make([]sdk.Identity, len(names))
	for index, name := range names {
		found[index] = identityOf(i, name)
	}
	return found, nil
}

// identityOf is the account behind a name.
func identityOf(instance *Instance, name string) sdk.Identity {
	sh := instance.accounts.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch account := sh.m[name]; {
	case account == nil && !instance.create:
		return sdk.Identity{Err: missing(name)}
	case account == nil || account.about().ID == "":
		return sdk.Identity{ID: name}
	default:
		return sdk.Identity{ID: account.about().ID}
	}
}

// List yields the accounts whose name matches filter, a pattern of path.Match,
// in the order of their names. Attributes are those that Store.Put was given.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if err := i.wait(ctx); err != nil {
		return err
	}
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: %v", filter, err)
	}
	for _, name := range i.accounts.names() {
		if err := ended(ctx); err != nil {
			return err
		}
		if match, _ := path.Match(filter, name); filter != "" && !match {
			continue
		}
		account, ok := lookUp(i, name)
		if !ok {
			continue
		}
		account.Attributes = only(account.Attributes, attributes)
		if err := yield(account); err != nil {
			return err
		}
	}
	return nil
}

// only returns the entries of table that names lists.
func only(table map[string]string, names []string) map[string]string {
	kept := make(map[string]string, len(names))
	for name, text := range table {
		if slices.Contains(names, name) {
			kept[name] = text
		}
	}
	return kept
}

// Policy returns the rules that this instance enforces, the same for all
// accounts.
func (i *Instance) Policy(ctx context.Context, _, kind string) (sdk.Policy, error) {
	if err := i.wait(ctx); err != nil {
		return sdk.Policy{}, err
	}
	if err := i.names("any", kind); err != nil {
		return sdk.Policy{}, err
	}
	return i.policy, nil
}

// Verify compares the value with the present one. It is not a logon: nothing is
// counted. An account that never got a value accepts nothing.
func (i *Instance) Verify(ctx context.Context, name, kind string, value secret.Value) (sdk.Verdict, error) {
	if err := i.wait(ctx); err != nil {
		return sdk.CannotTell, err
	}
	if err := i.names(name, kind); err != nil {
		return sdk.CannotTell, err
	}
	digest := i.accounts.digest(name, kind, value)
	sh := i.accounts.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account := sh.m[name]
	if account == nil {
		return sdk.CannotTell, missing(name)
	}
	return account.verdict(kind, digest), nil
}

// Check finds nothing: the target is always there.
func (i *Instance) Check(context.Context) []sdk.Finding { return nil }

// Generate returns count values that the policy allows.
func (i *Instance) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	if err := i.wait(ctx); err != nil {
		return nil, err
	}
	if err := i.names("any", kind); err != nil {
		return nil, err
	}
	values := make([]secret.Value, 0, max(0, count))
	for range count {
		value, err := generate(i.rand, i.policy)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// batching is an Instance that takes batches too. The latency is paid once a
// batch.
type batching struct{ *Instance }

// ApplyBatch applies the operations one after the other.
func (b *batching) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	err := b.wait(ctx)
	receipts := make([]sdk.Receipt, len(ops))
	for index, op := range ops {
		if err != nil {
			receipts[index] = sdk.Refuse(err)
			continue
		}
		receipts[index] = b.do(ctx, op, b.give)
	}
	return receipts
}
