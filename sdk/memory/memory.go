// Package memory is the reference backend: accounts that live in the memory of
// their process, with every ability of the contract. It is for trials of
// scripts, tests and benchmarks, and it shows plugin authors what each method
// has to answer. It knows the vocabulary of sdk; it knows nothing of wires,
// files or networks.
//
// There is one credential an account, whose kind is "", unless Backend.Kinds
// names others. A Set names any existing account; with the setting create
// (true by default) it makes a missing one, and so do a Reset and a Change,
// which then takes the old value for the present one.
//
// Values are kept as keyed hashes only: the process can tell whether a value
// is the present one, and cannot tell it.
package memory

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances whose accounts live in a Store. The zero Backend is
// ready for use and is what New returns. Its fields are set before the first
// Configure and not changed after it.
type Backend struct {
	// Store holds the accounts. Nil: the backend's own, so that accounts
	// outlive their instance, though not their process.
	Store *Store
	// Kinds are the credentials of every account. Nil: one, whose kind is "".
	Kinds []sdk.Kind
	// Policy is enforced and told, apart from the history, which is a setting.
	// Lengths, classes, Forbid, MaxRepeat and NoAccountName are enforced. The
	// least length is 1 even if it says 0.
	Policy sdk.Policy
	// Batch is how many operations one ApplyBatch takes. 0: the instances lack
	// that ability.
	Batch int
	// Inject, if set, may interfere with any operation before
	// it reaches the account. It is called concurrently and may block, but not
	// beyond the end of ctx. Nil lets the operation pass.
	Inject func(ctx context.Context, op sdk.Operation) *Fault
	// Rand is where generated values come from. Nil: crypto/rand.
	Rand io.Reader
	// Now is the clock of ChangedAt. Nil: time.Now.
	Now func() time.Time

	own Store
}

// Fault is what Inject does to one operation.
type Fault struct {
	Receipt sdk.Receipt // the answer
	Applied bool        // the account changes nevertheless, as when an answer is lost
}

// New returns a Backend with settings of its own only.
func New() *Backend { return &Backend{} }

// Describe returns what an instance can do; the answer depends on the fields
// of b.
func (b *Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:       "memory",
		Version:    "1.0.0",
		Summary:    "accounts in memory, gone with the process: for trials, tests and benchmarks",
		Doc:        doc,
		Config:     fields(),
		Kinds:      b.Kinds,
		Verbs:      []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Revoke, sdk.Handover},
		ReplaySafe: []sdk.Verb{sdk.Set, sdk.Revoke},
		Abilities:  b.abilities(),
		MustChange: new(true),
		Limits:     sdk.Limits{Batch: b.Batch},
		Target:     []string{"accounts"},
	}
}

const doc = `Nothing that happens here outlives the process: a run that is resumed finds
its accounts gone, and with create = True makes them again.

A missing account is made by a set, a reset or a change, unless create = False;
a change then takes its old value for the present one. Only hashes of values
are kept. filter of accounts() is a shell pattern of names, such as "team-*".`

func fields() []sdk.Field {
	return []sdk.Field{
		{Name: "create", Type: sdk.Bool, Default: true, Doc: "make missing accounts"},
		{Name: "latency", Type: sdk.Duration, Default: time.Duration(0), Doc: "how long each operation takes, as a target on a network would"},
		{Name: "history", Type: sdk.Int, Default: 0, Doc: "how many old values of an account are refused, besides the present one; 0: refuse nothing"},
		{Name: "accounts", Type: sdk.List, Doc: "accounts that exist from the start, without a password"},
		{Name: "login", Type: sdk.String, Doc: "the account that the backend itself logs in as, made if it is missing: only a handover changes it"},
		{Name: "login_password", Type: sdk.Secret, Doc: "its password"},
		{Name: "locked", Type: sdk.List, Doc: "accounts that exist from the start and are locked"},
	}
}

func (b *Backend) abilities() []sdk.Ability {
	if b.Batch > 0 {
		return sdk.AbilitiesOf((*batching)(nil))
	}
	return sdk.AbilitiesOf((*Instance)(nil))
}

// Configure opens an instance on the accounts that the store has under the
// label of config; instances of different labels share no target.
func (b *Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	if err := check(config); err != nil {
		return nil, err
	}
	instance := b.instance(config)
	for _, name := range config.List("accounts") {
		instance.accounts.seed(name, sdk.StatusActive)
	}
	for _, name := range config.List("locked") {
		instance.accounts.seed(name, sdk.StatusLocked)
	}
	if b.Batch > 0 {
		return &batching{instance}, nil
	}
	return instance, nil
}

func check(config sdk.Config) *sdk.Error {
	if span := config.Duration("latency"); span < 0 {
		return sdk.Errorf(sdk.InvalidConfig, "latency: got %v, want at least 0s", span)
	}
	if count := config.Int("history"); count < 0 || count > maxHistory {
		return sdk.Errorf(sdk.InvalidConfig, "history: got %d, want 0 to %d", count, maxHistory)
	}
	if config.Text("login") != "" && config.Secret("login_password").Empty() {
		return sdk.Errorf(sdk.InvalidConfig, "login_password: it is missing, and login is given")
	}
	for _, list := range []string{"accounts", "locked"} {
		for _, name := range config.List(list) {
			if name == "" {
				return sdk.Errorf(sdk.InvalidConfig, "%s: an account's name is empty", list)
			}
		}
	}
	return nil
}

func (b *Backend) instance(config sdk.Config) *Instance {
	store := b.Store
	if store == nil {
		store = &b.own
	}
	instance := &Instance{
		accounts: store.open(config.Label),
		create:   true,
		latency:  config.Duration("latency"),
		kinds:    b.Kinds,
		policy:   b.Policy,
		inject:   b.Inject,
		rand:     b.Rand,
		now:      b.Now,
	}
	if create, given := config.Values["create"].(bool); given {
		instance.create = create
	}
	instance.policy.MinLength = max(1, instance.policy.MinLength)
	instance.policy.History = config.Int("history")
	if instance.rand == nil {
		instance.rand = rand.Reader
	}
	if instance.now == nil {
		instance.now = time.Now
	}
	instance.login = newLogin(config, instance.accounts, instance.kinds)
	return instance
}
