// Command rekey-backend-redis is the redis backend as a program of its
// own.
package main

import (
	"github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/sdk/serve"
)

func main() { serve.Main(redis.New()) }
