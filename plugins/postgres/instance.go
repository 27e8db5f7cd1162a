package postgres

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one cluster. Every method may be called concurrently.
type Instance struct {
	settings
	admin  *pgxpool.Pool
	server atomic.Pointer[server] // what was found at the first logon
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Revoker
	sdk.Resolver
} = (*Instance)(nil)

// server is what a cluster says of itself and of the role that asks.
type server struct {
	version   int
	id        string // that it shares with its replicas; "": not told
	session   string // the role that logged in
	current   string // the role that it acts as
	super     bool
	creates   bool   // may change roles
	replica   bool   // takes no writes
	sees      bool   // may read verifiers, and so tell when one has changed
	libraries string // shared_preload_libraries; "": none, or not for this role to see
	minLength int    // of passwordcheck
}

func newInstance(settings settings) (*Instance, error) {
	instance := &Instance{settings: settings}
	config, err := pgxpool.ParseConfig(bare)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig, err = settings.config(settings.user, secret.Value{}); err != nil {
		return nil, err
	}
	config.ConnConfig.BuildFrontend = (&challenge{}).refusing(settings.TLS == nil && settings.Network != "unix")
	config.MinConns, config.MinIdleConns, config.MaxConns = 0, 0, int32(settings.concurrency)+1 // one for a list
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	config.PrepareConn = func(_ context.Context, conn *pgx.Conn) (bool, error) {
		return !reach.HungUp(conn.PgConn().Conn()), nil
	}
	config.BeforeConnect = func(_ context.Context, made *pgx.ConnConfig) error {
		made.Password = settings.login.Values()[0].Reveal()
		return nil
	}
	config.AfterConnect = instance.meet
	// The pool ends with Close.
	instance.admin, err = pgxpool.NewWithConfig(context.Background(), config)
	return instance, err
}

// meeting asks once what a server says of itself and of the role.
const meeting = `SELECT current_setting('server_version_num')::int, session_user::text, current_user::text,
	r.rolsuper, r.rolsuper OR r.rolcreaterole, pg_is_in_recovery(), has_table_privilege('pg_catalog.pg_authid', 'SELECT')
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`

// meet is called with each new connection: the first says what the server is.
func (i *Instance) meet(ctx context.Context, conn *pgx.Conn) error {
	if i.server.Load() != nil {
		return nil
	}
	met, err := greet(ctx, conn)
	if err == nil {
		i.server.Store(met)
	}
	return err
}

func greet(ctx context.Context, conn *pgx.Conn) (*server, error) {
	met := new(server)
	err := conn.QueryRow(ctx, meeting).Scan(&met.version, &met.session, &met.current, &met.super, &met.creates, &met.replica, &met.sees)
	if err != nil {
		return nil, err
	}
	met.sees = met.sees && met.version >= digests
	// What a role may not see stays unknown.
	_ = conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&met.id)
	_ = conn.QueryRow(ctx, "SELECT current_setting('shared_preload_libraries')").Scan(&met.libraries)
	_ = conn.QueryRow(ctx, "SELECT coalesce(current_setting('passwordcheck.min_password_length', true), '8')::int").Scan(&met.minLength)
	return met, ctx.Err()
}

// met returns what the server said at the first logon.
func (i *Instance) met(ctx context.Context) (*server, *sdk.Error) {
	if met := i.server.Load(); met != nil {
		return met, nil
	}
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return nil, failed
	}
	conn.Release()
	return i.server.Load(), nil
}

// acquire takes a connection. Its errors are of before anything was asked.
func (i *Instance) acquire(ctx context.Context) (*pgxpool.Conn, *sdk.Error) {
	if err := ctx.Err(); err != nil {
		return nil, i.Fault(err)
	}
	conn, err := i.admin.Acquire(ctx)
	if err != nil && wrongPassword(err) && len(i.login.Values()) > 1 {
		if _, failed := i.present(ctx); failed != nil && failed.Code != sdk.Unsupported {
			return nil, failed
		}
		conn, err = i.admin.Acquire(ctx)
	}
	if err != nil {
		return nil, i.noConnection(err)
	}
	return conn, nil
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.admin.Close()
	return nil
}

// ask runs a query that changes nothing: a connection that is lost is replaced
// once.
func (i *Instance) ask(ctx context.Context, read func(*pgx.Conn) error) *sdk.Error {
	for try := 0; ; try++ {
		conn, failed := i.acquire(ctx)
		if failed != nil {
			return failed
		}
		err := read(conn.Conn())
		lost := err != nil && conn.Conn().IsClosed()
		conn.Release()
		switch {
		case err == nil:
			return nil
		case lost && try == 0 && ctx.Err() == nil:
			continue
		}
		return i.unread(err)
	}
}

// unread is the error of a question that has no answer: nothing was changed, so
// it is as if it had not been sent.
func (i *Instance) unread(err error) *sdk.Error {
	var known *sdk.Error
	if errors.As(err, &known) {
		return known
	}
	if answer, ok := answered(err); ok {
		return answer.failure()
	}
	if failure := i.Lost(err); failure.Code != sdk.ConnectionLost {
		return failure
	}
	return sdk.Errorf(sdk.Unreachable, "the connection was lost: %v", err)
}
