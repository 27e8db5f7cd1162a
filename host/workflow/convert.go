package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The bounds of converted values: a value can hold itself, and a
// small one can be written in a great many words.
const (
	maxDepth  = 64
	maxValues = 1 << 20
	maxText   = 16 << 20 // bytes of all texts together
)

var (
	errDeep   = fmt.Errorf("the value is nested deeper than %d, or holds itself", maxDepth)
	errDigits = fmt.Errorf("a number has more than %d digits", maxDigits)
	errLarge  = fmt.Errorf("the value has more than %d parts", maxValues)
	errLong   = fmt.Errorf("the value has more than %d MiB of text", maxText>>20)
)

// within says in which part of a value an error arose; of one about the
// whole it is silent.
func within(part string, err error) error {
	if errors.Is(err, errDeep) || errors.Is(err, errLarge) || errors.Is(err, errLong) {
		return err
	}
	return fmt.Errorf("%s: %w", part, err)
}

// starlarkOf returns a cell, or what JSON text holds, as a value. It is
// frozen, unless it has just been decoded.
func starlarkOf(value any, depth int) (starlark.Value, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	switch v := value.(type) {
	case nil:
		return starlark.None, nil
	case string:
		return starlark.String(v), nil
	case bool:
		return starlark.Bool(v), nil
	case int:
		return starlark.MakeInt(v), nil
	case int64:
		return starlark.MakeInt64(v), nil
	case float64:
		return starlark.Float(v), nil
	case json.Number:
		return numberOf(v.String())
	case source.Day:
		return &dayValue{v}, nil
	case secret.Value:
		return &secretValue{journal.Given(v)}, nil
	case []any:
		return listOf(v, depth)
	case map[string]any:
		return dictOf(v, depth)
	}
	return nil, fmt.Errorf("a %T has no form in a script", value)
}

func numberOf(text string) (starlark.Value, error) {
	if len(text) > maxDigits {
		return nil, errDigits
	}
	if strings.ContainsAny(text, ".eE") {
		var amount float64
		if err := json.Unmarshal([]byte(text), &amount); err != nil {
			return nil, fmt.Errorf("number %s is too large", text)
		}
		return starlark.Float(amount), nil
	}
	if len(text) > 1000 {
		return nil, errors.New("a number has more than 1000 digits")
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no number", text)
	}
	return starlark.MakeBigInt(n), nil
}

func listOf(all []any, depth int) (starlark.Value, error) {
	list := make([]starlark.Value, len(all))
	for i, value := range all {
		v, err := starlarkOf(value, depth+1)
		if err != nil {
			return nil, err
		}
		list[i] = v
	}
	return starlark.NewList(list), nil
}

func dictOf(dict map[string]any, depth int) (starlark.Value, error) {
	d := starlark.NewDict(len(dict))
	for _, name := range sortedKeys(dict) {
		value, err := starlarkOf(dict[name], depth+1)
		if err != nil {
			return nil, err
		}
		if err := d.SetKey(starlark.String(name), value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// record is a value with named fields.
type record interface {
	each(visit func(name string, field starlark.Value) error) error
}

// exporter turns values into what the rest of rekey holds.
type exporter struct {
	left   int  // values
	text   int  // bytes of text
	forRow bool // for a report: secrets are allowed, and days stay days
}

// goValue returns a value as nil, string, bool, int64, *big.Int, float64,
// source.Day, secret.Value, []any or map[string]any.
func goValue(value starlark.Value, forRow bool) (any, error) {
	switch v := value.(type) { // by far the most
	case starlark.String:
		if len(v) <= maxText {
			return string(v), nil
		}
	case *secretValue:
		if forRow {
			return v.v.Secret(), nil
		}
	}
	made := &exporter{left: maxValues, text: maxText, forRow: forRow}
	return made.value(value, 0)
}

func (e *exporter) value(value starlark.Value, depth int) (any, error) {
	if e.left--; e.left < 0 {
		return nil, errLarge
	}
	if depth > maxDepth {
		return nil, errDeep
	}
	switch v := value.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.String:
		if e.text -= len(v); e.text < 0 {
			return nil, errLong
		}
		return string(v), nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.Int:
		if count, ok := v.Int64(); ok {
			return count, nil
		}
		if bitsOf(v) > maxBits {
			return nil, errDigits
		}
		return v.BigInt(), nil
	case starlark.Float:
		return float64(v), nil
	case *dayValue:
		if !e.forRow {
			return v.day.String(), nil
		}
		return v.day, nil
	case *secretValue:
		if !e.forRow {
			return nil, errors.New("a secret cannot be used here")
		}
		return v.v.Secret(), nil
	}
	return e.container(value, depth)
}

func (e *exporter) container(value starlark.Value, depth int) (any, error) {
	switch v := value.(type) {
	case starlark.IterableMapping:
		table := map[string]any{}
		for _, item := range v.Items() {
			name, ok := starlark.AsString(item[0])
			if !ok {
				return nil, fmt.Errorf("a key is %s, want string", item[0].Type())
			}
			value, err := e.value(item[1], depth+1)
			if err != nil {
				return nil, within(strconv.Quote(name), err)
			}
			table[name] = value
		}
		return table, nil
	case record:
		table := map[string]any{}
		return table, v.each(func(name string, field starlark.Value) error {
			value, err := e.value(field, depth+1)
			if err != nil {
				return within(strconv.Quote(name), err)
			}
			table[name] = value
			return nil
		})
	case starlark.Sequence:
		all := make([]any, 0, min(v.Len(), maxValues))
		for value := range starlark.Elements(v) {
			item, err := e.value(value, depth+1)
			if err != nil {
				return nil, within(fmt.Sprintf("element %d", len(all)+1), err)
			}
			all = append(all, item)
		}
		return all, nil
	}
	return nil, fmt.Errorf("a %s cannot be used here", value.Type())
}
