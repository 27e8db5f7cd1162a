package kendox

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// logins opens the instance's session, keeps it alive and ends it.
type logins struct{ *Instance }

// logonResult is what this plugin reads of a LogonResult.
type logonResult struct {
	ConnectionID string    `json:"ConnectionId"`
	Timeout      rest.Int  `json:"ConnectionTimeoutSeconds"`
	OwnUserID    rest.Text `json:"OwnUserId"`
	ReadOnly     rest.Bool `json:"IsReadOnlyLicence"`
	NeedsCode    rest.Bool `json:"IsVerificationCodeNeeded"`
}

// authenticate logs a user on with a hash.
func (i logins) authenticate(ctx context.Context, user string, hash secret.Value) (logonResult, *rest.Failure) {
	arguments := map[string]any{"userName": user, "passwordHashed": hash, "timeZoneOffsetMinutes": 0}
	if i.tenant != "" {
		arguments["tenantName"] = i.tenant
	}
	if i.clientID != "" {
		arguments["clientId"] = i.clientID
	}
	result, failure := i.do(ctx, call{service: "Authentication", method: "Logon", arguments: arguments, readOnly: true}, secret.Value{})
	if failure != nil {
		return logonResult{}, failure
	}
	var r logonResult
	if failed := decode(result, &r); failed != nil {
		return r, failed
	}
	if r.ConnectionID == "" {
		return r, rest.Refusal(sdk.Errorf(sdk.TargetError, "the logon answered no connection id"))
	}
	return r, nil
}

// logon gets a session for the service account.
func (i logins) logon(ctx context.Context, _ secret.Value) (secret.Value, *rest.Failure) {
	logonResult, failure := i.authenticate(ctx, i.user, digest(i.password, i.encoding))
	if failure != nil {
		return secret.Value{}, failure
	}
	connection := secret.New(logonResult.ConnectionID)
	if logonResult.NeedsCode.On {
		i.logoff(ctx, connection)
		return secret.Value{}, rest.Refusal(needsCode())
	}
	own := string(logonResult.OwnUserID)
	i.ownID.Store(&own)
	i.readOnly.Store(logonResult.ReadOnly.On)
	i.keepAlive(time.Duration(logonResult.Timeout.N) * time.Second)
	return connection, nil
}

func needsCode() *sdk.Error {
	return &sdk.Error{Code: sdk.SecondFactorNeeded, Native: "10152",
		Message: "the service account has a second factor; use an account without one, or switch it off for this one"}
}

// logoff ends a session. Nothing can be done about one that cannot be ended:
// it idles out.
func (i logins) logoff(ctx context.Context, connection secret.Value) {
	_, _ = i.do(ctx, call{service: "Authentication", method: "Logoff", readOnly: true}, connection)
}

// shortest is the least time between two calls that only keep a session alive.
const shortest = 200 * time.Millisecond

// keepAlive starts, at the first logon, to restart the idle time of whatever
// session there is well before it ends.
func (i logins) keepAlive(idle time.Duration) {
	if idle <= 0 {
		return
	}
	i.keeping.Do(func() {
		i.running.Add(1)
		go i.keep(max(idle/3, shortest))
	})
}

func (i logins) keep(every time.Duration) {
	defer i.running.Done()
	for {
		select {
		case <-i.context.Done():
			return
		case <-i.after(every):
		}
		if connection := i.session.Token(); connection.Present() {
			ctx, cancel := context.WithTimeout(i.context, every)
			_, _ = i.do(ctx, call{service: "Authentication", method: "GetLogonResult", readOnly: true}, connection)
			cancel()
		}
	}
}

// lastWords is how long Close waits for its Logoff.
const lastWords = 2 * time.Second
