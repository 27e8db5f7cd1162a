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

// lookups asks the services beside provisioning for an account, its owner and whether a value
// is the present one.
type lookups struct{ *Instance }

// login asks for the record of an identity.
func (i lookups) login(ctx context.Context, target target) (*node, *rest.Failure) {
	answer, failure := soap(i).call(ctx, i.logins, message{operation: "getLoginByManagedSys", fields: target.fields(), readOnly: true})
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

func (i lookups) find(ctx context.Context, target target) (sdk.Account, *rest.Failure) {
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
func (i lookups) person(ctx context.Context, target target, login *node, account *sdk.Account) *rest.Failure {
	answer, failure := soap(i).call(ctx, i.logins, message{operation: "getUserByLogin", fields: target.fields(), readOnly: true})
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
func (i lookups) holds(ctx context.Context, target target, value secret.Value) (bool, *rest.Failure) {
	answer, failure := soap(i).call(ctx, i.logins, message{operation: "isPasswordEq", readOnly: true, secrets: secrets(value),
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
