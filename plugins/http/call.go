package http

import (
	"context"
	"net/http"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// maxRequests bounds what one function asks.
const maxRequests = 16

// call is one function of the definition, carried to its end: what it asks for is sent,
// and what it makes of the answer goes on.
type call struct {
	*Instance
	verb    string
	login   secret.Value
	bare    bool // it has no login yet
	lacked  bool // and needed one
	asked   bool // a request was sent
	changed bool // one that changes something was answered well
}

// run calls the function.
func (c *call) run(ctx context.Context, given definition.Given) (any, *rest.Failure) {
	got, err := c.definition.Call(ctx, c.verb, given)
	if err != nil {
		return nil, c.scrubbed(ctx, mistake(ctx, err, false))
	}
	return c.follow(ctx, got)
}

// follow sends requests until something else is returned.
func (c *call) follow(ctx context.Context, got any) (any, *rest.Failure) {
	for range maxRequests {
		request, ok := got.(*definition.Request)
		if !ok {
			return c.judged(ctx, got)
		}
		var failure *rest.Failure
		if got, failure = c.ask(ctx, request); failure != nil {
			return nil, c.sincere(c.scrubbed(ctx, failure))
		}
	}
	return nil, c.sincere(rest.Refusal(sdk.Errorf(sdk.TargetError, "%s: %s asks more than %d requests", c.definition.File, c.verb, maxRequests)))
}

// ask sends one request and returns what the definition makes of its answer.
func (c *call) ask(ctx context.Context, request *definition.Request) (any, *rest.Failure) {
	client, own, err := c.client(request.Address)
	if err != nil {
		return nil, rest.Refusal(err)
	}
	if c.lacked = c.bare && c.needsLogin(request, own); c.lacked {
		return nil, rest.Refusal(sdk.Errorf(sdk.LoginExpired, "no login yet"))
	}
	sent := c.request(request, own)
	c.asked = true
	answer, failure := client.Do(ctx, sent)
	if failure != nil {
		answer = failure.Answer
	}
	if failure != nil && (answer.Status == 0 || answer.TooLong || !request.Accepts(answer.Status)) {
		return nil, c.explained(ctx, failure, c.verb == "auth" && !request.Login.Present() || c.needsLogin(request, own))
	}
	c.changed = c.changed || !request.ReadOnly
	got, mistaken := c.definition.Then(ctx, request, definition.Answer{Status: answer.Status, Headers: answer.Header, Body: answer.Body})
	if mistaken != nil {
		return nil, mistake(ctx, mistaken, c.changed)
	}
	if got == nil {
		return c.plain(answer)
	}
	return got, nil
}

// request is what is sent. The instance's login goes to its own server alone.
func (c *call) request(request *definition.Request, own bool) rest.Request {
	sent := rest.Request{Method: request.Method, Path: request.Path, RawQuery: request.Query, ContentType: request.Content, Header: http.Header{},
		Authorization: request.Login, ReadOnly: request.ReadOnly, Secrets: request.Secrets}
	if request.Body.Present() {
		sent.Body = []byte(request.Body.Reveal())
	}
	for name, value := range request.Headers {
		sent.Header.Set(name, value)
	}
	if c.needsLogin(request, own) {
		sent.Authorization = c.login
	}
	return sent
}

// needsLogin reports whether a request is sent with the instance's own login.
func (c *call) needsLogin(request *definition.Request, own bool) bool {
	return c.verb != "auth" && own && !request.Login.Present() && !request.NoLogin && c.definition.Has("auth")
}

// plain is what a good answer means where the definition says nothing of it.
func (c *call) plain(answer rest.Answer) (any, *rest.Failure) {
	switch c.verb {
	case "set", "change", "reset", "unlock", "revoke":
		return sdk.OK(), nil
	case "verify":
		return sdk.Accepted, nil
	case "check":
		return sdk.Finding{Message: "reached and logged in at " + c.base.Host}, nil
	}
	return nil, rest.Refusal(sdk.Errorf(sdk.TargetError, "%s: %s says nothing of an answer HTTP %d; give its request then = lambda answer: …", c.definition.File, c.verb, answer.Status))
}

// explained asks the definition what a bad answer means. A 401 to a login that is not
// the instance's own says nothing of its session.
func (c *call) explained(ctx context.Context, failure *rest.Failure, ours bool) *rest.Failure {
	if failure.Answer.Status == 0 || failure.Answer.TooLong {
		return failure
	}
	if !ours && failure.Err.Code == sdk.LoginExpired {
		failure.Err.Code = sdk.PermissionDenied
	}
	if c.verb == "auth" && failure.Answer.Status == http.StatusBadRequest {
		failure.Err.Code = sdk.PermissionDenied // invalid_grant and its like
	}
	if !c.definition.Has("failure") {
		return failure
	}
	got, err := c.definition.Call(ctx, "failure", definition.Given{"settings": c.settings, "verb": c.verb,
		"answer": definition.Answer{Status: failure.Answer.Status, Headers: failure.Answer.Header, Body: failure.Answer.Body}})
	if err != nil {
		failure.Err.Message += "; " + err.Error()
		return failure
	}
	return c.meant(failure, got)
}

// meant is a bad answer with the meaning that the definition gives it. What it leaves
// out stays.
func (c *call) meant(failure *rest.Failure, got any) *rest.Failure {
	receipt, ok := got.(sdk.Receipt)
	if !ok || receipt.Err == nil {
		return failure
	}
	if receipt.Err.Message == "" {
		receipt.Err.Message = failure.Err.Message
	}
	if receipt.Err.Native == "" {
		receipt.Err.Native = failure.Err.Native
	}
	receipt.Err.RetryAfter = max(receipt.Err.RetryAfter, failure.Err.RetryAfter)
	return &rest.Failure{Outcome: receipt.Outcome, Err: receipt.Err, Answer: failure.Answer}
}

// judged turns a refusal that the definition made into a failure.
func (c *call) judged(ctx context.Context, got any) (any, *rest.Failure) {
	receipt, ok := got.(sdk.Receipt)
	if !ok || receipt.Err == nil {
		return got, nil
	}
	failure := &rest.Failure{Outcome: receipt.Outcome, Err: receipt.Err}
	if receipt.Err.Message == "" {
		receipt.Err.Message = "the definition refuses it"
	}
	return nil, c.sincere(c.scrubbed(ctx, failure))
}

// sincere takes a refusal back where an earlier request of the same call was answered
// well: the target may have changed.
func (c *call) sincere(failure *rest.Failure) *rest.Failure {
	if c.changed && failure.Outcome == sdk.Refused {
		failure.Outcome = sdk.Unknown
	}
	return failure
}

// scrubbed cleans what a definition has said, which may quote an answer.
func (c *call) scrubbed(ctx context.Context, failure *rest.Failure) *rest.Failure {
	clean := func(text string) string { return c.main.Scrub(ctx, text, c.login) }
	failure.Err.Message, failure.Err.Native = clean(failure.Err.Message), clean(failure.Err.Native)
	for index := range failure.Err.Violations {
		failure.Err.Violations[index].Native = clean(failure.Err.Violations[index].Native)
	}
	return failure
}
