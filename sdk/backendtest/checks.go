package backendtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// checks are all promises, in the order in which a report reads best.
func checks() []check {
	does := func(v sdk.Verb) func(scene) bool { return func(s scene) bool { return s.d.Does(v) } }
	can := func(a sdk.Ability) func(scene) bool { return func(s scene) bool { return s.can(a) } }
	return []check{
		{"describe/is stable", nil, describeIsStable},
		{"describe/makes sense", nil, describeMakesSense},
		{"describe/secrets have the type secret", nil, describeSecrets},
		{"abilities/are those declared", nil, abilitiesAreDeclared},
		{"abilities/others answer Unsupported", nil, othersAreUnsupported},
		{"config/wrong settings are named", func(s scene) bool { return len(s.target.Wrong) > 0 }, wrongSettingsAreNamed},
		{"config/instances do not share settings", nil, instancesAreApart},
		{"set/takes effect", does(sdk.Set), setTakesEffect},
		{"set/replaces the value before", does(sdk.Set), setReplaces},
		{"set/leaves other accounts alone", nil, othersAreLeftAlone},
		{"set/keeps every character", nil, everyCharacterIsKept},
		{"set/of every kind", func(s scene) bool { return s.d.Does(sdk.Set) && len(s.d.Kinds) > 1 }, everyKind},
		{"set/of hashed values", func(s scene) bool { return s.d.Does(sdk.Set) && len(s.target.Hashed) > 0 }, hashedValues},
		{"set/can demand a change at the next logon", does(sdk.Set), mustChange},
		{"change/takes effect", does(sdk.Change), changeTakesEffect},
		{"change/needs the old value", does(sdk.Change), changeNeedsOld},
		{"reset/tells the value or keeps it", can(sdk.CanReset), resetTells},
		{"unlock/makes the account usable", func(s scene) bool { return s.can(sdk.CanUnlock) && s.target.Locked != "" }, unlockUnlocks},
		{"refuse/a missing account", func(s scene) bool { return s.target.Missing != "" }, missingAccount},
		{"refuse/accounts by their state", func(s scene) bool { return len(s.target.Refusing) > 0 }, refusingAccounts},
		{"refuse/a weak value by its rule", func(s scene) bool { return s.target.Weak != "" }, weakValue},
		{"refuse/a value from before", func(s scene) bool { return s.target.History }, historyIsKept},
		{"refuse/what makes no sense", nil, nonsense},
		{"refuse/hostile names", nil, hostileNames},
		{"replay/the same operation is not done twice", nil, replay},
		{"replay/of a change", func(s scene) bool { return s.d.Does(sdk.Change) && s.d.CanReplay(sdk.Change) }, replayOfAChange},
		{"replay/at the same time", replaySafe, replayConcurrently},
		{"replay/after the instance was opened again", replaySafe, replayAfterReopening},
		{"replay/an id stands for one operation", isFar, idsAreOperations},
		{"concurrency/many accounts at once", nil, manyAtOnce},
		{"deadline/answers tell the truth", func(s scene) bool { return s.near }, deadlines},
		{"deadline/a batch tells the truth", func(s scene) bool { return s.near && s.can(sdk.CanBatch) }, batchDeadline},
		{"batch/keeps length and order", func(s scene) bool { return s.near && s.can(sdk.CanBatch) }, batchOrder},
		{"verify/tells right from wrong", func(s scene) bool { return s.can(sdk.CanVerify) && !s.target.Unverifiable }, verifyTells},
		{"verify/says where it cannot tell", func(s scene) bool { return s.can(sdk.CanVerify) && s.target.Unverifiable }, verifyCannotTell},
		{"verify/in frames says the same", func(s scene) bool { return isFar(s) && s.can(sdk.CanVerify) && !s.target.Unverifiable }, verifyInFrames},
		{"find/knows the account", can(sdk.CanFind), findKnows},
		{"find/stamps differ after a change", can(sdk.CanFind), stampsDiffer},
		{"list/yields every account", can(sdk.CanList), listYieldsAll},
		{"list/stops when it is told", can(sdk.CanList), listStops},
		{"list/is never short in silence", can(sdk.CanList), listBreaks},
		{"resolve/tells accounts apart", can(sdk.CanResolve), resolveTells},
		{"resolve/knows an account by its other names", func(s scene) bool { return s.can(sdk.CanResolve) && len(s.target.Aliases) > 0 }, resolveAliases},
		{"policy/agrees with the target", can(sdk.CanPolicy), policyAgrees},
		{"generate/gives values that are accepted", func(s scene) bool { return s.can(sdk.CanGenerate) && s.d.Does(sdk.Set) }, generateGives},
		{"check/finds a good target ready", can(sdk.CanCheck), checkIsReady},
		{"down/a lost target is told as such", func(s scene) bool { return s.target.Down != nil }, lostTarget},
		{"leaks/no secret in answers or logs", nil, noLeaks},
		{"leaks/no secret in answers that nobody scrubbed", isFar, noRawLeaks},
		{"leaks/no secret where others can look", isFar, noTraces},
		{"close/is clean", nil, closeIsClean},
		{"close/instances are known by their names", isFar, instancesByName},
	}
}

func isFar(s scene) bool { return !s.near }

func replaySafe(s scene) bool { return s.d.Does(sdk.Set) && s.d.CanReplay(sdk.Set) }

// ---- describe ---------------------------------------------------------------

