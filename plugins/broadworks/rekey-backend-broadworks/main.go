// Command rekey-backend-broadworks is the broadworks backend as a program of
// its own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(broadworks.New()) }
