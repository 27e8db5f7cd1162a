package backendtest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The bounds of faults: how long an operation may wait for an answer that does not
// come, and how many exchanges of one operation meet with a fault.
const (
	faultTimeout = 250 * time.Millisecond
	maxExchanges = 12
)

// between starts a relay for the check, which ends it.
func (p *probe) between(fault fault, at int) *relay {
	made, err := startRelay(p.target.Server, fault, at)
	if err != nil {
		p.stop("relay: %v", err)
	}
	return made
}

// behind opens an instance that reaches its server through a relay.
func (p *probe) behind(relay *relay, timeout time.Duration) subject {
	subject, err := p.configure(p.configBehind(relay, timeout))
	if err != nil {
		p.stop("Configure: %v", err)
	}
	return subject
}

func (p *probe) configBehind(relay *relay, timeout time.Duration) sdk.Config {
	config := filled(p.target.Config, p.d)
	value, found := relay.through(config.Values[p.target.Setting])
	if !found {
		p.stop("Target: the setting %q is %v, which does not hold the address %s of Server", p.target.Setting, config.Values[p.target.Setting], p.target.Server)
	}
	config.Values[p.target.Setting], config.Timeout = value, timeout
	return config
}

// mustMeet is meeting, of a call that has to reach its server: one that makes no
// exchange there shows nothing.
func (p *probe) mustMeet(fault fault, what string, call meeting) {
	if !p.meeting(fault, call) {
		p.unmet(what)
	}
}

// unmet notes that the relay had nothing to spoil.
func (p *probe) unmet(what string) {
	p.fail("%s made no exchange through the relay: is the setting %q all that says where the server is?", what, p.target.Setting)
}

// meeting has call meet with a fault at each exchange that it makes, on an instance
// of its own each time, at several exchanges at once; false: it makes none. Calls at
// once are of different accounts: what comes late would undo what comes after it. What
// call returns is done when nothing is under way any more.
func (p *probe) meeting(fault fault, call meeting) bool {
	some, more := false, true
	if p.target.Holds == nil && p.extra == nil {
		p.extra = p.open() // before several look by it
	}
	width := len(p.target.Accounts)
	for from := 0; more && from < maxExchanges; from += width {
		met := make([]bool, width)
		parallel(p, width, func(number int) {
			met[number] = p.meet(fault, from+number, p.target.Accounts[number], call)
		})
		some, more = some || met[0], !slices.Contains(met, false)
	}
	return some
}

// meeting is a call that meets with a fault.
type meeting func(subject subject, account, what string) (after func())

// meet has call meet with a fault at one exchange; false: it makes fewer.
func (p *probe) meet(fault fault, at int, account string, call meeting) bool {
	relay := p.between(fault, at)
	defer relay.close()
	subject := p.behind(relay, faultTimeout)
	after := call(subject, account, fmt.Sprintf("%s (exchange %d)", fault, at+1))
	met := relay.met()
	relay.settle()
	if err := subject.close(); err != nil {
		p.fail("Close after %s: %v", fault, err)
	}
	after()
	return met
}

// timed bounds a call as serve would: a backend in this process sees the deadline
// of its context, any other that of its settings.
func (p *probe) timed(subject subject, op sdk.Operation) sdk.Receipt {
	ctx, stop := context.WithTimeout(p.t.Context(), faultTimeout)
	defer stop()
	return subject.apply(ctx, op)
}

// faultsOfSets: whatever happens on the way, and wherever, the receipt is true, and
// what was refused never comes about later.
func faultsOfSets(probe *probe) {
	plain := probe.open()
	for _, fault := range []fault{refuses, cutsBefore, cutsAfter, withholds, stalls} {
		probe.mustMeet(fault, "a set", func(subject subject, account, what string) func() {
			was := known(probe, plain, account)
			op := probe.set(account, probe.value())
			receipt := probe.timed(subject, op)
			if receipt.Outcome == sdk.AlreadyApplied {
				probe.fail("%s: %s at a first attempt", what, said(receipt))
			}
			return func() { probe.wantTruth(receipt, account, was, op.Value.Reveal(), what) }
		})
	}
}

// hiccups are the faults of questions: what a late answer does stands in those of sets.
var hiccups = []fault{refuses, cutsBefore, cutsAfter}

