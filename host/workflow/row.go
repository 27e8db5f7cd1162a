package workflow

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk/secret"
)

// rowValue is r in a row function: what one user came to.
type rowValue struct {
	table *lang.Table
	user  userValue
	r     *report.Result
}

var _ starlark.HasAttrs = (*rowValue)(nil)

func (r *rowValue) String() string        { return fmt.Sprintf("result of %q", r.r.Row.Key) }
func (r *rowValue) Type() string          { return "result of a user" }
func (r *rowValue) Freeze()               {}
func (r *rowValue) Truth() starlark.Bool  { return true }
func (r *rowValue) Hash() (uint32, error) { return 0, fmt.Errorf("r is no key; use r.user") }
func (r *rowValue) AttrNames() []string   { return r.table.Members("r") }

// Attr returns what the table lists.
func (r *rowValue) Attr(name string) (starlark.Value, error) {
	if name == "user" {
		return &r.user, nil
	}
	if value, has := memberOf(r.r, name); has {
		return memberValue(value), nil
	}
	return r.passwords(name)
}

// memberValue is a member of a row as scripts have it.
func memberValue(value any) starlark.Value {
	switch value := value.(type) {
	case string:
		return starlark.String(value)
	case int64:
		return starlark.MakeInt64(value)
	case secret.Value:
		return &secretValue{journal.Given(value)}
	}
	return starlark.None
}

func (r *rowValue) passwords(name string) (starlark.Value, error) {
	switch name {
	case "passwords":
		made := &namedValues{what: "passwords", absent: starlark.None, values: map[string]starlark.Value{}}
		for _, named := range r.r.Values {
			made.add(named.Name, secretOrNone(named.Certain))
		}
		return made, nil
	case "candidates":
		made := &namedValues{what: "candidates", absent: starlark.Tuple{}, values: map[string]starlark.Value{}}
		for _, named := range r.r.Values {
			all := make(starlark.Tuple, len(named.Candidates))
			for i, value := range named.Candidates {
				all[i] = secretOrNone(value)
			}
			made.add(named.Name, all)
		}
		return made, nil
	}
	return nil, r.table.NoMember("r", name)
}

func secretOrNone(value secret.Value) starlark.Value {
	if !value.Present() {
		return starlark.None
	}
	return &secretValue{journal.Given(value)}
}

// namedValues is r.passwords or r.candidates: by "label" or "label/kind", and
// a missing name has the absent value. The names are in order.
type namedValues struct {
	what   string
	absent starlark.Value
	names  []string
	values map[string]starlark.Value
}

func (m *namedValues) add(name string, value starlark.Value) {
	m.names = append(m.names, name)
	m.values[name] = value
}

var (
	_ starlark.IterableMapping = (*namedValues)(nil)
	_ starlark.Sequence        = (*namedValues)(nil)
	_ starlark.HasAttrs        = (*namedValues)(nil)
)

func (m *namedValues) String() string        { return fmt.Sprintf("%s of %d accounts", m.what, len(m.names)) }
func (m *namedValues) Type() string          { return m.what }
func (m *namedValues) Freeze()               {}
func (m *namedValues) Truth() starlark.Bool  { return len(m.names) > 0 }
func (m *namedValues) Hash() (uint32, error) { return 0, fmt.Errorf("%s is no key", m.what) }
func (m *namedValues) Len() int              { return len(m.names) }
func (m *namedValues) AttrNames() []string   { return []string{"get", "items", "keys", "values"} }

// Get never fails: it gives the absent value for an uncertain or missing one.
func (m *namedValues) Get(value starlark.Value) (starlark.Value, bool, error) {
	if v, ok := m.values[textOf(value)]; ok {
		return v, true, nil
	}
	return m.absent, true, nil
}

// Items returns the pairs by name.
func (m *namedValues) Items() []starlark.Tuple {
	items := make([]starlark.Tuple, len(m.names))
	for i, name := range m.names {
		items[i] = starlark.Tuple{starlark.String(name), m.values[name]}
	}
	return items
}

// Iterate goes over the names.
func (m *namedValues) Iterate() starlark.Iterator { return m.keys().Iterate() }

func (m *namedValues) keys() starlark.Tuple {
	all := make(starlark.Tuple, len(m.names))
	for i, name := range m.names {
		all[i] = starlark.String(name)
	}
	return all
}

// Attr returns the methods of a dict that only read.
func (m *namedValues) Attr(name string) (starlark.Value, error) {
	method := func(result func() starlark.Value) starlark.Value {
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return result(), starlark.UnpackArgs(fn.Name(), args, kwargs)
		})
	}
	switch name {
	case "get":
		return starlark.NewBuiltin(name, m.get), nil
	case "keys":
		return method(func() starlark.Value { return starlark.NewList(m.keys()) }), nil
	case "items":
		return method(func() starlark.Value {
			var all []starlark.Value
			for _, item := range m.Items() {
				all = append(all, item)
			}
			return starlark.NewList(all)
		}), nil
	case "values":
		return method(func() starlark.Value {
			var all []starlark.Value
			for _, item := range m.Items() {
				all = append(all, item[1])
			}
			return starlark.NewList(all)
		}), nil
	}
	return nil, nil
}

func (m *namedValues) get(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	other := m.absent
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &name, "default?", &other); err != nil {
		return nil, err
	}
	if value, ok := m.values[name]; ok && value != starlark.None {
		return value, nil
	}
	return other, nil
}
