package dial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// The handshake of the contract: see sdk/proto/backend/v1/README.md.
const (
	CookieKey       = "REKEY_PLUGIN"
	CookieValue     = "rekey-backend-v1"
	ProtocolVersion = 1
)

// Handshake is what host and plugin have to agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: ProtocolVersion, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue}
}

// Config returns go-plugin's settings for a plugin whose Dispense("backend") is
// a *Client: gRPC only, certificates made for this one process, the limits of
// the contract. The caller adds how the process is started.
func Config(options Options) *plugin.ClientConfig {
	if options.Redact == nil {
		options.Redact = &Redactor{} // one for the client and the trace
	}
	dialing := append(dialOptions(), options.tracing()...)
	return &plugin.ClientConfig{
		HandshakeConfig:  Handshake(),
		Plugins:          plugin.PluginSet{"backend": &dispenser{options: options}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		GRPCDialOptions:  dialing,
		StartTimeout:     10 * time.Second,
		Logger:           options.logger(),
	}
}

// Dispense returns the Client of a plugin started with Config.
func Dispense(client *plugin.Client) (*Client, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense("backend")
	if err != nil {
		return nil, err
	}
	c, ok := raw.(*Client)
	if !ok {
		return nil, fmt.Errorf("got %T, want a client", raw)
	}
	return c, nil
}

type dispenser struct {
	plugin.NetRPCUnsupportedPlugin
	options Options
}

// GRPCClient returns a *Client.
func (d *dispenser) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	options := d.options
	if options.Gone == nil {
		options.Gone = ctx.Done()
	}
	return New(conn, options), nil
}

// GRPCServer is not used on this side.
func (d *dispenser) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("this is the host's side")
}
