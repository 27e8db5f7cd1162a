package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/near"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Options say what is loaded, and what it may see of the world.
type Options struct {
	Path     string // of the script; relative to WorkDir, or "@rekey/…", an embedded one
	Embedded fs.FS  // what ships with rekey; nil: nothing does
	// Kept is a script and its modules as a ledger has them, in the order of
	// Workflow.Files; nil: they are read from Path. The sources of a kept
	// script are not looked at.
	Kept []File

	Blind bool // nor are the sources of this one

	Params map[string]string // the text of each NAME=VALUE
	// Placeholders evaluates with stand-ins for parameters that are not given,
	// as rekey check and rekey docs do: what depends on one is checked for its
	// type only, and a missing source file is no problem.
	Placeholders bool

	WorkDir string    // that sources are relative to; "": the process's
	Home    string    // that "~/" at the start of a path stands for; "": there is none
	Stdin   io.Reader // users of csv("-"); nil: there are none

	// Describe returns what a backend says of itself; BackendNames are those
	// that there are, for suggestions.
	Describe     func(name string) (sdk.Description, error)
	BackendNames []string

	Print  io.Writer // gets SCRIPT:LINE: text of print(); nil: nobody does
	Lister func(label string) Lister
	Limits Limits

	// Fatal is called, at most once a hook call, with the line about a hook
	// that does not end although it was cancelled. It should end the process;
	// nil: the line goes to Print and the process exits with code 1.
	Fatal func(line string)
}

// File is one script or module as it was loaded.
type File struct {
	Name   string // Options.Path of the script; what load() calls a module
	Text   []byte
	SHA256 string // in hex
}

// Workflow is a loaded script. Its methods are safe for concurrent use.
type Workflow struct {
	Name string // Options.Path
	Doc  string // the text at the top of the script
	// Users is nil, and so is what follows, if Options.Placeholders and the
	// script cannot be evaluated to its end without values.
	Users       source.Source
	Backends    []BackendSpec // in the order of their backend() calls
	Default     string        // label of workflow(backend =); "": there is none
	OrderBy     []string
	Waves       []engine.WaveRule // one, "all", if the script has none
	HasSelect   bool
	HasWave     bool
	HasRotate   bool
	Policy      *password.Spec // nil: wishes only
	Concurrency int            // 0: the plugin's
	Revert      bool           // on_failure = "revert"
	Reports     []ReportSpec
	Params      []Param // in the order of their declaration
	Files       []File  // the script first
	Warnings    []source.Problem
	Given       []string          // columns whose values users get, as far as that is seen
	Used        []string          // columns whose values are given to steps as passwords, old ones too
	Forms       map[string]string // of the columns of them that hold hashes, the form

	in    *interp
	hooks hooks
	spool *source.Spool // of standard input
}

// BackendSpec is one backend(): checked against its Description, defaults
// filled in. Secrets are not read yet.
type BackendSpec struct {
	Name, Label string
	Rate        float64 // operations a second; 0: the plugin's
	Concurrency int     // 0: the plugin's
	Timeout     time.Duration
	Attempts    int
	Patience    time.Duration
	Values      map[string]any // as in sdk.Config; paths as written
	Secrets     map[string]SecretRef
}

// SecretRef says where a secret is to be read, when a plugin that needs it is
// configured.
type SecretRef struct {
	Kind  string       // env, file, prompt or literal
	Name  string       // of the variable, the file as written, the prompt's label
	Value secret.Value // of a literal
}

// ReportSpec is one report.
type ReportSpec struct {
	Kind      string // summary, json, jsonl, csv or html
	Path      string // as written, .age appended if it is encrypted; "" of a summary
	Order     string // source or apply
	EncryptTo []string
	HasRow    bool // ReportRow makes its rows

	Delimiter string // of csv; "": a comma
	Mark      bool   // of csv: it begins with the byte order mark of UTF-8
}

// Param is one declared parameter.
type Param struct {
	Name    string
	Type    string  // string, int, bool, path, duration, choice, list or json
	Default *string // as it would be given; nil: one has to be
	Choices []string
	Help    string
	Given   bool
}

// Lister lists the accounts of one backend: *launch.Instance. Of the attributes
// the secrets arrive as the target has them, all else scrubbed.
type Lister interface {
	Accounts(ctx context.Context, filter string, attributes, secrets []string, yield func(sdk.Account) error) error
}

// Attach says how BACKEND.accounts() reaches backends. It is called before
// Users is read, and not concurrently with that.
func (w *Workflow) Attach(find func(label string) Lister) { w.in.lister = find }

// Close releases what was kept of standard input.
func (w *Workflow) Close() error { return w.spool.Close() }

