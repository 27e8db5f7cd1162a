// Package timed makes up for what a driver of database/sql leaves undone: it ends what
// that would wait for without an end, the answers to COMMIT and ROLLBACK, which that of
// MySQL reads whatever the context of the transaction says. It knows no database.
package timed

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// Connector is a connector whose transactions end with the context that they began
// with. A commit that this cuts off may have been done. What a rollback cannot take back
// is gone with its connection.
func Connector(of driver.Connector) driver.Connector { return connector{of} }

type connector struct{ driver.Connector }

// whole is what a connection has to be able to do: what it could more would be hidden.
type whole interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// Connect connects.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := made.(whole)
	if !ok {
		_ = made.Close()
		return nil, fmt.Errorf("a connection of type %T cannot be bounded", made)
	}
	return conn{able}, nil
}

type conn struct{ whole }

// BeginTx begins a transaction.
func (c conn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if _, err := c.whole.BeginTx(ctx, options); err != nil {
		return nil, err
	}
	return transaction{ctx, c.whole}, nil
}

type transaction struct {
	ctx  context.Context
	conn driver.ExecerContext
}

// Commit commits.
func (t transaction) Commit() error {
	_, err := t.conn.ExecContext(t.ctx, "COMMIT", nil)
	return err
}

// Rollback rolls back, or has the connection thrown away.
func (t transaction) Rollback() error {
	if _, err := t.conn.ExecContext(t.ctx, "ROLLBACK", nil); err != nil {
		return driver.ErrBadConn
	}
	return nil
}
