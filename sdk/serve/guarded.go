package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk"
	pb "github.com/rekey-host/rekey/sdk/internal/backendpb"
	"github.com/rekey-host/rekey/sdk/internal/wire"
	"github.com/rekey-host/rekey/sdk/secret"
)

// guarded is a backend whose panics are errors, and whose texts are scrubbed.
type guarded struct {
	backend sdk.Backend
	redact  *wire.Redactor
	stderr  io.Writer
	log     *slog.Logger
}

func newGuarded(backend sdk.Backend, stderr io.Writer) *guarded {
	redact := &wire.Redactor{}
	return &guarded{backend: backend, redact: redact, stderr: stderr, log: newLogger(stderr, redact, hclog.Info)}
}

// describe returns the backend's Description.
func (g *guarded) describe() (description sdk.Description, failure *sdk.Error) {
	failure = g.guard("Describe", func() { description = g.backend.Describe() })
	return description, failure
}

// configure opens an instance of the backend.
func (g *guarded) configure(ctx context.Context, config sdk.Config) (inst sdk.Instance, failure *sdk.Error) {
	var err error
	if failure := g.guard("Configure", func() { inst, err = g.backend.Configure(ctx, config) }); failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, sdk.AsError(err, sdk.InvalidConfig)
	}
	if inst == nil {
		return nil, sdk.Errorf(sdk.Internal, "Configure returned neither an instance nor an error")
	}
	return inst, nil
}

// config checks the settings against the description once more: the host may
// be older than the plugin, or not be rekey.
func (g *guarded) config(description sdk.Description, in *pb.ConfigureRequest) (sdk.Config, *sdk.Error) {
	secrets := wire.DecodeSecrets(in.GetSecrets())
	given := wire.DecodeValues(in.GetValues())
	if given == nil {
		given = map[string]any{}
	}
	for name, value := range secrets {
		g.redact.Keep(value)
		given[name] = value
	}
	values, problems := sdk.Fill(description.Config, given)
	if len(problems) > 0 {
		return sdk.Config{}, sdk.Errorf(sdk.InvalidConfig, "%s", problems[0].Error())
	}
	config := sdk.Config{
		Label: in.GetLabel(), Values: map[string]any{}, Secrets: map[string]secret.Value{},
		Concurrency: int(max(1, min(in.GetConcurrency(), 1<<16))), Timeout: time.Duration(in.GetTimeoutNs()),
		Log: newLogger(g.stderr, g.redact, parseLevel(in.GetLogLevel())).With("instance", in.GetLabel()),
	}
	if config.Timeout <= 0 {
		config.Timeout = 30 * time.Second
	}
	for name, value := range values {
		if v, ok := value.(secret.Value); ok {
			config.Secrets[name] = v
			continue
		}
		config.Values[name] = value
	}
	for _, value := range wire.DecodeSecretList(in.GetHanded()) {
		g.redact.Keep(value)
		config.Handed = append(config.Handed, value)
	}
	return config, nil
}

// guard turns a panic of the backend into an error that tells nothing of the
// values that were at hand; the log has the rest, scrubbed.
func (g *guarded) guard(method string, do func()) (failure *sdk.Error) {
	defer func() {
		if value := recover(); value != nil {
			failure = panicked(g.log, method, value)
		}
	}()
	do()
	return nil
}

func panicked(log *slog.Logger, method string, value any) *sdk.Error {
	log.Error("the backend panicked", "method", method, "panic", fmt.Sprint(value), "stack", stack())
	return sdk.Errorf(sdk.Internal, "the backend panicked in %s (%T); its log has the rest", method, value)
}
