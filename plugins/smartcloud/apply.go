package smartcloud

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// remembered reports whether a value was refused for being one of the last 8,
// and for nothing else.
func remembered(failure *sdk.Error) bool {
	return failure.Code == sdk.PolicyViolation && len(failure.Violations) == 1 && failure.Violations[0].Rule == sdk.RuleHistory
}

func oneTime(op sdk.Operation) bool {
	return op.Verb == sdk.Set && op.MustChange != nil && *op.MustChange
}

// credential is the body of the password operations.
type credential struct {
	LoginName       string
	OldPassword     string `json:",omitempty"`
	NewPassword     string
	ConfirmPassword string `json:",omitempty"`
}

// request is the operation as the interface wants it.
func request(op sdk.Operation, bypass bool) rest.Request {
	request := rest.Request{Method: http.MethodPost}
	made := credential{LoginName: op.Account, NewPassword: op.Value.Reveal()}
	switch {
	case op.Verb == sdk.Reset:
		request.Path, request.Query = authentication+"resetPassword", query("loginName", op.Account)
		return request
	case op.Verb == sdk.Change:
		request.Path = authentication + "changePassword"
		made.OldPassword, made.ConfirmPassword = op.Old.Reveal(), op.Value.Reveal()
	case oneTime(op):
		request.Path = authentication + "setOneTimePassword"
	default:
		request.Path, request.Query = authentication+"setUserPassword", query("bypassPolicy", strconv.FormatBool(bypass))
	}
	request.Body, _ = json.Marshal(map[string]credential{"UserCredential": made}) // strings always encode
	return request
}

func weightOf(op sdk.Operation) string {
	if op.Verb == sdk.Change {
		return "changepassword"
	}
	return "authentication"
}

func query(name, value string) url.Values { return url.Values{name: {value}} }

// verifying is an Instance that offers logons as an ability.
type verifying struct{ *Instance }

// Verify logs on as the user, which counts as an attempt. A refused logon of
// an account whose state forbids logons is Blocked.
func (v *verifying) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	if failure := v.admissible(sdk.Operation{Verb: sdk.Verify, Account: account, Kind: kind, Value: value}); failure != nil {
		return sdk.CannotTell, failure
	}
	verdict, failed := v.logon(ctx, account, value)
	if verdict != sdk.Rejected {
		return verdict, failed.AsError()
	}
	found, err := v.Find(ctx, account)
	switch {
	case err != nil:
		return sdk.CannotTell, err
	case found.Status == sdk.StatusSuspended || found.Status == sdk.StatusDeleted:
		return sdk.Blocked, nil
	}
	return sdk.Rejected, nil
}
