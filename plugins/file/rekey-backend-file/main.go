// Command rekey-backend-file is the file backend as a program of its
// own, for a host that loads plugins from a directory.
package main

import (
	"github.com/rekey-host/rekey/plugins/file"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(file.New()) }
