package postgres

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	defaultDatabase   = "postgres"
	defaultIterations = 4096
	maxIterations     = 100_000 // a client of our kind refuses more than it can bear

	// late is how long a server may take to say what became of a statement that
	// was cancelled.
	late = 400 * time.Millisecond
)

// settings of one instance, checked.
type settings struct {
	reach.Place
	user        string
	login       *sdk.Passwords
	database    string
	iterations  int
	concurrency int
}

func newSettings(config sdk.Config) (settings, error) {
	place, err := kind.Place(config)
	if err != nil {
		return settings{}, err
	}
	made := settings{Place: place, user: config.Text("user"), login: sdk.NewPasswords(config.Handed, config.Secret("password")), database: config.Text("database"),
		iterations: config.Int("iterations"), concurrency: max(config.Concurrency, 1)}
	if made.database == "" {
		made.database = defaultDatabase
	}
	if made.iterations == 0 {
		made.iterations = defaultIterations
	}
	switch {
	case made.user == "":
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "user: missing")
	case refuseName(made.user) != nil:
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "user: %s", refuseName(made.user).Message)
	case made.iterations < 1 || made.iterations > maxIterations:
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "iterations: got %d, want 1 to %d", made.iterations, maxIterations)
	}
	return made, nil
}

// bare is a connection string that takes nothing from the environment: what it
// leaves open is filled in by the fields.
const bare = "host=localhost port=5432 user=nobody password=x dbname=postgres sslmode=disable passfile=/dev/null target_session_attrs=any"

// config is how a connection is made for a role. Nothing of it comes from the
// environment.
func (s *settings) config(user string, password secret.Value) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(bare)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	config.User, config.Password, config.Database = user, password.Reveal(), s.database
	config.Host, config.TLSConfig, config.Fallbacks = cmp.Or(s.Host, "socket"), s.TLS, nil
	config.KerberosSrvName, config.KerberosSpn = "", ""
	config.RuntimeParams = map[string]string{"application_name": "rekey", "client_encoding": "UTF8"}
	// A pooler may give each statement another connection.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) }
	// What becomes of a statement at its deadline the server is asked.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: late}
	}
	return config, nil
}
