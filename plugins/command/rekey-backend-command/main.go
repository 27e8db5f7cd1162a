// Command rekey-backend-command is the command backend as a program of its
// own, for a host that loads plugins from a directory. An argument is its definition.
package main

import (
	"os"

	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(define.Served(command.New(), os.Args[1:]...)) }
