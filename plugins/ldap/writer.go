package ldap

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// writer gives accounts values, and lifts locks.
type writer struct {
	*server
	dialect    dialect
	resolver   *resolver
	prover     *prover
	companions *companions
}

// doing is what does an operation on the entry of a DN.
type doing func(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt

// onEntry does op on the entry of its account. A login whose remembered entry
// is gone is looked for once more.
func (w *writer) onEntry(ctx context.Context, op sdk.Operation, do doing) sdk.Receipt {
	for try := 0; ; try++ {
		target, failed := w.admit(ctx, op)
		if failed != nil {
			return sdk.Refuse(failed)
		}
		receipt := w.once(ctx, target, op, do)
		if gone := receipt.Err != nil && receipt.Err.Code == sdk.AccountNotFound; gone && target.known && try == 0 {
			w.resolver.names.forget(op.Account)
			continue
		}
		return scrub(receipt, op)
	}
}

// admit returns the entry of op's account, unless op may not be done on it.
func (w *writer) admit(ctx context.Context, op sdk.Operation) (target, *sdk.Error) {
	found, failed := w.resolver.entryOf(ctx, op.Account)
	if failed == nil {
		failed = w.resolver.protect(ctx, found)
	}
	if failed == nil && op.Verb != sdk.Unlock {
		failed = found.foreign
	}
	if failed == nil && found.forever && op.MustChange != nil && *op.MustChange {
		failed = sdk.Errorf(sdk.Unsupported, "account %q: its password never expires, so the domain would not ask for another one: leave must_change out, or have that taken off the account", op.Account)
	}
	return found, failed
}

// once does op, and writes what goes with its value.
func (w *writer) once(ctx context.Context, found target, op sdk.Operation, do doing) (receipt sdk.Receipt) {
	defer func() { w.lifted.settle(op, receipt.Outcome) }()
	along, failed := w.companions.of(ctx, found, op)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	return w.companions.finish(ctx, found.dn, along, op.Value, do(ctx, found.dn, op))
}

// refuse returns why an operation makes no sense whatever the entry is.
func (w *writer) refuse(op sdk.Operation) *sdk.Error {
	switch {
	case op.Verb == sdk.Change && op.Old.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "old: empty")
	case op.Verb != sdk.Set && op.MustChange != nil:
		return sdk.Errorf(sdk.Unsupported, "%s takes no must_change; use set", op.Verb)
	}
	if op.HashFormat == "" {
		if failed := refuseValue(op.Value.Reveal()); failed != nil {
			return failed
		}
	}
	return w.dialect.refuse(op)
}

// refuseValue returns the rule of every server that a value breaks.
func refuseValue(value string) *sdk.Error {
	switch {
	case value == "":
		return broken(sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty"})
	case !utf8.ValidString(value):
		return broken(sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value is not UTF-8"})
	case strings.ContainsRune(value, 0):
		// Samba takes it and lets it in never again, 389 takes none.
		return broken(sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a NUL, with which not every server lets its owner log on"})
	}
	return nil
}

// broken is the refusal of a value that breaks a rule of ours.
func broken(violation sdk.Violation) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: violation.Message, Violations: []sdk.Violation{violation}}
}

// set gives an entry a value, as the service account.
func (w *writer) set(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	result, failed := w.admin.ask(ctx, w.dialect.set(dn, op), w.dialect.controls()...)
	if failed != nil {
		return failed.receipt()
	}
	return w.settle(ctx, dn, op, w.explain(result))
}

// explain is the receipt of an answer, with hints that only the dialect can give.
func (w *writer) explain(result result) sdk.Receipt {
	receipt := result.receipt()
	if receipt.Err != nil {
		receipt.Err.Message += w.dialect.hint(result, receipt)
	}
	return receipt
}

// settle looks twice at a refusal that an earlier attempt of the same
// operation would explain.
func (w *writer) settle(ctx context.Context, dn string, op sdk.Operation, receipt sdk.Receipt) sdk.Receipt {
	same, history := repeated(receipt)
	switch {
	case op.Attempt < 2 || !history:
		return receipt
	case same:
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	}
	verdict, err := w.prover.prove(ctx, dn, op.Value)
	switch {
	case err != nil:
		return sdk.Lost(receipt.Err)
	case verdict == sdk.Accepted, verdict == sdk.AcceptedMustChange:
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	case verdict == sdk.Rejected:
		return receipt
	}
	return sdk.Lost(receipt.Err)
}

// reset lets the server make the value, and returns it.
func (w *writer) reset(ctx context.Context, dn string, _ sdk.Operation) sdk.Receipt {
	result, failed := w.admin.ask(ctx, ldapwire.PasswordModify(dn, "", ""), ldapwire.AskPolicy())
	if failed != nil {
		return failed.receipt()
	}
	receipt := w.explain(result)
	if receipt.Outcome != sdk.Applied {
		if receipt.Err.Code == sdk.PolicyViolation {
			receipt.Err.Message += "; the server's own values do not satisfy its policy: use set"
		}
		return receipt
	}
	if result.Password != "" {
		receipt.Value = secret.New(result.Password)
	}
	return receipt
}

func (w *writer) unlock(ctx context.Context, dn string, _ sdk.Operation) sdk.Receipt {
	mods := []ldapwire.Modification{w.dialect.unlock()}
	if w.mode != modeAD {
		ds, failed := w.is389(ctx)
		switch {
		case failed != nil:
			return sdk.Refuse(failed)
		case ds:
			mods = unlock389()
		}
	}
	result, failed := w.admin.ask(ctx, ldapwire.ModifyRequest(dn, mods...))
	if failed != nil {
		return failed.receipt()
	}
	return result.receipt()
}

// unlock389 takes away by what 389 Directory Server locks an entry.
func unlock389() []ldapwire.Modification {
	return []ldapwire.Modification{ldapwire.Replace("passwordRetryCount"), ldapwire.Replace("retryCountResetTime"), ldapwire.Replace("accountUnlockTime")}
}

// scrub takes the values out of what a server says about them.
func scrub(receipt sdk.Receipt, op sdk.Operation) sdk.Receipt {
	if receipt.Err == nil {
		return receipt
	}
	clean := func(text string) string {
		for _, value := range []secret.Value{op.Value, op.Old} {
			if plain := value.Reveal(); plain != "" {
				text = strings.ReplaceAll(text, plain, secret.Redacted)
			}
		}
		return text
	}
	receipt.Err.Message = clean(receipt.Err.Message)
	for index := range receipt.Err.Violations {
		receipt.Err.Violations[index].Message = clean(receipt.Err.Violations[index].Message)
	}
	return receipt
}
