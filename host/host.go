package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/depot"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/strict"
)

// Host opens sessions, each over one run of a state directory, and looks at
// runs. It is safe for concurrent use; sessions of different runs may be open
// at once.
type Host struct {
	Config
	store   *ledger.Store
	catalog *catalog.Catalog
	keyring *keyring
	notices *notices
	logs    *launch.Logs // nil: none
	brood   *launch.Brood
	guarded []string // paths that nothing is written to
}

// New opens the state directory and finds the backends.
func New(config Config) (*Host, error) {
	host, err := NewWithoutRuns(config)
	if err != nil {
		return nil, err
	}
	host.store, err = ledger.Open(host.StateDir, ledger.Options{Now: config.Now, Rand: config.Random, OSUser: config.OSUser, Host: config.Hostname, Crash: config.Crash, Fault: config.Fault})
	return host, noState(host.Config, err)
}

// NewWithoutRuns is New for Check, Backend and Backends, which look at scripts
// and plugins only. They need no state directory: without one descriptions are
// not cached.
func NewWithoutRuns(config Config) (*Host, error) {
	config, err := config.Expanded()
	if err != nil {
		return nil, err
	}
	named := config.IdentityPath != ""
	options := launch.Options{Log: config.Log, Sandbox: config.Sandbox}
	if config.Reaps {
		options.Brood = launch.NewBrood()
	}
	if options.Logs, err = pluginLogs(config); err != nil {
		return nil, err
	}
	if options.Reaches, err = launch.Reattached(config.Reattach); err != nil {
		return nil, &UsageError{Message: "REKEY_REATTACH: " + err.Error()}
	}
	if config.StateDir != "" {
		config.IdentityPath = cmp.Or(config.IdentityPath, IdentityIn(config.StateDir))
		options.CacheDir = filepath.Join(config.StateDir, "cache")
	}
	options.Protect = slices.DeleteFunc([]string{config.StateDir, config.PluginDir, config.IdentityPath}, func(path string) bool { return path == "" })
	out := &notices{to: config.Stderr}
	config.Stderr = out
	shelf := catalog.New(config.Bundled, config.Self, config.PluginDir, options, config.Unconfined...)
	for _, name := range config.Unconfined {
		if err := shelf.Known(name); err != nil {
			return nil, &UsageError{Message: fmt.Sprintf("--no-sandbox %s: %v", name, err)}
		}
	}
	return &Host{Config: config, logs: options.Logs, brood: options.Brood, catalog: shelf, keyring: newKeyring(config, named, out), notices: out, guarded: config.Guarded()}, nil
}

// pluginLogs opens the files of what plugins print, if they are wanted.
func pluginLogs(config Config) (*launch.Logs, error) {
	if config.PluginLog == "" {
		return nil, nil
	}
	dir := place{dir: config.WorkDir}.absolute(config.PluginLog)
	logs, err := launch.OpenLogs(dir, config.Now)
	if problem := (*strict.Problem)(nil); errors.As(err, &problem) {
		return nil, &UsageError{Message: fmt.Sprintf("--plugin-log %s: %s: %s", config.PluginLog, problem.Path, problem.Message), Fix: problem.Fix + ", or name another directory"}
	}
	if err != nil {
		return nil, &UsageError{Message: fmt.Sprintf("--plugin-log %s: %s", config.PluginLog, reasonOf(err)), Fix: "name a directory that may be written"}
	}
	return logs, nil
}

