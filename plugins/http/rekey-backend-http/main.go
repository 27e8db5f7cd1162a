// Command rekey-backend-http is the http backend as a program of its own. Its argument
// is the definition.
package main

import (
	"os"

	"github.com/rekey-host/rekey/plugins/http"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(define.Served(http.New(), os.Args[1:]...)) }
