package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/internal/strict"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Config is what a Host uses of the machine.
type Config struct {
	StateDir     string   // runs, keys, caches; made 0700
	PluginDir    string   // external plugins; "" for none
	IdentityPath string   // of age; "": in the state directory
	Recipients   []string // further age recipients of every run
	Sandbox      bool     // plugins are confined to what they are granted

	Bundled  map[string]sdk.Backend // backends in this binary
	Self     string                 // its absolute path, to start them
	Embedded fs.FS                  // the shipped scripts, as @rekey/…

	Home     string // what "~/" at the start of a path stands for; "": there is none
	WorkDir  string // what relative paths of sources and reports refer to
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
	// Planned shows a plan that is frozen and not applied; nil if nobody looks.
	Planned func(Preview)
	// Vitals is told what goes on; nil if nobody asks.
	Vitals *Vitals
	// Panicked is called, by any goroutine, after a panic over one user, with the
	// stack. It should end the process: what the engine holds is not trusted any
	// more. nil: the panic goes on.
	Panicked func(user string, reason any, stack []byte)
	// Fatal is required. It is called with the line about a script's hook that
	// does not end although it was cancelled, and has to end the process.
	Fatal func(line string)
	// Progress is told of users that end; nil if nobody watches.
	Progress Progress
}

// Progress watches a run being applied.
type Progress interface {
	Begin(total, finished int64)
	Finished(status journal.Status, code sdk.Code)
	End()
}

// Host runs workflows. It is used by one goroutine.
type Host struct {
	Config
	store   *ledger.Store
	catalog *catalog.Catalog
	loaded  *ledger.Keys // once they were needed
	waived  bool         // what cannot be recorded is done all the same
	moved   bool         // WorkDir is that of a run that was planned elsewhere
	named   bool         // IdentityPath was given
	guarded []string     // paths that nothing is written to
}

// New opens the state directory and finds the backends.
func New(c Config) (*Host, error) {
	h, err := NewWithoutRuns(c)
	if err != nil {
		return nil, err
	}
	h.store, err = ledger.Open(h.StateDir, ledger.Options{Now: c.Now, Rand: c.Random, OSUser: c.OSUser, Host: c.Hostname})
	return h, h.noState(err)
}

// noState is the error of a state directory that this user cannot have: a
// matter of the configuration, where it is not one of the disk.
func (h *Host) noState(err error) error {
	const other = "give another by --state DIR or REKEY_STATE, or "
	if p := (*strict.Problem)(nil); errors.As(err, &p) {
		return &UsageError{Message: fmt.Sprintf("state directory %s: %s: %s", h.StateDir, p.Path, p.Message), Fix: other + p.Fix}
	}
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err
	}
	reason := at.Err.Error()
	switch {
	case errors.Is(err, fs.ErrExist):
		reason = "it is no directory"
	case !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.EROFS):
		return err
	}
	if dir, owner := strict.Owner(at.Path); owner != "" && owner != h.OSUser && errors.Is(err, fs.ErrPermission) {
		reason += fmt.Sprintf(" (%s belongs to %s, who is not %s)", dir, owner, h.OSUser)
	}
	return &UsageError{Message: fmt.Sprintf("state directory %s: %s %s: %s", h.StateDir, at.Op, at.Path, reason), Fix: other + "have this one given to you"}
}

// NewWithoutRuns is New for Check, Backend and Backends, which look at scripts
// and plugins only. They need no state directory: without one there is no cache.
func NewWithoutRuns(c Config) (*Host, error) {
	c, err := c.Expanded()
	if err != nil {
		return nil, err
	}
	named := c.IdentityPath != ""
	options := launch.Options{Log: c.Log, Sandbox: c.Sandbox}
	if c.StateDir != "" {
		c.IdentityPath = cmp.Or(c.IdentityPath, IdentityIn(c.StateDir))
		options.CacheDir = filepath.Join(c.StateDir, "cache")
	}
	options.Protect = slices.DeleteFunc([]string{c.StateDir, c.PluginDir, c.IdentityPath}, func(p string) bool { return p == "" })
	return &Host{Config: c, named: named, catalog: catalog.New(c.Bundled, c.Self, c.PluginDir, options), guarded: c.Guarded()}, nil
}