func faultsOfVerify(probe *probe) {
	plain, values := probe.open(), map[string]string{}
	for _, account := range probe.target.Accounts {
		values[account] = known(probe, plain, account)
	}
	for _, fault := range hiccups {
		for _, right := range []bool{true, false} {
			probe.verifyMeets(fault, right, values)
		}
	}
}

// verifyMeets has verifies of values that are right, or of others, meet with a fault.
// One that says that it cannot tell need not ask for that.
func (p *probe) verifyMeets(fault fault, right bool, values map[string]string) {
	var unknowing atomic.Bool
	met := p.meeting(fault, func(subject subject, account, what string) func() {
		tried := values[account]
		if !right {
			tried = p.value()
		}
		verdict, err := subject.verify(p.t.Context(), account, p.kind(), secret.New(tried))
		p.wantVerdict(verdict, err, right, "Verify with "+what)
		if verdict == sdk.CannotTell && err == nil {
			unknowing.Store(true)
		}
		return func() {}
	})
	if !met && !unknowing.Load() {
		p.unmet("Verify")
	}
}

// wantVerdict notes a problem if a verdict is not true; that it cannot be told is.
func (p *probe) wantVerdict(verdict sdk.Verdict, err error, right bool, what string) {
	accepted := verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange
	switch {
	case err != nil && verdict != sdk.CannotTell:
		p.fail("%s: %v and %v, want one of the two", what, verdict, err)
	case right && (verdict == sdk.Rejected || verdict == sdk.Blocked), !right && accepted:
		p.fail("%s: %v, which is not so; want cannot-tell or an error", what, verdict)
	}
}

// faultsOfFind: an account that cannot be asked for is not one that there is not.
func faultsOfFind(probe *probe) {
	for _, fault := range hiccups {
		probe.mustMeet(fault, "Find or Resolve", func(subject subject, account, what string) func() {
			if probe.can(sdk.CanFind) {
				_, err := subject.find(probe.t.Context(), account)
				probe.wantAway(err, "Find with "+what)
			}
			if probe.can(sdk.CanResolve) {
				found, err := subject.resolve(probe.t.Context(), []string{account})
				probe.wantAway(err, "Resolve with "+what)
				for _, who := range found {
					if who.Err != nil {
						probe.wantAway(who.Err, "Resolve with "+what)
					}
				}
			}
			return func() {}
		})
	}
}

// wantAway notes a problem if an error says something of the account, where the
// target could not be asked.
func (p *probe) wantAway(err error, what string) {
	failure := sdk.AsError(err, sdk.TargetError)
	if failure != nil && (failure.Code.OfAccount() || failure.Code == sdk.InvalidOperation) {
		p.fail("%s: %v, which says something of the account", what, failure)
	}
}

func faultsOfLists(probe *probe) {
	whole := len(listed(probe, probe.open()))
	for _, fault := range hiccups {
		probe.mustMeet(fault, "List", func(subject subject, _, what string) func() {
			count := 0
			err := subject.list(probe.t.Context(), "", nil, func(sdk.Account) error { count++; return nil })
			if err == nil && count < whole {
				probe.fail("List with %s: %d of %d accounts and no error", what, count, whole)
			}
			return func() {}
		})
	}
}

// repaired: what was refused because the target was away is done when it is asked
// again, and never said to be done.
func repaired(probe *probe) {
	account := probe.target.Accounts[0]
	known(probe, probe.open(), account)
	op := probe.set(account, probe.value())
	subject, back := probe.away()
	receipt := probe.timed(subject, op)
	back()
	probe.again(subject, op, receipt)
}

// away returns an instance whose target is not there until back is called.
func (p *probe) away() (subject subject, back func()) {
	if p.relayed() {
		relay := p.between(refuses, 0)
		p.t.Cleanup(relay.close)
		subject = p.behind(relay, faultTimeout)
		p.opened = append(p.opened, subject)
		return subject, func() {
			if err := relay.repair(); err != nil {
				p.stop("relay: %v", err)
			}
		}
	}
	subject = p.open()
	return subject, p.target.Away()
}

