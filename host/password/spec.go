package password

import "github.com/rekey-host/rekey/sdk"

// Spec is what a script's policy(...) asks for. A set field is a
// demand; a nil one leaves room for the wishes: 20 characters, one of each
// class, no account name, no common password.
type Spec struct {
	Length, MinLength, MaxLength  *int
	Lower, Upper, Digits, Symbols *int    // at least so many; 0: not one
	MaxRepeat                     *int    // no run of one character longer than this; 0: no rule
	AllowedSymbols                *string // of the symbols only these, all of them, look-alikes too
	Forbid                        *string // characters to avoid
	NoAccountName, Blocklist      *bool   // false takes the wish back
	Pin                           bool    // policy.pin: digits only, Length of them (6), no trivial runs
}

// Demand is the rules of one owner: a backend's label.
type Demand struct {
	Owner  string
	Policy sdk.Policy
}

// Owners of rules that no backend has.
const (
	ownerScript = "the script"
	ownerRekey  = "rekey"
)
