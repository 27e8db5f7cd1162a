package wire

import (
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// EncodeDescription fails on a default of a field that cannot be sent.
func EncodeDescription(d sdk.Description) (*pb.Description, error) {
	config, err := encodeFields(d.Config)
	if err != nil {
		return nil, fmt.Errorf("config field %w", err)
	}
	options, err := encodeFields(d.Options)
	if err != nil {
		return nil, fmt.Errorf("option %w", err)
	}
	p := &pb.Description{
		Name: d.Name, Version: d.Version, Summary: d.Summary, Doc: d.Doc, Config: config, Options: options,
		HashFormats: d.HashFormats, Verbs: names(d.Verbs), ReplaySafe: names(d.ReplaySafe), Abilities: names(d.Abilities),
		Recover: string(d.Recover), Egress: d.Egress, Paths: d.Paths, VerifyIsLogon: d.VerifyIsLogon, Target: d.Target,
		Limits: &pb.Limits{Concurrency: int64(d.Limits.Concurrency), PerSecond: d.Limits.PerSecond,
			Batch: int64(d.Limits.Batch), TimeoutNs: int64(d.Limits.Timeout)},
	}
	for _, k := range d.Kinds {
		p.Kinds = append(p.Kinds, &pb.Kind{Name: k.Name, Doc: k.Doc})
	}
	return p, nil
}

// DecodeDescription is the inverse of EncodeDescription.
func DecodeDescription(p *pb.Description) sdk.Description {
	l := p.GetLimits()
	d := sdk.Description{
		Name: Line(p.GetName()), Version: Line(p.GetVersion()), Summary: Line(p.GetSummary()), Doc: paragraphs(p.GetDoc()),
		Config: decodeFields(p.GetConfig()), Options: decodeFields(p.GetOptions()),
		HashFormats: p.GetHashFormats(), Verbs: decodeNames[sdk.Verb](p.GetVerbs()), ReplaySafe: decodeNames[sdk.Verb](p.GetReplaySafe()),
		Abilities: decodeNames[sdk.Ability](p.GetAbilities()), Recover: sdk.Recovery(p.GetRecover()),
		Egress: p.GetEgress(), Paths: p.GetPaths(), VerifyIsLogon: p.GetVerifyIsLogon(), Target: p.GetTarget(),
		Limits: sdk.Limits{Concurrency: count(l.GetConcurrency()), PerSecond: max(l.GetPerSecond(), 0),
			Batch: count(l.GetBatch()), Timeout: time.Duration(max(l.GetTimeoutNs(), 0))},
	}
	for _, k := range p.GetKinds() {
		d.Kinds = append(d.Kinds, sdk.Kind{Name: Line(k.GetName()), Doc: Line(k.GetDoc())})
	}
	return d
}

func encodeFields(fields []sdk.Field) ([]*pb.Field, error) {
	var out []*pb.Field
	for _, f := range fields {
		v, err := EncodeValue(f.Default)
		if err != nil {
			return nil, fmt.Errorf("%s: default: %w", f.Name, err)
		}
		out = append(out, &pb.Field{Name: f.Name, Type: string(f.Type), Required: f.Required, Default: v,
			Choices: f.Choices, Doc: f.Doc, Conflicts: f.Conflicts})
	}
	return out, nil
}

func decodeFields(fields []*pb.Field) []sdk.Field {
	var out []sdk.Field
	for _, f := range fields {
		out = append(out, sdk.Field{Name: Line(f.GetName()), Type: sdk.FieldType(Line(f.GetType())), Required: f.GetRequired(),
			Default: DecodeValue(f.GetDefault()), Choices: f.GetChoices(), Doc: Line(f.GetDoc()), Conflicts: f.GetConflicts()})
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
	for _, v := range list {
		out = append(out, T(v))
	}
	return out
}
