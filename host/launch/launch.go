// Package launch is a plugin process's life: how it is started, watched,
// restarted and ended, and what of the host it may see. It knows processes,
// pipes and go-plugin's handshake; it refuses to know what an operation means
// and which plugins exist.
//
// A plugin gets an empty standard input, a process group of its own, a scrubbed
// environment and a private directory for its socket, speaks over a connection
// that only the two of them can open, and is killed when its host ends, however
// that ends.
//
// # The sandbox
//
// With Options.Sandbox, on Linux, a plugin is started through Confine, which
// gives up rights and becomes the plugin in the same process. None of it needs
// root, and nothing gives a right back. Denied are, by
//
//	Landlock           all files but the plugin's own program, its libraries,
//	                   what every program reads of names, certificates and time
//	                   zones, and its grants; TCP connections but to the granted
//	                   ports, and listening; signals to and abstract sockets of
//	                   other processes; debugging them, their memory, their
//	                   environment, their descriptors
//	seccomp            io_uring, ptrace, bpf, keys, namespaces, mounts, modules;
//	                   without egress every socket but those of the machine
//	                   itself; with it all but TCP and UDP, and connections that
//	                   are made by sending
//	limits             cores; more than 4,096 descriptors, 4 GiB of data, 8,192
//	                   processes of the user
//	no new privileges  programs that would run as another user, and of root all
//	                   capabilities but those over files
//
// What cannot be denied:
//
//   - Which machine a granted port is on: Landlock knows ports and no addresses.
//     A plugin that may reach https may reach every server of it.
//   - UDP, for a plugin with egress: names are asked for over it.
//   - Sockets in the file system: whoever may reach a service's socket by its
//     permissions still may, as the user that rekey runs as.
//   - Files beside a file granted for writing: it is replaced, so its
//     directory is granted. A grant that would reach a protected path, such as
//     the state directory, is refused.
//   - To learn which processes exist: a denied signal says so.
//   - Time, processor and disk: nothing limits writing within a
//     grant.
//   - A child in a session of its own, which outlives the plugin if the host is
//     killed, or if it has not the plugin's environment and bundled plugins ran
//     too; it stays confined.
//
// A kernel without Landlock is an error and not a warning. An older Landlock
// denies less: Confinable tells what.
package launch

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The budget of restarts.
const (
	restarts = 3
	window   = 10 * time.Minute
)

// Plugin is one plugin: at most one process at a time, started on first use and
// again when it dies, three times in ten minutes. Its methods are safe for
// concurrent use.
type Plugin struct {
	command Command
	options Options
	redact  *dial.Redactor

	record   record          // of all its processes
	starting chan struct{}   // of one element: who may start a process
	ctx      context.Context // ends with Close
	stop     context.CancelFunc

	mu        sync.Mutex
	process   *process
	starts    []time.Time      // within the window
	says      *sdk.Description // what the first process was
	deaths    int              // of processes that others were, or were to be, started for
	last      error            // why the newest process died or did not start
	instances map[*Instance]struct{}
	closed    bool
}

// record is what a plugin did that it should not.
type record struct {
	breaches dial.Breaches // of the contract
	dropped  atomic.Int64  // lines of standard error that came too fast
}

// New returns a plugin before its start.
func New(command Command, options Options) *Plugin {
	plugin := &Plugin{command: command, options: options.withDefaults(), redact: &dial.Redactor{},
		starting: make(chan struct{}, 1), instances: map[*Instance]struct{}{}}
	plugin.ctx, plugin.stop = context.WithCancel(context.Background())
	return plugin
}

// Describe asks the process for its description, and starts it if need be. The error is
// a *StartError or an *sdk.Error.
func (p *Plugin) Describe(ctx context.Context) (sdk.Description, error) {
	proc, err := p.running(ctx)
	if err != nil {
		return sdk.Description{}, err
	}
	return proc.description, nil
}

// Open configures an instance, and starts the process if need be. The error is
// a *StartError, or the plugin's own *sdk.Error.
func (p *Plugin) Open(ctx context.Context, config sdk.Config) (*Instance, error) {
	instance := &Instance{plugin: p, config: config, opening: make(chan struct{}, 1)}
	instance.ctx, instance.stop = context.WithCancel(context.Background())
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, p.errorf("closed")
	}
	p.instances[instance] = struct{}{}
	p.mu.Unlock()
	if _, err := instance.open(ctx); err != nil {
		_ = instance.Close()
		return nil, err
	}
	return instance, nil
}

func (p *Plugin) errorf(format string, args ...any) *sdk.Error {
	return sdk.Errorf(sdk.TargetUnavailable, "plugin %s: "+format, append([]any{p.command.Name}, args...)...)
}

