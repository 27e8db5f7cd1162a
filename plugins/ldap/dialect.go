package ldap

import (
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// dialect is what servers do each in their own way: which attributes tell the
// state of an account, and which request does what. It sends nothing itself.
type dialect interface {
	// stateAttributes tell the state of an account; what a server does not have
	// it leaves out.
	stateAttributes() []string
	// state is told of an account by its entry.
	state(account *sdk.Account, entry entry, now time.Time)
	// everyone selects the entries that are accounts.
	everyone() []byte
	// refuse returns why the server cannot take op, nil if it can.
	refuse(op sdk.Operation) *sdk.Error
	// set is the request that gives an entry op's value; only here does the value
	// leave its wrapping.
	set(dn string, op sdk.Operation) []byte
	// swap is the request with which the server itself compares op's old value;
	// nil where its owner has to log on.
	swap(dn string, op sdk.Operation) []byte
	// unlock lifts a lock.
	unlock() ldapwire.Modification
	// controls ask for the reasons of a refusal.
	controls() []ldapwire.Control
	// hint is what the receipt of an answer says beyond it, "" for nothing.
	hint(result result, receipt sdk.Receipt) string
}

func newDialect(settings settings) dialect {
	if settings.mode == modeAD {
		return windows{loginAttribute: settings.loginAttribute}
	}
	return standard{mode: settings.mode, hash: settings.hash, loginAttribute: settings.loginAttribute}
}
