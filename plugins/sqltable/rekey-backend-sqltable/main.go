// Command rekey-backend-sqltable is the sqltable backend as a program of its
// own.
package main

import (
	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(sqltable.New()) }