// again repeats an operation that was refused, once what was wrong is mended.
func (p *probe) again(subject subject, op sdk.Operation, before sdk.Receipt) {
	if before.Outcome != sdk.Refused {
		p.fail("%s on a target that is away: %s, want refused", op.Verb, said(before))
	}
	for range 20 { // the backend may wait before it looks for its target again
		op.Attempt++
		receipt := subject.apply(p.t.Context(), op)
		switch {
		case receipt.Outcome == sdk.AlreadyApplied:
			p.stop("the same %s after it was refused: already-applied, and nothing was done", op.Verb)
		case receipt.Outcome == sdk.Applied:
			p.wantHolds(op.Account, op.Value.Reveal(), "a "+string(op.Verb)+" that was refused before, with the same id")
			return
		case receipt.Err == nil || !receipt.Err.Code.Transient():
			p.stop("the same %s when the target is back: %s, want applied", op.Verb, said(receipt))
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.fail("the same %s when the target is back: not applied in two seconds", op.Verb)
}

// lockedFirst is repaired, for an account that is locked first.
func lockedFirst(probe *probe) {
	subject := probe.open()
	op := probe.set(probe.target.Locked, probe.value())
	before := subject.apply(probe.t.Context(), op)
	if ok(before) {
		return // a locked account may be set
	}
	if receipt := subject.ask(probe.t.Context(), probe.op(sdk.Unlock, probe.target.Locked, "")); !ok(receipt) {
		probe.stop("unlock: %s, want applied", said(receipt))
	}
	probe.again(subject, op, before)
}

// lost are the codes of an operation on a target that is gone. InvalidConfig is how
// a missing file looks; it too stops a run.
var lost = []sdk.Code{sdk.Unreachable, sdk.TargetUnavailable, sdk.TargetError, sdk.ConnectionLost, sdk.Timeout, sdk.InvalidConfig, sdk.LoginExpired}

// lostTarget takes the target away: no answer tells of an account then.
func lostTarget(probe *probe) {
	subject, account, ctx := probe.open(), probe.target.Accounts[0], probe.t.Context()
	value := known(probe, subject, account)
	probe.target.Down()
	wantLost := func(receipt sdk.Receipt, verb sdk.Verb) {
		if ok(receipt) || receipt.Err == nil || !slices.Contains(lost, receipt.Err.Code) {
			probe.fail("a %s on a target that is gone: %s, want one of %v", verb, said(receipt), lost)
		}
	}
	for _, verb := range []sdk.Verb{sdk.Set, sdk.Change} {
		if probe.d.Does(verb) {
			op := probe.change(account, value, probe.value())
			op.Verb = verb
			wantLost(subject.apply(ctx, op), verb)
		}
	}
	for _, verb := range sdk.AskedVerbs() {
		if probe.can(verb.Ability()) {
			wantLost(subject.ask(ctx, probe.op(verb, account, "")), verb)
		}
	}
	probe.questionsOf(subject, account, value)
	if probe.can(sdk.CanCheck) && !slices.ContainsFunc(subject.check(ctx), func(finding sdk.Finding) bool { return finding.Severity == sdk.Bad }) {
		probe.fail("Check of a target that is gone: nothing bad")
	}
}

// questionsOf asks a target that is gone.
func (p *probe) questionsOf(subject subject, account, value string) {
	ctx := p.t.Context()
	if p.can(sdk.CanVerify) && !p.target.Unverifiable {
		for _, tried := range []string{value, p.value()} {
			verdict, err := subject.verify(ctx, account, p.kind(), secret.New(tried))
			if verdict != sdk.CannotTell {
				p.fail("Verify on a target that is gone: %v, %v, want cannot-tell or an error", verdict, err)
			}
			p.wantAway(err, "Verify on a target that is gone")
		}
	}
	if p.can(sdk.CanFind) {
		found, err := subject.find(ctx, account)
		if err == nil && found.Account == "" { // what was read before may be told again
			p.fail("Find on a target that is gone: no account and no error")
		}
		p.wantAway(err, "Find on a target that is gone")
	}
	if p.can(sdk.CanList) {
		count := 0
		err := subject.list(ctx, "", nil, func(sdk.Account) error { count++; return nil })
		if err == nil && count < len(p.target.Accounts) {
			p.fail("List on a target that is gone: %d accounts and no error", count)
		}
	}
}
