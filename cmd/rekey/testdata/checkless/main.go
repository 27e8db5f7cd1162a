// Command rekey-backend-checkless sets users of Redis, as a stranger's plugin does
// that has no more than it must: no Check, and nothing that verifies or lists.
package main

import (
	"context"

	"github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/serve"
)

type backend struct{ redis *redis.Backend }

func (b backend) Describe() sdk.Description {
	described := b.redis.Describe()
	described.Name, described.Abilities, described.Verbs, described.ReplaySafe = "checkless", nil, []sdk.Verb{sdk.Set}, []sdk.Verb{sdk.Set}
	return described
}

// Configure hides what the instance can do beyond Apply.
func (b backend) Configure(ctx context.Context, config sdk.Config) (sdk.Instance, error) {
	instance, err := b.redis.Configure(ctx, config)
	return struct{ sdk.Instance }{instance}, err
}

func main() { serve.Main(backend{redis.New()}) }