func describeIsStable(p *probe) {
	again, err := describe(p.o, p.plugin)
	if err != nil {
		p.stop("Describe: %v", err)
	}
	p.open()
	after, err := describe(p.o, p.plugin)
	if err != nil {
		p.stop("Describe: %v", err)
	}
	for _, other := range []sdk.Description{again, after} {
		if !reflect.DeepEqual(p.d, other) {
			p.fail("Describe: two calls differ:\n%+v\n%+v", p.d, other)
		}
	}
}

var fieldTypes = []sdk.FieldType{sdk.String, sdk.Int, sdk.Bool, sdk.Duration, sdk.Choice, sdk.List, sdk.Path, sdk.URL, sdk.Secret}

func describeMakesSense(p *probe) {
	word := regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	if !word.MatchString(p.d.Name) {
		p.fail("Name: %q, want a lower-case word: the executable is rekey-backend-NAME", p.d.Name)
	}
	if p.d.Version == "" || p.d.Summary == "" || strings.Contains(p.d.Summary, "\n") {
		p.fail("Version %q, Summary %q: want both, the summary in one line", p.d.Version, p.d.Summary)
	}
	p.fields("Config", word, p.d.Config)
	p.fields("Options", word, p.d.Options)
	if !p.d.Does(sdk.Set) && !p.d.Does(sdk.Change) && !p.d.Does(sdk.Reset) {
		p.fail("Verbs: %q, want at least one of set, change and reset", p.d.Verbs)
	}
	for _, v := range p.d.ReplaySafe {
		if !p.d.Does(v) {
			p.fail("ReplaySafe: %q is not one of Verbs", v)
		}
	}
	for v, a := range map[sdk.Verb]sdk.Ability{sdk.Reset: sdk.CanReset, sdk.Unlock: sdk.CanUnlock} {
		if p.d.Does(v) != p.d.Can(a) {
			p.fail("Verbs and Abilities disagree about %q", v)
		}
	}
	if l := p.d.Limits; l.Concurrency < 0 || l.PerSecond < 0 || l.Batch < 0 || l.Timeout < 0 {
		p.fail("Limits: %+v, want none below zero", l)
	}
	for _, name := range p.d.Target {
		if !slices.ContainsFunc(p.d.Config, func(f sdk.Field) bool { return f.Name == name && f.Type != sdk.Secret }) {
			p.fail("Target: %q is no setting, or a secret", name)
		}
	}
	for n, k := range p.d.Kinds {
		if slices.IndexFunc(p.d.Kinds, func(o sdk.Kind) bool { return o.Name == k.Name }) != n {
			p.fail("Kinds: %q is there twice", k.Name)
		}
	}
}

func (p *probe) fields(list string, word *regexp.Regexp, fields []sdk.Field) {
	names := map[string]bool{}
	for _, f := range fields {
		switch {
		case !word.MatchString(f.Name) || names[f.Name]:
			p.fail("%s: name %q, want a lower-case word that is there once", list, f.Name)
		case !slices.Contains(fieldTypes, f.Type):
			p.fail("%s: %s has the type %q, want one of %q", list, f.Name, f.Type, fieldTypes)
		case (f.Type == sdk.Choice) != (len(f.Choices) > 0):
			p.fail("%s: %s has the type %q and %d choices", list, f.Name, f.Type, len(f.Choices))
		case f.Default != nil && !fits(f, f.Default):
			p.fail("%s: %s has the default %v (%T), which is no %s", list, f.Name, f.Default, f.Default, f.Type)
		case f.Required && f.Default != nil:
			p.fail("%s: %s is required and has a default", list, f.Name)
		case f.Doc == "":
			p.fail("%s: %s has no Doc", list, f.Name)
		}
		names[f.Name] = true
	}
	for _, f := range fields {
		for _, other := range f.Conflicts {
			if !names[other] {
				p.fail("%s: %s conflicts with %q, which there is not", list, f.Name, other)
			}
		}
	}
}

// fits reports whether v can be a default of the field.
func fits(f sdk.Field, v any) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains([]sdk.FieldType{sdk.String, sdk.Path, sdk.URL}, f.Type) || f.Type == sdk.Choice && slices.Contains(f.Choices, v)
	case int, int64:
		return f.Type == sdk.Int
	case bool:
		return f.Type == sdk.Bool
	case time.Duration:
		return f.Type == sdk.Duration
	case []string:
		return f.Type == sdk.List
	}
	return false
}

func describeSecrets(p *probe) {
	for _, f := range append(slices.Clone(p.d.Config), p.d.Options...) {
		for _, hint := range []string{"password", "passwd", "passphrase", "secret", "token", "private_key", "api_key"} {
			if strings.HasSuffix(f.Name, hint) && f.Type != sdk.Secret && f.Type != sdk.Bool {
				p.fail("field %s has the type %q: by its name it is a secret", f.Name, f.Type)
			}
		}
	}
}

// ---- abilities --------------------------------------------------------------

