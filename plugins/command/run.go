package command

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/strict"
)

// job is one start of a program.
type job struct {
	command command
	account string
	value   secret.Value
	secret  secret.Value
	env     []string
	most    int // bytes that are kept of each output
}

// argv are the program and its arguments, which everybody may see. The
// descriptors are numbered as feeds returns them.
func (j job) argv() []string {
	with, next := map[hole]string{accountHole: j.account}, firstFD
	for _, name := range []hole{valueFDHole, secretFDHole} {
		if j.command.uses(name) {
			with[name] = strconv.Itoa(next)
			next++
		}
	}
	argv := []string{j.command.path}
	for _, arg := range j.command.args {
		argv = append(argv, arg.fill(with))
	}
	return argv
}

// firstFD is the first descriptor beyond the standard ones.
const firstFD = 3

// feeds are the texts that the program reads: from its standard input, then from
// further descriptors.
func (j job) feeds() []string {
	texts := []string{j.command.input.fill(map[hole]string{
		accountHole: j.account, valueHole: j.value.Reveal(), secretHole: j.secret.Reveal(),
	})}
	if j.command.uses(valueFDHole) {
		texts = append(texts, j.value.Reveal())
	}
	if j.command.uses(secretFDHole) {
		texts = append(texts, j.secret.Reveal())
	}
	return texts
}

// ending is how a program ended.
type ending struct {
	name     string // of the program
	started  bool
	failure  *sdk.Error // why it was not started, or not left to its end
	exit     int        // 128 and the signal, if one ended it
	out, err []byte
	cut      bool // there was more output
	hide     []secret.Value
}

// printed is all that the program said.
func (e ending) printed() []byte { return bytes.Join([][]byte{e.err, e.out}, []byte("\n")) }

// last is the last line that the program said, of its errors if it had any.
func (e ending) last() string {
	for _, text := range [][]byte{e.err, e.out} {
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return string(text[bytes.LastIndexByte(text, '\n')+1:])
		}
	}
	return ""
}

// lineAt is the line of a text that has a place in it.
func lineAt(text []byte, at int) string {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := bytes.Cut(text[start:], []byte("\n"))
	return string(line)
}

// longest is how much of a line is quoted.
const longest = 300

// quoted is a line of the program as it may be shown: without what it was given
// to read.
func (e ending) quoted(line string) string {
	for _, value := range e.hide {
		if !value.Empty() {
			line = strings.ReplaceAll(line, value.Reveal(), secret.Redacted)
		}
	}
	line = strings.TrimSpace(strings.Map(func(letter rune) rune {
		if unicode.IsPrint(letter) {
			return letter
		}
		return ' '
	}, line))
	if letters := []rune(line); len(letters) > longest {
		line = string(letters[:longest]) + "…"
	}
	if line == "" {
		return "it printed nothing"
	}
	return line
}

// fault is an ending that no answer explains.
func (e ending) fault(line string) *sdk.Error {
	how := "exit " + strconv.Itoa(e.exit)
	return &sdk.Error{Code: sdk.TargetError, Native: how, Message: e.name + ": " + how + ": " + e.quoted(line)}
}

// run starts the program and waits for its end, at the latest that of ctx.
func (j job) run(ctx context.Context) ending {
	end := ending{name: filepath.Base(j.command.path), hide: []secret.Value{j.value, j.secret}}
	if end.failure = lateness(ctx, "before it was started"); end.failure != nil {
		return end
	}
	if end.failure = sound(j.command); end.failure != nil {
		return end
	}
	started, err := j.start()
	if err != nil {
		end.failure = startError(j.command, err)
		return end
	}
	end.started = true
	if !started.wait(ctx) {
		end.failure = lateness(ctx, "and was ended; whether it had set anything is not known")
	}
	end.exit = started.exit()
	end.out, end.err, end.cut = started.out.bytes(), started.err.bytes(), started.out.cut
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

// sound returns why a program must not be started: somebody else could have
// put it there.
func sound(command command) *sdk.Error {
	info, err := strict.Walk(command.path, os.Geteuid())
	switch {
	case err != nil:
		return sdk.Errorf(sdk.InvalidConfig, "%s: %s", command.name, err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return sdk.Errorf(sdk.InvalidConfig, "%s: %q is no executable file", command.name, command.path)
	}
	return nil
}

// startError is why a program could not be started, and nothing was sent.
func startError(command command, err error) *sdk.Error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	code := sdk.InvalidConfig
	if errors.Is(err, errBusy) {
		code = sdk.TargetUnavailable
	}
	return sdk.Errorf(code, "%s: %q cannot be started: %s", command.name, command.path, err)
}
