package backendtest

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

func describeIsStable(p *probe) {
	again, err := describe(p.o, p.plugin)
	if err != nil {
		p.stop("Describe: %v", err)
	}
	p.open()
	after, err := describe(p.o, p.plugin)
	if err != nil {
		p.stop("Describe: %v", err)
	}
	for _, other := range []sdk.Description{again, after} {
		if !reflect.DeepEqual(p.d, other) {
			p.fail("Describe: two calls differ:\n%+v\n%+v", p.d, other)
		}
	}
}

var fieldTypes = []sdk.FieldType{sdk.String, sdk.Int, sdk.Bool, sdk.Duration, sdk.Choice, sdk.List, sdk.Path, sdk.URL, sdk.Secret}

func describeMakesSense(p *probe) {
	word := regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	if !word.MatchString(p.d.Name) {
		p.fail("Name: %q, want a lower-case word: the executable is rekey-backend-NAME", p.d.Name)
	}
	if p.d.Version == "" || p.d.Summary == "" || strings.Contains(p.d.Summary, "\n") {
		p.fail("Version %q, Summary %q: want both, the summary in one line", p.d.Version, p.d.Summary)
	}
	p.fields("Config", word, p.d.Config)
	p.fields("Options", word, p.d.Options)
	if !p.d.Does(sdk.Set) && !p.d.Does(sdk.Change) && !p.d.Does(sdk.Reset) {
		p.fail("Verbs: %q, want at least one of set, change and reset", p.d.Verbs)
	}
	for _, v := range p.d.ReplaySafe {
		if !p.d.Does(v) {
			p.fail("ReplaySafe: %q is not one of Verbs", v)
		}
	}
	for v, a := range map[sdk.Verb]sdk.Ability{sdk.Reset: sdk.CanReset, sdk.Unlock: sdk.CanUnlock} {
		if p.d.Does(v) != p.d.Can(a) {
			p.fail("Verbs and Abilities disagree about %q", v)
		}
	}
	if l := p.d.Limits; l.Concurrency < 0 || l.PerSecond < 0 || l.Batch < 0 || l.Timeout < 0 {
		p.fail("Limits: %+v, want none below zero", l)
	}
	for _, name := range p.d.Target {
		if !slices.ContainsFunc(p.d.Config, func(f sdk.Field) bool { return f.Name == name && f.Type != sdk.Secret }) {
			p.fail("Target: %q is no setting, or a secret", name)
		}
	}
	for n, k := range p.d.Kinds {
		if slices.IndexFunc(p.d.Kinds, func(o sdk.Kind) bool { return o.Name == k.Name }) != n {
			p.fail("Kinds: %q is there twice", k.Name)
		}
	}
}

func (p *probe) fields(list string, word *regexp.Regexp, fields []sdk.Field) {
	names := map[string]bool{}
	for _, f := range fields {
		switch {
		case !word.MatchString(f.Name) || names[f.Name]:
			p.fail("%s: name %q, want a lower-case word that is there once", list, f.Name)
		case !slices.Contains(fieldTypes, f.Type):
			p.fail("%s: %s has the type %q, want one of %q", list, f.Name, f.Type, fieldTypes)
		case (f.Type == sdk.Choice) != (len(f.Choices) > 0):
			p.fail("%s: %s has the type %q and %d choices", list, f.Name, f.Type, len(f.Choices))
		case f.Default != nil && !fits(f, f.Default):
			p.fail("%s: %s has the default %v (%T), which is no %s", list, f.Name, f.Default, f.Default, f.Type)
		case f.Required && f.Default != nil:
			p.fail("%s: %s is required and has a default", list, f.Name)
		case f.Doc == "":
			p.fail("%s: %s has no Doc", list, f.Name)
		}
		names[f.Name] = true
	}
	for _, f := range fields {
		for _, other := range f.Conflicts {
			if !names[other] {
				p.fail("%s: %s conflicts with %q, which there is not", list, f.Name, other)
			}
		}
	}
}

// fits reports whether v can be a default of the field.
func fits(f sdk.Field, v any) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains([]sdk.FieldType{sdk.String, sdk.Path, sdk.URL}, f.Type) || f.Type == sdk.Choice && slices.Contains(f.Choices, v)
	case int, int64:
		return f.Type == sdk.Int
	case bool:
		return f.Type == sdk.Bool
	case time.Duration:
		return f.Type == sdk.Duration
	case []string:
		return f.Type == sdk.List
	}
	return false
}

func describeSecrets(p *probe) {
	for _, f := range append(slices.Clone(p.d.Config), p.d.Options...) {
		for _, hint := range []string{"password", "passwd", "passphrase", "secret", "token", "private_key", "api_key"} {
			if strings.HasSuffix(f.Name, hint) && f.Type != sdk.Secret && f.Type != sdk.Bool {
				p.fail("field %s has the type %q: by its name it is a secret", f.Name, f.Type)
			}
		}
	}
}
