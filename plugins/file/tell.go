package file

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/strict"
)

// untold are the places that were written, and that the program has not been told
// of: a value there is in the file, and nobody works with it.
type untold struct {
	mu     sync.Mutex
	places map[string]bool
}

// add notes a place, before it is written.
func (u *untold) add(place string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.places == nil {
		u.places = map[string]bool{}
	}
	u.places[place] = true
}

// has reports whether a place is noted.
func (u *untold) has(place string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.places[place]
}

// all are the noted places.
func (u *untold) all() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.places))
}

// drop forgets places.
func (u *untold) drop(places ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, place := range places {
		delete(u.places, place)
	}
}

// told has the program read the file again, which tells it of all that was written
// before.
func (i *Instance) told(ctx context.Context) *sdk.Error {
	places := i.untold.all()
	failure := i.tell(ctx)
	if failure == nil {
		i.untold.drop(places...)
	}
	return failure
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
