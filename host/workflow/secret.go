package workflow

import (
	"errors"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk/secret"
)

// secretValue is a secret in a script: something to hand on, of which only the
// truth can be asked. It is a pointer type, because the interpreter compares
// values of the same type with ==.
type secretValue struct{ v *journal.Value }

var (
	_ starlark.Comparable = (*secretValue)(nil)
	_ starlark.HasBinary  = (*secretValue)(nil)
	_ starlark.HasUnary   = (*secretValue)(nil)
)

// errOpaque is what every question but for the truth is answered with.
var errOpaque = errors.New("a secret can only be tested for being empty (if password: …) and given to a step")

func (s *secretValue) String() string        { return secret.Redacted }
func (s *secretValue) Type() string          { return "secret" }
func (s *secretValue) Freeze()               {}
func (s *secretValue) Truth() starlark.Bool  { return starlark.Bool(!s.v.Empty()) }
func (s *secretValue) Hash() (uint32, error) { return 0, errOpaque }

// CompareSameType fails: whether two secrets are equal is not for scripts.
func (s *secretValue) CompareSameType(syntax.Token, starlark.Value, int) (bool, error) {
	return false, errOpaque
}

// Binary fails.
func (s *secretValue) Binary(syntax.Token, starlark.Value, starlark.Side) (starlark.Value, error) {
	return nil, errOpaque
}

// Unary fails.
func (s *secretValue) Unary(syntax.Token) (starlark.Value, error) { return nil, errOpaque }
