package engine

import (
	"context"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestTheStampBeforeATryIsThatOfTheLastKnownState of the same account: what may
// have changed it since leaves none.
func TestTheStampBeforeATryIsThatOfTheLastKnownState(t *testing.T) {
	record := func(r journal.Record, stamp string) journal.Record {
		r.Backend, r.Account, r.Detail.Stamp = "a", "ann", stamp
		return r
	}
	found := record(journal.Record{Kind: journal.Answer, Verb: journal.Find, Outcome: sdk.Applied}, "found")
	intent := record(journal.Record{Kind: journal.Intent, Step: 2, Try: 1, Verb: journal.Set}, "")
	applied := record(journal.Record{Kind: journal.Outcome, Verb: journal.Set, Outcome: sdk.Applied}, "applied")
	unknown := record(journal.Record{Kind: journal.Outcome, Verb: journal.Set, Outcome: sdk.Unknown}, "")
	refused := record(journal.Record{Kind: journal.Outcome, Verb: journal.Set, Outcome: sdk.Refused}, "refused")
	missed := record(journal.Record{Kind: journal.Answer, Verb: journal.Find, Outcome: sdk.Refused}, "none")
	verified := record(journal.Record{Kind: journal.Answer, Verb: journal.Verify, Outcome: sdk.Applied}, "verified")
	earlier, sameStep, sameTry := intent, intent, intent
	earlier.Step, sameStep.Try, sameTry.Step = 1, 0, 1
	elsewhere := applied
	elsewhere.Backend = "b"
	another := applied
	another.Account = "bob"
	for _, c := range []struct {
		name string
		log  []journal.Record
		want string
	}{
		{"nothing before", []journal.Record{intent}, ""},
		{"found before", []journal.Record{found, intent}, "found"},
		{"applied since", []journal.Record{found, applied, intent}, "applied"},
		{"unknown since", []journal.Record{found, unknown, intent}, ""},
		{"refused since", []journal.Record{found, refused, intent}, "found"},
		{"not found since", []journal.Record{found, missed, intent}, "found"},
		{"verified since", []journal.Record{found, verified, intent}, "found"},
		{"another account", []journal.Record{found, another, intent}, "found"},
		{"another backend", []journal.Record{found, elsewhere, intent}, "found"},
		{"found after an earlier intent", []journal.Record{earlier, found, intent}, "found"},
		{"after another try of the step", []journal.Record{sameStep, found, intent}, "found"},
		{"after the same try of another step", []journal.Record{sameTry, found, intent}, "found"},
		{"found after it", []journal.Record{intent, found}, ""},
		{"its intent is not there", []journal.Record{found}, ""},
	} {
		h := journal.Read(c.log)
		a := h.Attempt(intent.Step, intent.Try)
		if a == nil {
			a = &journal.Attempt{Intent: &intent}
		}
		if got := stampBefore(h, a); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAStampTellsWhatItCan: of an account with one credential, that the backend
// can find, without a failure.
func TestAStampTellsWhatItCan(t *testing.T) {
	one, two := []sdk.Kind{{Name: "sip"}}, []sdk.Kind{{Name: "sip"}, {Name: "web"}}
	for _, c := range []struct {
		name      string
		was, now  string
		kinds     []sdk.Kind
		blind     bool // it cannot find
		verifies  bool
		fails     bool
		cancelled bool
		want      sdk.Verdict
	}{
		{name: "the same", was: "1", now: "1", want: sdk.Rejected}, {name: "another", was: "1", now: "2", want: sdk.Accepted},
		{name: "another, and a verify tells more", was: "1", now: "2", verifies: true, want: sdk.CannotTell},
		{name: "none before", now: "2", want: sdk.CannotTell}, {name: "none now", was: "1", want: sdk.CannotTell},
		{name: "one kind", was: "1", now: "1", kinds: one, want: sdk.Rejected}, {name: "several kinds", was: "1", now: "1", kinds: two, want: sdk.CannotTell},
		{name: "it cannot find", was: "1", now: "1", blind: true, want: sdk.CannotTell}, {name: "the find fails", was: "1", now: "1", fails: true, want: sdk.CannotTell},
		{name: "the run is cancelled", was: "1", now: "1", cancelled: true, want: sdk.CannotTell},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cr := idle(ctx)
		x := &marked{target: newTarget(t, newBook(1)), stamp: c.now, fails: c.fails}
		l := queued(0)
		l.slots, l.backend = make(chan struct{}, 1), x.backend("a")
		l.backend.Instance, l.backend.Abilities, l.backend.Description.Kinds = x, nil, c.kinds
		if !c.blind {
			l.backend.Abilities = append(l.backend.Abilities, sdk.CanFind)
		}
		if c.verifies {
			l.backend.Abilities = append(l.backend.Abilities, sdk.CanVerify)
		}
		if c.cancelled {
			cancel()
		}
		r := journal.Record{Step: 1, Backend: "a", Account: "ann", Outcome: sdk.Applied}
		found, intent := r, r
		found.Kind, found.Verb, found.Detail.Stamp = journal.Answer, journal.Find, c.was
		intent.Kind, intent.Verb, intent.Step = journal.Intent, journal.Set, 2
		s := &userState{run: cr, history: journal.Read([]journal.Record{found, intent})}
		got := newExecutor(s, journal.Step{Backend: "a", Account: "ann"}, l, &journal.RecordedStep{}).stamped(s.history.Attempt(2, 0))
		if got != c.want || c.blind && x.asked {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		cancel()
	}
}

// marked is a target whose account has a stamp.
type marked struct {
	*target
	stamp string
	fails bool
	asked bool
}

func (m *marked) Find(_ context.Context, account string) (sdk.Account, error) {
	m.asked = true
	if m.fails {
		return sdk.Account{Account: account, Stamp: m.stamp}, sdk.Errorf(sdk.TargetError, "not today")
	}
	return sdk.Account{Account: account, Stamp: m.stamp}, nil
}
