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
func EncodeAccount(a sdk.Account) *pb.Account {
	p := &pb.Account{
		Account: clip(a.Account, maxText), Id: clip(a.ID, maxText), Login: clip(a.Login, maxText), Name: clip(a.Name, maxText),
		Mail: clip(a.Mail, maxText), Status: string(knownStatus(a.Status)), MustChange: a.MustChange,
		Kinds: a.Kinds, Stamp: clip(a.Stamp, maxShort),
	}
	if !a.ChangedAt.IsZero() {
		p.ChangedAtUnixNs = a.ChangedAt.UnixNano()
	}
	if len(a.Attributes) > 0 {
		p.Attributes = make(map[string]string, len(a.Attributes))
		for k, v := range a.Attributes {
			p.Attributes[clip(k, maxText)] = clip(v, MaxMessage/FrameOperations)
		}
	}
	for k, list := range a.Lists {
		if p.Lists == nil {
			p.Lists = make(map[string]*pb.TextList, len(a.Lists))
		}
		items := make([]string, len(list))
		for n, v := range list {
			items[n] = clip(v, maxText)
		}
		p.Lists[clip(k, maxText)] = &pb.TextList{Items: items}
	}
	return p
}

// DecodeAccount is the inverse of EncodeAccount; times are UTC.
func DecodeAccount(p *pb.Account) sdk.Account {
	a := sdk.Account{
		Account: p.GetAccount(), ID: p.GetId(), Login: p.GetLogin(), Name: p.GetName(), Mail: p.GetMail(),
		Status: knownStatus(sdk.Status(p.GetStatus())), MustChange: nil, Kinds: p.GetKinds(), Stamp: p.GetStamp(), Attributes: p.GetAttributes(),
	}
	for k, list := range p.GetLists() {
		if a.Lists == nil {
			a.Lists = make(map[string][]string, len(p.GetLists()))
		}
		a.Lists[k] = list.GetItems()
	}
	if p != nil {
		a.MustChange = flag(p.MustChange)
	}
	if ns := p.GetChangedAtUnixNs(); ns != 0 {
		a.ChangedAt = time.Unix(0, ns).UTC()
	}
	return a
}

// EncodeIdentity encodes an identity. What is too long for a name is replaced
// by its digest: cut, two accounts could be one.
func EncodeIdentity(i sdk.Identity) *pb.Identity {
	return &pb.Identity{Target: whole(i.Target), Id: whole(i.ID), Error: EncodeError(i.Err)}
}

// DecodeIdentity is the inverse of EncodeIdentity.
func DecodeIdentity(p *pb.Identity) sdk.Identity {
	return sdk.Identity{Target: whole(p.GetTarget()), ID: whole(p.GetId()), Err: DecodeError(p.GetError())}
}

// whole returns a text that may cross the wire and stands for no other.
func whole(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// EncodeVerdict encodes a verdict.
func EncodeVerdict(v sdk.Verdict) pb.Verdict {
	switch v {
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
func DecodeVerdict(v pb.Verdict) sdk.Verdict {
	switch v {
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
func EncodeFinding(f sdk.Finding) *pb.Finding {
	p := &pb.Finding{Code: clip(string(f.Code), maxName), Message: clip(f.Message, maxText), Fix: clip(f.Fix, maxText)}
	switch f.Severity {
	case sdk.Info:
		p.Severity = pb.Severity_SEVERITY_INFO
	case sdk.Warning:
		p.Severity = pb.Severity_SEVERITY_WARNING
	default:
		p.Severity = pb.Severity_SEVERITY_BAD
	}
	return p
}

// DecodeFinding takes a severity that it does not know for Bad. A bad finding
// always has a code.
func DecodeFinding(p *pb.Finding) sdk.Finding {
	f := sdk.Finding{Severity: sdk.Bad, Message: clip(p.GetMessage(), maxText), Fix: clip(p.GetFix(), maxText)}
	switch p.GetSeverity() {
	case pb.Severity_SEVERITY_INFO:
		f.Severity = sdk.Info
	case pb.Severity_SEVERITY_WARNING:
		f.Severity = sdk.Warning
	}
	if f.Severity == sdk.Bad || p.GetCode() != "" {
		f.Code = decodeCode(p.GetCode())
	}
	return f
}
