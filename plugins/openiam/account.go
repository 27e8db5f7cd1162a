package openiam

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// target is the key of an identity: what an account names.
type target struct{ domain, principal, system string }

// target reads an account: [domain][:system]/principal, or a principal alone.
func (i *Instance) target(account string) (target, *sdk.Error) {
	made := target{i.domain, account, i.system}
	if before, after, ok := strings.Cut(account, "/"); ok {
		domain, system, named := strings.Cut(before, ":")
		made.principal = after
		if domain != "" {
			made.domain = domain
		}
		if named {
			made.system = system
		}
	}
	if made.principal == "" || made.system == "" {
		return made, sdk.Errorf(sdk.InvalidOperation, "account %q: is not [DOMAIN][:SYSTEM]/PRINCIPAL or a principal", account)
	}
	if !writable(account) {
		return made, sdk.Errorf(sdk.InvalidOperation, "account %q: has a character that XML cannot carry", account)
	}
	return made, nil
}

// String names the identity for people.
func (t target) String() string {
	return fmt.Sprintf("%q in domain %q on managed system %s", t.principal, t.domain, t.system)
}

// fields are the parts as the companion services name them.
func (t target) fields() []field {
	return []field{{"domainId", t.domain}, {"principal", t.principal}, {"managedSysId", t.system}}
}
