package ldap

import (
	"strings"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// windows is the dialect of Active Directory and Samba: unicodePwd.
type windows struct{ loginAttribute string }

func (windows) stateAttributes() []string {
	return []string{"userAccountControl", "msDS-User-Account-Control-Computed", "lockoutTime", "accountExpires", "pwdLastSet", "uSNChanged"}
}

// Bits of userAccountControl and its computed twin.
const (
	uacDisabled   = 0x2
	uacLockout    = 0x10
	uacTrust      = 0x800   // of another domain
	uacController = 0x2000  // of this one
	uacForever    = 0x10000 // the password never expires
)

func (windows) state(account *sdk.Account, entry entry, now time.Time) {
	account.ChangedAt = fileTime(entry.number("pwdLastSet"))
	account.Stamp = strings.Trim(entry.First("pwdLastSet")+"/"+entry.First("uSNChanged"), "/")
	if entry.First("pwdLastSet") != "" {
		account.MustChange = new(entry.number("pwdLastSet") == 0)
	}
	locked := entry.number("lockoutTime") > 0
	if entry.First("msDS-User-Account-Control-Computed") != "" { // knows that a lock has run out
		locked = entry.number("msDS-User-Account-Control-Computed")&uacLockout != 0
	}
	expires := fileTime(entry.number("accountExpires"))
	switch {
	case entry.number("userAccountControl")&uacDisabled != 0:
		account.Status = sdk.StatusDisabled
	case locked:
		account.Status = sdk.StatusLocked
	case !expires.IsZero() && !now.Before(expires):
		account.Status = sdk.StatusExpired
	}
}

func (w windows) everyone() []byte {
	return ldapwire.FilterAnd(ldapwire.FilterEqual("objectCategory", "person"), ldapwire.FilterPresent(w.loginAttribute))
}

func (windows) refuse(op sdk.Operation) *sdk.Error {
	if op.HashFormat != "" {
		return sdk.Errorf(sdk.Unsupported, "hash_format: Active Directory takes plain values only")
	}
	return nil
}

func (windows) set(dn string, op sdk.Operation) []byte {
	mods := []ldapwire.Modification{ldapwire.Replace("unicodePwd", unicodePwd(op.Value.Reveal()))}
	if op.MustChange != nil {
		mods = append(mods, ldapwire.Replace("pwdLastSet", pwdLastSet(*op.MustChange)))
	}
	return ldapwire.ModifyRequest(dn, mods...)
}

// pwdLastSet 0 asks for a change at the next logon, -1 is now.
func pwdLastSet(mustChange bool) string {
	if mustChange {
		return "0"
	}
	return "-1"
}

// swap deletes the old value and adds the new one: the server compares.
func (windows) swap(dn string, op sdk.Operation) []byte {
	return ldapwire.ModifyRequest(dn,
		ldapwire.Delete("unicodePwd", unicodePwd(op.Old.Reveal())),
		ldapwire.Add("unicodePwd", unicodePwd(op.Value.Reveal())))
}

func (windows) unlock() ldapwire.Modification { return ldapwire.Replace("lockoutTime", "0") }

func (windows) controls() []ldapwire.Control { return nil }

func (windows) hint(result, sdk.Receipt) string { return "" }