// farAbilities are those that cross the wire: batches are the sdk's affair.
func (p *probe) declared() []sdk.Ability {
	var list []sdk.Ability
	for _, a := range p.d.Abilities {
		if p.can(a) && (p.near || a != sdk.CanBatch) {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list
}

func abilitiesAreDeclared(p *probe) {
	have := slices.Clone(p.open().abilities())
	if !p.near {
		have = slices.DeleteFunc(have, func(a sdk.Ability) bool { return a == sdk.CanBatch })
	}
	slices.Sort(have)
	if want := p.declared(); !slices.Equal(have, want) {
		p.fail("the instance has the abilities %q, the Description declares %q", have, want)
	}
}

func othersAreUnsupported(p *probe) {
	s, ctx, account := p.open(), p.t.Context(), p.target.Accounts[0]
	lacks := func(a sdk.Ability) bool { return !slices.Contains(s.abilities(), a) }
	want := func(a sdk.Ability, err error) {
		if lacks(a) {
			p.wantCode(err, string(a)+", which the instance lacks", sdk.Unsupported)
		}
	}
	receipt := func(r sdk.Receipt) error {
		if r.Outcome != sdk.Refused || r.Err == nil {
			return fmt.Errorf("%s", said(r))
		}
		return r.Err
	}
	if lacks(sdk.CanReset) {
		want(sdk.CanReset, receipt(s.reset(ctx, p.op(sdk.Reset, account, ""))))
	}
	if lacks(sdk.CanUnlock) {
		want(sdk.CanUnlock, receipt(s.unlock(ctx, p.op(sdk.Unlock, account, ""))))
	}
	if lacks(sdk.CanFind) {
		_, err := s.find(ctx, account)
		want(sdk.CanFind, err)
	}
	if lacks(sdk.CanList) {
		want(sdk.CanList, s.list(ctx, "", nil, func(sdk.Account) error { return nil }))
	}
	if lacks(sdk.CanResolve) {
		_, err := s.resolve(ctx, []string{account})
		want(sdk.CanResolve, err)
	}
	if lacks(sdk.CanPolicy) {
		_, err := s.policy(ctx, account, p.kind())
		want(sdk.CanPolicy, err)
	}
	if lacks(sdk.CanVerify) {
		_, err := s.verify(ctx, account, p.kind(), secret.New("x"))
		want(sdk.CanVerify, err)
	}
	if lacks(sdk.CanGenerate) {
		_, err := s.generate(ctx, p.kind(), 1)
		want(sdk.CanGenerate, err)
	}
}

// ---- config -----------------------------------------------------------------

func wrongSettingsAreNamed(p *probe) {
	for _, w := range p.target.Wrong {
		c := filled(p.target.Config, p.d)
		if w.Value == nil {
			delete(c.Values, w.Field)
		} else {
			c.Values[w.Field] = w.Value
		}
		var s subject
		var err error
		p.patiently("Configure", func(ctx context.Context) { s, err = p.plugin.configure(ctx, c) })
		if err == nil {
			_ = s.close()
			p.fail("Configure with %s = %v: no error", w.Field, w.Value)
			continue
		}
		e := sdk.AsError(err, sdk.InvalidConfig)
		if e.Code != sdk.InvalidConfig && e.Code != sdk.InsecureTransport || !strings.Contains(e.Message, w.Field) {
			p.fail("Configure with %s = %v: %v, want InvalidConfig and the field's name", w.Field, w.Value, e)
		}
	}
}

func instancesAreApart(p *probe) {
	other := p.o.Target(p.t)
	other.Config.Label += "-other"
	mine := p.open()
	s, err := p.configure(other.Config)
	if err != nil {
		p.stop("Configure of a second instance: %v", err)
	}
	p.opened = append(p.opened, s)
	second := &probe{t: p.t, o: p.o, plugin: p.plugin, log: p.log, scene: scene{d: p.d, target: other, near: p.near}}
	a, first, later := p.target.Accounts[0], p.value(), p.value()
	p.give(mine, a, first)
	second.values = p.values
	second.give(s, other.Accounts[0], later)
	p.wantHolds(a, first, "after a set through another instance")
	second.wantHolds(other.Accounts[0], later, "a set through the second instance")
	if a == other.Accounts[0] && p.holds(a, p.kind(), later) {
		p.fail("a set through one instance changed the target of another")
	}
	p.opened = append(p.opened, second.opened...)
	p.problems = append(p.problems, second.problems...)
}

// ---- set, change, reset, unlock ---------------------------------------------

func setTakesEffect(p *probe) {
	s, v := p.open(), p.value()
	r := p.give(s, p.target.Accounts[0], v)
	if r.Outcome != sdk.Applied {
		p.fail("a first set: %v, want applied", r.Outcome)
	}
	p.wantHolds(p.target.Accounts[0], v, "a set")
}

func setReplaces(p *probe) {
	s, a, old, v := p.open(), p.target.Accounts[0], p.value(), p.value()
	p.give(s, a, old)
	p.give(s, a, v)
	p.wantHolds(a, v, "a second set")
	if p.holds(a, p.kind(), old) {
		p.fail("after a second set the first value is still accepted")
	}
}

func othersAreLeftAlone(p *probe) {
	s, v, w := p.open(), p.value(), p.value()
	p.give(s, p.target.Accounts[1], v)
	p.give(s, p.target.Accounts[0], w)
	p.wantHolds(p.target.Accounts[1], v, "a set of another account")
}

// awkward are values that careless code cuts, quotes or decodes.
func awkward() []string {
	return []string{canary, "4A-trailing space ", " leading space-4A", "4A-colon:slash/hash#$1{}", "4A-percent%20%s%n", "4A-dollar$(id)`id`", "4Aa üñí 漢字 🔑", strings.Repeat("long4A-", 12)}
}

func everyCharacterIsKept(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.value()
	p.give(s, a, was)
	for _, v := range awkward() {
		op := p.set(a, v)
		if !p.d.Does(sdk.Set) {
			op = p.change(a, was, v)
		}
		r := s.apply(p.t.Context(), op)
		if ok(r) {
			p.wantHolds(a, v, fmt.Sprintf("a value of %d bytes with odd characters (%.8q…)", len(v), v))
			was = v
			continue
		}
		p.wantRefused(r, fmt.Sprintf("a value with odd characters (%.8q…)", v), sdk.PolicyViolation, sdk.InvalidOperation)
	}
}

func everyKind(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	given := map[string]string{}
	for _, k := range p.d.Kinds {
		op := p.set(a, p.valueOf(k.Name))
		op.Kind, given[k.Name] = k.Name, op.Value.Reveal()
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.stop("set of kind %q: %s, want applied", k.Name, said(r))
		}
	}
	for kind, v := range given {
		if !p.holds(a, kind, v) {
			p.fail("kind %q: the target does not accept its value after all kinds were set", kind)
		}
	}
}

func hashedValues(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	for format, h := range p.target.Hashed {
		op := p.set(a, h.Hash)
		op.HashFormat = format
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.fail("set of a value hashed as %q: %s, want applied", format, said(r))
			continue
		}
		p.wantHolds(a, h.Value, "a set of a value hashed as "+format)
	}
}

