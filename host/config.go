package host

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Config is what a Host uses of the machine.
type Config struct {
	StateDir     string   // runs, keys, caches; made 0700
	PluginDir    string   // external plugins; "" for none
	IdentityPath string   // of age; "": in the state directory
	Recipients   []string // further age recipients of every run
	Reaps        bool     // the process starts nothing but plugins in process groups of their own, and ends what those of others leave: see launch.Brood
	PluginLog    string   // directory of files of what plugins print; "" for none
	Sandbox      bool     // all plugins are confined to what they are granted, those in rekey itself too
	Unconfined   []string // plugins that are not
	Reattach     string   // plugins under development that are attached to: see launch.Reattached; "" for none

	Bundled  map[string]sdk.Backend // backends in this binary
	Self     string                 // its absolute path, to start them
	Embedded fs.FS                  // the shipped scripts, as @rekey/…

	Home     string // what "~/" at the start of a path stands for; "" without a home
	WorkDir  string // what relative paths of sources and reports refer to
	Within   string // where outputs may be written, links resolved; "": anywhere
	Version  string
	OSUser   string
	Hostname string

	Stdin     io.Reader
	Stdout    io.Writer // report.summary, and reports to "-"
	Taken     bool      // standard output is a JSON object's, and Stdout another
	Stderr    io.Writer // print() of scripts, warnings
	Log       hclog.Logger
	LookupEnv func(string) (string, bool)
	Random    io.Reader
	Now       func() time.Time
	Clock     engine.Clock

	// Prompt asks for a secret on the terminal; nil without one.
	Prompt func(ctx context.Context, label string) (secret.Value, error)
	// Confirm shows a plan and asks; nil without a terminal.
	Confirm func(context.Context, Preview) (bool, error)
	// Planned shows a frozen plan before it is applied; nil without a viewer.
	Planned func(Preview)
	// Vitals is told what goes on; may be nil.
	Vitals *Vitals
	// Panicked is called, by any goroutine, after a panic of one that applies a
	// run, with the key of its user, "" where it works for many, and the stack. It
	// should end the process: the engine's state is not trusted any more. nil: the
	// panic goes on.
	Panicked func(user string, reason any, stack []byte)
	// Fatal is required. It is called with the line about a script's hook that
	// does not end although it was cancelled, and has to end the process.
	Fatal func(line string)
	// Progress is told of users that end, in all sessions; may be nil.
	Progress Progress
	// Crash is called at each crash point of engine and ledger, by any goroutine;
	// nil outside tests.
	Crash func(point string)
	// Fault is asked before that many records are committed; an error is what the
	// commit fails with, and nothing is sent after it. nil outside tests.
	Fault func(records int) error

	// StandIn opens what stands in place of a plugin's process while a script is
	// tested; nil: plugins are started. Secrets are not read for it.
	StandIn func(description sdk.Description, config sdk.Config) (StandIn, error)
	// Coverage counts what is executed of scripts; nil: nothing does.
	Coverage *workflow.Coverage
}

// Progress watches a run being applied.
type Progress interface {
	Begin(total, finished int64)
	Finished(status journal.Status, code sdk.Code)
	End()
}

// Expanded returns the configuration with "~/" at the start of its paths
// replaced.
func (c Config) Expanded() (Config, error) {
	for _, p := range []struct {
		name string
		path *string
	}{{"REKEY_STATE", &c.StateDir}, {"REKEY_PLUGIN_DIR", &c.PluginDir}, {"REKEY_AGE_IDENTITY", &c.IdentityPath}, {"--plugin-log", &c.PluginLog}} {
		path, err := ExpandHome(*p.path, c.Home)
		if err != nil {
			return c, &UsageError{Message: p.name + ": " + err.Error()}
		}
		*p.path = path
	}
	c.Recipients = slices.Clone(c.Recipients)
	for i, recipient := range c.Recipients {
		path, err := ExpandHome(recipient, c.Home)
		if err != nil {
			return c, &UsageError{Message: "recipient " + err.Error()}
		}
		c.Recipients[i] = path
	}
	return c, nil
}

// ExpandHome returns a path whose "~/" at the start stands for the directory
// home.
func ExpandHome(path, dir string) (string, error) { return home.Expand(path, dir) }

// IdentityIn returns where a state directory keeps its age identity.
func IdentityIn(stateDir string) string { return filepath.Join(stateDir, "identity.txt") }

// Guarded returns the paths that no command writes to, whatever its run: the
// state directory, rekey itself, plugins, and the files of keys.
func (c Config) Guarded() []string {
	paths := []string{c.StateDir, c.Self, c.PluginDir, c.IdentityPath}
	paths = append(paths, recipientFiles(c.Recipients)...)
	paths = absolutes(c.WorkDir, paths)
	for _, dir := range absolutes(c.WorkDir, []string{c.PluginDir}) {
		plugins, _ := filepath.Glob(filepath.Join(escaped(dir), "*"))
		paths = append(paths, plugins...) // one may be a link to elsewhere
	}
	return paths
}

// MayMakeIdentity refuses a guarded path for a new identity: a state
// directory has one place for it.
func (c Config) MayMakeIdentity(path string) error {
	own := []string{c.IdentityPath}
	if c.StateDir != "" {
		own = append(own, IdentityIn(c.StateDir))
	}
	if slices.Contains(absolutes(c.WorkDir, own), path) {
		return nil
	}
	return usageOf(output.KeepsOff(path, c.Guarded()))
}

// confirm asks on a terminal; without one --yes is needed.
func (c Config) confirm(ctx context.Context, shown Preview, options RunOptions) error {
	if options.Yes {
		return nil
	}
	if c.Confirm == nil {
		return &UsageError{Message: fmt.Sprintf("%d users would be changed and there is no terminal to ask", shown.Due), Fix: "give --yes"}
	}
	yes, err := c.Confirm(ctx, shown)
	if err != nil {
		return err
	}
	if !yes {
		return usagef("not confirmed: nothing was changed")
	}
	return nil
}
