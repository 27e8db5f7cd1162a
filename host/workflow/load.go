package workflow

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
)

// The bounds of what load() reads.
const (
	maxFileSize = 1 << 20
	maxFiles    = 200
)

const (
	embeddedScript = "@rekey/"  // a script that ships with rekey
	embeddedModule = "@rekey//" // a module that does
)

// reader reads the text of a script and of what it loads, by canonical names:
// relative to the script's directory, or @rekey//….
type reader interface {
	read(name string) ([]byte, error)
	// near returns the names of modules beside the name, for suggestions.
	near(name string) []string
}

// loader reads, parses and resolves a script and everything that it loads.
// All of it happens before anything is evaluated: what load() names stands in
// the text, so files need no lock while hooks run.
type loader struct {
	lang     *language
	backends []string // that there are
	reader   reader
	script   string // as given
	base     string // the script's own name, as a module would load it
	byName   map[string]*file
	order    []*file // a file comes after what it loads
	seen     []*file // in the order of their first load
	problems []source.Problem
}

// files loads the script. What cannot be read or parsed is noted, and the
// rest is read nevertheless.
func (l *loader) files(text []byte) *file {
	f := newFile(l.script, l.script, text)
	l.base = path.Base(filepath.ToSlash(l.script))
	l.byName = map[string]*file{l.base: f}
	l.seen = []*file{f}
	l.prepare(f, []string{l.base})
	return f
}

// prepare parses a file, then what it loads, then resolves it.
func (l *loader) prepare(f *file, chain []string) {
	if flaws := f.parse(); flaws != nil {
		l.problems = append(l.problems, flaws...)
		return
	}
	for _, s := range f.tree.Stmts {
		if stmt, ok := s.(*syntax.LoadStmt); ok {
			l.load(f, stmt, chain)
		}
	}
	l.problems = append(l.problems, f.resolve(l.lang.predeclared(), l.backends)...)
	l.order = append(l.order, f)
}

func (l *loader) load(from *file, stmt *syntax.LoadStmt, chain []string) {
	asked := stmt.ModuleName()
	note := func(fix, format string, args ...any) {
		l.problems = append(l.problems, from.problem(stmt.Module.TokenPos, fix, "load: "+format, args...))
	}
	name, flaw := canonical(asked)
	if flaw != nil {
		note(flaw.fix, "%s", flaw.message)
		return
	}
	if i := slices.Index(chain, name); i >= 0 {
		note("move what both need into a third file", "%s", cycle(append(slices.Clone(chain[i:]), name)))
		return
	}
	f := l.byName[name]
	if f == nil {
		var err error
		if f, err = l.open(name); err != nil {
			note(l.missingFix(err, from, name), "%q %s", asked, reason(err))
			return
		}
		l.prepare(f, append(slices.Clone(chain), name))
	}
	from.loads[asked] = f
	l.names(from, stmt, f)
}

func cycle(chain []string) string {
	return "the files load each other: " + strings.Join(chain, " loads ")
}

// open reads a module.
func (l *loader) open(name string) (*file, error) {
	if len(l.byName) >= maxFiles {
		return nil, fmt.Errorf("is one file more than %d", maxFiles)
	}
	text, err := l.reader.read(name)
	if err != nil {
		return nil, err
	}
	f := newFile(name, l.shown(name), text)
	l.byName[name] = f
	l.seen = append(l.seen, f)
	return f, nil
}

// shown is how messages call a module: in a way that an editor can open.
func (l *loader) shown(name string) string {
	if strings.HasPrefix(name, embeddedModule) {
		return name
	}
	return path.Join(path.Dir(filepath.ToSlash(l.script)), name)
}

// names checks that the module has what is loaded from it.
func (l *loader) names(from *file, stmt *syntax.LoadStmt, f *file) {
	if f.tree == nil {
		return
	}
	have := f.globalNames()
	for _, id := range stmt.From {
		if !slices.Contains(have, id.Name) && !strings.HasPrefix(id.Name, "_") {
			l.problems = append(l.problems, from.problem(id.NamePos, didYouMean(id.Name, have), "load: %s has no %q", f.shown, id.Name))
		}
	}
}

