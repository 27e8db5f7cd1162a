package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Answer is the target's answer to a request.
type Answer struct {
	Status  int
	Headers map[string][]string // names as Go writes them: Retry-After
	Body    []byte
	Noted   func(secret.Value) // nil, or called with each secret that the definition takes from it
}

// Texts returns every text in the JSON of the answer: what a fault of the definition
// may quote, and any of them may be a secret.
func (a Answer) Texts() []secret.Value {
	var given any
	_ = json.Unmarshal(bytes.TrimPrefix(a.Body, []byte("\ufeff")), &given) // what is no JSON has none
	return textsIn(given)
}

// textsIn returns the texts of a decoded value.
func textsIn(given any) []secret.Value {
	var all []secret.Value
	switch value := given.(type) {
	case string:
		all = append(all, secret.New(value))
	case []any:
		for _, item := range value {
			all = append(all, textsIn(item)...)
		}
	case map[string]any:
		for _, item := range value {
			all = append(all, textsIn(item)...)
		}
	}
	return all
}

func (a Answer) value() starlark.Value { return &answered{answer: a} }

// answered is an Answer as functions see it.
type answered struct {
	answer Answer
	json   starlark.Value // once it was asked for
}

var _ starlark.HasAttrs = (*answered)(nil)

func (a *answered) String() string        { return fmt.Sprintf("answer(%d)", a.answer.Status) }
func (a *answered) Type() string          { return "answer" }
func (a *answered) Freeze()               {}
func (a *answered) Truth() starlark.Bool  { return true }
func (a *answered) Hash() (uint32, error) { return 0, errors.New("unhashable: answer") }
func (a *answered) AttrNames() []string {
	return []string{"header", "json", "next", "secret", "status", "text"}
}

// Attr returns status, json, text, header, next or secret.
func (a *answered) Attr(name string) (starlark.Value, error) {
	switch name {
	case "status":
		return starlark.MakeInt(a.answer.Status), nil
	case "text":
		return starlark.String(a.answer.Body), nil
	case "json":
		if a.json == nil {
			a.json = decoded(a.answer.Body)
		}
		return a.json, nil
	case "next":
		return a.next(), nil
	case "header":
		return starlark.NewBuiltin(name, a.header), nil
	case "secret":
		return starlark.NewBuiltin(name, a.secret), nil
	}
	return nil, nil
}

// header is answer.header(NAME): its text, "" without one.
func (a *answered) header(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &name); err != nil {
		return nil, err
	}
	for given, values := range a.answer.Headers {
		if strings.EqualFold(given, name) && len(values) > 0 {
			return starlark.String(values[0]), nil
		}
	}
	return starlark.String(""), nil
}

// next is the address of the next page in the header Link; "" without one.
func (a *answered) next() starlark.Value {
	for _, line := range a.answer.Headers["Link"] {
		for link := range strings.SplitSeq(line, ",") {
			address, rest, _ := strings.Cut(strings.TrimSpace(link), ">")
			if strings.Contains(strings.ReplaceAll(rest, `"`, ""), "rel=next") {
				return starlark.String(strings.TrimPrefix(address, "<"))
			}
		}
	}
	return starlark.String("")
}

// secret is answer.secret(NAME…): the text at that place of the JSON, opaque.
func (a *answered) secret(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	var at any
	_ = json.Unmarshal(a.answer.Body, &at)
	for _, arg := range args {
		name, _ := starlark.AsString(arg)
		object, _ := at.(map[string]any)
		at = object[name]
	}
	text, ok := at.(string)
	if !ok || text == "" {
		return nil, fmt.Errorf("answer.secret%s: the answer has no such text", args)
	}
	value := secret.New(text)
	if a.answer.Noted != nil {
		a.answer.Noted(value)
	}
	return &opaque{value: value}, nil
}

// decoded is a body as a value; None where it is not JSON.
func decoded(body []byte) starlark.Value {
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	decoder.UseNumber()
	var given any
	if decoder.Decode(&given) != nil {
		return starlark.None
	}
	value := shaped(given)
	value.Freeze()
	return value
}

// shaped is a decoded value as the language has it.
func shaped(given any) starlark.Value {
	switch value := given.(type) {
	case string:
		return starlark.String(value)
	case bool:
		return starlark.Bool(value)
	case json.Number:
		return number(value)
	case []any:
		list := make([]starlark.Value, len(value))
		for i, item := range value {
			list[i] = shaped(item)
		}
		return starlark.NewList(list)
	case map[string]any:
		dict := starlark.NewDict(len(value))
		for name, item := range value {
			_ = dict.SetKey(starlark.String(name), shaped(item)) // a new dict takes every text
		}
		return dict
	}
	return starlark.None
}

func number(given json.Number) starlark.Value {
	if count, err := given.Int64(); err == nil {
		return starlark.MakeInt64(count)
	}
	amount, _ := given.Float64()
	return starlark.Float(amount)
}
