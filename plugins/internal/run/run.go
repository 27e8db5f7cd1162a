// Package run starts programs for backends: without a shell, in a session of their
// own, with nothing of the environment, and waits for them no longer than it is told,
// whatever becomes of them. It knows nothing of what they do.
package run

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/strict"
)

// Program is one start of a program. Everybody on the machine may see its path,
// arguments and environment.
type Program struct {
	Name  string // of the setting that it is from
	Path  string // absolute
	Args  []string
	Env   []string
	Feeds []string // what it reads on standard input, and on the descriptors from 3 on
	Most  int      // bytes that are kept of each output
}

// Ending is how a program ended.
type Ending struct {
	Started  bool
	Failure  *sdk.Error // why it was not started, or not left to its end
	Exit     int        // 128 and the signal, if one ended it
	Out, Err []byte
	Cut      bool // there was more output

	// Left is there if the program goes on, or what it started: closed once nothing
	// is left of it. What it says meanwhile is no answer, and kept nowhere.
	Left <-chan struct{}
}

// Environment is what every program gets of one, before what it is given.
func Environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
}

// Run starts the program and waits for its end, at the latest that of ctx and a
// moment. Nothing of its process group is left then but what may not be ended:
// programs of another user (sudo, doas), and what the kernel holds.
func (p Program) Run(ctx context.Context) (end Ending) {
	if end.Failure = lateness(ctx, "before it was started"); end.Failure != nil {
		return end
	}
	if end.Failure = Sound(p.Name, p.Path); end.Failure != nil {
		return end
	}
	started, err := p.start()
	if err != nil {
		end.Failure = p.startError(err)
		return end
	}
	end.Started = true
	switch started.wait(ctx) {
	case goingOn:
		end.Failure = lateness(ctx, "and it goes on, or what it started: what runs as another user cannot be ended from here, so put timeout behind sudo ("+
			"sudo -n /usr/bin/timeout -k 1 20 TOOL); whether it sets anything is not known")
		end.Left = started.over
		return end
	case killed:
		end.Failure = lateness(ctx, "and was ended; whether it had set anything is not known")
	case ended:
	}
	end.Exit = started.exit()
	end.Out, end.Cut = started.out.kept()
	end.Err, _ = started.err.kept()
	return end
}

// lateness is why ctx has ended; nil if it has not.
func lateness(ctx context.Context, what string) *sdk.Error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the tool's time was over, %s", what)
	default:
		return sdk.Errorf(sdk.Cancelled, "the tool was given up, %s", what)
	}
}

// Sound returns why the program of a setting must not be started: somebody else
// could have put it there. It is nil if it may.
func Sound(setting, path string) *sdk.Error {
	info, err := strict.Walk(path, os.Geteuid())
	switch {
	case err != nil:
		return sdk.Errorf(sdk.InvalidConfig, "%s: %s", setting, err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return sdk.Errorf(sdk.InvalidConfig, "%s: %q is no executable file", setting, path)
	}
	return nil
}

// startError is why a program could not be started, and nothing was sent.
func (p Program) startError(err error) *sdk.Error {
	var place *fs.PathError
	if errors.As(err, &place) {
		err = place.Err
	}
	code := sdk.InvalidConfig
	if errors.Is(err, errBusy) {
		code = sdk.TargetUnavailable
	}
	return sdk.Errorf(code, "%s: %q cannot be started: %s", p.Name, p.Path, err)
}

// start starts the program. Its thread stays until it is reaped: the kernel kills
// the program when the thread that started it ends, so that none outlives rekey.
func (p Program) start() (*process, error) {
	made := &process{out: &sink{most: p.Most}, err: &sink{most: p.Most},
		gone: make(chan struct{}), end: make(chan struct{}), reaped: make(chan struct{}), over: make(chan struct{})}
	made.cmd = &exec.Cmd{Path: p.Path, Args: append([]string{p.Path}, p.Args...), Env: p.Env, Dir: "/", SysProcAttr: apart()}
	err := made.connect(p.Feeds)
	if err == nil {
		started := make(chan error)
		go made.live(started)
		err = <-started
	}
	for _, file := range made.theirs {
		_ = file.Close()
	}
	if err != nil {
		made.hangUp()
		made.tasks.Wait()
		if passing(err) {
			return nil, errBusy
		}
		return nil, err
	}
	return made, nil
}