// running returns the process, started if need be.
func (p *Plugin) running(ctx context.Context) (*process, error) {
	if proc, err := p.current(); proc != nil || err != nil {
		return proc, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	select {
	case p.starting <- struct{}{}:
		defer func() { <-p.starting }()
	case <-ctx.Done():
		return nil, p.givenUp()
	}
	if proc, err := p.current(); proc != nil || err != nil {
		return proc, err
	}
	p.clear()
	if err := p.spend(); err != nil {
		return nil, err
	}
	proc, err := start(ctx, p.command, p.options, p.redact, &p.record)
	if err != nil && ctx.Err() != nil {
		p.refund()
		return nil, p.givenUp()
	}
	if failure := (*StartError)(nil); errors.As(err, &failure) && failure.Away {
		p.refund()
	}
	return p.started(proc, err)
}

func (p *Plugin) givenUp() *sdk.Error {
	return sdk.Errorf(sdk.Cancelled, "plugin %s: given up before it was started", p.command.Name)
}

// clear removes the rest of a dead process: its connection, its
// directory, who watched it. The caller holds starting.
func (p *Plugin) clear() {
	p.mu.Lock()
	dead := p.process
	p.process = nil
	p.mu.Unlock()
	if dead != nil {
		dead.end()
		p.mu.Lock()
		p.last = dead.exitError()
		if !p.closed {
			p.deaths++
		}
		p.mu.Unlock()
	}
}

// current returns the process if it lives.
func (p *Plugin) current() (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, p.errorf("closed")
	case p.process != nil && p.process.alive():
		return p.process, nil
	}
	return nil, nil
}

// Restarts returns how often the plugin was started again because it had died,
// and why it died the last time.
func (p *Plugin) Restarts() (count int, last string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deaths == 0 {
		return 0, ""
	}
	return p.deaths, p.lastWords()
}

// spend takes one start from the budget.
func (p *Plugin) spend() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.options.Now()
	p.starts = slices.DeleteFunc(p.starts, func(at time.Time) bool { return now.Sub(at) >= window })
	if len(p.starts) > restarts {
		return p.errorf("it ended %d times within %s and is not started again before %s; mend it and run again. The last time: %s",
			len(p.starts), minutes(window), p.starts[0].Add(window).Format(time.TimeOnly), p.lastWords())
	}
	p.starts = append(p.starts, now)
	return nil
}

func minutes(span time.Duration) string { return fmt.Sprintf("%d minutes", int(span.Minutes())) }

// lastWords are why the newest process died or did not start, without the
// plugin's name. The caller holds the lock.
func (p *Plugin) lastWords() string {
	if p.last == nil {
		return "not known"
	}
	return strings.TrimPrefix(p.last.Error(), "plugin "+p.command.Name+": ")
}

// refund gives a start back if the plugin was not at fault.
func (p *Plugin) refund() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts = p.starts[:len(p.starts)-1]
}

func (p *Plugin) started(proc *process, err error) (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.last = err
		return nil, err
	}
	p.process = proc // also of a closed plugin: Close waits for it
	if p.says == nil {
		p.says = &proc.description
	}
	if !reflect.DeepEqual(*p.says, proc.description) {
		p.record.breaches.Note(dial.Changing)
	}
	proc.watch(p.stuck)
	return proc, nil
}

// stuck reports whether an instance waits for answers that do not come.
func (p *Plugin) stuck() bool {
	if p.command.Reach != nil && p.command.Reach.Patient {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for instance := range p.instances {
		if d := instance.current.Load(); d != nil && d.Overdue(time.Now(), p.options.StallSlack) {
			return true
		}
	}
	return false
}

// Close ends the instances and the process, within two seconds. It may be
// called again.
func (p *Plugin) Close() error {
	p.mu.Lock()
	p.closed = true
	var all []*Instance
	for instance := range p.instances {
		all = append(all, instance)
	}
	p.mu.Unlock()
	p.stop() // a process about to start is not waited for
	var wg sync.WaitGroup
	for _, instance := range all {
		wg.Go(func() { _ = instance.Close() })
	}
	wg.Wait()
	p.starting <- struct{}{}
	defer func() { <-p.starting }()
	p.clear()
	return nil
}

func (p *Plugin) forget(instance *Instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.instances, instance)
}

// Breaches lists what the plugin did against the contract so far, each kind with
// its count.
func (p *Plugin) Breaches() []string { return p.record.breaches.List() }

// Dropped returns how many lines of its standard error came faster than they could be
// searched for secrets, and are kept nowhere.
func (p *Plugin) Dropped() int { return int(p.record.dropped.Load()) }

// Note makes the scrubbing of the plugin's lines remember secrets.
func (p *Plugin) Note(values ...secret.Value) { p.redact.Note(values...) }

// String returns the backend's name.
func (p *Plugin) String() string { return fmt.Sprintf("plugin %s", p.command.Name) }
