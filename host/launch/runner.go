package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/hlog"
)

// pluginRunner starts one process for go-plugin. go-plugin's own runner hands
// down standard input and the environment, waits for grandchildren that hold a
// pipe, and leaves orphans.
type pluginRunner struct {
	child
	command Command
	options Options
	redact  *dial.Redactor
	log     hclog.Logger // under the plugin's name, without secrets

	breaches *dial.Breaches

	stdout   *handshake
	tail     *tail
	failed   *StartError // of spawning
	verified fs.FileInfo // of a script, as it was read; nil of a program
}

func newRunner(command Command, options Options, redact *dial.Redactor) *pluginRunner {
	made := &pluginRunner{command: command, options: options, redact: redact, child: child{brood: options.Brood, bundled: command.Bundled, exited: make(chan struct{})}}
	made.log = hlog.ScrubbedLines(options.Log.Named(command.Name), func(text string) string { return clean(redact, text) },
		func(text string) string { return cleanLines(redact, text) })
	made.tail = &tail{redact: redact, log: made.log, echo: options.Stderr, file: made.file}
	return made
}

// keepIn names the record of what the plugin does that it should not.
func (r *pluginRunner) keepIn(record *record) {
	r.breaches, r.tail.dropped = &record.breaches, &record.dropped
}

// file adds a scrubbed line to the plugin's own log file, if there is one.
func (r *pluginRunner) file(text string) { r.options.Logs.line(r.command.Name, r.pid, text) }

// prepare fills in go-plugin's command, which holds its environment only.
func (r *pluginRunner) prepare(cmd *exec.Cmd) error {
	environ := r.options.Environ
	if environ == nil {
		environ = os.Environ()
	}
	r.cmd = cmd
	cmd.Path, cmd.Args = r.command.Path, append([]string{r.command.Path}, r.command.Args...)
	cmd.Env = append(scrub(environ), append(cmd.Env, "PLUGIN_LIVENESS_FD=3", "PYTHONPYCACHEPREFIX="+r.scratch)...)
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
	r.stdout = newHandshake(outRead, r.redact, r.log, &r.child)
	r.stdout.breaches = r.breaches
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	r.files = append(r.files, errWrite)
	r.tail.from, r.outputs = errRead, []*os.File{outRead, errRead}
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
	r.readers.Go(r.tail.read)
	return nil
}

// settle gives a process that fails to start a moment to end by itself, so that
// its failure is told by its acts.
func (r *pluginRunner) settle() {
	if r.pid == 0 || r.stdout.failure() != nil {
		return
	}
	if r.endsWithin(pipeGrace) {
		r.readers.Wait()
	}
}

// end asks the process to end, kills it if it does not, and waits until nothing of it
// is left.
func (r *pluginRunner) end() {
	if r.pid > 0 && !r.hasExited() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		r.endsWithin(endGrace)
	}
	r.killGroup()
	r.wait()
}

// endGrace is how long a plugin may take to end when it is asked to.
const endGrace = 2 * time.Second

