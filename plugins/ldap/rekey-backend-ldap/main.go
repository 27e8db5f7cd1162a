// Command rekey-backend-ldap is the ldap backend as a program of its own, for
// a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/ldap"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(ldap.New()) }
