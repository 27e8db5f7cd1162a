// Command rekey-backend-htpasswd is the htpasswd backend as a program of its
// own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/htpasswd"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(htpasswd.New()) }
