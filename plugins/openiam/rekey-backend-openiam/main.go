// Command rekey-backend-openiam is the openiam backend as a program of its
// own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(openiam.New()) }
