package mysql

import (
	"context"
	sqldriver "database/sql/driver"
	"net"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/plugins/internal/timed"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// settings of one instance, checked.
type settings struct {
	reach.Place
	user        string
	login       *sdk.Passwords
	send        string
	concurrency int
	dialed      *dialed
}

// connections is how many an instance has at most: a statement is for many
// accounts.
const connections = 16

func newSettings(config sdk.Config) (settings, error) {
	place, err := kind.Place(config)
	if err != nil {
		return settings{}, err
	}
	made := settings{Place: place, user: config.Text("user"), login: sdk.NewPasswords(config.Handed, config.Secret("password")), send: config.Text("send"),
		concurrency: min(max(config.Concurrency, 1), connections), dialed: new(dialed)}
	switch {
	case made.user == "":
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "user: missing")
	case made.send == "":
		made.send = sendHash
	case made.send != sendHash && made.send != sendValue:
		return settings{}, sdk.Errorf(sdk.InvalidConfig, "send: got %q, want %s or %s", made.send, sendHash, sendValue)
	}
	return made, nil
}

// config is how a connection is made for a user.
func (s *settings) config(user string, password secret.Value) *driver.Config {
	config := driver.NewConfig()
	config.User, config.Passwd = user, password.Reveal()
	config.Net, config.Addr, config.TLS = "tcp", s.Address, s.TLS
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := s.Dial(ctx)
		if err != nil {
			return nil, err
		}
		return s.dialed.add(conn), nil
	}
	config.Timeout, config.Logger = s.Patience, &driver.NopLogger{}
	config.Collation = "utf8mb4_bin"
	config.InterpolateParams = true
	// A value is quoted as this mode reads it.
	config.Params = map[string]string{"sql_mode": "''"}
	return config
}

// always is a connector that the driver's chance keeps from nothing.
func always(connector sqldriver.Connector) sqldriver.Connector {
	return timed.Again(connector, driver.ErrMalformPkt)
}
