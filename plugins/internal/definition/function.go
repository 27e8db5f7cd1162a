package definition

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk/secret"
)

// function is one of a definition's, with the parameters that it names.
type function struct {
	fn    *starlark.Function
	takes []string
}

// newFunction refuses parameters that are not on offer.
func newFunction(name string, fn *starlark.Function, offered []string) (*function, error) {
	made := &function{fn: fn}
	at := place(fn.Position())
	if fn.HasVarargs() || fn.HasKwargs() || fn.NumKwonlyParams() > 0 {
		return nil, fmt.Errorf("%s: %s has * parameters; it gets those that it names, of %s", at, name, strings.Join(offered, ", "))
	}
	for i := range fn.NumParams() {
		param, pos := fn.Param(i)
		if !slices.Contains(offered, param) {
			return nil, fmt.Errorf("%s: %s does not get %q; it gets those that it names, of %s", place(pos), name, param, strings.Join(offered, ", "))
		}
		made.takes = append(made.takes, param)
	}
	return made, nil
}

func (f *function) args(values map[string]starlark.Value) starlark.Tuple {
	args := make(starlark.Tuple, len(f.takes))
	for i, name := range f.takes {
		args[i] = values[name]
		if args[i] == nil {
			args[i] = starlark.None
		}
	}
	return args
}

// Given are the values that a function may name: texts, numbers, flags, lists of texts,
// secrets, Prepared settings and an Answer.
type Given map[string]any

func (g Given) values() (map[string]starlark.Value, error) {
	values := map[string]starlark.Value{}
	for name, given := range g {
		switch value := given.(type) {
		case Prepared:
			values[name] = value.value
		case Answer:
			values[name] = value.value()
		case secret.Value:
			values[name] = &opaque{value: value, password: true}
		default:
			plain, err := plainValue(value)
			if err != nil {
				return nil, err
			}
			values[name] = plain
		}
	}
	return values, nil
}

// plainValue is a value without secrets.
func plainValue(given any) (starlark.Value, error) {
	switch value := given.(type) {
	case nil:
		return starlark.None, nil
	case string:
		return starlark.String(value), nil
	case bool:
		return starlark.Bool(value), nil
	case *bool:
		if value == nil {
			return starlark.None, nil
		}
		return starlark.Bool(*value), nil
	case int:
		return starlark.MakeInt(value), nil
	case int64:
		return starlark.MakeInt64(value), nil
	case []string:
		list := make([]starlark.Value, len(value))
		for i, text := range value {
			list[i] = starlark.String(text)
		}
		return starlark.NewList(list), nil
	}
	return nil, fmt.Errorf("a definition is not given a %T", given)
}
