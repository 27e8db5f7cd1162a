package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodeReceipt encodes a receipt; its texts are scrubbed by the caller.
func EncodeReceipt(r sdk.Receipt) *pb.Receipt {
	return &pb.Receipt{
		Outcome: encodeOutcome(r.Outcome), Error: EncodeError(r.Err), Value: EncodeSecret(r.Value),
		Ref: clip(r.Ref, maxShort), Stamp: clip(r.Stamp, maxShort), Verdict: EncodeVerdict(r.Verdict),
	}
}

// DecodeReceipt never claims more than the message does: no message, and an
// outcome that it does not know, are Unknown. A receipt that is not applied
// always has an error, one that is has none. A verdict without an answer is none.
func DecodeReceipt(p *pb.Receipt) sdk.Receipt {
	r := sdk.Receipt{
		Outcome: decodeOutcome(p.GetOutcome()), Err: DecodeError(p.GetError()), Value: DecodeSecret(p.GetValue()),
		Ref: clip(p.GetRef(), maxShort), Stamp: clip(p.GetStamp(), maxShort),
	}
	if r.Outcome == sdk.Applied {
		r.Verdict = DecodeVerdict(p.GetVerdict())
	}
	switch {
	case r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied:
		r.Err = nil
	case r.Err == nil:
		r.Err = sdk.Errorf(sdk.Internal, "the plugin gave no reason")
	}
	return r
}

func encodeOutcome(o sdk.Outcome) pb.Outcome {
	switch o {
	case sdk.Applied:
		return pb.Outcome_OUTCOME_APPLIED
	case sdk.AlreadyApplied:
		return pb.Outcome_OUTCOME_ALREADY_APPLIED
	case sdk.Refused:
		return pb.Outcome_OUTCOME_REFUSED
	default:
		return pb.Outcome_OUTCOME_UNKNOWN
	}
}

func decodeOutcome(o pb.Outcome) sdk.Outcome {
	switch o {
	case pb.Outcome_OUTCOME_APPLIED:
		return sdk.Applied
	case pb.Outcome_OUTCOME_ALREADY_APPLIED:
		return sdk.AlreadyApplied
	case pb.Outcome_OUTCOME_REFUSED:
		return sdk.Refused
	default:
		return sdk.Unknown
	}
}

// EncodeError returns nil for nil. Texts and lists are cut to their bounds.
func EncodeError(e *sdk.Error) *pb.Error {
	if e == nil {
		return nil
	}
	p := &pb.Error{
		Code: clip(string(e.Code), maxName), Message: clip(e.Message, maxText), Native: clip(e.Native, maxShort),
		AccountStatus: string(knownStatus(e.AccountStatus)), RetryAfterNs: int64(max(e.RetryAfter, 0)),
	}
	for i, v := range e.Violations {
		if i == maxViolations {
			break
		}
		p.Violations = append(p.Violations, &pb.Violation{Rule: string(knownRule(v.Rule)), Limit: int64(v.Limit),
			Native: clip(v.Native, maxName), Message: clip(v.Message, maxShort)})
	}
	return p
}

// DecodeError returns nil for nil. A code that is not a name is Internal; a
// name that it does not know is kept. A rule that it does not know is Custom, a
// status that it does not know is the unknown one.
func DecodeError(p *pb.Error) *sdk.Error {
	if p == nil {
		return nil
	}
	e := &sdk.Error{
		Code: decodeCode(p.GetCode()), Message: clip(p.GetMessage(), maxText), Native: clip(p.GetNative(), maxShort),
		AccountStatus: knownStatus(sdk.Status(p.GetAccountStatus())), RetryAfter: time.Duration(max(p.GetRetryAfterNs(), 0)),
	}
	for i, v := range p.GetViolations() {
		if i == maxViolations {
			break
		}
		e.Violations = append(e.Violations, sdk.Violation{Rule: knownRule(sdk.Rule(v.GetRule())), Limit: count(v.GetLimit()),
			Native: clip(v.GetNative(), maxName), Message: clip(v.GetMessage(), maxShort)})
	}
	return e
}

// knownRule lets no text pass for a rule.
func knownRule(r sdk.Rule) sdk.Rule {
	switch {
	case r == "":
		return sdk.RuleOpaque
	case slices.Contains(sdk.Rules(), r):
		return r
	}
	return sdk.RuleCustom
}

// knownStatus lets no text pass for a status.
func knownStatus(s sdk.Status) sdk.Status {
	if slices.Contains(sdk.Statuses(), s) {
		return s
	}
	return sdk.StatusUnknown
}

func decodeCode(s string) sdk.Code {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }
	if s == "" || len(s) > maxName || strings.ContainsFunc(s, func(r rune) bool { return !letter(r) }) {
		return sdk.Internal
	}
	return sdk.Code(s)
}
