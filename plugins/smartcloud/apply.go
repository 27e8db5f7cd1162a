package smartcloud

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Apply sets or changes the password of one account.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.admissible(op); failure != nil {
		return sdk.Refuse(failure)
	}
	return i.perform(ctx, op)
}

// Reset has a new password mailed to the user; the receipt lacks it.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Reset
	if failure := i.target(op); failure != nil {
		return sdk.Refuse(failure)
	}
	return i.perform(ctx, op)
}

// perform does the operation, and once more if the login turns out to be
// refused and then good again.
func (i *Instance) perform(ctx context.Context, op sdk.Operation) sdk.Receipt {
	receipt := sdk.OK()
	ctx = rest.WithSecrets(ctx, op.Value, op.Old)
	failure := i.session.Do(ctx, func(secret.Value) *rest.Failure {
		found, failed := i.subscriber(ctx, op.Account)
		if failed != nil {
			return failed
		}
		if failure := found.refuses(op); failure != nil {
			return i.settled(ctx, op, found, rest.Refusal(failure), &receipt)
		}
		answer, failed := i.do(ctx, weightOf(op), request(op, i.bypass))
		return i.settled(ctx, op, found, judge(op, found, answer, failed), &receipt)
	})
	if failure != nil {
		return failure.Receipt()
	}
	return receipt
}

// settled looks whether a refusal of a repeated operation comes from its own
// earlier success: the old password is wrong because it was changed, the new
// one is one of the last 8 because it is the present one. The look is a logon,
// so it is made only then, and only its success counts. A one-time password
// would be used up by a logon; see held.
func (i *Instance) settled(ctx context.Context, op sdk.Operation, found subscriber, failure *rest.Failure, receipt *sdk.Receipt) *rest.Failure {
	if failure == nil || failure.Outcome != sdk.Refused || op.Attempt < 2 || !i.look || op.Verb == sdk.Reset {
		return failure
	}
	switch {
	case oneTime(op):
		if remembered(failure.Err) && i.held(ctx, op, found) {
			*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
			return nil
		}
		return failure
	case failure.Err.Code == sdk.PolicyViolation && len(broken(op.Value.Reveal(), op.Account)) == 0:
	case failure.Err.Code == sdk.WrongCurrentPassword:
	case failure.Err.Code == sdk.AccountStatus && found.status() == sdk.StatusPending:
	default:
		return failure
	}
	if verdict, _ := i.logon(ctx, op.Account, op.Value); verdict == sdk.Accepted {
		*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
		return nil
	}
	return failure
}

// held asks whether a one-time password that the system remembers is the
// present one, without a logon: a change from it to itself is refused for a
// wrong old password where it is not, and as a repetition where it is. Neither
// changes anything.
func (i *Instance) held(ctx context.Context, op sdk.Operation, found subscriber) bool {
	op.Verb, op.Old, op.MustChange = sdk.Change, op.Value, nil
	answer, failure := i.do(ctx, weightOf(op), request(op, i.bypass))
	failure = judge(op, found, answer, failure)
	return failure != nil && failure.Outcome == sdk.Refused && remembered(failure.Err)
}

// remembered reports whether a value was refused for being one of the last 8,
// and for nothing else.
func remembered(failure *sdk.Error) bool {
	return failure.Code == sdk.PolicyViolation && len(failure.Violations) == 1 && failure.Violations[0].Rule == sdk.RuleHistory
}

// admissible refuses what cannot be asked of this system.
func (i *Instance) admissible(op sdk.Operation) *sdk.Error {
	if failure := i.target(op); failure != nil {
		return failure
	}
	for _, value := range []secret.Value{op.Value, op.Old} {
		if !utf8.ValidString(value.Reveal()) {
			return sdk.Errorf(sdk.InvalidOperation, "a password is not valid UTF-8, which JSON needs")
		}
	}
	switch {
	case op.Verb != sdk.Set && op.Verb != sdk.Change:
		return sdk.Errorf(sdk.Unsupported, "%s: the system has no such operation", op.Verb)
	case op.HashFormat != "":
		return sdk.Errorf(sdk.Unsupported, "the system takes plain passwords only")
	case op.Value.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "the new password is empty")
	case op.Verb == sdk.Change && op.Old.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "the old password is empty")
	case op.Verb == sdk.Change && op.MustChange != nil && *op.MustChange:
		return sdk.Errorf(sdk.Unsupported, "a change makes a permanent password; use set with must_change = True")
	}
	return nil
}

func (i *Instance) target(op sdk.Operation) *sdk.Error {
	switch {
	case op.Account == "":
		return sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	case op.Kind != "":
		return sdk.Errorf(sdk.InvalidOperation, "kind %q: an account has one password, whose kind is \"\"", op.Kind)
	case strings.EqualFold(strings.TrimSpace(op.Account), i.admin):
		return sdk.Errorf(sdk.Protected, "is the administrator that rekey is logged in as")
	}
	return nil
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

// logon tries a password as its owner, by reading the own profile. It is
// CannotTell, with the reason, where the answer says neither yes nor no.
func (i *Instance) logon(ctx context.Context, account string, value secret.Value) (sdk.Verdict, *rest.Failure) {
	if failure := i.budget.spend(ctx, "subscriber"); failure != nil {
		return sdk.CannotTell, failure
	}
	request := byMail(account)
	request.Authorization = rest.Basic(account, value)
	_, failed := i.client.Do(rest.WithSecrets(ctx, value), request)
	switch {
	case failed == nil || failed.Answer.Status == http.StatusForbidden || failed.Answer.Status == http.StatusNotFound:
		return sdk.Accepted, nil // known, whatever it may see
	case failed.Answer.Status == http.StatusUnauthorized:
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, failed
}

// verifying is an Instance that offers logons as an ability.
type verifying struct{ *Instance }

// Verify logs on as the user, which counts as an attempt. A refused logon of
// an account whose state forbids logons is Blocked.
func (v *verifying) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	op := sdk.Operation{Verb: sdk.Set, Account: account, Kind: kind, Value: value}
	if failure := v.admissible(op); failure != nil {
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
