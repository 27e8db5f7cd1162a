package launch

import (
	"fmt"
	"strconv"
	"strings"

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
	Fix     string   // what to do about it, where the message does not say it
	Stderr  []string // its last lines, scrubbed
	Away    bool     // one that is not started here could not be reached: another try costs nothing
}

// Error returns one line.
func (e *StartError) Error() string {
	text := "plugin " + e.Plugin + ": " + e.Message
	if e.Fix != "" {
		text += "; " + e.Fix
	}
	return text
}

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
