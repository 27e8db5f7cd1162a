package workflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// loader reads, parses and resolves a script and everything that it loads.
// All of it happens before anything is evaluated: what load() names stands in
// the text, so files need no lock while hooks run.
type loader struct {
	ctx      context.Context
	scope    starlark.StringDict // that every file finds
	backends []string            // that there are
	coverage *Coverage           // nil: nothing is counted
	reader   reader
	script   string // as given
	above    int    // directories between it and those that modules are named relative to
	byName   map[string]*tree.File
	order    []*tree.File // a file comes after those that it loads
	seen     []*tree.File // in the order of their first load
	problems []diag.Problem
}

// loadFiles loads the script, which is the first of those seen. What cannot be
// read or parsed is noted, and the rest is read nevertheless.
func loadFiles(ctx context.Context, options Options, scope starlark.StringDict) (*loader, error) {
	text, reader, done, err := openScript(ctx, options)
	if err != nil {
		return nil, err
	}
	defer done()
	file := tree.New(options.Path, options.Path, text)
	base := baseOf(options)
	made := &loader{ctx: ctx, scope: scope, backends: options.BackendNames, coverage: options.Coverage, reader: reader, script: options.Path, above: options.above, byName: map[string]*tree.File{base: file}, seen: []*tree.File{file}}
	made.prepare(file, []string{base})
	return made, nil
}

// prepare parses a file, then those that it loads, then resolves it.
func (l *loader) prepare(file *tree.File, chain []string) {
	if flaws := file.Parse(); flaws != nil {
		l.flaws(flaws)
		return
	}
	for _, s := range file.Tree.Stmts {
		if stmt, ok := s.(*syntax.LoadStmt); ok {
			l.load(file, stmt, chain)
		}
	}
	bind(file.Tree)
	flaws := file.Resolve(l.scope, l.backends)
	l.flaws(flaws)
	if flaws == nil && l.coverage != nil {
		l.coverage.count(file, l.scope)
	}
	l.order = append(l.order, file)
}

func (l *loader) load(from *tree.File, stmt *syntax.LoadStmt, chain []string) {
	asked := stmt.ModuleName()
	note := func(fix, format string, args ...any) {
		l.problems = append(l.problems, from.Problem(stmt.Module.TokenPos, fix, "load: "+format, args...))
	}
	name, flaw := canonical(asked)
	if flaw != nil {
		note(flaw.Fix, "%s", flaw.Message)
		return
	}
	if i := slices.Index(chain, name); i >= 0 {
		note("move what both need into a third file", "%s", cycle(append(slices.Clone(chain[i:]), name)))
		return
	}
	file := l.byName[name]
	if file == nil {
		var err error
		if file, err = l.open(name); err != nil {
			note(l.missingFix(err, from, name), "%q %s", asked, reason(err))
			return
		}
		l.prepare(file, append(slices.Clone(chain), name))
	}
	from.Loads[asked] = file
	l.names(from, stmt, file)
}

// flaws notes what the parser and the resolver find.
func (l *loader) flaws(found []diag.Problem) {
	for _, flaw := range found {
		flaw.Rule = RuleSyntax
		l.problems = append(l.problems, flaw)
	}
}

func cycle(chain []string) string {
	return "the files load each other: " + strings.Join(chain, " loads ")
}

// open reads a module.
func (l *loader) open(name string) (*tree.File, error) {
	if len(l.byName) >= maxFiles {
		return nil, fmt.Errorf("is one file more than %d", maxFiles)
	}
	text, err := bounded.Within(l.ctx, func() ([]byte, error) { return l.reader.read(name) })
	if err != nil {
		return nil, err
	}
	file := tree.New(name, l.shown(name), text)
	l.byName[name] = file
	l.seen = append(l.seen, file)
	return file, nil
}

// shown is how messages call a module: in a way that an editor can open.
func (l *loader) shown(name string) string {
	if strings.HasPrefix(name, embeddedModule) {
		return name
	}
	return path.Join(path.Dir(filepath.ToSlash(l.script)), strings.Repeat("../", l.above), name)
}

// baseOf is the name by which modules would load the script.
func baseOf(options Options) string {
	full := options.Path
	if options.above > 0 && !filepath.IsAbs(full) {
		full = filepath.Join(options.WorkDir, full)
	}
	parts := strings.Split(filepath.ToSlash(full), "/")
	return path.Join(parts[max(0, len(parts)-1-options.above):]...)
}

// names checks that the module has the names loaded from it.
func (l *loader) names(from *tree.File, stmt *syntax.LoadStmt, file *tree.File) {
	if file.Tree == nil {
		return
	}
	have := file.Globals()
	for _, id := range stmt.From {
		if !slices.Contains(have, id.Name) && !strings.HasPrefix(id.Name, "_") {
			l.problems = append(l.problems, from.Problem(id.NamePos, diag.DidYouMean(id.Name, have), "load: %s has no %q", file.Shown, id.Name))
		}
	}
}

// missingFix suggests another name for a file that does not exist.
func (l *loader) missingFix(err error, from *tree.File, name string) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	beside := path.Join(path.Dir(from.Name), name)
	if from != l.seen[0] && slices.Contains(l.reader.near(beside), beside) {
		return fmt.Sprintf("names are relative to the script's directory: write %q", beside)
	}
	known := l.reader.near(name)
	if fix := diag.DidYouMean(name, known); fix != "" || !strings.HasPrefix(name, embeddedModule) {
		return fix
	}
	return "what ships with rekey is " + lang.Listed(modulesThatShip(l.reader))
}
