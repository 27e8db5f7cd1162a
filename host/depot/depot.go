// Package depot is the plugin directory and its lock file: what is installed
// there, how it gets in and out, and whether it is still what was added. It
// refuses to know what a plugin is for.
package depot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/sdk"
)

const prefix = "rekey-backend-"

// Depot is one plugin directory. Commands that change it do so one at a time:
// the last to end decides what the lock says.
type Depot struct {
	Dir   string
	Lock  *lockfile.Lock
	Taken func(name string) bool // a backend in rekey itself has the name

	// Describe asks the plugin of that name in a directory what it is, with the
	// checks that a run makes.
	Describe func(ctx context.Context, dir, name string) (sdk.Description, error)
	// DescribeRemote asks a plugin on another machine what it is.
	DescribeRemote func(ctx context.Context, name string, at lockfile.Remote) (sdk.Description, error)
	// Judge makes the checks of a run on an installed plugin under a lock, and
	// starts nothing.
	Judge func(lock *lockfile.Lock, name string) error
}

// The states of an installed plugin.
const (
	Locked   = "locked"   // it is the one of the lock file
	Unlocked = "unlocked" // the lock file does not have it, so no run under that starts it; or there is no lock file
	Missing  = "missing"  // the lock file has it, the directory does not
	Changed  = "changed"  // no run starts it: it is another, not signed any more, or another user could replace it
)

// Entry is a plugin as List and Add tell it.
type Entry struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	State   string   `json:"state"`
	Problem string   `json:"problem,omitempty"`
	Path    string   `json:"path"`
	SHA256  string   `json:"sha256,omitempty"`
	From    string   `json:"from,omitempty"`
	Signed  string   `json:"signed,omitempty"` // by whom; "": not signed
	Egress  []string `json:"egress,omitempty"`
	Paths   []string `json:"paths,omitempty"`
	Copied  []string `json:"copied,omitempty"` // of a script that was just taken with its folder: what is in that

	Remote *lockfile.Remote `json:"remote,omitempty"` // where it serves, if it is not installed here
}

// List returns what the directory and the lock file have, by name. Nothing is
// started.
func (d *Depot) List() ([]Entry, error) {
	installed, err := d.installed()
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(append(installed, d.Lock.Names()...))))
	list := make([]Entry, 0, len(names))
	for _, name := range names {
		list = append(list, d.entry(name))
	}
	return list, nil
}

func (d *Depot) installed() ([]string, error) {
	entries, err := os.ReadDir(d.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutPrefix(entry.Name(), prefix); ok && lockfile.ValidName(name) && !entry.IsDir() {
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *Depot) path(name string) string { return filepath.Join(d.Dir, prefix+name) }

// entry is what there is of a name.
func (d *Depot) entry(name string) Entry {
	locked, has := d.Lock.Of(name)
	made := Entry{Name: name, Version: locked.Version, State: Locked, Path: d.path(name), From: locked.From, Signed: signer(locked.Key), Egress: locked.Egress, Paths: locked.Paths}
	digest, _, err := launch.Digest(made.Path)
	switch {
	case locked.Remote != nil && errors.Is(err, fs.ErrNotExist):
		made.Path, made.Remote = locked.Remote.Address, locked.Remote
		return made
	case errors.Is(err, fs.ErrNotExist):
		made.State, made.Problem = Missing, "the lock file has it and the plugin directory does not; rekey plugin add it, or rekey plugin remove "+name
		return made
	case err != nil:
		made.State, made.Problem = Changed, err.Error()
		return made
	}
	made.SHA256 = digest
	switch judged := d.Judge(d.Lock, name); {
	case !has && !d.Lock.Exists():
		made.State, made.Problem = Unlocked, "there is no lock file "+d.Lock.Path()+", so whatever lies here is started; rekey plugin add makes one"
	case !has:
		made.State, made.Problem = Unlocked, judged.Error()
	case judged != nil:
		made.State, made.Problem = Changed, judged.Error()
	}
	return made
}

// signer is the name in a verifier key.
func signer(key string) string {
	name, _, _ := strings.Cut(key, "+")
	return name
}

// Options are those of Add and Upgrade.
type Options struct {
	Key      string // the verifier key of who signs the plugin; "": not signed
	Platform string // "os/arch" that the program is for; "": this one. Of another it is recorded and not installed
}

// Add installs a program, a script, the folder of one or an archive of either, and
// writes its entry in the lock file with what it is granted: all that its
// description asks for now. One that is there is replaced; the key that its entry
// names stays.
func (d *Depot) Add(ctx context.Context, from string, options Options) (Entry, error) {
	return d.take(ctx, from, options, func(string, lockfile.Plugin) error { return nil })
}

// Connect writes the entry of a plugin that serves on another machine, once the two ends
// know each other and it said what it is.
func (d *Depot) Connect(ctx context.Context, name string, at lockfile.Remote) (Entry, error) {
	if !lockfile.ValidName(name) {
		return Entry{}, fmt.Errorf("%q is no name of a plugin: small letters, digits, - and _", name)
	}
	if _, err := os.Lstat(d.path(name)); err == nil {
		return Entry{}, fmt.Errorf("%s: the plugin %s is installed here; rekey plugin remove %s first", d.path(name), name, name)
	}
	description, err := d.DescribeRemote(ctx, name, at)
	if err != nil {
		return Entry{}, err
	}
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return Entry{}, err
	}
	if err := d.Lock.Set(name, lockfile.Plugin{Version: description.Version, Remote: &at}); err != nil {
		return Entry{}, err
	}
	return d.entry(name), d.Lock.Write()
}

// Upgrade is Add for a plugin that the lock file has, and refuses one that asks
// for more than that was granted.
func (d *Depot) Upgrade(ctx context.Context, name, from string, options Options) (Entry, error) {
	if _, had := d.Lock.Of(name); !had {
		return Entry{}, fmt.Errorf("plugin %q is not in %s; rekey plugin add %s", name, d.Lock.Path(), from)
	}
	return d.take(ctx, from, options, func(found string, now lockfile.Plugin) error {
		if found != name {
			return fmt.Errorf("%s: it is the plugin %s, not %s", from, found, name)
		}
		return d.Lock.Covers(name, now.Egress, now.Paths)
	})
}

// take installs what from has, if it may be.
func (d *Depot) take(ctx context.Context, from string, options Options, may func(name string, now lockfile.Plugin) error) (Entry, error) {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return Entry{}, err
	}
	staged, err := stage(d.Dir, from, d.Taken)
	if err != nil {
		return Entry{}, err
	}
	defer staged.discard()
	now, err := d.look(ctx, staged, options)
	if err == nil {
		err = may(staged.name, now)
	}
	if err != nil {
		return Entry{}, staged.explain(err)
	}
	if !d.elsewhere(options) {
		if now.From, err = filepath.Abs(from); err != nil {
			return Entry{}, err
		}
	}
	return d.keep(staged, now, d.elsewhere(options))
}

