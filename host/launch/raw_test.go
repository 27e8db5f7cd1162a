package launch_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rekey-host/rekey/sdk/dial"
)

// rawPlugin is a plugin that was written without the SDK, from the .proto: it
// does only what the tests need, and that badly.
type rawPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	stream func(grpc.ServerStream) error
}

func serveRaw(p rawPlugin) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: dial.Handshake(),
		Plugins:         plugin.PluginSet{"backend": &p},
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.ForceServerCodec(codec{}))...) //nolint:staticcheck // V2 needs buffers
		},
	})
}

// message is the bytes of a message.
type message []byte

// codec passes messages on as they are, beside go-plugin's own.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case *message:
		return *v, nil
	case proto.Message:
		return proto.Marshal(v)
	}
	return nil, fmt.Errorf("%T", v)
}

func (codec) Unmarshal(b []byte, v any) error {
	switch v := v.(type) {
	case *message:
		*v = append(message(nil), b...)
		return nil
	case proto.Message:
		return proto.Unmarshal(b, v)
	}
	return fmt.Errorf("%T", v)
}

// GRPCClient is not used on this side.
func (*rawPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("plugin")
}

// GRPCServer registers the service.
func (p *rawPlugin) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	var description message
	description = protowire.AppendTag(description, 1, protowire.BytesType)
	description = protowire.AppendString(description, "test")
	var described message
	described = protowire.AppendTag(described, 1, protowire.BytesType)
	described = protowire.AppendBytes(described, description)
	var configured message
	configured = protowire.AppendTag(configured, 3, protowire.VarintType)
	configured = protowire.AppendVarint(configured, 1)
	g.RegisterService(&grpc.ServiceDesc{
		ServiceName: "rekey.backend.v1.Backend", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{reply("Describe", described), reply("Configure", configured), reply("Close", nil)},
		Streams: []grpc.StreamDesc{{StreamName: "ApplyStream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, s grpc.ServerStream) error { return p.stream(s) }}},
	}, p)
	return nil
}

func reply(name string, m message) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		return &m, dec(&message{})
	}}
}

func neverAnswer(s grpc.ServerStream) error {
	for {
		if err := s.RecvMsg(&message{}); err != nil {
			<-context.Background().Done()
		}
	}
}

// breakAfter ends the stream when operations are on it, and lives on.
func breakAfter(s grpc.ServerStream) error {
	for {
		var frame message
		if err := s.RecvMsg(&frame); err != nil || len(numbersOf(frame)) > 0 {
			return errors.New("enough")
		}
	}
}

func answerTwice(s grpc.ServerStream) error {
	return answerEach(s, func(n uint64) []uint64 { return []uint64{n, n, n} })
}

func answerAnother(s grpc.ServerStream) error {
	return answerEach(s, func(n uint64) []uint64 { return []uint64{n + 1<<30, n ^ 32, n} })
}

func answerEach(s grpc.ServerStream, answers func(uint64) []uint64) error {
	for {
		var frame message
		if err := s.RecvMsg(&frame); err != nil {
			return err
		}
		var out message
		for _, n := range numbersOf(frame) {
			for _, a := range answers(n) {
				out = protowire.AppendTag(out, 1, protowire.BytesType)
				out = protowire.AppendBytes(out, answerOf(a))
			}
		}
		if err := s.SendMsg(&out); err != nil {
			return err
		}
	}
}

// answerOf is Answer{number, Receipt{outcome: applied}}.
func answerOf(number uint64) (b []byte) {
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, number)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendBytes(b, []byte{1 << 3, 1})
}

// numbersOf returns the numbers of the operations of a frame.
func numbersOf(frame []byte) (out []uint64) {
	each(frame, func(field protowire.Number, op []byte, _ uint64) {
		if field != 2 {
			return
		}
		number := uint64(0) // absent: zero
		each(op, func(field protowire.Number, _ []byte, v uint64) {
			if field == 1 {
				number = v
			}
		})
		out = append(out, number)
	})
	return out
}

func each(b []byte, do func(field protowire.Number, text []byte, v uint64)) {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			do(field, nil, v)
			b = b[n:]
		case protowire.BytesType:
			text, n := protowire.ConsumeBytes(b)
			do(field, text, 0)
			b = b[n:]
		default:
			b = b[protowire.ConsumeFieldValue(field, kind, b):]
		}
	}
}
