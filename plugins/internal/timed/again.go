package timed

import (
	"context"
	"database/sql/driver"
	"errors"
)

// tries is how often Again connects at most.
const tries = 2

// Again is a connector that connects once more where that ends with an error that comes
// by chance. The driver of MySQL cuts a zero off the end of what a password is proven by
// (ed25519): a few logons of a thousand end as a malformed packet, before the password
// was sent.
func Again(of driver.Connector, chance error) driver.Connector { return again{of, chance} }

type again struct {
	driver.Connector
	chance error
}

// Connect connects.
func (a again) Connect(ctx context.Context) (made driver.Conn, err error) {
	for range tries {
		if made, err = a.Connector.Connect(ctx); !errors.Is(err, a.chance) {
			break
		}
	}
	return made, err
}
