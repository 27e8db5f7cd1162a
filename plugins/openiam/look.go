package openiam

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Find returns the state of an identity and of its user. The stamp is made of
// the time of the last change, which OpenIAM may keep in whole seconds, and
// the change counter.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	t, err := i.target(account)
	if err != nil {
		return sdk.Account{}, err
	}
	a, f := i.find(ctx, t)
	if f != nil && absent(f) {
		return sdk.Account{}, sdk.Errorf(sdk.Unsupported, "find: LoginDataWebService is not there; leave the look-up out, or name the place of the services with services")
	}
	if f != nil {
		return sdk.Account{}, f.AsError()
	}
	a.Account = account
	return a, nil
}

// login asks for the record of an identity.
func (i *Instance) login(ctx context.Context, t target) (*node, *rest.Failure) {
	answer, f := i.call(ctx, i.logins, message{operation: "getLoginByManagedSys", fields: t.fields(), readOnly: true})
	if f != nil {
		return nil, f
	}
	login := answer.child("principal")
	if answer.attribute("status") != "success" || login == nil {
		return nil, rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "no such identity: %s", t))
	}
	return login, nil
}

// mustChange reads the flag that a reset leaves.
func mustChange(login *node) bool { return login.value("resetPassword") == "1" }

func (i *Instance) find(ctx context.Context, t target) (sdk.Account, *rest.Failure) {
	login, f := i.login(ctx, t)
	if f != nil {
		return sdk.Account{}, f
	}
	must := mustChange(login)
	a := sdk.Account{Account: t.principal, ID: login.value("userId"), Login: t.principal, Status: sdk.StatusActive,
		MustChange: &must, ChangedAt: date(login.value("pwdChanged")),
		Stamp: login.value("pwdChanged") + "/" + login.value("passwordChangeCount")}
	if login.value("pwdChanged") == "" {
		a.Stamp = ""
	}
	f = i.person(ctx, t, login, &a)
	return a, f
}

// person adds what the user's record says. An identity whose user is missing
// has an unknown status.
func (i *Instance) person(ctx context.Context, t target, login *node, a *sdk.Account) *rest.Failure {
	answer, f := i.call(ctx, i.logins, message{operation: "getUserByLogin", fields: t.fields(), readOnly: true})
	if f != nil {
		return f
	}
	user := answer.child("user")
	if answer.attribute("status") != "success" || user == nil {
		a.Status = sdk.StatusUnknown
		return nil
	}
	a.Name = strings.TrimSpace(user.value("firstName") + " " + user.value("lastName"))
	a.Mail = user.value("email")
	a.Status = status(user.value("status"), user.value("secondaryStatus"))
	if a.Status == sdk.StatusActive && login.value("isLocked") == "1" {
		a.Status = sdk.StatusLocked
	}
	return nil
}

// status reads the two statuses of a user, in any case.
func status(first, second string) sdk.Status {
	switch s := strings.ToLower(first); {
	case s == "deleted" || s == "terminate" || s == "retired":
		return sdk.StatusDeleted
	case s == "inactive" || s == "disabled":
		return sdk.StatusDisabled
	case s == "leave":
		return sdk.StatusSuspended
	case s == "locked" || s == "locked_admin":
		return sdk.StatusLocked
	case strings.HasPrefix(s, "pending") && s != "pending_initial_login" || s == "approval_declined":
		return sdk.StatusPending
	case s != "active" && s != "pending_initial_login":
		return sdk.StatusUnknown
	}
	switch strings.ToLower(second) {
	case "locked", "locked_admin":
		return sdk.StatusLocked
	case "disabled":
		return sdk.StatusDisabled
	}
	return sdk.StatusActive
}

