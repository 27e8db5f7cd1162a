package launch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
)

// process is one plugin process and the connection to it.
type process struct {
	body        body
	name        string // of the backend
	client      *dial.Client
	description sdk.Description
	options     Options

	mu     sync.Mutex
	reason string // why it was killed, if we did that
	wanted bool   // that it ends
	ended  sync.Once
	wg     sync.WaitGroup
}

// body is what a process is for this one: a child, or a connection to one that another
// has started.
type body interface {
	exited() <-chan struct{} // closed when it is gone
	kill()                   // ends it at once, without waiting
	how() string             // how it was that it went; it waits until that is known
	died(cause string)       // tells of an end that nobody wanted
	end()                    // ends it in good order and waits until nothing is left
	connect(ctx context.Context) (*dial.Client, error)
	ready(version string) error   // takes note that it said what it is, if that is to be believed
	failed(err error) *StartError // why it could not be had
}

// start starts a plugin, or connects to it, and waits for its description. The error is a
// *StartError.
func start(ctx context.Context, command Command, options Options, redact *dial.Redactor, record *record) (*process, error) {
	made := &process{name: command.Name, options: options}
	dialing := dial.Options{Redact: redact, Why: made.why, Breaches: &record.breaches, Trace: options.Trace}
	if command.Reach != nil {
		made.body = newFar(command, options, dialing)
	} else {
		local, err := newLocal(command, options, dialing, record)
		if err != nil {
			return nil, &StartError{Plugin: command.Name, Phase: PhaseStart, Message: err.Error()}
		}
		made.body = local
	}
	if err := made.connect(ctx); err != nil {
		failure := made.body.failed(err)
		made.end()
		return nil, failure
	}
	made.wg.Go(made.logExit)
	return made, nil
}

// connect asks the plugin for its description once it can be asked.
func (p *process) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, p.options.StartTimeout, errLate)
	defer cancel()
	defer context.AfterFunc(ctx, func() { p.kill(context.Cause(ctx).Error()) })()
	client, err := p.body.connect(ctx)
	if err == nil {
		p.client = client
		p.description, err = client.Describe(ctx)
	}
	if err == nil {
		err = p.body.ready(p.description.Version)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (p *process) hasExited() bool {
	select {
	case <-p.body.exited():
		return true
	default:
		return false
	}
}

func (p *process) alive() bool {
	if p.hasExited() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason == ""
}

// killAndWait ends the process at once and remembers why.
func (p *process) killAndWait(reason string) {
	p.kill(reason)
	<-p.body.exited()
}

// kill is killAndWait without waiting. A process ended by itself keeps its
// own reason.
func (p *process) kill(reason string) {
	p.mu.Lock()
	if p.reason == "" && !p.hasExited() {
		p.reason = reason
	}
	p.mu.Unlock()
	p.body.kill()
}

// why tells what became of a process whose connection was lost, after a moment
// in which that may be learned; "" if it lives.
func (p *process) why() string {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-p.body.exited():
		return p.exitError().Error()
	case <-timer.C:
		return ""
	}
}

// exitGrace is how long after its connection a plugin's end is waited for: on a
// loaded machine the kernel closes the socket long before it tells the parent.
const exitGrace = 2 * time.Second

// exitError is how an exited process ended.
func (p *process) exitError() error {
	how := p.body.how()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != "" {
		how = "killed: " + p.reason
	}
	return fmt.Errorf("plugin %s: %s", p.name, how)
}

// logExit logs an end that we did not want, with the last lines of the plugin.
func (p *process) logExit() {
	<-p.body.exited()
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	if !wanted {
		p.body.died(p.exitError().Error())
	}
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
			case <-p.body.exited():
				return
			}
		}
	})
}

// end ends the process in good order, kills it if it does not, and waits until nothing
// of it is left. It may be called again.
func (p *process) end() {
	p.ended.Do(func() {
		p.mu.Lock()
		p.wanted = !p.hasExited()
		p.mu.Unlock()
		p.body.end()
	})
	p.wg.Wait()
}
