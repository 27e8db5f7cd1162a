package backendtest

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func setTakesEffect(probe *probe) {
	subject, value := probe.open(), probe.value()
	receipt := probe.give(subject, probe.target.Accounts[0], value)
	if receipt.Outcome != sdk.Applied {
		probe.fail("a first set: %v, want applied", receipt.Outcome)
	}
	probe.wantHolds(probe.target.Accounts[0], value, "a set")
}

func setReplaces(probe *probe) {
	subject, text, old, value := probe.open(), probe.target.Accounts[0], probe.value(), probe.value()
	probe.give(subject, text, old)
	probe.give(subject, text, value)
	probe.wantHolds(text, value, "a second set")
	if probe.holds(text, probe.kind(), old) {
		probe.fail("after a second set the first value is still accepted")
	}
}

// stampsOfReceipts: a receipt's stamp differs after each change, or there is none.
func stampsOfReceipts(probe *probe) {
	subject, seen := probe.open(), map[string]bool{}
	for range 3 {
		stamp := probe.give(subject, probe.target.Accounts[0], probe.value()).Stamp
		if stamp != "" && seen[stamp] {
			probe.fail("Stamp: the receipts of two sets have the same, %q", stamp)
		}
		seen[stamp] = true
	}
}

func othersAreLeftAlone(probe *probe) {
	subject, value, word := probe.open(), probe.value(), probe.value()
	probe.give(subject, probe.target.Accounts[1], value)
	probe.give(subject, probe.target.Accounts[0], word)
	probe.wantHolds(probe.target.Accounts[1], value, "a set of another account")
}

// awkward are values that careless code cuts, quotes or decodes.
func awkward() []string {
	return []string{canary, "4A-trailing space ", " leading space-4A", "4A-colon:slash/hash#$1{}", "4A-percent%20%s%n", "4A-dollar$(id)`id`", "4Aa üñí 漢字 🔑", strings.Repeat("long4A-", 12)}
}

func everyCharacterIsKept(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	was := probe.value()
	probe.give(subject, text, was)
	for _, value := range awkward() {
		op := probe.set(text, value)
		if !probe.d.Does(sdk.Set) {
			op = probe.change(text, was, value)
		}
		receipt := subject.apply(probe.t.Context(), op)
		if ok(receipt) {
			probe.wantHolds(text, value, fmt.Sprintf("a value of %d bytes with odd characters (%.8q…)", len(value), value))
			was = value
			continue
		}
		probe.wantRefused(receipt, fmt.Sprintf("a value with odd characters (%.8q…)", value), sdk.PolicyViolation, sdk.InvalidOperation)
	}
}

func everyKind(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	given := map[string]string{}
	for _, kind := range probe.d.Kinds {
		op := probe.set(text, probe.valueOf(kind.Name))
		op.Kind, given[kind.Name] = kind.Name, op.Value.Reveal()
		if receipt := subject.apply(probe.t.Context(), op); !ok(receipt) {
			probe.stop("set of kind %q: %s, want applied", kind.Name, said(receipt))
		}
	}
	for kind, value := range given {
		if !probe.holds(text, kind, value) {
			probe.fail("kind %q: the target does not accept its value after all kinds were set", kind)
		}
	}
}

func hashedValues(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	for format, hashed := range probe.target.Hashed {
		op := probe.set(text, hashed.Hash)
		op.HashFormat = format
		if receipt := subject.apply(probe.t.Context(), op); !ok(receipt) {
			probe.fail("set of a value hashed as %q: %s, want applied", format, said(receipt))
			continue
		}
		probe.wantHolds(text, hashed.Value, "a set of a value hashed as "+format)
	}
}

func mustChange(probe *probe) {
	subject, text, yes := probe.open(), probe.target.Accounts[0], true
	op := probe.set(text, probe.value())
	op.MustChange = &yes
	receipt := subject.apply(probe.t.Context(), op)
	if !ok(receipt) {
		probe.wantRefused(receipt, "a set with must_change", sdk.Unsupported, sdk.InvalidOperation)
		return
	}
	if probe.d.MustChange == nil {
		probe.fail("a set with must_change: %s, and Describe does not say by MustChange that a set can demand it", said(receipt))
	}
	if !probe.can(sdk.CanFind) {
		return
	}
	found, err := subject.find(probe.t.Context(), text)
	if err != nil {
		probe.stop("Find: %v", err)
	}
	if found.MustChange != nil && !*found.MustChange {
		probe.fail("after a set with must_change Find says that the owner need not change it")
	}
}

func changeTakesEffect(probe *probe) {
	subject, text, value := probe.open(), probe.target.Accounts[0], probe.value()
	old := known(probe, subject, text)
	receipt := subject.apply(probe.t.Context(), probe.change(text, old, value))
	if !ok(receipt) {
		probe.stop("change from the present value: %s, want applied", said(receipt))
	}
	probe.wantHolds(text, value, "a change")
}

// known makes sure that the account's present value is known.
func known(probe *probe, subject subject, account string) string {
	if !probe.d.Does(sdk.Set) {
		return probe.target.Present
	}
	value := probe.value()
	probe.give(subject, account, value)
	return value
}

