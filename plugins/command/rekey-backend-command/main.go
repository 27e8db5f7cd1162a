// Command rekey-backend-command is the command backend as a program of its
// own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(command.New()) }
