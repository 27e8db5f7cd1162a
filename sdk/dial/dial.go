// Package dial is the host's end of the contract with a plugin: it sends
// operations and questions over one connection and makes sure that each gets
// exactly one answer, also from a plugin that dies, hangs or answers twice. It
// knows what was handed to the connection and what was not; it refuses to know
// how a plugin is started (host/launch) and what an answer means for a run.
package dial

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/hlog"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Redactor scrubs the secrets that passed through a Client from texts.
type Redactor = wire.Redactor

// Options are how a Client treats its plugin. The zero Options will do.
type Options struct {
	Log    hclog.Logger // of odd answers, and of go-plugin; nil: dropped
	Redact *Redactor    // shared with whoever reads the plugin's logs; nil: one of its own
	// Gone is closed when the plugin's process is; nil: not known.
	Gone <-chan struct{}
	// Why tells, after the connection broke, what became of the plugin:
	// "killed by signal 9". It may wait a moment for that. nil: not known.
	Why func() string
	// Breaches counts what the plugin does against the contract; nil: not counted.
	Breaches *Breaches
	// Instances is what the names of instances begin with, where a process has more
	// hosts than this one.
	Instances string
	// Trace is told of every message, without secrets; nil: not told. It is called
	// from several goroutines.
	Trace func(Frame)
}

// logger is the log without secrets.
func (o Options) logger() hclog.Logger {
	switch {
	case o.Log == nil:
		return hclog.NewNullLogger()
	case o.Redact == nil:
		return o.Log
	}
	return hlog.Scrubbed(o.Log, o.Redact.Scrub)
}

// Client speaks to one plugin process. Its methods are safe for concurrent use.
type Client struct {
	conn    grpc.ClientConnInterface
	rpc     pb.BackendClient
	options Options
	redact  *Redactor
	log     hclog.Logger
	last    atomic.Uint64 // number of the newest instance
}

// New returns a client on a connection, which stays the caller's.
func New(conn grpc.ClientConnInterface, options Options) *Client {
	client := &Client{conn: conn, rpc: pb.NewBackendClient(conn), options: options, redact: options.Redact, log: options.logger()}
	if client.redact == nil {
		client.redact = &Redactor{}
	}
	if client.options.Breaches == nil {
		client.options.Breaches = &Breaches{}
	}
	return client
}

// tracing has the messages told to Options.Trace.
func (o Options) tracing() []grpc.DialOption {
	if o.Trace == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(tracer{o.Redact, o.Trace})}
}

// Over connects by the given function, without a handshake or certificates of its own: the
// counterpart of serve.On, for tests of a backend over the wire. close ends the
// connection.
func Over(connect func(context.Context) (net.Conn, error), options Options) (client *Client, close func() error, err error) {
	dialer := func(ctx context.Context, _ string) (net.Conn, error) { return connect(ctx) }
	if options.Redact == nil {
		options.Redact = &Redactor{} // one for the client and the trace
	}
	conn, err := grpc.NewClient("passthrough:///plugin", append(dialOptions(), append(options.tracing(),
		grpc.WithContextDialer(dialer), grpc.WithTransportCredentials(insecure.NewCredentials()))...)...)
	if err != nil {
		return nil, nil, err
	}
	return New(conn, options), conn.Close, nil
}

// dialOptions are the limits of the contract. Nothing is sent twice by itself.
func dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		grpc.WithInitialWindowSize(wire.MaxMessage), grpc.WithInitialConnWindowSize(wire.MaxMessage),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
	}
}

// callTimeout bounds the calls besides operations.
const callTimeout = 30 * time.Second

// Describe asks the plugin for its description.
func (c *Client) Describe(ctx context.Context) (sdk.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	describeResponse, err := c.rpc.Describe(ctx, &pb.DescribeRequest{})
	if err != nil {
		return sdk.Description{}, c.failed(ctx, "describe", err)
	}
	if describeResponse.GetDescription() == nil {
		return sdk.Description{}, sdk.Errorf(sdk.Internal, "the plugin describes nothing")
	}
	return c.redact.Description(wire.DecodeDescription(describeResponse.GetDescription())), nil
}

