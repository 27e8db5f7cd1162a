// Package depot is the plugin directory and its lock file: what is installed
// there, how it gets in and out, and whether it is still what was added. It
// refuses to know what a plugin is for.
package depot

import (
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
}

// The states of an installed plugin.
const (
	Locked   = "locked"   // it is the one of the lock file
	Unlocked = "unlocked" // the lock file does not have it: no run starts it
	Missing  = "missing"  // the lock file has it, the directory does not
	Changed  = "changed"  // it is another, or not signed any more
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
	case errors.Is(err, fs.ErrNotExist):
		made.State, made.Problem = Missing, "the lock file has it and the plugin directory does not; rekey plugin add it, or rekey plugin remove "+name
		return made
	case err != nil:
		made.State, made.Problem = Changed, err.Error()
		return made
	}
	made.SHA256 = digest
	switch admitted := d.Lock.Admits(name, made.Path, digest); {
	case !has:
		made.State, made.Problem = Unlocked, admitted.Error()
	case admitted != nil:
		made.State, made.Problem = Changed, admitted.Error()
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

// Add installs a program, the folder of a script or an archive of either, and
// writes its entry in the lock file with what it is granted: all that its
// description asks for now. One that is there is replaced.
func (d *Depot) Add(ctx context.Context, from string, options Options) (Entry, error) {
	return d.take(ctx, from, options, func(string, lockfile.Plugin, bool) error { return nil })
}

// Upgrade is Add for a plugin that the lock file has, and refuses one that asks
// for more than that was granted.
func (d *Depot) Upgrade(ctx context.Context, name, from string, options Options) (Entry, error) {
	was, had := d.Lock.Of(name)
	if !had {
		return Entry{}, fmt.Errorf("plugin %q is not in %s; rekey plugin add it", name, d.Lock.Path())
	}
	if options.Key == "" {
		options.Key = was.Key
	}
	return d.take(ctx, from, options, func(found string, now lockfile.Plugin, _ bool) error {
		if found != name {
			return fmt.Errorf("%s: it is the plugin %s, not %s", from, found, name)
		}
		return d.Lock.Covers(name, now.Egress, now.Paths)
	})
}

// take installs what from has, if it may be.
func (d *Depot) take(ctx context.Context, from string, options Options, may func(name string, now lockfile.Plugin, known bool) error) (Entry, error) {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return Entry{}, err
	}
	staged, err := stage(d.Dir, from)
	if err != nil {
		return Entry{}, err
	}
	defer staged.discard()
	if d.Taken(staged.name) {
		return Entry{}, fmt.Errorf("%s: the name %q is that of a backend in rekey itself; rename the file", from, staged.name)
	}
	now, err := d.look(ctx, staged, options)
	if err != nil {
		return Entry{}, err
	}
	if now.From, err = filepath.Abs(from); err != nil {
		return Entry{}, err
	}
	_, known := d.Lock.Of(staged.name)
	if err := may(staged.name, now, known); err != nil {
		return Entry{}, err
	}
	if !d.elsewhere(options) {
		if err := staged.install(d.path(staged.name)); err != nil {
			return Entry{}, err
		}
	}
	if err := d.Lock.Set(staged.name, now); err != nil {
		return Entry{}, err
	}
	return d.entry(staged.name), d.Lock.Write()
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
		return was.With(options.Platform, digest), nil
	}
	description, err := d.Describe(ctx, staged.dir, staged.name)
	if err != nil {
		return lockfile.Plugin{}, err
	}
	now := lockfile.Plugin{Version: description.Version, Egress: description.Egress, Paths: description.Paths, Key: options.Key}
	if had && was.Version == now.Version {
		now.SHA256 = was.SHA256
	}
	now = now.With(lockfile.Platform(), digest)
	if now.Key == "" {
		return now, nil
	}
	return now, lockfile.Signed(now.Key, staged.name, staged.program(), digest)
}

// Remove takes a plugin out of the directory and the lock file.
func (d *Depot) Remove(name string) error {
	if !lockfile.ValidName(name) {
		return fmt.Errorf("there is no plugin %q", name)
	}
	_, locked := d.Lock.Of(name)
	path := d.path(name)
	folder, err := os.Readlink(path)
	if err != nil {
		folder = ""
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) && !locked {
		return fmt.Errorf("there is no plugin %q", name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.forgetFolder(folder); err != nil {
		return err
	}
	if err := os.Remove(lockfile.SignatureOf(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !locked {
		return nil
	}
	d.Lock.Remove(name)
	return d.Lock.Write()
}

// forgetFolder removes the folder to which the link of a script led, if it is
// one that Add made.
func (d *Depot) forgetFolder(link string) error {
	folder := filepath.Dir(link)
	if link == "" || !strings.HasPrefix(folder, folderPrefix) || filepath.Base(folder) != folder {
		return nil
	}
	return os.RemoveAll(filepath.Join(d.Dir, folder))
}
