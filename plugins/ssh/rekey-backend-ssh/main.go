// Command rekey-backend-ssh is the ssh backend as a program of its
// own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(ssh.New()) }
