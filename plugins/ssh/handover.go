package ssh

import (
	"context"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// own is the account that the passwords of login are of: rekey's on the only host of
// hosts. On every other host it has the configured one.
func (s settings) own() (account, bool) {
	if s.keyFile != "" || len(s.hosts) != 1 {
		return account{}, false
	}
	made := account{s.user, s.hosts[0]}
	return made, !slices.Contains(s.jump, made)
}

// mayHandOver returns why an account is not handed over, nil if it is rekey's own.
func (s settings) mayHandOver(op sdk.Operation, target account) *sdk.Error {
	own, ok := s.own()
	failure := op.NotOwn(own.String())
	switch {
	case ok && target == own:
		return nil
	case ok:
	case target.user != s.user:
		failure = op.NotOwn(s.user)
	case s.keyFile != "":
		failure = sdk.Errorf(sdk.Unsupported, "account %s: rekey logs in with key_file: its password is set as any other", target)
	default:
		failure.Message = "account " + target.String() + ": a handover needs a backend of its own for the host, which is no jump host of it: hosts = [\"" + target.address.String() + "\"]"
	}
	return failure
}

// handOver changes the password that rekey logs in with, and goes on with the new one
// when a connection of its own has logged in with it.
func (i *Instance) handOver(ctx context.Context, op sdk.Operation, target account) sdk.Receipt {
	on := i.fleet.borrow(target)
	defer i.fleet.giveBack(on)
	present, failure := i.present(ctx, on)
	if failure != nil {
		return sdk.Refuse(failure)
	}
	if receipt, already := op.InForce(present); already {
		return receipt
	}
	salt, err := shacrypt.Salt(i.rand, 16)
	if err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Internal, "salt: %s", err))
	}
	i.login.Expect(op.Value)
	receipt := i.set(ctx, on, target, change{hash: shacrypt.SHA512.Crypt([]byte(op.Value.Reveal()), salt, i.rounds)})
	if receipt.Outcome != sdk.Applied {
		return receipt
	}
	next, failure := i.fleet.enter(ctx, on, op.Value)
	if failure != nil {
		return sdk.Lost(failure)
	}
	i.login.Prefer(op.Value)
	i.fleet.adopt(ctx, on, next)
	return receipt
}

// present logs in with each value that the password may be, until one works, and
// returns it.
func (i *Instance) present(ctx context.Context, on *host) (secret.Value, *sdk.Error) {
	client, value, failure := i.fleet.enterAny(ctx, on)
	if failure != nil {
		return value, failure
	}
	return value, closed(client)
}

// enterAny logs in with each value that the password may be, until one works.
func (f *fleet) enterAny(ctx context.Context, to *host) (*ssh.Client, secret.Value, *sdk.Error) {
	var failure *sdk.Error
	for _, value := range f.settings.login.Values() {
		client, failed := f.enter(ctx, to, value)
		switch failure = failed; {
		case failure == nil:
			f.settings.login.Prefer(value)
			return client, value, nil
		case failure.Code != sdk.PermissionDenied:
			return nil, secret.Value{}, failure
		}
	}
	return nil, secret.Value{}, failure
}

// enter logs in as rekey itself with a value, by one attempt. A host that asks for no
// password is not entered: it would let in whoever has any.
func (f *fleet) enter(ctx context.Context, to *host, value secret.Value) (*ssh.Client, *sdk.Error) {
	asked := false
	client, failure := f.dial(ctx, to, login{user: to.user, auth: byPassword(value.Reveal(), &asked), next: once})
	if failure == nil && !asked {
		_ = client.Close()
		return nil, sdk.Errorf(sdk.Unsupported, "host %s: it asks %s for no password, so that none can be proven or handed over", to.address, to.user)
	}
	return client, failure
}

// adopt goes on with a new connection, and ends the one before when nothing runs on it
// any more. If that takes too long the one before stays, which is as good.
func (f *fleet) adopt(ctx context.Context, on *host, next *ssh.Client) {
	taken := 0
	for taken < channels && on.channels.begin(ctx) {
		taken++
	}
	defer func() {
		for range taken {
			on.channels.end()
		}
	}()
	if taken < channels {
		_ = next.Close()
		return
	}
	on.drop()
	_ = f.keep(on, next) // it is closed again if all are
}
