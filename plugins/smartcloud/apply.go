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
	if e := i.admissible(op); e != nil {
		return sdk.Refuse(e)
	}
	return i.perform(ctx, op)
}

// Reset has a new password mailed to the user; the receipt holds none.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Reset
	if e := i.target(op); e != nil {
		return sdk.Refuse(e)
	}
	return i.perform(ctx, op)
}

// perform does the operation, and once more if the login turns out to be
// refused and then good again.
func (i *Instance) perform(ctx context.Context, op sdk.Operation) sdk.Receipt {
	receipt := sdk.OK()
	ctx = rest.WithSecrets(ctx, op.Value, op.Old)
	f := i.session.Do(ctx, func(secret.Value) *rest.Failure {
		found, f := i.subscriber(ctx, op.Account)
		if f != nil {
			return f
		}
		if e := found.refuses(op); e != nil {
			return i.settled(ctx, op, found, rest.Refusal(e), &receipt)
		}
		answer, f := i.do(ctx, weightOf(op), request(op, i.bypass))
		return i.settled(ctx, op, found, judge(op, found, answer, f), &receipt)
	})
	if f != nil {
		return f.Receipt()
	}
	return receipt
}

// settled looks whether a refusal of a repeated operation comes from its own
// earlier success: the old password is wrong because it was changed, the new
// one is one of the last 8 because it is the present one. The look is a logon,
// so it is made only then, and only its success counts. A one-time password
// would be used up by a logon; see held.
func (i *Instance) settled(ctx context.Context, op sdk.Operation, found subscriber, f *rest.Failure, receipt *sdk.Receipt) *rest.Failure {
	if f == nil || f.Outcome != sdk.Refused || op.Attempt < 2 || !i.look || op.Verb == sdk.Reset {
		return f
	}
	switch {
	case oneTime(op):
		if remembered(f.Err) && i.held(ctx, op, found) {
			*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
			return nil
		}
		return f
	case f.Err.Code == sdk.PolicyViolation && len(broken(op.Value.Reveal(), op.Account)) == 0:
	case f.Err.Code == sdk.WrongCurrentPassword:
	case f.Err.Code == sdk.AccountStatus && found.status() == sdk.StatusPending:
	default:
		return f
	}
	if verdict, _ := i.logon(ctx, op.Account, op.Value); verdict == sdk.Accepted {
		*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
		return nil
	}
	return f
}

// held asks whether a one-time password that the system remembers is the
// present one, without a logon: a change from it to itself is refused for a
// wrong old password where it is not, and as a repetition where it is. Neither
// changes anything.
func (i *Instance) held(ctx context.Context, op sdk.Operation, found subscriber) bool {
	op.Verb, op.Old, op.MustChange = sdk.Change, op.Value, nil
	a, f := i.do(ctx, weightOf(op), request(op, i.bypass))
	f = judge(op, found, a, f)
	return f != nil && f.Outcome == sdk.Refused && remembered(f.Err)
}

// remembered reports whether a value was refused for being one of the last 8,
// and for nothing else.
func remembered(e *sdk.Error) bool {
	return e.Code == sdk.PolicyViolation && len(e.Violations) == 1 && e.Violations[0].Rule == sdk.RuleHistory
}

// admissible refuses what cannot be asked of this system.
func (i *Instance) admissible(op sdk.Operation) *sdk.Error {
	if e := i.target(op); e != nil {
		return e
	}
	for _, v := range []secret.Value{op.Value, op.Old} {
		if !utf8.ValidString(v.Reveal()) {
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
	r := rest.Request{Method: http.MethodPost}
	c := credential{LoginName: op.Account, NewPassword: op.Value.Reveal()}
	switch {
	case op.Verb == sdk.Reset:
		r.Path, r.Query = authentication+"resetPassword", query("loginName", op.Account)
		return r
	case op.Verb == sdk.Change:
		r.Path = authentication + "changePassword"
		c.OldPassword, c.ConfirmPassword = op.Old.Reveal(), op.Value.Reveal()
	case oneTime(op):
		r.Path = authentication + "setOneTimePassword"
	default:
		r.Path, r.Query = authentication+"setUserPassword", query("bypassPolicy", strconv.FormatBool(bypass))
	}
	r.Body, _ = json.Marshal(map[string]credential{"UserCredential": c}) // strings always encode
	return r
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
func (i *Instance) logon(ctx context.Context, account string, v secret.Value) (sdk.Verdict, *rest.Failure) {
	if f := i.budget.spend(ctx, "subscriber"); f != nil {
		return sdk.CannotTell, f
	}
	r := byMail(account)
	r.Authorization = rest.Basic(account, v)
	_, f := i.client.Do(rest.WithSecrets(ctx, v), r)
	switch {
	case f == nil || f.Answer.Status == http.StatusForbidden || f.Answer.Status == http.StatusNotFound:
		return sdk.Accepted, nil // known, whatever it may see
	case f.Answer.Status == http.StatusUnauthorized:
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, f
}

// verifying is an Instance that offers logons as an ability.
type verifying struct{ *Instance }

// Verify logs on as the user, which counts as an attempt. A refused logon of
// an account whose state forbids logons is Blocked.
func (v *verifying) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	op := sdk.Operation{Verb: sdk.Set, Account: account, Kind: kind, Value: value}
	if e := v.admissible(op); e != nil {
		return sdk.CannotTell, e
	}
	verdict, f := v.logon(ctx, account, value)
	if verdict != sdk.Rejected {
		return verdict, f.AsError()
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
