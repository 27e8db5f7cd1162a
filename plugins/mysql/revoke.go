package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Numbers of answers to a KILL.
const (
	errNoSuchThread = 1094
	errKillDenied   = 1095
)

// Revoke ends the sessions of an account's user, from whatever host they come, and
// waits until they are gone: a server does not tell which of the accounts of one
// user a session logged in as. Behind a proxy the sessions may be listed on one server
// and ended on another, where their numbers are others'.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	wanted, failed := parse(op.Account)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	account, failed := i.look(ctx, op.Account, wanted)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	if failed := i.found.Load().keeps(account); failed != nil {
		return sdk.Refuse(failed)
	}
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	defer conn.Close()
	if failed := i.sees(ctx, conn); failed != nil {
		return sdk.Refuse(failed)
	}
	own, err := i.thread(ctx, conn, i.found.Load())
	switch {
	case err != nil:
		return sdk.Refuse(i.unread(err))
	case !own.direct:
		return sdk.Refuse(sdk.Errorf(sdk.Unsupported, "revoke: the connection leads through a proxy or an address translation, or to a server that is read-only: which sessions would end is not known; give the writing server itself as url"))
	}
	return i.end(ctx, conn, wanted.user, own)
}

// end ends the sessions of a user over a connection that is the server's own, and looks
// whether it still is that.
func (i *Instance) end(ctx context.Context, conn *sql.Conn, user string, own thread) sdk.Receipt {
	threads, err := threadsOf(ctx, conn, user)
	if err != nil {
		return sdk.Refuse(i.unread(err))
	}
	for _, thread := range threads {
		if receipt := i.kill(ctx, conn, thread); receipt.Outcome != sdk.Applied {
			return receipt
		}
	}
	receipt := i.gone(ctx, conn, user, threads)
	if receipt.Outcome != sdk.Applied {
		return receipt
	}
	switch again, err := i.thread(ctx, conn, i.found.Load()); {
	case err != nil:
		return sdk.Lost(i.Lost(err))
	case again != own:
		return sdk.Lost(sdk.Errorf(sdk.TargetError, "another server answers than the one at first: whose sessions have ended is not known; give the server itself as url"))
	}
	return receipt
}

// keeps refuses accounts whose sessions rekey leaves alone.
func (s *server) keeps(account account) *sdk.Error {
	failed := s.protects(account)
	switch {
	case failed != nil && failed.Code == sdk.Protected:
		return failed
	case account.user == s.self.user:
		return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as %s, and a server does not tell their sessions apart", account.String(), s.self)
	}
	return nil
}

// sees refuses a server that does not show rekey the sessions of others: their
// list would be empty. The statement takes the right that shows them.
func (i *Instance) sees(ctx context.Context, conn *sql.Conn) *sdk.Error {
	if i.all.Load() {
		return nil
	}
	rows, err := conn.QueryContext(ctx, "SHOW ENGINE INNODB STATUS")
	if err == nil {
		err = rows.Close()
	}
	if err == nil {
		i.all.Store(true)
		return nil
	}
	failed := i.unread(err)
	if failed.Code == sdk.PermissionDenied {
		failed.Message += "; " + i.found.Load().grants("PROCESS ON *.*")
	}
	return failed
}

// threadsOf are the sessions of a user.
func threadsOf(ctx context.Context, conn *sql.Conn, user string) ([]int64, error) {
	rows, err := conn.QueryContext(ctx, "SELECT ID FROM information_schema.PROCESSLIST WHERE BINARY USER = ?", user)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var threads []int64
	for rows.Next() {
		var thread int64
		if err := rows.Scan(&thread); err != nil {
			return nil, err
		}
		threads = append(threads, thread)
	}
	return threads, rows.Err()
}

// kill ends one session; one that has ended meanwhile is as good.
func (i *Instance) kill(ctx context.Context, conn *sql.Conn, thread int64) sdk.Receipt {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", thread))
	answer, ok := answered(err)
	switch {
	case err == nil, ok && answer.Number == errNoSuchThread:
		return sdk.OK()
	case ok && answer.final():
		failure := answer.failure()
		if answer.Number == errKillDenied {
			right := "CONNECTION_ADMIN ON *.*"
			if i.found.Load().maria {
				right = "CONNECTION ADMIN ON *.*"
			}
			failure.Code, failure.Message = sdk.PermissionDenied, failure.Message+"; "+i.found.Load().grants(right)
		}
		return sdk.Refuse(failure)
	}
	return sdk.Lost(i.Lost(err))
}

// gone waits until none of the sessions is left.
func (i *Instance) gone(ctx context.Context, conn *sql.Conn, user string, threads []int64) sdk.Receipt {
	if len(threads) == 0 {
		return sdk.OK()
	}
	args := []any{user}
	for _, thread := range threads {
		args = append(args, thread)
	}
	left := "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE BINARY USER = ? AND ID IN (" + strings.TrimSuffix(strings.Repeat("?,", len(threads)), ",") + ")"
	for {
		var count int
		err := conn.QueryRowContext(ctx, left, args...).Scan(&count)
		switch {
		case ctx.Err() != nil:
			return sdk.Lost(sdk.Errorf(sdk.Timeout, "%d sessions of %q were told to end, and have not ended yet", len(threads), user))
		case err != nil:
			return sdk.Lost(i.Lost(err))
		case count == 0:
			return sdk.OK()
		}
		time.Sleep(5 * time.Millisecond)
	}
}
