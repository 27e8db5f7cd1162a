package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/plugins/internal/timed"
	"github.com/rekey-host/rekey/sdk"
)

// Instance is one server. Every method may be called concurrently.
type Instance struct {
	settings
	admin *sql.DB
	found atomic.Pointer[server]
	all   atomic.Bool // rekey has seen the sessions of others
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Unlocker
	sdk.Revoker
	sdk.Resolver
	sdk.BatchApplier
} = (*Instance)(nil)

func newInstance(settings settings) (*Instance, error) {
	config := settings.config(settings.user, settings.login.Values()[0])
	err := config.Apply(driver.BeforeConnect(func(_ context.Context, config *driver.Config) error {
		config.Passwd = settings.login.Values()[0].Reveal()
		return nil
	}))
	if err != nil {
		return nil, err
	}
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, err
	}
	instance := &Instance{settings: settings, admin: sql.OpenDB(timed.Connector(always(connector)))}
	instance.admin.SetMaxOpenConns(settings.concurrency + 1) // one for a list
	instance.admin.SetMaxIdleConns(settings.concurrency + 1)
	return instance, nil
}

// Close ends the connections.
func (i *Instance) Close() error { return i.admin.Close() }

// server is what a server says of itself and of the user that asks.
type server struct {
	maria    bool
	version  [3]int
	self     name   // the account that rekey is logged in as
	from     string // this machine, as the server sees it
	super    bool
	readOnly bool
	id       string // its own; "": not told
}

// greet asks a server what it is.
func greet(ctx context.Context, conn *sql.Conn) (*server, error) {
	var version, self, client string
	met := new(server)
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), CURRENT_USER(), USER(), @@read_only").Scan(&version, &self, &client, &met.readOnly); err != nil {
		return nil, err
	}
	met.maria = strings.Contains(version, "MariaDB")
	numbers := strings.SplitN(strings.SplitN(version, "-", 2)[0], ".", 3)
	for index, text := range numbers {
		met.version[index], _ = strconv.Atoi(text)
	}
	met.self, _ = parse(self)
	met.from = client[strings.LastIndexByte(client, '@')+1:]
	// What a user may not see stays unknown.
	_ = conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'SUPER' AND GRANTEE = ?", met.grantee()).Scan(&met.super)
	for _, id := range []string{"@@server_uid", "@@server_uuid"} {
		if met.id == "" {
			_ = conn.QueryRowContext(ctx, "SELECT "+id).Scan(&met.id)
		}
	}
	return met, ctx.Err()
}

// grantee is the account as the tables of privileges have it.
func (s *server) grantee() string { return "'" + s.self.user + "'@'" + s.self.host + "'" }

// retains reports whether the server keeps an old password beside a new one.
func (s *server) retains() bool {
	v := s.version
	return !s.maria && (v[0] > 8 || v[0] == 8 && (v[1] > 0 || v[2] >= 14))
}

// met returns what the server said when it was first asked.
func (i *Instance) met(ctx context.Context, conn *sql.Conn) (*server, error) {
	if met := i.found.Load(); met != nil {
		return met, nil
	}
	met, err := greet(ctx, conn)
	if err == nil {
		i.found.Store(met)
	}
	return met, err
}

// acquire takes a connection. Its errors are of before anything was asked.
func (i *Instance) acquire(ctx context.Context) (*sql.Conn, *sdk.Error) {
	if err := ctx.Err(); err != nil {
		return nil, i.Fault(err)
	}
	conn, err := i.admin.Conn(ctx)
	if answer, ok := answered(err); ok && answer.Number == errAccessDenied && len(i.login.Values()) > 1 {
		if _, failed := i.present(ctx); failed != nil {
			return nil, failed
		}
		conn, err = i.admin.Conn(ctx)
	}
	if err != nil {
		return nil, i.noConnection(err)
	}
	return conn, nil
}

// ask runs questions, which change nothing: a connection that is lost is
// replaced once.
func (i *Instance) ask(ctx context.Context, read func(*sql.Conn, *server) error) *sdk.Error {
	for try := 0; ; try++ {
		conn, failed := i.acquire(ctx)
		if failed != nil {
			return failed
		}
		met, err := i.met(ctx, conn)
		if err == nil {
			err = read(conn, met)
		}
		_ = conn.Close() // it goes back to the pool
		switch {
		case err == nil:
			return nil
		case lost(err) && try == 0 && ctx.Err() == nil:
			continue
		}
		return i.unread(err)
	}
}

func lost(err error) bool {
	return errors.Is(err, sqldriver.ErrBadConn) || errors.Is(err, driver.ErrInvalidConn)
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
