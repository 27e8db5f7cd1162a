package openiam

import (
	"fmt"
)

// target is the key of an identity: what an account names.
type target struct{ domain, principal, system string }

// String names the identity for people.
func (t target) String() string {
	return fmt.Sprintf("%q in domain %q on managed system %s", t.principal, t.domain, t.system)
}

// fields are the parts as the companion services name them.
func (t target) fields() []field {
	return []field{{"domainId", t.domain}, {"principal", t.principal}, {"managedSysId", t.system}}
}
