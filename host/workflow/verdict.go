package workflow

import (
	"fmt"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/engine"
)

// verdictValue is what skip(), done() and failed() give: it says nothing until
// a hook returns it.
type verdictValue struct {
	kind   engine.VerdictKind
	name   string
	reason string
}

func (v *verdictValue) String() string        { return fmt.Sprintf("%s(%q)", v.name, v.reason) }
func (v *verdictValue) Type() string          { return v.name + "()" }
func (v *verdictValue) Freeze()               {}
func (v *verdictValue) Truth() starlark.Bool  { return true }
func (v *verdictValue) Hash() (uint32, error) { return starlark.String(v.name + v.reason).Hash() }

func evalSkip(args *arguments) (starlark.Value, error) { return verdictWith(args, engine.SaidSkip) }
func evalDone(args *arguments) (starlark.Value, error) {
	return &verdictValue{kind: engine.SaidDone, name: "done"}, nil
}
func evalFailed(args *arguments) (starlark.Value, error) { return verdictWith(args, engine.SaidFailed) }

func verdictWith(args *arguments, kind engine.VerdictKind) (starlark.Value, error) {
	if reason := args.text("reason"); !utf8.ValidString(reason) { // what a backend says may have lost letters of its own
		args.bad("reason", halfLetter, "reason %q has half a letter in it", shorten(reason, 100))
		return starlark.None, nil
	}
	return &verdictValue{kind: kind, name: args.entry.Name, reason: harmless(shorten(args.text("reason"), maxReason))}, nil
}
