package redis

import (
	"context"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Verify logs in as the user, once. What a user that is off, one that there is
// not and a wrong value get is one answer, so the user is looked at too.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if value.Empty() {
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "an empty value cannot be verified")
	}
	found, failed := i.one(ctx, account)
	switch {
	case failed != nil:
		return sdk.CannotTell, failed
	case found.is("nopass"):
		return sdk.CannotTell, sdk.Errorf(sdk.Unsupported, "not proven: account %q has nopass, which lets every value in", account)
	case found.is("off"):
		return sdk.Blocked, nil
	}
	replies, lost := i.send(ctx, i.guests, []command{{"AUTH", account, value.Reveal()}})
	if lost != nil && lost.sent && ctx.Err() == nil { // a kept connection was dead
		replies, lost = i.send(ctx, i.guests, []command{{"AUTH", account, value.Reveal()}})
	}
	if lost != nil {
		return sdk.CannotTell, unasked(lost.err)
	}
	answer, refused := replies[0].(redis.Error)
	switch {
	case !refused:
		return sdk.Accepted, nil
	case strings.HasPrefix(string(answer), "WRONGPASS"):
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, explain(answer)
}

// unasked is the error of a question that has no answer.
func unasked(failure *sdk.Error) *sdk.Error {
	if failure.Code == sdk.ConnectionLost {
		return sdk.Errorf(sdk.Unreachable, "%s", failure.Message)
	}
	return failure
}
