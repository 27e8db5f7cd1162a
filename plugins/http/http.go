// Package http is the backend of whatever has a REST interface: a file says how it is
// asked and what its answers mean.
//
// It knows requests, sessions, pages and which outcome a broken exchange leaves. It
// knows no target: that is the definition's.
package http

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/rest"
)

//go:embed definitions/*.star
var shipped embed.FS

// Backend makes instances by a definition; without one it only says what a definition
// is.
type Backend struct {
	definition *definition.Definition // nil: none yet
}

// New returns a Backend without a definition.
func New() *Backend { return &Backend{} }

// Define returns the backend that a definition makes. file is what errors call it.
func (*Backend) Define(file, text string) (sdk.Backend, error) {
	made, err := definition.Parse(language(), file, text)
	if err != nil {
		return nil, err
	}
	return &Backend{made}, nil
}

// Shipped returns the definitions that come with rekey.
func (*Backend) Shipped() fs.FS {
	sub, err := fs.Sub(shipped, "definitions")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return sub
}

func language() definition.Language {
	operation := []string{"settings", "account", "attempt", "requestor", "source_system"}
	with := func(names ...string) []string { return append(slices.Clone(operation), names...) }
	return definition.Language{Name: "http", Needs: "set", Fields: fields(), Functions: map[string][]string{
		"auth": {"settings"}, "set": with("value", "must_change"), "change": with("value", "old"), "reset": operation, "unlock": operation, "revoke": operation,
		"verify": {"settings", "account", "value"}, "find": {"settings", "account"}, "list": {"settings", "filter"},
		"policy": {"settings", "account"}, "check": {"settings"}, "failure": {"settings", "verb", "answer"},
	}}
}

// fields are the settings of every definition.
func fields() []sdk.Field {
	return append([]sdk.Field{
		{Name: "definition", Type: sdk.Path, Required: true, Doc: "the file that says how the target is asked; @rekey/NAME.star for one that comes with rekey"},
		{Name: "url", Type: sdk.URL, Doc: "where the interface is; a definition may know it"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "allow http:// to another machine: passwords in clear"},
		{Name: "ca_file", Type: sdk.Path, Default: "", Doc: "PEM certificates to trust in place of the system's"},
	}, rest.ProxyFields()...)
}

// verbs are those that a definition may have functions for.
func verbs() []sdk.Verb { return append([]sdk.Verb{sdk.Set, sdk.Change}, sdk.AskedVerbs()...) }

// Describe returns what the definition says; without one, what it may say.
func (b *Backend) Describe() sdk.Description {
	description := sdk.Description{Name: "http", Version: "1.0.0", Summary: "any system with a REST interface, by a definition: a file of at most forty lines of code, blank ones and its text apart", Doc: doc + comes(b),
		Config: fields(), Verbs: verbs(), ReplaySafe: []sdk.Verb{sdk.Set, sdk.Unlock, sdk.Revoke}, Abilities: sdk.AbilitiesOf((*Instance)(nil)),
		Limits: sdk.Limits{Concurrency: 8}, Egress: []string{"{url}", "{proxy}"}, Paths: []string{"{definition}", "{ca_file}"}, Target: []string{"url"}, VerifyIsLogon: true}
	given := b.definition
	if given == nil {
		return description
	}
	description.Version, description.Summary, description.Doc = given.Version, given.Summary, given.Doc
	description.Config, description.Limits, description.VerifyIsLogon = b.config(), given.Limits, given.VerifyIsLogon
	description.Verbs, description.MustChange = given.Verbs(verbs()), &given.MustChange
	description.ReplaySafe = slices.DeleteFunc(given.Verbs([]sdk.Verb{sdk.Set, sdk.Unlock, sdk.Revoke}), func(verb sdk.Verb) bool { return slices.Contains(given.Once, verb) })
	description.Abilities = sdk.AbilitiesOf(&Instance{definition: given})
	if define.IsShipped(given.File) {
		description.Paths = []string{"{ca_file}"}
	}
	description.Egress, description.Target = append(description.Egress, given.Egress...), b.target()
	return description
}

// comes lists the definitions that come with rekey.
func comes(backend *Backend) string {
	text := "\n\nDefinitions that come with rekey:\n"
	for _, name := range define.Names(backend) {
		if file, err := define.Read(backend, name); err == nil {
			about, _, _ := strings.Cut(strings.TrimPrefix(file.Text, `"""`), "\n")
			text += fmt.Sprintf("\n    %-32s%s", name, about)
		}
	}
	return text
}

// config are the definition's own settings before those of all.
func (b *Backend) config() []sdk.Field {
	fields := slices.Clone(b.definition.Fields)
	for i, field := range fields {
		if field.Name == "url" {
			fields[i].Required = b.definition.URL == ""
			if b.definition.URL != "" {
				fields[i].Default = b.definition.URL
			}
		}
	}
	return fields
}

// target are the settings that say whose accounts they are: the definition's list, or
// without one all of its own that are neither secret nor the login.
func (b *Backend) target() []string {
	names := []string{"url"}
	if b.definition.Target != nil {
		return append(names, b.definition.Target...)
	}
	for _, field := range b.definition.Fields[:len(b.definition.Fields)-len(fields())] {
		if field.Type != sdk.Secret && field.Name != b.definition.Login {
			names = append(names, field.Name)
		}
	}
	return names
}

// Configure checks the settings; it connects to nothing.
func (b *Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	if b.definition == nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "definition: missing")
	}
	made := &Instance{definition: b.definition, agent: "rekey-backend-http/" + b.definition.Version, config: config}
	var err error
	if made.settings, err = b.definition.Prepare(config); err != nil {
		return nil, sdk.Errorf(sdk.InvalidConfig, "%s", err)
	}
	if login := b.definition.Login; login != "" {
		if made.own = config.Text(login); made.own == "" {
			return nil, sdk.Errorf(sdk.InvalidConfig, "%s: is empty", login)
		}
	}
	if err := made.connect(); err != nil {
		return nil, err
	}
	made.session = rest.NewSession(rest.SessionOptions{Login: made.logIn, Timeout: config.Timeout})
	return made, nil
}
