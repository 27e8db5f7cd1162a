package ldap

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialer opens connections.
type dialer struct {
	network, address string
	tls              *tls.Config // nil: neither LDAPS nor StartTLS
	startTLS         bool
	patience         time.Duration
}

// dial connects, and secures the connection if it is to be. Its errors are
// never of a request that was sent.
func (d dialer) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := bounded(ctx, d.patience)
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, d.network, d.address)
	if err != nil {
		return nil, &wireError{err: cause(ctx, err)}
	}
	conn := newConn(raw, d.patience)
	if err := d.secure(ctx, conn); err != nil {
		_ = raw.Close()
		return nil, &wireError{err: cause(ctx, err)}
	}
	return conn, nil
}

func (d dialer) secure(ctx context.Context, conn *conn) error {
	if d.tls == nil {
		return nil
	}
	if d.startTLS {
		if err := conn.startTLS(ctx); err != nil {
			return err
		}
	}
	secured := tls.Client(conn.raw, d.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		return err
	}
	conn.net, conn.r = secured, bufio.NewReader(secured)
	return nil
}
