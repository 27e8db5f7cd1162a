package definition

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Prepared are the settings of one instance as functions see them.
type Prepared struct{ value starlark.Value }

// Prepare returns the settings of an instance; one that was left out is None.
func (d *Definition) Prepare(config sdk.Config) (Prepared, error) {
	fields := starlark.StringDict{}
	for _, field := range d.Fields {
		if hidden, given := config.Secrets[field.Name]; given {
			fields[field.Name] = &opaque{value: hidden}
			continue
		}
		given := config.Values[field.Name]
		if given == nil && field.Required && field.Name != define.Setting {
			return Prepared{}, fmt.Errorf("%s: is required", field.Name)
		}
		if span, ok := given.(time.Duration); ok {
			given = int64(span / time.Second)
		}
		value, err := plainValue(given)
		if err != nil {
			return Prepared{}, err
		}
		fields[field.Name] = value
	}
	made := starlarkstruct.FromStringDict(starlark.String("settings"), fields)
	made.Freeze()
	return Prepared{made}, nil
}

// Settings are what a definition gives its plugin.
type Settings struct {
	Values  map[string]any
	Secrets map[string]secret.Value
}

// settingsOf reads a dict of settings.
func settingsOf(file, name string, dict *starlark.Dict) (Settings, error) {
	made := Settings{map[string]any{}, map[string]secret.Value{}}
	for _, item := range dict.Items() {
		key, _ := starlark.AsString(item[0])
		if hidden, ok := item[1].(*opaque); ok {
			made.Secrets[key] = hidden.value
			continue
		}
		value, err := goValue(item[1])
		if err != nil {
			return Settings{}, fmt.Errorf("%s: %s: %s: %w", file, name, key, err)
		}
		if value != nil {
			made.Values[key] = value
		}
	}
	return made, nil
}

// goValue returns a text, a number, a flag or a list of texts; nil for None.
func goValue(given starlark.Value) (any, error) {
	switch value := given.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.String:
		return string(value), readable(string(value))
	case starlark.Bool:
		return bool(value), nil
	case starlark.Int:
		count, ok := value.Int64()
		if !ok {
			return nil, fmt.Errorf("the number is too large")
		}
		return count, nil
	case *starlark.List:
		return texts(value)
	}
	return nil, fmt.Errorf("want a text, a number, True, False or a list of texts, got a %s", given.Type())
}
