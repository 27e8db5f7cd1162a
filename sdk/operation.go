package sdk

import "github.com/rekey-host/rekey/sdk/secret"

// Operation is one request about one credential of one account.
type Operation struct {
	ID         string         // the same for every attempt
	Attempt    int            // from 1; above 1, look before reporting a history refusal
	Verb       Verb           // Set, Change or Handover in Apply, else that of the method
	Account    string         // as the script named it
	Kind       string         // one of Description.Kinds; "" where there is only one
	Value      secret.Value   // the new value, of a Verify the one to try; absent in Reset, Unlock and Revoke
	Old        secret.Value   // the present value, of a Change
	HashFormat string         // "" for a plain value, else one of Description.HashFormats
	MustChange *bool          // whether the owner has to change it at the next logon; nil: the backend's default for the verb
	Options    map[string]any // declared in Description.Options; string, int64, bool or []string

	Requestor    string // who asked, for the target's audit trail
	SourceSystem string // from where
}

// NotOwn returns the refusal of a Handover of another account than that which the
// instance is logged in as. A later attempt may find another login here than the first
// did, which says nothing of that one: its code is not Definite.
func (o Operation) NotOwn(login string) *Error {
	code := InvalidOperation
	if o.Attempt > 1 {
		code = PermissionDenied
	}
	return Errorf(code, "account %q: rekey is logged in as %q, and hands over that alone", o.Account, login)
}

// InForce returns what a Handover comes to whose value is the password already, and
// whether it is: nothing is left to be done. present is what the instance has just
// logged in with.
func (o Operation) InForce(present secret.Value) (Receipt, bool) {
	switch {
	case !present.Equal(o.Value):
		return Receipt{}, false
	case o.Attempt > 1:
		return Receipt{Outcome: AlreadyApplied}, true
	}
	return OK(), true
}
