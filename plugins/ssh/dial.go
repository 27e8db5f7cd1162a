package ssh

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/sdk"
)

// login is how somebody logs in.
type login struct {
	user string
	auth []ssh.AuthMethod
	next func(*ssh.ClientAuthContext) (ssh.AuthMethod, error) // nil: auth decides
}

// dial opens a connection to a host, over those on the way, and logs in.
func (f *fleet) dial(ctx context.Context, to *host, as login) (*ssh.Client, *sdk.Error) {
	known, failure := readKnown(f.settings.knownHosts)
	if failure != nil {
		return nil, failure
	}
	conn, failure := f.wire(ctx, to)
	if failure != nil {
		return nil, failure
	}
	if !f.starting.begin(ctx) {
		_ = conn.Close()
		return nil, unsent(ctx)
	}
	defer f.starting.end()
	ended := context.AfterFunc(ctx, func() { _ = conn.Close() })
	link, chans, requests, err := ssh.NewClientConn(conn, to.address.String(), &ssh.ClientConfig{
		User: as.user, Auth: as.auth, AuthCallback: as.next, ClientVersion: "SSH-2.0-rekey",
		HostKeyCallback: known.callback(to.address), HostKeyAlgorithms: known.algorithms(to.address, conn.RemoteAddr()),
	})
	if !ended() && err == nil {
		err = ctx.Err()
		_ = link.Close()
	}
	if err != nil {
		_ = conn.Close()
		return nil, refusedLogin(ctx, to, as, err)
	}
	return ssh.NewClient(link, chans, requests), nil
}

// wire opens the connection below.
func (f *fleet) wire(ctx context.Context, to *host) (net.Conn, *sdk.Error) {
	var conn net.Conn
	var err error
	if to.via == nil {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", to.address.String())
	} else {
		client, failure := f.connected(ctx, to.via)
		if failure != nil {
			return nil, failure
		}
		if conn, err = client.DialContext(ctx, "tcp", to.address.String()); err == nil {
			conn = newTunnel(conn)
		}
	}
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		to.via.probe()
		return nil, unsent(ctx)
	}
	return nil, sdk.Errorf(sdk.Unreachable, "host %s: %s", to.address, err)
}

// errRefused is a login that the host refused.
var errRefused = errors.New("the host refuses the login")

// refusedLogin tells why a handshake failed. Nothing was changed.
func refusedLogin(ctx context.Context, to *host, as login, err error) *sdk.Error {
	var known *sdk.Error
	var lost net.Error
	var differ *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		to.via.probe()
		return unsent(ctx)
	case errors.Is(err, errEnough):
		return &sdk.Error{Code: sdk.PermissionDenied, Native: errEnough.Error(), Message: "host " + to.address.String() + ": it wants more than a password"}
	case errors.Is(err, errRefused), errors.Is(err, errNotTaken), strings.Contains(err.Error(), "unable to authenticate"):
		return sdk.Errorf(sdk.PermissionDenied, "host %s: it does not let %s log in: %s", to.address, as.user, strings.TrimPrefix(err.Error(), "ssh: handshake failed: "))
	case errors.As(err, &differ) && strings.Contains(err.Error(), "host key"):
		return sdk.Errorf(sdk.InsecureTransport, "host %s: it has no key of a kind that known_hosts has of it, so it cannot be told from another: compare its keys with the host's own, then add one: ssh-keyscan -p %d %s", to.address, to.port, to.address.host)
	case errors.As(err, &differ):
		return sdk.Errorf(sdk.TargetError, "host %s: it speaks too old an SSH: %s", to.address, err)
	case errors.Is(err, io.EOF), errors.As(err, &lost):
		return sdk.Errorf(sdk.Unreachable, "host %s: it closed the connection during the handshake: %s", to.address, err)
	}
	return sdk.Errorf(sdk.Unreachable, "host %s: %s", to.address, err)
}
