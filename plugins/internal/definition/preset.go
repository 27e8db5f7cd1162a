package definition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Setting is the field by which a backend offers that a definition gives its others.
func Setting() sdk.Field {
	return sdk.Field{Name: define.Setting, Type: sdk.Path, Doc: "a file that gives the other settings, and asks its user for some of its own"}
}

// preset is a backend whose settings a definition makes of other ones.
type preset struct {
	base       sdk.Backend
	definition *Definition
}

// Preset returns a backend whose settings the definition gives: its function configure
// makes them of those that it asks its user for.
func Preset(base sdk.Backend, file, text string) (sdk.Backend, error) {
	description := base.Describe()
	offered := slices.DeleteFunc(slices.Clone(description.Config), func(field sdk.Field) bool { return field.Name == define.Setting })
	field := Setting()
	field.Required = true
	language := Language{Name: description.Name, Needs: "configure", Functions: map[string][]string{"configure": {"settings"}}, Fields: []sdk.Field{field}, Passes: offered}
	made, err := Parse(language, file, text)
	if err != nil {
		return nil, err
	}
	return &preset{base, made}, nil
}

// Describe is the backend's own description with the definition's settings.
func (p *preset) Describe() sdk.Description {
	description := p.base.Describe()
	description.Version, description.Summary, description.Doc = p.definition.Version, p.definition.Summary, p.definition.Doc
	description.Config = p.definition.Fields
	description.Egress = append(p.known(description.Egress), p.definition.Egress...)
	description.Paths = p.known(description.Paths)
	if !define.IsShipped(p.definition.File) {
		description.Paths = append(description.Paths, "{"+define.Setting+"}")
	}
	description.Target = p.target()
	return description
}

// known are the entries that name a setting which the definition has too. A program
// that the definition names is one all the same, and its sandbox has to be told.
func (p *preset) known(entries []string) []string {
	var list []string
	for _, entry := range entries {
		_, name, named := strings.Cut(strings.TrimSuffix(entry, "}"), "{")
		has := slices.ContainsFunc(p.definition.Fields, func(field sdk.Field) bool { return field.Name == name })
		switch {
		case !named || has:
			list = append(list, entry)
		case strings.HasPrefix(entry, "run "):
			list = append(list, "run the programs of the definition")
		}
	}
	return list
}

// target are the settings that say whose accounts they are.
func (p *preset) target() []string {
	if p.definition.Target != nil {
		return p.definition.Target
	}
	var names []string
	for _, field := range p.definition.Fields {
		if field.Type != sdk.Secret && field.Name != p.definition.Login && field.Name != define.Setting {
			names = append(names, field.Name)
		}
	}
	return names
}

// Configure has the definition make the settings, and opens an instance with them.
func (p *preset) Configure(ctx context.Context, config sdk.Config) (sdk.Instance, error) {
	prepared, err := p.definition.Prepare(config)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "%s", err)
	}
	got, err := p.definition.Call(ctx, "configure", Given{"settings": prepared})
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "%s", err)
	}
	settings, ok := got.(Settings)
	if !ok {
		return nil, sdk.Errorf(sdk.InvalidConfig, "%s: configure returns a dict of settings", p.definition.File)
	}
	config.Values, config.Secrets, err = p.filled(config, settings)
	if err != nil {
		return nil, err
	}
	return p.base.Configure(ctx, config)
}

// filled are the backend's own settings: those that pass, and the definition's.
func (p *preset) filled(config sdk.Config, settings Settings) (map[string]any, map[string]secret.Value, error) {
	fields := p.base.Describe().Config
	given := map[string]any{}
	for _, name := range p.definition.Passes {
		if value, ok := config.Values[name]; ok {
			given[name] = value
		}
		if value, ok := config.Secrets[name]; ok {
			given[name] = value
		}
	}
	maps.Copy(given, settings.Values)
	for name, value := range settings.Secrets {
		given[name] = value
	}
	all, problems := sdk.Fill(fields, given)
	if len(problems) > 0 {
		return nil, nil, sdk.Errorf(sdk.InvalidConfig, "%s", fmt.Sprintf("%s: configure: %s", p.definition.File, problems[0].Error()))
	}
	secrets := map[string]secret.Value{}
	for name, value := range all {
		if hidden, ok := value.(secret.Value); ok {
			secrets[name] = hidden
			delete(all, name)
		}
	}
	return all, secrets, nil
}
