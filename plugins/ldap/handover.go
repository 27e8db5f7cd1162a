package ldap

import (
	"context"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// handover changes the password that rekey itself logs on with.
type handover struct {
	*server
	resolver *resolver
	changer  *changer
}

// apply changes the service account's password as its owner would, goes on with the
// new one when a session of its own has logged on with it, and writes what goes with
// a value.
func (h *handover) apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	found, failed := h.own(ctx, op)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	present, failed := h.present(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	change := op
	change.Verb, change.Old = sdk.Change, present
	return scrub(h.changer.writer.once(ctx, found, change, h.pass), change)
}

// pass changes the present password, unless that is the value already.
func (h *handover) pass(ctx context.Context, dn string, change sdk.Operation) sdk.Receipt {
	switch there := change.Old.Equal(change.Value); {
	case there && change.Attempt > 1:
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	case there:
		return sdk.OK()
	}
	h.login.known.Expect(change.Value)
	receipt := h.changer.change(ctx, dn, change)
	if receipt.Outcome != sdk.Applied && receipt.Outcome != sdk.AlreadyApplied {
		return kept(receipt)
	}
	if failed := h.prove(ctx, change.Value); failed != nil {
		return sdk.Lost(failed)
	}
	h.admin.renew()
	return receipt
}

// kept is what became of a handover that did not happen. The present password was
// proven just before: a server that finds it wrong does not let its owner change it.
func kept(receipt sdk.Receipt) sdk.Receipt {
	if receipt.Outcome == sdk.Refused && receipt.Err.Code == sdk.WrongCurrentPassword {
		receipt.Err.Code = sdk.PermissionDenied
		receipt.Err.Message += "; let bind_dn change its own password (by self write)"
	}
	return receipt
}

// own returns the entry of the operation, if rekey is logged on as that.
func (h *handover) own(ctx context.Context, op sdk.Operation) (target, *sdk.Error) {
	if h.external {
		return target{}, sdk.Errorf(sdk.Unsupported, "auth: with external no password is there to hand over")
	}
	found, failed := h.resolver.entryOf(ctx, op.Account)
	if failed != nil {
		return target{}, failed
	}
	self, failed := h.resolver.self(ctx)
	switch {
	case failed != nil:
		return target{}, failed
	case self == nil || found.parsed == nil || found.folded() != (target{parsed: self}).folded():
		return target{}, op.NotOwn(h.bindDN)
	}
	return found, found.foreign
}

// present logs a session on, and returns the password with which that went.
func (h *handover) present(ctx context.Context) (secret.Value, *sdk.Error) {
	if failed := h.session(ctx, h.login.bind); failed != nil {
		return secret.Value{}, failed
	}
	return h.login.known.Values()[0], nil
}

// prove logs a session on with a value.
func (h *handover) prove(ctx context.Context, value secret.Value) *sdk.Error {
	return h.session(ctx, func(ctx context.Context, link *conn) *sdk.Error { return h.login.bindWith(ctx, link, value) })
}

// session opens a connection for one logon.
func (h *handover) session(ctx context.Context, logOn func(context.Context, *conn) *sdk.Error) *sdk.Error {
	link, failed := h.connect(ctx)
	if failed != nil {
		return failed
	}
	defer link.close()
	link.broken = true
	return logOn(ctx, link)
}
