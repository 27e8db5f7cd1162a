package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"google.golang.org/protobuf/proto"
)

// EncodeOperation fails on an option that cannot be sent and on a text
// outside UTF-8: a name mended on the way would be another account.
func EncodeOperation(op sdk.Operation) (*pb.Operation, error) {
	for _, text := range [...]string{op.ID, op.Account, op.Kind, op.HashFormat, op.Requestor, op.SourceSystem} {
		if !utf8.ValidString(text) {
			return nil, fmt.Errorf("%q is not UTF-8", text)
		}
	}
	options, err := EncodeValues(op.Options)
	if err != nil {
		return nil, fmt.Errorf("option %w", err)
	}
	if op.Value.Present() && len(op.Value.Reveal()) > maxSecret || op.Old.Present() && len(op.Old.Reveal()) > maxSecret {
		return nil, errTooLarge
	}
	return &pb.Operation{
		Id: op.ID, Attempt: int64(op.Attempt), Verb: string(op.Verb), Account: op.Account, Kind: op.Kind,
		Value: EncodeSecret(op.Value), Old: EncodeSecret(op.Old), HashFormat: op.HashFormat,
		MustChange: op.MustChange, Options: options, Requestor: op.Requestor, SourceSystem: op.SourceSystem,
	}, nil
}

// maxSecret is the most bytes of one value.
const maxSecret = 64 << 10

var errTooLarge = errors.New("a value of more than 64 KiB cannot be sent")

// DecodeOperation is the inverse of EncodeOperation.
func DecodeOperation(operation *pb.Operation) sdk.Operation {
	return sdk.Operation{
		ID: operation.GetId(), Attempt: max(1, count(operation.GetAttempt())), Verb: sdk.Verb(operation.GetVerb()), Account: operation.GetAccount(), Kind: operation.GetKind(),
		Value: DecodeSecret(operation.GetValue()), Old: DecodeSecret(operation.GetOld()), HashFormat: operation.GetHashFormat(),
		MustChange: flag(operation.MustChange), Options: DecodeValues(operation.GetOptions()),
		Requestor: operation.GetRequestor(), SourceSystem: operation.GetSourceSystem(),
	}
}

// flag copies an optional flag, so that no message is kept alive by it.
func flag(ok *bool) *bool {
	if ok == nil {
		return nil
	}
	yes := *ok
	return &yes
}

// OperationSize returns the bytes that an operation takes in a message, or a
// little more.
func OperationSize(operation *pb.Operation) int { return proto.Size(operation) + 32 }
