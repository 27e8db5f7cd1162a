// Package rest is for authors of backends that speak HTTP. It knows whether a
// request left this process, which outcome and code a status or a broken
// exchange means, how long a server asks to wait, how a login is renewed once
// for all who need it, and how to keep secrets out of printed texts.
//
// A backend makes one Client for an instance, describes each exchange as a
// Request and turns a Failure into a Receipt:
//
//	answer, failure := client.Do(ctx, rest.Request{Method: "PUT", Path: "/users/passwords", Body: body})
//	if failure != nil {
//		return failure.Receipt()
//	}
//
// It never retries (the host does), never follows a redirect, uses no
// proxy but Options.Proxy, keeps no cookies, and reads no more of an answer
// than Options.MaxBody. It knows no target system: what an error body means is
// for Options.Explain to say.
package rest

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Limits of reading an answer.
const (
	DefaultMaxBody = 1 << 20  // bytes of a body, unless Options.MaxBody says otherwise
	maxHeader      = 64 << 10 // bytes of all headers
)

// Options are the settings of a Client. Base is required.
type Options struct {
	// Base is the absolute URL that paths are appended to. Its scheme is https,
	// or http to this machine; a user, a query or a fragment in it is refused.
	Base string
	// Insecure allows http to other machines: it sends passwords in clear.
	Insecure bool
	// CAFile is a file of PEM certificates to trust in place of the system's.
	CAFile string
	// Proxy is used for every request, also one to this machine.
	Proxy Proxy
	// Concurrency is how many connections are kept for reuse; at least 1.
	Concurrency int
	// Timeout ends an exchange whose context has no deadline; 0: unbounded.
	Timeout time.Duration
	// MaxBody is the most bytes read of a body; 0: DefaultMaxBody.
	MaxBody int64
	// UserAgent is the header's value; "" is "rekey".
	UserAgent string
	// Secrets are scrubbed from every message and log line, like those of a
	// Request: the service account's password belongs here.
	Secrets []secret.Value
	// Explain, if set, is called with every failure that has a whole
	// answer and may change any of its fields: this is where a target's own
	// error bodies are read. Texts that it sets are scrubbed and shortened
	// afterwards. It is called concurrently.
	Explain func(*Failure)
	// Log gets one line an exchange at level debug: method, path, status, time.
	// Never a query, a header or a body. nil: no log.
	Log *slog.Logger
	// Now is the clock that dates in Retry-After are compared with; nil: time.Now.
	Now func() time.Time
}

// Client does exchanges with one server. It is safe for concurrent use.
type Client struct {
	base      *url.URL
	proxy     *url.URL // nil: direct
	http      *http.Client
	transport *http.Transport
	options   Options
}

// New makes a client; it connects to nothing. Its errors are *sdk.Error:
// InvalidConfig, or InsecureTransport for http to another machine.
func New(options Options) (*Client, error) {
	base, err := parseBase(options.Base, options.Insecure)
	if err != nil {
		return nil, err
	}
	roots, err := readRoots(options.CAFile)
	if err != nil {
		return nil, err
	}
	proxy, err := options.Proxy.parse()
	if err != nil {
		return nil, err
	}
	if err := keepSecret(base, proxy, options.Insecure); err != nil {
		return nil, err
	}
	transport := newTransport(max(1, options.Concurrency), roots)
	through(transport, proxy)
	client := &Client{base: base, proxy: proxy, transport: transport, options: options.withDefaults()}
	client.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return client, nil
}

// Close drops the connections kept for reuse.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Host returns the server's name and port as they stand in Options.Base.
func (c *Client) Host() string { return c.base.Host }

func (o Options) withDefaults() Options {
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.UserAgent == "" {
		o.UserAgent = "rekey"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// newTransport speaks HTTP/1.1 only: one connection carries one operation, so
// a connection that breaks leaves one outcome unknown and not a hundred.
func newTransport(concurrency int, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    10 * time.Second,
		Protocols:              protocols,
		DisableCompression:     true, // a small body that unpacks to a large one
		MaxIdleConns:           concurrency,
		MaxIdleConnsPerHost:    concurrency,
		IdleConnTimeout:        15 * time.Second, // below what servers use: a request on a closing connection is lost
		MaxResponseHeaderBytes: maxHeader,
	}
}

// parseBase checks Options.Base. Its mistakes are told without quoting
// it, because it may hold a password.
func parseBase(text string, insecure bool) (*url.URL, error) {
	address, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: is not one")
	case address.User != nil:
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: has a user in it; use the settings for user and password")
	case address.Scheme != "https" && address.Scheme != "http":
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: starts with neither https:// nor http://")
	case address.Hostname() == "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: names no host")
	case address.RawQuery != "" || address.Fragment != "":
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: has a query or a fragment")
	case address.Scheme == "http" && !insecure && !IsLoopback(address.Hostname()):
		return nil, sdk.Errorf(sdk.InsecureTransport, "url: http:// to %s would send passwords in clear; use https://, or insecure = True", address.Host)
	}
	address.Path, address.RawPath = strings.TrimRight(address.Path, "/"), strings.TrimRight(address.RawPath, "/")
	return address, nil
}

// IsLoopback reports whether host, without a port, is this machine: localhost
// or an address of the loopback. A name is not looked up.
func IsLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, sdk.Errorf(sdk.InvalidConfig, "ca_file: %s: no PEM certificate in it", file)
	}
	return roots, nil
}
