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

// The times that a program gets after its own is over, to end when it is asked and
// when it is killed, and that those who hold its outputs get after its end.
const (
	toEnd  = 250 * time.Millisecond
	toRead = 250 * time.Millisecond
)

// fate is what became of a program.
type fate uint8

const (
	ended   fate = iota // by itself
	killed              // its time was over, and nothing of it is left
	goingOn             // its time was over, and it or what it started goes on
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
	over   chan struct{} // closed when nothing is left of a program that was late
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

// wait waits for the end of the program, and ends it when ctx does, as far as that
// is in its power: the kernel lets it end no program of another user. What goes on
// then is waited for by who closes over.
func (p *process) wait(ctx context.Context) fate {
	select {
	case <-p.gone:
		p.reap()
		p.hear()
		return ended
	case <-ctx.Done():
	}
	select {
	case <-p.gone: // at the same moment
		p.reap()
		p.hear()
		return ended
	default:
	}
	dead := p.stop()
	go p.outlast()
	if !dead {
		return goingOn
	}
	limit := time.NewTimer(toRead)
	defer limit.Stop()
	select {
	case <-p.over:
		return killed
	case <-limit.C:
		return goingOn
	}
}

// reap ends what is left of the group of a program that has ended, and takes its
// exit code. Unreaped, the leader keeps the group's number.
func (p *process) reap() {
	_ = signal(p.pid, syscall.SIGKILL)
	close(p.end)
	<-p.reaped
}

// hear takes what is still in the outputs. Who else holds them does not keep us.
func (p *process) hear() {
	deadline := time.Now().Add(toRead)
	for _, file := range p.ours {
		_ = file.SetDeadline(deadline)
	}
	p.tasks.Wait()
}

// stop ends the program, and reports whether it has ended.
func (p *process) stop() bool {
	for _, which := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if signal(p.pid, which) != nil {
			return false
		}
		limit := time.NewTimer(toEnd)
		select {
		case <-p.gone:
			limit.Stop()
			return true
		case <-limit.C:
		}
	}
	return false
}

// outlast waits, however long that takes, until the program has ended, nothing of its
// group is there, and its outputs are closed.
func (p *process) outlast() {
	<-p.gone
	p.reap()
	for lives(p.pid) {
		time.Sleep(toLook)
	}
	p.tasks.Wait()
	close(p.over)
}

// toLook is how often a group that may not be ended is looked for.
const toLook = 20 * time.Millisecond

// lives reports whether something of a group runs. Where a program of ours is in it the
// kernel does not say whether others' are; ours may be there for ever, ended and reaped
// by no one.
func lives(group int) bool {
	switch err := signal(group, 0); {
	case errors.Is(err, syscall.ESRCH):
		return false
	case err == nil:
		return !onlyZombies(group)
	}
	return true
}

// signal sends to all of the program's group.
func signal(pid int, which syscall.Signal) error { return syscall.Kill(-pid, which) }

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

	mu   sync.Mutex
	text []byte
	cut  bool // there was more
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

// kept is what was kept so far, and whether there was more.
func (s *sink) kept() (text []byte, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, s.cut
}