// canonical checks the name of a module and returns the one that it is known
// by. A script's modules are in its directory and below, whichever file loads
// them.
func canonical(asked string) (string, *misuse) {
	rest, embedded := strings.CutPrefix(asked, embeddedModule)
	switch {
	case strings.HasPrefix(asked, "@") && !embedded:
		return "", &misuse{fmt.Sprintf("%q is in no known place", asked), `"@rekey//lib/…" is what ships with rekey`}
	case path.IsAbs(rest) || filepath.IsAbs(rest):
		return "", &misuse{fmt.Sprintf("%q is absolute", asked), "modules are named relative to the script's directory"}
	case strings.Contains(rest, `\`):
		return "", &misuse{fmt.Sprintf("%q has a backslash", asked), "write / between directories"}
	case slices.Contains(strings.Split(rest, "/"), ".."):
		return "", &misuse{fmt.Sprintf("%q leaves the script's directory", asked), "keep modules in it, or below"}
	case !strings.HasSuffix(rest, ".star"):
		return "", &misuse{fmt.Sprintf("%q does not end in .star", asked), ""}
	}
	name := path.Clean(rest)
	if !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return "", &misuse{fmt.Sprintf("%q is no name of a file", asked), ""}
	}
	if embedded {
		return embeddedModule + name, nil
	}
	return name, nil
}

// reason is why a file cannot be read, without its name.
func reason(err error) string {
	var bad *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.As(err, &bad) && strings.Contains(bad.Err.Error(), "escapes"):
		return "leads out of the script's directory"
	case errors.As(err, &bad):
		return "cannot be read: " + bad.Err.Error()
	}
	return err.Error()
}

// missingFix suggests another name for a file that does not exist.
func (l *loader) missingFix(err error, from *file, name string) string {
	if !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	beside := path.Join(path.Dir(from.name), name)
	if from != l.seen[0] && slices.Contains(l.reader.near(beside), beside) {
		return fmt.Sprintf("names are relative to the script's directory: write %q", beside)
	}
	known := l.reader.near(name)
	if fix := didYouMean(name, known); fix != "" || !strings.HasPrefix(name, embeddedModule) {
		return fix
	}
	return "what ships with rekey is " + listed(modulesThatShip(l.reader))
}

// modulesThatShip are those that a script may load.
func modulesThatShip(r reader) []string { return r.near(embeddedModule + "lib/x.star") }

// diskReader reads modules of a directory and nothing outside of it, and
// embedded ones.
type diskReader struct {
	root     *os.Root // nil: there is no such directory
	embedded fs.FS
}

func (d diskReader) read(name string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(name, embeddedModule); ok {
		return embeddedReader{d.embedded, "."}.read(rest)
	}
	if d.root == nil {
		return nil, fs.ErrNotExist
	}
	// Not to wait for the writer of a FIFO.
	f, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRegular(f)
}

func (d diskReader) near(name string) []string {
	if rest, ok := strings.CutPrefix(name, embeddedModule); ok {
		return prefixed(embeddedModule, embeddedReader{d.embedded, "."}.near(rest))
	}
	if d.root == nil {
		return nil
	}
	return modulesIn(d.root.FS(), path.Dir(name))
}

// modulesIn lists the modules of a directory.
func modulesIn(fsys fs.FS, dir string) []string {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".star") {
			names = append(names, path.Join(dir, e.Name()))
		}
	}
	return names
}

// readRegular reads a regular file of a bounded size.
func readRegular(f fs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("is larger than %d KiB", maxFileSize>>10)
	}
	return text, err
}

// embeddedReader reads a script's modules out of the binary. dir is the
// script's directory there.
type embeddedReader struct {
	files fs.FS
	dir   string
}

func (e embeddedReader) read(name string) ([]byte, error) {
	if e.files == nil {
		return nil, fs.ErrNotExist
	}
	name, ok := strings.CutPrefix(name, embeddedModule)
	if !ok {
		name = path.Join(e.dir, name)
	}
	f, err := e.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readRegular(f)
}

func (e embeddedReader) near(name string) []string {
	rest, ok := strings.CutPrefix(name, embeddedModule)
	switch {
	case e.files == nil:
		return nil
	case ok:
		return prefixed(embeddedModule, modulesIn(e.files, path.Dir(rest)))
	}
	return modulesIn(e.files, path.Join(e.dir, path.Dir(name)))
}

// keptReader reads what a ledger kept.
type keptReader []File

func (k keptReader) read(name string) ([]byte, error) {
	for _, f := range k {
		if f.Name == name {
			return f.Text, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (k keptReader) near(string) []string {
	var names []string
	for _, f := range k {
		names = append(names, f.Name)
	}
	return names
}