func mustChange(p *probe) {
	s, a, yes := p.open(), p.target.Accounts[0], true
	op := p.set(a, p.value())
	op.MustChange = &yes
	r := s.apply(p.t.Context(), op)
	if !ok(r) {
		p.wantRefused(r, "a set with must_change", sdk.Unsupported, sdk.InvalidOperation)
		return
	}
	if !p.can(sdk.CanFind) {
		return
	}
	found, err := s.find(p.t.Context(), a)
	if err != nil {
		p.stop("Find: %v", err)
	}
	if found.MustChange != nil && !*found.MustChange {
		p.fail("after a set with must_change Find says that the owner need not change it")
	}
}

func changeTakesEffect(p *probe) {
	s, a, v := p.open(), p.target.Accounts[0], p.value()
	old := p.start(s, a)
	r := s.apply(p.t.Context(), p.change(a, old, v))
	if !ok(r) {
		p.stop("change from the present value: %s, want applied", said(r))
	}
	p.wantHolds(a, v, "a change")
}

// start makes sure that the account's present value is known.
func (p *probe) start(s subject, account string) string {
	if !p.d.Does(sdk.Set) {
		return p.target.Present
	}
	v := p.value()
	p.give(s, account, v)
	return v
}

func changeNeedsOld(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	old, v := p.start(s, a), p.value()
	r := s.apply(p.t.Context(), p.change(a, p.value(), v))
	p.wantRefused(r, "change from a value that is not the present one", sdk.WrongCurrentPassword)
	p.wantHolds(a, old, "a refused change")
	op := p.change(a, old, v)
	op.Old = secret.Value{}
	p.wantRefused(s.apply(p.t.Context(), op), "change without the old value", sdk.InvalidOperation, sdk.WrongCurrentPassword, sdk.Unsupported)
}

func resetTells(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	old := ""
	if p.d.Does(sdk.Set) {
		old = p.start(s, a)
	}
	r := s.reset(p.t.Context(), p.op(sdk.Reset, a, ""))
	switch {
	case !ok(r):
		p.stop("reset: %s, want applied", said(r))
	case r.Value.Present():
		p.wantHolds(a, r.Value.Reveal(), "a reset, by the value that it told")
	case old != "" && p.holds(a, p.kind(), old):
		p.fail("after a reset the value from before is still accepted")
	}
}

func unlockUnlocks(p *probe) {
	s, v := p.open(), p.value()
	if r := s.unlock(p.t.Context(), p.op(sdk.Unlock, p.target.Locked, "")); !ok(r) {
		p.stop("unlock: %s, want applied", said(r))
	}
	p.give(s, p.target.Locked, v)
	p.wantHolds(p.target.Locked, v, "an unlock and a set")
	if p.target.Missing != "" {
		p.wantRefused(s.unlock(p.t.Context(), p.op(sdk.Unlock, p.target.Missing, "")), "unlock of a missing account", sdk.AccountNotFound)
	}
}

// anyOp is a set where there is one, else a change.
func (p *probe) anyOp(account, value string) sdk.Operation {
	if p.d.Does(sdk.Set) {
		return p.set(account, value)
	}
	return p.change(account, p.target.Present, value)
}

// ---- refusals ---------------------------------------------------------------

func missingAccount(p *probe) {
	s := p.open()
	p.wantRefused(s.apply(p.t.Context(), p.anyOp(p.target.Missing, p.value())), "an operation on a missing account", sdk.AccountNotFound)
	if p.can(sdk.CanReset) {
		p.wantRefused(s.reset(p.t.Context(), p.op(sdk.Reset, p.target.Missing, "")), "reset of a missing account", sdk.AccountNotFound)
	}
	if p.can(sdk.CanFind) {
		_, err := s.find(p.t.Context(), p.target.Missing)
		p.wantCode(err, "Find of a missing account", sdk.AccountNotFound)
	}
}

func refusingAccounts(p *probe) {
	s := p.open()
	for account, code := range p.target.Refusing {
		r := s.apply(p.t.Context(), p.anyOp(account, p.value()))
		p.wantRefused(r, fmt.Sprintf("an operation on account %q", account), code)
		if code == sdk.AccountStatus && r.Err != nil && r.Err.AccountStatus == sdk.StatusUnknown {
			p.fail("account %q: AccountStatus does not say which", account)
		}
	}
}

var rules = []sdk.Rule{sdk.RuleMinLength, sdk.RuleMaxLength, sdk.RuleLetters, sdk.RuleLower, sdk.RuleUpper, sdk.RuleDigits, sdk.RuleSymbols,
	sdk.RuleNonLetters, sdk.RuleClasses, sdk.RuleForbidden, sdk.RuleMaxRepeat, sdk.RuleMaxSequence, sdk.RuleContainsName, sdk.RuleContainsWord,
	sdk.RuleSameAsCurrent, sdk.RuleHistory, sdk.RuleMinAge, sdk.RuleChangeCount, sdk.RuleDictionary, sdk.RuleQuality, sdk.RuleEncoding, sdk.RuleOpaque, sdk.RuleCustom}

