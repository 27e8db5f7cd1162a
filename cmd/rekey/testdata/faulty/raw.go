package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

// raw is a plugin that speaks the protocol without the SDK, in which what it is wrong
// about cannot be said. Messages are written as JSON.
type raw struct {
	plugin.NetRPCUnsupportedPlugin
	mode      string
	describe  string // the answer to Describe; "": one that fits
	configure string // the answer to Configure; "": a stream, and no abilities
	answer    func(operation) []string
	calls     map[string]string // answers to other calls, by their names
	accounts  accounts
	stream    func(*raw, grpc.ServerStream) error // nil: answer answers
}

// operation is one of a frame.
type operation struct {
	raw     *raw
	number  uint64
	account string
	attempt int64
	value   secret.Value
}

// set gives the account its value.
func (o operation) set() { o.raw.accounts.set(o.account, o.value) }

// serve serves until the host is done.
func (r *raw) serve() {
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: dial.Handshake(), Plugins: plugin.PluginSet{"backend": r},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxSendMsgSize(1<<30))...)
		}})
}

// GRPCClient is not used on this side.
func (r *raw) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("plugin")
}

// GRPCServer registers the service.
func (r *raw) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	description := fmt.Sprintf(`{"description": {"name": %q, "version": "1", "verbs": ["set"], "paths": ["write {target}"], "limits": {"concurrency": "4"},
		"config": [{"name": "target", "type": "path", "required": true}, {"name": "password", "type": "secret"}]}}`, r.mode)
	if r.describe != "" {
		description = r.describe
	}
	configured := r.configure
	if configured == "" {
		configured = `{"stream": true}`
	}
	methods := []grpc.MethodDesc{
		r.method("Describe", "DescribeRequest", "DescribeResponse", description),
		r.method("Configure", "ConfigureRequest", "ConfigureResponse", configured),
		r.method("Close", "CloseRequest", "CloseResponse", "{}"),
	}
	for name, text := range r.calls {
		methods = append(methods, r.method(name, name+"Request", name+"Response", text))
	}
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "rekey.backend.v1.Backend", HandlerType: (*any)(nil), Methods: methods,
		Streams: []grpc.StreamDesc{{StreamName: "ApplyStream", ServerStreams: true, ClientStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
			if r.stream != nil {
				return r.stream(r, stream)
			}
			return r.answerEach(stream)
		}}}}, r)
	return nil
}

// method answers a call with a text.
func (r *raw) method(name, takes, gives, text string) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := message(takes)
		if err := decode(in); err != nil {
			return nil, err
		}
		if name == "Configure" {
			values := in.ProtoReflect().Get(field(in, "values")).Map()
			target := values.Get(protoreflect.ValueOfString("target").MapKey()).Message().Interface()
			r.accounts = accounts(target.ProtoReflect().Get(field(target, "text")).String())
		}
		if text == "hang" {
			select {}
		}
		return written(gives, text), nil
	}}
}

// message returns an empty one of a type of the protocol.
func message(name string) proto.Message {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("rekey.backend.v1." + name))
	if err != nil {
		panic(err)
	}
	return kind.New().Interface()
}

// written returns the message that a text stands for.
func written(name, text string) proto.Message {
	made := message(name)
	if err := protojson.Unmarshal([]byte(text), made); err != nil {
		panic(err)
	}
	return made
}

func field(of proto.Message, name string) protoreflect.FieldDescriptor {
	return of.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
}

// answerEach answers each operation as answer says.
func (r *raw) answerEach(stream grpc.ServerStream) error {
	return r.each(stream, func(op operation) error {
		var texts []string
		for _, text := range r.answer(op) {
			texts = append(texts, strings.ReplaceAll(text, "$n", strconv.FormatUint(op.number, 10)))
		}
		if len(texts) == 0 {
			return nil
		}
		return stream.SendMsg(written("AnswerFrame", `{"answers": [`+strings.Join(texts, ", ")+`]}`))
	})
}

// each calls do with each operation that comes.
func (r *raw) each(stream grpc.ServerStream, do func(operation) error) error {
	for {
		frame := message("OperationFrame")
		if err := stream.RecvMsg(frame); err != nil {
			return err
		}
		list := frame.ProtoReflect().Get(field(frame, "operations")).List()
		for at := range list.Len() {
			if err := do(r.operation(list.Get(at).Message().Interface())); err != nil {
				return err
			}
		}
	}
}

func (r *raw) operation(numbered proto.Message) operation {
	op := numbered.ProtoReflect().Get(field(numbered, "operation")).Message()
	of := op.Interface()
	value := op.Get(field(of, "value")).Message()
	return operation{raw: r, number: numbered.ProtoReflect().Get(field(numbered, "number")).Uint(), account: op.Get(field(of, "account")).String(),
		attempt: op.Get(field(of, "attempt")).Int(), value: secret.New(string(value.Get(field(value.Interface(), "value")).Bytes()))}
}

const applied = `{"number": "$n", "receipt": {"outcome": "OUTCOME_APPLIED"}}`

// saying applies, and answers with texts in which $n is the operation's number.
func saying(texts ...string) raw {
	return raw{answer: func(op operation) []string { op.set(); return texts }}
}

// only answers so, and applies nothing.
func only(texts ...string) raw { return raw{answer: func(operation) []string { return texts }} }

