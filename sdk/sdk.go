// Package sdk is the vocabulary that rekey and its plugins share: backends,
// operations, receipts, codes and policies.
//
// An author implements Backend and Instance, adds the optional abilities that
// the target system offers, one method each, and hands the Backend to
// sdk/serve. A backend that speaks HTTP begins with sdk/rest, which knows what a
// status or a broken exchange means for an operation, renews logins and scrubs; a test
// begins with sdk/backendtest. rekey plugin new writes a whole backend to start from.
// The package imports the standard library and sdk/secret only; it
// knows nothing of processes, wires, scripts or ledgers.
//
//	ability        method     what the host does without it
//	Finder         Find       step.find and stamps are not offered
//	Lister         List       BACKEND.accounts() is refused
//	PolicyReader   Policy     the script's policy alone decides
//	Verifier       Verify     an unknown outcome is settled by sending again, or stays
//	Checker        Check      the backend is first met when the first wave starts
//	Generator      Generate   step.generate(generator = BACKEND) is refused
//	Resetter       Reset      step.reset is refused
//	Unlocker       Unlock     step.unlock is refused
//	Revoker        Revoke     step.revoke is refused
//	BatchApplier   ApplyBatch operations arrive one by one through Apply
//	Resolver       Resolve    two names of one account are taken for two accounts
package sdk

import (
	"context"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Backend is a kind of system that holds credentials, and what a plugin serves.
type Backend interface {
	// Describe is static and offline: the same answer at every call, no
	// secrets, no reading of files or network.
	Describe() Description
	// Configure opens one instance. It is called many times in one process,
	// with other settings each time, and concurrently; instances share no
	// state that depends on their settings. It validates c and should not wait
	// for the target: whether it is reachable is Checker's to say. An error
	// is InvalidConfig unless it is an *Error with another code.
	Configure(ctx context.Context, c Config) (Instance, error)
}

// Instance is one configured backend.
type Instance interface {
	// Apply does one operation on one account. It is called concurrently, at
	// most Config.Concurrency at once. Its context ends at the operation's
	// deadline. The receipt says Applied only if the target has the value,
	// Refused only if it certainly has not changed, Unknown otherwise.
	Apply(ctx context.Context, op Operation) Receipt
	// Close releases what the instance holds. It is called once, after the
	// last Apply has returned.
	Close() error
}

// Partial is an instance that with its settings lacks abilities of its type.
type Partial interface {
	// Lacks returns the abilities whose methods the host must not call, and
	// which answer Unsupported. A nil instance lacks none.
	Lacks() []Ability
}

// Finder reads the state of one account.
type Finder interface {
	// Find returns the account, or an *Error: AccountNotFound, Ambiguous.
	Find(ctx context.Context, account string) (Account, error)
}

// Lister lists accounts.
type Lister interface {
	// List calls yield for each account that the filter, in the target's own
	// syntax, selects; an empty filter selects all. It stops at and returns
	// yield's error. A target that breaks in the middle is an error, never a
	// short list. attributes names what Account.Attributes should hold.
	List(ctx context.Context, filter string, attributes []string, yield func(Account) error) error
}

// PolicyReader tells the rules that the target will enforce.
type PolicyReader interface {
	// Policy returns the rules for a credential of an account; with an empty
	// account, those that hold for all. Rules it cannot know are left zero.
	Policy(ctx context.Context, account, kind string) (Policy, error)
}

// Verifier tells whether the target accepts a value.
type Verifier interface {
	// Verify asks the target once. Where this is a logon attempt, which counts
	// towards a lock, Description.VerifyIsLogon says so. An error means that
	// the question could not be asked.
	Verify(ctx context.Context, account, kind string, value secret.Value) (Verdict, error)
}

// Checker tells whether the instance can do its job now.
type Checker interface {
	// Check returns mistakes and facts worth knowing: reachable, logged in, may
	// do what. No finding of severity Bad means ready.
	Check(ctx context.Context) []Finding
}

// Generator asks the target for values that it would accept. It changes
// nothing; the host seals a value before it sets it.
type Generator interface {
	// Generate returns n values for credentials of the kind.
	Generate(ctx context.Context, kind string, n int) ([]secret.Value, error)
}

// Resolver tells which account a name means. Without it the host knows two
// names for one account only if they differ in case or Unicode form.
type Resolver interface {
	// Resolve returns one Identity a name, in the same order. It changes
	// nothing. An error says that the question could not be asked; a
	// mistake in one name stands in its Identity.
	Resolve(ctx context.Context, names []string) ([]Identity, error)
}

// BatchApplier does several operations in one request to the target.
type BatchApplier interface {
	// ApplyBatch returns one receipt an operation, in the same order; a missing
	// one is taken as Unknown. A batch has at most Limits.Batch operations, no
	// two on the same account and kind.
	ApplyBatch(ctx context.Context, ops []Operation) []Receipt
}
