package workflow

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// matchValue is a match: m[0], m[1], m["name"], m.groups, m.start, m.end.
type matchValue struct {
	names []string
	text  string
	at    []int
}

var (
	_ starlark.HasAttrs = (*matchValue)(nil)
	_ starlark.Mapping  = (*matchValue)(nil)
)

func (m *matchValue) String() string        { return fmt.Sprintf("match(%s)", m.group(0)) }
func (m *matchValue) Type() string          { return "match" }
func (m *matchValue) Freeze()               {}
func (m *matchValue) Truth() starlark.Bool  { return true }
func (m *matchValue) Hash() (uint32, error) { return 0, errors.New("a match is no key") }
func (m *matchValue) AttrNames() []string   { return []string{"end", "groups", "start"} }

// group returns a group's text; None if it took no part in the match.
func (m *matchValue) group(i int) starlark.Value {
	if m.at[2*i] < 0 {
		return starlark.None
	}
	return starlark.String(m.text[m.at[2*i]:m.at[2*i+1]])
}

func (m *matchValue) groups() starlark.Tuple {
	all := make(starlark.Tuple, len(m.at)/2-1)
	for i := range all {
		all[i] = m.group(i + 1)
	}
	return all
}

// Attr returns groups, start or end.
func (m *matchValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "groups":
		return m.groups(), nil
	case "start":
		return starlark.MakeInt(m.at[0]), nil
	case "end":
		return starlark.MakeInt(m.at[1]), nil
	}
	return nil, nil
}

// Get returns a group by its number or name.
func (m *matchValue) Get(value starlark.Value) (starlark.Value, bool, error) {
	if name, ok := starlark.AsString(value); ok {
		for i, text := range m.names {
			if text == name && name != "" {
				return m.group(i), true, nil
			}
		}
		return nil, false, lang.Mistake(fmt.Sprintf("the pattern has no group %q", name), diag.DidYouMean(name, m.names))
	}
	i, err := starlark.AsInt32(value)
	if err != nil || i < 0 || 2*i >= len(m.at) {
		return nil, false, lang.Mistake(fmt.Sprintf("the pattern has no group %s", value), "")
	}
	return m.group(i), true, nil
}
