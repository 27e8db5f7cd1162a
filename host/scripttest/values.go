package scripttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/sdk/secret"
)

// shown is a secret as a test sees it: it is equal to itself, and has a number.
type shown struct {
	number int
	value  secret.Value
}

var _ starlark.Comparable = (*shown)(nil)

func (s *shown) String() string        { return fmt.Sprintf("[value %d]", s.number) }
func (s *shown) Type() string          { return "value" }
func (s *shown) Freeze()               {}
func (s *shown) Truth() starlark.Bool  { return starlark.Bool(!s.value.Empty()) }
func (s *shown) Hash() (uint32, error) { return uint32(s.number), nil }

// CompareSameType compares two values, for equality only.
func (s *shown) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	same := s.value.Equal(other.(*shown).value)
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	}
	return false, errors.New("values have no order")
}

// values are the secrets that a test has seen, in the order in which it has.
type values struct {
	mu   sync.Mutex
	list []*shown
}

// of returns a secret as the test sees it; None for an absent one.
func (v *values) of(value secret.Value) starlark.Value {
	if !value.Present() || value.Empty() {
		return starlark.None
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, known := range v.list {
		if known.value.Equal(value) {
			return known
		}
	}
	made := &shown{len(v.list) + 1, value}
	v.list = append(v.list, made)
	return made
}

// hidden is a text with the secrets in it replaced by their numbers, the longest first.
func (v *values) hidden(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := slices.Clone(v.list)
	slices.SortStableFunc(list, func(a, b *shown) int { return len(b.value.Reveal()) - len(a.value.Reveal()) })
	for _, known := range list {
		if plain := known.value.Reveal(); len(plain) >= shortest {
			text = strings.ReplaceAll(text, plain, known.String())
		}
	}
	return text
}

// shortest is the length from which a secret is looked for in texts.
const shortest = 4

func structOf(members starlark.StringDict) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, members)
}

func dictOf[V any](keys []string, of func(key string) V, value func(V) starlark.Value) *starlark.Dict {
	dict := starlark.NewDict(len(keys))
	for _, key := range keys {
		_ = dict.SetKey(starlark.String(key), value(of(key)))
	}
	return dict
}

// goValue is a value of a test as JSON would have it.
func goValue(value starlark.Value) (any, error) {
	switch v := value.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.String:
		return string(v), nil
	case *shown:
		return v.value.Reveal(), nil
	case starlark.Int:
		number, ok := v.Int64()
		if !ok {
			return nil, fmt.Errorf("%s is too large", v)
		}
		return number, nil
	case starlark.Float:
		return float64(v), nil
	case *starlark.Dict:
		return goDict(v)
	case starlark.Iterable:
		list := []any{}
		for item := range starlark.Elements(v) {
			got, err := goValue(item)
			if err != nil {
				return nil, err
			}
			list = append(list, got)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a %s cannot be given here", value.Type())
}

func goDict(dict *starlark.Dict) (map[string]any, error) {
	made := map[string]any{}
	for _, item := range dict.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok {
			return nil, fmt.Errorf("a key is a %s, want a string", item[0].Type())
		}
		got, err := goValue(item[1])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		made[key] = got
	}
	return made, nil
}
