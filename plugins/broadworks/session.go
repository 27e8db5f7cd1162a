package broadworks

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// logins logs in with the instance's own account, keeps the token and renews it.
type logins struct{ *Instance }

// exchange does one request with the token of the session.
type exchange func(rest.Request) (rest.Answer, *rest.Failure)

// as runs an operation logged in: with a renewed login once more, if a request
// of it finds the token dead.
func (i logins) as(ctx context.Context, op func(do exchange) *rest.Failure) *rest.Failure {
	return i.session.Do(ctx, func(token secret.Value) *rest.Failure {
		return op(func(request rest.Request) (rest.Answer, *rest.Failure) {
			request.Authorization = rest.Bearer(token)
			return i.client.Do(ctx, request)
		})
	})
}

func get(path string, values url.Values) rest.Request {
	return rest.Request{Method: http.MethodGet, Path: path, Query: values, ReadOnly: true}
}

// decode does a request and reads its JSON.
func decode(do exchange, request rest.Request, into any) *rest.Failure {
	answer, failure := do(request)
	if failure != nil {
		return failure
	}
	if err := answer.JSON(into); err != nil {
		return rest.Refusal(sdk.AsError(err, sdk.TargetError))
	}
	return nil
}

// session is what the interface tells of a login.
type session struct {
	Token               string
	LoginType           rest.Text
	PasswordExpiresDays rest.Int // negative ones are written as strings
}

// expiry warns of a password that expired or soon will: the largest number
// means never, and the smallest, that the days were never counted.
func (s session) expiry() []sdk.Finding {
	if days := s.PasswordExpiresDays; !days.Known || days.N > int64(health.Soon/(24*time.Hour)) || days.N == math.MinInt32 {
		return nil
	}
	text := fmt.Sprintf("the login's password expires in %d days", s.PasswordExpiresDays.N)
	if s.PasswordExpiresDays.N < 0 {
		text = "the login's password has expired"
	}
	return []sdk.Finding{{Severity: sdk.Warning, Message: text, Fix: "change it, and the setting password with it"}}
}

// login renews the token while it lives, and logs in anew where that fails.
func (i logins) login(ctx context.Context, old secret.Value) (secret.Value, *rest.Failure) {
	if old.Present() {
		if token, failure := i.refresh(ctx, old); failure == nil {
			return token, nil
		}
	}
	token, failed := i.logon(ctx, i.user, i.password)
	switch {
	case failed != nil && failed.Answer.Status == http.StatusPaymentRequired:
		failed.Err.Code = sdk.InvalidConfig
		failed.Err.Message = "the password of " + i.user + " has to be changed first: log in to the portal as that user, change it, and give rekey the new one"
	case failed != nil && failed.Answer.Status == http.StatusNotFound:
		failed.Err.Code, failed.Err.Message = sdk.InvalidConfig, "there is no login at this url; it ends in /api/vN"
	}
	return token, failed
}

// logon asks for a token with a password; 402 is a right one due to be
// changed.
func (i logins) logon(ctx context.Context, user string, password secret.Value) (secret.Value, *rest.Failure) {
	body, _ := json.Marshal(map[string]string{"username": user, "password": password.Reveal()}) // strings always encode
	return i.token(rest.WithSecrets(ctx, password), rest.Request{Method: http.MethodPost, Path: "/auth/token", Body: body, ReadOnly: true})
}

// refresh tries the two paths that the interface has had for it.
func (i logins) refresh(ctx context.Context, old secret.Value) (token secret.Value, failure *rest.Failure) {
	for _, path := range []string{"/auth/token", "/auth/session"} {
		token, failure = i.token(ctx, rest.Request{Method: http.MethodPut, Path: path, Body: []byte("{}"), Authorization: rest.Bearer(old), ReadOnly: true})
		if failure == nil || failure.Answer.Status != http.StatusNotFound && failure.Answer.Status != http.StatusMethodNotAllowed && failure.Answer.Status != http.StatusNotImplemented {
			return token, failure
		}
	}
	return token, failure
}

func (i logins) token(ctx context.Context, request rest.Request) (secret.Value, *rest.Failure) {
	answer, failure := i.client.Do(ctx, request)
	if failure != nil {
		return secret.Value{}, failure
	}
	var s session
	if err := answer.JSON(&s); err != nil {
		return secret.Value{}, rest.Refusal(sdk.AsError(err, sdk.TargetError))
	}
	if s.Token == "" {
		return secret.Value{}, rest.Refusal(sdk.Errorf(sdk.TargetError, "the answer to the login has no token"))
	}
	return secret.New(s.Token), nil
}