// keep puts the plugin and its entry in place. The entry is written before: one
// that cannot be leaves everything as it was.
func (d *Depot) keep(staged *staged, now lockfile.Plugin, elsewhere bool) (Entry, error) {
	if err := d.Lock.Set(staged.name, now); err != nil {
		return Entry{}, err
	}
	commit, err := d.Lock.Prepare()
	if err != nil {
		return Entry{}, err
	}
	old := d.folderOf(staged.name)
	if !elsewhere {
		err = staged.install(d.path(staged.name))
	}
	if err = errors.Join(err, commit(err == nil)); err != nil {
		return Entry{}, err
	}
	if old != "" && old != d.folderOf(staged.name) {
		err = os.RemoveAll(old)
	}
	made := d.entry(staged.name)
	if !elsewhere {
		made.Copied = staged.copied
	}
	return made, err
}

func (d *Depot) elsewhere(options Options) bool {
	return options.Platform != "" && options.Platform != lockfile.Platform()
}

// look returns the entry of a staged plugin, which is asked what it is. A
// program of another platform cannot be: it is a further digest of an entry.
func (d *Depot) look(ctx context.Context, staged *staged, options Options) (lockfile.Plugin, error) {
	was, had := d.Lock.Of(staged.name)
	digest, _, err := launch.Digest(staged.program())
	if err != nil {
		return lockfile.Plugin{}, err
	}
	if d.elsewhere(options) {
		if !had {
			return lockfile.Plugin{}, fmt.Errorf("plugin %q is not in %s; add it for %s first", staged.name, d.Lock.Path(), lockfile.Platform())
		}
		if key := cmp.Or(options.Key, was.Key); key != "" {
			if err := lockfile.Signed(key, lockfile.Program{Name: staged.name, Path: staged.program(), Platform: options.Platform, Digest: digest}); err != nil {
				return lockfile.Plugin{}, err
			}
		}
		return was.With(options.Platform, digest), nil
	}
	description, err := d.Describe(ctx, staged.dir, staged.name)
	if err != nil {
		return lockfile.Plugin{}, err
	}
	now := lockfile.Plugin{Version: description.Version, Egress: description.Egress, Paths: description.Paths, Key: cmp.Or(options.Key, was.Key)}
	if had && was.Version == now.Version {
		now.SHA256 = was.SHA256
	}
	now = now.With(lockfile.Platform(), digest)
	if now.Key == "" {
		return now, nil
	}
	return now, lockfile.Signed(now.Key, lockfile.Program{Name: staged.name, Path: staged.program(), Platform: lockfile.Platform(), Digest: digest})
}

// Remove takes a plugin out of the directory and the lock file.
func (d *Depot) Remove(name string) error {
	_, locked := d.Lock.Of(name)
	path := d.path(name)
	_, err := os.Lstat(path)
	if there := err == nil; !lockfile.ValidName(name) || !there && !locked {
		return fmt.Errorf("there is no plugin %q in %s; rekey plugin list shows those there are", name, d.Dir)
	}
	folder := d.folderOf(name)
	for _, gone := range []string{path, lockfile.SignatureOf(path)} {
		if err := os.Remove(gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if folder != "" {
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
	}
	if !locked {
		return nil
	}
	d.Lock.Remove(name)
	return d.Lock.Write()
}

// folderOf is the folder of an installed script, if Add made it; "" of a program.
func (d *Depot) folderOf(name string) string {
	link, err := os.Readlink(d.path(name))
	folder := filepath.Dir(link)
	if err != nil || !strings.HasPrefix(folder, launch.FolderPrefix) || filepath.Base(folder) != folder {
		return ""
	}
	return filepath.Join(d.Dir, folder)
}