// Load evaluates a script and checks it. What a user can mend is a
// *source.Problems, as complete as one evaluation can make it.
func Load(ctx context.Context, o Options) (w *Workflow, err error) {
	defer func() {
		if r := recover(); r != nil {
			w, err = nil, fmt.Errorf("%s: defect in rekey: %v", o.Path, r)
		}
	}()
	in := newInterp(o)
	text, r, done, err := open(o)
	if err != nil {
		in.note(source.Problem{File: o.Path, Message: reason(err), Fix: otherScript(o, err), Cause: err})
		return nil, in.problems()
	}
	defer done()
	l := &loader{lang: in.lang, backends: o.BackendNames, reader: r, script: o.Path}
	in.script = l.files(text)
	in.ordered = l.order
	for _, f := range l.seen {
		in.files[f.shown] = f
	}
	in.note(l.problems...)
	for _, f := range l.order {
		in.note(in.shadowed(f)...)
		in.note(in.shadowedInside(f)...)
	}
	blocked := in.blocked()
	for _, f := range l.order {
		in.note(in.discarded(f)...)
	}
	return in.load(ctx, l, blocked)
}

// load goes on after parsing, unless what that found keeps the script from
// being evaluated.
func (in *interp) load(ctx context.Context, l *loader, blocked bool) (*Workflow, error) {
	w := &Workflow{Name: in.opts.Path, in: in, spool: in.spool}
	for _, f := range l.seen {
		w.Files = append(w.Files, f.export())
	}
	in.workflow = w
	if blocked {
		return nil, in.problems()
	}
	vary(in.ordered, in.missing)
	complete, err := in.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	in.complete(w, complete)
	in.checkTree(ctx, w)
	if err := in.problems(); err != nil {
		return nil, err
	}
	return w, nil
}

// complete fills in what is known only at the end.
func (in *interp) complete(w *Workflow, evaluated bool) {
	w.Doc = in.script.docstring()
	w.Params = in.params
	for _, b := range in.backends {
		w.Backends = append(w.Backends, b.spec)
	}
	w.Warnings = in.warnings
	if !evaluated {
		return
	}
	if !in.called {
		in.note(source.Problem{File: in.script.shown, Message: "the script does not call workflow()", Fix: "end it with workflow(users = …, backend = …)"})
	}
	in.unknownParams()
}

// open finds the script and what it loads.
func open(o Options) (text []byte, r reader, done func(), err error) {
	done = func() {}
	name := filepath.ToSlash(o.Path)
	switch rest, embedded := strings.CutPrefix(name, embeddedScript); {
	case len(o.Kept) > 0:
		return o.Kept[0].Text, keptReader(o.Kept[1:]), done, nil
	case embedded && o.Embedded == nil:
		return nil, nil, done, fs.ErrNotExist
	case embedded:
		e := embeddedReader{o.Embedded, path.Dir(rest)}
		text, err = e.read(path.Base(rest))
		return text, e, done, err
	}
	full := o.Path
	if !filepath.IsAbs(full) {
		full = filepath.Join(o.WorkDir, full)
	}
	if text, err = readScript(full); err != nil {
		return nil, nil, done, err
	}
	root, err := os.OpenRoot(filepath.Dir(full))
	if err != nil {
		return nil, nil, done, err
	}
	return text, diskReader{root: root, embedded: o.Embedded}, func() { root.Close() }, nil
}

// otherScript suggests a script where there is none of that name: for one that
// ships with rekey, all that do.
func otherScript(o Options, err error) string {
	if !errors.Is(err, fs.ErrNotExist) || len(o.Kept) > 0 {
		return ""
	}
	name := filepath.ToSlash(o.Path)
	rest, embedded := strings.CutPrefix(name, embeddedScript)
	if !embedded {
		dir, _ := path.Split(name)
		full := filepath.FromSlash(dir)
		if !filepath.IsAbs(full) {
			full = filepath.Join(o.WorkDir, full)
		}
		return didYouMean(name, prefixed(dir, modulesIn(os.DirFS(full), ".")))
	}
	if o.Embedded == nil {
		return ""
	}
	all := modulesIn(o.Embedded, ".")
	if like := cmp.Or(nearest(rest, all), nearest(rest+".star", all)); like != "" && near.Distance(strings.TrimSuffix(like, ".star"), strings.TrimSuffix(rest, ".star")) <= 3 {
		return fmt.Sprintf("did you mean %q?", embeddedScript+like)
	}
	return "there are " + strings.ReplaceAll(listed(prefixed(embeddedScript, all)), " or ", " and ")
}

func readScript(full string) ([]byte, error) {
	info, err := os.Stat(full) // before opening: a FIFO would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := os.Open(full)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRegular(f)
}

