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
	"syscall"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/workflow/lang"
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

// openScript finds the script and its modules.
func openScript(ctx context.Context, options Options) (text []byte, reader reader, done func(), err error) {
	done = func() {}
	name := filepath.ToSlash(options.Path)
	switch rest, embedded := strings.CutPrefix(name, embeddedScript); {
	case len(options.Kept) > 0:
		return options.Kept[0].Text, keptReader(options.Kept[1:]), done, nil
	case embedded && options.Embedded == nil:
		return nil, nil, done, fs.ErrNotExist
	case embedded:
		made := embeddedReader{options.Embedded, path.Dir(rest)}
		text, err = made.read(path.Base(rest))
		return text, made, done, err
	}
	full := options.Path
	if !filepath.IsAbs(full) {
		full = filepath.Join(options.WorkDir, full)
	}
	if text, err = bounded.Within(ctx, func() ([]byte, error) { return readScript(full) }); err != nil {
		return nil, nil, done, err
	}
	root, err := os.OpenRoot(filepath.Join(filepath.Dir(full), strings.Repeat("../", options.above)))
	if err != nil {
		return nil, nil, done, err
	}
	return text, diskReader{root: root, embedded: options.Embedded}, func() { closeQuietly(root) }, nil
}

// otherScript suggests a script where none has that name: for one that
// ships with rekey, all that do.
func otherScript(options Options, err error) string {
	if !errors.Is(err, fs.ErrNotExist) || len(options.Kept) > 0 {
		return ""
	}
	name := filepath.ToSlash(options.Path)
	rest, embedded := strings.CutPrefix(name, embeddedScript)
	if !embedded {
		dir, _ := path.Split(name)
		full := filepath.FromSlash(dir)
		if !filepath.IsAbs(full) {
			full = filepath.Join(options.WorkDir, full)
		}
		return diag.DidYouMean(name, lang.Prefixed(dir, modulesIn(os.DirFS(full), ".")))
	}
	if options.Embedded == nil {
		return ""
	}
	all := modulesIn(options.Embedded, ".")
	if like := cmp.Or(diag.Nearest(rest, all), diag.Nearest(rest+".star", all)); like != "" && diag.Distance(strings.TrimSuffix(like, ".star"), strings.TrimSuffix(rest, ".star")) <= 3 {
		return fmt.Sprintf("did you mean %q?", embeddedScript+like)
	}
	return "there are " + strings.ReplaceAll(lang.Listed(lang.Prefixed(embeddedScript, all)), " or ", " and ")
}

func readScript(full string) ([]byte, error) {
	info, err := os.Stat(full) // before opening: a FIFO would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	file, err := os.Open(full)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(file)
	return readRegular(file)
}

// closeQuietly closes what was only read: that it cannot be closed changes
// nothing of what was read.
func closeQuietly(file io.Closer) { _ = file.Close() }

// reader reads the text of a script and of its modules, by canonical names:
// relative to the script's directory, or @rekey//….
type reader interface {
	read(name string) ([]byte, error)
	// near returns the names of modules beside the name, for suggestions.
	near(name string) []string
}

// canonical checks the name of a module and returns the one that it is known
// by. A script's modules are in its directory and below, whichever file loads
// them.
func canonical(asked string) (string, *lang.Misuse) {
	rest, embedded := strings.CutPrefix(asked, embeddedModule)
	switch {
	case strings.HasPrefix(asked, "@") && !embedded:
		return "", lang.Mistake(fmt.Sprintf("%q is in no known place", asked), `"@rekey//lib/…" is what ships with rekey`)
	case path.IsAbs(rest) || filepath.IsAbs(rest):
		return "", lang.Mistake(fmt.Sprintf("%q is absolute", asked), "modules are named relative to the script's directory")
	case strings.Contains(rest, `\`):
		return "", lang.Mistake(fmt.Sprintf("%q has a backslash", asked), "write / between directories")
	case slices.Contains(strings.Split(rest, "/"), ".."):
		return "", lang.Mistake(fmt.Sprintf("%q leaves the script's directory", asked), "keep modules in it, or below")
	case !strings.HasSuffix(rest, ".star"):
		return "", lang.Mistake(fmt.Sprintf("%q does not end in .star", asked), "")
	}
	name := path.Clean(rest)
	if !fs.ValidPath(name) || strings.ContainsRune(name, 0) {
		return "", lang.Mistake(fmt.Sprintf("%q is no name of a file", asked), "")
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

// modulesThatShip are those that a script may load.
func modulesThatShip(reader reader) []string { return reader.near(embeddedModule + "lib/x.star") }

// diskReader reads modules of a directory and nothing outside of it, and
// embedded ones.
type diskReader struct {
	root     *os.Root // nil: no such directory
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
	file, err := d.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(file)
	return readRegular(file)
}

func (d diskReader) near(name string) []string {
	if rest, ok := strings.CutPrefix(name, embeddedModule); ok {
		return lang.Prefixed(embeddedModule, embeddedReader{d.embedded, "."}.near(rest))
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
	for _, dirEntry := range list {
		if name := dirEntry.Name(); strings.HasSuffix(name, ".star") && !strings.HasSuffix(name, "_test.star") {
			names = append(names, path.Join(dir, dirEntry.Name()))
		}
	}
	return names
}

// readRegular reads a regular file of a bounded size.
func readRegular(file fs.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
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
	file, err := e.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(file)
	return readRegular(file)
}

func (e embeddedReader) near(name string) []string {
	rest, ok := strings.CutPrefix(name, embeddedModule)
	switch {
	case e.files == nil:
		return nil
	case ok:
		return lang.Prefixed(embeddedModule, modulesIn(e.files, path.Dir(rest)))
	}
	return modulesIn(e.files, path.Join(e.dir, path.Dir(name)))
}

// keptReader reads what a ledger kept.
type keptReader []File

func (k keptReader) read(name string) ([]byte, error) {
	for _, file := range k {
		if file.Name == name {
			return file.Text, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (k keptReader) near(string) []string {
	var names []string
	for _, file := range k {
		names = append(names, file.Name)
	}
	return names
}