// Expanded returns the configuration with "~/" at the start of its paths
// replaced.
func (c Config) Expanded() (Config, error) {
	for _, p := range []struct {
		name string
		path *string
	}{{"REKEY_STATE", &c.StateDir}, {"REKEY_PLUGIN_DIR", &c.PluginDir}, {"REKEY_AGE_IDENTITY", &c.IdentityPath}} {
		path, err := ExpandHome(*p.path, c.Home)
		if err != nil {
			return c, &UsageError{Message: p.name + ": " + err.Error()}
		}
		*p.path = path
	}
	c.Recipients = slices.Clone(c.Recipients)
	for i, r := range c.Recipients {
		path, err := ExpandHome(r, c.Home)
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

// settings is what a ledger keeps of a run's circumstances for the host alone.
type settings struct {
	Dir   string   `json:"dir"`             // that its relative paths refer to
	Files []string `json:"files,omitempty"` // that its backends work on, and those of their secrets and of recipients
}

// at is the host with the working directory in which a run was planned: its
// relative paths mean what they meant then.
func (h *Host) at(r *ledger.Run) (*Host, error) {
	kept, err := settingsOf(r.Header())
	if err != nil || kept.Dir == "" || kept.Dir == h.WorkDir {
		return h, err
	}
	there := *h
	there.WorkDir, there.moved = kept.Dir, true
	return &there, nil
}

func settingsOf(head ledger.Header) (settings, error) {
	var s settings
	if len(head.Settings) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(head.Settings, &s); err != nil {
		return s, fmt.Errorf("settings of run %s: %w", head.ID, err)
	}
	return s, nil
}

// shown is how messages call a file of the script.
func (h *Host) shown(path string) string {
	if h.moved {
		return h.absolute(path)
	}
	return path
}

// IdentityIn is where a state directory keeps its age identity.
func IdentityIn(stateDir string) string { return filepath.Join(stateDir, "identity.txt") }

// Close ends the plugins.
func (h *Host) Close() error {
	err := h.catalog.Close()
	if h.store == nil {
		return err
	}
	if cerr := h.store.Close(); err == nil {
		err = cerr
	}
	return err
}

// Preview is a plan as it is confirmed.
type Preview struct {
	Script              string
	Total, Due, Skipped int64
	Waves               []WavePreview
	Notes               []string // what a policy dropped, what a backend warns of
	Backends            []BackendLine
	Recipients          []string // to whom the values are sealed
}

// WavePreview is one wave of a plan.
type WavePreview struct {
	Name  string
	Users int64
	Rule  journal.WaveRule
}

// RunOptions are the flags of run, plan, resume and retry.
type RunOptions struct {
	Yes          bool
	New          bool  // although an unfinished run of the same exists
	MaxUsers     int64 // 0: no limit
	MinUsers     int64
	Overwrite    bool
	Requestor    string
	SourceSystem string
	CheckpointTo string
	AcceptChange bool
	Moved        bool // the run was last applied elsewhere, and nobody goes on with it there
	// OverThreshold goes on although a wave has failed more often than it may;
	// its failures are counted anew.
	OverThreshold bool
	Codes, Keys   []string // of retry
}

// facts are what the ledger keeps of how a command was given.
func (o RunOptions) facts() map[string]string {
	if !o.OverThreshold {
		return nil
	}
	return map[string]string{"over_threshold": "true"}
}

// Exit codes, by design section 4.
const (
	ExitDone        = 0
	ExitUnexpected  = 1
	ExitUsage       = 2
	ExitFailures    = 3
	ExitStopped     = 4
	ExitUnknown     = 5
	ExitHeld        = 6
	ExitReport      = 7 // applied, but a report could not be written
	ExitInterrupted = 130
)

// UsageError is what the user can mend: nothing was changed, exit code 2.
type UsageError struct {
	Message string
	Fix     string
}

// Error returns the message and the fix.
func (e *UsageError) Error() string {
	if e.Fix == "" {
		return e.Message
	}
	return e.Message + "; " + e.Fix
}

// ReportError says which reports could not be written, one a line. What was
// applied is in the ledger.
type ReportError struct{ Lines []string }

// Error returns the lines.
func (e *ReportError) Error() string { return strings.Join(e.Lines, "\n") }

// ErrInterrupted is the end of a command that a signal reached before anything
// was changed, exit code 130.
var ErrInterrupted = errors.New("interrupted: nothing was changed")

func usagef(format string, args ...any) *UsageError {
	return &UsageError{Message: fmt.Sprintf(format, args...)}
}