func changeNeedsOld(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	old, value := known(probe, subject, text), probe.value()
	receipt := subject.apply(probe.t.Context(), probe.change(text, probe.value(), value))
	probe.wantRefused(receipt, "change from a value that is not the present one", sdk.WrongCurrentPassword)
	probe.wantHolds(text, old, "a refused change")
	op := probe.change(text, old, value)
	op.Old = secret.Value{}
	probe.wantRefused(subject.apply(probe.t.Context(), op), "change without the old value", sdk.InvalidOperation, sdk.WrongCurrentPassword, sdk.Unsupported)
}

func resetTells(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	old := ""
	if probe.d.Does(sdk.Set) {
		old = known(probe, subject, text)
	}
	receipt := subject.ask(probe.t.Context(), probe.op(sdk.Reset, text, ""))
	switch {
	case !ok(receipt):
		probe.stop("reset: %s, want applied", said(receipt))
	case receipt.Value.Present():
		probe.wantHolds(text, receipt.Value.Reveal(), "a reset, by the value that it told")
	case old != "" && probe.holds(text, probe.kind(), old):
		probe.fail("after a reset the value from before is still accepted")
	}
}

func unlockUnlocks(probe *probe) {
	subject, value := probe.open(), probe.value()
	if receipt := subject.ask(probe.t.Context(), probe.op(sdk.Unlock, probe.target.Locked, "")); !ok(receipt) {
		probe.stop("unlock: %s, want applied", said(receipt))
	}
	probe.give(subject, probe.target.Locked, value)
	probe.wantHolds(probe.target.Locked, value, "an unlock and a set")
	if probe.target.Missing != "" {
		probe.wantRefused(subject.ask(probe.t.Context(), probe.op(sdk.Unlock, probe.target.Missing, "")), "unlock of a missing account", sdk.AccountNotFound)
	}
}

// revokeEnds: the sessions of one account end, those of others and the value stay,
// and it may be asked again.
func revokeEnds(probe *probe) {
	subject, ctx := probe.open(), probe.t.Context()
	account, other := probe.target.Accounts[0], probe.target.Accounts[1]
	value, others := known(probe, subject, account), known(probe, subject, other)
	ended, kept := session(probe, account, value), session(probe, other, others)
	op := probe.op(sdk.Revoke, account, "")
	for op.Attempt = 1; op.Attempt <= 2; op.Attempt++ {
		if receipt := subject.ask(ctx, op); !ok(receipt) {
			probe.stop("revoke, attempt %d: %s, want applied", op.Attempt, said(receipt))
		}
	}
	if ended() {
		probe.fail("a session of the account is open after a revoke")
	}
	if !kept() {
		probe.fail("a session of another account has ended with a revoke")
	}
	probe.wantHolds(account, value, "a revoke")
	if probe.target.Missing != "" {
		probe.wantRefused(subject.ask(ctx, probe.op(sdk.Revoke, probe.target.Missing, "")), "revoke of a missing account", sdk.AccountNotFound)
	}
	if probe.target.Own != "" {
		probe.wantRefused(subject.ask(ctx, probe.op(sdk.Revoke, probe.target.Own, "")), "revoke of the instance's own account", sdk.Protected)
	}
	known(probe, subject, account)
}

// session logs an account in, if the target can be logged in to. What it returns is
// then what the session says of itself; else, that all is as it has to be.
func session(probe *probe, account, value string) (open func() bool) {
	if probe.target.Session == nil {
		return func() bool { return account != probe.target.Accounts[0] }
	}
	open = probe.target.Session(account, value)
	if !open() {
		probe.stop("the session of %q, opened past the backend, is not open", account)
	}
	return open
}

// handoverGoesOn: this instance and one that is told the value log in with it; only
// the instance's own account is handed over, and nothing else is done to that.
func handoverGoesOn(probe *probe) {
	ctx, own, value := probe.t.Context(), probe.target.Own, probe.value()
	subject := probe.open()
	probe.wantRefused(subject.apply(ctx, probe.op(sdk.Handover, probe.target.Accounts[0], probe.value())), "handover of another account", sdk.InvalidOperation)
	if probe.d.Does(sdk.Set) {
		probe.wantRefused(subject.apply(ctx, probe.set(own, probe.value())), "set of the instance's own account", sdk.Protected)
	}
	if receipt := subject.apply(ctx, probe.op(sdk.Handover, own, value)); !ok(receipt) {
		probe.stop("handover: %s, want applied", said(receipt))
	}
	known(probe, subject, probe.target.Accounts[0])
	next := probe.openWith(func(config *sdk.Config) { config.Handed = []secret.Value{secret.New(probe.value()), secret.New(value)} })
	known(probe, next, probe.target.Accounts[1])
	if receipt := next.apply(ctx, probe.op(sdk.Handover, own, probe.target.OwnValue)); !ok(receipt) {
		probe.stop("handover to the value from before, by an instance that is told the newer ones: %s, want applied", said(receipt))
	}
	known(probe, probe.open(), probe.target.Accounts[2])
}

// anyOp is a set where there is one, else a change.
func anyOp(probe *probe, account, value string) sdk.Operation {
	if probe.d.Does(sdk.Set) {
		return probe.set(account, value)
	}
	return probe.change(account, probe.target.Present, value)
}
