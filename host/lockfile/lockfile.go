// Package lockfile is rekey.lock: which plugins may be started, by the SHA-256
// of their programs on each platform, and what each was granted. It knows
// files; it refuses to know how a plugin is started or installed.
package lockfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/rekey-host/rekey/sdk/strict"
)

// Name is the name of a lock file.
const Name = "rekey.lock"

// format changes when the file says things in another way.
const format = 1

// Lock is what a lock file says. A nil Lock is none: it admits every plugin.
type Lock struct {
	path    string
	there   bool // the file exists
	plugins map[string]Plugin
}

// Plugin is one entry.
type Plugin struct {
	Version string            `json:"version"`
	From    string            `json:"from,omitempty"`   // the file or archive that it was added from
	Remote  *Remote           `json:"remote,omitempty"` // where it serves, if it is not installed here; then it has no SHA-256
	SHA256  map[string]string `json:"sha256,omitempty"` // of its program, of a script's folder, in hex; by "os/arch"
	Egress  []string          `json:"egress,omitempty"` // granted, as its description says it
	Paths   []string          `json:"paths,omitempty"`  // granted, as its description says it
	Key     string            `json:"key,omitempty"`    // the verifier key of who signs it; "": unsigned
}

// Remote is a plugin that serves on another machine, and how the two ends know each
// other. No secret is in it.
type Remote struct {
	Address string `json:"address"` // HOST:PORT
	Pin     string `json:"pin"`     // SHA-256 of its public key, in hex
	Cert    string `json:"cert"`    // file of what this end shows of itself
	Key     string `json:"key"`     // file of the key to that
}

// addresses are HOST:PORT, an address of IPv6 in brackets.
var addresses = regexp.MustCompile(`^(\[[0-9a-fA-F:.%]+\]|[^\s:/]+):[0-9]{1,5}$`)

// String says where it is and who may answer there.
func (r Remote) String() string { return "remote " + r.Address + ", key SHA-256 " + r.Pin }

func (r Remote) valid() error {
	if !addresses.MatchString(r.Address) {
		return fmt.Errorf("remote: address: %q is no HOST:PORT", r.Address)
	}
	if !sum(r.Pin) {
		return fmt.Errorf("remote: pin: %q is no SHA-256 in small hex", r.Pin)
	}
	for _, path := range []string{r.Cert, r.Key} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("remote: %q is no absolute path", path)
		}
	}
	return nil
}

// sum reports whether a text is a SHA-256 in small hex.
func sum(text string) bool {
	bytes, err := hex.DecodeString(text)
	return err == nil && len(bytes) == 32 && text == strings.ToLower(text)
}

// stored is the file.
type stored struct {
	Format  int               `json:"format"`
	Plugins map[string]Plugin `json:"plugins"`
}

// Platform is this one, as entries name it.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Find reads the first lock file that exists in one of the directories; nil if
// none does. "" is no directory.
func Find(dirs ...string) (*Lock, error) {
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		lock, err := Read(filepath.Join(dir, Name))
		if lock != nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return lock, err
		}
	}
	return nil, nil
}

// Read reads a lock file. Who could change it could have any program started,
// so it is judged as a plugin is. The error of a missing file is
// fs.ErrNotExist; any other names the file, the entry and the fix.
func Read(path string) (*Lock, error) {
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	var problem *strict.Problem
	switch _, err := strict.Keep(path, os.Geteuid()); {
	case errors.As(err, &problem):
		return nil, fmt.Errorf("%s: %s, so another user could have any plugin started; %s", problem.Path, problem.Message, problem.Fix)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lock, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore it, or remove it and add the plugins again by rekey plugin add", path, err)
	}
	lock.path, lock.there = path, true
	return lock, nil
}

// New returns an empty lock for a path.
func New(path string) *Lock { return &Lock{path: path, plugins: map[string]Plugin{}} }

func parse(text []byte) (*Lock, error) {
	var file stored
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows after the end")
	}
	if file.Format != format {
		return nil, fmt.Errorf("format is %d, this rekey reads %d", file.Format, format)
	}
	for name, plugin := range file.Plugins {
		if err := plugin.valid(name); err != nil {
			return nil, fmt.Errorf("plugin %q: %w", name, err)
		}
	}
	if file.Plugins == nil {
		file.Plugins = map[string]Plugin{}
	}
	return &Lock{plugins: file.Plugins}, nil
}

// names are those that a plugin can have: no path in disguise.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// platforms are "os/arch".
var platforms = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)

// ValidName reports whether a plugin can have the name.
func ValidName(name string) bool { return names.MatchString(name) }

// With returns the entry with the digest of one more platform.
func (p Plugin) With(platform, digest string) Plugin {
	digests := maps.Clone(p.SHA256)
	if digests == nil {
		digests = map[string]string{}
	}
	digests[platform] = digest
	p.SHA256 = digests
	return p
}

