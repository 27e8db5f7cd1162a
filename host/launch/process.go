package launch

import (
	"context"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
)

// process is one started plugin process and the connection to it.
type process struct {
	runner      *pluginRunner
	plugin      *plugin.Client
	client      *dial.Client
	description sdk.Description
	options     Options
	dir         *runDir

	mu     sync.Mutex
	reason string // why it was killed, if we did that
	wanted bool   // that it ends
	ended  sync.Once
	wg     sync.WaitGroup
}

// start starts a plugin and waits for its description. The error is a
// *StartError.
func start(ctx context.Context, command Command, options Options, redact *dial.Redactor, record *record) (*process, error) {
	dir, err := newRunDir(options.RunDir)
	if err != nil {
		return nil, &StartError{Plugin: command.Name, Phase: PhaseStart, Message: err.Error()}
	}
	made := &process{options: options, dir: dir}
	made.runner = newRunner(command, options, redact)
	made.runner.keepIn(record)
	made.runner.scratch = dir.path
	config := dial.Config(dial.Options{Log: made.runner.log, Redact: redact, Gone: made.runner.exited, Why: made.why, Breaches: &record.breaches, Trace: options.Trace})
	config.SkipHostEnv = true
	config.StartTimeout = 2 * options.StartTimeout // connect has a clock of its own, for all of the start
	config.UnixSocketConfig = &plugin.UnixSocketConfig{TempDir: dir.path}
	config.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
		return made.runner, made.runner.prepare(cmd)
	}
	made.plugin = plugin.NewClient(config)
	if err := made.connect(ctx); err != nil {
		failure := made.runner.startError(err)
		made.end()
		return nil, failure
	}
	made.runner.file("rekey: started, version " + made.description.Version)
	made.runner.log.Debug("plugin started", "version", made.description.Version, "pid", made.runner.pid)
	made.wg.Go(made.logExit)
	return made, nil
}

// connect waits for the handshake and asks the plugin for its description.
func (p *process) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.options.StartTimeout, errLate)
	defer cancel()
	defer context.AfterFunc(ctx, func() { p.kill(context.Cause(ctx).Error()) })()
	client, err := dial.Dispense(p.plugin)
	if err == nil {
		p.client = client
		p.description, err = client.Describe(ctx)
	}
	if err == nil {
		err = p.runner.unchanged()
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p *process) alive() bool {
	select {
	case <-p.runner.exited:
		return false
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.reason == ""
	}
}

// killAndWait ends the process at once and remembers why.
func (p *process) killAndWait(reason string) {
	p.kill(reason)
	<-p.runner.exited
}

// kill is killAndWait without waiting. A process ended by itself keeps its
// own reason.
func (p *process) kill(reason string) {
	p.mu.Lock()
	if p.reason == "" && !p.runner.hasExited() {
		p.reason = reason
	}
	p.mu.Unlock()
	p.runner.killGroup()
}

// why tells what became of a process whose connection was lost, after a moment
// in which that may be learned; "" if it lives.
func (p *process) why() string {
	if p.runner.endsWithin(exitGrace) {
		return p.exitError().Error()
	}
	return ""
}

// exitGrace is how long after its connection a plugin's end is waited for: on a
// loaded machine the kernel closes the socket long before it tells the parent.
const exitGrace = 2 * time.Second

// exitError is how an exited process ended.
func (p *process) exitError() error {
	p.runner.readers.Wait()
	p.mu.Lock()
	reason := p.reason
	p.mu.Unlock()
	if reason != "" {
		return fmt.Errorf("plugin %s: killed: %s", p.runner.command.Name, reason)
	}
	return fmt.Errorf("plugin %s: %s", p.runner.command.Name, p.runner.exitStatus())
}

// logExit logs an end that we did not want, with the last lines of the plugin.
func (p *process) logExit() {
	<-p.runner.exited
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	if wanted {
		return
	}
	p.runner.file("rekey: " + p.exitError().Error())
	p.runner.log.Error("plugin died", "cause", p.exitError().Error(), "stderr", p.runner.tail.text())
}

// watch kills the process when stuck says so twice in a row. Once may be the
// host's fault: after it was stopped itself, answers wait to be read.
func (p *process) watch(stuck func() bool) {
	tick := min(time.Second, max(20*time.Millisecond, p.options.StallSlack/8))
	p.wg.Go(func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for before := false; ; {
			select {
			case <-ticker.C:
				now := stuck()
				if now && before {
					p.killAndWait("it owes answers and gives none")
				}
				before = now
			case <-p.runner.exited:
				return
			}
		}
	})
}

// bounds of an end in good order.
const killAfter = 400 * time.Millisecond

// end asks the process to end, kills it if it does not, and waits until nothing
// of it is left. It may be called again.
func (p *process) end() {
	p.ended.Do(func() {
		p.mu.Lock()
		p.wanted = !p.runner.hasExited()
		p.mu.Unlock()
		timer := time.AfterFunc(killAfter, p.runner.killGroup)
		p.plugin.Kill() // returns at the latest after the process is gone
		timer.Stop()
		p.runner.killGroup()
		p.runner.wait()
		p.dir.remove()
	})
	p.wg.Wait()
}
