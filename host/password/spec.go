package password

import "github.com/rekey-host/rekey/sdk"

// Spec is what a script's policy(...) asks for. A field that is set is a
// demand; a nil one leaves room for the wishes: 20 characters, one of each
// class, no account name, no common password.
type Spec struct {
	Length, MinLength, MaxLength  *int
	Lower, Upper, Digits, Symbols *int
	MaxRepeat                     *int
	AllowedSymbols, Forbid        *string
	NoAccountName, Blocklist      *bool
	Pin                           bool // policy.pin: digits only, Length of them
}

// Demand is the rules of one owner: a backend's label.
type Demand struct {
	Owner  string
	Policy sdk.Policy
}
