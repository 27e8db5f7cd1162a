package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Values are what names of the top level stand for once it is evaluated.
type Values interface {
	// Backend returns the backend that a name of a file stands for; nil: it is
	// none, or the script leaves open which plugin it is.
	Backend(f *tree.File, name string) *Backend
	// Text returns the text that a name of a file stands for; "": it is none.
	Text(f *tree.File, name string) string
}

// Script is an evaluated script.
type Script struct {
	Table    *lang.Table
	Main     *tree.File
	Files    map[string]*tree.File // by Shown, Main among them
	Values   Values
	Backends []*Backend     // in the order of their backend() calls
	Hooks    []Hook         // in the order in which they are checked
	Schema   *source.Schema // of the users; nil: not known
	OrderBy  []string       // nil too where it depends on a parameter without a value
	Waves    []string       // names; nil where they depend on such a one
}

// Hook is a function that the script gave to workflow() or a report.
type Hook struct {
	At    syntax.Position // of its def or lambda
	Phase lang.Phase
	Roles []string // what its first parameters get
}

// Findings are what the checks found, in the order of the text that each
// follows.
type Findings struct {
	Problems []diag.Problem
	Warnings []diag.Problem
	Given    []string          // columns whose values users get
	Used     []string          // columns whose values are given to steps as passwords, old ones too
	Forms    map[string]string // of columns of passwords, the form of their hashes; "": plain values
}

// mixedForms is the form of a column that holds more than one.
const mixedForms = "mixed"

// holds notes the form of a column's values; "": plain values.
func (f *Findings) holds(column, form string) {
	if f.Forms == nil {
		f.Forms = map[string]string{}
	}
	if before, known := f.Forms[column]; known && before != form {
		form = mixedForms
	}
	f.Forms[column] = form
}
