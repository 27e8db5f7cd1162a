package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/hlog"
	"github.com/rekey-host/rekey/sdk/secret"
)

// plugins configures the backends of a workflow: from the catalog, with the
// paths and secrets of one place.
type plugins struct {
	catalog   *catalog.Catalog
	place     place
	log       hclog.Logger
	telling   bool // plugins write all that they can: it goes to files
	lookupEnv func(string) (string, bool)
	prompt    func(ctx context.Context, label string) (secret.Value, error)
	standIn   func(sdk.Description, sdk.Config) (StandIn, error) // see Config.StandIn
	handed    map[string][]secret.Value                          // see ledger.Run.Handed
}

// locked returns the plugins of a script under a lock.
func (p plugins) locked(lock *lockfile.Lock) plugins {
	p.catalog = p.catalog.Locked(lock)
	return p
}

// describe returns the description of a backend, and of its definition if it has one.
func (p plugins) describe(ctx context.Context, name, definition string) (sdk.Description, error) {
	description, err := p.catalog.Defined(ctx, name, p.place.definition(definition))
	if err != nil {
		return description, &UsageError{Message: err.Error()}
	}
	return description, nil
}

// of returns the description of a backend of a workflow.
func (p plugins) of(ctx context.Context, spec workflow.BackendSpec) (sdk.Description, error) {
	path, _ := spec.Values[define.Setting].(string)
	return p.describe(ctx, spec.Name, path)
}

// open reads the secrets of a workflow's backends and configures them, in the
// script's order.
func (p plugins) open(ctx context.Context, flow *workflow.Workflow) (*backends, error) {
	opened := &backends{}
	for _, spec := range flow.Backends {
		if err := p.openOne(ctx, flow, spec, opened); err != nil {
			opened.close()
			return nil, err
		}
	}
	return opened, nil
}

func (p plugins) openOne(ctx context.Context, flow *workflow.Workflow, spec workflow.BackendSpec, into *backends) error {
	description, err := p.of(ctx, spec)
	if err != nil {
		return err
	}
	config, err := p.config(ctx, spec, description)
	if err != nil {
		return err
	}
	config.Concurrency = concurrencyOf(description, flow.Concurrency, spec.Concurrency)
	instance, program, err := p.instance(ctx, spec.Name, description, config)
	if err != nil {
		return &UsageError{Message: fmt.Sprintf("backend %q: %s", spec.Label, err)}
	}
	into.open = append(into.open, instance)
	into.pins = append(into.pins, p.pin(spec, description, program))
	if program.Loose != "" {
		into.loose = append(into.loose, looseness(spec, program))
	}
	into.list = append(into.list, engine.Backend{
		Label: spec.Label, Description: description, Abilities: instance.Abilities(), Instance: instance,
		Concurrency: config.Concurrency, Rate: paceOf(instance, rateOf(description, spec)), Timeout: config.Timeout,
		Attempts: spec.Attempts, Patience: spec.Patience, StreamsVerify: true,
	})
	return nil
}

// looseness says what is not sure of a program.
func looseness(spec workflow.BackendSpec, program catalog.Program) string {
	state := "confined"
	if program.Served == launch.Attached {
		state = "pinned and not confined"
	}
	return fmt.Sprintf("backend %q: the plugin %s is not %s: %s", spec.Label, spec.Name, state, program.Loose)
}

// config returns the configuration of a plugin but for its concurrency.
func (p plugins) config(ctx context.Context, spec workflow.BackendSpec, description sdk.Description) (sdk.Config, error) {
	config := sdk.Config{Label: spec.Label, Values: p.values(spec, description), Secrets: map[string]secret.Value{}, Handed: p.handed[spec.Label], Timeout: spec.Timeout, Log: p.slog()}
	if p.standIn != nil {
		return placeholders(config, slices.Collect(maps.Keys(spec.Secrets))), nil
	}
	for name, ref := range spec.Secrets {
		value, err := p.secret(ctx, ref)
		if err != nil {
			return sdk.Config{}, &UsageError{Message: fmt.Sprintf("backend %q: %s: %s", spec.Label, name, err)}
		}
		config.Secrets[name] = value
	}
	return config, nil
}

