package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Verify logs on as the role, once. It does not hand the value over to a server
// that asks for it in clear.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if failed := refuseName(account); failed != nil {
		return sdk.CannotTell, failed
	}
	if failed := refuseValue(value.Reveal()); failed != nil {
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "%s", failed.Message)
	}
	config, err := i.config(account, value)
	if err != nil {
		return sdk.CannotTell, err
	}
	seen := &challenge{}
	config.BuildFrontend = seen.refusing(true)
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err == nil {
		_ = conn.Close(ctx) // it was only opened
	}
	return i.judge(ctx, account, seen, err)
}

// judge says what came of a logon. Who was let in after a proof has the right
// value, whatever is said later: of databases, limits, rights.
func (i *Instance) judge(ctx context.Context, account string, seen *challenge, err error) (sdk.Verdict, error) {
	answer, ok := answered(err)
	switch {
	case seen.clear:
		return sdk.CannotTell, unproven("asks for the password itself (password, ldap, pam or radius), which a verify does not hand over")
	case seen.entered && !seen.asked:
		return sdk.CannotTell, unproven("asks for no password (trust, peer, ident or cert)")
	case seen.entered && ok && strings.HasPrefix(answer.Code, "28"):
		return sdk.Blocked, nil // NOLOGIN, which is looked at after the password
	case seen.entered:
		return sdk.Accepted, nil
	case !ok:
		return sdk.CannotTell, i.noConnection(err)
	case answer.Code == stateWrongPassword, strings.HasPrefix(answer.Code, "28") && seen.asked:
		return i.rejected(ctx, account)
	case strings.HasPrefix(answer.Code, "28"):
		return sdk.CannotTell, unproven("lets the role not log in from here: " + answer.words())
	}
	return sdk.CannotTell, answer.failure()
}

func unproven(why string) *sdk.Error {
	return sdk.Errorf(sdk.Unsupported, "not proven: pg_hba.conf %s", why)
}

// rejected tells a wrong value from a role whose time is over, or that is
// missing: to all three a server gives one answer.
func (i *Instance) rejected(ctx context.Context, account string) (sdk.Verdict, error) {
	found, failed := i.look(ctx, account)
	switch {
	case failed != nil && failed.Code == sdk.AccountNotFound:
		return sdk.CannotTell, failed
	case failed == nil && found.Status == sdk.StatusExpired:
		return sdk.Blocked, nil
	}
	return sdk.Rejected, nil // it was; that rekey may not look is no reason to doubt it
}
