package wire

import (
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodeDescription fails on a default of a field that cannot be sent.
func EncodeDescription(description sdk.Description) (*pb.Description, error) {
	config, err := encodeFields(description.Config)
	if err != nil {
		return nil, fmt.Errorf("config field %w", err)
	}
	options, err := encodeFields(description.Options)
	if err != nil {
		return nil, fmt.Errorf("option %w", err)
	}
	made := &pb.Description{
		Name: description.Name, Version: description.Version, Summary: description.Summary, Doc: description.Doc, Config: config, Options: options,
		HashFormats: description.HashFormats, Verbs: names(description.Verbs), ReplaySafe: names(description.ReplaySafe), Abilities: names(description.Abilities),
		Recover: string(description.Recover), Egress: description.Egress, Paths: description.Paths, VerifyIsLogon: description.VerifyIsLogon, Target: description.Target,
		MustChange: description.MustChange,
		Limits: &pb.Limits{Concurrency: int64(description.Limits.Concurrency), PerSecond: description.Limits.PerSecond,
			Batch: int64(description.Limits.Batch), TimeoutNs: int64(description.Limits.Timeout)},
	}
	for _, kind := range description.Kinds {
		made.Kinds = append(made.Kinds, &pb.Kind{Name: kind.Name, Doc: kind.Doc})
	}
	return made, nil
}

// DecodeDescription is the inverse of EncodeDescription.
func DecodeDescription(description *pb.Description) sdk.Description {
	limits := description.GetLimits()
	made := sdk.Description{
		Name: Line(description.GetName()), Version: Line(description.GetVersion()), Summary: Line(description.GetSummary()), Doc: paragraphs(description.GetDoc()),
		Config: decodeFields(description.GetConfig()), Options: decodeFields(description.GetOptions()),
		HashFormats: description.GetHashFormats(), Verbs: decodeNames[sdk.Verb](description.GetVerbs()), ReplaySafe: decodeNames[sdk.Verb](description.GetReplaySafe()),
		Abilities: decodeNames[sdk.Ability](description.GetAbilities()), Recover: sdk.Recovery(description.GetRecover()),
		Egress: description.GetEgress(), Paths: description.GetPaths(), VerifyIsLogon: description.GetVerifyIsLogon(), Target: description.GetTarget(),
		MustChange: flag(description.MustChange),
		Limits: sdk.Limits{Concurrency: count(limits.GetConcurrency()), PerSecond: max(limits.GetPerSecond(), 0),
			Batch: count(limits.GetBatch()), Timeout: time.Duration(max(limits.GetTimeoutNs(), 0))},
	}
	for _, kind := range description.GetKinds() {
		made.Kinds = append(made.Kinds, sdk.Kind{Name: Line(kind.GetName()), Doc: Line(kind.GetDoc())})
	}
	return made
}

func encodeFields(fields []sdk.Field) ([]*pb.Field, error) {
	var out []*pb.Field
	for _, field := range fields {
		value, err := EncodeValue(field.Default)
		if err != nil {
			return nil, fmt.Errorf("%s: default: %w", field.Name, err)
		}
		out = append(out, &pb.Field{Name: field.Name, Type: string(field.Type), Required: field.Required, Default: value,
			Choices: field.Choices, Doc: field.Doc, Conflicts: field.Conflicts})
	}
	return out, nil
}

func decodeFields(fields []*pb.Field) []sdk.Field {
	var out []sdk.Field
	for _, field := range fields {
		out = append(out, sdk.Field{Name: Line(field.GetName()), Type: sdk.FieldType(Line(field.GetType())), Required: field.GetRequired(),
			Default: DecodeValue(field.GetDefault()), Choices: field.GetChoices(), Doc: Line(field.GetDoc()), Conflicts: field.GetConflicts()})
	}
	return out
}

// EncodeAbilities returns the names of abilities.
func EncodeAbilities(list []sdk.Ability) []string { return names(list) }

// DecodeAbilities is the inverse of EncodeAbilities.
func DecodeAbilities(list []string) []sdk.Ability { return decodeNames[sdk.Ability](list) }

func names[T ~string](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

func decodeNames[T ~string](list []string) []T {
	var out []T
	for _, value := range list {
		out = append(out, T(value))
	}
	return out
}