// slog returns the log for those who write in slog; a plugin learns its level.
func (p plugins) slog() *slog.Logger {
	if p.telling && (p.log == nil || p.log.GetLevel() > hclog.Debug) {
		return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if p.log == nil {
		return nil
	}
	return hlog.Slog(p.log, func(text string) string { return text })
}

// values returns the settings of a backend without its secrets, paths absolute:
// a plugin has a working directory of its own, and a run may be resumed in another.
func (p plugins) values(spec workflow.BackendSpec, description sdk.Description) map[string]any {
	values := maps.Clone(spec.Values)
	for _, field := range description.Config {
		path, ok := values[field.Name].(string)
		switch {
		case !ok || field.Type != sdk.Path || path == "":
		case field.Name == define.Setting:
			values[field.Name] = p.place.definition(path)
		default:
			values[field.Name] = p.place.absolute(path)
		}
	}
	return values
}

// secret reads what a function of secret refers to.
func (p plugins) secret(ctx context.Context, ref workflow.SecretRef) (secret.Value, error) {
	switch ref.Kind {
	case "env":
		text, set := p.lookupEnv(ref.Name)
		if !set || text == "" {
			return secret.Value{}, fmt.Errorf("environment variable %s is not set or empty", ref.Name)
		}
		return secret.New(text), nil
	case "file":
		return p.secretFile(ctx, ref.Name)
	case "command":
		return secretOfCommand(ctx, ref.Argv, p.place.absolute("."))
	case "credential":
		return p.credential(ctx, ref.Name)
	case "prompt":
		if p.prompt == nil {
			return secret.Value{}, fmt.Errorf("%q has to be typed in, and there is no terminal", ref.Name)
		}
		return p.prompt(ctx, ref.Name)
	default:
		return ref.Value, nil
	}
}

// credential reads a credential of the service that rekey runs in, by systemd's
// convention: https://systemd.io/CREDENTIALS/.
func (p plugins) credential(ctx context.Context, name string) (secret.Value, error) {
	dir, _ := p.lookupEnv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return secret.Value{}, fmt.Errorf("credential %s: CREDENTIALS_DIRECTORY is not set; have the service load it: LoadCredential=%s:PATH", name, name)
	}
	return SecretFile(ctx, filepath.Join(dir, name), filepath.Join(dir, name))
}

// maxSecretFile limits the size of a file with one secret.
const maxSecretFile = 64 << 10

// secretFile reads a file with one secret in it.
func (p plugins) secretFile(ctx context.Context, name string) (secret.Value, error) {
	return SecretFile(ctx, p.place.absolute(name), name)
}

// SecretFile reads a file that has one secret in it, as secret.file of a script does:
// without UTF-8's byte order mark and without one line end. name is what its errors call
// the file.
func SecretFile(ctx context.Context, path, name string) (secret.Value, error) {
	text, err := bounded.ReadFile(ctx, path, maxSecretFile)
	if err != nil {
		return secret.Value{}, fmt.Errorf("file %s: %w", name, reasonOf(err))
	}
	value, err := secretText(text)
	if err != nil {
		return secret.Value{}, fmt.Errorf("file %s %w", name, err)
	}
	return secret.New(value), nil
}

