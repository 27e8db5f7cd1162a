package backendtest

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// checks are all promises, in the order in which a report reads best.
func checks() []check {
	return slices.Concat(checksOfSettings(), checksOfVerbs(), checksOfTruth(), checksOfReading(), checksOfTheEnd())
}

// does and can are when a check of a verb, or of an ability, applies.
func does(verb sdk.Verb) func(scene) bool {
	return func(stage scene) bool { return stage.d.Does(verb) }
}
func can(ability sdk.Ability) func(scene) bool {
	return func(stage scene) bool { return stage.can(ability) }
}

// checksOfSettings are those of descriptions and settings.
func checksOfSettings() []check {
	return []check{
		{"describe/is stable", nil, describeIsStable},
		{"describe/makes sense", nil, describeMakesSense},
		{"describe/secrets have the type secret", nil, describeSecrets},
		{"abilities/are those declared", nil, abilitiesAreDeclared},
		{"abilities/others answer Unsupported", nil, othersAreUnsupported},
		{"sandbox/it works within what it declares", func(stage scene) bool { return stage.bound }, worksConfined},
		{"config/wrong settings are named", func(stage scene) bool { return len(stage.target.Wrong) > 0 }, wrongSettingsAreNamed},
		{"config/instances do not share settings", nil, instancesAreApart},
	}
}

// checksOfVerbs are those of the effect of each verb.
func checksOfVerbs() []check {
	return []check{
		{"set/takes effect", does(sdk.Set), setTakesEffect},
		{"set/replaces the value before", does(sdk.Set), setReplaces},
		{"set/stamps differ", does(sdk.Set), stampsOfReceipts},
		{"set/leaves other accounts alone", nil, othersAreLeftAlone},
		{"set/keeps every character", nil, everyCharacterIsKept},
		{"set/of every kind", func(stage scene) bool { return stage.d.Does(sdk.Set) && len(stage.d.Kinds) > 1 }, everyKind},
		{"set/of hashed values", func(stage scene) bool { return stage.d.Does(sdk.Set) && len(stage.target.Hashed) > 0 }, hashedValues},
		{"set/can demand a change at the next logon", does(sdk.Set), mustChange},
		{"change/takes effect", does(sdk.Change), changeTakesEffect},
		{"change/needs the old value", does(sdk.Change), changeNeedsOld},
		{"reset/tells the value or keeps it", can(sdk.CanReset), resetTells},
		{"unlock/makes the account usable", func(stage scene) bool { return stage.can(sdk.CanUnlock) && stage.target.Locked != "" }, unlockUnlocks},
		{"revoke/ends the sessions and leaves the value alone", can(sdk.CanRevoke), revokeEnds},
		{"handover/goes on with the new value", func(stage scene) bool { return stage.d.Does(sdk.Handover) && stage.target.Own != "" }, handoverGoesOn},
	}
}

// checksOfTruth are those of refusals, and of answers that say truly whether something changed.
func checksOfTruth() []check {
	return []check{
		{"refuse/a missing account", func(stage scene) bool { return stage.target.Missing != "" }, missingAccount},
		{"refuse/accounts by their state", func(stage scene) bool { return len(stage.target.Refusing) > 0 }, refusingAccounts},
		{"refuse/a weak value by its rule", func(stage scene) bool { return stage.target.Weak != "" }, weakValue},
		{"refuse/a value from before", func(stage scene) bool { return stage.target.History }, historyIsKept},
		{"refuse/what makes no sense", nil, nonsense},
		{"refuse/hostile names", nil, hostileNames},
		{"replay/the same operation is not done twice", nil, replay},
		{"replay/of a change", func(stage scene) bool { return stage.d.Does(sdk.Change) && stage.d.CanReplay(sdk.Change) }, replayOfAChange},
		{"replay/at the same time", replaySafe, replayConcurrently},
		{"replay/after the instance was opened again", replaySafe, replayAfterReopening},
		{"replay/an id stands for one operation", isFar, idsAreOperations},
		{"concurrency/many accounts at once", nil, manyAtOnce},
		{"deadline/answers tell the truth", func(stage scene) bool { return stage.near }, deadlines},
		{"deadline/a batch tells the truth", func(stage scene) bool { return stage.near && stage.can(sdk.CanBatch) }, batchDeadline},
		{"batch/keeps length and order", func(stage scene) bool { return stage.near && stage.can(sdk.CanBatch) }, batchOrder},
	}
}

