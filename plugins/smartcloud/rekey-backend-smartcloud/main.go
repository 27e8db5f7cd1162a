// Command rekey-backend-smartcloud is the smartcloud backend as a program of
// its own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(smartcloud.New()) }
