package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is the host's end of one configured backend: the process boundary,
// and so the one wide interface of the engine. Its methods are safe for
// concurrent use. A method whose ability the instance lacks is not called. One
// with the ability sdk.CanResolve is an sdk.Resolver too.
type Instance interface {
	// Submit sends one frame of Set and Change operations, and of Verify where
	// Backend.StreamsVerify says so: such a receipt is Applied, with a Verdict,
	// where the target was asked. answer is called
	// exactly once for each n, from any goroutine, in any order, and must not
	// block.
	Submit(ops []sdk.Operation, answer func(n int, r sdk.Receipt))
	// Ask carries out one operation of sdk.AskedVerbs.
	Ask(ctx context.Context, op sdk.Operation) sdk.Receipt
	Find(ctx context.Context, account string) (sdk.Account, error)
	Policy(ctx context.Context, account, kind string) (sdk.Policy, error)
	Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error)
	Generate(ctx context.Context, kind string, n int) ([]secret.Value, error)
	Check(ctx context.Context) []sdk.Finding
}

// Backend is one instance with what the script and its plugin say of it.
type Backend struct {
	Label       string
	Description sdk.Description
	Abilities   []sdk.Ability // of this instance
	Instance    Instance

	Concurrency int           // operations inside it at once; at least 1
	Rate        float64       // operations a second; 0: no limit
	Timeout     time.Duration // of one operation
	Attempts    int           // of one operation, the first included
	Patience    time.Duration // how long an open circuit is probed

	StreamsVerify bool // Submit takes operations of sdk.Verify too
}

// Can reports whether the instance has the ability.
func (b Backend) Can(ability sdk.Ability) bool { return slices.Contains(b.Abilities, ability) }

// credit is how many operations may be sent and unanswered: enough to keep the
// plugin's workers busy and frames full, and no more, because it is also all
// that a crash can leave unknown.
func (b Backend) credit() int { return max(64, 4*b.Concurrency) }

// lateFactor times an operation's timeout is how long after rekey gave an
// attempt up its request may still reach the target: proxies, full queues and
// retransmissions hold requests far longer than any answer is waited for.
const lateFactor = 4

// Late is how long an abandoned attempt may still take effect.
func (b Backend) Late() time.Duration { return lateFactor * b.Timeout }

func kindsOf(description sdk.Description) string {
	if len(description.Kinds) == 0 {
		return "only one, without a kind"
	}
	names := make([]string, len(description.Kinds))
	for i, kind := range description.Kinds {
		names[i] = kind.Name
	}
	return strings.Join(names, ", ")
}