// raws are the modes that the SDK does not let a plugin have.
func raws(mode string) map[string]*raw {
	all := map[string]raw{
		"answers-twice":        saying(applied, applied),
		"answers-otherwise":    saying(applied, `{"number": "$n", "receipt": {"outcome": "OUTCOME_REFUSED", "error": {"code": "Conflict"}}}`),
		"unknown-numbers":      saying(`{"number": "777777777", "receipt": {"outcome": "OUTCOME_APPLIED"}}`, applied),
		"only-unknown-numbers": only(`{"number": "777777777", "receipt": {"outcome": "OUTCOME_APPLIED"}}`),
		"never-answers":        only(),
		"applied-with-error":   only(`{"number": "$n", "receipt": {"outcome": "OUTCOME_APPLIED", "error": {"code": "Timeout", "message": "late"}}}`),
		"outcome-99":           only(`{"number": "$n", "receipt": {"outcome": 99}}`),
		"outcome-minus-1":      only(`{"number": "$n", "receipt": {"outcome": -1}}`),
		"code-of-its-own":      only(`{"number": "$n", "receipt": {"outcome": "OUTCOME_REFUSED", "error": {"code": "Gremlins", "message": "they are here"}}}`),
		"no-reason":            only(`{"number": "$n", "receipt": {"outcome": "OUTCOME_REFUSED"}}`),
		"no-receipt":           only(`{"number": "$n"}`),
		"a-value-nobody-asked": saying(`{"number": "$n", "receipt": {"outcome": "OUTCOME_APPLIED", "value": {"value": "c3VycHJpc2U="}, "verdict": 9}}`),
		"undeclared-abilities": {configure: `{"stream": true, "abilities": ["verify", "find", "fly"], "stream_verbs": ["verify", "fly"]}`, answer: saying(applied).answer},
		"no-stream":            {configure: `{"stream": false}`, calls: map[string]string{"Apply": `{"receipt": {"outcome": "OUTCOME_REFUSED", "error": {"code": "Conflict", "message": "not now"}}}`}},
		"no-stream-no-apply":   {configure: `{"stream": false}`},
		"no-stream-hangs":      {configure: `{"stream": false}`, calls: map[string]string{"Apply": "hang"}},
		"configure-hangs":      {configure: "hang"},
		"describes-nothing":    {describe: "{}"},
		"ends-the-stream": {stream: func(r *raw, stream grpc.ServerStream) error {
			return r.each(stream, func(operation) error { return errors.New("enough") })
		}},
		"ends-it-in-order": {stream: func(r *raw, stream grpc.ServerStream) error {
			_ = r.each(stream, func(operation) error { return errors.New("enough") })
			return nil
		}},
		"breaks-with-a-status": {stream: func(r *raw, stream grpc.ServerStream) error {
			return r.each(stream, func(operation) error { return status.Error(codes.DataLoss, "gremlins") })
		}},
		"no-such-stream": {stream: func(r *raw, stream grpc.ServerStream) error {
			return r.each(stream, func(operation) error { return status.Error(codes.Unimplemented, "none") })
		}},
		"answers-every-second": {answer: everySecond},
		"a-large-answer": {stream: func(r *raw, stream grpc.ServerStream) error {
			return r.each(stream, func(op operation) error { return large(stream, op) })
		}},
		"answers-unasked": {stream: unasked},
		"no-answer-frame": {stream: func(r *raw, stream grpc.ServerStream) error {
			return r.each(stream, func(operation) error { return stream.SendMsg(written("DescribeRequest", `{"hostVersion": "\u0008"}`)) })
		}},
		"noise-on-stdout": {answer: func(op operation) []string {
			_, _ = syscall.Write(1, []byte("a library says hello\n"))
			op.set()
			return []string{applied}
		}},
		"floods-stdout": {answer: func(op operation) []string {
			for range 1 << 13 {
				_, _ = syscall.Write(1, []byte(strings.Repeat("hello ", 100)+"\n"))
			}
			op.set()
			return []string{applied}
		}},
		"a-refusal-then-done": {answer: func(op operation) []string {
			if op.attempt == 1 {
				return []string{`{"number": "$n", "receipt": {"outcome": "OUTCOME_REFUSED", "error": {"code": "Conflict"}}}`}
			}
			return []string{`{"number": "$n", "receipt": {"outcome": "OUTCOME_ALREADY_APPLIED"}}`}
		}},
		"ignores-its-host": {answer: func(op operation) []string {
			_ = os.Unsetenv("PLUGIN_LIVENESS_FD")
			op.set()
			return []string{applied}
		}},
	}
	made := map[string]*raw{}
	for name, plugin := range all {
		plugin.mode = mode
		made[name] = &plugin
	}
	return made
}

// everySecond answers only operations with an even number.
func everySecond(op operation) []string {
	if op.number%2 == 1 {
		return nil
	}
	op.set()
	return []string{applied}
}

// large answers with more than a message may have, and more than the host may take.
func large(stream grpc.ServerStream, op operation) error {
	answers := written("AnswerFrame", fmt.Sprintf(`{"answers": [{"number": "%d", "receipt": {"outcome": "OUTCOME_APPLIED"}}]}`, op.number))
	first := answers.ProtoReflect().Get(field(answers, "answers")).List().Get(0).Message()
	receipt := first.Get(field(first.Interface(), "receipt")).Message()
	receipt.Set(field(receipt.Interface(), "ref"), protoreflect.ValueOfString(strings.Repeat("x", 160<<20)))
	return stream.SendMsg(answers)
}

// unasked answers half a million operations that were never sent, and then those that were.
func unasked(r *raw, stream grpc.ServerStream) error {
	var texts []string
	for n := range 500 {
		texts = append(texts, strings.ReplaceAll(applied, "$n", strconv.Itoa(1<<40+n)))
	}
	frame := written("AnswerFrame", `{"answers": [`+strings.Join(texts, ", ")+`]}`)
	for range 1000 {
		if err := stream.SendMsg(frame); err != nil {
			return err
		}
	}
	r.answer = saying(applied).answer
	return r.answerEach(stream)
}
