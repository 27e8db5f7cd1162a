package ldap

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Apply sets or changes one value.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.refuse(op); failure != nil {
		return sdk.Refuse(failure)
	}
	do := i.set
	if op.Verb == sdk.Change {
		do = i.change
	}
	return i.onEntry(ctx, op, do)
}

// onEntry does op on the entry of its account. A login whose remembered entry
// is gone is looked for once more.
func (i *Instance) onEntry(ctx context.Context, op sdk.Operation, do func(context.Context, string, sdk.Operation) sdk.Receipt) sdk.Receipt {
	for try := 0; ; try++ {
		target, failed := i.entryOf(ctx, op.Account)
		if failed == nil {
			failed = i.protect(ctx, target)
		}
		if failed == nil && op.Verb != sdk.Unlock {
			failed = target.foreign
		}
		if failed != nil {
			return sdk.Refuse(failed)
		}
		receipt := do(ctx, target.dn, op)
		if gone := receipt.Err != nil && receipt.Err.Code == sdk.AccountNotFound; gone && target.known && try == 0 {
			i.names.forget(op.Account)
			continue
		}
		return scrub(receipt, op)
	}
}

// refuse returns why an operation makes no sense whatever the entry is.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	switch {
	case op.Verb != sdk.Set && op.Verb != sdk.Change:
		return sdk.Errorf(sdk.Unsupported, "not done by Apply: %s", op.Verb)
	case op.Kind != "":
		return sdk.Errorf(sdk.Unsupported, "kind %q: an entry has one credential", op.Kind)
	case op.Verb == sdk.Change && op.Old.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "old: empty")
	case op.Verb == sdk.Change && (op.HashFormat != "" || op.MustChange != nil):
		return sdk.Errorf(sdk.Unsupported, "change takes neither hash_format nor must_change; use set")
	case op.HashFormat != "":
		return i.refuseHashed(op)
	}
	return i.refuseValue(op.Value.Reveal())
}

func (i *Instance) refuseHashed(op sdk.Operation) *sdk.Error {
	switch {
	case op.HashFormat != formatRFC2307:
		return sdk.Errorf(sdk.Unsupported, "hash_format: got %q, want rfc2307", op.HashFormat)
	case i.mode == modeAD:
		return sdk.Errorf(sdk.Unsupported, "hash_format: Active Directory takes plain values only")
	case !schemed.MatchString(op.Value.Reveal()):
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value does not start with a {SCHEME}")
	}
	return nil
}

// refuseValue returns the rule that every server has for a plain value.
func (i *Instance) refuseValue(value string) *sdk.Error {
	var violation sdk.Violation
	switch {
	case value == "":
		violation = sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty"}
	case !utf8.ValidString(value):
		violation = sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value is not UTF-8"}
	case i.mode == modeAttribute && i.hash == hashPlain && schemed.MatchString(value):
		violation = sdk.Violation{Rule: sdk.RuleCustom, Message: "the value starts like a hash, and the server would take it for one"}
	default:
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: violation.Message, Violations: []sdk.Violation{violation}}
}

// set gives an entry a value, as the service account.
func (i *Instance) set(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	mark := op.MustChange != nil && !i.atomic(op)
	if mark {
		// First as a trial: once the value is set it is too late to find out
		// that the mark may not be written.
		if receipt := i.mark(ctx, dn, *op.MustChange); receipt.Outcome != sdk.Applied {
			return receipt
		}
	}
	result, failed := i.admin.ask(ctx, i.setRequest(dn, op), i.controls())
	if failed != nil {
		return failed.receipt()
	}
	receipt := i.settle(ctx, dn, op, i.explain(result))
	if mark && (receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied) {
		// The server's own policy may have changed it.
		if receipt := i.mark(ctx, dn, *op.MustChange); receipt.Outcome != sdk.Applied {
			return sdk.Lost(receipt.Err)
		}
	}
	return receipt
}

// atomic reports whether one request carries value and must-change mark.
func (i *Instance) atomic(op sdk.Operation) bool {
	return i.mode != modeRFC3062 || op.HashFormat != ""
}

// controls ask for the reasons of a refusal.
func (i *Instance) controls() []byte {
	if i.mode == modeAD {
		return nil
	}
	return askPPolicy
}

// setRequest is the request that does op; only here does the value leave its
// wrapping.
func (i *Instance) setRequest(dn string, op sdk.Operation) []byte {
	value := op.Value.Reveal()
	switch {
	case i.mode == modeAD:
		mods := []modification{{modReplace, "unicodePwd", []string{unicodePwd(value)}}}
		if op.MustChange != nil {
			mods = append(mods, modification{modReplace, "pwdLastSet", []string{pwdLastSet(*op.MustChange)}})
		}
		return modifyRequest(dn, mods...)
	case !i.atomic(op):
		return passwordModify(dn, "", value)
	case op.HashFormat == "":
		value = userPassword(i.hash, value)
	}
	mods := []modification{{modReplace, "userPassword", []string{value}}}
	if op.MustChange != nil {
		mods = append(mods, pwdReset(*op.MustChange))
	}
	return modifyRequest(dn, mods...)
}

// pwdLastSet 0 asks for a change at the next logon, -1 is now.
func pwdLastSet(mustChange bool) string {
	if mustChange {
		return "0"
	}
	return "-1"
}

// pwdReset TRUE asks for a change at the next logon.
func pwdReset(mustChange bool) modification {
	if mustChange {
		return modification{modReplace, "pwdReset", []string{"TRUE"}}
	}
	return modification{modReplace, "pwdReset", nil}
}

// mark writes pwdReset alone.
func (i *Instance) mark(ctx context.Context, dn string, mustChange bool) sdk.Receipt {
	result, failed := i.admin.ask(ctx, modifyRequest(dn, pwdReset(mustChange)), nil)
	if failed != nil {
		// The value is as it was.
		return sdk.Refuse(reading(failed))
	}
	if result.code == resultUndefinedType && !mustChange {
		return sdk.OK() // without ppolicy nothing asks for a change
	}
	receipt := result.receipt()
	if receipt.Err != nil {
		receipt.Err.Message = "must_change: " + receipt.Err.Message
	}
	return receipt
}

// explain is the receipt of an answer, with hints that only the mode can give.
func (i *Instance) explain(result result) sdk.Receipt {
	receipt := result.receipt()
	if receipt.Err == nil {
		return receipt
	}
	switch {
	case i.mode == modeAttribute && i.hash != hashPlain && result.policy.code() == ppQuality:
		receipt.Err.Message += "; a hash cannot be checked for quality: use mode rfc3062"
	case i.mode == modeRFC3062 && receipt.Err.Code == sdk.Unsupported:
		receipt.Err.Message += "; the server may not know RFC 3062: see mode"
	}
	return receipt
}

// settle looks twice at a refusal that an earlier attempt of the same
// operation would explain.
func (i *Instance) settle(ctx context.Context, dn string, op sdk.Operation, receipt sdk.Receipt) sdk.Receipt {
	same, history := repeated(receipt)
	switch {
	case op.Attempt < 2 || !history:
		return receipt
	case same:
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	}
	verdict, err := i.prove(ctx, dn, op.Value)
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
