// Command rekey-backend-sqltable is the sqltable backend as a program of its
// own. An argument is its definition.
package main

import (
	"os"

	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(define.Served(sqltable.New(), os.Args[1:]...)) }
