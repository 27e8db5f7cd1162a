package launch

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/hlog"
)

// pluginRunner starts one process for go-plugin. go-plugin's own runner hands
// down standard input and the environment, waits for grandchildren that hold a
// pipe, and leaves orphans.
type pluginRunner struct {
	command Command
	options Options
	redact  *dial.Redactor
	log     hclog.Logger // under the plugin's name, without secrets
	scratch string       // the directory of its socket

	cmd      *exec.Cmd
	files    []*os.File // of the child, closed here once it has them
	liveness *os.File   // held open as long as this process lives
	stdout   *handshake
	tail     *tail
	failed   *StartError // of spawning
	verified fs.FileInfo // of a script, as it was read; nil of a program

	pid     int
	exited  chan struct{} // closed when the process is reaped
	state   *os.ProcessState
	killing sync.Mutex // of pid, doomed and reaped, and of signals against them
	doomed  bool
	reaped  bool
	readers sync.WaitGroup
}

func newRunner(command Command, options Options, redact *dial.Redactor) *pluginRunner {
	made := &pluginRunner{command: command, options: options, redact: redact, exited: make(chan struct{})}
	made.log = hlog.Scrubbed(options.Log.Named(command.Name), func(text string) string { return clean(redact, text) })
	made.tail = &tail{redact: redact}
	return made
}

// prepare fills in go-plugin's command, which holds its environment only.
func (r *pluginRunner) prepare(cmd *exec.Cmd) error {
	environ := r.options.Environ
	if environ == nil {
		environ = os.Environ()
	}
	r.cmd = cmd
	cmd.Path, cmd.Args = r.command.Path, append([]string{r.command.Path}, r.command.Args...)
	cmd.Env = append(scrub(environ), append(cmd.Env, "PLUGIN_LIVENESS_FD=3")...)
	cmd.Stdin = nil // the null device
	cmd.Dir = "/"
	cmd.SysProcAttr = ownGroup()
	if err := r.pipes(); err != nil {
		return r.fail(err)
	}
	if err := r.verify(); err != nil {
		return r.fail(err)
	}
	if err := r.confine(); err != nil {
		return r.fail(err)
	}
	return nil
}

func (r *pluginRunner) fail(err error) error {
	r.failed = &StartError{Phase: PhaseStart, Message: err.Error()}
	r.closeFiles()
	return r.failed
}

func (r *pluginRunner) closeFiles() {
	for _, file := range r.files {
		_ = file.Close()
	}
	r.files = nil
}

func (r *pluginRunner) pipes() error {
	liveRead, liveWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	r.files, r.liveness = append(r.files, liveRead), liveWrite
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	r.files = append(r.files, outWrite)
	r.stdout = newHandshake(outRead, r)
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	r.files = append(r.files, errWrite)
	r.tail.from = errRead
	r.cmd.ExtraFiles = []*os.File{liveRead}
	r.cmd.Stdout, r.cmd.Stderr = outWrite, errWrite
	return nil
}

// scrub keeps of an environment what a program needs to run at all.
func scrub(environ []string) []string {
	var kept []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "TZ", "LANG":
			kept = append(kept, entry)
		default:
			if strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "SSL_CERT_") {
				kept = append(kept, entry)
			}
		}
	}
	return kept
}

// Start starts the process.
func (r *pluginRunner) Start(context.Context) error {
	started := make(chan error, 1)
	go r.live(started)
	err := <-started
	r.closeFiles()
	if err != nil {
		r.stdout.abort()
		_ = r.tail.from.Close()
		_ = r.liveness.Close()
		return r.fail(r.spawnError(err))
	}
	r.readers.Go(r.stdout.read)
	r.readers.Go(func() { r.tail.read(r) })
	return nil
}

// afterwards is how long descendants of a dead plugin may hold its pipes.
const afterwards = 500 * time.Millisecond

// bury reaps the process and ends what it left behind.
func (r *pluginRunner) bury() {
	if awaitExit(r.pid) {
		r.killGroup() // its descendants: unreaped, the leader keeps the group's number theirs
		r.killing.Lock()
		_ = r.cmd.Wait()
	} else {
		_ = r.cmd.Wait()
		r.killing.Lock()
	}
	r.state, r.reaped = r.cmd.ProcessState, true
	r.killing.Unlock()
	deadline := time.Now().Add(afterwards)
	_ = r.stdout.from.SetReadDeadline(deadline)
	_ = r.tail.from.SetReadDeadline(deadline)
	_ = r.liveness.Close()
	close(r.exited)
}

// born notes the process, and kills it if that was asked for already.
func (r *pluginRunner) born() {
	r.killing.Lock()
	defer r.killing.Unlock()
	r.pid = r.cmd.Process.Pid
	if r.doomed {
		killGroup(r.pid)
	}
}

// killGroup kills the process and its descendants; one that is not started yet
// as soon as it is. Afterwards it does nothing.
func (r *pluginRunner) killGroup() {
	r.killing.Lock()
	defer r.killing.Unlock()
	r.doomed = true
	if r.pid > 0 && !r.reaped {
		killGroup(r.pid)
	}
}

// wait waits until the process is reaped and its pipes are read.
func (r *pluginRunner) wait() {
	if r.pid > 0 {
		<-r.exited
	}
	r.readers.Wait()
}

func (r *pluginRunner) hasExited() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// settle gives a process that fails to start a moment to end by itself, so that
// its failure is told by what it did.
func (r *pluginRunner) settle() {
	if r.pid == 0 || r.stdout.failure() != nil {
		return
	}
	if r.endsWithin(afterwards) {
		r.readers.Wait()
	}
}

// endsWithin waits for the end of the process and reports whether it came.
func (r *pluginRunner) endsWithin(span time.Duration) bool {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-r.exited:
		return true
	case <-timer.C:
		return false
	}
}

// epitaph says how the process ended, with its last words.
func (r *pluginRunner) epitaph() string {
	how := "ended"
	if r.state != nil {
		how = r.state.String()
	}
	if words := r.tail.words(); words != "" {
		return how + ": " + words
	}
	return how
}

// Stdout has the handshake line and nothing else.
func (r *pluginRunner) Stdout() io.ReadCloser { return r.stdout.line }

// Stderr is empty: the runner reads the plugin's itself.
func (r *pluginRunner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name returns the backend's name.
func (r *pluginRunner) Name() string { return r.command.Name }

// ID returns the process id.
func (r *pluginRunner) ID() string { return strconv.Itoa(r.pid) }

// Diagnose has nothing to add.
func (r *pluginRunner) Diagnose(context.Context) string { return "" }

// Wait waits for the end of the process.
func (r *pluginRunner) Wait(context.Context) error {
	<-r.exited
	return nil
}

// Kill kills the process and its descendants.
func (r *pluginRunner) Kill(context.Context) error {
	r.killGroup()
	return nil
}

// PluginToHost leaves an address as it is.
func (r *pluginRunner) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin leaves an address as it is.
func (r *pluginRunner) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