func weakValue(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	op := p.set(a, p.target.Weak)
	if !p.d.Does(sdk.Set) {
		op = p.change(a, was, p.target.Weak)
	}
	r := s.apply(p.t.Context(), op)
	p.wantRefused(r, "a weak value", sdk.PolicyViolation)
	p.wantHolds(a, was, "a refusal by policy")
	if r.Err == nil {
		return
	}
	for _, v := range r.Err.Violations {
		if !slices.Contains(rules, v.Rule) {
			p.fail("violation of %q: the contract has no such rule; use custom and Native", v.Rule)
		}
	}
}

func historyIsKept(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	first := p.start(s, a)
	last := p.value()
	next := func(old, v string) sdk.Operation {
		if p.d.Does(sdk.Set) {
			return p.set(a, v)
		}
		return p.change(a, old, v)
	}
	if r := s.apply(p.t.Context(), next(first, last)); !ok(r) {
		p.stop("a second value: %s, want applied", said(r))
	}
	r := s.apply(p.t.Context(), next(last, first))
	p.wantRefused(r, "a value from before", sdk.PolicyViolation)
	if r.Err != nil && !remembered(r) {
		p.fail("a value from before: violations %+v, want the rule history", r.Err.Violations)
	}
	p.wantHolds(a, last, "a refusal by history")
}

// remembered reports whether a refusal may be about a value from before.
func remembered(r sdk.Receipt) bool {
	return r.Err != nil && slices.ContainsFunc(r.Err.Violations, func(v sdk.Violation) bool {
		return slices.Contains([]sdk.Rule{sdk.RuleHistory, sdk.RuleSameAsCurrent, sdk.RuleOpaque}, v.Rule)
	})
}

func nonsense(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	edit := func(f func(*sdk.Operation)) sdk.Operation {
		op := p.anyOp(a, p.value())
		f(&op)
		return op
	}
	for what, op := range map[string]sdk.Operation{
		"an empty account":        edit(func(o *sdk.Operation) { o.Account = "" }),
		"an unknown verb":         edit(func(o *sdk.Operation) { o.Verb = "delete" }),
		"an unknown kind":         edit(func(o *sdk.Operation) { o.Kind = "no-such-kind" }),
		"an unknown hash format":  edit(func(o *sdk.Operation) { o.HashFormat = "no-such-format" }),
		"an absent value":         edit(func(o *sdk.Operation) { o.Value = secret.Value{} }),
		"an empty value":          edit(func(o *sdk.Operation) { o.Value = secret.New("") }),
		"a verb without its data": edit(func(o *sdk.Operation) { o.Verb, o.Value = sdk.Unlock, secret.Value{} }),
	} {
		p.wantRefused(s.apply(p.t.Context(), op), what, sdk.InvalidOperation, sdk.Unsupported, sdk.PolicyViolation, sdk.AccountNotFound)
		p.wantHolds(a, was, what)
	}
	for _, v := range []sdk.Verb{sdk.Set, sdk.Change} {
		if !p.d.Does(v) {
			op := p.change(a, was, p.value())
			op.Verb = v
			p.wantRefused(s.apply(p.t.Context(), op), string(v)+", which is not declared", sdk.Unsupported)
		}
	}
}

// hostile are names that mean something to careless code.
func hostile(account string) []string {
	return []string{"*", "", " ", account + " ", " " + account, account + "*", account + "\n", account + ":x", account + ",dc=x", account + "/../" + account,
		`x" OR "1"="1`, "x' OR '1'='1", `x'; DROP TABLE users; --`, ")(uid=*", "../../../../etc/passwd", "%00", "%2e%2e/", "$(id)", "<a>&amp;", strings.Repeat("n", 5000), "-h", "\u202enna"}
}

func hostileNames(p *probe) {
	s := p.open()
	held := map[string]string{}
	for _, a := range p.target.Accounts {
		if p.d.Does(sdk.Set) {
			held[a] = p.start(s, a)
		} else {
			held[a] = p.target.Present
		}
	}
	for _, name := range hostile(p.target.Accounts[0]) {
		if slices.Contains(p.target.Accounts, name) {
			continue
		}
		r := s.apply(p.t.Context(), p.anyOp(name, p.value()))
		if r.Outcome == sdk.Unknown {
			p.fail("account %.40q: %s, want applied or refused", name, said(r))
		}
		if p.can(sdk.CanFind) {
			if found, err := s.find(p.t.Context(), name); err == nil && slices.Contains(p.target.Accounts, found.Account) {
				p.fail("Find of account %.40q found %q", name, found.Account)
			}
		}
	}
	for a, v := range held {
		p.wantHolds(a, v, "operations on accounts with hostile names")
	}
}

// ---- replay -----------------------------------------------------------------

// replay sends one operation twice. Only a verb that is declared safe has to
// succeed again; any other has to tell the truth.
func replay(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	v := p.value()
	op := p.anyOp(a, v)
	if r := s.apply(p.t.Context(), op); !ok(r) {
		p.stop("%s: %s, want applied", op.Verb, said(r))
	}
	op.Attempt = 2
	r := s.apply(p.t.Context(), op)
	if p.d.CanReplay(op.Verb) && !ok(r) {
		p.fail("the same %s at a second attempt: %s, want applied or already-applied", op.Verb, said(r))
	}
	p.wantHolds(a, v, "a replay")
	if p.holds(a, p.kind(), was) {
		p.fail("after a replay the value from before is accepted again")
	}
}