func (p Plugin) valid(name string) error {
	if !ValidName(name) {
		return errors.New("the name is not one of small letters, digits, - and _")
	}
	switch {
	case p.Remote != nil && len(p.SHA256) > 0:
		return errors.New("it is remote and has a sha256; it is one of them")
	case p.Remote != nil:
		return p.Remote.valid()
	case len(p.SHA256) == 0:
		return errors.New("sha256: missing")
	}
	for platform, digest := range p.SHA256 {
		if !platforms.MatchString(platform) {
			return fmt.Errorf("sha256: %q is no platform such as linux/amd64", platform)
		}
		if !sum(digest) {
			return fmt.Errorf("sha256: %s: %q is no SHA-256 in small hex", platform, digest)
		}
	}
	return nil
}

// Path is where the lock file is, or will be.
func (l *Lock) Path() string { return l.path }

// Exists reports whether there is a file: without one every plugin is started.
func (l *Lock) Exists() bool { return l != nil && l.there }

// Names are those of the plugins, sorted.
func (l *Lock) Names() []string {
	if l == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(l.plugins))
}

// Remotes are the names of the plugins that serve on other machines, sorted.
func (l *Lock) Remotes() []string {
	return slices.DeleteFunc(l.Names(), func(name string) bool { return l.plugins[name].Remote == nil })
}

// Of returns the entry of a plugin.
func (l *Lock) Of(name string) (Plugin, bool) {
	if l == nil {
		return Plugin{}, false
	}
	plugin, ok := l.plugins[name]
	return plugin, ok
}

// Set replaces an entry.
func (l *Lock) Set(name string, plugin Plugin) error {
	if err := plugin.valid(name); err != nil {
		return fmt.Errorf("plugin %q: %w", name, err)
	}
	l.plugins[name] = plugin
	return nil
}

// Remove takes an entry out.
func (l *Lock) Remove(name string) { delete(l.plugins, name) }

// Admits refuses a plugin that is not the one of the lock: its program has
// another SHA-256, or it is not in it, or not signed by whom it names. Nothing
// of the plugin is run for it.
func (l *Lock) Admits(name, program, digest string) error {
	if l == nil {
		return nil
	}
	plugin, locked := l.plugins[name]
	want, here := plugin.SHA256[Platform()]
	switch whole := whole(program); {
	case !locked:
		return fmt.Errorf("%s: it is not in %s; see what it is, then rekey plugin add %s%s", program, l.path, whole, l.flag(program))
	case !here:
		return fmt.Errorf("%s: %s has no SHA-256 of it for %s; rekey plugin add %s%s", program, l.path, Platform(), whole, l.flag(program))
	case digest != want:
		return fmt.Errorf("%s: its SHA-256 is %s, and %s in %s; if you know why, rekey plugin upgrade %s %s%s, else restore it", program, digest, want, l.path, name, whole, l.flag(program))
	case plugin.Key != "":
		return Signed(plugin.Key, Program{Name: name, Path: program, Platform: Platform(), Digest: digest})
	}
	return nil
}

// whole is what a command takes to have all of an installed plugin: of a script
// its folder in the plugin directory, since the link to it is the script alone.
func whole(program string) string {
	leads, err := os.Readlink(program)
	if folder := filepath.Dir(leads); err == nil && folder != "." && filepath.Base(folder) == folder {
		return filepath.Join(filepath.Dir(program), folder)
	}
	return program
}

// flag is what a command needs that is to write this file, and not the one in
// the plugin directory.
func (l *Lock) flag(program string) string {
	if filepath.Dir(l.path) == filepath.Dir(program) {
		return ""
	}
	return " --lock " + l.path
}

// Covers refuses a plugin that asks for more than it was granted.
func (l *Lock) Covers(name string, egress, paths []string) error {
	plugin, locked := l.Of(name)
	if !locked {
		return nil
	}
	more := append(without(egress, plugin.Egress), without(paths, plugin.Paths)...)
	if len(more) == 0 {
		return nil
	}
	return fmt.Errorf("plugin %s: it asks for more than %s grants it: %s; if that is right, rekey plugin add it again, with --lock %s", name, l.path, strings.Join(more, ", "), l.path)
}

// without returns what of a list is not in another.
func without(list, had []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(text string) bool { return slices.Contains(had, text) })
}

// Write replaces the lock file by what the lock says, whole or not at all.
func (l *Lock) Write() error {
	commit, err := l.Prepare()
	if err != nil {
		return err
	}
	return commit(true)
}

// Prepare writes what the lock says beside its file. commit puts it in place,
// or removes it.
func (l *Lock) Prepare() (commit func(bool) error, err error) {
	text, err := json.MarshalIndent(stored{format, l.plugins}, "", "  ")
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(l.path), ".rekey-lock-*")
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be written: %w; give --lock a file in a directory that exists and is yours", l.path, reason(err))
	}
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err != nil {
		return nil, errors.Join(err, os.Remove(file.Name()))
	}
	return func(wanted bool) error {
		if !wanted {
			return os.Remove(file.Name())
		}
		l.there = true
		return os.Rename(file.Name(), l.path)
	}, nil
}

// reason is an error of the file system without the path, which may be that of
// a temporary file.
func reason(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
