package journal

import (
	"context"
	"sync/atomic"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Value is a handle on one secret in a rotate. A given value never changes; a
// generated one stands for its replacement after a refusal by policy.
type Value struct {
	Origin  int                                         // ordinal of the generate that made it; 0: given
	Another func(context.Context) (secret.Value, error) // makes another; nil: given

	current atomic.Pointer[secret.Value]
}

// Given returns a handle on a value that comes from the source or the script.
func Given(value secret.Value) *Value {
	made := &Value{}
	made.Replace(value)
	return made
}

// Replace lets the handle stand for another value.
func (v *Value) Replace(by secret.Value) { v.current.Store(&by) }

// Secret returns the value that the handle stands for now.
func (v *Value) Secret() secret.Value {
	if v == nil {
		return secret.Value{}
	}
	return *v.current.Load()
}

// Empty reports whether the handle stands for no text.
func (v *Value) Empty() bool { return v.Secret().Empty() }
