package backendtest

import (
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// condition returns why a check does not apply to a scene; "" if it does.
type condition func(scene) string

// where is a condition that is met or not; lacks says why not.
func where(met func(scene) bool, lacks string) condition {
	return func(stage scene) string {
		if met(stage) {
			return ""
		}
		return lacks
	}
}

// all is met where each of several is.
func all(conditions ...condition) condition {
	return func(stage scene) string {
		for _, condition := range conditions {
			if lacks := condition(stage); lacks != "" {
				return lacks
			}
		}
		return ""
	}
}

// does and can are met where a backend has a verb, or an ability.
func does(verb sdk.Verb) condition {
	return where(func(stage scene) bool { return stage.d.Does(verb) }, "it has no "+string(verb))
}

func can(ability sdk.Ability) condition {
	return func(stage scene) string {
		switch {
		case !stage.d.Can(ability):
			return "it has no " + string(ability)
		case slices.Contains(stage.target.Lacks, ability):
			return "it has no " + string(ability) + " as the target sets it up"
		}
		return ""
	}
}

// repeats is met where a verb is safe to repeat.
func repeats(verb sdk.Verb) condition {
	return all(does(verb), where(func(stage scene) bool { return stage.d.CanReplay(verb) }, "a "+string(verb)+" is not safe to repeat"))
}

// hashes is met where a target names hashed values.
func hashes(stage scene) string {
	switch {
	case len(stage.target.Hashed) > 0:
		return ""
	case len(stage.d.HashFormats) == 0:
		return "it takes no hashes"
	}
	return "the target names no hashed values"
}

// The conditions of where a backend is.
var (
	isNear = where(func(stage scene) bool { return stage.near }, "it is for a backend in the process of the kit")
	isFar  = where(func(stage scene) bool { return !stage.near }, "it is for a plugin in a process of its own")
	bound  = where(func(stage scene) bool { return stage.bound }, "the kit did not confine it")
)

// The conditions of what a target offers.
var (
	relayed    = where(scene.relayed, "the target names no server for the kit to stand before")
	wrong      = where(func(stage scene) bool { return len(stage.target.Wrong) > 0 }, "the target names no settings that are wrong")
	locked     = where(func(stage scene) bool { return stage.target.Locked != "" }, "the target names no locked account")
	owned      = where(func(stage scene) bool { return stage.target.Own != "" }, "the target names no account that rekey logs in as")
	missing    = where(func(stage scene) bool { return stage.target.Missing != "" }, "the target names no account that is missing")
	refusing   = where(func(stage scene) bool { return len(stage.target.Refusing) > 0 }, "the target names no accounts that are refused")
	weak       = where(func(stage scene) bool { return stage.target.Weak != "" }, "the target names no weak value")
	remembers  = where(func(stage scene) bool { return stage.target.History }, "the target remembers no values")
	aliased    = where(func(stage scene) bool { return len(stage.target.Aliases) > 0 }, "the target names no further names of accounts")
	goesDown   = where(func(stage scene) bool { return stage.target.Down != nil }, "the target cannot be taken away")
	goesAway   = where(func(stage scene) bool { return stage.relayed() || stage.target.Away != nil }, relayed(scene{}))
	verifiable = where(func(stage scene) bool { return !stage.target.Unverifiable }, "a verify cannot tell of its credential")
	unknowable = where(func(stage scene) bool { return stage.target.Unverifiable }, "a verify can tell of its credential")
	severalOf  = where(func(stage scene) bool { return len(stage.d.Kinds) > 1 }, "an account has one credential")
	finds      = where(func(stage scene) bool { return stage.can(sdk.CanFind) || stage.can(sdk.CanResolve) }, "it has neither find nor resolve")
	tells      = all(can(sdk.CanVerify), verifiable)
)
