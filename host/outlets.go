package host

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
)

// The kinds of files that rekey writes for people.
const (
	kindReport     = "report of a script"
	kindList       = "file of report --out"
	kindCheckpoint = "checkpoint"
	kindProof      = "file of audit --out"
)

// public is the mode of a file that holds no secret.
const public = 0o644

// stdoutPath is the path that means standard output.
const stdoutPath = "-"

// outlets is how files are written for people: whole or not at all, and never
// over what rekey needs.
type outlets struct {
	store   *ledger.Store
	guarded []string // paths that nothing is written to
	dir     string   // of relative paths of outputs
	waived  bool     // what cannot be recorded is done all the same
}

// writes says where a command about a run may write: never over
// guarded paths, or what the run was made of, read, or works on. Every file that
// rekey writes for people is written with it. Relative paths of the run lead
// from its own directory, that of the output from the command's. What a run
// wrote it replaces by output of the same kind.
func (o outlets) writes(head ledger.Header, kind string, overwrite bool) (output.Options, error) {
	kept, err := settingsOf(head)
	if err != nil {
		return output.Options{}, err
	}
	dir := kept.Dir
	if dir == "" {
		dir = o.dir
	}
	paths := slices.Concat(o.guarded, absolutes(dir, filesOf(head)), absolutes(dir, kept.Files))
	return output.Options{Dir: o.dir, Overwrite: overwrite, Run: head.ID, Owns: o.store.Owns, Kind: kind, KindOf: o.store.KindOf,
		Writes: o.willWrite(kind), Forbidden: paths}, nil
}

// publish writes a whole file, and remembers that it is ours.
func (o outlets) publish(path string, options output.Options, write func(io.Writer) error) error {
	file, err := output.Create(path, options)
	if err != nil {
		return usageOf(err)
	}
	defer file.Abort()
	if err := write(file); err != nil {
		return err
	}
	digest, err := file.Commit()
	if err != nil {
		return usageOf(err)
	}
	return o.unkept(o.store.Wrote(file.Path(), digest, options.Kind))
}

// willWrite remembers what a file is about to hold.
func (o outlets) willWrite(kind string) func(path, digest string) error {
	return func(path, digest string) error { return o.unkept(o.store.Writes(path, digest, kind)) }
}

// unkept returns why rekey cannot remember that a file is its own; nil if that
// was waived: it will not replace the file then.
func (o outlets) unkept(err error) error {
	if o.waived {
		return nil
	}
	return err
}

// escaped returns a path as a pattern that matches only itself.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// recipientFiles returns the recipients that name files.
func recipientFiles(recipients []string) []string {
	var files []string
	for _, name := range recipients {
		if name = strings.TrimSpace(name); !strings.HasPrefix(name, "age1") {
			files = append(files, name)
		}
	}
	return files
}

// absolutes makes paths absolute, and leaves out those that name no file.
func absolutes(dir string, paths []string) []string {
	var out []string
	for _, path := range paths {
		if path == "" || path == stdoutPath || strings.HasPrefix(path, embeddedPrefix) {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		out = append(out, path)
	}
	return out
}

// filesOf returns the script of a run, its modules and its lists of users.
func filesOf(head ledger.Header) []string {
	files := []string{head.Script}
	for _, module := range head.Modules {
		if !strings.HasPrefix(module.Name, "@") {
			files = append(files, filepath.Join(filepath.Dir(head.Script), filepath.FromSlash(module.Name)))
		}
	}
	for _, source := range head.Sources {
		if !source.Stdin {
			files = append(files, source.Name)
		}
	}
	return files
}
