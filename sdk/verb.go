package sdk

import (
	"context"
	"strings"
)

// Verb is what an operation does to a credential.
type Verb string

// The verbs. Set is administrative: give this value. Change is the owner's:
// from the old value to the new. Reset lets the target pick. Unlock leaves the
// credential alone. Revoke ends the sessions that the account has open, and leaves
// the credential alone too. Handover is a Set of the account that the instance is logged
// in as: see Config.Handed. Verify changes nothing: it stands among the operations
// of a stream, never in a Description, and Verifier answers it.
const (
	Set      Verb = "set"
	Change   Verb = "change"
	Reset    Verb = "reset"
	Unlock   Verb = "unlock"
	Revoke   Verb = "revoke"
	Handover Verb = "handover"
	Verify   Verb = "verify"
)

// Resetter lets the target pick the value.
type Resetter interface {
	// Reset is like Apply; the receipt holds the value if the target tells it.
	Reset(ctx context.Context, op Operation) Receipt
}

// Unlocker lifts a lock without touching the credential.
type Unlocker interface {
	// Unlock is like Apply.
	Unlock(ctx context.Context, op Operation) Receipt
}

// Revoker ends the sessions of an account: who is logged in already is no
// longer, and needs the present value to come back.
type Revoker interface {
	// Revoke is like Apply. Applied says that no session is left that was open
	// when it was asked; an account without any is Applied too. The sessions of
	// the account that the instance itself is logged in as are Protected.
	Revoke(ctx context.Context, op Operation) Receipt
}

// The abilities of instances that carry out the verbs of the table below.
const (
	CanReset  Ability = "reset"
	CanUnlock Ability = "unlock"
	CanRevoke Ability = "revoke"
)

// method carries out one operation.
type method = func(ctx context.Context, op Operation) Receipt

// asked is the table of the verbs that need an ability: an instance carries
// them out by a method of their own, one operation at a time.
var asked = [...]struct {
	verb    Verb
	ability Ability
	of      func(Instance) method // nil: the instance lacks the ability
}{
	{Reset, CanReset, func(instance Instance) method {
		if able, ok := instance.(Resetter); ok {
			return able.Reset
		}
		return nil
	}},
	{Unlock, CanUnlock, func(instance Instance) method {
		if able, ok := instance.(Unlocker); ok {
			return able.Unlock
		}
		return nil
	}},
	{Revoke, CanRevoke, func(instance Instance) method {
		if able, ok := instance.(Revoker); ok {
			return able.Revoke
		}
		return nil
	}},
}

// AskedVerbs returns the verbs that an instance carries out by a method of their
// own. All others go through Apply.
func AskedVerbs() []Verb {
	verbs := make([]Verb, len(asked))
	for i, row := range asked {
		verbs[i] = row.verb
	}
	return verbs
}

// Ability returns the ability that a verb of AskedVerbs needs; "" for others.
func (v Verb) Ability() Ability {
	for _, row := range asked {
		if row.verb == v {
			return row.ability
		}
	}
	return ""
}

// Method returns the name of the method of a verb of AskedVerbs, such as Reset.
func (v Verb) Method() string {
	if v == "" {
		return ""
	}
	return strings.ToUpper(string(v[:1])) + string(v[1:])
}

// MethodOf returns the method by which an instance carries out a verb of
// AskedVerbs; nil if the instance lacks the ability.
func MethodOf(instance Instance, verb Verb) func(ctx context.Context, op Operation) Receipt {
	for _, row := range asked {
		if row.verb == verb {
			return row.of(instance)
		}
	}
	return nil
}
