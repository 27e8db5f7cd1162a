package wire

import (
	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodePolicy encodes a policy.
func EncodePolicy(p sdk.Policy) *pb.Policy {
	return &pb.Policy{
		MinLength: int64(p.MinLength), MaxLength: int64(p.MaxLength), MaxBytes: int64(p.MaxBytes),
		Letters: int64(p.Letters), Lower: int64(p.Lower), Upper: int64(p.Upper), Digits: int64(p.Digits),
		Symbols: int64(p.Symbols), NonLetters: int64(p.NonLetters), Classes: int64(p.Classes),
		Alphabet: p.Alphabet, AllowedSymbols: p.AllowedSymbols, Forbid: p.Forbid, ForbidFirst: p.ForbidFirst,
		MaxRepeat: int64(p.MaxRepeat), MaxSequence: int64(p.MaxSequence), NoAccountName: p.NoAccountName,
		ForbidWords: p.ForbidWords, History: int64(p.History), Note: clip(p.Note, maxText),
	}
}

// DecodePolicy is the inverse of EncodePolicy; a negative count is no rule.
func DecodePolicy(p *pb.Policy) sdk.Policy {
	return sdk.Policy{
		MinLength: count(p.GetMinLength()), MaxLength: count(p.GetMaxLength()), MaxBytes: count(p.GetMaxBytes()),
		Letters: count(p.GetLetters()), Lower: count(p.GetLower()), Upper: count(p.GetUpper()), Digits: count(p.GetDigits()),
		Symbols: count(p.GetSymbols()), NonLetters: count(p.GetNonLetters()), Classes: count(p.GetClasses()),
		Alphabet: p.GetAlphabet(), AllowedSymbols: p.GetAllowedSymbols(), Forbid: p.GetForbid(), ForbidFirst: p.GetForbidFirst(),
		MaxRepeat: count(p.GetMaxRepeat()), MaxSequence: count(p.GetMaxSequence()), NoAccountName: p.GetNoAccountName(),
		ForbidWords: p.GetForbidWords(), History: count(p.GetHistory()), Note: clip(p.GetNote(), maxText),
	}
}
