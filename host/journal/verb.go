package journal

import "github.com/rekey-host/rekey/sdk"

// The verbs of steps, as scripts, records and reports name them. Generate is
// not among them: it reaches no account and leaves no record.
const (
	Set      = "set"
	Change   = "change"
	Reset    = "reset"
	Verify   = "verify"
	Find     = "find"
	Unlock   = "unlock"
	Revoke   = "revoke"
	Handover = "handover"
	Revert   = "revert" // the host's own: it sets a credential back
)

// Traits are what holds of every step of a verb.
type Traits struct {
	Verb      string
	Operation sdk.Verb    // that carries it out; "" for a verb that only reads
	Ability   sdk.Ability // that the instance needs; "": its description lists the operation
	Kinded    bool        // it addresses one kind of credential
	Carries   bool        // its intent carries a value that must not get lost
	Changes   bool        // the credential may have another value afterwards
	Looks     bool        // it says nothing about a credential
	Ages      bool        // what it came to holds until something of the user is sent behind it
}

// verbs is the one table of verbs. What differs from verb to verb is a column
// here, and nowhere a switch.
var verbs = [...]Traits{
	{Verb: Set, Operation: sdk.Set, Kinded: true, Carries: true, Changes: true},
	{Verb: Change, Operation: sdk.Change, Kinded: true, Carries: true, Changes: true},
	{Verb: Reset, Operation: sdk.Reset, Ability: sdk.CanReset, Kinded: true, Changes: true},
	{Verb: Verify, Ability: sdk.CanVerify, Kinded: true, Ages: true},
	{Verb: Find, Ability: sdk.CanFind, Looks: true},
	{Verb: Unlock, Operation: sdk.Unlock, Ability: sdk.CanUnlock},
	{Verb: Revoke, Operation: sdk.Revoke, Ability: sdk.CanRevoke, Ages: true},
	{Verb: Handover, Operation: sdk.Handover, Kinded: true, Carries: true, Changes: true},
	{Verb: Revert, Operation: sdk.Set, Kinded: true, Carries: true, Changes: true},
}

// StepVerbs returns the verbs of steps that scripts take: all but Revert.
func StepVerbs() []string {
	var list []string
	for _, traits := range verbs {
		if traits.Verb != Revert {
			list = append(list, traits.Verb)
		}
	}
	return list
}

// TraitsOf returns what holds of a verb; ok is false for one that there is not.
func TraitsOf(verb string) (traits Traits, ok bool) {
	for i := range verbs {
		if verbs[i].Verb == verb {
			return verbs[i], true
		}
	}
	return Traits{Verb: verb}, false
}

// Can reports whether an instance with the description and the abilities is
// able to carry a verb out.
func (t Traits) Can(description sdk.Description, abilities []sdk.Ability) bool {
	if t.Ability == "" {
		return description.Does(t.Operation)
	}
	for _, ability := range abilities {
		if ability == t.Ability {
			return true
		}
	}
	return false
}
