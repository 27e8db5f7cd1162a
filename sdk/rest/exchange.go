package rest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Request is one exchange.
type Request struct {
	Method string
	// Path is appended to Options.Base; "" asks the base itself. Parts of it
	// that vary are escaped by the caller, with url.PathEscape.
	Path  string
	Query url.Values
	// RawQuery, if there is one, is sent in Query's place, as it is: some servers
	// tell ?wsdl from ?wsdl=, and Query can write the latter only.
	RawQuery string
	// Body is sent as it is; nil: no body.
	Body []byte
	// ContentType of the body; "": application/json.
	ContentType string
	// Header holds further headers; no secrets.
	Header http.Header
	// Authorization is the whole value of that header. It is scrubbed.
	Authorization secret.Value
	// Secrets are scrubbed from all texts about this exchange: every password
	// that Body or Query carries belongs here.
	Secrets []secret.Value
	// ReadOnly says that the request changes nothing, so that no outcome of it
	// is unknown: a lost answer is refused as TargetUnavailable or Timeout.
	ReadOnly bool
}

// Basic returns the Authorization of a user and a password.
func Basic(user string, password secret.Value) secret.Value {
	request := http.Request{Header: http.Header{}}
	request.SetBasicAuth(user, password.Reveal())
	return secret.New(request.Header.Get("Authorization"))
}

// Bearer returns the Authorization of a token.
func Bearer(token secret.Value) secret.Value {
	return secret.New("Bearer " + token.Reveal())
}

type secretsKey struct{}

// WithSecrets returns a context under which the values are scrubbed from what
// is said of every exchange, as if each Request had them in Secrets: those of
// an operation belong there, because a server may echo at a later request what
// it was sent by an earlier one.
func WithSecrets(ctx context.Context, values ...secret.Value) context.Context {
	return context.WithValue(ctx, secretsKey{}, slices.Concat(secretsOf(ctx), values))
}

func secretsOf(ctx context.Context) []secret.Value {
	values, _ := ctx.Value(secretsKey{}).([]secret.Value)
	return values
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

func setBody(request *http.Request, r Request) {
	request.ContentLength = int64(len(r.Body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
	request.Body, _ = request.GetBody()
	if r.ContentType == "" {
		r.ContentType = "application/json"
	}
	request.Header.Set("Content-Type", r.ContentType)
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