// secretText returns the secret in a file without UTF-8's byte order mark,
// which Windows writes, and without one line end.
func secretText(text []byte) (string, error) {
	switch {
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return "", errors.New("is in UTF-16; save it as UTF-8")
	case bytes.IndexByte(text, 0) >= 0:
		return "", errors.New("has a NUL byte, as UTF-16 has; save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if value == "" {
		return "", errors.New("is empty")
	}
	return value, nil
}

// pins returns what a run keeps of a workflow's backends, and compares when it
// goes on. Nothing is started for it.
func (p plugins) pins(ctx context.Context, flow *workflow.Workflow) ([]journal.BackendPin, error) {
	var pins []journal.BackendPin
	for _, spec := range flow.Backends {
		description, err := p.of(ctx, spec)
		if err != nil {
			return nil, err
		}
		program, err := p.catalog.Program(ctx, spec.Name, sdk.Config{Label: spec.Label, Values: p.values(spec, description)})
		if err != nil {
			return nil, &UsageError{Message: fmt.Sprintf("backend %q: %s", spec.Label, err)}
		}
		pins = append(pins, p.pin(spec, description, program))
	}
	return pins, nil
}

// pin returns which program serves a label, its settings but for secrets, and its
// grants.
func (p plugins) pin(spec workflow.BackendSpec, description sdk.Description, program catalog.Program) journal.BackendPin {
	values := p.values(spec, description)
	reaches := description.Reaches(values)
	var there, absent []string
	if !program.Far { // there the paths are others
		reaches = realPaths(description, reaches)
		there, absent = pathsIn(description, reaches)
	}
	if p.standIn != nil { // its accounts are in no file
		there, absent = nil, nil
	}
	return journal.BackendPin{Name: spec.Name, Label: spec.Label, Version: description.Version, Digest: program.Digest, Definition: program.Definition,
		Config: compact(values), Reaches: compact(reaches), There: there, Absent: absent, Confined: program.Confined, Served: program.Served, Grants: program.Grants.List()}
}

// compact returns settings as JSON, sorted by name.
func compact(values map[string]any) string {
	text, err := json.Marshal(values)
	if err != nil {
		return fmt.Sprintf("%q", err)
	}
	return string(text)
}

// configured reports whether the backends of a run are those of a workflow,
// with the same settings.
func (p plugins) configured(ctx context.Context, pins []journal.BackendPin, flow *workflow.Workflow) bool {
	return slices.EqualFunc(pins, flow.Backends, func(pin journal.BackendPin, spec workflow.BackendSpec) bool {
		description, err := p.of(ctx, spec)
		return err == nil && pin.Name == spec.Name && pin.Label == spec.Label && pin.Config == compact(p.values(spec, description))
	})
}

// unchanged refuses to go on with a plugin whose file has changed, before
// anything of it is started. The acceptance is recorded later.
func (p plugins) unchanged(run *ledger.Run, options RunOptions) error {
	was, err := run.Backends()
	if err != nil || options.AcceptChange {
		return err
	}
	for _, old := range was {
		if old.Digest == "" {
			continue
		}
		path, digest, err := p.catalog.Digest(old.Name)
		if err != nil {
			return &UsageError{Message: fmt.Sprintf("backend %q of run %s: %s", old.Label, run.ID(), err)}
		}
		if now := (journal.BackendPin{Digest: digest}); digest != old.Digest {
			return &UsageError{Message: fmt.Sprintf("run %s was planned with %s %s %s, %s is %s", run.ID(), old.Name, old.Version, program(old), path, program(now)),
				Fix: "use that version, or give --accept-change"}
		}
	}
	return nil
}

// files returns the files of a workflow that its ledger does not name
// elsewhere: those that its backends work on, and those of their secrets.
func (p plugins) files(ctx context.Context, flow *workflow.Workflow) ([]string, error) {
	var files []string
	for _, spec := range flow.Backends {
		some, err := p.filesOf(ctx, spec)
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	return absolutes(p.place.dir, files), nil
}

// filesOf returns the paths among the settings of a backend.
func (p plugins) filesOf(ctx context.Context, spec workflow.BackendSpec) ([]string, error) {
	description, err := p.of(ctx, spec)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, field := range description.Config {
		if path, ok := spec.Values[field.Name].(string); ok && field.Type == sdk.Path {
			files = append(files, path)
		}
	}
	for _, ref := range spec.Secrets {
		if ref.Kind == "file" {
			files = append(files, ref.Name)
		}
	}
	return files, nil
}
