package backendtest

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// checks are all promises, in the order in which a report reads best.
func checks() []check {
	return slices.Concat(checksOfSettings(), checksOfVerbs(), checksOfTruth(), checksOfReading(), checksOfTheEnd())
}

// checksOfSettings are those of descriptions and settings.
func checksOfSettings() []check {
	return []check{
		{"describe/is stable", nil, describeIsStable},
		{"describe/makes sense", nil, describeMakesSense},
		{"describe/secrets have the type secret", nil, describeSecrets},
		{"abilities/are those declared", nil, abilitiesAreDeclared},
		{"abilities/others answer Unsupported", nil, othersAreUnsupported},
		{"sandbox/it works within what it declares", bound, worksConfined},
		{"config/wrong settings are named", wrong, wrongSettingsAreNamed},
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
		{"set/of every kind", all(does(sdk.Set), severalOf), everyKind},
		{"set/of hashed values", all(does(sdk.Set), hashes), hashedValues},
		{"set/can demand a change at the next logon", does(sdk.Set), mustChange},
		{"change/takes effect", does(sdk.Change), changeTakesEffect},
		{"change/needs the old value", does(sdk.Change), changeNeedsOld},
		{"reset/tells the value or keeps it", can(sdk.CanReset), resetTells},
		{"unlock/makes the account usable", all(can(sdk.CanUnlock), locked), unlockUnlocks},
		{"revoke/ends the sessions and leaves the value alone", can(sdk.CanRevoke), revokeEnds},
		{"handover/goes on with the new value", all(does(sdk.Handover), owned), handoverGoesOn},
	}
}

// checksOfTruth are those of refusals, and of answers that say truly whether something changed.
func checksOfTruth() []check {
	return []check{
		{"refuse/a missing account", missing, missingAccount},
		{"refuse/accounts by their state", refusing, refusingAccounts},
		{"refuse/a weak value by its rule", weak, weakValue},
		{"refuse/a value from before", remembers, historyIsKept},
		{"refuse/what makes no sense", nil, nonsense},
		{"refuse/hostile names", nil, hostileNames},
		{"replay/the same operation is not done twice", nil, replay},
		{"replay/of a change", repeats(sdk.Change), replayOfAChange},
		{"replay/at the same time", repeats(sdk.Set), replayConcurrently},
		{"replay/after the instance was opened again", repeats(sdk.Set), replayAfterReopening},
		{"replay/an id stands for one operation", isFar, idsAreOperations},
		{"concurrency/many accounts at once", nil, manyAtOnce},
		{"deadline/answers tell the truth", isNear, deadlines},
		{"deadline/a batch tells the truth", all(can(sdk.CanBatch), isNear), batchDeadline},
		{"batch/keeps length and order", all(can(sdk.CanBatch), isNear), batchOrder},
	}
}

// checksOfReading are those of questions, which change nothing.
func checksOfReading() []check {
	return []check{
		{"verify/tells right from wrong", tells, verifyTells},
		{"verify/says where it cannot tell", all(can(sdk.CanVerify), unknowable), verifyCannotTell},
		{"verify/in frames says the same", all(tells, isFar), verifyInFrames},
		{"find/knows the account", can(sdk.CanFind), findKnows},
		{"find/stamps differ after a change", can(sdk.CanFind), stampsDiffer},
		{"list/yields every account", can(sdk.CanList), listYieldsAll},
		{"list/stops when it is told", can(sdk.CanList), listStops},
		{"list/is never short in silence", can(sdk.CanList), listBreaks},
		{"resolve/tells accounts apart", can(sdk.CanResolve), resolveTells},
		{"resolve/knows an account by its other names", all(can(sdk.CanResolve), aliased), resolveAliases},
		{"policy/agrees with the target", can(sdk.CanPolicy), policyAgrees},
		{"generate/gives accepted values", all(can(sdk.CanGenerate), does(sdk.Set)), generateGives},
	}
}

// checksOfTheEnd are those of lost targets, leaks, and the end.
func checksOfTheEnd() []check {
	return []check{
		{"check/finds a good target ready", can(sdk.CanCheck), checkIsReady},
		{"down/a lost target is told as such", goesDown, lostTarget},
		{"faults/sets tell the truth", all(does(sdk.Set), relayed), faultsOfSets},
		{"faults/verify tells the truth", all(tells, relayed), faultsOfVerify},
		{"faults/find says nothing of an account", all(finds, relayed), faultsOfFind},
		{"faults/a list is never short in silence", all(can(sdk.CanList), relayed), faultsOfLists},
		{"faults/a target that is back is asked again", all(does(sdk.Set), goesAway), repaired},
		{"faults/an unlocked account is asked again", all(does(sdk.Set), can(sdk.CanUnlock), locked), lockedFirst},
		{"leaks/no secret in answers or logs", nil, noLeaks},
		{"leaks/no secret in unscrubbed answers", isFar, noRawLeaks},
		{"leaks/no secret where others can look", isFar, noTraces},
		{"leaks/no six characters of a secret, whatever fails", nil, noFragments},
		{"wire/strangers are refused", isFar, strangersAreRefused},
		{"wire/the socket is where it was told", isFar, socketIsWhereItWasTold},
		{"wire/a message has a limit", isFar, longMessages},
		{"wire/each operation is answered once", isFar, answersOnce},
		{"wire/the deadline holds", all(does(sdk.Set), relayed, isFar), deadlineOverTheWire},
		{"wire/no more at once than allowed", all(does(sdk.Set), relayed, isFar), staysWithin},
		{"close/waits for what runs", all(does(sdk.Set), relayed, isFar), closeWaits},
		{"close/leaves no process", isFar, leavesNoProcess},
		{"close/is clean", nil, closeIsClean},
		{"close/instances are known by their names", isFar, instancesByName},
	}
}
