// Command rekey-backend-postgres is the postgres backend as a program of its
// own.
package main

import (
	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(postgres.New()) }
