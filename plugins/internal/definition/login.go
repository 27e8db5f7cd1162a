package definition

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Login is the header Authorization, and how long it holds.
type Login struct {
	Header secret.Value
	Holds  time.Duration // 0: it is not said
}

// basicLogin is basic(USER, PASSWORD).
func basicLogin(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var user string
	var password *opaque
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "user", &user, "password", &password); err != nil {
		return nil, err
	}
	if strings.Contains(user, ":") {
		return nil, sdk.Errorf(sdk.InvalidOperation, "account %q: has a colon, which ends a name in a login", user)
	}
	if err := readable(user); err != nil {
		return nil, err
	}
	pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + password.value.Reveal()))
	return &made{"login", &Login{Header: secret.New("Basic " + pair)}}, nil
}

// bearerLogin is bearer(TOKEN, seconds = 0).
func bearerLogin(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var token *opaque
	var seconds int
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "token", &token, "seconds?", &seconds); err != nil {
		return nil, err
	}
	return newLogin("Bearer", token, seconds)
}

// otherLogin is authorization(SCHEME, SECRET, seconds = 0).
func otherLogin(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var scheme string
	var token *opaque
	var seconds int
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "scheme", &scheme, "secret", &token, "seconds?", &seconds); err != nil {
		return nil, err
	}
	return newLogin(scheme, token, seconds)
}

func newLogin(scheme string, token *opaque, seconds int) (starlark.Value, error) {
	text := token.value.Reveal()
	switch {
	case token.password:
		return nil, fmt.Errorf("an account's password is no token; use basic()")
	case strings.ContainsAny(scheme+text, "\r\n\x00"):
		return nil, fmt.Errorf("the token has a line end")
	}
	return &made{"login", &Login{secret.New(scheme + " " + text), time.Duration(seconds) * time.Second}}, nil
}