func replayOfAChange(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	op := p.change(a, p.start(s, a), p.value())
	for attempt := range 2 {
		op.Attempt = attempt + 1
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.fail("change, attempt %d: %s, want applied or already-applied", op.Attempt, said(r))
		}
	}
	p.wantHolds(a, op.Value.Reveal(), "a replay of a change")
}

func replayConcurrently(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	op := p.set(a, p.value())
	op.Attempt = 2 // a first attempt may be refused by the history that another one made
	p.parallel(8, func(int) {
		r := s.apply(p.t.Context(), op)
		// In a process, the sdk joins them before they reach the backend.
		if !ok(r) && (r.Err == nil || r.Err.Code != sdk.Conflict && !(p.near && remembered(r))) {
			p.fail("the same set eight times at once: %s, want applied, already-applied or Conflict", said(r))
		}
	})
	p.wantHolds(a, op.Value.Reveal(), "the same set eight times at once")
}

func replayAfterReopening(p *probe) {
	a := p.target.Accounts[0]
	op := p.set(a, p.value())
	s, err := p.configure(p.target.Config)
	if err != nil {
		p.stop("Configure: %v", err)
	}
	r := s.apply(p.t.Context(), op)
	if err := s.close(); err != nil || !ok(r) {
		p.stop("set: %s, want applied; Close: %v", said(r), err)
	}
	if err := p.plugin.restart(); err != nil {
		p.stop("restart of the plugin: %v", err)
	}
	op.Attempt = 2
	if r := p.open().apply(p.t.Context(), op); !ok(r) {
		p.fail("the same set after the instance was opened again: %s, want applied or already-applied", said(r))
	}
	p.wantHolds(a, op.Value.Reveal(), "a replay after the instance was opened again")
}

// ---- concurrency, deadlines, batches ----------------------------------------

// parallel calls f n times at once and waits.
func (p *probe) parallel(n int, f func(n int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { p.guard(func() { f(i) }) })
	}
	wg.Wait()
}

func manyAtOnce(p *probe) {
	s := p.open()
	values := map[string]string{}
	var ops []sdk.Operation
	for _, a := range p.target.Accounts {
		op := p.anyOp(a, p.value())
		values[a], ops = op.Value.Reveal(), append(ops, op)
	}
	for n, r := range s.submit(ops) {
		if !ok(r) {
			p.fail("%d accounts at once: account %q: %s, want applied", len(ops), ops[n].Account, said(r))
		}
	}
	for a, v := range values {
		p.wantHolds(a, v, "operations on many accounts at once")
	}
}