// exitStatus says how the process ended, with its last words.
func (r *pluginRunner) exitStatus() string {
	how := "ended"
	if r.state != nil {
		how = r.state.String()
	}
	words := r.tail.words()
	if r.state != nil && !r.state.Exited() { // by a signal: what it told of before is not why
		words = r.tail.lastWords()
	}
	if words != "" {
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

// confine makes the command of a plugin that of its confinement.
func (r *pluginRunner) confine() error {
	if !r.options.Sandbox {
		return nil
	}
	missing, err := Confinable()
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		r.log.Warn("this kernel cannot deny a confined plugin everything", "allowed", strings.Join(missing, ", "))
	}
	if len(r.options.Confine) == 0 {
		return errors.New("cannot be confined: the host does not say by which command")
	}
	memory := r.options.Memory
	if memory == 0 {
		memory = defaultMemory
	}
	made := confinement{grants: r.command.Grants, scratch: r.scratch, memory: memory, exec: r.cmd.Path, argv: r.cmd.Args}
	r.cmd.Path = r.options.Confine[0]
	r.cmd.Args = append(append([]string{}, r.options.Confine...), made.arguments()...)
	r.cmd.Env = append(r.cmd.Env, "TMPDIR="+r.scratch, "HOME="+r.scratch)
	return nil
}

// verify compares the executable with its digest. A program is then started
// from the very file just read, so that the name cannot change its
// meaning in between. A script cannot be: its interpreter needs its name to find
// what lies beside it. It is compared once more when it runs, by unchanged.
func (r *pluginRunner) verify() error {
	if r.command.Digest == "" {
		return nil
	}
	file, err := os.Open(r.command.Path)
	if err != nil {
		return r.spawnError(err)
	}
	r.files = append(r.files, file)
	got, script, err := digestOf(file)
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if got != r.command.Digest {
		return fmt.Errorf("%s has changed since it was looked at: its SHA-256 is %s, want %s; run the command again", r.command.Path, got, r.command.Digest)
	}
	if path := descriptorPath(3 + len(r.cmd.ExtraFiles)); path != "" && !script {
		r.cmd.Path = path
		r.cmd.ExtraFiles = append(r.cmd.ExtraFiles, file)
		return nil
	}
	r.verified, err = file.Stat()
	return err
}

// unchanged reports whether the name of a script still means the file
// verified, with the same content. By then its interpreter has read it, and no
// secret has been sent.
func (r *pluginRunner) unchanged() error {
	if r.verified == nil {
		return nil
	}
	now, err := os.Stat(r.command.Path)
	if err == nil && os.SameFile(now, r.verified) && changedAt(now) == changedAt(r.verified) {
		var got string
		if got, _, err = Digest(r.command.Path); err == nil && got == r.command.Digest {
			return nil
		}
	}
	return errReplaced
}

var errReplaced = errors.New("its file was replaced while it was started")

var errLate = errors.New("it was not ready in time")

// startError classifies the failure of a start by what the runner saw, never by
// the text of err.
func (r *pluginRunner) startError(err error) *StartError {
	r.settle()
	startError := r.stdout.failure()
	var spawning *StartError
	switch {
	case r.failed != nil:
		startError = r.failed
	case errors.As(err, &spawning):
		startError = spawning
	case startError != nil:
	case errors.Is(err, errReplaced):
		startError = &StartError{Phase: PhaseStart, Message: errReplaced.Error() + ": " + r.command.Path + "; nothing was sent to it, see who did that, then run the command again"}
	case errors.Is(err, errLate):
		startError = r.late()
	case r.hasExited() && !r.stdout.shaken():
		startError = &StartError{Phase: PhaseExit, Message: "ended before it was ready: " + r.exitStatus(), Fix: "start " + r.command.Path + " by hand to see more" + r.hint()}
	case r.hasExited():
		startError = &StartError{Phase: PhaseConnect, Message: "ended while it was asked what it is: " + r.exitStatus() + "; report it to the plugin's author"}
	default:
		startError = &StartError{Phase: PhaseConnect, Message: "cannot be asked what it is: " + shorten(oneLine(r.redact.Scrub(err.Error())), maxNoise) + "; rebuild it with the SDK"}
	}
	startError.Plugin, startError.Stderr = r.command.Name, r.tail.lines()
	return startError
}

// hint says what a confined plugin may lack.
func (r *pluginRunner) hint() string {
	if !r.options.Sandbox {
		return ""
	}
	return ", and see whether it needs more than it declares: --no-sandbox " + r.command.Name + " lets it"
}

// late is the failure of a plugin that took all of its time.
func (r *pluginRunner) late() *StartError {
	if r.stdout.shaken() {
		return &StartError{Phase: PhaseTimeout, Message: fmt.Sprintf("shook hands and then did not say within %s what it is; report it to the plugin's author", r.options.StartTimeout)}
	}
	return &StartError{Phase: PhaseTimeout, Message: fmt.Sprintf("said nothing on standard output within %s; is %s a rekey plugin?", r.options.StartTimeout, r.command.Path)}
}

// spawnError says why a program could not be run, and what to do about it.
func (r *pluginRunner) spawnError(err error) error {
	path := r.command.Path
	_, stat := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && stat == nil:
		return fmt.Errorf("cannot be started: the interpreter that the first line of %s names does not exist; install it", path)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot be started: %s does not exist; install it again", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot be started: %s may not be executed; chmod +x it, and see whether its directory is mounted noexec", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("cannot be started: %s is no program for this system; build it for %s/%s", path, runtime.GOOS, runtime.GOARCH)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("cannot be started: %s: %w", path, err)
}
