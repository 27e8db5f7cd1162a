package broadworks

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// exchange does one request with the token of the session.
type exchange func(rest.Request) (rest.Answer, *rest.Failure)

// as runs an operation logged in: with a renewed login once more, if a request
// of it finds the token dead.
func (i *Instance) as(ctx context.Context, op func(do exchange) *rest.Failure) *rest.Failure {
	return i.session.Do(ctx, func(token secret.Value) *rest.Failure {
		return op(func(r rest.Request) (rest.Answer, *rest.Failure) {
			r.Authorization = rest.Bearer(token)
			return i.client.Do(ctx, r)
		})
	})
}

func get(path string, q url.Values) rest.Request {
	return rest.Request{Method: http.MethodGet, Path: path, Query: q, ReadOnly: true}
}

// decode does a request and reads its JSON.
func decode(do exchange, r rest.Request, into any) *rest.Failure {
	a, f := do(r)
	if f != nil {
		return f
	}
	if err := a.JSON(into); err != nil {
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

// expiry warns of a password that has expired or soon will: the largest number
// means never, and the smallest that nobody has counted.
func (s session) expiry() []sdk.Finding {
	if days := s.PasswordExpiresDays; !days.Known || days.N > 14 || days.N == math.MinInt32 {
		return nil
	}
	text := fmt.Sprintf("the login's password expires in %d days", s.PasswordExpiresDays.N)
	if s.PasswordExpiresDays.N < 0 {
		text = "the login's password has expired"
	}
	return []sdk.Finding{{Severity: sdk.Warning, Message: text, Fix: "change it, and the setting password with it"}}
}

// login renews the token while it lives, and logs in anew where that fails.
func (i *Instance) login(ctx context.Context, old secret.Value) (secret.Value, *rest.Failure) {
	if old.Present() {
		if token, f := i.refresh(ctx, old); f == nil {
			return token, nil
		}
	}
	token, f := i.logon(ctx, i.user, i.password)
	switch {
	case f != nil && f.Answer.Status == http.StatusPaymentRequired:
		f.Err.Code = sdk.InvalidConfig
		f.Err.Message = "the password of " + i.user + " has to be changed first: log in to the portal as that user, change it, and give rekey the new one"
	case f != nil && f.Answer.Status == http.StatusNotFound:
		f.Err.Code, f.Err.Message = sdk.InvalidConfig, "there is no login at this url; it ends in /api/vN"
	}
	return token, f
}

// logon asks for a token with a password; 402 is a right one that has to be
// changed.
func (i *Instance) logon(ctx context.Context, user string, password secret.Value) (secret.Value, *rest.Failure) {
	body, _ := json.Marshal(map[string]string{"username": user, "password": password.Reveal()}) // strings always encode
	return i.token(rest.WithSecrets(ctx, password), rest.Request{Method: http.MethodPost, Path: "/auth/token", Body: body, ReadOnly: true})
}

// refresh tries the two paths that the interface has had for it.
func (i *Instance) refresh(ctx context.Context, old secret.Value) (token secret.Value, f *rest.Failure) {
	for _, path := range []string{"/auth/token", "/auth/session"} {
		token, f = i.token(ctx, rest.Request{Method: http.MethodPut, Path: path, Body: []byte("{}"), Authorization: rest.Bearer(old), ReadOnly: true})
		if f == nil || f.Answer.Status != http.StatusNotFound && f.Answer.Status != http.StatusMethodNotAllowed && f.Answer.Status != http.StatusNotImplemented {
			return token, f
		}
	}
	return token, f
}

func (i *Instance) token(ctx context.Context, r rest.Request) (secret.Value, *rest.Failure) {
	a, f := i.client.Do(ctx, r)
	if f != nil {
		return secret.Value{}, f
	}
	var s session
	if err := a.JSON(&s); err != nil {
		return secret.Value{}, rest.Refusal(sdk.AsError(err, sdk.TargetError))
	}
	if s.Token == "" {
		return secret.Value{}, rest.Refusal(sdk.Errorf(sdk.TargetError, "the answer to the login has no token"))
	}
	return secret.New(s.Token), nil
}

// Verify logs on as the user, for the kind web; for others it cannot tell. It
// counts towards maxFailedLoginAttempts.
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	op := sdk.Operation{Verb: sdk.Set, Account: account, Kind: kind, Value: value}
	if e := i.admissible(op); e != nil {
		return sdk.CannotTell, e
	}
	if kind != Web {
		return sdk.CannotTell, nil
	}
	_, f := i.logon(ctx, account, value)
	switch {
	case f == nil:
		return sdk.Accepted, nil
	case f.Answer.Status == http.StatusPaymentRequired:
		return sdk.AcceptedMustChange, nil
	case f.Answer.Status == http.StatusUnauthorized || f.Answer.Status == http.StatusForbidden:
		if f.Err.AccountStatus == sdk.StatusLocked {
			return sdk.Blocked, nil
		}
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, f.AsError()
}
