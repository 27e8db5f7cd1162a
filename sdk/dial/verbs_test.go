package dial

import (
	"slices"
	"testing"

	"google.golang.org/grpc"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// TestEveryVerbIsInTheProtocol: it is asked by a method of its name.
func TestEveryVerbIsInTheProtocol(t *testing.T) {
	for _, verb := range sdk.AskedVerbs() {
		if !slices.ContainsFunc(pb.Backend_ServiceDesc.Methods, func(method grpc.MethodDesc) bool { return method.MethodName == verb.Method() }) {
			t.Errorf("the protocol has no method %s of the verb %s", verb.Method(), verb)
		}
	}
}
