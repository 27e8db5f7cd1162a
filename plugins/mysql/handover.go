package mysql

import (
	"context"
	"database/sql"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// handOver changes the password of the account that rekey is logged in as, and goes on
// with the new one when a session of its own has logged in with it.
func (i *Instance) handOver(ctx context.Context, op sdk.Operation) sdk.Receipt {
	own, failed := i.own(ctx, op)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	present, failed := i.present(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	if receipt, already := op.InForce(present); already {
		return receipt
	}
	i.login.Expect(op.Value)
	receipt := i.pass(ctx, op, own)
	if receipt.Outcome != sdk.Applied {
		return receipt
	}
	if failed := i.session(ctx, op.Value); failed != nil {
		return sdk.Lost(failed)
	}
	i.login.Prefer(op.Value)
	i.renew()
	return receipt
}

// own is the account of the operation, if rekey is logged in as that and by a password
// of its own.
func (i *Instance) own(ctx context.Context, op sdk.Operation) (account, *sdk.Error) {
	name, failed := parse(op.Account)
	if failed != nil {
		return account{}, failed
	}
	found, failed := i.look(ctx, op.Account, name)
	if failed != nil {
		return account{}, failed
	}
	met := *i.found.Load()
	if found.name != met.self {
		return account{}, op.NotOwn(met.self.String())
	}
	met.self = account{}.name // that alone is no reason
	return found, met.protects(found)
}

// pass sends the statement of a handover over a session that there is.
func (i *Instance) pass(ctx context.Context, op sdk.Operation, own account) sdk.Receipt {
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	defer conn.Close()
	session := &session{instance: i, conn: conn, met: i.found.Load()}
	var err error
	if session.thread, err = i.thread(ctx, conn, session.met); err != nil {
		return sdk.Refuse(i.unread(err))
	}
	passed := &job{op: op, name: own.name}
	if failed := session.identify(passed, own); failed != nil {
		return sdk.Refuse(failed)
	}
	session.alter(ctx, []*job{passed})
	return passed.scrubbed()
}

// present logs in with each value that the password may be, until one works, and
// returns it.
func (i *Instance) present(ctx context.Context) (secret.Value, *sdk.Error) {
	var failed *sdk.Error
	for _, value := range i.login.Values() {
		if failed = i.session(ctx, value); failed == nil {
			i.login.Prefer(value)
			return value, nil
		}
		if failed.Code != sdk.LoginExpired {
			break
		}
	}
	return secret.Value{}, failed
}

// session logs in with a value and out again, as the account that rekey is.
func (i *Instance) session(ctx context.Context, value secret.Value) *sdk.Error {
	connector, err := driver.NewConnector(i.config(i.user, value))
	if err != nil {
		return sdk.Errorf(sdk.Internal, "%v", err)
	}
	once := sql.OpenDB(always(connector))
	defer once.Close()
	var current string
	if err := once.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&current); err != nil {
		return i.noConnection(err)
	}
	return nil
}

// renew closes the sessions that nobody uses: those that come log in with the new
// password.
func (i *Instance) renew() {
	i.admin.SetMaxIdleConns(0)
	i.admin.SetMaxIdleConns(i.concurrency + 1)
}
