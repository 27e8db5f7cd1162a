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
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
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
	witness   health.Witness
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
	client.witness.Watch(transport.TLSClientConfig)
	client.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return client, nil
}

// Close drops the connections kept for reuse.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Findings are what answers so far showed of the server's clock and of its
// certificate, if it is worth a warning: a backend's Check adds them to its own.
func (c *Client) Findings() []sdk.Finding { return c.witness.Findings(c.options.Now()) }

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

// Do sends the request once and reads the whole answer. An answer whose status
// is 2xx is returned; everything else is a Failure:
//
//	what happened                             outcome  code
//	no connection, no handshake, no headers   refused  Unreachable, Timeout, Cancelled
//	sent, no answer or half of one            unknown  ConnectionLost, Timeout
//	a 2xx answer longer than MaxBody          unknown  TargetError
//	any other status                          see Classify, then Options.Explain
//
// A Failure's texts hold no secret, no URL and no body.
func (c *Client) Do(ctx context.Context, request Request) (Answer, *Failure) {
	begun := time.Now()
	request.Secrets = slices.Concat(request.Secrets, secretsOf(ctx))
	answer, failure := c.exchange(ctx, request)
	if failure != nil {
		c.finish(request, failure)
	}
	c.trace(ctx, request, answer, failure, time.Since(begun))
	return answer, failure
}

// finish completes a failure: the target's own words, then what must not be
// in them.
func (c *Client) finish(request Request, failure *Failure) {
	if failure.Answer.Status != 0 && c.options.Explain != nil {
		c.options.Explain(failure)
	}
	if request.ReadOnly {
		failure.unchanged()
	}
	failure.scrub(c.scrubber(request))
}

func (c *Client) scrubber(request Request) scrubber {
	return newScrubber(slices.Concat(c.options.Secrets, c.options.Proxy.secrets(), request.Secrets, authorization(request.Authorization)))
}

// Scrub removes the client's secrets, the context's (see WithSecrets) and the
// given ones from a text, in every form in which they are likely to stand
// there, makes it one line and cuts it to a length fit for people. It is for
// texts of answers that Do took for a success.
func (c *Client) Scrub(ctx context.Context, text string, secrets ...secret.Value) string {
	return tidy(c.scrubber(Request{Secrets: slices.Concat(secrets, secretsOf(ctx))}).clean(text))
}

func (c *Client) exchange(ctx context.Context, r Request) (Answer, *Failure) {
	if _, bounded := ctx.Deadline(); !bounded && c.options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.options.Timeout)
		defer cancel()
	}
	var sent atomic.Bool
	request, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Before the last header nothing that a server could act on has left.
		WroteHeaders: func() { sent.Store(true) },
		WroteRequest: func(wroteRequestInfo httptrace.WroteRequestInfo) {
			if wroteRequestInfo.Err == nil {
				sent.Store(true)
			}
		},
	}), r)
	if err != nil {
		return Answer{}, Refusal(sdk.Errorf(sdk.InvalidOperation, "the request cannot be built"))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, c.broken(ctx, err, sent.Load())
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		c.witness.Clock(date, time.Now())
	}
	return c.read(ctx, response)
}

