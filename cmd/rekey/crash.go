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

// lastWords sees to it that a process that ends before its time says so on one
// line, with the task under way, instead of the stacks of all that it did. They
// are in the log at debug and trace.
func (a *app) lastWords() {
	if !a.logsStacks() {
		debug.SetTraceback("none")
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		a.die("SIGQUIT ends the process", everyStack())
	}()
}

func (a *app) logsStacks() bool {
	log, err := a.logger()
	return err == nil && log.IsDebug()
}

// caught ends a command whose own goroutine has panicked.
func (a *app) caught(reason any) {
	if reason != nil {
		a.die(defect(reason), debug.Stack())
	}
}

// panicked ends a command in which a goroutine has that applies a run: that of a
// user, or of many.
func (a *app) panicked(user string, reason any, stack []byte) {
	why := defect(reason)
	if user != "" {
		why += fmt.Sprintf(", at user %q", user)
	}
	a.die(why, stack)
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
func (a *app) die(why string, stack []byte) {
	if log, err := a.logger(); err == nil {
		log.Debug("the stack at the end", "stack", string(stack))
	}
	a.process.stderr.complain(fmt.Sprintf("%s, %s", why, a.vitals.Last()))
	a.end()
}

// fatal ends a process that nothing else can stop, as inside of a script's
// multiplication of huge numbers.
func (a *app) fatal(line string) {
	_, _ = fmt.Fprintf(a.process.stderr, "rekey: %s\n", line)
	a.end()
}

// end ends the process, whether or not standard error is read.
func (a *app) end() {
	a.process.stderr.hurry()
	a.process.stderr.flush()
	os.Exit(host.ExitUnexpected)
}

// everyStack is what all goroutines do.
func everyStack() []byte {
	const most = 1 << 20
	text := make([]byte, most)
	return text[:runtime.Stack(text, true)]
}
