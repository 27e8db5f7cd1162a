// Command rekey-backend-kendox is the kendox backend as a program of its own,
// for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(kendox.New()) }
