package dial

import (
	"context"
	"encoding/json"
	"strings"

	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Frame is one message of a connection, for people.
type Frame struct {
	Sent   bool   // by the host; else by the plugin
	Method string // such as Apply
	Text   string // the message as JSON; a secret is "<secret>", and no piece of one is in any text
}

// tracer tells of every message of a connection.
type tracer struct {
	redact *Redactor
	tell   func(Frame)
}

var _ stats.Handler = tracer{}

// method is the key of a call's name in its context.
type method struct{}

// TagRPC keeps the call's name.
func (t tracer) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	name, ours := strings.CutPrefix(info.FullMethodName, "/"+pb.Backend_ServiceDesc.ServiceName+"/")
	if !ours {
		return ctx
	}
	return context.WithValue(ctx, method{}, name)
}

// HandleRPC tells of a message.
func (t tracer) HandleRPC(ctx context.Context, what stats.RPCStats) {
	name, _ := ctx.Value(method{}).(string)
	if name == "" {
		return // of go-plugin, not of the contract
	}
	switch what := what.(type) {
	case *stats.OutPayload:
		t.message(Frame{Sent: true, Method: name}, what.Payload)
	case *stats.InPayload:
		t.message(Frame{Method: name}, what.Payload)
	case *stats.End:
		if what.Error != nil {
			t.tell(Frame{Method: name, Text: t.redact.Scrub(what.Error.Error())})
		}
	}
}

// TagConn keeps nothing.
func (t tracer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn tells nothing.
func (t tracer) HandleConn(context.Context, stats.ConnStats) {}

func (t tracer) message(frame Frame, payload any) {
	message, ok := payload.(proto.Message)
	if !ok {
		return
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(t.shown(message.ProtoReflect())) // such a map always can be
	frame.Text = t.redact.Scrub(strings.TrimSuffix(text.String(), "\n"))
	t.tell(frame)
}

// shown is a message as JSON has it, without secrets. Each is noted: another field may
// quote it, and the client has not read the message yet.
func (t tracer) shown(message protoreflect.Message) any {
	if hidden, ok := message.Interface().(*pb.Secret); ok {
		t.redact.Note(secret.New(string(hidden.GetValue())))
		return "<secret>"
	}
	made := map[string]any{}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		made[string(field.Name())] = t.shownField(field, value)
		return true
	})
	return made
}

func (t tracer) shownField(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch {
	case field.IsMap():
		made := map[string]any{}
		value.Map().Range(func(key protoreflect.MapKey, one protoreflect.Value) bool {
			made[key.String()] = t.shownOne(field.MapValue(), one)
			return true
		})
		return made
	case field.IsList():
		var made []any
		for i := range value.List().Len() {
			made = append(made, t.shownOne(field, value.List().Get(i)))
		}
		return made
	}
	return t.shownOne(field, value)
}

func (t tracer) shownOne(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return t.shown(value.Message())
	case protoreflect.EnumKind:
		if name := field.Enum().Values().ByNumber(value.Enum()); name != nil {
			return string(name.Name())
		}
		return value.Enum()
	case protoreflect.BytesKind:
		return "<bytes>"
	}
	return value.Interface()
}
