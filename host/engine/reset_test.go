package engine

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// diary is what targets did, in order.
type diary struct {
	mu   sync.Mutex
	list []string
}

func (d *diary) add(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, what)
}

// last returns the place of the newest entry, -1 without one.
func (d *diary) last(what string) int {
	for i, was := range slices.Backward(d.list) {
		if was == what {
			return i
		}
	}
	return -1
}

// telling is a target whose questions stand in a diary.
type telling struct {
	*target
	diary *diary
}

func (w telling) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	w.diary.add(string(op.Verb))
	return w.target.Ask(ctx, op)
}

func (w telling) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	w.diary.add("verify")
	return sdk.Accepted, nil
}

// sessions is a job that sets a value, ends sessions, verifies, and sets the
// value at another account. The revoke and the verify are at the label asked.
func sessions(t *testing.T, b *book, kind, asked string) (job Job, x, other *target, seen *diary) {
	t.Helper()
	x, other, seen = newTarget(t, b), newTarget(t, b), &diary{}
	x.say = func(_ int, op sdk.Operation) sdk.Receipt {
		x.take(op)
		seen.add("set " + op.Value.Reveal())
		return sdk.OK()
	}
	job = jobOf(b, steps(
		journal.Step{Verb: journal.Set, Backend: "ldap", Kind: kind, Value: given("new")},
		journal.Step{Verb: journal.Revoke, Backend: asked},
		journal.Step{Verb: journal.Verify, Backend: "app", Value: given("new")},
		journal.Step{Verb: journal.Set, Backend: "other", Value: given("new")},
	), x.backend("ldap"), x.backend("app"), other.backend("other"))
	for i := range job.Backends[:2] {
		job.Backends[i].Instance = telling{x, seen}
	}
	if kind != "" {
		job.Backends[0].Description.Kinds = []sdk.Kind{{Name: kind}}
	}
	return job, x, other, seen
}

// TestARecordedRevokeEndsNoSessionOfAfterASetBack: who logged in with the old
// value meanwhile is still there.
func TestARecordedRevokeEndsNoSessionOfAfterASetBack(t *testing.T) {
	for _, c := range []struct{ name, kind, asked string }{
		{"another label", "", "app"}, {"another kind", "mail", "ldap"},
	} {
		b := newBook(1)
		job, _, other, seen := sessions(t, b, c.kind, c.asked)
		other.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
		job.Revert = true
		job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("old"), true, nil }
		apply(t, job)
		if got := statusIn(b.user(1)); got != journal.Failed || seen.last("set old") < 0 {
			t.Fatalf("%s: %s after %v, want failed, and the old value back", c.name, got, seen.list)
		}
		b.records = append(b.records, journal.Record{Kind: journal.Reopened, User: 1})
		other.say = nil
		apply(t, job)
		set, revoked, verified := seen.last("set new"), seen.last("revoke"), seen.last("verify")
		if got := statusIn(b.user(1)); got != journal.Done || revoked < set || verified < set {
			t.Errorf("%s: %s after %v, want done, with a revoke and a verify behind the set", c.name, got, seen.list)
		}
	}
}

// TestARecordedRevokeIsAskedAgainBehindASetThatIsSettled, also where the process
// that settled it was killed before it could ask.
func TestARecordedRevokeIsAskedAgainBehindASetThatIsSettled(t *testing.T) {
	for _, killed := range []bool{false, true} {
		b := newBook(1)
		job, x, _, seen := sessions(t, b, "", "app")
		job.Hooks = tries(journal.Step{Verb: journal.Set, Backend: "ldap", Value: given("new")}, journal.Step{Verb: journal.Revoke, Backend: "app"},
			journal.Step{Verb: journal.Verify, Backend: "app", Value: given("new")})
		job.Backends[0].Abilities = nil // nothing settles the set at once
		works := x.say
		x.say = func(int, sdk.Operation) sdk.Receipt { return cut }
		apply(t, job)
		if got := statusIn(b.user(1)); got != journal.Unresolved || !slices.Equal(seen.list, []string{"revoke", "verify"}) {
			t.Fatalf("%s after %v, want unknown after a revoke and a verify", got, seen.list)
		}
		x.say, seen.list = works, nil
		reopenUnknown(b)
		want := []string{"set new", "revoke", "verify"}
		if killed {
			set := journal.Step{Verb: journal.Set, Backend: "ldap", Account: "user1"}.Record(journal.Outcome, 1, 1)
			set.Outcome = sdk.Applied
			b.records, want = append(b.records, set), want[1:]
		}
		apply(t, job)
		if got := statusIn(b.user(1)); got != journal.Done || !slices.Equal(seen.list, want) {
			t.Errorf("killed %v: %s after %v, want done after %v", killed, got, seen.list, want)
		}
	}
}