// interp is what all threads of one workflow share.
type interp struct {
	opts   Options
	lang   *language
	limits Limits
	heap   gauge
	busy   busy
	out    *printer
	spool  *source.Spool
	lister func(label string) Lister

	script  *file
	files   map[string]*file // by what messages call them
	ordered []*file          // in the order of evaluation

	// What the evaluation of the top level leaves; it is one goroutine's.
	workflow   *Workflow
	called     bool // workflow() was
	looseWaves bool // their names depend on a parameter without a value
	looseOrder bool // so does order_by
	backends   []*backendValue
	params     []Param
	warnings   []source.Problem

	mu    sync.Mutex
	found []source.Problem

	step    *builtin
	schema  atomic.Pointer[schema] // of the users, once it is known
	pool    sync.Pool              // of *state
	regexps regexps
}

func newInterp(o Options) *interp {
	in := &interp{opts: o, lang: newLanguage(), limits: o.Limits.orDefault(), files: map[string]*file{}, lister: o.Lister}
	in.out = &printer{w: o.Print, left: in.limits.PrintLine}
	stdin := o.Stdin
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	in.spool = source.NewSpool(stdin, "")
	in.step = &builtin{lang: in.lang, entry: in.lang.byName["step"]}
	return in
}

func (in *interp) fatal(text string) {
	if in.opts.Fatal != nil {
		in.opts.Fatal(text)
		return
	}
	if in.opts.Print != nil {
		fmt.Fprintln(in.opts.Print, "rekey: "+text)
	}
	os.Exit(1)
}

// note collects problems.
func (in *interp) note(problems ...source.Problem) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, x := range problems {
		same := func(y source.Problem) bool {
			return x.File == y.File && x.Line == y.Line && x.Column == y.Column && x.Message == y.Message
		}
		if !slices.ContainsFunc(in.found, same) {
			in.found = append(in.found, x)
		}
	}
}

func (in *interp) blocked() bool { return len(in.found) > 0 }

// problems returns what was noted, by file and line; nil if nothing was.
func (in *interp) problems() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	slices.SortStableFunc(in.found, func(a, b source.Problem) int {
		return cmp.Or(cmp.Compare(in.rank(a.File), in.rank(b.File)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var list source.Problems
	for _, x := range in.found {
		list.Add(x)
	}
	return list.Err()
}

// rank puts the script first, then modules, then all else.
func (in *interp) rank(name string) int {
	if in.script != nil && name == in.script.shown {
		return 0
	}
	if in.files[name] != nil {
		return 1
	}
	return 2
}

// evaluate runs the top level of every file, modules before what loads them.
// It reports whether it came to its end: without the values of parameters it
// may not.
func (in *interp) evaluate(ctx context.Context) (bool, error) {
	for _, f := range in.ordered {
		err := in.evaluateFile(ctx, f)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		default:
			in.noteEvaluation(err)
			return false, nil
		}
	}
	return true, nil
}

func (in *interp) evaluateFile(ctx context.Context, f *file) (err error) {
	s := in.newThread()
	s.begin(ctx, atTop, f.shown, "", nil)
	defer s.end()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("defect in rekey: %v", r)
		}
	}()
	f.globals, err = f.program.Init(s.thread, in.lang.predeclared())
	f.globals.Freeze()
	if stopped := s.stopped(); stopped != nil {
		at, _ := where(innermost(err))
		in.note(f.problem(at, "", "%s", stopped))
		return told{}
	}
	return err
}

// noteEvaluation notes an error of the top level, unless it comes of a
// parameter that nobody gave.
func (in *interp) noteEvaluation(err error) {
	if errors.As(err, new(told)) {
		return
	}
	e := innermost(err)
	if e != nil && in.looseError(e) && !errors.As(err, new(*misuse)) {
		return
	}
	in.note(in.problemOf(err, ""))
}

// looseError reports whether the operation that failed, or the call of the top
// level that led to it, depends on a parameter without a value.
func (in *interp) looseError(e *starlark.EvalError) bool {
	for i := range e.CallStack {
		p := e.CallStack.At(i).Pos
		if f := in.files[p.Filename()]; f != nil && f.looseAt(p) {
			return true
		}
	}
	return false
}

// loaded is load() of every thread: the files have been found and evaluated.
func (in *interp) loaded(t *starlark.Thread, module string) (starlark.StringDict, error) {
	from := in.files[t.CallFrame(0).Pos.Filename()]
	if from == nil || from.loads[module] == nil {
		return nil, fmt.Errorf("module %q was not found", module)
	}
	return from.loads[module].globals, nil
}

// siteAt finds a call by the position that the interpreter gives it.
func (in *interp) siteAt(p syntax.Position) *site {
	f := in.files[p.Filename()]
	if f == nil {
		return &site{}
	}
	return &site{file: f, node: f.calls[spotOf(p)]}
}
