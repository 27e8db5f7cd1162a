// Command rekey-backend-mysql is the mysql backend as a program of its
// own.
package main

import (
	"github.com/rekey-host/rekey/plugins/mysql"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(mysql.New()) }
