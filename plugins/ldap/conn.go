package ldap

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// conn is one connection to the server. It is used by one goroutine at a time
// and has one request under way at most: a request and its answer cost two
// system calls, and whether the request was sent is never in doubt.
type conn struct {
	net      net.Conn
	raw      net.Conn // beneath TLS
	r        *bufio.Reader
	id       int
	broken   bool          // not to be used again
	patience time.Duration // for an answer, where the caller sets no deadline
}

// wireError is a failure of the connection, as opposed to an answer. Unless it
// was sent the server has not acted: a message of which a part is missing is
// none.
type wireError struct {
	sent bool
	err  error
}

func (e *wireError) Error() string { return e.err.Error() }
func (e *wireError) Unwrap() error { return e.err }

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

func newConn(raw net.Conn, patience time.Duration) *conn {
	return &conn{net: raw, raw: raw, r: bufio.NewReader(raw), patience: patience}
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

// startTLS asks the server to begin. Bytes that came with its consent were put
// there by somebody else.
func (c *conn) startTLS(ctx context.Context) error {
	message, err := c.do(ctx, extendedRequest(oidStartTLS, nil), nil)
	if err != nil {
		return err
	}
	result, err := message.result()
	if err != nil {
		return err
	}
	if result.code != resultSuccess {
		return &startTLSError{result}
	}
	if c.r.Buffered() > 0 {
		return fmt.Errorf("start_tls: %w", errMalformed)
	}
	return nil
}

// do sends one request and returns its answer.
func (c *conn) do(ctx context.Context, op, controls []byte) (message, error) {
	var answer message
	err := c.roundTrip(ctx, op, controls, func(reply message) (bool, error) {
		answer = reply
		return true, nil
	})
	return answer, err
}

// roundTrip sends one request and gives each answer to one, until that says
// done. An error from one is returned as it is and leaves the connection
// broken, others are wireErrors.
func (c *conn) roundTrip(ctx context.Context, op, controls []byte, one func(message) (done bool, err error)) error {
	ctx, cancel := bounded(ctx, c.patience)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return &wireError{err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			c.broken = true
		}
	}()
	c.id++
	if _, err := c.net.Write(ber(tagSequence, berInt(tagInteger, c.id), op, controls)); err != nil {
		c.broken = true
		return &wireError{err: cause(ctx, err)}
	}
	for {
		message, err := c.receive(c.id)
		if err != nil {
			c.broken = true
			return &wireError{sent: true, err: cause(ctx, err)}
		}
		if done, err := one(message); done || err != nil {
			c.broken = c.broken || err != nil
			return err
		}
	}
}

// receive reads one answer to the present request, or to one of those since
// from.
func (c *conn) receive(from int) (message, error) {
	element, err := readElement(c.r)
	if err != nil {
		return message{}, err
	}
	reply, err := decodeMessage(element)
	if err != nil {
		return message{}, err
	}
	if reply.id == 0 {
		return message{}, farewell(reply)
	}
	if reply.id < from || reply.id > c.id {
		return message{}, fmt.Errorf("%w: an answer to request %d, want %d", errMalformed, reply.id, c.id)
	}
	return reply, nil
}

// farewell is the error of a notice of disconnection, the one message that
// answers nothing.
func farewell(message message) error {
	result, err := message.result()
	if err != nil {
		return err
	}
	return fmt.Errorf("the server says goodbye: %d %s", result.code, result.text)
}

// search runs a search and gives each entry to yield. It returns the result
// of the whole, with its controls.
func (c *conn) search(ctx context.Context, search search, controls []byte, yield func(entry) error) (message, result, error) {
	var last message
	err := c.roundTrip(ctx, search.request(), controls, func(reply message) (bool, error) {
		switch reply.op.tag {
		case tagSearchEntry:
			entry, err := decodeEntry(reply.op)
			if err != nil {
				return false, &wireError{sent: true, err: err}
			}
			return false, yield(entry)
		case tagSearchReference:
			return false, nil // another server's part of the tree
		}
		last = reply
		return true, nil
	})
	if err != nil {
		return message{}, result{}, err
	}
	r, err := last.result()
	if err != nil {
		c.broken = true
		return message{}, result{}, &wireError{sent: true, err: err}
	}
	return last, r, nil
}

// searches sends many searches at once and gives each entry, with the number of
// its search, to yield. One that finds nothing is not told of.
func (c *conn) searches(ctx context.Context, list []search, yield func(count int, entry entry)) error {
	ctx, cancel := bounded(ctx, c.patience)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return &wireError{err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			c.broken = true
		}
	}()
	first := c.id + 1
	var all []byte
	for _, search := range list {
		c.id++
		all = append(all, ber(tagSequence, berInt(tagInteger, c.id), search.request())...)
	}
	if _, err := c.net.Write(all); err != nil {
		c.broken = true
		return &wireError{err: cause(ctx, err)}
	}
	for left := len(list); left > 0; {
		message, err := c.receive(first)
		var item entry
		if err == nil && message.op.tag == tagSearchEntry {
			item, err = decodeEntry(message.op)
		}
		if err != nil {
			c.broken = true
			return &wireError{sent: true, err: cause(ctx, err)}
		}
		switch message.op.tag {
		case tagSearchEntry:
			yield(message.id-first, item)
		case tagSearchDone:
			left--
		}
	}
	return nil
}

// ask is do for requests that have a result.
func (c *conn) ask(ctx context.Context, op, controls []byte) (result, error) {
	message, err := c.do(ctx, op, controls)
	if err != nil {
		return result{}, err
	}
	reply, err := message.result()
	if err != nil {
		c.broken = true
		return result{}, &wireError{sent: true, err: err}
	}
	return reply, nil
}

// stale reports whether the server has hung up, or said something that nobody
// asked for, while the connection was idle.
func (c *conn) stale() bool { return c.broken || c.r.Buffered() > 0 || hungUp(c.raw) }

// close says goodbye as the protocol wants it, and does not wait.
func (c *conn) close() {
	if !c.broken {
		_ = c.net.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.net.Write(ber(tagSequence, berInt(tagInteger, c.id+1), ber(tagUnbindRequest)))
	}
	_ = c.net.Close()
}

// bounded is ctx with a deadline, its own or after patience.
func bounded(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}

// cause is the end of ctx where that made the connection fail.
func cause(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return context.DeadlineExceeded
	}
	return err
}
