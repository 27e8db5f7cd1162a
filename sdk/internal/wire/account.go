package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodeAccount encodes an account; texts are made valid UTF-8, and a status that
// it does not know is the unknown one.
func EncodeAccount(account sdk.Account) *pb.Account {
	made := &pb.Account{
		Account: clip(account.Account, maxText), Id: clip(account.ID, maxText), Login: clip(account.Login, maxText), Name: clip(account.Name, maxText),
		Mail: clip(account.Mail, maxText), Status: string(knownStatus(account.Status)), MustChange: account.MustChange,
		Kinds: account.Kinds, Stamp: clip(account.Stamp, maxShort),
	}
	if !account.ChangedAt.IsZero() {
		made.ChangedAtUnixNs = account.ChangedAt.UnixNano()
	}
	if len(account.Attributes) > 0 {
		made.Attributes = make(map[string]string, len(account.Attributes))
		for key, value := range account.Attributes {
			made.Attributes[clip(key, maxText)] = clip(value, MaxMessage/FrameOperations)
		}
	}
	for key, list := range account.Lists {
		if made.Lists == nil {
			made.Lists = make(map[string]*pb.TextList, len(account.Lists))
		}
		items := make([]string, len(list))
		for index, value := range list {
			items[index] = clip(value, maxText)
		}
		made.Lists[clip(key, maxText)] = &pb.TextList{Items: items}
	}
	return made
}

// DecodeAccount is the inverse of EncodeAccount; times are UTC.
func DecodeAccount(account *pb.Account) sdk.Account {
	made := sdk.Account{
		Account: account.GetAccount(), ID: account.GetId(), Login: account.GetLogin(), Name: account.GetName(), Mail: account.GetMail(),
		Status: knownStatus(sdk.Status(account.GetStatus())), MustChange: nil, Kinds: account.GetKinds(), Stamp: account.GetStamp(), Attributes: account.GetAttributes(),
	}
	for key, list := range account.GetLists() {
		if made.Lists == nil {
			made.Lists = make(map[string][]string, len(account.GetLists()))
		}
		made.Lists[key] = list.GetItems()
	}
	if account != nil {
		made.MustChange = flag(account.MustChange)
	}
	if ns := account.GetChangedAtUnixNs(); ns != 0 {
		made.ChangedAt = time.Unix(0, ns).UTC()
	}
	return made
}

// EncodeIdentity encodes an identity. A text too long for a name is replaced
// by its digest: cut, two accounts could be one.
func EncodeIdentity(identity sdk.Identity) *pb.Identity {
	return &pb.Identity{Target: whole(identity.Target), Id: whole(identity.ID), Error: EncodeError(identity.Err)}
}

// DecodeIdentity is the inverse of EncodeIdentity.
func DecodeIdentity(identity *pb.Identity) sdk.Identity {
	return sdk.Identity{Target: whole(identity.GetTarget()), ID: whole(identity.GetId()), Err: DecodeError(identity.GetError())}
}

// whole returns a text that may cross the wire and stands for no other.
func whole(text string) string {
	if len(text) <= maxText && utf8.ValidString(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// EncodeVerdict encodes a verdict.
func EncodeVerdict(verdict sdk.Verdict) pb.Verdict {
	switch verdict {
	case sdk.Accepted:
		return pb.Verdict_VERDICT_ACCEPTED
	case sdk.AcceptedMustChange:
		return pb.Verdict_VERDICT_ACCEPTED_MUST_CHANGE
	case sdk.Rejected:
		return pb.Verdict_VERDICT_REJECTED
	case sdk.Blocked:
		return pb.Verdict_VERDICT_BLOCKED
	default:
		return pb.Verdict_VERDICT_CANNOT_TELL
	}
}

// DecodeVerdict returns CannotTell for a verdict that it does not know.
func DecodeVerdict(verdict pb.Verdict) sdk.Verdict {
	switch verdict {
	case pb.Verdict_VERDICT_ACCEPTED:
		return sdk.Accepted
	case pb.Verdict_VERDICT_ACCEPTED_MUST_CHANGE:
		return sdk.AcceptedMustChange
	case pb.Verdict_VERDICT_REJECTED:
		return sdk.Rejected
	case pb.Verdict_VERDICT_BLOCKED:
		return sdk.Blocked
	default:
		return sdk.CannotTell
	}
}

// EncodeFinding encodes a finding.
func EncodeFinding(finding sdk.Finding) *pb.Finding {
	made := &pb.Finding{Code: clip(string(finding.Code), maxName), Message: clip(finding.Message, maxText), Fix: clip(finding.Fix, maxText)}
	switch finding.Severity {
	case sdk.Info:
		made.Severity = pb.Severity_SEVERITY_INFO
	case sdk.Warning:
		made.Severity = pb.Severity_SEVERITY_WARNING
	default:
		made.Severity = pb.Severity_SEVERITY_BAD
	}
	return made
}

// DecodeFinding takes a severity that it does not know for Bad. A bad finding
// always has a code.
func DecodeFinding(finding *pb.Finding) sdk.Finding {
	made := sdk.Finding{Severity: sdk.Bad, Message: clip(finding.GetMessage(), maxText), Fix: clip(finding.GetFix(), maxText)}
	switch finding.GetSeverity() {
	case pb.Severity_SEVERITY_INFO:
		made.Severity = sdk.Info
	case pb.Severity_SEVERITY_WARNING:
		made.Severity = sdk.Warning
	}
	if made.Severity == sdk.Bad || finding.GetCode() != "" {
		made.Code = decodeCode(finding.GetCode())
	}
	return made
}
