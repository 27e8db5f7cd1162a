package ldap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Check connects, logs on, and asks the server what it is. Whether bind_dn may
// write passwords only Active Directory tells before it is tried.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	root, failed := i.read(ctx, "", []string{"supportedExtension", "supportedCapabilities", "objectClass", "vendorName"})
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	var found []sdk.Finding
	if i.clear {
		found = append(found, warning("passwords travel in clear: insecure = True over ldap://", "use ldaps:// or start_tls = True"))
	}
	found = append(found, i.checkMode(root)...)
	found = append(found, i.checkLogin(ctx)...)
	base := i.checkBase(ctx)
	found = append(found, base...)
	if i.mode == modeAD || i.base == "" || slices.ContainsFunc(base, func(finding sdk.Finding) bool { return finding.Severity == sdk.Bad }) {
		return found
	}
	return append(found, i.checkLeft(ctx)...)
}

// checkLogin passes on what the server says of the service account's own
// password: each connection is a logon.
func (i *Instance) checkLogin(ctx context.Context) []sdk.Finding {
	ppolicy := i.login.told(ctx)
	const fix = "give bind_dn a new password"
	switch {
	case ppolicy.onGrace && ppolicy.grace < 1:
		failure := sdk.Errorf(sdk.LoginExpired, "bind_dn: its password has expired, and this was the last of its grace logins")
		return []sdk.Finding{bad(failure, fix)}
	case ppolicy.onGrace:
		return []sdk.Finding{warning(fmt.Sprintf("bind_dn: its password has expired; %d grace logins are left, and each connection uses one", ppolicy.grace), fix)}
	case ppolicy.expires > 0:
		return []sdk.Finding{warning(fmt.Sprintf("bind_dn: its password expires in %s", time.Duration(ppolicy.expires)*time.Second), fix)}
	}
	return nil
}

// left are attributes that a set leaves as they are, although somebody goes by
// them.
var left = []struct {
	class, attribute, means, fix string
}{
	{"sambaSamAccount", "sambaNTPassword", "Samba goes on taking the old password", "let the server keep it in step (smbk5pwd), or change it in Samba too"},
	{"shadowAccount", "shadowLastChange", "Linux counts the age of the password from the old day", "let the server keep it in step (smbk5pwd), or write it after the run"},
}

// checkLeft counts the entries that have more than the one credential.
func (i *Instance) checkLeft(ctx context.Context) []sdk.Finding {
	var found []sdk.Finding
	for _, l := range left {
		count, more, failed := i.count(ctx, filterAnd(filterEqual("objectClass", l.class), filterPresent(l.attribute)))
		if failed == nil && count == 0 { // it may be hidden from bind_dn
			count, more, failed = i.count(ctx, filterEqual("objectClass", l.class))
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

// count counts entries, up to a limit and for a moment.
func (i *Instance) count(ctx context.Context, filter []byte) (count int, more bool, failed *sdk.Error) {
	made := search{base: i.base, scope: scopeSubtree, limit: 1000, seconds: 3, filter: filter, attributes: []string{"1.1"}}
	result, failed := i.query(ctx, made, func(entry) { count++ })
	return count, result.code == resultSizeLimit || result.code == resultTimeLimit, failed
}

// checkMode compares the mode with what the server says it can do.
func (i *Instance) checkMode(root entry) []sdk.Finding {
	windows := slices.Contains(root.all("supportedCapabilities"), oidActiveDir)
	switch {
	case i.mode == modeAD && !windows:
		return []sdk.Finding{warning("the server does not say that it is Active Directory", `see mode: "rfc3062" is for other servers`)}
	case i.mode != modeAD && windows:
		failure := sdk.Errorf(sdk.InvalidConfig, "mode: got %q, but the server is Active Directory", i.mode)
		return []sdk.Finding{bad(failure, `mode = "ad"`)}
	case i.mode == modeRFC3062 && !slices.Contains(root.all("supportedExtension"), oidPasswordModify):
		failure := sdk.Errorf(sdk.Unsupported, "the server does not offer the Password Modify operation (RFC 3062)")
		return []sdk.Finding{bad(failure, `mode = "attribute"`)}
	case i.mode == modeAttribute && i.hash == hashPlain && slices.Contains(root.all("objectClass"), "OpenLDAProotDSE"):
		return []sdk.Finding{warning("OpenLDAP stores userPassword as it is sent: in clear, unless ppolicy_hash_cleartext is on", `mode = "rfc3062"`)}
	}
	return nil
}

// checkBase looks whether there is anything to look for logins in, and whether
// the first account there may be written.
func (i *Instance) checkBase(ctx context.Context) []sdk.Finding {
	if i.base == "" {
		return []sdk.Finding{{Severity: sdk.Info, Message: "base_dn is not set: accounts have to be DNs"}}
	}
	_, failed := i.read(ctx, i.base, []string{"1.1"})
	if failed != nil && failed.Code == sdk.AccountNotFound {
		failure := &sdk.Error{Code: sdk.InvalidConfig, Message: fmt.Sprintf("base_dn: %q does not exist, or bind_dn may not see it", i.base)}
		return []sdk.Finding{bad(failure, "")}
	}
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	if i.mode == modeAD {
		return i.checkWritable(ctx)
	}
	return nil
}

// checkWritable asks Active Directory about one account: rights are usually
// given for a whole subtree.
func (i *Instance) checkWritable(ctx context.Context) []sdk.Finding {
	var sample entry
	compiled, _ := i.filter("")
	made := search{base: i.base, scope: scopeSubtree, limit: 1, filter: compiled, attributes: []string{"allowedAttributesEffective"}}
	if _, failed := i.query(ctx, made, func(item entry) { sample = item }); failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	may := sample.all("allowedAttributesEffective")
	if len(may) == 0 || slices.Contains(may, "unicodePwd") {
		return nil
	}
	return []sdk.Finding{warning(fmt.Sprintf("bind_dn may not write unicodePwd of %q", sample.dn), `delegate "Reset password" to it`)}
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
