package host

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// Guarded are the paths that no command writes to, whatever its run: the state
// directory, rekey itself, plugins, and the files of keys.
func (c Config) Guarded() []string {
	paths := []string{c.StateDir, c.Self, c.PluginDir, c.IdentityPath}
	paths = append(paths, recipientFiles(c.Recipients)...)
	paths = absolutes(c.WorkDir, paths)
	for _, dir := range absolutes(c.WorkDir, []string{c.PluginDir}) {
		plugins, _ := filepath.Glob(filepath.Join(escaped(dir), "*"))
		paths = append(paths, plugins...) // one may be a link to elsewhere
	}
	return paths
}

// MayMakeIdentity refuses a path for a new identity that is guarded: in the
// state directory there is one place for it.
func (c Config) MayMakeIdentity(path string) error {
	own := []string{c.IdentityPath}
	if c.StateDir != "" {
		own = append(own, IdentityIn(c.StateDir))
	}
	if slices.Contains(absolutes(c.WorkDir, own), path) {
		return nil
	}
	return usageOf(output.KeepsOff(path, c.Guarded()))
}

// escaped is a path as a pattern that matches nothing else.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// recipientFiles are those of the recipients that name files.
func recipientFiles(recipients []string) []string {
	var files []string
	for _, r := range recipients {
		if r = strings.TrimSpace(r); !strings.HasPrefix(r, "age1") {
			files = append(files, r)
		}
	}
	return files
}

// absolutes makes paths absolute, and leaves out what is not on a disk.
func absolutes(dir string, paths []string) []string {
	var out []string
	for _, path := range paths {
		if path == "" || path == "-" || strings.HasPrefix(path, "@rekey/") {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		out = append(out, path)
	}
	return out
}

// The kinds of files that rekey writes for people.
const (
	kindReport     = "report of a script"
	kindList       = "file of report --out"
	kindCheckpoint = "checkpoint"
	kindProof      = "file of audit --out"
)

// writes says where a command may write that has to do with a run: never over
// what is guarded, what the run was made of, read, or works on. Every file that
// rekey writes for people is written with it. Relative paths of the run are
// those of its own directory, that of the output is the command's. What a run
// wrote it replaces by what is of the same kind.
func (h *Host) writes(head ledger.Header, kind string, overwrite bool) (output.Options, error) {
	kept, err := settingsOf(head)
	if err != nil {
		return output.Options{}, err
	}
	dir := kept.Dir
	if dir == "" {
		dir = h.WorkDir
	}
	paths := slices.Concat(h.guarded, absolutes(dir, filesOf(head)), absolutes(dir, kept.Files))
	return output.Options{Dir: h.WorkDir, Overwrite: overwrite, Run: head.ID, Owns: h.store.Owns, Kind: kind, KindOf: h.store.KindOf,
		Writes: h.willWrite(kind), Forbidden: paths}, nil
}

// filesOf are the script of a run, its modules and its lists of users.
func filesOf(head ledger.Header) []string {
	files := []string{head.Script}
	for _, m := range head.Modules {
		if !strings.HasPrefix(m.Name, "@") {
			files = append(files, filepath.Join(filepath.Dir(head.Script), filepath.FromSlash(m.Name)))
		}
	}
	for _, s := range head.Sources {
		if !s.Stdin {
			files = append(files, s.Name)
		}
	}
	return files
}

// worksOn are the files of a workflow that its ledger does not name elsewhere:
// those that its backends work on, and those of their secrets.
func (h *Host) worksOn(w *workflow.Workflow) ([]string, error) {
	var files []string
	for _, spec := range w.Backends {
		some, err := h.backendFiles(spec)
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	return absolutes(h.WorkDir, files), nil
}

// backendFiles are the paths among the settings of a backend.
func (h *Host) backendFiles(spec workflow.BackendSpec) ([]string, error) {
	d, err := h.catalog.Describe(context.Background(), spec.Name)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	var files []string
	for _, f := range d.Config {
		if path, ok := spec.Values[f.Name].(string); ok && f.Type == sdk.Path {
			files = append(files, path)
		}
	}
	for _, ref := range spec.Secrets {
		if ref.Kind == "file" {
			files = append(files, ref.Name)
		}
	}
	return files, nil
}
