package postgres

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rekey-host/rekey/sdk"
)

// Kinds of authentication requests.
const (
	authOK        = 0
	authCleartext = 3
)

// challenge watches a logon: whether the server asked for a proof before it let
// the client in, and whether it let it in at all. What it says after that is
// about something else than the password.
type challenge struct {
	mu      sync.Mutex
	refuse  bool // to give the password itself
	asked   bool // for a proof
	clear   bool // for the password itself
	entered bool
}

// refusing builds a frontend that is watched. With yes the logon ends before the
// password itself would be sent.
func (c *challenge) refusing(yes bool) pgconn.BuildFrontendFunc {
	return func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&watched{r: r, challenge: &challenge{refuse: yes}, twin: c}, w)
	}
}

func (c *challenge) note(code uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch code {
	case authOK:
		c.entered = true
	case authCleartext:
		c.asked, c.clear = true, true
	default:
		c.asked = true
	}
}

// watched is what a server sends, read message by message until it has let the
// client in.
type watched struct {
	r         io.Reader
	challenge *challenge // of this connection
	twin      *challenge // of who asked for it
	header    []byte     // of the present message, and the first four bytes of its body
	skip      int        // bytes left of it
	done      bool
}

const headerBytes = 9

// errClear says that a server wants the password itself.
func errClear() error {
	return sdk.Errorf(sdk.InsecureTransport, "the server asks for the password in clear (pg_hba.conf: password, ldap, pam or radius)")
}

// Read reads, and looks at what was read.
func (w *watched) Read(into []byte) (int, error) {
	count, err := w.r.Read(into)
	for rest := into[:count]; len(rest) > 0 && !w.done; {
		rest = w.step(rest)
		if w.challenge.clear && w.challenge.refuse {
			return 0, errClear()
		}
	}
	return count, err
}

// step takes a piece of a message and returns what follows it.
func (w *watched) step(rest []byte) []byte {
	if w.skip > 0 {
		count := min(w.skip, len(rest))
		w.skip -= count
		return rest[count:]
	}
	count := min(headerBytes-len(w.header), len(rest))
	w.header = append(w.header, rest[:count]...)
	if len(w.header) < headerBytes {
		return nil
	}
	kind, size, code := w.header[0], binary.BigEndian.Uint32(w.header[1:]), binary.BigEndian.Uint32(w.header[5:])
	w.header, w.skip = w.header[:0], max(int(size)-8, 0)
	switch {
	case kind == 'R':
		w.challenge.note(code)
		w.twin.note(code)
		w.done = code == authOK
	case kind == 'E':
		w.done = true
	}
	return rest[count:]
}