// checksOfReading are those of questions, which change nothing.
func checksOfReading() []check {
	return []check{
		{"verify/tells right from wrong", func(stage scene) bool { return stage.can(sdk.CanVerify) && !stage.target.Unverifiable }, verifyTells},
		{"verify/says where it cannot tell", func(stage scene) bool { return stage.can(sdk.CanVerify) && stage.target.Unverifiable }, verifyCannotTell},
		{"verify/in frames says the same", func(stage scene) bool { return isFar(stage) && stage.can(sdk.CanVerify) && !stage.target.Unverifiable }, verifyInFrames},
		{"find/knows the account", can(sdk.CanFind), findKnows},
		{"find/stamps differ after a change", can(sdk.CanFind), stampsDiffer},
		{"list/yields every account", can(sdk.CanList), listYieldsAll},
		{"list/stops when it is told", can(sdk.CanList), listStops},
		{"list/is never short in silence", can(sdk.CanList), listBreaks},
		{"resolve/tells accounts apart", can(sdk.CanResolve), resolveTells},
		{"resolve/knows an account by its other names", func(stage scene) bool { return stage.can(sdk.CanResolve) && len(stage.target.Aliases) > 0 }, resolveAliases},
		{"policy/agrees with the target", can(sdk.CanPolicy), policyAgrees},
		{"generate/gives accepted values", func(stage scene) bool { return stage.can(sdk.CanGenerate) && stage.d.Does(sdk.Set) }, generateGives},
	}
}

// checksOfTheEnd are those of lost targets, leaks, and the end.
func checksOfTheEnd() []check {
	return []check{
		{"check/finds a good target ready", can(sdk.CanCheck), checkIsReady},
		{"down/a lost target is told as such", func(stage scene) bool { return stage.target.Down != nil }, lostTarget},
		{"faults/sets tell the truth", relayedSet, faultsOfSets},
		{"faults/verify tells the truth", func(stage scene) bool {
			return relayed(stage) && stage.can(sdk.CanVerify) && !stage.target.Unverifiable
		}, faultsOfVerify},
		{"faults/find says nothing of an account", func(stage scene) bool { return relayed(stage) && (stage.can(sdk.CanFind) || stage.can(sdk.CanResolve)) }, faultsOfFind},
		{"faults/a list is never short in silence", func(stage scene) bool { return relayed(stage) && stage.can(sdk.CanList) }, faultsOfLists},
		{"faults/a target that is back is asked again", func(stage scene) bool { return stage.d.Does(sdk.Set) && (relayed(stage) || stage.target.Away != nil) }, repaired},
		{"faults/an unlocked account is asked again", func(stage scene) bool {
			return stage.d.Does(sdk.Set) && stage.can(sdk.CanUnlock) && stage.target.Locked != ""
		}, lockedFirst},
		{"leaks/no secret in answers or logs", nil, noLeaks},
		{"leaks/no secret in unscrubbed answers", isFar, noRawLeaks},
		{"leaks/no secret where others can look", isFar, noTraces},
		{"leaks/no six characters of a secret, whatever fails", nil, noFragments},
		{"wire/strangers are refused", isFar, strangersAreRefused},
		{"wire/the socket is where it was told", isFar, socketIsWhereItWasTold},
		{"wire/a message has a limit", isFar, longMessages},
		{"wire/each operation is answered once", isFar, answersOnce},
		{"wire/the deadline holds", farAndRelayed, deadlineOverTheWire},
		{"wire/no more at once than allowed", farAndRelayed, staysWithin},
		{"close/waits for what runs", farAndRelayed, closeWaits},
		{"close/leaves no process", isFar, leavesNoProcess},
		{"close/is clean", nil, closeIsClean},
		{"close/instances are known by their names", isFar, instancesByName},
	}
}

func isFar(scene scene) bool { return !scene.near }

func replaySafe(scene scene) bool { return scene.d.Does(sdk.Set) && scene.d.CanReplay(sdk.Set) }