func (c *Client) request(ctx context.Context, request Request) (*http.Request, error) {
	address := *c.base
	var err error
	if address.Path, err = url.PathUnescape(c.base.EscapedPath() + request.Path); err != nil {
		return nil, err
	}
	address.RawPath, address.RawQuery = c.base.EscapedPath()+request.Path, cmp.Or(request.RawQuery, request.Query.Encode())
	q, err := http.NewRequestWithContext(ctx, request.Method, address.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range request.Header {
		q.Header[http.CanonicalHeaderKey(name)] = values
	}
	q.Header.Set("User-Agent", c.options.UserAgent)
	if q.Header.Get("Accept") == "" {
		q.Header.Set("Accept", "application/json")
	}
	if request.Authorization.Present() {
		q.Header.Set("Authorization", request.Authorization.Reveal())
	}
	if request.Body != nil {
		setBody(q, request)
	}
	return q, nil
}

// read takes the allowed bytes of an answer and closes it; the rest of a longer one
// stays where it is, and its connection is dropped.
func (c *Client) read(ctx context.Context, response *http.Response) (Answer, *Failure) {
	defer func() { _ = response.Body.Close() }() // it was only read, or the error helps no one
	body, err := io.ReadAll(io.LimitReader(response.Body, c.options.MaxBody+1))
	answer := Answer{Status: response.StatusCode, Header: response.Header, Body: body}
	if int64(len(body)) > c.options.MaxBody {
		answer.Body, answer.TooLong = nil, true
	}
	good := answer.Status >= 200 && answer.Status < 300
	switch {
	case err != nil && good:
		return answer, c.broken(ctx, err, true)
	case err != nil:
		answer.Body = nil // the status is whole, its explanation is not
	case answer.TooLong && good:
		return answer, &Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError, "the answer is longer than %d bytes", c.options.MaxBody)}
	case good:
		return answer, nil
	}
	if answer.Status == http.StatusProxyAuthRequired && c.proxy != nil {
		return Answer{}, Refusal(c.unknownToProxy()) // not the words of the server: nothing to explain
	}
	return answer, failed(answer, c.options.Now())
}

// broken says what an exchange without a whole answer means. The error's text
// is not used: it quotes the URL.
func (c *Client) broken(ctx context.Context, err error, sent bool) *Failure {
	timeout := ctx.Err() == context.DeadlineExceeded || errors.Is(err, context.DeadlineExceeded)
	switch {
	case sent && timeout:
		return &Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.Timeout, "%s: no answer in time", c.Host())}
	case sent:
		return &Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.ConnectionLost, "%s: the connection broke before the whole answer came", c.Host())}
	case timeout:
		return Refusal(sdk.Errorf(sdk.Timeout, "%s: no connection in time", c.Host()))
	case ctx.Err() != nil:
		return Refusal(sdk.Errorf(sdk.Cancelled, "given up before it was sent"))
	}
	return Refusal(c.unsent(err))
}

func (c *Client) trace(ctx context.Context, request Request, answer Answer, failure *Failure, took time.Duration) {
	facts := []any{"method", request.Method, "path", c.scrubber(request).clean(request.Path), "status", answer.Status, "took", took.Round(time.Millisecond)}
	if failure != nil && failure.Err != nil {
		facts = append(facts, "outcome", failure.Outcome.String(), "code", string(failure.Err.Code))
	}
	c.options.Log.DebugContext(ctx, "http exchange", facts...)
}

// unsent says why a request did not leave: the server's fault, or that of the
// proxy before it.
func (c *Client) unsent(err error) *sdk.Error {
	if c.proxy == nil {
		return sdk.Errorf(sdk.Unreachable, "%s: %s", c.Host(), dialReason(err))
	}
	var dial *net.OpError
	var refused *noTunnel
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusProxyAuthRequired:
		return c.unknownToProxy()
	case errors.As(err, &refused):
		return sdk.Errorf(sdk.Unreachable, "%s: the proxy %s does not connect to it: %s", c.Host(), c.proxy.Host, refused)
	case errors.As(err, &dial) && dial.Op == "proxyconnect":
		return sdk.Errorf(sdk.Unreachable, "the proxy %s: %s", c.proxy.Host, dialReason(err))
	}
	return sdk.Errorf(sdk.Unreachable, "%s, through the proxy %s: %s", c.Host(), c.proxy.Host, dialReason(err))
}

// unknownToProxy is what 407 means: no later request can succeed either.
func (c *Client) unknownToProxy() *sdk.Error {
	return sdk.Errorf(sdk.InvalidConfig, "the proxy %s wants a login (HTTP 407); check proxy_user and proxy_password", c.proxy.Host)
}
