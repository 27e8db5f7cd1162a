package backendtest

import (
	"github.com/rekey-host/rekey/sdk"
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