// date reads an xs:dateTime; one without a zone is taken as UTC. It is zero if
// the text is none.
func date(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// holds asks whether OpenIAM holds this value for the identity. It is not a
// logon and counts as none.
func (i *Instance) holds(ctx context.Context, t target, v secret.Value) (bool, *rest.Failure) {
	answer, f := i.call(ctx, i.logins, message{operation: "isPasswordEq", readOnly: true, secrets: secrets(v),
		fields: append(t.fields(), field{"newPassword", v.Reveal()})})
	if f != nil {
		return false, f
	}
	switch answer.attribute("status") {
	case "success":
		return true, nil
	case "failure":
		return false, nil
	}
	return false, rest.Refusal(sdk.Errorf(sdk.TargetError, "isPasswordEq: the answer says neither success nor failure"))
}

// Verify asks in the way that the setting verify says.
func (i *Instance) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	t, err := i.target(account)
	if err == nil && kind != "" {
		err = sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", kind)
	}
	if err != nil {
		return sdk.CannotTell, err
	}
	ctx = rest.WithSecrets(ctx, v)
	switch {
	case i.verify == verifyNone:
		return sdk.CannotTell, nil
	case !writable(v.Reveal()):
		return sdk.Rejected, nil
	case i.verify == verifyLogon:
		return i.logon(ctx, t, v)
	}
	return i.compare(ctx, t, v)
}

// compare asks for equality, then for the identity itself: that the value is
// not equal also holds of an identity that does not exist.
func (i *Instance) compare(ctx context.Context, t target, v secret.Value) (sdk.Verdict, error) {
	same, f := i.holds(ctx, t, v)
	if f != nil && absent(f) && !i.lookup {
		return sdk.CannotTell, nil
	}
	if f != nil {
		return sdk.CannotTell, f.AsError()
	}
	login, f := i.login(ctx, t)
	switch {
	case f != nil && f.Err.Code == sdk.AccountNotFound:
		return sdk.CannotTell, f.AsError()
	case !same:
		return sdk.Rejected, nil
	case f == nil && mustChange(login):
		return sdk.AcceptedMustChange, nil
	}
	return sdk.Accepted, nil
}

// logon logs on once. Only identities of the default managed system can.
func (i *Instance) logon(ctx context.Context, t target, v secret.Value) (sdk.Verdict, error) {
	if t.system != defaultSystem {
		return sdk.CannotTell, nil
	}
	answer, f := i.call(ctx, i.logons, message{operation: "passwordAuth", readOnly: true, secrets: secrets(v),
		fields: []field{{"domainId", t.domain}, {"principal", t.principal}, {"password", v.Reveal()}}})
	if f != nil {
		return sdk.CannotTell, f.AsError()
	}
	if answer.attribute("status") == "success" {
		if answer.child("subject").value("resultCode") == "3" {
			return sdk.AcceptedMustChange, nil
		}
		return sdk.Accepted, nil
	}
	return verdict(answer.value("authErrorCode"), t)
}

// verdict reads the result code of a logon that did not succeed. An expired
// password was the right one: the server compares it first.
func verdict(code string, t target) (sdk.Verdict, error) {
	n, err := strconv.Atoi(code)
	switch {
	case err != nil:
		return sdk.CannotTell, nil
	case n == 100:
		e := sdk.Errorf(sdk.AccountNotFound, "no such identity: %s", t)
		e.Native = code
		return sdk.CannotTell, e
	case n == 101:
		return sdk.Rejected, nil
	case n == 102:
		return sdk.AcceptedMustChange, nil
	case n == 103, n == 104, n == 110:
		return sdk.Blocked, nil
	case n == 109:
		e := sdk.Errorf(sdk.InvalidConfig, "there is no security domain %q", t.domain)
		e.Native = code
		return sdk.CannotTell, e
	}
	return sdk.CannotTell, nil
}

// Unlock lifts the lock of an identity and of its user.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	t, err := i.target(op.Account)
	if err != nil {
		return sdk.Refuse(err)
	}
	// The server fails in a way of its own where there is no such identity.
	if _, f := i.find(ctx, t); f != nil {
		return f.Receipt()
	}
	answer, f := i.call(ctx, i.logins, message{operation: "unLockLogin", fields: t.fields()})
	if f != nil {
		return f.Receipt()
	}
	switch answer.attribute("status") {
	case "success":
		return sdk.OK()
	case "failure":
		return i.failure(ctx, answer, op, t).Receipt()
	}
	return sdk.Lost(sdk.Errorf(sdk.TargetError, "the answer says neither success nor failure"))
}
