package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk/internal/peer"
)

// Endpoint is where a plugin serves that another process started.
type Endpoint struct {
	Network, Address string
	TLS              *tls.Config // both ends show a certificate
}

// Identity reads what this end shows of itself, from PEM files; it makes both where
// neither exists.
func Identity(certFile, keyFile string) (tls.Certificate, error) {
	return peer.Identity(certFile, keyFile)
}

// ReadIdentity is Identity, but makes nothing.
func ReadIdentity(certFile, keyFile string) (tls.Certificate, error) {
	return peer.Read(certFile, keyFile)
}

// Pin is the SHA-256 of the public key of a certificate, in hex.
func Pin(own tls.Certificate) (string, error) { return peer.Pin(own.Certificate[0]) }

// ValidPin reports whether a text is a pin.
func ValidPin(text string) bool { return peer.ValidPin(text) }

// NewIdentity makes a certificate and its key, in PEM.
func NewIdentity() (cert, key []byte, err error) { return peer.New() }

// Pinned returns the settings of a connection to the one who has a key.
func Pinned(own tls.Certificate, pin string) *tls.Config { return peer.Config(own, []string{pin}) }

// Stranger returns the pin of who answered instead of the one that was asked for; "" if
// that was not why a connection failed.
func Stranger(err error) string {
	var stranger *peer.StrangerError
	if errors.As(err, &stranger) {
		return stranger.Pin
	}
	return ""
}

// Link is one connection to a plugin elsewhere. It is never made anew: what was sent
// over it and not answered when it is lost stays so.
type Link struct {
	net.Conn
	gone chan struct{}
	once sync.Once
	mu   sync.Mutex
	why  error // the first error of reading
	told bool  // the other end said something
}

// tellIdle is after how long a silent peer is asked whether it lives, and how often
// then; who does not answer is gone.
var tellIdle = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

// Connect connects to an endpoint, and makes sure of who it is.
func Connect(ctx context.Context, endpoint Endpoint) (*Link, error) {
	dialer := net.Dialer{KeepAliveConfig: tellIdle}
	plain, err := dialer.DialContext(ctx, endpoint.Network, endpoint.Address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(plain, endpoint.TLS)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, err
	}
	return &Link{Conn: secured, gone: make(chan struct{})}, nil
}

// Gone is closed when the connection is lost, or closed.
func (l *Link) Gone() <-chan struct{} { return l.gone }

// Read notes that the connection was lost.
func (l *Link) Read(into []byte) (int, error) {
	count, err := l.Conn.Read(into)
	if err != nil {
		l.lose(err)
		return count, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = true
	return count, nil
}

// Close ends the connection.
func (l *Link) Close() error {
	l.lose(net.ErrClosed)
	return nil // whether it could be said to the other end does not matter
}

func (l *Link) lose(why error) {
	l.once.Do(func() {
		l.mu.Lock()
		l.why = why
		l.mu.Unlock()
		_ = l.Conn.Close()
		close(l.gone)
	})
}

// Why is why the connection was lost, in words; "" if it is there.
func (l *Link) Why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var alert tls.AlertError
	switch {
	case l.why == nil:
		return ""
	case errors.As(l.why, &alert):
		return "the other end does not take our key (" + alert.Error() + "); it has to, by --client-pin"
	case !l.told:
		return "the other end closed the connection before it said anything; does it take our key by --client-pin?"
	case errors.Is(l.why, io.EOF):
		return "the other end closed the connection"
	}
	return fmt.Sprintf("the connection was lost (%s)", l.why)
}

// Client returns a client on the connection. close ends it.
func (l *Link) Client(options Options) (client *Client, close func() error, err error) {
	var once sync.Once
	return Over(func(context.Context) (net.Conn, error) {
		err := errors.New(l.orGone())
		once.Do(func() { err = nil })
		if err != nil {
			return nil, err
		}
		return l, nil
	}, options)
}

func (l *Link) orGone() string {
	if why := l.Why(); why != "" {
		return why
	}
	return "the connection was lost"
}
