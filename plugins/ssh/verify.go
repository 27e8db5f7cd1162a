package ssh

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Verify logs in as the account, by a connection of its own, once.
func (i *Instance) Verify(ctx context.Context, name, _ string, value secret.Value) (sdk.Verdict, error) {
	target, failure := i.parse(name)
	if failure != nil {
		return sdk.CannotTell, failure
	}
	on := i.fleet.borrow(account{i.user, target.address})
	defer i.fleet.giveBack(on)
	verdict, failure := i.try(ctx, on, target, value)
	if failure != nil {
		return sdk.CannotTell, failure
	}
	return i.explain(ctx, on, target, verdict, value)
}

// Why a logon with a value ended before it was complete.
var (
	errNotTaken = errors.New("the host takes no passwords from the account")
	errEnough   = errors.New("the password is right, and the host wants more")
)

// try is one logon with the value. Accepted by a host that asked for no password
// proves nothing.
func (i *Instance) try(ctx context.Context, on *host, target account, value secret.Value) (sdk.Verdict, *sdk.Error) {
	asked := false
	client, failure := i.fleet.dial(ctx, on, login{user: target.user, auth: byPassword(value.Reveal(), &asked), next: once})
	switch {
	case failure == nil && asked:
		return sdk.Accepted, closed(client)
	case failure == nil:
		return sdk.CannotTell, closed(client)
	case failure.Code == sdk.PermissionDenied && failure.Native == errEnough.Error():
		return sdk.Accepted, nil
	case failure.Code == sdk.PermissionDenied && asked:
		return sdk.Rejected, nil
	case failure.Code == sdk.PermissionDenied:
		return sdk.CannotTell, nil
	}
	return sdk.CannotTell, failure
}

// byPassword proves who somebody is by a password, and notes whether it was asked for.
func byPassword(text string, asked *bool) []ssh.AuthMethod {
	return []ssh.AuthMethod{
		ssh.PasswordCallback(func() (string, error) { *asked = true; return text, nil }),
		ssh.KeyboardInteractive(func(name, instruction string, questions []string, echos []bool) ([]string, error) {
			*asked = *asked || len(questions) > 0
			return answering(text)(name, instruction, questions, echos)
		}),
	}
}

func closed(client *ssh.Client) *sdk.Error {
	_ = client.Close() // nothing was done on it
	return nil
}

// once ends a handshake after one method that carries the password.
func once(at *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	methods := []string{"password", "keyboard-interactive"}
	any := func(list []string) bool {
		return slices.ContainsFunc(list, func(name string) bool { return slices.Contains(methods, name) })
	}
	switch {
	case any(at.PartialSuccessMethods):
		return nil, errEnough
	case any(at.TriedMethods):
		return nil, errRefused
	case !any(at.AllowedMethods):
		return nil, errNotTaken
	}
	return nil, nil
}

// explain looks at the account's line where the logon alone does not say it all.
func (i *Instance) explain(ctx context.Context, on *host, target account, verdict sdk.Verdict, value secret.Value) (sdk.Verdict, error) {
	entry, failure := i.fleet.entryOf(ctx, on, target.user)
	if failure != nil {
		if verdict == sdk.Accepted {
			return sdk.Accepted, nil
		}
		return sdk.CannotTell, failure
	}
	yes, told := entry.takes(value.Reveal())
	switch {
	case verdict == sdk.Accepted && entry.changed == 0:
		return sdk.AcceptedMustChange, nil
	case verdict == sdk.Accepted:
		return sdk.Accepted, nil
	case told && !yes:
		return sdk.Rejected, nil
	case entry.locked() || entry.barred() || entry.expired(i.now()):
		return sdk.Blocked, nil
	case told && yes: // the right value, and sshd keeps the account out
		return sdk.CannotTell, nil
	}
	return verdict, nil
}
