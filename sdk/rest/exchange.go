package rest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"

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

func setBody(request *http.Request, r Request) {
	request.ContentLength = int64(len(r.Body))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
	request.Body, _ = request.GetBody()
	if r.ContentType == "" {
		r.ContentType = "application/json"
	}
	request.Header.Set("Content-Type", r.ContentType)
}
