package kendox

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// dciAdmin is the id of the built-in administrator, and its login.
const (
	dciAdmin      = "0100a003-38a7-11d8-a902-0050bf427e8f"
	dciAdminLogin = "dciadmin"
)

// Instance is one configured InfoShare. Its methods may be called concurrently.
type Instance struct {
	client, bulk *rest.Client // bulk is for lists of all users
	session      *rest.Session

	tenant, user, clientID string
	password               secret.Value
	encoding               string
	policy                 sdk.Policy

	ownID    atomic.Pointer[string] // of the service account; nil before the first logon
	readOnly atomic.Bool            // the last logon's licence
	rights   rights
	store    store

	after   func(time.Duration) <-chan time.Time
	keeping sync.Once
	running sync.WaitGroup
	context context.Context
	cancel  context.CancelFunc
}

// Apply sets a password. Sending the same one again does the same again.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	method, name, value, err := i.prepare(op)
	if err != nil {
		return sdk.Refuse(err)
	}
	// A server that gets the value knows its hash too.
	known := []secret.Value{op.Value, value, digest(op.Value, i.encoding)}
	if failure := i.set(rest.WithSecrets(ctx, known...), op.Account, method, name, value); failure != nil {
		return i.scrubbed(ctx, failure, known).Receipt()
	}
	return sdk.OK()
}

// set finds the user and makes the call, if all that can be known beforehand
// allows it.
func (i *Instance) set(ctx context.Context, account, method, parameter string, value secret.Value) *rest.Failure {
	if failure := i.mayChange(ctx); failure != nil {
		return failure
	}
	user, failed := i.resolve(ctx, account)
	if failed != nil {
		return failed
	}
	if err := i.refuses(user); err != nil {
		return rest.Refusal(err)
	}
	_, failed = i.in(ctx, call{service: "Common", method: method, arguments: map[string]any{"userId": user.ID, parameter: value}})
	if failed != nil && failed.Err.Code == sdk.AccountNotFound {
		i.store.forget()
	}
	return failed
}

// scrubbed takes an operation's secrets out of a failure read from an
// answer of status 200, of which the client does not know.
func (i *Instance) scrubbed(ctx context.Context, failure *rest.Failure, known []secret.Value) *rest.Failure {
	failure.Err.Message = i.client.Scrub(ctx, failure.Err.Message, known...)
	return failure
}

// prepare checks an operation before anything is sent, and picks the call, its
// parameter and what goes into it.
func (i *Instance) prepare(op sdk.Operation) (method, name string, value secret.Value, err *sdk.Error) {
	plain, _ := op.Options["plain"].(bool)
	switch {
	case op.Verb != sdk.Set:
		err = sdk.Errorf(sdk.Unsupported, "%s: InfoShare has that for a user's own session only; use set", op.Verb)
	case op.Kind != "":
		err = kindless(op.Kind)
	case op.MustChange != nil && *op.MustChange:
		err = sdk.Errorf(sdk.Unsupported, "must_change: InfoShare has no call for it that leaves the rest of a user alone")
	case op.Value.Empty():
		err = sdk.Errorf(sdk.InvalidOperation, "a set needs a value")
	case op.HashFormat != "" && op.HashFormat != hashFormat:
		err = sdk.Errorf(sdk.Unsupported, "hash_format: %q is not sha512-base64", op.HashFormat)
	case op.HashFormat != "" && plain:
		err = sdk.Errorf(sdk.InvalidOperation, "plain: a hash cannot be sent as the value itself")
	case op.HashFormat != "" && !isDigest(op.Value):
		err = sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is not the Base64 of the 64 bytes of a SHA-512")
	case op.HashFormat != "":
		return "SetUserPasswordHashed", "newPasswordHashed", op.Value, nil
	default:
		err = i.violates(op.Value)
	}
	if plain {
		return "SetUserPassword", "newPassword", op.Value, err
	}
	return "SetUserPasswordHashed", "newPasswordHashed", digest(op.Value, i.encoding), err
}

// refuses says why a user's password must not or cannot be set.
func (i *Instance) refuses(user user) *sdk.Error {
	own := i.ownID.Load()
	switch {
	case strings.EqualFold(user.ID, dciAdmin), strings.EqualFold(user.Login, dciAdminLogin):
		return sdk.Errorf(sdk.Protected, "%q is DCIAdmin, whose password only DCIAdmin may set", user.Login)
	case own != nil && strings.EqualFold(user.ID, *own), strings.EqualFold(user.Login, i.user):
		return sdk.Errorf(sdk.Protected, "%q is the account that this backend logs in with", user.Login)
	case user.Obsolete.On:
		return &sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusDeleted, Message: "the user is deleted"}
	case user.Internal.Known && !user.Internal.On:
		return sdk.Errorf(sdk.NoCredential, "the user does not log in with an internal password")
	}
	return nil
}

// Policy returns the rules of the settings: the server does not tell its own.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) { return i.policy, nil }

// Verify logs on as the user and off again, once.
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	if err := kindless(kind); err != nil {
		return sdk.CannotTell, err
	}
	user, failure := i.resolve(ctx, account)
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	switch {
	case user.Obsolete.On || user.Active.Known && !user.Active.On:
		return sdk.Blocked, nil
	case user.Internal.Known && !user.Internal.On:
		return sdk.CannotTell, sdk.Errorf(sdk.NoCredential, "the user does not log in with an internal password")
	}
	known := []secret.Value{value, digest(value, i.encoding)}
	logonResult, failure := i.authenticate(rest.WithSecrets(ctx, known...), user.Login, known[1])
	if failure == nil {
		i.logoff(ctx, secret.New(logonResult.ConnectionID))
		return sdk.Accepted, nil
	}
	switch failure.Err.Native {
	case "10006":
		return sdk.Rejected, nil
	case "10053", "10054", "10055":
		return sdk.CannotTell, nil
	}
	return sdk.CannotTell, i.scrubbed(ctx, failure, known).AsError()
}
