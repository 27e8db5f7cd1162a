//go:build unix

package run

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// The times that a program gets after its own is over, and that those who hold
// its outputs get after its end.
const (
	toEnd  = 250 * time.Millisecond
	toRead = 250 * time.Millisecond
)

// errBusy is what passes by itself: the machine has too many processes or files.
var errBusy = busy{}

type busy struct{}

// Error says it.
func (busy) Error() string { return "the machine is short of processes or files" }

func passing(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// process is a program that was started.
type process struct {
	cmd    *exec.Cmd
	theirs []*os.File // closed once the program has them
	ours   []*os.File
	out    *sink
	err    *sink
	tasks  sync.WaitGroup
	pid    int
	gone   chan struct{} // closed when the program has ended; it may be unreaped
	end    chan struct{} // closed to have it reaped
	reaped chan struct{}
}

// start starts the program. Its thread stays until it is reaped: the kernel kills
// the program when the thread that started it ends, so that none outlives rekey.
func (p Program) start() (*process, error) {
	made := &process{out: &sink{most: p.Most}, err: &sink{most: p.Most},
		gone: make(chan struct{}), end: make(chan struct{}), reaped: make(chan struct{})}
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

func (p *process) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = p.cmd.Process.Pid
	started <- nil
	awaitExit(p.cmd)
	close(p.gone)
	<-p.end
	_ = p.cmd.Wait() // how it ended stands in ProcessState
	close(p.reaped)
}

// connect makes the pipes and has somebody wait at their other ends.
func (p *process) connect(feeds []string) error {
	for index, text := range feeds {
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		p.theirs, p.ours = append(p.theirs, read), append(p.ours, write)
		if index == 0 {
			p.cmd.Stdin = read
		} else {
			p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, read)
		}
		p.tasks.Go(func() {
			_, _ = io.WriteString(write, text) // whoever does not read it says so by what it does
			_ = write.Close()
		})
	}
	var err error
	if p.cmd.Stdout, err = p.collect(p.out); err == nil {
		p.cmd.Stderr, err = p.collect(p.err)
	}
	return err
}

// collect returns the end of a pipe whose other end goes to sink.
func (p *process) collect(sink *sink) (*os.File, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.theirs, p.ours = append(p.theirs, write), append(p.ours, read)
	p.tasks.Go(func() {
		_, _ = io.Copy(sink, read)
		_ = read.Close()
	})
	return write, nil
}

// wait waits for the end of the program, ends it when ctx does, and reports
// whether it ended by itself. Nothing of its group is left afterwards.
func (p *process) wait(ctx context.Context) bool {
	alone := true
	select {
	case <-p.gone:
	case <-ctx.Done():
		alone = p.stop()
	}
	signal(p.pid, syscall.SIGKILL) // unreaped, the leader keeps the group's number
	close(p.end)
	<-p.reaped
	deadline := time.Now().Add(toRead)
	for _, file := range p.ours {
		_ = file.SetDeadline(deadline)
	}
	p.tasks.Wait()
	return alone
}

// stop ends the program, and reports whether it had ended already.
func (p *process) stop() bool {
	select {
	case <-p.gone:
		return true
	default:
	}
	signal(p.pid, syscall.SIGTERM)
	limit := time.NewTimer(toEnd)
	defer limit.Stop()
	select {
	case <-p.gone:
	case <-limit.C:
		signal(p.pid, syscall.SIGKILL)
		<-p.gone
	}
	return false
}

// signal sends to all of the program's group.
func signal(pid int, which syscall.Signal) { _ = syscall.Kill(-pid, which) }

// hangUp closes our ends of the pipes of a program that was not started.
func (p *process) hangUp() {
	for _, file := range p.ours {
		_ = file.Close()
	}
}

// exit is the exit code of a program that was reaped, 128 and the number of the
// signal that ended it.
func (p *process) exit() int {
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// sink keeps the beginning of what is written to it, and takes the rest.
type sink struct {
	most int
	cut  bool // there was more

	mu   sync.Mutex
	text []byte
}

// Write keeps what there is room for.
func (s *sink) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := min(len(text), s.most-len(s.text))
	s.text = append(s.text, text[:room]...)
	s.cut = s.cut || room < len(text)
	return len(text), nil
}

func (s *sink) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text
}
