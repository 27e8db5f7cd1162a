package command

import (
	"bytes"
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/plugins/internal/run"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
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
	run.Ending
	name string // of the program
	hide []secret.Value
}

// printed is all that the program said.
func (e ending) printed() []byte { return bytes.Join([][]byte{e.Err, e.Out}, []byte("\n")) }

// last is the last line that the program said, of its errors if it had any.
func (e ending) last() string {
	for _, text := range [][]byte{e.Err, e.Out} {
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
	how := "exit " + strconv.Itoa(e.Exit)
	return &sdk.Error{Code: sdk.TargetError, Native: how, Message: e.name + ": " + how + ": " + e.quoted(line)}
}

// run starts the program and waits for its end, at the latest that of ctx.
func (j job) run(ctx context.Context) ending {
	argv := j.argv()
	end := run.Program{Name: j.command.name, Path: argv[0], Args: argv[1:], Env: j.env, Feeds: j.feeds(), Most: j.most}.Run(ctx)
	return ending{Ending: end, name: filepath.Base(argv[0]), hide: []secret.Value{j.value, j.secret}}
}
