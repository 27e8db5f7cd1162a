package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/sdk"
)

// ending ends what clients have open as a role, and says what that was. Whose
// sessions rekey may not look into have no backend_type.
const ending = `SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE usesysid = $1::text::oid AND coalesce(backend_type, 'client backend') IN ('client backend', 'walsender')`

// Revoke ends the sessions of a role and waits until they are gone.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	met, failed := i.met(ctx)
	if failed == nil {
		failed = refuseName(op.Account)
	}
	if failed == nil {
		failed = met.protects(op.Account)
	}
	if failed != nil {
		return sdk.Refuse(failed)
	}
	found, failed := i.look(ctx, op.Account)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	ended, receipt := i.end(ctx, found, met)
	if receipt.Outcome != sdk.Applied {
		return receipt
	}
	return i.gone(ctx, found, ended)
}

// end tells the server to end the sessions of a role, and returns their numbers.
func (i *Instance) end(ctx context.Context, who role, met *server) ([]int32, sdk.Receipt) {
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return nil, sdk.Refuse(failed)
	}
	defer conn.Release()
	var ended []int32
	var pid int32
	var told bool
	rows, err := conn.Query(ctx, ending, who.ID)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&pid, &told}, func() error {
			ended = append(ended, pid)
			return nil
		})
	}
	answer, ok := answered(err)
	switch {
	case err == nil:
		return ended, sdk.OK()
	case ok && answer.final():
		failure := answer.failure()
		if failure.Code == sdk.PermissionDenied && who.super {
			failure.Code = sdk.Protected
		} else if failure.Code == sdk.PermissionDenied {
			failure.Message += fmt.Sprintf("; GRANT pg_signal_backend TO %s", pgx.Identifier{met.current}.Sanitize())
		}
		return nil, sdk.Refuse(failure)
	}
	return nil, sdk.Lost(i.Lost(err))
}

// gone waits until none of the sessions is left.
func (i *Instance) gone(ctx context.Context, who role, ended []int32) sdk.Receipt {
	for left := len(ended); left > 0; {
		failed := i.ask(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usesysid = $1::text::oid AND pid = ANY($2)", who.ID, ended).Scan(&left)
		})
		switch {
		case ctx.Err() != nil:
			return sdk.Lost(sdk.Errorf(sdk.Timeout, "%d sessions of %q were told to end, and have not ended yet", left, who.Account.Account))
		case failed != nil:
			return sdk.Lost(failed)
		case left > 0:
			time.Sleep(5 * time.Millisecond)
		}
	}
	return sdk.OK()
}
