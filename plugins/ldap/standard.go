package ldap

import (
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// standard is the dialect of all servers but Windows': userPassword, by the
// Password Modify operation or as an attribute, and the attributes of password
// policies.
type standard struct {
	mode           mode
	hash           string
	loginAttribute string
}

func (standard) stateAttributes() []string {
	return []string{"objectClass", "userPassword", "entryCSN", "entryUSN", "passwordRetryCount", "accountUnlockTime", "pwdChangedTime", "pwdAccountLockedTime", "pwdReset", "pwdPolicySubentry",
		"nsAccountLock", "loginDisabled", "shadowExpire"}
}

func (standard) state(account *sdk.Account, entry entry, now time.Time) {
	account.ChangedAt = generalizedTime(entry.First("pwdChangedTime"))
	// What moves with every change of an entry does so with every change of its
	// value. Times have seconds only, and two changes may be in one: they are no
	// stamp by themselves.
	if moves := either(entry.First("entryCSN"), entry.First("entryUSN")); moves != "" {
		account.Stamp = strings.Trim(entry.First("pwdChangedTime")+"/"+moves, "/")
	}
	if reset := entry.First("pwdReset"); reset != "" || !account.ChangedAt.IsZero() {
		account.MustChange = new(strings.EqualFold(reset, "TRUE"))
	}
	switch {
	case strings.EqualFold(entry.First("nsAccountLock"), "true"), strings.EqualFold(entry.First("loginDisabled"), "true"):
		account.Status = sdk.StatusDisabled
	case entry.First("pwdAccountLockedTime") != "", locked389(entry, now):
		account.Status = sdk.StatusLocked
	case entry.passThrough() != "":
		account.Status = sdk.StatusFederated
	case shadowExpired(entry.First("shadowExpire"), now):
		account.Status = sdk.StatusExpired
	}
}

// locked389 reads the lock of 389 Directory Server: a count that a set takes back,
// and a time, of which the first is for good.
func locked389(entry entry, now time.Time) bool {
	until := generalizedTime(entry.First("accountUnlockTime"))
	return entry.number("passwordRetryCount") > 0 && !until.IsZero() && (until.Unix() == 0 || now.Before(until))
}

// shadowExpired reads days since 1970; 0 and less is never.
func shadowExpired(days string, now time.Time) bool {
	count, err := strconv.ParseInt(days, 10, 32)
	return err == nil && count > 0 && !now.Before(time.Unix(count*24*60*60, 0))
}

func (s standard) everyone() []byte { return ldapwire.FilterPresent(s.loginAttribute) }

// refuse looks for what a server would take for a hash, and for none.
func (s standard) refuse(op sdk.Operation) *sdk.Error {
	hashed := schemed.MatchString(op.Value.Reveal())
	switch {
	case op.HashFormat != "" && !hashed:
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value does not start with a {SCHEME}")
	case op.HashFormat == "" && hashed && s.mode == modeAttribute && s.hash == hashPlain:
		return broken(sdk.Violation{Rule: sdk.RuleCustom, Message: "the value starts like a hash, and the server would take it for one"})
	}
	return nil
}

// set carries the must-change mark but for a plain value in mode rfc3062.
func (s standard) set(dn string, op sdk.Operation) []byte {
	value := op.Value.Reveal()
	switch {
	case s.mode == modeRFC3062 && op.HashFormat == "":
		return ldapwire.PasswordModify(dn, "", value)
	case op.HashFormat == "":
		value = userPassword(s.hash, value)
	}
	mods := []ldapwire.Modification{ldapwire.Replace("userPassword", value)}
	if op.MustChange != nil {
		mark := mustChange(*op.MustChange)
		mods = append(mods, ldapwire.Replace(mark.name, mark.values("")...))
	}
	return ldapwire.ModifyRequest(dn, mods...)
}

func (standard) swap(string, sdk.Operation) []byte { return nil }

func (standard) unlock() ldapwire.Modification { return ldapwire.Replace("pwdAccountLockedTime") }

func (standard) controls() []ldapwire.Control { return []ldapwire.Control{ldapwire.AskPolicy()} }

func (s standard) hint(result result, receipt sdk.Receipt) string {
	switch {
	case s.mode == modeAttribute && s.hash != hashPlain && result.Policy.Code() == ldapwire.PolicyQuality:
		return "; a hash cannot be checked for quality: use mode rfc3062"
	case s.mode == modeRFC3062 && receipt.Err.Code == sdk.Unsupported:
		return "; the server may not know RFC 3062: see mode"
	}
	return ""
}
