package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
)

// command is one, with its arguments.
type command []string

// link is one connection. It is used by one goroutine at a time.
type link struct {
	redis.Conn
	net net.Conn
}

// late is how long replies are waited for when the time is over: what the server
// has got it will do, and what came of that is worth knowing.
const late = 400 * time.Millisecond

func dial(ctx context.Context, place reach.Place) (*link, error) {
	conn, err := place.Dial(ctx)
	if err != nil {
		return nil, err
	}
	if place.TLS != nil {
		secured := tls.Client(conn, place.TLS)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()                           // it was only opened
			if ctx.Err() == context.DeadlineExceeded { // Redis waits for more of what is no command
				return nil, sdk.Errorf(sdk.Timeout, "url: %s does not answer the beginning of TLS: does it speak TLS on that port?", place.Address)
			}
			return nil, err
		}
		conn = secured
	}
	return &link{redis.NewConn(conn, 0, 0), conn}, nil
}

// over reports whether the connection is not to be used again.
func (l *link) over() bool { return l.Err() != nil || reach.HungUp(l.net) }

// pipeline sends commands and returns a reply each, errors of the server among
// them.
func (l *link) pipeline(ctx context.Context, commands []command) ([]any, error) {
	if deadline, ok := ctx.Deadline(); ok {
		_ = l.net.SetDeadline(deadline.Add(late))
	}
	stop := context.AfterFunc(ctx, func() { _ = l.net.SetDeadline(time.Now().Add(late)) })
	defer func() {
		if stop() {
			_ = l.net.SetDeadline(time.Time{})
		}
	}()
	for _, command := range commands {
		if err := l.Send(command[0], arguments(command)...); err != nil {
			return nil, err
		}
	}
	if err := l.Flush(); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for index := range commands {
		reply, err := l.Receive()
		if answer, ok := errors.AsType[redis.Error](err); ok {
			replies[index] = answer
			continue
		}
		if err != nil {
			return nil, err
		}
		replies[index] = reply
	}
	return replies, nil
}

func arguments(command command) []any {
	list := make([]any, 0, len(command)-1)
	for _, text := range command[1:] {
		list = append(list, text)
	}
	return list
}
