package workflow

import (
	"fmt"
	"strings"
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

// maxReason is how many bytes of a reason are kept.
const maxReason = 4 << 10

func (c *call) skip() (starlark.Value, error) { return c.verdict(engine.SaidSkip) }
func (c *call) done() (starlark.Value, error) {
	return &verdictValue{kind: engine.SaidDone, name: "done"}, nil
}
func (c *call) failed() (starlark.Value, error) { return c.verdict(engine.SaidFailed) }

func (c *call) verdict(kind engine.VerdictKind) (starlark.Value, error) {
	if reason := c.text("reason"); !utf8.ValidString(reason) { // what a backend says may have lost letters of its own
		c.bad("reason", halfLetter, "reason %q has half a letter in it", shorten(reason, 100))
		return starlark.None, nil
	}
	return &verdictValue{kind: kind, name: c.entry.name, reason: harmless(shorten(c.text("reason"), maxReason))}, nil
}

// halfLetter is the fix of a text that was cut inside of a letter.
const halfLetter = "text[0] is a byte, which may be half a letter: take list(text.codepoints())[0]"

// isGarbled reports whether a text was cut inside of a letter, or went through
// something that left a mark in the place of one.
func isGarbled(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError)
}
