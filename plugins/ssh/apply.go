package ssh

import (
	"context"

	"github.com/rekey-host/rekey/sdk"
)

// change is what a set writes.
type change struct {
	hash       string
	mustChange bool
}

// set gives an account its hash, and reads it again.
func (i *Instance) set(ctx context.Context, on *host, target account, to change) sdk.Receipt {
	if !on.writing.begin(ctx) {
		return sdk.Refuse(unsent(ctx))
	}
	defer on.writing.end()
	before, failure := i.fleet.entryOf(ctx, on, target.user)
	if failure == nil {
		failure = i.admit(target, before)
	}
	if failure != nil {
		return sdk.Refuse(failure)
	}
	if before.locked() && i.locked == lockedKeep {
		to.hash = "!" + to.hash
	}
	reply, lost := i.fleet.run(ctx, on, chpasswd, target.user+":"+to.hash+"\n")
	switch {
	case lost != nil && !lost.started:
		return sdk.Refuse(lost.why)
	case lost != nil:
		return sdk.Lost(lost.why)
	}
	receipt := i.proven(ctx, on, before, to.hash, reply)
	if receipt.Outcome == sdk.Applied && to.mustChange {
		return i.expire(ctx, on, target, receipt)
	}
	return receipt
}

// admit returns why an account gets no password.
func (i *Instance) admit(target account, entry entry) *sdk.Error {
	switch {
	case entry.barred():
		return noCredential(target)
	case entry.locked() && i.locked == lockedRefuse:
		return &sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusLocked,
			Message: "account " + target.String() + ": it is locked; locked = \"keep\" sets the password and leaves it locked"}
	}
	return nil
}

// proven reads the line again: what stands there counts, not what chpasswd says.
func (i *Instance) proven(ctx context.Context, on *host, before entry, hash string, reply reply) sdk.Receipt {
	after, failure := i.fleet.entryOf(ctx, on, before.user)
	switch {
	case failure == nil && after.hash == hash:
		return sdk.Receipt{Outcome: sdk.Applied, Stamp: after.stamp()}
	case failure == nil && after.hash == before.hash && reply.exit != 0:
		return sdk.Refuse(reply.failure(on, chpasswd))
	case failure == nil && after.hash == before.hash:
		return sdk.Refuse(sdk.Errorf(sdk.TargetError, "host %s: chpasswd ended well and changed nothing", on.address))
	case failure == nil:
		return sdk.Lost(sdk.Errorf(sdk.Conflict, "host %s: the password of %s was changed by other means at the same time", on.address, before.user))
	case reply.exit == 0:
		return sdk.Lost(failure)
	}
	return sdk.Lost(reply.failure(on, chpasswd))
}

// expire has the owner change the password at the next logon. The password is
// set by now: a failure leaves that half undone.
func (i *Instance) expire(ctx context.Context, on *host, target account, done sdk.Receipt) sdk.Receipt {
	reply, lost := i.fleet.run(ctx, on, expire+" "+target.user, "")
	switch {
	case lost != nil:
		return sdk.Lost(lost.why)
	case reply.exit != 0:
		return sdk.Lost(reply.failure(on, expire))
	}
	return done
}
