package wire

import (
	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodePolicy encodes a policy.
func EncodePolicy(policy sdk.Policy) *pb.Policy {
	return &pb.Policy{
		MinLength: int64(policy.MinLength), MaxLength: int64(policy.MaxLength), MaxBytes: int64(policy.MaxBytes),
		Letters: int64(policy.Letters), Lower: int64(policy.Lower), Upper: int64(policy.Upper), Digits: int64(policy.Digits),
		Symbols: int64(policy.Symbols), NonLetters: int64(policy.NonLetters), Classes: int64(policy.Classes),
		Alphabet: policy.Alphabet, AllowedSymbols: policy.AllowedSymbols, Forbid: policy.Forbid, ForbidFirst: policy.ForbidFirst,
		MaxRepeat: int64(policy.MaxRepeat), MaxSequence: int64(policy.MaxSequence), NoAccountName: policy.NoAccountName,
		ForbidWords: policy.ForbidWords, History: int64(policy.History), Note: clip(policy.Note, maxText),
	}
}

// DecodePolicy is the inverse of EncodePolicy; a negative count is ignored.
func DecodePolicy(policy *pb.Policy) sdk.Policy {
	return sdk.Policy{
		MinLength: count(policy.GetMinLength()), MaxLength: count(policy.GetMaxLength()), MaxBytes: count(policy.GetMaxBytes()),
		Letters: count(policy.GetLetters()), Lower: count(policy.GetLower()), Upper: count(policy.GetUpper()), Digits: count(policy.GetDigits()),
		Symbols: count(policy.GetSymbols()), NonLetters: count(policy.GetNonLetters()), Classes: count(policy.GetClasses()),
		Alphabet: policy.GetAlphabet(), AllowedSymbols: policy.GetAllowedSymbols(), Forbid: policy.GetForbid(), ForbidFirst: policy.GetForbidFirst(),
		MaxRepeat: count(policy.GetMaxRepeat()), MaxSequence: count(policy.GetMaxSequence()), NoAccountName: policy.GetNoAccountName(),
		ForbidWords: policy.GetForbidWords(), History: count(policy.GetHistory()), Note: clip(policy.GetNote(), maxText),
	}
}
