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
	target, err := i.target(account)
	if err != nil {
		return sdk.Account{}, err
	}
	a, failure := i.find(ctx, target)
	if failure != nil && absent(failure) {
		return sdk.Account{}, sdk.Errorf(sdk.Unsupported, "find: LoginDataWebService is not there; leave the look-up out, or name the place of the services with services")
	}
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	a.Account = account
	return a, nil
}

// login asks for the record of an identity.
func (i *Instance) login(ctx context.Context, target target) (*node, *rest.Failure) {
	answer, failure := i.call(ctx, i.logins, message{operation: "getLoginByManagedSys", fields: target.fields(), readOnly: true})
	if failure != nil {
		return nil, failure
	}
	login := answer.child("principal")
	if answer.attribute("status") != "success" || login == nil {
		return nil, rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "no such identity: %s", target))
	}
	return login, nil
}

// mustChange reads the flag that a reset leaves.
func mustChange(login *node) bool { return login.value("resetPassword") == "1" }

func (i *Instance) find(ctx context.Context, target target) (sdk.Account, *rest.Failure) {
	login, failure := i.login(ctx, target)
	if failure != nil {
		return sdk.Account{}, failure
	}
	must := mustChange(login)
	account := sdk.Account{Account: target.principal, ID: login.value("userId"), Login: target.principal, Status: sdk.StatusActive,
		MustChange: &must, ChangedAt: date(login.value("pwdChanged")),
		Stamp: login.value("pwdChanged") + "/" + login.value("passwordChangeCount")}
	if login.value("pwdChanged") == "" {
		account.Stamp = ""
	}
	failure = i.person(ctx, target, login, &account)
	return account, failure
}

// person adds what the user's record says. An identity whose user is missing
// has an unknown status.
func (i *Instance) person(ctx context.Context, target target, login *node, account *sdk.Account) *rest.Failure {
	answer, failure := i.call(ctx, i.logins, message{operation: "getUserByLogin", fields: target.fields(), readOnly: true})
	if failure != nil {
		return failure
	}
	user := answer.child("user")
	if answer.attribute("status") != "success" || user == nil {
		account.Status = sdk.StatusUnknown
		return nil
	}
	account.Name = strings.TrimSpace(user.value("firstName") + " " + user.value("lastName"))
	account.Mail = user.value("email")
	account.Status = status(user.value("status"), user.value("secondaryStatus"))
	if account.Status == sdk.StatusActive && login.value("isLocked") == "1" {
		account.Status = sdk.StatusLocked
	}
	return nil
}

// status reads the two statuses of a user, in any case.
func status(first, second string) sdk.Status {
	switch text := strings.ToLower(first); {
	case text == "deleted" || text == "terminate" || text == "retired":
		return sdk.StatusDeleted
	case text == "inactive" || text == "disabled":
		return sdk.StatusDisabled
	case text == "leave":
		return sdk.StatusSuspended
	case text == "locked" || text == "locked_admin":
		return sdk.StatusLocked
	case strings.HasPrefix(text, "pending") && text != "pending_initial_login" || text == "approval_declined":
		return sdk.StatusPending
	case text != "active" && text != "pending_initial_login":
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
// the text is unreadable.
func date(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}

// holds asks whether OpenIAM holds this value for the identity. It is not a
// logon and does not count.
func (i *Instance) holds(ctx context.Context, target target, value secret.Value) (bool, *rest.Failure) {
	answer, failure := i.call(ctx, i.logins, message{operation: "isPasswordEq", readOnly: true, secrets: secrets(value),
		fields: append(target.fields(), field{"newPassword", value.Reveal()})})
	if failure != nil {
		return false, failure
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
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	target, err := i.target(account)
	if err == nil && kind != "" {
		err = sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", kind)
	}
	if err != nil {
		return sdk.CannotTell, err
	}
	ctx = rest.WithSecrets(ctx, value)
	switch {
	case i.verify == verifyNone:
		return sdk.CannotTell, nil
	case !writable(value.Reveal()):
		return sdk.Rejected, nil
	case i.verify == verifyLogon:
		return i.logon(ctx, target, value)
	}
	return i.compare(ctx, target, value)
}

// compare asks for equality, then for the identity itself: that the value is
// not equal also holds of an identity that does not exist.
func (i *Instance) compare(ctx context.Context, target target, value secret.Value) (sdk.Verdict, error) {
	same, failure := i.holds(ctx, target, value)
	if failure != nil && absent(failure) && !i.lookup {
		return sdk.CannotTell, nil
	}
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	login, failure := i.login(ctx, target)
	switch {
	case failure != nil && failure.Err.Code == sdk.AccountNotFound:
		return sdk.CannotTell, failure.AsError()
	case !same:
		return sdk.Rejected, nil
	case failure == nil && mustChange(login):
		return sdk.AcceptedMustChange, nil
	}
	return sdk.Accepted, nil
}

// logon logs on once. Only identities of the default managed system can.
func (i *Instance) logon(ctx context.Context, target target, value secret.Value) (sdk.Verdict, error) {
	if target.system != defaultSystem {
		return sdk.CannotTell, nil
	}
	answer, failure := i.call(ctx, i.logons, message{operation: "passwordAuth", readOnly: true, secrets: secrets(value),
		fields: []field{{"domainId", target.domain}, {"principal", target.principal}, {"password", value.Reveal()}}})
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	if answer.attribute("status") == "success" {
		if answer.child("subject").value("resultCode") == "3" {
			return sdk.AcceptedMustChange, nil
		}
		return sdk.Accepted, nil
	}
	return verdict(answer.value("authErrorCode"), target)
}

// verdict reads the result code of a logon that did not succeed. An expired
// password was the right one: the server compares it first.
func verdict(code string, target target) (sdk.Verdict, error) {
	count, err := strconv.Atoi(code)
	switch {
	case err != nil:
		return sdk.CannotTell, nil
	case count == 100:
		failure := sdk.Errorf(sdk.AccountNotFound, "no such identity: %s", target)
		failure.Native = code
		return sdk.CannotTell, failure
	case count == 101:
		return sdk.Rejected, nil
	case count == 102:
		return sdk.AcceptedMustChange, nil
	case count == 103, count == 104, count == 110:
		return sdk.Blocked, nil
	case count == 109:
		failure := sdk.Errorf(sdk.InvalidConfig, "there is no security domain %q", target.domain)
		failure.Native = code
		return sdk.CannotTell, failure
	}
	return sdk.CannotTell, nil
}

// Unlock lifts the lock of an identity and of its user.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, err := i.target(op.Account)
	if err != nil {
		return sdk.Refuse(err)
	}
	// The server fails in a way of its own for a missing identity.
	if _, failure := i.find(ctx, target); failure != nil {
		return failure.Receipt()
	}
	answer, failed := i.call(ctx, i.logins, message{operation: "unLockLogin", fields: target.fields()})
	if failed != nil {
		return failed.Receipt()
	}
	switch answer.attribute("status") {
	case "success":
		return sdk.OK()
	case "failure":
		return i.failure(ctx, answer, op, target).Receipt()
	}
	return sdk.Lost(sdk.Errorf(sdk.TargetError, "the answer says neither success nor failure"))
}