// moments are contexts that end before, during and after an operation.
func moments(ctx context.Context) map[string]func() (context.Context, context.CancelFunc) {
	in := func(d time.Duration) func() (context.Context, context.CancelFunc) {
		return func() (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	return map[string]func() (context.Context, context.CancelFunc){
		"a deadline that has passed": in(-time.Second),
		"a deadline in 100 µs":       in(100 * time.Microsecond),
		"a deadline in 2 ms":         in(2 * time.Millisecond),
		"a cancelled context": func() (context.Context, context.CancelFunc) {
			c, cancel := context.WithCancel(ctx)
			cancel()
			return c, cancel
		},
	}
}

func deadlines(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	for what, moment := range moments(p.t.Context()) {
		was := p.start(s, a)
		op := p.set(a, p.value())
		if !p.d.Does(sdk.Set) {
			op = p.change(a, was, p.value())
		}
		ctx, stop := moment()
		r := s.apply(ctx, op)
		stop()
		p.wantTruth(r, a, was, op.Value.Reveal(), what)
		if r.Outcome == sdk.Applied && ctx.Err() != nil && strings.HasPrefix(what, "a deadline that has") {
			p.fail("%s: applied, want a refusal before anything was sent", what)
		}
		if !ok(r) && r.Err != nil && !slices.Contains([]sdk.Code{sdk.Timeout, sdk.Cancelled, sdk.ConnectionLost, sdk.Unreachable, sdk.RateLimited}, r.Err.Code) {
			p.fail("%s: %s, want Timeout, Cancelled, ConnectionLost, Unreachable or RateLimited", what, said(r))
		}
		if !p.d.Does(sdk.Set) {
			return // the present value may be another now
		}
	}
}

// batch applies operations to the target's accounts, with one in the middle
// that is refused.
func (p *probe) batch(ctx context.Context) (ops []sdk.Operation, was []string, receipts []sdk.Receipt) {
	w := p.open().(watched)
	for _, a := range p.target.Accounts[:3] {
		was = append(was, p.start(w, a))
		ops = append(ops, p.anyOp(a, p.value()))
	}
	if limit := p.d.Limits.Batch; limit == 0 || limit > 3 {
		bad := p.anyOp(p.target.Accounts[0], p.value())
		bad.Account = p.target.Missing
		ops, was = slices.Insert(ops, 1, bad), slices.Insert(was, 1, "")
	} else {
		ops, was = ops[:limit], was[:limit]
	}
	b := w.subject.(near).Instance.(sdk.BatchApplier)
	p.within("ApplyBatch", func() { receipts = b.ApplyBatch(ctx, ops) })
	if len(receipts) != len(ops) {
		p.stop("ApplyBatch: %d receipts for %d operations", len(receipts), len(ops))
	}
	return ops, was, receipts
}

func batchOrder(p *probe) {
	ops, was, receipts := p.batch(p.t.Context())
	for n, r := range receipts {
		if ops[n].Account == p.target.Missing {
			p.wantRefused(r, fmt.Sprintf("operation %d of a batch, on a missing account", n), sdk.AccountNotFound, sdk.InvalidOperation)
			continue
		}
		if !ok(r) {
			p.fail("operation %d of a batch: %s, want applied", n, said(r))
		}
		p.wantTruth(r, ops[n].Account, was[n], ops[n].Value.Reveal(), fmt.Sprintf("operation %d of a batch", n))
	}
}

func batchDeadline(p *probe) {
	ctx, cancel := context.WithCancel(p.t.Context())
	cancel()
	ops, was, receipts := p.batch(ctx)
	for n, r := range receipts {
		if ops[n].Account != p.target.Missing {
			p.wantTruth(r, ops[n].Account, was[n], ops[n].Value.Reveal(), fmt.Sprintf("operation %d of a batch with a cancelled context", n))
		}
	}
}

// ---- reading ----------------------------------------------------------------

func verifyTells(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	v := p.start(s, a)
	for what, x := range map[string]struct {
		value string
		want  []sdk.Verdict
	}{
		"the present value": {v, []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange}},
		"another value":     {p.value(), []sdk.Verdict{sdk.Rejected}},
	} {
		got, err := s.verify(ctx, a, p.kind(), secret.New(x.value))
		if err != nil || !slices.Contains(x.want, got) {
			p.fail("Verify of %s: %v, %v, want %v", what, got, err, x.want)
		}
	}
	p.wantHolds(a, v, "two verifies")
	if p.target.Missing == "" {
		return
	}
	got, err := s.verify(ctx, p.target.Missing, p.kind(), secret.New(v))
	if err == nil && (got == sdk.Accepted || got == sdk.AcceptedMustChange) {
		p.fail("Verify of a missing account: %v", got)
	}
}

func verifyCannotTell(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	v := p.start(s, a)
	for _, value := range []string{v, p.value()} {
		got, err := s.verify(p.t.Context(), a, p.kind(), secret.New(value))
		if e := sdk.AsError(err, ""); got != sdk.CannotTell || e != nil && e.Code != sdk.Unsupported && e.Code != sdk.InvalidOperation {
			p.fail("Verify of kind %q: %v, %v, want cannot-tell or Unsupported", p.kind(), got, err)
		}
	}
}

func findKnows(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	p.give(s, a, p.value())
	found, err := s.find(p.t.Context(), a)
	if err != nil {
		p.stop("Find: %v", err)
	}
	if found.Account == "" {
		p.fail("Find: Account is empty: operations have to name it")
	}
	if found.Status != sdk.StatusActive && found.Status != sdk.StatusUnknown {
		p.fail("Find: status %v of an account that may be set", found.Status)
	}
	again, err := s.find(p.t.Context(), found.Account)
	if err != nil || again.ID != found.ID {
		p.fail("Find of what Find calls the account: %q, %v, want the id %q", again.ID, err, found.ID)
	}
}

func resolveTells(p *probe) {
	s, names := p.open(), p.target.Accounts
	p.give(s, names[0], p.value())
	asked := append(slices.Clone(names), names[0])
	found, err := s.resolve(p.t.Context(), asked)
	if err != nil || len(found) != len(asked) {
		p.stop("Resolve of %d names: %d identities, %v", len(asked), len(found), err)
	}
	seen := map[[2]string]string{}
	for n, who := range found[:len(names)] {
		if who.Err != nil || who.ID == "" {
			p.fail("Resolve of %q: id %q, %v", names[n], who.ID, who.Err)
		}
		if other, twice := seen[[2]string{who.Target, who.ID}]; twice {
			p.fail("Resolve: %q and %q are one account", other, names[n])
		}
		seen[[2]string{who.Target, who.ID}] = names[n]
	}
	if last := found[len(names)]; last != found[0] {
		p.fail("Resolve of %q twice: %+v and %+v", names[0], found[0], last)
	}
}

func resolveAliases(p *probe) {
	s := p.open()
	for alias, account := range p.target.Aliases {
		found, err := s.resolve(p.t.Context(), []string{alias, account})
		if err != nil || len(found) != 2 || found[0].ID == "" || found[0] != found[1] {
			p.fail("Resolve of %q and %q, which are one account: %+v, %v", alias, account, found, err)
		}
	}
}

func stampsDiffer(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	seen := map[string]bool{}
	for range 3 {
		r := p.give(s, a, p.value())
		if !p.d.Does(sdk.Set) {
			return
		}
		found, err := s.find(ctx, a)
		if err != nil {
			p.stop("Find: %v", err)
		}
		again, err := s.find(ctx, a)
		switch {
		case err != nil || again.Stamp != found.Stamp:
			p.fail("Stamp: %q, then %q without a change (%v)", found.Stamp, again.Stamp, err)
		case found.Stamp == "":
			return // there is no such thing
		case seen[found.Stamp]:
			p.fail("Stamp: %q again after another set", found.Stamp)
		case r.Stamp != "" && r.Stamp != found.Stamp:
			p.fail("Stamp: the receipt says %q, Find %q", r.Stamp, found.Stamp)
		}
		seen[found.Stamp] = true
	}
}

// listed are the accounts that List yields.
func (p *probe) listed(s subject) []sdk.Account {
	var all []sdk.Account
	if err := s.list(p.t.Context(), "", nil, func(a sdk.Account) error { all = append(all, a); return nil }); err != nil {
		p.stop("List: %v", err)
	}
	return all
}

func listYieldsAll(p *probe) {
	s := p.open()
	names := map[string]int{}
	for _, a := range p.listed(s) {
		names[a.Account]++
		names["login "+a.Login]++
		if names[a.Account] > 1 {
			p.fail("List: account %q twice", a.Account)
		}
	}
	for _, a := range p.target.Accounts {
		if names[a] == 0 && names["login "+a] == 0 {
			p.fail("List: account %q is not there", a)
		}
	}
}

func listStops(p *probe) {
	enough := errors.New("enough")
	calls := 0
	err := p.open().list(p.t.Context(), "", nil, func(sdk.Account) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		p.fail("List: %d more calls of yield after its error, and %v instead of it", calls-1, err)
	}
}

func listBreaks(p *probe) {
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	n := 0
	s := p.open()
	all := len(p.listed(s))
	err := s.list(ctx, "", nil, func(sdk.Account) error { n++; cancel(); return nil })
	if err == nil && n < all {
		p.fail("List: cancelled after the first account, it ended after %d of %d without an error", n, all)
	}
}

func policyAgrees(p *probe) {
	s, ctx := p.open(), p.t.Context()
	for _, a := range []string{p.target.Accounts[0], ""} {
		pol, err := s.policy(ctx, a, p.kind())
		if err != nil {
			p.fail("Policy of account %q: %v", a, err)
			continue
		}
		if pol.MaxLength > 0 && pol.MinLength > pol.MaxLength {
			p.fail("Policy: lengths from %d to %d", pol.MinLength, pol.MaxLength)
		}
		if p.target.History && pol.History == 0 && pol.Note == "" {
			p.fail("Policy: says nothing of the history that the target keeps")
		}
		if pol.MinLength < 2 {
			continue
		}
		short := "aB3."[:min(4, pol.MinLength-1)]
		r := s.apply(ctx, p.anyOp(p.target.Accounts[1], short))
		p.wantRefused(r, fmt.Sprintf("a value of %d characters where Policy says at least %d", len(short), pol.MinLength), sdk.PolicyViolation)
	}
}

func generateGives(p *probe) {
	s, ctx, a := p.open(), p.t.Context(), p.target.Accounts[0]
	values, err := s.generate(ctx, p.kind(), 5)
	if err != nil || len(values) != 5 {
		p.stop("Generate: %d values, %v, want 5", len(values), err)
	}
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v.Reveal()] || v.Empty() {
			p.fail("Generate: a value twice, or an empty one")
		}
		seen[v.Reveal()] = true
	}
	p.give(s, a, values[0].Reveal())
	p.wantHolds(a, values[0].Reveal(), "a set of a generated value")
}

