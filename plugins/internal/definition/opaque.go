package definition

import (
	"errors"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/sdk/secret"
)

// opaque is a secret in a definition: something to put into a body or a login, of
// which only the truth can be asked.
type opaque struct {
	value    secret.Value
	password bool // of an account: it goes into a body or basic()
}

var (
	_ starlark.Comparable = (*opaque)(nil)
	_ starlark.HasBinary  = (*opaque)(nil)
	_ starlark.HasUnary   = (*opaque)(nil)
)

// errOpaque is what every question but for the truth is answered with.
var errOpaque = errors.New("a secret can only be put into json(), form(), basic(), bearer() and authorization()")

// String returns what is found again in texts, and refused there.
func (o *opaque) String() string        { return secret.Redacted }
func (o *opaque) Type() string          { return "secret" }
func (o *opaque) Freeze()               {}
func (o *opaque) Truth() starlark.Bool  { return starlark.Bool(!o.value.Empty()) }
func (o *opaque) Hash() (uint32, error) { return 0, errOpaque }

// CompareSameType fails.
func (o *opaque) CompareSameType(syntax.Token, starlark.Value, int) (bool, error) {
	return false, errOpaque
}

// Binary fails.
func (o *opaque) Binary(syntax.Token, starlark.Value, starlark.Side) (starlark.Value, error) {
	return nil, errOpaque
}

// Unary fails.
func (o *opaque) Unary(syntax.Token) (starlark.Value, error) { return nil, errOpaque }

// readable refuses a text into which a secret was put: what would be sent is not the
// secret, and nothing would say so.
func readable(text string) error {
	if strings.Contains(text, secret.Redacted) {
		return errors.New("a secret was made a text of; give the secret itself to json(), form() or basic()")
	}
	return nil
}

// made is a value that a builtin made and whoever called the function understands.
type made struct {
	kind  string
	value any
}

func (m *made) String() string        { return m.kind + "(…)" }
func (m *made) Type() string          { return m.kind }
func (m *made) Freeze()               {}
func (m *made) Truth() starlark.Bool  { return true }
func (m *made) Hash() (uint32, error) { return 0, errors.New("unhashable: " + m.kind) }
