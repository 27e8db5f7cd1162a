package sqltable

import (
	"cmp"
	"context"
	"database/sql"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver of SQLite

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/plugins/internal/timed"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// The engines.
const (
	enginePostgres = "postgres"
	engineMySQL    = "mysql"
	engineSQLite   = "sqlite"
)

// engine is what kinds of databases do each in their own way.
type engine struct {
	name     string
	kind     reach.Kind
	lock     string // what keeps a row that is read until the end of a transaction
	lockFree string // likewise of many, without the rows that another transaction keeps
}

func engineOf(name string) (engine, error) {
	switch name {
	case enginePostgres:
		return engine{name, reach.Kind{Scheme: "postgres", Port: 5432, Socket: ".s.PGSQL.5432"}, " FOR UPDATE", ""}, nil
	case engineMySQL:
		return engine{name, reach.Kind{Scheme: "mysql", Port: 3306, Socket: "mysqld.sock"}, " FOR UPDATE", " FOR UPDATE SKIP LOCKED"}, nil
	case engineSQLite:
		return engine{name: name}, nil
	}
	return engine{}, sdk.Errorf(sdk.InvalidConfig, "engine: got %q, want %s, %s or %s", name, enginePostgres, engineMySQL, engineSQLite)
}

// place reads where the database is.
func (e engine) place(config sdk.Config) (reach.Place, error) {
	switch {
	case e.name != engineSQLite && config.Text("path") != "":
		return reach.Place{}, sdk.Errorf(sdk.InvalidConfig, "path: is for sqlite; leave it out")
	case e.name != engineSQLite && config.Text("user") == "":
		return reach.Place{}, sdk.Errorf(sdk.InvalidConfig, "user: missing")
	case e.name != engineSQLite && config.Text("database") == "":
		return reach.Place{}, sdk.Errorf(sdk.InvalidConfig, "database: missing")
	case e.name != engineSQLite:
		return e.kind.Place(config)
	case config.Text("path") == "":
		return reach.Place{}, sdk.Errorf(sdk.InvalidConfig, "path: missing")
	case config.Text("url") != "":
		return reach.Place{}, sdk.Errorf(sdk.InvalidConfig, "url: sqlite has a path instead; leave it out")
	}
	return reach.Place{Network: engineSQLite, Address: config.Text("path"), Patience: cmp.Or(config.Timeout, 30*time.Second), Now: time.Now, Shown: new(health.Witness)}, nil
}

// identifier is a name in a statement.
func (e engine) identifier(name string) string {
	if e.name == engineMySQL {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// mark is the place of parameter number, from 1.
func (e engine) mark(number int) string {
	if e.name == enginePostgres {
		return "$" + strconv.Itoa(number)
	}
	return "?"
}

// open opens the database; no connection is made yet.
func (s *settings) open() (*sql.DB, error) {
	switch s.engine.name {
	case enginePostgres:
		return s.openPostgres()
	case engineMySQL:
		return s.openMySQL()
	}
	dsn := url.URL{Scheme: "file", Path: s.path, RawQuery: "mode=rw&_txlock=immediate&_pragma=busy_timeout(" + strconv.Itoa(int(s.Patience.Milliseconds()/2)) + ")"}
	return sql.Open("sqlite", dsn.String())
}

// bare is a connection string that takes nothing from the environment: what it
// leaves open is filled in by the fields.
const bare = "host=localhost port=5432 user=nobody password=x dbname=postgres sslmode=disable passfile=/dev/null target_session_attrs=any"

func (s *settings) openPostgres() (*sql.DB, error) {
	config, err := pgx.ParseConfig(bare)
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = s.user, s.password.Reveal(), s.database
	config.Host, config.TLSConfig, config.Fallbacks = cmp.Or(s.Host, "socket"), s.TLS, nil
	config.RuntimeParams = map[string]string{"application_name": "rekey", "client_encoding": "UTF8"}
	// Parameters are text, whatever the column is; a pooler may give each
	// statement another connection, so that none is kept on the server.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) }
	return stdlib.OpenDB(*config), nil
}

func (s *settings) openMySQL() (*sql.DB, error) {
	config := driver.NewConfig()
	config.User, config.Passwd, config.DBName = s.user, s.password.Reveal(), s.database
	config.Net, config.Addr, config.TLS = "tcp", s.Address, s.TLS
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) }
	config.Timeout, config.Logger, config.Collation = s.Patience, &driver.NopLogger{}, "utf8mb4_general_ci"
	// Rows that match count, whether they change or not, and nothing is cut.
	config.ClientFoundRows, config.InterpolateParams = true, true
	config.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES'"}
	connector, err := driver.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(timed.Connector(timed.Again(connector, driver.ErrMalformPkt))), nil
}