// Configure opens an instance. c.Log is not sent; its level is. The error is an
// *sdk.Error: the plugin's own, or Unreachable if it could not be asked.
func (c *Client) Configure(ctx context.Context, config sdk.Config) (*Instance, error) {
	values, err := wire.EncodeValues(config.Values)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "%s", err)
	}
	for _, value := range config.Secrets {
		c.redact.Keep(value)
	}
	for _, value := range config.Handed {
		c.redact.Keep(value)
	}
	config = withDefaults(config)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := c.options.Instances + strconv.FormatUint(c.last.Add(1), 10)
	configureResponse, err := c.rpc.Configure(ctx, &pb.ConfigureRequest{
		Instance: name, Label: config.Label, Values: values, Secrets: wire.EncodeSecrets(config.Secrets),
		Concurrency: int64(config.Concurrency), TimeoutNs: int64(config.Timeout), LogLevel: levelOf(ctx, config.Log),
		Handed: wire.EncodeSecretList(config.Handed),
	})
	if err != nil {
		return nil, c.failed(ctx, "configure", err)
	}
	if failure := c.redact.Error(wire.DecodeError(configureResponse.GetError())); failure != nil {
		return nil, failure
	}
	return c.instance(name, config, configureResponse)
}

func withDefaults(config sdk.Config) sdk.Config {
	config.Concurrency = max(1, config.Concurrency)
	if config.Timeout <= 0 {
		config.Timeout = callTimeout
	}
	return config
}

// levelOf is the least level that the log takes; without a log, what a plugin
// sends by itself.
func levelOf(ctx context.Context, log *slog.Logger) string {
	if log == nil {
		return "info"
	}
	for _, l := range []struct {
		level slog.Level
		name  string
	}{{slog.LevelDebug - 4, "trace"}, {slog.LevelDebug, "debug"}, {slog.LevelInfo, "info"}, {slog.LevelWarn, "warn"}} {
		if log.Enabled(ctx, l.level) {
			return l.name
		}
	}
	return "error"
}

// failed is the error of a call that got no answer and changed nothing.
func (c *Client) failed(ctx context.Context, what string, err error) *sdk.Error {
	switch code := status.Code(err); {
	case ctx.Err() == context.Canceled:
		return sdk.Errorf(sdk.Cancelled, "%s: given up", what)
	case ctx.Err() != nil, code == codes.DeadlineExceeded:
		return sdk.Errorf(sdk.Timeout, "%s: no answer from the plugin", what)
	case code == codes.Unimplemented:
		return sdk.Errorf(sdk.Unsupported, "%s: the plugin has no such call", what)
	case code == codes.Unavailable, code == codes.Canceled, code == codes.Unknown:
		return sdk.Errorf(sdk.Unreachable, "%s: %s", what, c.reason(err))
	default:
		return sdk.Errorf(sdk.Internal, "%s: %s", what, c.reason(err))
	}
}

// reason is why the connection is of no use.
func (c *Client) reason(err error) string {
	if c.options.Why != nil {
		if why := c.options.Why(); why != "" {
			return why
		}
	}
	return c.redact.Scrub(fmt.Sprintf("the plugin: %s", message(err)))
}

// Note makes the redactor remember secrets that came another way.
func (c *Client) Note(values ...secret.Value) { c.redact.Note(values...) }

func (c *Client) instance(name string, config sdk.Config, configureResponse *pb.ConfigureResponse) (*Instance, error) {
	instance := &Instance{client: c, name: name, config: config, abilities: c.redact.Abilities(wire.DecodeAbilities(configureResponse.GetAbilities())), done: make(chan struct{})}
	instance.load.born = time.Now()
	instance.ctx, instance.stop = context.WithCancel(context.Background())
	instance.single = newSingle(instance)
	if configureResponse.GetStream() {
		instance.asks = slices.Contains(configureResponse.GetStreamVerbs(), string(sdk.Verify))
		var err error
		if instance.stream, err = openStream(instance); err != nil {
			instance.stop()
			return nil, err
		}
	}
	if c.options.Gone != nil {
		instance.wg.Go(instance.watch)
	}
	return instance, nil
}

// receipt decodes a receipt, with what is wrong with it counted.
func (c *Client) receipt(receipt *pb.Receipt) sdk.Receipt {
	made := wire.DecodeReceipt(receipt)
	c.options.Breaches.receipt(receipt, made)
	c.redact.Note(made.Value)
	return c.redact.Receipt(made)
}

// call is a unary call that tells whether the request was handed to the
// connection. As a stream of one message, because grpc's own unary call does
// not tell.
func (c *Client) call(ctx context.Context, method string, in, out any) (sent bool, err error) {
	clientStream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method)
	if err != nil {
		return false, err
	}
	if err := clientStream.SendMsg(in); err != nil {
		return false, clientStream.RecvMsg(out)
	}
	if err := clientStream.CloseSend(); err != nil {
		return true, err
	}
	return true, clientStream.RecvMsg(out)
}

// account decodes one of a list.
func (c *Client) account(account *pb.Account, secrets []string) sdk.Account {
	a := c.redact.Account(wire.DecodeAccount(account), "")
	a.Attributes, a.Lists = c.redact.Attributes(a.Attributes, secrets), c.redact.Lists(a.Lists, secrets)
	return a
}
