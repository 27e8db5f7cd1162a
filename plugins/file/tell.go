package file

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/strict"
)

// told has the program read the file again, which tells it of all that was written
// before.
func (i *Instance) told(ctx context.Context) *sdk.Error {
	if i.teller() == "" {
		return nil
	}
	seen, failure := i.marks(ctx)
	if failure != nil {
		return written(failure)
	}
	if failure := i.tell(ctx); failure != nil {
		return failure
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), toUnmark)
	defer cancel()
	if unlock, failure := i.lock(after); failure == nil { // else they stay: nothing is said that is not so
		defer unlock()
		seen.drop()
	}
	return nil
}

// toUnmark is how long the lock is waited for, once the program was told.
const toUnmark = time.Second

// marks are those there are. Under the lock whoever made one has written its value,
// or has been killed.
func (i *Instance) marks(ctx context.Context) (marks, *sdk.Error) {
	unlock, failure := i.lock(ctx)
	if failure != nil {
		return nil, failure
	}
	defer unlock()
	return i.untold().all(), nil
}

// teller is how the program is told; "" if it is not.
func (i *Instance) teller() string {
	switch {
	case i.pidFile != "":
		return i.signal.String() + " " + i.pidFile
	case i.reload != nil:
		return strings.Join(append([]string{i.reload.Path}, i.reload.Args...), "\x00")
	}
	return ""
}

// tell runs the command, or sends the signal.
func (i *Instance) tell(ctx context.Context) *sdk.Error {
	if i.pidFile != "" {
		pid, failure := i.process()
		if failure == nil {
			if err := syscall.Kill(pid, i.signal); err != nil {
				failure = sdk.Errorf(sdk.TargetError, "process %d of %q: %s", pid, i.pidFile, err)
			}
		}
		return written(failure)
	}
	if i.reload == nil {
		return nil
	}
	end := i.reload.Run(ctx)
	switch {
	case end.Failure != nil:
		return written(end.Failure)
	case end.Exit != 0:
		return written(&sdk.Error{Code: sdk.TargetError, Native: "exit " + strconv.Itoa(end.Exit), Message: i.reload.Path + ": exit " + strconv.Itoa(end.Exit) + ": " + lastLine(string(end.Err))})
	}
	return nil
}

// written says of a failure what has happened all the same.
func written(failure *sdk.Error) *sdk.Error {
	if failure == nil {
		return nil
	}
	code := failure.Code
	if code != sdk.Timeout && code != sdk.Cancelled {
		code = sdk.TargetError
	}
	return &sdk.Error{Code: code, Native: failure.Native, Message: "the value is in the file, and the program was not told: " + failure.Message}
}

// process is the number in the file that names a process. Whoever could write
// that file could have any process signalled.
func (i *Instance) process() (int, *sdk.Error) {
	if _, err := strict.Walk(i.pidFile, os.Geteuid()); err != nil {
		return 0, sdk.Errorf(sdk.InvalidConfig, "pid_file: %s", err)
	}
	text, err := os.ReadFile(i.pidFile)
	if err != nil {
		return 0, sdk.Errorf(sdk.InvalidConfig, "pid_file: %s", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return 0, sdk.Errorf(sdk.InvalidConfig, "pid_file: %q does not hold the number of a process", i.pidFile)
	}
	switch err := syscall.Kill(pid, 0); {
	case errors.Is(err, syscall.ESRCH):
		return 0, sdk.Errorf(sdk.TargetUnavailable, "pid_file: process %d of %q does not run", pid, i.pidFile)
	case err != nil:
		return 0, sdk.Errorf(sdk.PermissionDenied, "pid_file: process %d of %q may not be signalled (with --sandbox none may): %s", pid, i.pidFile, err)
	}
	return pid, nil
}

// longest is how much of a line is quoted.
const longest = 200

// lastLine is the last line of a text as it may be shown.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	letters := []rune(strings.Map(func(letter rune) rune {
		if unicode.IsPrint(letter) {
			return letter
		}
		return ' '
	}, text[strings.LastIndexByte(text, '\n')+1:]))
	return string(letters[:min(len(letters), longest)])
}