// noState explains why this user cannot have the state directory: a matter of
// the configuration, unless the disk is at fault.
func noState(config Config, err error) error {
	const other = "give another by --state DIR or REKEY_STATE, or "
	if problem := (*strict.Problem)(nil); errors.As(err, &problem) {
		return &UsageError{Message: fmt.Sprintf("state directory %s: %s: %s", config.StateDir, problem.Path, problem.Message), Fix: other + problem.Fix}
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
	if dir, owner := strict.Owner(at.Path); owner != "" && owner != config.OSUser && errors.Is(err, fs.ErrPermission) {
		reason += fmt.Sprintf(" (%s belongs to %s, who is not %s)", dir, owner, config.OSUser)
	}
	return &UsageError{Message: fmt.Sprintf("state directory %s: %s %s: %s", config.StateDir, at.Op, at.Path, reason), Fix: other + "have this one given to you"}
}

// Close ends the plugins. Sessions have to be closed before.
func (h *Host) Close() error {
	err := h.catalog.Close()
	h.brood.Close()
	if lerr := h.logs.Close(); lerr != nil {
		h.notices.warn("--plugin-log: %s: what plugins printed is not all there", lerr)
	}
	if h.store == nil {
		return err
	}
	if cerr := h.store.Close(); err == nil {
		err = cerr
	}
	return err
}

// Begin plans a run of a script, once it is confirmed. stop ends the planning.
func (h *Host) Begin(stop context.Context, script Script, options RunOptions) (*Session, error) {
	return h.planned(stop, script, options, func(ctx context.Context, shown Preview) error { return h.confirm(ctx, shown, options) })
}

// Plan is Begin for a run applied later: it is shown, not confirmed.
func (h *Host) Plan(stop context.Context, script Script, options RunOptions) (*Session, error) {
	return h.planned(stop, script, options, func(_ context.Context, shown Preview) error {
		if h.Planned != nil {
			h.Planned(shown)
		}
		return nil
	})
}

func (h *Host) planned(stop context.Context, script Script, options RunOptions, ask func(context.Context, Preview) error) (*Session, error) {
	session := h.session(h.here(), options)
	if err := session.under(script.Path); err != nil {
		session.Close()
		return nil, err
	}
	if err := (&planner{Session: session, ask: ask}).plan(stop, script); err != nil {
		session.Close()
		return nil, interrupted(stop, err)
	}
	return session, nil
}

// Continue opens a session over a run planned before, in the directory
// where it was planned, so that its relative paths keep their meaning. What is to
// be kept of its log is compared with what was kept first.
func (h *Host) Continue(ctx context.Context, name string, options RunOptions) (*Session, error) {
	run, err := h.runs().lock(ctx, name, options)
	if err != nil {
		return nil, err
	}
	there, err := placeOf(h, run.Header())
	session := h.session(there, options)
	session.run = run
	if err == nil {
		err = session.under(run.Header().Script)
	}
	if err == nil {
		err = h.checkpoint(options, h.here()).compare(ctx, run)
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

// Forget destroys the key to a finished run's values.
func (h *Host) Forget(ctx context.Context, name string, options RunOptions) (string, error) {
	if name == "last" {
		return "", &UsageError{Message: "forget wants the run's id, not last", Fix: "rekey runs"}
	}
	run, err := h.runs().lock(ctx, name, options)
	if err != nil {
		return "", err
	}
	defer run.Close()
	return run.ID(), forget(run, options.act())
}

// Runs lists the runs of the state directory, newest first.
func (h *Host) Runs() ([]RunSummary, error) {
	list, err := h.store.Runs()
	if err != nil {
		return nil, err
	}
	out := make([]RunSummary, 0, len(list))
	for _, run := range list {
		out = append(out, summaryOf(run))
	}
	return out, nil
}

// Show returns where a run stands and calls user for each of its users that
// the filter selects, in the order of application. An empty filter selects no
// user.
func (h *Host) Show(name string, filter ShowFilter, user func(report.Line) error) (Outcome, error) {
	run, err := h.runs().rest(name)
	if err != nil {
		return Outcome{}, err
	}
	defer run.Close()
	out, err := show(run, filter, user)
	return out, whatIsLost(run, err)
}

// Users calls user for every user of a run's frozen plan, in the order of
// application, skipped ones last.
func (h *Host) Users(name string, user func(PlannedUser) error) error {
	run, err := h.runs().rest(name)
	if err != nil {
		return err
	}
	defer run.Close()
	err = run.Each(ledger.Filter{}, ledger.OrderApply, func(u ledger.User) error { return user(plannedUser(u)) })
	return whatIsLost(run, err)
}

// Reveal records the act, and calls show for every value ever sealed
// for a user, or for all users, newest intent first in each.
func (h *Host) Reveal(ctx context.Context, name string, options RevealOptions, show func(Revealed) error) error {
	run, err := h.runs().restOpened(ctx, name)
	if err != nil {
		return err
	}
	defer run.Close()
	all := h.runs()
	all.unaudited, all.act = options.Unaudited, options.Act
	return whatIsLost(run, reveal(all, run, options.Key, show))
}

// Report writes a run's reports again, from the script text in the ledger, or
// all its users in one format. It returns the paths it wrote.
func (h *Host) Report(ctx context.Context, name string, options ReportOptions) ([]string, error) {
	if len(options.Columns) > 0 && options.Format == "" {
		options.Format = columnsFormat(options.Out)
	}
	run, err := toReport(ctx, h.runs(), name, options)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if options.Format == "" {
		return h.rewrite(ctx, run, options)
	}
	made := exporter{runs: h.runs(), run: run, outlets: h.outlets(h.here()), options: options}
	made.runs.unaudited, made.outlets.waived, made.runs.act = options.Unaudited, options.Unaudited, options.Act
	paths, err := made.write()
	return paths, whatIsLost(run, err)
}

// rewrite writes the reports of a script again.
func (h *Host) rewrite(ctx context.Context, run *ledger.Run, options ReportOptions) ([]string, error) {
	if err := options.withoutFormat(); err != nil {
		return nil, err
	}
	there, err := placeOf(h, run.Header())
	if err != nil {
		return nil, err
	}
	session := h.session(there, RunOptions{Overwrite: options.Overwrite})
	session.run = run
	session.outlets.waived = options.Unaudited
	return session.rewrite(ctx, options)
}

// Auditor returns what proves things about the runs.
func (h *Host) Auditor() Auditor {
	return Auditor{runs: h.runs(), outlets: h.outlets(h.here()), place: h.here()}
}

// BackupOptions say what Backup copies, and where to.
type BackupOptions struct {
	Dir      string // does not exist, or is empty
	Identity bool   // the identity too
}

// Backup copies the state directory, also while runs go on.
func (h *Host) Backup(stop context.Context, options BackupOptions) (ledger.Backup, error) {
	dir := h.here().absolute(options.Dir)
	if err := output.KeepsOff(dir, []string{h.StateDir}); err != nil {
		return ledger.Backup{}, usageOf(err)
	}
	identity := ""
	if options.Identity {
		identity = h.here().absolute(h.IdentityPath)
	}
	backup, err := h.store.Backup(stop, dir, identity)
	var path *fs.PathError
	switch {
	case err != nil && stop.Err() != nil:
		return backup, ErrInterrupted
	case errors.Is(err, ledger.ErrNotVacant):
		return backup, &UsageError{Message: dir + " " + ledger.ErrNotVacant.Error(), Fix: "give a directory that does not exist"}
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) && path.Path == identity:
		return backup, &UsageError{Message: "there is no identity at " + identity, Fix: "leave --identity away, or set REKEY_AGE_IDENTITY"}
	}
	return backup, err
}

// Check finds mistakes in a script or library without starting anything: its top
// level is evaluated with placeholders for what was not given.
func (h *Host) Check(ctx context.Context, script Script) (*workflow.Checked, error) {
	given, err := script.parameters()
	if err != nil {
		return nil, err
	}
	lock, err := lockOf(h, h.here(), script.Path)
	if err != nil {
		return nil, err
	}
	options := h.loader(h.here()).locked(lock).options(ctx, script.Path, given)
	options.Placeholders = true
	return workflow.Check(ctx, options)
}

// Backend describes one backend; with a definition, that which it makes.
func (h *Host) Backend(ctx context.Context, name, definition string) (sdk.Description, error) {
	lock, err := lockOf(h, h.here(), "")
	if err != nil {
		return sdk.Description{}, err
	}
	return h.plugins(h.here()).locked(lock).describe(ctx, name, definition)
}

// lockOf reads the lock file of a script: the one beside it, else the one in the
// plugin directory; "" is no script.
func lockOf(host *Host, at place, script string) (*lockfile.Lock, error) {
	beside := ""
	if path, err := ExpandHome(script, host.Home); err == nil && path != "" && !strings.HasPrefix(path, embeddedPrefix) {
		beside = filepath.Dir(at.absolute(path))
	}
	lock, err := lockfile.Find(beside, host.PluginDir)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	return lock, nil
}

// Depot returns the plugin directory with a lock file: the one at path, "" the
// one in the directory. Of a path that leads to nothing it makes a new one.
func (h *Host) Depot(path string) (*depot.Depot, error) {
	if h.PluginDir == "" {
		return nil, &UsageError{Message: "there is no plugin directory", Fix: "set REKEY_PLUGIN_DIR to one"}
	}
	dir := h.here().absolute(h.PluginDir)
	path = h.here().absolute(cmp.Or(path, filepath.Join(dir, lockfile.Name)))
	lock, err := lockfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		lock, err = lockfile.New(path), nil
	}
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	judge := func(lock *lockfile.Lock, name string) error {
		_, _, err := h.catalog.Locked(lock).Digest(name)
		return err
	}
	return &depot.Depot{Dir: dir, Lock: lock, Taken: func(name string) bool { return h.Bundled[name] != nil }, Describe: h.catalog.DescribeIn, DescribeRemote: h.catalog.DescribeRemote, Judge: judge}, nil
}

// Backends lists the names of the backends.
func (h *Host) Backends() []string {
	lock, err := lockOf(h, h.here(), "")
	if err != nil {
		return h.catalog.Names() // of each of them the lock's own error is told
	}
	return h.catalog.Locked(lock).Names()
}

// session returns a session over no run yet.
func (h *Host) session(at place, options RunOptions) *Session {
	session := &Session{host: h, place: at, plugins: h.plugins(at), outlets: h.outlets(at), options: options, loader: h.loader(at)}
	session.loader.vital = h.Vitals.enter()
	return session
}

// here returns the working directory of the command.
func (h *Host) here() place { return place{dir: h.WorkDir, embedded: h.Embedded} }

// placeOf returns the directory in which a run was planned.
func placeOf(host *Host, head ledger.Header) (place, error) {
	at := host.here()
	kept, err := settingsOf(head)
	if err == nil && kept.Dir != "" && kept.Dir != at.dir {
		at.dir, at.moved = kept.Dir, true
	}
	return at, err
}

func (h *Host) runs() runs {
	return runs{store: h.store, keyring: h.keyring, notices: h.notices, osUser: h.OSUser, hostname: h.Hostname}
}

func (h *Host) plugins(at place) plugins {
	return plugins{catalog: h.catalog, place: at, log: h.Log, telling: h.logs != nil, lookupEnv: h.LookupEnv, prompt: h.Prompt, standIn: h.StandIn}
}

func (h *Host) outlets(at place) outlets {
	return outlets{store: h.store, guarded: h.guarded, dir: at.dir}
}

func (h *Host) loader(at place) loader {
	return loader{config: h.Config, place: at, catalog: h.catalog, vital: (*Vitals)(nil).enter()}
}

func (h *Host) checkpoint(options RunOptions, at place) checkpoint {
	return checkpoint{path: options.CheckpointTo, file: at.absolute(options.CheckpointTo), overwrite: options.Overwrite, outlets: h.outlets(at)}
}
