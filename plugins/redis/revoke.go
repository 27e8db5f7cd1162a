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
	found, failure := i.read(ctx, []string{op.Account})
	switch self := i.self.Load(); {
	case failure != nil:
		return sdk.Refuse(failure)
	case self != nil && op.Account == *self:
		return sdk.Refuse(ofItself(op.Account))
	case found[0] == nil:
		return sdk.Refuse(missing(op.Account))
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
