package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodeReceipt encodes a receipt; its texts are scrubbed by the caller.
func EncodeReceipt(receipt sdk.Receipt) *pb.Receipt {
	return &pb.Receipt{
		Outcome: encodeOutcome(receipt.Outcome), Error: EncodeError(receipt.Err), Value: EncodeSecret(receipt.Value),
		Ref: clip(receipt.Ref, maxShort), Stamp: clip(receipt.Stamp, maxShort), Verdict: EncodeVerdict(receipt.Verdict),
	}
}

// DecodeReceipt never claims more than the message does: no message, an
// outcome that it does not know, and an applied one with an error are Unknown. A receipt of another outcome
// always has an error, an applied one never. A verdict without an answer is dropped.
func DecodeReceipt(receipt *pb.Receipt) sdk.Receipt {
	made := sdk.Receipt{
		Outcome: decodeOutcome(receipt.GetOutcome()), Err: DecodeError(receipt.GetError()), Value: DecodeSecret(receipt.GetValue()),
		Ref: clip(receipt.GetRef(), maxShort), Stamp: clip(receipt.GetStamp(), maxShort),
	}
	applied := made.Outcome == sdk.Applied || made.Outcome == sdk.AlreadyApplied
	if made.Outcome == sdk.Applied {
		made.Verdict = DecodeVerdict(receipt.GetVerdict())
	}
	switch {
	case applied && made.Err != nil:
		made.Outcome, made.Verdict = sdk.Unknown, sdk.CannotTell
		made.Err = sdk.Errorf(sdk.Internal, "the plugin says that it was applied, and why it was not: %s", made.Err.Message)
	case !applied && made.Err == nil:
		made.Err = sdk.Errorf(sdk.Internal, "the plugin gave no reason")
	}
	return made
}

func encodeOutcome(outcome sdk.Outcome) pb.Outcome {
	switch outcome {
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

func decodeOutcome(outcome pb.Outcome) sdk.Outcome {
	switch outcome {
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
func EncodeError(failure *sdk.Error) *pb.Error {
	if failure == nil {
		return nil
	}
	made := &pb.Error{
		Code: clip(string(failure.Code), maxName), Message: clip(failure.Message, maxText), Native: clip(failure.Native, maxShort),
		AccountStatus: string(knownStatus(failure.AccountStatus)), RetryAfterNs: int64(max(failure.RetryAfter, 0)),
	}
	for i, violation := range failure.Violations {
		if i == maxViolations {
			break
		}
		made.Violations = append(made.Violations, &pb.Violation{Rule: string(knownRule(violation.Rule)), Limit: int64(violation.Limit),
			Native: clip(violation.Native, maxName), Message: clip(violation.Message, maxShort)})
	}
	return made
}

// DecodeError returns nil for nil. A code that looks like text is Internal; a
// name that it does not know is kept. A rule that it does not know is Custom, a
// status that it does not know is the unknown one.
func DecodeError(p *pb.Error) *sdk.Error {
	if p == nil {
		return nil
	}
	failure := &sdk.Error{
		Code: decodeCode(p.GetCode()), Message: clip(p.GetMessage(), maxText), Native: clip(p.GetNative(), maxShort),
		AccountStatus: knownStatus(sdk.Status(p.GetAccountStatus())), RetryAfter: time.Duration(max(p.GetRetryAfterNs(), 0)),
	}
	for i, violation := range p.GetViolations() {
		if i == maxViolations {
			break
		}
		failure.Violations = append(failure.Violations, sdk.Violation{Rule: knownRule(sdk.Rule(violation.GetRule())), Limit: count(violation.GetLimit()),
			Native: clip(violation.GetNative(), maxName), Message: clip(violation.GetMessage(), maxShort)})
	}
	return failure
}

// knownRule lets no text pass for a rule.
func knownRule(rule sdk.Rule) sdk.Rule {
	switch {
	case rule == "":
		return sdk.RuleOpaque
	case slices.Contains(sdk.Rules(), rule):
		return rule
	}
	return sdk.RuleCustom
}

// knownStatus lets no text pass for a status.
func knownStatus(status sdk.Status) sdk.Status {
	if slices.Contains(sdk.Statuses(), status) {
		return status
	}
	return sdk.StatusUnknown
}

func decodeCode(text string) sdk.Code {
	letter := func(letter rune) bool {
		return letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9'
	}
	if text == "" || len(text) > maxName || strings.ContainsFunc(text, func(char rune) bool { return !letter(char) }) {
		return sdk.Internal
	}
	return sdk.Code(text)
}
