package workflow

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/vet"
	"github.com/rekey-host/rekey/sdk/secret"
)

// interp is one script being evaluated, and what its builtins share.
type interp struct {
	opts    Options
	table   *lang.Table
	threads *threads
	notes   notes
	spool   *source.Spool // of standard input
	lister  func(label string) Lister

	script  *tree.File
	files   map[string]*tree.File // by what messages call them
	ordered []*tree.File          // in the order of evaluation
	globals map[*tree.File]starlark.StringDict
	varying *vet.Varying

	// What the evaluation of the top level leaves; it is one goroutine's.
	spec     Spec
	backends []*vet.Backend // of spec.Backends

	columns  *source.Schema         // of the users, as far as the script's files tell
	schema   atomic.Pointer[schema] // the same, in a form to look names up in
	patterns patterns
}

func newInterp(options Options) *interp {
	in := &interp{opts: options, table: lang.New(), files: map[string]*tree.File{}, globals: map[*tree.File]starlark.StringDict{}, lister: options.Lister}
	in.spec.Name = options.Path
	stdin := options.Stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	in.spool = source.NewSpool(stdin, "")
	limits := options.Limits.orDefault()
	in.threads = &threads{limits: limits, out: &printer{w: options.Print, left: limits.PrintLine}, load: in.loaded, fatal: options.Fatal, run: options.Run}
	return in
}

// problems returns what was noted, of the script first; nil if nothing was.
func (in *interp) problems() error { return in.notes.err(in.rank) }

// rank puts the script first, then modules, then all else.
func (in *interp) rank(name string) int {
	if in.script != nil && name == in.script.Shown {
		return 0
	}
	if in.files[name] != nil {
		return 1
	}
	return 2
}

// noteEvaluation notes an error of the top level, unless it comes of a
// parameter without a value.
func (in *interp) noteEvaluation(err error) {
	if errors.As(err, new(errReported)) {
		return
	}
	evalError := innermost(err)
	if evalError != nil && in.isUnresolved(evalError) && !errors.As(err, new(*lang.Misuse)) {
		return
	}
	in.notes.add(problemOf(in.files, err, ""))
}

// isUnresolved reports whether the operation that failed, or the call of the top
// level that led to it, depends on a parameter without a value.
func (in *interp) isUnresolved(failed *starlark.EvalError) bool {
	for i := range failed.CallStack {
		position := failed.CallStack.At(i).Pos
		if file := in.files[position.Filename()]; file != nil && in.varying.At(file, position) {
			return true
		}
	}
	return false
}

// loaded is load() of every thread: the files have been found and evaluated.
func (in *interp) loaded(thread *starlark.Thread, module string) (starlark.StringDict, error) {
	from := in.files[thread.CallFrame(0).Pos.Filename()]
	if from == nil || from.Loads[module] == nil {
		return nil, fmt.Errorf("module %q was not found", module)
	}
	return in.globals[from.Loads[module]], nil
}

// siteAt finds a call by the position that the interpreter gives it.
func (in *interp) siteAt(at syntax.Position) tree.Site {
	file := in.files[at.Filename()]
	if file == nil {
		return tree.Site{}
	}
	return tree.Site{File: file, Node: file.CallAt(at)}
}

// placeOf is where a function of the script is defined.
func (in *interp) placeOf(fn *starlark.Function) (file string, line, column int) {
	position := fn.Position()
	if file := in.files[position.Filename()]; file != nil {
		return file.Place(position)
	}
	return position.Filename(), int(position.Line), int(position.Col)
}

// sourceFiles is where sources find their files.
func (in *interp) sourceFiles() source.Files {
	return source.Files{Dir: in.opts.WorkDir, Embedded: in.opts.Embedded, Stdin: in.spool}
}

// saysRedacted reports whether the word that stands for a secret stands in the
// script.
func (in *interp) saysRedacted() bool {
	for _, file := range in.files {
		if strings.Contains(string(file.Text), secret.Redacted) {
			return true
		}
	}
	return false
}
