package host

import (
	"context"
	"errors"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// loader evaluates scripts in one place.
type loader struct {
	config  Config
	place   place
	catalog *catalog.Catalog
	vital   *vital
	rows    []any // see workflow.Options.Rows
}

// locked returns the loader of a script under a lock.
func (l loader) locked(lock *lockfile.Lock) loader {
	l.catalog = l.catalog.Locked(lock)
	return l
}

// load evaluates a script with its parameters.
func (l loader) load(ctx context.Context, script string, given map[string]string) (*workflow.Workflow, error) {
	flow, err := workflow.Load(ctx, l.options(ctx, script, given))
	if err == nil {
		l.vital.load(flow.Busy)
	}
	return flow, err
}

// blind is load without a look at the users.
func (l loader) blind(ctx context.Context, script string, given map[string]string) (*workflow.Workflow, error) {
	options := l.options(ctx, script, given)
	options.Blind = true
	return workflow.Load(ctx, options)
}

func (l loader) options(ctx context.Context, script string, given map[string]string) workflow.Options {
	if path, err := ExpandHome(script, l.config.Home); err == nil {
		script = path
	}
	return workflow.Options{
		Path: script, Params: given, Embedded: l.place.embedded, WorkDir: l.place.dir, Home: l.config.Home, Stdin: l.config.Stdin,
		Rows: l.rows, Coverage: l.config.Coverage, BackendNames: l.catalog.Names(), Print: l.config.Stderr, Fatal: l.config.Fatal, Run: l.vital.applied,
		Describe: func(name, definition string) (sdk.Description, error) {
			return l.catalog.Defined(ctx, name, l.place.definition(definition))
		},
	}
}

// kept evaluates the script of a run as the ledger has it.
func (l loader) kept(ctx context.Context, run *ledger.Run) (*workflow.Workflow, error) {
	head := run.Header()
	options := l.options(ctx, head.Script, head.Params)
	options.Kept = []workflow.File{{Name: head.Script, Text: head.ScriptText}}
	for _, module := range head.Modules {
		options.Kept = append(options.Kept, workflow.File{Name: module.Name, Text: module.Text, SHA256: module.SHA256})
	}
	return loadFor(ctx, run, options)
}

// changed evaluates the script of a run as it is on disk now.
func (l loader) changed(ctx context.Context, run *ledger.Run) (*workflow.Workflow, error) {
	head := run.Header()
	return loadFor(ctx, run, l.options(ctx, head.Script, head.Params))
}

// mended evaluates another script for the reports of a run. Only its reports are
// used: the records stay as they were.
func (l loader) mended(ctx context.Context, run *ledger.Run, script string) (*workflow.Workflow, error) {
	options := l.options(ctx, script, run.Header().Params)
	options.Blind = true
	return loadFor(ctx, run, options)
}

// loadFor evaluates a script for the users of a run.
func loadFor(ctx context.Context, run *ledger.Run, options workflow.Options) (*workflow.Workflow, error) {
	flow, err := workflow.Load(ctx, options)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(run)
	if err != nil {
		return nil, errors.Join(err, flow.Close())
	}
	flow.Use(schema)
	kept, err := settingsOf(run.Header())
	if err != nil {
		return nil, errors.Join(err, flow.Close())
	}
	if kept.User != "" {
		flow.Reports = nil
	}
	return flow, nil
}
