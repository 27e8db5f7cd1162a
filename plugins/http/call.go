package http

import (
	"context"
	"net/http"
	"slices"

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
	bare    bool                // it has no login yet
	waits   *definition.Request // the request that only lacks a login, or a new one
	asked   *definition.Request // the last one that was sent
	changed bool                // one that changes something was read by the definition
	done    bool                // and its status was a success
	noted   []secret.Value      // that the definition took from answers
	heard   []secret.Value      // texts of answers that may hold a secret: a fault must not quote them
}

// run calls the function. Called again, with a login or a new one, it goes on with the
// request that lacked it: what was sent before is not sent twice, because it may be a
// logon, which counts towards a lock.
func (c *call) run(ctx context.Context, given definition.Given) (any, *rest.Failure) {
	if request := c.waits; request != nil {
		c.waits = nil
		return c.follow(ctx, request)
	}
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
			return nil, c.stopped(ctx, failure)
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
	c.asked = request
	if c.bare && c.needsLogin(request, own) {
		return nil, rest.Refusal(sdk.Errorf(sdk.LoginExpired, "no login yet"))
	}
	answer, failure := client.Do(ctx, c.request(request, own))
	if failure != nil {
		answer = failure.Answer
	}
	ours := c.verb == "auth" && !request.Login.Present() || c.needsLogin(request, own)
	if failure != nil && (answer.Status == 0 || answer.TooLong || !request.Accepts(answer.Status)) {
		return nil, c.explained(ctx, failure, ours)
	}
	got, mistaken := c.definition.Then(ctx, request, c.read(answer))
	if failure != nil && got == nil && mistaken == nil {
		return nil, c.explained(ctx, failure, ours) // the definition accepts it and says nothing of it: it is no success
	}
	c.changed, c.done = c.changed || !request.ReadOnly, c.done || !request.ReadOnly && failure == nil
	if mistaken != nil {
		return nil, c.unquoted(ctx, mistake(ctx, mistaken, c.changed))
	}
	if got == nil {
		return c.plain(request, answer)
	}
	return got, nil
}

// read is an answer as the definition reads it. What it takes as a secret is kept from
// all texts, and where the target makes secrets, so is whatever a fault would quote.
func (c *call) read(answer rest.Answer) definition.Answer {
	made := definition.Answer{Status: answer.Status, Headers: answer.Header, Body: answer.Body,
		Noted: func(value secret.Value) { c.noted = append(c.noted, value) }}
	if c.verb == "reset" || c.verb == "auth" {
		c.heard = append(c.heard, made.Texts()...)
	}
	return made
}

// unquoted takes out of a fault what it quotes of answers.
func (c *call) unquoted(ctx context.Context, failure *rest.Failure) *rest.Failure {
	failure.Err.Message = c.main.Scrub(ctx, failure.Err.Message, slices.Concat(c.heard, c.noted, []secret.Value{c.login})...)
	return failure
}

// stopped is a failure on the way. The request that met an expired login is kept, to be
// sent again with a new one. A login that the definition gave does not expire.
func (c *call) stopped(ctx context.Context, failure *rest.Failure) *rest.Failure {
	failure = c.sincere(c.scrubbed(ctx, failure))
	if failure.Err.Code != sdk.LoginExpired || c.verb == "auth" || c.asked == nil {
		return failure
	}
	_, own, err := c.client(c.asked.Address)
	switch {
	case err == nil && c.needsLogin(c.asked, own):
		c.waits = c.asked
	default:
		failure.Err.Code = sdk.PermissionDenied
	}
	return failure
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

// writes reports whether the function is to change something.
func (c *call) writes() bool {
	return slices.Contains([]string{"set", "change", "reset", "unlock", "revoke"}, c.verb)
}

// plain is what a good answer means where the definition says nothing of it. A then
// that says nothing is a mistake: it forgot a case.
func (c *call) plain(request *definition.Request, answer rest.Answer) (any, *rest.Failure) {
	switch {
	case request.HasThen():
		return nil, c.wrong(sdk.Errorf(sdk.TargetError, "%s: %s: then returned None for HTTP %d; return what it means", request.Place, c.verb, answer.Status))
	case c.writes() && !c.done:
		return nil, c.idle(request.Place)
	case c.writes():
		return sdk.OK(), nil
	case c.verb == "verify":
		return sdk.Accepted, nil
	case c.verb == "check":
		return sdk.Finding{Message: "reached and logged in at " + c.base.Host}, nil
	}
	return nil, rest.Refusal(sdk.Errorf(sdk.TargetError, "%s: %s says nothing of an answer HTTP %d; give its request then = lambda answer: …", c.definition.File, c.verb, answer.Status))
}

// wrong is a mistake of the definition. What a function did that is to change something
// is not known.
func (c *call) wrong(err *sdk.Error) *rest.Failure {
	if c.writes() {
		return &rest.Failure{Outcome: sdk.Unknown, Err: err}
	}
	return rest.Refusal(err)
}

// idle is the mistake of a function that reports as done what it asked of nobody.
func (c *call) idle(place string) *rest.Failure {
	return c.wrong(sdk.Errorf(sdk.TargetError, "%s: %s: no request of it changes anything; send one, and give a get that does reads = False", place, c.verb))
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
	got, err := c.definition.Call(ctx, "failure", definition.Given{"settings": c.settings, "verb": c.verb, "answer": c.read(failure.Answer)})
	if err != nil {
		failure.Err.Message += "; " + err.Error()
		return c.unquoted(ctx, failure)
	}
	return c.meant(failure, got)
}

// meant is a bad answer with the meaning that the definition gives it. What it leaves
// out stays, and so does an unknown outcome: a server that failed may have done it all
// the same, whatever it says.
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
	if failure.Outcome == sdk.Unknown {
		receipt.Outcome = sdk.Unknown
	}
	return &rest.Failure{Outcome: receipt.Outcome, Err: receipt.Err, Answer: failure.Answer}
}

// judged turns a refusal that the definition made into a failure. A password that no
// request changed is not applied, whatever the definition says.
func (c *call) judged(ctx context.Context, got any) (any, *rest.Failure) {
	receipt, ok := got.(sdk.Receipt)
	switch {
	case !ok:
		return got, nil
	case receipt.Err == nil && c.writes() && !c.changed && !c.found():
		return nil, c.idle(c.place())
	case receipt.Err == nil:
		return got, nil
	}
	failure := &rest.Failure{Outcome: receipt.Outcome, Err: receipt.Err}
	if receipt.Err.Message == "" {
		receipt.Err.Message = "the definition refuses it"
	}
	return nil, c.stopped(ctx, failure)
}

// found reports whether a look alone can say that it is done: an account may be unlocked
// already, and have no sessions.
func (c *call) found() bool { return c.asked != nil && (c.verb == "unlock" || c.verb == "revoke") }

// place is where the definition made its last request, or the file.
func (c *call) place() string {
	if c.asked == nil {
		return c.definition.File
	}
	return c.asked.Place
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
	clean := func(text string) string { return c.main.Scrub(ctx, text, append(slices.Clone(c.noted), c.login)...) }
	failure.Err.Message, failure.Err.Native = clean(failure.Err.Message), clean(failure.Err.Native)
	for index := range failure.Err.Violations {
		failure.Err.Violations[index].Native = clean(failure.Err.Violations[index].Native)
	}
	return failure
}
