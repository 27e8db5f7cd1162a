package launch

import (
	"context"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/rekey-host/rekey/sdk/dial"
)

// local is a plugin that is a child of this process.
type local struct {
	runner *pluginRunner
	plugin *plugin.Client
	dir    *runDir
}

func newLocal(command Command, options Options, dialing dial.Options, record *record) (*local, error) {
	dir, err := newRunDir(options.RunDir)
	if err != nil {
		return nil, err
	}
	made := &local{dir: dir, runner: newRunner(command, options, dialing.Redact)}
	made.runner.keepIn(record)
	made.runner.scratch = dir.path
	dialing.Log, dialing.Gone = made.runner.log, made.runner.child.exited
	config := dial.Config(dialing)
	config.SkipHostEnv = true
	config.StartTimeout = 2 * options.StartTimeout // connect has a clock of its own, for all of the start
	config.UnixSocketConfig = &plugin.UnixSocketConfig{TempDir: dir.path}
	config.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
		return made.runner, made.runner.prepare(cmd)
	}
	made.plugin = plugin.NewClient(config)
	return made, nil
}

// connect starts the program, and waits for its handshake.
func (l *local) connect(context.Context) (*dial.Client, error) { return dial.Dispense(l.plugin) }

func (l *local) ready(version string) error {
	if err := l.runner.unchanged(); err != nil {
		return err
	}
	l.runner.file("rekey: started, version " + version)
	l.runner.log.Debug("plugin started", "version", version, "pid", l.runner.pid)
	return nil
}

func (l *local) exited() <-chan struct{} { return l.runner.child.exited }

func (l *local) kill() { l.runner.killGroup() }

func (l *local) how() string {
	l.runner.readers.Wait()
	return l.runner.exitStatus()
}

func (l *local) died(cause string) {
	l.runner.file("rekey: " + cause)
	l.runner.log.Error("plugin died", "cause", cause, "stderr", l.runner.tail.text())
}

func (l *local) failed(err error) *StartError { return l.runner.startError(err) }

// bounds of an end in good order.
const killAfter = 400 * time.Millisecond

func (l *local) end() {
	timer := time.AfterFunc(killAfter, l.runner.killGroup)
	l.plugin.Kill() // returns at the latest after the process is gone
	timer.Stop()
	l.runner.killGroup()
	l.runner.wait()
	l.dir.remove()
}
