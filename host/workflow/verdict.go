package workflow

import (
	"fmt"

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
	return &verdictValue{kind: kind, name: c.entry.name, reason: harmless(shorten(c.text("reason"), maxReason))}, nil
}
