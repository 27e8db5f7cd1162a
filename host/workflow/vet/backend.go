package vet

import (
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

// Backend is one backend() of the script, with what its plugin says of itself.
type Backend struct {
	Label string
	Desc  sdk.Description
	Known bool // Desc is the plugin's; nothing is checked of an unknown one
	Named bool // the script names the plugin as a literal
}

// Can reports whether the plugin can do a step; generate needs no plugin.
func (b *Backend) Can(verb string) bool {
	traits, ok := journal.TraitsOf(verb)
	return !ok || traits.Can(b.Desc, b.Desc.Abilities)
}

// Kinds returns the names of the plugin's kinds of credentials.
func (b *Backend) Kinds() []string {
	names := make([]string, len(b.Desc.Kinds))
	for i, kind := range b.Desc.Kinds {
		names[i] = kind.Name
	}
	return names
}

// NoKind is the misuse of a kind of credential that the plugin does not have;
// nil: it has it, or nothing is known of it.
func (b *Backend) NoKind(kind string) *lang.Misuse {
	if !b.Known || b.Desc.HasKind(kind) {
		return nil
	}
	fix := "it has " + strings.Join(b.Kinds(), ", ")
	if len(b.Desc.Kinds) == 0 {
		fix = "it has only one, without a kind"
	}
	return lang.Unknown("backend "+quoted(b.Label)+" has no credential of kind", kind, b.Kinds(), fix)
}

// NoHashFormat is the misuse of a form of hashes that the plugin does not take;
// nil: it does, or nothing is known of it.
func (b *Backend) NoHashFormat(form string) *lang.Misuse {
	if form == "" || !b.Known || slices.Contains(b.Desc.HashFormats, form) {
		return nil
	}
	fix := "it takes " + lang.Listed(lang.Quoted(b.Desc.HashFormats))
	return lang.Unknown("backend "+quoted(b.Label)+" takes no hash of the form", form, b.Desc.HashFormats, fix)
}

// NoMustChange is the misuse of must_change with a plugin that says it cannot ask
// for that; nil: it can, or does not say.
func (b *Backend) NoMustChange() *lang.Misuse {
	if b.Desc.MustChange == nil || *b.Desc.MustChange {
		return nil
	}
	return &lang.Misuse{Message: "must_change: backend " + quoted(b.Label) + " (" + b.Desc.Name + ") cannot ask for a change at the next logon", Fix: "leave must_change out"}
}

// NoOption is the misuse of an option that the plugin does not have; nil: it
// has it.
func (b *Backend) NoOption(name string) *lang.Misuse {
	names := FieldNames(b.Desc.Options)
	if slices.Contains(names, name) {
		return nil
	}
	fix := ""
	if len(names) > 0 {
		fix = "it has " + strings.Join(names, ", ")
	}
	return lang.Unknown("backend "+quoted(b.Label)+" has no option", name, names, fix)
}

// FieldNames returns the names of settings or options.
func FieldNames(fields []sdk.Field) []string {
	names := make([]string, len(fields))
	for i, field := range fields {
		names[i] = field.Name
	}
	return names
}

func quoted(word string) string { return lang.Quoted([]string{word})[0] }
