package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/hlog"
	"github.com/rekey-host/rekey/sdk/secret"
)

// defaultConcurrency is that of an instance whose plugin names no limit.
const defaultConcurrency = 16

// backends are the configured instances of one workflow.
type backends struct {
	list []engine.Backend
	open []*launch.Instance
	pins []journal.BackendPin
}

// close ends the instances.
func (b *backends) close() {
	for _, i := range b.open {
		_ = i.Close()
	}
}

// openBackends reads the secrets of a workflow's backends and configures them,
// in the script's order.
func (h *Host) openBackends(ctx context.Context, w *workflow.Workflow) (*backends, error) {
	b := &backends{}
	for _, spec := range w.Backends {
		if err := h.openBackend(ctx, w, spec, b); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (h *Host) openBackend(ctx context.Context, w *workflow.Workflow, spec workflow.BackendSpec, b *backends) error {
	d, err := h.catalog.Describe(ctx, spec.Name)
	if err != nil {
		return &UsageError{Message: err.Error()}
	}
	config, err := h.config(ctx, d, w, spec)
	if err != nil {
		return err
	}
	inst, err := h.catalog.Open(ctx, spec.Name, config)
	if err != nil {
		return &UsageError{Message: fmt.Sprintf("backend %q: %s", spec.Label, err)}
	}
	b.open = append(b.open, inst)
	pin, err := h.pin(ctx, d, spec)
	if err != nil {
		return err
	}
	b.pins = append(b.pins, pin)
	b.list = append(b.list, engine.Backend{
		Label: spec.Label, Description: d, Abilities: inst.Abilities(), Instance: inst,
		Concurrency: config.Concurrency, Rate: rateOf(d, spec), Timeout: config.Timeout,
		Attempts: spec.Attempts, Patience: spec.Patience, StreamsVerify: true,
	})
	return nil
}

// config is what the plugin is configured with.
func (h *Host) config(ctx context.Context, d sdk.Description, w *workflow.Workflow, spec workflow.BackendSpec) (sdk.Config, error) {
	c := sdk.Config{Label: spec.Label, Values: h.values(d, spec), Secrets: map[string]secret.Value{},
		Concurrency: concurrencyOf(d, w.Concurrency, spec.Concurrency), Timeout: spec.Timeout, Log: h.slog()}
	for name, ref := range spec.Secrets {
		v, err := h.readSecret(ctx, ref)
		if err != nil {
			return sdk.Config{}, &UsageError{Message: fmt.Sprintf("backend %q: %s: %s", spec.Label, name, err)}
		}
		c.Secrets[name] = v
	}
	return c, nil
}

// slog is the log for those who write in slog; a plugin is told its level.
func (h *Host) slog() *slog.Logger {
	if h.Log == nil {
		return nil
	}
	return hlog.Slog(h.Log, func(s string) string { return s })
}

// values are the settings of a backend that are no secrets, paths absolute: a
// plugin has a working directory of its own, and a run may be resumed in another.
func (h *Host) values(d sdk.Description, spec workflow.BackendSpec) map[string]any {
	values := maps.Clone(spec.Values)
	for _, f := range d.Config {
		if path, ok := values[f.Name].(string); ok && f.Type == sdk.Path && path != "" {
			values[f.Name] = h.absolute(path)
		}
	}
	return values
}

// readSecret reads what secret.env, secret.file or secret.prompt refers to.
func (h *Host) readSecret(ctx context.Context, ref workflow.SecretRef) (secret.Value, error) {
	switch ref.Kind {
	case "env":
		v, set := h.LookupEnv(ref.Name)
		if !set || v == "" {
			return secret.Value{}, fmt.Errorf("environment variable %s is not set or empty", ref.Name)
		}
		return secret.New(v), nil
	case "file":
		return h.secretFile(ctx, ref.Name)
	case "prompt":
		if h.Prompt == nil {
			return secret.Value{}, fmt.Errorf("%q has to be typed in, and there is no terminal", ref.Name)
		}
		return h.Prompt(ctx, ref.Name)
	default:
		return ref.Value, nil
	}
}

// maxSecretFile is what a file with one secret may be large.
const maxSecretFile = 64 << 10

// secretFile reads a file with one secret in it.
func (h *Host) secretFile(ctx context.Context, name string) (secret.Value, error) {
	text, err := bounded.ReadFile(ctx, h.absolute(name), maxSecretFile)
	if err != nil {
		return secret.Value{}, fmt.Errorf("file %s: %w", name, reasonOf(err))
	}
	s, err := secretText(text)
	if err != nil {
		return secret.Value{}, fmt.Errorf("file %s %w", name, err)
	}
	return secret.New(s), nil
}

// secretText is the secret that a file holds: a byte order mark of UTF-8, which
// Windows writes, and one line end are not of it.
func secretText(text []byte) (string, error) {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return "", errors.New("is in UTF-16; save it as UTF-8")
	case bytes.IndexByte(text, 0) >= 0:
		return "", errors.New("has a NUL byte, as UTF-16 has; save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	s := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if s == "" {
		return "", errors.New("is empty")
	}
	return s, nil
}

func (h *Host) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(h.WorkDir, path)
}

// concurrencyOf is the least of what the plugin, the workflow and the backend
// allow.
func concurrencyOf(d sdk.Description, workflow, backend int) int {
	n := defaultConcurrency
	if d.Limits.Concurrency > 0 {
		n = d.Limits.Concurrency
	}
	for _, limit := range []int{workflow, backend} {
		if limit > 0 && (limit < n || d.Limits.Concurrency == 0) {
			n = limit
		}
	}
	return n
}

func rateOf(d sdk.Description, spec workflow.BackendSpec) float64 {
	if spec.Rate == 0 || d.Limits.PerSecond > 0 && d.Limits.PerSecond < spec.Rate {
		return d.Limits.PerSecond
	}
	return spec.Rate
}

// checkBackends asks each backend whether it can do its job. The warnings are
// for the operator; a bad finding is a *source.Problems.
func (h *Host) checkBackends(ctx context.Context, b *backends) (warnings []string, err error) {
	var problems source.Problems
	for i, x := range b.list {
		if !x.Can(sdk.CanCheck) {
			continue
		}
		for _, f := range findings(ctx, x) {
			f = h.unproxied(x.Description, b.open[i].Values(), f)
			text := fmt.Sprintf("backend %q: %s", x.Label, f.Message)
			switch f.Severity {
			case sdk.Bad:
				problems.Add(source.Problem{Message: text, Fix: f.Fix})
			case sdk.Warning:
				warnings = append(warnings, text)
			}
		}
	}
	return warnings, problems.Err()
}

func findings(ctx context.Context, x engine.Backend) []sdk.Finding {
	ctx, cancel := context.WithTimeout(ctx, max(x.Timeout, time.Second))
	defer cancel()
	return x.Instance.Check(ctx)
}
