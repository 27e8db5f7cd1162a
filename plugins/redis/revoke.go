package redis

import (
	"context"
	"fmt"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
)

// Revoke ends the connections that are logged in as a user. The server does it
// before it reads the next command.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if failed := refuseName(op.Account); failed != nil {
		return sdk.Refuse(failed)
	}
	asked := &job{op: op}
	if i.look(ctx, []*job{asked}); asked.settled {
		return asked.receipt
	}
	replies, failed := i.send(ctx, i.admin, []command{{"CLIENT", "KILL", "USER", op.Account}})
	if failed != nil {
		return failed.receipt()
	}
	if answer, ok := replies[0].(redis.Error); ok {
		failure := explain(answer)
		if failure.Code == sdk.PermissionDenied {
			failure.Message += fmt.Sprintf("; ACL SETUSER %s +client|kill", i.user)
		}
		return sdk.Refuse(failure)
	}
	return sdk.OK()
}
