package ldap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// checker looks for what would keep a run from its end, or make its end less
// than it says.
type checker struct {
	*server
	reader *reader
}

// check connects, logs on, and asks the server what it is.
func (c *checker) check(ctx context.Context) []sdk.Finding {
	root, failed := c.read(ctx, "", []string{"supportedExtension", "supportedCapabilities", "objectClass", "vendorName", "currentTime"})
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	var found []sdk.Finding
	if c.clear {
		found = append(found, warning("passwords travel in clear: insecure = True over ldap://", "use ldaps:// or start_tls = True"))
	}
	theirs := generalizedTime(root.First("currentTime")) // Active Directory says it
	found = append(found, c.shown.Told(theirs, c.now())...)
	found = append(found, c.checkMode(root)...)
	found = append(found, c.checkLogin(ctx)...)
	found = append(found, c.checkSelf(ctx)...)
	base := c.checkBase(ctx)
	found = append(found, base...)
	if c.mode == modeAD || c.base == "" || slices.ContainsFunc(base, func(finding sdk.Finding) bool { return finding.Severity == sdk.Bad }) {
		return found
	}
	return append(found, c.checkLeft(ctx)...)
}

// checkLogin passes on what the server says of the service account's own
// password: each connection is a logon.
func (c *checker) checkLogin(ctx context.Context) []sdk.Finding {
	policy := c.login.told(ctx)
	const fix = "give bind_dn a new password"
	switch {
	case policy.OnGrace && policy.Grace < 1:
		failure := sdk.Errorf(sdk.LoginExpired, "bind_dn: its password has expired, and this was the last of its grace logins")
		return []sdk.Finding{bad(failure, fix)}
	case policy.OnGrace:
		return []sdk.Finding{warning(fmt.Sprintf("bind_dn: its password has expired; %d grace logins are left, and each connection uses one", policy.Grace), fix)}
	case policy.Expires > 0:
		return []sdk.Finding{warning(fmt.Sprintf("bind_dn: its password expires in %s", time.Duration(policy.Expires)*time.Second), fix)}
	}
	return nil
}

// checkSelf reads when the service account ends, from servers that say so in its
// entry.
func (c *checker) checkSelf(ctx context.Context) []sdk.Finding {
	self, failed := c.self(ctx)
	if failed != nil || self == nil {
		return nil // the logon has said what is wrong
	}
	item, failed := c.read(ctx, self.String(), []string{"msDS-UserPasswordExpiryTimeComputed", "passwordExpirationTime", "accountExpires"})
	if failed != nil {
		return nil // it may not see itself
	}
	password := fileTime(item.number("msDS-UserPasswordExpiryTimeComputed"))
	if text := item.First("passwordExpirationTime"); text != "" {
		password = generalizedTime(text)
	}
	var found []sdk.Finding
	for _, end := range []struct {
		at        time.Time
		what, fix string
	}{
		{password, "its password expires", "give bind_dn a new password"},
		{fileTime(item.number("accountExpires")), "the account expires", "have the end of the account moved"},
	} {
		if left := end.at.Sub(c.now()); !end.at.IsZero() && left < health.Soon {
			found = append(found, warning(fmt.Sprintf("bind_dn: %s in %s, at %s", end.what, health.Words(left), end.at.UTC().Format(time.RFC3339)), end.fix))
		}
	}
	return found
}

// left are attributes that a set leaves as they are, although somebody goes by
// them.
var left = []struct {
	class, attribute, means, fix string
	written                      func(settings) bool
}{
	{"sambaSamAccount", "sambaNTPassword", "Samba goes on taking the old password", "say update_samba = True, or let the server keep it in step (smbk5pwd)", func(s settings) bool { return s.updateSamba }},
	{"shadowAccount", "shadowLastChange", "Linux counts the age of the password from the old day", "say update_shadow = True, or let the server keep it in step (smbk5pwd)", func(s settings) bool { return s.updateShadow }},
}

