package ldap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
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
	age      int           // of the pool, when it was opened
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

func newConn(raw net.Conn, patience time.Duration) *conn {
	return &conn{net: raw, raw: raw, r: bufio.NewReader(raw), patience: patience}
}

// startTLS asks the server to begin. Bytes that came with its consent were put
// there by somebody else.
func (c *conn) startTLS(ctx context.Context) error {
	message, err := c.do(ctx, ldapwire.ExtendedRequest(ldapwire.OIDStartTLS, nil))
	if err != nil {
		return err
	}
	answer, err := message.Result()
	if err != nil {
		return err
	}
	if answer.Code != resultSuccess {
		return &startTLSError{result{answer}}
	}
	if c.r.Buffered() > 0 {
		return fmt.Errorf("start_tls: %w", ldapwire.ErrMalformed)
	}
	return nil
}

// do sends one request and returns its answer.
func (c *conn) do(ctx context.Context, op []byte, controls ...ldapwire.Control) (ldapwire.Message, error) {
	var answer ldapwire.Message
	err := c.roundTrip(ctx, op, controls, func(reply ldapwire.Message) (bool, error) {
		answer = reply
		return true, nil
	})
	return answer, err
}

// roundTrip sends one request and gives each answer to one, until that says
// done. An error from one is returned as it is and leaves the connection
// broken, others are wireErrors.
func (c *conn) roundTrip(ctx context.Context, op []byte, controls []ldapwire.Control, one func(ldapwire.Message) (done bool, err error)) error {
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
	if _, err := c.net.Write(ldapwire.Frame(c.id, op, controls...)); err != nil {
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
func (c *conn) receive(from int) (ldapwire.Message, error) {
	reply, err := ldapwire.ReadMessage(c.r)
	if err != nil {
		return ldapwire.Message{}, err
	}
	if reply.ID == 0 {
		return ldapwire.Message{}, farewell(reply)
	}
	if reply.ID < from || reply.ID > c.id {
		return ldapwire.Message{}, fmt.Errorf("%w: an answer to request %d, want %d", ldapwire.ErrMalformed, reply.ID, c.id)
	}
	return reply, nil
}

// farewell is the error of a notice of disconnection, the one message that
// answers nothing.
func farewell(message ldapwire.Message) error {
	result, err := message.Result()
	if err != nil {
		return err
	}
	return fmt.Errorf("the server says goodbye: %d %s", result.Code, result.Text)
}

// search runs a search and gives each entry to yield. It returns the result
// of the whole, with its controls.
func (c *conn) search(ctx context.Context, search ldapwire.Search, controls []ldapwire.Control, yield func(entry) error) (ldapwire.Message, result, error) {
	var last ldapwire.Message
	err := c.roundTrip(ctx, search.Request(), controls, func(reply ldapwire.Message) (bool, error) {
		switch reply.Op.Tag {
		case ldapwire.TagSearchEntry:
			item, err := ldapwire.DecodeEntry(reply.Op)
			if err != nil {
				return false, &wireError{sent: true, err: err}
			}
			return false, yield(entry{item})
		case ldapwire.TagSearchReference:
			return false, nil // another server's part of the tree
		}
		last = reply
		return true, nil
	})
	if err != nil {
		return ldapwire.Message{}, result{}, err
	}
	answer, err := last.Result()
	if err != nil {
		c.broken = true
		return ldapwire.Message{}, result{}, &wireError{sent: true, err: err}
	}
	return last, result{answer}, nil
}

// searches sends many searches at once and gives each entry, with the number of
// its search, to yield. One that finds nothing is not told of.
func (c *conn) searches(ctx context.Context, list []ldapwire.Search, yield func(count int, entry entry)) error {
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
		all = append(all, ldapwire.Frame(c.id, search.Request())...)
	}
	if _, err := c.net.Write(all); err != nil {
		c.broken = true
		return &wireError{err: cause(ctx, err)}
	}
	for left := len(list); left > 0; {
		message, err := c.receive(first)
		var item ldapwire.Entry
		if err == nil && message.Op.Tag == ldapwire.TagSearchEntry {
			item, err = ldapwire.DecodeEntry(message.Op)
		}
		if err != nil {
			c.broken = true
			return &wireError{sent: true, err: cause(ctx, err)}
		}
		switch message.Op.Tag {
		case ldapwire.TagSearchEntry:
			yield(message.ID-first, entry{item})
		case ldapwire.TagSearchDone:
			left--
		}
	}
	return nil
}

// ask is do for requests that have a result.
func (c *conn) ask(ctx context.Context, op []byte, controls ...ldapwire.Control) (result, error) {
	message, err := c.do(ctx, op, controls...)
	if err != nil {
		return result{}, err
	}
	reply, err := message.Result()
	if err != nil {
		c.broken = true
		return result{}, &wireError{sent: true, err: err}
	}
	return result{reply}, nil
}

// stale reports whether the server has hung up, or said something that nobody
// asked for, while the connection was idle.
func (c *conn) stale() bool { return c.broken || c.r.Buffered() > 0 || hungUp(c.raw) }

// close says goodbye as the protocol wants it, and does not wait.
func (c *conn) close() {
	if !c.broken {
		_ = c.net.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.net.Write(ldapwire.Frame(c.id+1, ldapwire.UnbindRequest()))
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
