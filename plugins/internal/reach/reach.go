// Package reach is the way to a database server as the settings of a backend
// name it: url, ca_file, server_name, insecure. It opens connections, and says
// in the words of the settings why one cannot be had.
//
// It knows TCP, sockets of this machine and TLS, and nothing of what is spoken
// over them.
package reach

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// Place is where a server is.
type Place struct {
	Network  string        // tcp or unix
	Address  string        // HOST:PORT, or the path of a socket
	Host     string        // without the port; "" of a socket
	TLS      *tls.Config   // nil: in clear
	Exposed  bool          // in clear, to another machine
	Patience time.Duration // for a connection, and for an answer where the caller sets no deadline
	Now      func() time.Time
	Shown    *health.Witness // what the server showed of itself
}

// Kind is what a kind of server adds to its settings.
type Kind struct {
	Scheme string // of url
	Secure string // the scheme that means TLS; "": the same one, secure unless insecure is said
	Port   int    // where url names none
	Socket string // the name of the socket in a directory; "": url names the socket itself
}

// Fields are the settings of every server of a kind.
func (k Kind) Fields() []sdk.Field {
	form := k.Scheme + "://HOST[:PORT]"
	if k.Secure != "" {
		form = k.Secure + "://HOST[:PORT], " + form
	}
	return []sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: form + ", or unix:///PATH for a socket of this machine"},
		{Name: "ca_file", Type: sdk.Path, Doc: "PEM file of the authorities to trust instead of the system's"},
		{Name: "server_name", Type: sdk.String, Doc: "the name that the server's certificate has, where url has to have another: tunnels, proxies"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "do without TLS; without it such a connection is refused"},
	}
}

// defaultPatience is for a Config that sets no deadline.
const defaultPatience = 30 * time.Second

// Place reads the settings. A connection that would carry secrets in clear is
// InsecureTransport unless insecure is said, to this machine too: who listens on
// a port of this machine is not known. A socket of this machine is safe.
func (k Kind) Place(config sdk.Config) (Place, error) {
	place := Place{Patience: config.Timeout, Now: time.Now, Shown: new(health.Witness)}
	if place.Patience <= 0 {
		place.Patience = defaultPatience
	}
	secure, err := k.address(&place, config)
	if err != nil {
		return Place{}, err
	}
	if !secure {
		return place, place.clear(config)
	}
	place.TLS = place.Shown.Watch(&tls.Config{ServerName: cmp.Or(config.Text("server_name"), place.Host), MinVersion: tls.VersionTLS12})
	if file := config.Text("ca_file"); file != "" {
		place.TLS.RootCAs, err = authorities(file)
	}
	return place, err
}

// address reads url, and reports whether TLS is spoken there.
func (k Kind) address(place *Place, config sdk.Config) (bool, error) {
	text := config.Text("url")
	if text == "" {
		return false, sdk.Errorf(sdk.InvalidConfig, "url: missing")
	}
	if path, ok := strings.CutPrefix(text, "unix://"); ok {
		return false, k.socket(place, path)
	}
	address, err := url.Parse(text)
	if err != nil || address.Hostname() == "" || address.User != nil || strings.Trim(address.Path, "/") != "" || address.RawQuery != "" || address.Fragment != "" {
		return false, sdk.Errorf(sdk.InvalidConfig, "url: want %s://HOST[:PORT] or unix:///PATH, and nothing else", cmp.Or(k.Secure, k.Scheme))
	}
	scheme, insecure := strings.ToLower(address.Scheme), config.Bool("insecure")
	switch {
	case scheme == k.Secure && k.Secure != "", scheme == k.Scheme && k.Secure == "" && !insecure:
	case scheme != k.Scheme:
		return false, sdk.Errorf(sdk.InvalidConfig, "url: got scheme %q, want %s or unix", address.Scheme, cmp.Or(k.Secure, k.Scheme))
	case !insecure:
		return false, sdk.Errorf(sdk.InsecureTransport, "url: %s:// would carry passwords in clear; use %s://, or say insecure = True", k.Scheme, k.Secure)
	}
	place.Network, place.Host = "tcp", address.Hostname()
	place.Address = net.JoinHostPort(place.Host, cmp.Or(address.Port(), strconv.Itoa(k.Port)))
	secure := scheme == k.Secure || k.Secure == "" && !insecure
	place.Exposed = !secure && !loopback(place.Host)
	return secure, nil
}

