package sqltable

import (
	"context"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// placeholder stands for an account in the statement that ends its sessions.
const placeholder = "{account}"

// sessionsOf reads the statement that ends the sessions of an account, with a
// parameter for each placeholder; "" if there is none.
func sessionsOf(config sdk.Config, engine engine) (statement string, count int, err error) {
	text := config.Text("sessions")
	if text == "" {
		return "", 0, nil
	}
	parts := strings.Split(text, placeholder)
	if len(parts) == 1 {
		return "", 0, sdk.Errorf(sdk.InvalidConfig, "sessions: nothing in it stands for the account; write %s where its name belongs", placeholder)
	}
	for number, part := range parts[:len(parts)-1] {
		statement += part
		for _, quote := range []string{"'", `"`, "`"} {
			if strings.Count(statement, quote)%2 != 0 {
				return "", 0, sdk.Errorf(sdk.InvalidConfig, "sessions: %s stands in quotes; it is a parameter, so leave them out", placeholder)
			}
		}
		statement += engine.mark(number + 1)
	}
	return statement + parts[len(parts)-1], len(parts) - 1, nil
}

// Lacks says that without a statement sessions cannot be ended.
func (i *Instance) Lacks() []sdk.Ability {
	if i == nil || i.sessions != "" {
		return nil
	}
	return []sdk.Ability{sdk.CanRevoke}
}

// Revoke runs the statement that ends the sessions of an account, in a transaction.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if i.sessions == "" {
		return sdk.Refuse(sdk.Errorf(sdk.Unsupported, "sessions: no statement is given that ends them"))
	}
	found, failed := i.one(ctx, op.Account)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	case <-ctx.Done():
		return sdk.Refuse(i.Fault(ctx.Err()))
	}
	tx, err := i.db.BeginTx(ctx, nil)
	if err != nil {
		return sdk.Refuse(i.failure(err))
	}
	args := make([]any, i.accounts)
	for index := range args {
		args[index] = found.key
	}
	if _, err := tx.ExecContext(ctx, i.sessions, args...); err != nil {
		_ = tx.Rollback() // what is not committed is gone with its connection
		failure := i.failure(err)
		failure.Message = fmt.Sprintf("sessions: %s", failure.Message)
		return sdk.Refuse(failure)
	}
	if err := tx.Commit(); err != nil {
		if refused, final := answered(err); final {
			return sdk.Refuse(refused)
		}
		return sdk.Lost(i.Lost(err))
	}
	return sdk.OK()
}
