package backendtest

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

func describeIsStable(probe *probe) {
	again, err := describe(probe.o, probe.plugin)
	if err != nil {
		probe.stop("Describe: %v", err)
	}
	probe.open()
	after, err := describe(probe.o, probe.plugin)
	if err != nil {
		probe.stop("Describe: %v", err)
	}
	for _, other := range []sdk.Description{again, after} {
		if !reflect.DeepEqual(probe.d, other) {
			probe.fail("Describe: two calls differ:\n%+v\n%+v", probe.d, other)
		}
	}
}

var fieldTypes = []sdk.FieldType{sdk.String, sdk.Int, sdk.Bool, sdk.Duration, sdk.Choice, sdk.List, sdk.Path, sdk.URL, sdk.Secret}

func describeMakesSense(probe *probe) {
	word := regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	if !word.MatchString(probe.d.Name) {
		probe.fail("Name: %q, want a lower-case word: the executable is rekey-backend-NAME", probe.d.Name)
	}
	if probe.d.Version == "" || probe.d.Summary == "" || strings.Contains(probe.d.Summary, "\n") {
		probe.fail("Version %q, Summary %q: want both, the summary in one line", probe.d.Version, probe.d.Summary)
	}
	checkFields(probe, "Config", word, probe.d.Config)
	checkFields(probe, "Options", word, probe.d.Options)
	if !probe.d.Does(sdk.Set) && !probe.d.Does(sdk.Change) && !probe.d.Does(sdk.Reset) {
		probe.fail("Verbs: %q, want at least one of set, change and reset", probe.d.Verbs)
	}
	for _, verb := range probe.d.ReplaySafe {
		if !probe.d.Does(verb) {
			probe.fail("ReplaySafe: %q is not one of Verbs", verb)
		}
	}
	for _, verb := range sdk.AskedVerbs() {
		if probe.d.Does(verb) != probe.d.Can(verb.Ability()) {
			probe.fail("Verbs and Abilities disagree about %q", verb)
		}
	}
	if limits := probe.d.Limits; limits.Concurrency < 0 || limits.PerSecond < 0 || limits.Batch < 0 || limits.Timeout < 0 {
		probe.fail("Limits: %+v, want none below zero", limits)
	}
	if err := probe.d.References(); err != nil {
		probe.fail("%v", err)
	}
	for _, name := range probe.d.Target {
		if !slices.ContainsFunc(probe.d.Config, func(field sdk.Field) bool { return field.Name == name && field.Type != sdk.Secret }) {
			probe.fail("Target: %q is not a setting, or a secret", name)
		}
	}
	for index, kind := range probe.d.Kinds {
		if slices.IndexFunc(probe.d.Kinds, func(o sdk.Kind) bool { return o.Name == kind.Name }) != index {
			probe.fail("Kinds: %q is there twice", kind.Name)
		}
	}
}

func checkFields(probe *probe, list string, word *regexp.Regexp, fields []sdk.Field) {
	names := map[string]bool{}
	for _, field := range fields {
		switch {
		case !word.MatchString(field.Name) || names[field.Name]:
			probe.fail("%s: name %q, want a lower-case word that occurs once", list, field.Name)
		case !slices.Contains(fieldTypes, field.Type):
			probe.fail("%s: %s has the type %q, want one of %q", list, field.Name, field.Type, fieldTypes)
		case (field.Type == sdk.Choice) != (len(field.Choices) > 0):
			probe.fail("%s: %s has the type %q and %d choices", list, field.Name, field.Type, len(field.Choices))
		case field.Default != nil && !fits(field, field.Default):
			probe.fail("%s: %s has the default %v (%T), which is not a %s", list, field.Name, field.Default, field.Default, field.Type)
		case field.Required && field.Default != nil:
			probe.fail("%s: %s is required and has a default", list, field.Name)
		case field.Doc == "":
			probe.fail("%s: %s has no Doc", list, field.Name)
		}
		names[field.Name] = true
	}
	for _, field := range fields {
		for _, other := range field.Conflicts {
			if !names[other] {
				probe.fail("%s: %s conflicts with %q, which there is not", list, field.Name, other)
			}
		}
	}
}

// fits reports whether v can be a default of the field.
func fits(field sdk.Field, v any) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains([]sdk.FieldType{sdk.String, sdk.Path, sdk.URL}, field.Type) || field.Type == sdk.Choice && slices.Contains(field.Choices, v)
	case int, int64:
		return field.Type == sdk.Int
	case bool:
		return field.Type == sdk.Bool
	case time.Duration:
		return field.Type == sdk.Duration
	case []string:
		return field.Type == sdk.List
	}
	return false
}

func describeSecrets(probe *probe) {
	for _, field := range append(slices.Clone(probe.d.Config), probe.d.Options...) {
		for _, hint := range []string{"password", "passwd", "passphrase", "secret", "token", "private_key", "api_key"} {
			if strings.HasSuffix(field.Name, hint) && field.Type != sdk.Secret && field.Type != sdk.Bool {
				probe.fail("field %s has the type %q: by its name it is a secret", field.Name, field.Type)
			}
		}
	}
}