func (k Kind) socket(place *Place, path string) error {
	path, err := url.PathUnescape(path)
	if err != nil || !strings.HasPrefix(path, "/") {
		return sdk.Errorf(sdk.InvalidConfig, "url: want unix:///PATH/OF/SOCKET")
	}
	place.Network, place.Address = "unix", path
	if info, err := os.Stat(path); err == nil && info.IsDir() && k.Socket != "" {
		place.Address = strings.TrimSuffix(path, "/") + "/" + k.Socket
	}
	return nil
}

// clear refuses settings that mean nothing without TLS.
func (p Place) clear(config sdk.Config) error {
	for _, name := range []string{"ca_file", "server_name"} {
		if config.Text(name) != "" {
			return sdk.Errorf(sdk.InvalidConfig, "%s: the connection is without TLS; leave it out", name)
		}
	}
	return nil
}

// Told are what the server showed of its clock and its certificate, if it is
// worth a warning. theirs is what its clock says now; zero: that is not known.
func (p Place) Told(theirs time.Time) []sdk.Finding {
	return p.Shown.Told(theirs, p.Now())
}

// Dial connects. TLS is left to who knows when it begins.
func (p Place) Dial(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, p.Network, p.Address)
}

// Bounded is ctx with a deadline, its own or after the place's patience.
func (p Place) Bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.Patience)
}

// Fault is the error of a connection that could not be opened or secured.
// Nothing was sent.
func (p Place) Fault(err error) *sdk.Error {
	var known *sdk.Error
	var bad *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	case errors.As(err, &bad):
		return sdk.Errorf(sdk.InvalidConfig, "url: %s", p.certificate(bad))
	case timedOut(err):
		return sdk.Errorf(sdk.Timeout, "url: %s was not reached in time: is there a firewall in between, and is the port right?", p.Address)
	case errors.As(err, &header):
		return sdk.Errorf(sdk.InsecureTransport, "url: %s does not speak TLS: have it switched on, or say insecure = True", p.Address)
	}
	return sdk.Errorf(sdk.Unreachable, "url: %s", p.away(err))
}

// Lost is the error of a request that was sent and has no answer.
func (p Place) Lost(err error) *sdk.Error {
	switch {
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before the server answered")
	case timedOut(err):
		return sdk.Errorf(sdk.Timeout, "the server did not answer in time")
	}
	return sdk.Errorf(sdk.ConnectionLost, "the connection was lost before the answer: %v", err)
}

// away says why there is no connection.
func (p Place) away(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Sprintf("the name %q does not resolve: is it spelled right?", name.Name)
	case errors.As(err, &name):
		return fmt.Sprintf("the name %q could not be looked up (%s): is the name server there?", name.Name, name.Err)
	case p.Network == "unix" && errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no socket %s: does the server listen there?", p.Address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s may not be opened: permission denied", p.Address)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens at %s (connection refused): is the server up, and the port right?", p.Address)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("there is no way to %s: is this machine in the right network?", p.Address)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Sprintf("%s closed the connection without an answer: look into the server's log", p.Address)
	}
	return fmt.Sprintf("%s cannot be reached: %v", p.Address, err)
}

// certificate says what is wrong with the server's certificate, and what mends
// that: for each kind it is something else.
func (p Place) certificate(bad *tls.CertificateVerificationError) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	at := "the certificate of " + p.Address
	switch {
	case errors.As(bad, &name):
		return at + wrongName(name)
	case errors.As(bad, &invalid) && invalid.Reason == x509.Expired && p.Now().Before(invalid.Cert.NotBefore):
		return fmt.Sprintf("%s is not valid before %s: is the clock of this machine right?", at, invalid.Cert.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(bad, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("%s expired at %s: have it renewed", at, invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(bad, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return at + " is not one for servers: have one issued with the extended key usage serverAuth"
	case errors.As(bad, &authority):
		return at + " is signed by an authority that is not trusted: ca_file names the authority to trust"
	}
	return fmt.Sprintf("%s: %v", at, bad.Err)
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %q holds no PEM certificate", file)
	}
	return pool, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