func checkIsReady(p *probe) {
	for _, f := range p.open().check(p.t.Context()) {
		if f.Severity == sdk.Bad {
			p.fail("Check of a good target: %s: %s", f.Code, f.Message)
		}
		if f.Message == "" {
			p.fail("Check: a finding without a message")
		}
	}
}

func lostTarget(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	p.start(s, a)
	p.target.Down()
	r := s.apply(p.t.Context(), p.anyOp(a, p.value()))
	// InvalidConfig is what a file that is gone looks like; it too stops a run.
	lost := []sdk.Code{sdk.Unreachable, sdk.TargetUnavailable, sdk.TargetError, sdk.ConnectionLost, sdk.Timeout, sdk.InvalidConfig}
	if ok(r) || r.Err == nil || !slices.Contains(lost, r.Err.Code) {
		p.fail("an operation on a target that is gone: %s, want one of %v", said(r), lost)
	}
	if !p.can(sdk.CanCheck) {
		return
	}
	if !slices.ContainsFunc(s.check(p.t.Context()), func(f sdk.Finding) bool { return f.Severity == sdk.Bad }) {
		p.fail("Check of a target that is gone: nothing bad")
	}
}

// ---- leaks and close --------------------------------------------------------

// noLeaks provokes every refusal with values that can be recognised, and looks
// for them, and for the settings' secrets, in all that is shown.
func noLeaks(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	was := p.start(s, a)
	secrets := []string{canary, canary + "-old", was}
	if len(p.target.Weak) >= 6 {
		secrets = append(secrets, p.target.Weak)
	}
	for _, v := range p.target.Config.Secrets {
		secrets = append(secrets, v.Reveal())
	}
	look := func(what string, r sdk.Receipt) { p.wantClean("the answer to "+what, texts(r), secrets...) }
	look("a set of a weak value", s.apply(ctx, p.anyOp(a, p.target.Weak)))
	for what, edit := range provocations(p) {
		op := p.anyOp(a, canary)
		edit(&op)
		look(what, s.apply(ctx, op))
	}
	late, stop := context.WithTimeout(ctx, time.Microsecond)
	defer stop()
	look("an operation that is too late", s.apply(late, p.anyOp(a, canary)))
	look("a set of an awkward value", s.apply(ctx, p.anyOp(a, canary)))
	if p.can(sdk.CanVerify) {
		_, err := s.verify(ctx, p.target.Missing, p.kind(), secret.New(canary))
		p.wantClean("the answer to a verify", fmt.Sprint(err), secrets...)
	}
	p.wantClean("the log", p.log.String(), secrets...)
	p.wantClean("what the plugin printed", p.plugin.logged(), secrets...)
}

func closeIsClean(p *probe) {
	before := goroutines(p)
	for range 3 {
		s, err := p.configure(p.target.Config)
		if err != nil {
			p.stop("Configure: %v", err)
		}
		p.give(s, p.target.Accounts[0], p.value())
		if err := s.close(); err != nil {
			p.fail("Close: %v", err)
		}
		if !p.d.Does(sdk.Set) {
			break
		}
	}
	if left := settled(p, before); left > before {
		p.fail("Close: %d goroutines before the instances were opened, %d after they were closed", before, left)
	}
}
