package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/rekey-host/rekey/host"
)

// abnormalExit is the end of a process before its time, and what that says.
type abnormalExit struct{ *app }

// install sees to it that a process that ends before its time says so on one
// line, with the task under way, instead of the stacks of all that it did. They
// are in the log at debug and trace.
func (e abnormalExit) install() {
	if !e.logsStacks() {
		debug.SetTraceback("none")
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		e.die("SIGQUIT ends the process", everyStack())
	}()
}

func (e abnormalExit) logsStacks() bool {
	log, err := e.logger()
	return err == nil && log.IsDebug()
}

// caught ends a command whose own goroutine has panicked.
func (e abnormalExit) caught(reason any) {
	if reason != nil {
		e.die(defect(reason), debug.Stack())
	}
}

// panicked ends a command in which a goroutine has that applies a run: that of a
// user, or of many.
func (e abnormalExit) panicked(user string, reason any, stack []byte) {
	why := defect(reason)
	if user != "" {
		why += fmt.Sprintf(", at user %q", user)
	}
	e.die(why, stack)
}

// defect describes a panic. What the runtime says holds no secret; what others
// say may.
func defect(reason any) string {
	if err, ok := reason.(runtime.Error); ok {
		return fmt.Sprintf("a defect in rekey ends the process: %s", err)
	}
	return fmt.Sprintf("a defect in rekey ends the process: a panic of type %T", reason)
}

// die ends the process with its last words, if they are read within a
// moment. The ledger makes that safe.
func (e abnormalExit) die(why string, stack []byte) {
	if log, err := e.logger(); err == nil {
		log.Debug("the stack at the end", "stack", string(stack))
	}
	e.process.stderr.complain(fmt.Sprintf("%s, %s", why, e.vitals.Last()))
	e.end()
}

// fatal ends a process that nothing else can stop, as inside of a script's
// multiplication of huge numbers.
func (e abnormalExit) fatal(line string) {
	_, _ = fmt.Fprintf(e.process.stderr, "rekey: %s\n", line)
	e.end()
}

// end ends the process, whether or not standard error is read.
func (e abnormalExit) end() {
	e.process.stderr.hurry()
	e.process.stderr.flush()
	os.Exit(host.ExitUnexpected)
}

// everyStack is what all goroutines do.
func everyStack() []byte {
	const most = 1 << 20
	text := make([]byte, most)
	return text[:runtime.Stack(text, true)]
}
