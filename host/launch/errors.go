package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin"

	"github.com/rekey-host/rekey/sdk/dial"
)

// Phase is how far a plugin came before it failed to start.
type Phase string

// The phases, in their order.
const (
	PhaseStart     Phase = "start"     // the executable could not be run
	PhaseExit      Phase = "exit"      // it ended before it was ready
	PhaseHandshake Phase = "handshake" // it printed something else than the handshake
	PhaseVersion   Phase = "version"   // it speaks another version of the protocol
	PhaseTimeout   Phase = "timeout"   // it was not ready in time
	PhaseConnect   Phase = "connect"   // the connection could not be made or used
)

// StartError is why a plugin could not be started.
type StartError struct {
	Plugin  string
	Phase   Phase
	Message string   // one line, scrubbed
	Stderr  []string // its last lines, scrubbed
}

// Error returns one line.
func (e *StartError) Error() string { return "plugin " + e.Plugin + ": " + e.Message }

// parseHandshake checks the line with which a plugin says where it listens, and
// returns nil if go-plugin can go on with it.
func parseHandshake(line string) *StartError {
	parts := strings.Split(printable(line), "|")
	fail := func(phase Phase, format string, args ...any) *StartError {
		return &StartError{Phase: phase, Message: fmt.Sprintf(format, args...)}
	}
	if len(line) > maxNoise {
		parts[0], parts[1] = shorten(parts[0], maxNoise/4), shorten(parts[1], maxNoise/4)
	}
	if parts[0] != strconv.Itoa(plugin.CoreProtocolVersion) {
		return fail(PhaseVersion, "speaks version %s of go-plugin's protocol, this rekey speaks %d; rebuild the plugin", parts[0], plugin.CoreProtocolVersion)
	}
	if value, err := strconv.Atoi(parts[1]); err != nil || value != dial.ProtocolVersion {
		who := "the plugin"
		if err == nil && value > dial.ProtocolVersion {
			who = "rekey"
		}
		return fail(PhaseVersion, "speaks version %s of the plugin protocol, this rekey speaks %d; upgrade %s", parts[1], dial.ProtocolVersion, who)
	}
	if len(parts) < 5 || parts[4] != string(plugin.ProtocolGRPC) {
		return fail(PhaseVersion, "does not speak gRPC; rebuild it with the SDK")
	}
	if len(parts) < 6 || parts[5] == "" {
		return fail(PhaseHandshake, "sent no certificate in its handshake; it has to answer PLUGIN_CLIENT_CERT with one of its own")
	}
	return nil
}

// looksLikeHandshake tells a handshake line from what libraries print.
func looksLikeHandshake(line string) bool {
	parts := strings.Split(line, "|")
	if len(parts) < 4 || parts[2] != "unix" && parts[2] != "tcp" {
		return false
	}
	_, err := strconv.Atoi(parts[0])
	return err == nil
}

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
		startError = &StartError{Phase: PhaseExit, Message: "ended before it was ready: " + r.epitaph() + "; start " + r.command.Path + " by hand to see more"}
	case r.hasExited():
		startError = &StartError{Phase: PhaseConnect, Message: "ended while it was asked what it is: " + r.epitaph() + "; report it to the plugin's author"}
	default:
		startError = &StartError{Phase: PhaseConnect, Message: "cannot be asked what it is: " + shorten(oneLine(r.redact.Scrub(err.Error())), maxNoise) + "; rebuild it with the SDK"}
	}
	startError.Plugin, startError.Stderr = r.command.Name, r.tail.lines()
	return startError
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

// oneLine keeps a text on its line.
func oneLine(text string) string { return printable(strings.Join(strings.Fields(text), " ")) }
