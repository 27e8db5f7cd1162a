package workflow

import (
	"fmt"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/journal"
	"go.starlark.net/starlark"
)

// verdictValue is what skip(), done() and failed() give: it says nothing until
// a hook returns it.
type verdictValue struct {
	kind   journal.VerdictKind
	name   string
	reason string
}

func (v *verdictValue) String() string        { return fmt.Sprintf("%s(%q)", v.name, v.reason) }
func (v *verdictValue) Type() string          { return v.name + "()" }
func (v *verdictValue) Freeze()               {}
func (v *verdictValue) Truth() starlark.Bool  { return true }
func (v *verdictValue) Hash() (uint32, error) { return starlark.String(v.name + v.reason).Hash() }

func evalSkip(args *arguments) (starlark.Value, error) { return verdictWith(args, journal.SaidSkip) }
func evalDone(args *arguments) (starlark.Value, error) {
	return &verdictValue{kind: journal.SaidDone, name: "done"}, nil
}
func evalFailed(args *arguments) (starlark.Value, error) {
	return verdictWith(args, journal.SaidFailed)
}

func verdictWith(args *arguments, kind journal.VerdictKind) (starlark.Value, error) {
	if reason := args.text("reason"); !utf8.ValidString(reason) { // what a backend says may have lost letters of its own
		args.bad("reason", halfLetter, "reason %q has half a letter in it", shorten(reason, 100))
		return starlark.None, nil
	}
	return &verdictValue{kind: kind, name: args.entry.Name, reason: harmless(shorten(args.text("reason"), maxReason))}, nil
}
