package dial

import (
	"strings"
	"testing"

	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
)

// TestATraceKnowsTheValueOfAReset: also where the same message quotes it, before and
// after it, and the client has not read it yet.
func TestATraceKnowsTheValueOfAReset(t *testing.T) {
	var told []Frame
	traced := tracer{&Redactor{}, func(frame Frame) { told = append(told, frame) }}
	const value = "R3s-horse-battery"
	traced.message(Frame{Method: "Reset"}, &pb.ApplyResponse{Receipt: &pb.Receipt{Ref: "ref " + value, Stamp: value, Value: &pb.Secret{Value: []byte(value)},
		Error: &pb.Error{Message: "it is " + value[:12]}}})
	if len(told) != 1 || strings.Contains(told[0].Text, "horse") || !strings.Contains(told[0].Text, `"value":"<secret>"`) || !strings.Contains(told[0].Text, "ref [") {
		t.Errorf("%+v", told)
	}
}