// checkLeft counts the entries that have more than the one credential.
func (c *checker) checkLeft(ctx context.Context) []sdk.Finding {
	var found []sdk.Finding
	for _, l := range left {
		if l.written(c.settings) {
			continue
		}
		count, more, failed := c.count(ctx, ldapwire.FilterAnd(ldapwire.FilterEqual("objectClass", l.class), ldapwire.FilterPresent(l.attribute)))
		if failed == nil && count == 0 { // it may be hidden from bind_dn
			count, more, failed = c.count(ctx, ldapwire.FilterEqual("objectClass", l.class))
			if l.attribute == "shadowLastChange" {
				count = 0
			}
		}
		if failed != nil || count == 0 {
			continue // a server that does not tell has been asked
		}
		many := fmt.Sprint(count)
		if more {
			many = "at least " + many
		}
		found = append(found, warning(fmt.Sprintf("%s of the entries under base_dn have %s, which a set leaves as it is: %s", many, l.attribute, l.means), l.fix))
	}
	return found
}

// checkMode compares the mode with what the server says it can do.
func (c *checker) checkMode(root entry) []sdk.Finding {
	windows := slices.Contains(root.All("supportedCapabilities"), ldapwire.OIDActiveDir)
	switch {
	case c.mode == modeAD && !windows:
		return []sdk.Finding{warning("the server does not say that it is Active Directory", `see mode: "rfc3062" is for other servers`)}
	case c.mode != modeAD && windows:
		failure := sdk.Errorf(sdk.InvalidConfig, "mode: got %q, but the server is Active Directory", c.mode)
		return []sdk.Finding{bad(failure, `mode = "ad"`)}
	case windows && slices.Contains(root.All("supportedCapabilities"), ldapwire.OIDReadOnlyDir):
		failure := sdk.Errorf(sdk.ReadOnly, "url: the domain controller is a read-only one")
		return []sdk.Finding{bad(failure, "name one that takes writes")}
	case c.mode == modeRFC3062 && !slices.Contains(root.All("supportedExtension"), ldapwire.OIDPasswordModify):
		failure := sdk.Errorf(sdk.Unsupported, "the server does not offer the Password Modify operation (RFC 3062)")
		return []sdk.Finding{bad(failure, `mode = "attribute"`)}
	case c.mode == modeAttribute && c.hash == hashPlain && slices.Contains(root.All("objectClass"), "OpenLDAProotDSE"):
		return []sdk.Finding{warning("OpenLDAP stores userPassword as it is sent: in clear, unless ppolicy_hash_cleartext is on", `mode = "rfc3062"`)}
	}
	return nil
}

// checkBase looks whether there is anything to look for logins in, and whether
// the first account there may be written.
func (c *checker) checkBase(ctx context.Context) []sdk.Finding {
	if c.base == "" {
		return []sdk.Finding{{Severity: sdk.Info, Message: "base_dn is not set: accounts have to be DNs"}}
	}
	_, failed := c.read(ctx, c.base, []string{"1.1"})
	if failed != nil && failed.Code == sdk.AccountNotFound {
		failure := &sdk.Error{Code: sdk.InvalidConfig, Message: fmt.Sprintf("base_dn: %q does not exist, or bind_dn may not see it", c.base)}
		return []sdk.Finding{bad(failure, "")}
	}
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	if c.mode == modeAD {
		return c.checkWritable(ctx)
	}
	return nil
}

// checkWritable asks Active Directory about one account: rights are usually
// given for a whole subtree.
func (c *checker) checkWritable(ctx context.Context) []sdk.Finding {
	var sample entry
	compiled, _ := c.reader.filter("")
	made := ldapwire.Search{Base: c.base, Scope: ldapwire.ScopeSubtree, Limit: 1, Filter: compiled, Attributes: []string{"allowedAttributesEffective"}}
	if _, failed := c.query(ctx, made, func(item entry) { sample = item }); failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	may := sample.All("allowedAttributesEffective")
	if len(may) == 0 || slices.Contains(may, "unicodePwd") {
		return nil
	}
	return []sdk.Finding{warning(fmt.Sprintf("bind_dn may not write unicodePwd of %q", sample.DN), `delegate "Reset password" to it`)}
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
