package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// body is what json() and form() make: it is opaque, because a password is in it.
type body struct {
	kind string // its Content-Type
	text secret.Value
}

// jsonBody is json(VALUE): a value with secrets in place, written in the order of its
// dicts.
func jsonBody(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var value starlark.Value
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "value", &value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := write(&out, value, 0); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	return &made{"body", body{"application/json", secret.New(out.String())}}, nil
}

// maxDepth bounds how deep values stand in each other.
const maxDepth = 32

// write writes a value as JSON.
func write(out *bytes.Buffer, given starlark.Value, depth int) error {
	if depth > maxDepth {
		return errors.New("values stand too deep in each other")
	}
	switch value := given.(type) {
	case starlark.NoneType:
		out.WriteString("null")
		return nil
	case starlark.Bool:
		fmt.Fprintf(out, "%t", bool(value))
		return nil
	case starlark.Int:
		out.WriteString(value.String())
		return nil
	case starlark.String:
		return writeText(out, string(value))
	case *opaque:
		return writeSecret(out, value.value)
	case *starlark.Dict:
		return writeDict(out, value, depth)
	case *starlark.List:
		return writeList(out, value, depth)
	}
	return fmt.Errorf("a %s is no JSON; use dicts, lists, texts, numbers, True, False, None and secrets", given.Type())
}

func writeText(out *bytes.Buffer, text string) error {
	if err := readable(text); err != nil {
		return err
	}
	quoted(out, text)
	return nil
}

// writeSecret refuses what JSON cannot carry: an encoder would change it unsaid.
func writeSecret(out *bytes.Buffer, value secret.Value) error {
	text := value.Reveal()
	if !utf8.ValidString(text) {
		return sdk.Errorf(sdk.InvalidOperation, "a password is not valid UTF-8, which JSON needs")
	}
	quoted(out, text)
	return nil
}

func quoted(out *bytes.Buffer, text string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // strings always encode
	out.Truncate(out.Len() - 1)
}

func writeDict(out *bytes.Buffer, dict *starlark.Dict, depth int) error {
	out.WriteByte('{')
	for i, item := range dict.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok {
			return fmt.Errorf("a key of JSON is a text, not a %s", item[0].Type())
		}
		if i > 0 {
			out.WriteByte(',')
		}
		quoted(out, name)
		out.WriteByte(':')
		if err := write(out, item[1], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func writeList(out *bytes.Buffer, list *starlark.List, depth int) error {
	out.WriteByte('[')
	for i := range list.Len() {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := write(out, list.Index(i), depth+1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

// formBody is form(DICT): a form with secrets in place.
func formBody(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var fields *starlark.Dict
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "fields", &fields); err != nil {
		return nil, err
	}
	var pairs []string
	for _, item := range fields.Items() {
		name, _ := starlark.AsString(item[0])
		text, err := plainOrSecret(item[1])
		if err != nil {
			return nil, fmt.Errorf("form: %s: %w", name, err)
		}
		pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(text))
	}
	return &made{"body", body{"application/x-www-form-urlencoded", secret.New(strings.Join(pairs, "&"))}}, nil
}

// plainOrSecret returns a text, a number or a flag as text, and a secret's.
func plainOrSecret(given starlark.Value) (string, error) {
	if value, ok := given.(*opaque); ok {
		return value.value.Reveal(), nil
	}
	return plain(given)
}

// plain returns a text, a number or a flag as text.
func plain(given starlark.Value) (string, error) {
	switch value := given.(type) {
	case starlark.String:
		return string(value), readable(string(value))
	case starlark.Int:
		return value.String(), nil
	case starlark.Bool:
		return strings.ToLower(value.String()), nil
	case *opaque:
		return "", errOpaque
	}
	return "", fmt.Errorf("want a text, a number, True or False, got a %s", given.Type())
}
