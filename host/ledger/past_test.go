package ledger

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// pasts makes runs that may have reached a target, on a clock that goes on by a
// second with each record.
type pasts struct {
	t     bench
	s     *Store
	k     Keys
	clock time.Time
}

func newPasts(t bench) *pasts {
	p := &pasts{t: t, s: newStore(t), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	p.k = newKeys(t, p.s)
	p.s.now = func() time.Time { p.clock = p.clock.Add(time.Second); return p.clock }
	t.Cleanup(func() { p.s.Close() })
	return p
}

// pinned is the target of the labels.
func pinned(url string, labels ...string) (pins []journal.BackendPin) {
	for _, label := range labels {
		pins = append(pins, journal.BackendPin{Name: "ldap", Label: label, Config: `{"url":"` + url + `"}`})
	}
	return pins
}

// run plans a run of a few users under a name.
func (p *pasts) run(id string, pins ...journal.BackendPin) *Run {
	p.t.Helper()
	d, err := p.s.Draft(Header{ID: id, Script: "x", Backends: pins}, p.k)
	must(p.t, err)
	for i := 1; i <= 3; i++ {
		must(p.t, d.Add(planned(i)))
	}
	r, err := d.Freeze([]WavePlan{{Name: "all"}})
	must(p.t, err)
	p.t.Cleanup(func() { r.Close() })
	return r
}

// set is an intent of a step about an account, and its outcome.
func set(r *Run, user int64, step int, label, account, value string) (in, out *journal.Record) {
	in, out = intent(r, user, step, 0, value), outcome(user, step, 0, sdk.Applied, "")
	in.Backend, in.Account, out.Backend, out.Account = label, account, label, account
	return in, out
}

// gave applies a value to an account.
func (p *pasts) gave(r *Run, user int64, step int, label, account, value string) {
	p.t.Helper()
	in, out := set(r, user, step, label, account, value)
	commit(p.t, r, in)
	commit(p.t, r, out)
}

// newest asks for ann's value on a target.
func (p *pasts) newest(except, url string) string {
	p.t.Helper()
	v, ok, err := p.s.NewestApplied(p.k, except, pinned(url, "")[0].Target(), "ann", "")
	must(p.t, err)
	if !ok {
		return ""
	}
	return v.Reveal()
}

func TestNewestAppliedIsTheNewestWhateverTheRunsAreCalled(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{{"ra", "rb"}, {"rb", "ra"}} {
		p := newPasts(t)
		for i, id := range names {
			r := p.run(id, pinned("u", "dir")...)
			p.gave(r, 1, 1, "dir", "ann", fmt.Sprint("value ", i+1))
			must(t, r.Close())
		}
		if got := p.newest("", "u"); got != "value 2" {
			t.Errorf("%v: %q", names, got)
		}
		if got := p.newest(names[1], "u"); got != "value 1" {
			t.Errorf("%v, all but the newer: %q", names, got)
		}
	}
}

// TestNewestAppliedGoesByWhenAValueTookEffect, not by when it was sent.
func TestNewestAppliedGoesByWhenAValueTookEffect(t *testing.T) {
	t.Parallel()
	for _, names := range [][2]string{{"ra", "rb"}, {"rb", "ra"}} {
		p := newPasts(t)
		slow, fast := p.run(names[0], pinned("u", "dir")...), p.run(names[1], pinned("u", "dir")...)
		in, out := set(slow, 1, 1, "dir", "ann", "slow")
		commit(t, slow, in)
		p.gave(fast, 1, 1, "dir", "ann", "fast")
		commit(t, slow, out)
		must(t, slow.Close())
		must(t, fast.Close())
		if got := p.newest("", "u"); got != "slow" {
			t.Errorf("%v: %q", names, got)
		}
	}
}

// TestNewestAppliedIsOfTheCredentialAlone: within one run there is more about the
// account than that, and more about other accounts.
func TestNewestAppliedIsOfTheCredentialAlone(t *testing.T) {
	t.Parallel()
	p := newPasts(t)
	r := p.run("ra", append(pinned("u", "dir"), pinned("v", "other")...)...)
	p.gave(r, 1, 1, "dir", "ann", "hers")
	p.gave(r, 1, 2, "other", "ann", "elsewhere")
	in, out := set(r, 1, 3, "dir", "ann", "of her mail")
	in.Cred, out.Cred = "mail", "mail"
	commit(t, r, in, out)
	p.gave(r, 1, 4, "dir", "bob", "another's")
	p.gave(r, 2, 1, "dir", "cid", "yet another's")
	must(t, r.Close())
	if got := p.newest("", "u"); got != "hers" {
		t.Errorf("%q", got)
	}
	if got := p.newest("", "v"); got != "elsewhere" {
		t.Errorf("on the other target: %q", got)
	}
	if got := p.newest("", "w"); got != "" {
		t.Errorf("on a target that no run reached: %q", got)
	}
}

// TestABridgeIsNotTheNewestApplied: it is not meant to stay, and what it replaced
// is not in force.
func TestABridgeIsNotTheNewestApplied(t *testing.T) {
	t.Parallel()
	p := newPasts(t)
	r := p.run("ra", pinned("u", "dir")...)
	p.gave(r, 1, 1, "dir", "ann", "first")
	in, out := set(r, 1, 2, "dir", "ann", "bridge")
	in.Detail.Bridge = true
	commit(t, r, in, out)
	must(t, r.Close())
	if got := p.newest("", "u"); got != "" {
		t.Errorf("%q", got)
	}
}

// TestNewestAppliedOfOneTargetUnderTwoLabels is the last that took effect,
// whichever label it was given under.
func TestNewestAppliedOfOneTargetUnderTwoLabels(t *testing.T) {
	t.Parallel()
	for _, labels := range [][2]string{{"one", "two"}, {"two", "one"}} {
		p := newPasts(t)
		r := p.run("ra", pinned("u", "one", "two")...)
		slow, settled := set(r, 1, 1, labels[0], "ann", "began first, ended last")
		commit(t, r, slow)
		p.gave(r, 1, 2, labels[1], "ann", "between")
		commit(t, r, settled)
		must(t, r.Close())
		if got := p.newest("", "u"); got != "began first, ended last" {
			t.Errorf("%v: %q", labels, got)
		}
	}
}

// TestARunThatCannotBeReadTellsNoValue, and keeps the others from nothing.
func TestARunThatCannotBeReadTellsNoValue(t *testing.T) {
	t.Parallel()
	p := newPasts(t)
	r := p.run("rb", pinned("u", "dir")...)
	p.gave(r, 1, 1, "dir", "ann", "hers")
	must(t, r.Close())
	must(t, os.WriteFile(p.s.runFile("ra"), []byte(strings.Repeat("x", 5000)), 0o600))
	forgotten := p.run("rc", pinned("u", "dir")...)
	for user := int64(1); user <= 3; user++ {
		p.gave(forgotten, user, 1, "dir", []string{"", "ann", "bob", "cid"}[user], "forgotten")
		commit(t, forgotten, finished(user, journal.Done, ""))
	}
	must(t, forgotten.Forget(journal.Detail{}))
	must(t, forgotten.Close())
	if got := p.newest("", "u"); got != "hers" {
		t.Errorf("%q", got)
	}
}

// TestRunsOfThePastAreThoseOfTheFirstQuestion, for each target and each run that
// asks.
func TestRunsOfThePastAreThoseOfTheFirstQuestion(t *testing.T) {
	t.Parallel()
	p := newPasts(t)
	r := p.run("ra", pinned("u", "dir")...)
	p.gave(r, 1, 1, "dir", "ann", "first")
	must(t, r.Close())
	if got := p.newest("", "u"); got != "first" {
		t.Fatalf("%q", got)
	}
	r = p.run("rb", pinned("u", "dir")...)
	p.gave(r, 1, 1, "dir", "ann", "second")
	must(t, r.Close())
	if got := p.newest("", "u"); got != "first" {
		t.Errorf("who asked before: %q", got)
	}
	if got := p.newest("rx", "u"); got != "second" {
		t.Errorf("who asks now: %q", got)
	}
	must(t, p.s.Close())
	if got := p.newest("", "u"); got != "second" {
		t.Errorf("who asks after it was closed: %q", got)
	}
}
