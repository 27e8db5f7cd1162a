// Package catalog knows which backends exist and how each is started: those in
// the rekey binary, which starts itself again to serve them, and executables
// rekey-backend-NAME in the plugin directory. It refuses to know their work
// and what a script wants of them.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/strict"
)

// prefix is what the names of external plugins start with.
const prefix = "rekey-backend-"

// Catalog is the backends of one host, or of one script there. Its methods are
// safe for concurrent use.
type Catalog struct {
	*shelf
	lock *lockfile.Lock // of external plugins; nil: none
}

// shelf is what all catalogs of a host share.
type shelf struct {
	bundled map[string]sdk.Backend
	self    string
	dir     string
	options launch.Options

	unconfined []string // external plugins that are trusted like rekey itself

	mu      sync.Mutex
	plugins map[key]*launch.Plugin
	digests map[string]digested // by path
	closed  bool
}

// New returns the catalog of the bundled backends, which are started as
// `SELF serve-backend NAME`, and of the executables in dir; dir may be "".
// External ones are confined, with options.Sandbox all are, but for the
// unconfined: by `SELF confine …`, which is launch.Confine, if options.Confine
// names no other command. Nothing is started or read yet.
func New(bundled map[string]sdk.Backend, self, dir string, options launch.Options, unconfined ...string) *Catalog {
	if options.Confine == nil {
		options.Confine = []string{self, "confine"}
	}
	return &Catalog{shelf: &shelf{bundled: bundled, self: self, dir: dir, options: options, unconfined: unconfined,
		plugins: map[key]*launch.Plugin{}, digests: map[string]digested{}}}
}

// Locked returns the catalog of those who may start only what a lock admits.
// Processes are shared.
func (c *Catalog) Locked(lock *lockfile.Lock) *Catalog { return &Catalog{shelf: c.shelf, lock: lock} }

// key is one executable and its grants: a file replaced while its
// plugin runs is another.
type key struct {
	name, digest, grants string
	definition           string // its digest; "": none
	served               string // see Program
	confined             bool
}

// Names returns the names of all backends, sorted. An external one that cannot
// be used, because its name is taken for example, is among them once: Describe
// and Open tell the problem.
func (c *Catalog) Names() []string {
	var names []string
	for name := range c.bundled {
		names = append(names, name)
	}
	external, _ := c.external()
	names = append(names, external...)
	for name := range c.options.Reaches {
		names = append(names, name)
	}
	names = append(names, c.lock.Remotes()...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Known returns why a name is that of no backend; nil: it is one's.
func (c *Catalog) Known(name string) error {
	if slices.Contains(c.Names(), name) {
		return nil
	}
	return c.unknown(name)
}

// external lists the names in the plugin directory. A missing directory
// has no names.
func (c *Catalog) external() ([]string, error) {
	if c.dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plugin directory: %w", err)
	}
	var names []string
	for _, dirEntry := range entries {
		if name, ok := strings.CutPrefix(dirEntry.Name(), prefix); ok && name != "" && !dirEntry.IsDir() && !strings.HasSuffix(name, lockfile.SignatureOf("")) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Describe returns what a backend says of itself. A bundled one is asked in this
// process; an external one is started, unless the cache knows the description
// of exactly this executable. An unknown name is an error that suggests one.
func (c *Catalog) Describe(ctx context.Context, name string) (sdk.Description, error) {
	command, err := c.command(name)
	if err != nil {
		return sdk.Description{}, err
	}
	if backend, ok := c.bundled[name]; ok {
		description := backend.Describe()
		return description, description.References()
	}
	at := c.cachePlace(command)
	if description, ok := c.cached(at); ok {
		return description, c.fits(description, command)
	}
	plugin, err := c.plugin(c.described(command))
	if err != nil {
		return sdk.Description{}, err
	}
	d, err := plugin.Describe(ctx)
	if err == nil {
		err = c.fits(d, command)
	}
	if err != nil {
		return sdk.Description{}, err
	}
	c.keep(at, d)
	return d, nil
}

// Defined is Describe for the backend that a definition makes: an absolute path, or
// the name of one that comes with rekey. Where the backend takes no definition, or it is
// "", it is Describe.
func (c *Catalog) Defined(ctx context.Context, name, definition string) (sdk.Description, error) {
	defines, ok := c.bundled[name].(define.Backend)
	if !ok || definition == "" {
		return c.Describe(ctx, name)
	}
	defined, err := define.Of(defines, definition, "")
	if err != nil {
		return sdk.Description{}, err
	}
	return defined.Describe(), nil
}

// DescribeIn is Describe for a plugin in another directory, before it is
// installed: under no lock, and nothing is cached.
func (c *Catalog) DescribeIn(ctx context.Context, dir, name string) (sdk.Description, error) {
	options := c.options
	options.CacheDir, options.Sandbox = "", true
	other := New(nil, c.self, dir, options, c.unconfined...)
	description, err := other.Describe(ctx, name)
	return description, errors.Join(err, other.Close())
}

// fits refuses a plugin that calls itself something else than its file, asks for
// what it does not name, or for more than it was granted.
func (c *Catalog) fits(description sdk.Description, command launch.Command) error {
	if description.Name != command.Name && command.Reach != nil {
		return fmt.Errorf("%s: the plugin there calls itself %q, and not %q; use that name", command.Reach.Where, description.Name, command.Name)
	}
	if description.Name != command.Name {
		return fmt.Errorf("%s: the plugin calls itself %q; rename it to %s%s", command.Path, description.Name, prefix, description.Name)
	}
	if err := description.References(); err != nil {
		return fmt.Errorf("%s: %w; its author has to mend it", command.Path, err)
	}
	if command.Bundled || command.Reach != nil {
		return nil // it is not confined by its description
	}
	return c.lock.Covers(command.Name, description.Egress, description.Paths)
}

// Open configures an instance of a backend, and returns it with what it runs. There
// is one process a backend, for all its instances, started on first use; of a
// confined one there is one for all with the same grants.
func (c *Catalog) Open(ctx context.Context, name string, config sdk.Config) (*launch.Instance, Program, error) {
	placed, err := c.placed(ctx, name, config)
	if err != nil {
		return nil, Program{}, err
	}
	plugin, err := c.plugin(placed)
	if err != nil {
		return nil, Program{}, err
	}
	instance, err := plugin.Open(ctx, config)
	if err != nil {
		return nil, Program{}, err
	}
	if err := c.fits(instance.Description(), placed.Command); err != nil {
		_ = instance.Close()
		return nil, Program{}, err
	}
	return instance, placed.program(), nil
}

// Program is a backend's executable and its grants.
type Program struct {
	Path       string
	Digest     string // SHA-256 in hex; "" of a backend in rekey itself
	Definition string // SHA-256 of its definition; "": it has none
	Confined   bool   // to the grants
	Grants     launch.Grants
	Loose      string // why it is not confined although nobody said so; "": it is, or somebody did
	Far        bool   // it is on another machine
	Served     string // where it runs, if this process does not start it; "": it does
}

// Program returns what Open would start for an instance. It starts nothing that
// Describe has not.
func (c *Catalog) Program(ctx context.Context, name string, config sdk.Config) (Program, error) {
	placed, err := c.placed(ctx, name, config)
	return placed.program(), err
}

// Digest returns the SHA-256 of a backend's executable in hex, "" of one in
// rekey itself. It starts nothing.
func (c *Catalog) Digest(name string) (path, digest string, err error) {
	command, err := c.command(name)
	return command.Path, command.Digest, err
}

// placed is how a backend is started for an instance.
type placed struct {
	launch.Command
	definition string // SHA-256 of the definition that it is bound to; "": it has none
	confined   bool
	loose      string // why it is not, although nobody said so
}

func (p placed) program() Program {
	made := Program{p.Path, p.Digest, p.definition, p.confined, p.Grants, p.loose, false, ""}
	if p.Reach != nil {
		made.Served, made.Far = p.Reach.Served, p.Reach.Far
	}
	return made
}

// placed returns how a backend is started for an instance. An external plugin
// under no lock that cannot be confined is started all the same: where the kernel
// cannot confine it, or where the script itself leads it to what is the host's
// own.
func (c *Catalog) placed(ctx context.Context, name string, config sdk.Config) (placed, error) {
	command, err := c.command(name)
	made := placed{Command: command}
	if err == nil {
		err = c.bind(&made, config.Text(define.Setting))
	}
	if command.Reach != nil {
		made.loose = command.Reach.Loose
	}
	if err != nil || !c.confines(name) {
		return made, err
	}
	if made.loose = c.unable(name); made.loose != "" {
		return made, nil
	}
	description, err := c.Defined(ctx, name, config.Text(define.Setting))
	if err != nil {
		return made, err
	}
	made.Grants, err = launch.GrantsOf(description, config, c.options.Protect)
	var reach *launch.ReachError
	if errors.As(err, &reach) && reach.Given && c.lenient(name) {
		made.loose = reach.Message
		return made, nil
	}
	made.confined = true
	return made, err
}

// bind adds the definition to how a bundled backend is started, with the digest that
// it has now: the process takes no other text.
func (c *Catalog) bind(made *placed, path string) error {
	defines, ok := c.bundled[made.Name].(define.Backend)
	if !ok || path == "" {
		return nil
	}
	file, err := define.Read(defines, path)
	if err != nil {
		return err
	}
	made.Args, made.definition = append(made.Args, file.Path, file.Digest), file.Digest
	return nil
}

// described is how a backend is started to be asked what it is: with no grants.
func (c *Catalog) described(command launch.Command) placed {
	loose := ""
	if c.confines(command.Name) {
		loose = c.unable(command.Name)
	}
	return placed{Command: command, confined: c.confines(command.Name) && loose == "", loose: loose}
}

// confines reports whether a backend is to be confined to its grants: one that
// is not in rekey itself, unless somebody said otherwise.
func (c *Catalog) confines(name string) bool {
	_, bundled := c.bundled[name]
	return (c.options.Sandbox || !bundled) && c.reach(name) == nil && !slices.Contains(c.unconfined, name)
}

// lenient reports whether a backend that cannot be confined is started all the
// same: nobody asked for it, by a flag or by a lock.
func (c *Catalog) lenient(name string) bool {
	_, locked := c.lock.Of(name)
	return !c.options.Sandbox && !locked
}

// unable says why this machine cannot confine a backend that may be started all
// the same; "" if it can, or if that is to fail.
func (c *Catalog) unable(name string) string {
	if !c.lenient(name) {
		return ""
	}
	if _, err := launch.Confinable(); err != nil {
		return err.Error()
	}
	return ""
}

// plugin returns the plugin of an executable.
func (c *Catalog) plugin(placed placed) (*launch.Plugin, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the catalog is closed")
	}
	options := c.options
	options.Sandbox = placed.confined
	made := key{placed.Name, placed.Digest, placed.Grants.String(), placed.definition, placed.program().Served, options.Sandbox}
	plugin := c.plugins[made]
	if plugin == nil {
		plugin = launch.New(placed.Command, options)
		c.plugins[made] = plugin
	}
	return plugin, nil
}

// Close ends all plugins, within two seconds.
func (c *Catalog) Close() error {
	c.mu.Lock()
	c.closed = true
	all := c.plugins
	c.plugins = nil
	c.mu.Unlock()
	errs := make(chan error, len(all))
	for _, plugin := range all {
		go func() { errs <- plugin.Close() }()
	}
	var err error
	for range all {
		err = errors.Join(err, <-errs)
	}
	return err
}

// command returns how a backend is started, after it checked that it may be.
func (c *Catalog) command(name string) (launch.Command, error) {
	external, err := c.external()
	if err != nil {
		return launch.Command{}, err
	}
	path := filepath.Join(c.dir, prefix+name)
	reach := c.reach(name)
	switch _, bundled := c.bundled[name]; {
	case bundled && reach != nil:
		return launch.Command{}, fmt.Errorf("%s: the name %q is that of a backend in rekey itself; give it another", reach.Where, name)
	case bundled && slices.Contains(external, name):
		return launch.Command{}, fmt.Errorf("%s: the name %q is that of a backend in rekey itself; rename or remove the file", path, name)
	case bundled:
		return launch.Command{Path: c.self, Args: []string{"serve-backend", name}, Name: name, Bundled: true}, nil
	case reach != nil && reach.Far && slices.Contains(external, name):
		return launch.Command{}, fmt.Errorf("%s: %s has the plugin %s at %s; remove the file, or rekey plugin add it", path, c.lock.Path(), name, reach.Where)
	case reach != nil:
		return launch.Command{Name: name, Reach: reach}, nil
	case !slices.Contains(external, name):
		return launch.Command{}, c.unknown(name)
	}
	return c.executable(path, name)
}

// reach returns how a plugin is connected to that is not started here; nil: it is, or it
// is not known.
func (c *Catalog) reach(name string) *launch.Reach {
	if attached := c.options.Reaches[name]; attached != nil {
		return attached
	}
	if locked, ok := c.lock.Of(name); ok && locked.Remote != nil {
		return remote(*locked.Remote)
	}
	return nil
}

// remote is how a plugin on another machine is connected to.
func remote(at lockfile.Remote) *launch.Reach {
	return &launch.Reach{Where: at.Address, Served: at.String(), Far: true, Endpoint: func() (dial.Endpoint, error) {
		own, err := dial.ReadIdentity(at.Cert, at.Key)
		return dial.Endpoint{Network: "tcp", Address: at.Address, TLS: dial.Pinned(own, at.Pin)}, err
	}}
}

// DescribeRemote is Describe for a plugin on another machine, before it is locked.
func (c *Catalog) DescribeRemote(ctx context.Context, name string, at lockfile.Remote) (sdk.Description, error) {
	options := c.options
	options.Reaches = map[string]*launch.Reach{name: remote(at)}
	other := New(c.bundled, c.self, "", options)
	description, err := other.Describe(ctx, name)
	return description, errors.Join(err, other.Close())
}

// executable checks a file in the plugin directory. Only root and the user
// who runs rekey may be able to put another in its place.
func (c *Catalog) executable(path, name string) (launch.Command, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return launch.Command{}, err
	}
	info, err := c.trusted(path)
	if err != nil {
		return launch.Command{}, err
	}
	switch {
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return launch.Command{}, fmt.Errorf("%s: not an executable file; chmod +x it, or remove it", path)
	case info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return launch.Command{}, fmt.Errorf("%s: it runs with the rights of its owner or group, not of who runs rekey; chmod ug-s %s", path, path)
	}
	digest, err := c.digest(path, info)
	if err != nil {
		return launch.Command{}, fmt.Errorf("%s: cannot be read, so it cannot be told whether it changes; chmod u+r it: %w", path, err)
	}
	return launch.Command{Path: path, Name: name, Digest: digest}, c.lock.Admits(name, path, digest)
}

// trusted returns what a plugin's name leads to, judged with every directory
// and link on the way.
func (c *Catalog) trusted(path string) (fs.FileInfo, error) {
	info, err := strict.Walk(path, os.Geteuid())
	var problem *strict.Problem
	switch {
	case errors.As(err, &problem):
		return nil, fmt.Errorf("%s: %s, so another user could replace the plugin %s; %s", problem.Path, problem.Message, filepath.Base(path), problem.Fix)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: a symbolic link to nothing; install the plugin again, or remove it", path)
	}
	return info, err
}

// place is where a description is kept, and of which surroundings it has to be.
type place struct{ path, around string }

// cachePlace is by name too: a program may be several plugins, as it is called.
// Without a path nothing is kept: there is no cache, or it cannot be told when
// it is stale.
func (c *Catalog) cachePlace(command launch.Command) place {
	if c.options.CacheDir == "" || command.Digest == "" {
		return place{}
	}
	around, err := launch.Surroundings(command.Path)
	if err != nil {
		return place{}
	}
	return place{filepath.Join(c.options.CacheDir, "describe-"+command.Name+"-"+command.Digest+".json"), around}
}

// cached returns the description that is kept at a place. One that cannot be read
// is none.
func (c *Catalog) cached(at place) (sdk.Description, bool) {
	if at.path == "" {
		return sdk.Description{}, false
	}
	text, err := os.ReadFile(at.path)
	if err != nil {
		return sdk.Description{}, false
	}
	var s stored
	if json.Unmarshal(text, &s) != nil || s.Format != cacheFormat || s.Around != at.around {
		return sdk.Description{}, false
	}
	return s.Description, typed(s.Description.Config) && typed(s.Description.Options)
}

// keep stores a description. Failing to write the cache harms nothing.
func (c *Catalog) keep(at place, description sdk.Description) {
	if at.path == "" {
		return
	}
	description.Config, description.Options = untyped(description.Config), untyped(description.Options)
	text, err := json.Marshal(stored{cacheFormat, at.around, description})
	if err != nil || os.MkdirAll(c.options.CacheDir, 0o700) != nil {
		return
	}
	file, err := os.CreateTemp(c.options.CacheDir, "describe-*.new")
	if err != nil {
		return
	}
	_, err = file.Write(text)
	if cerr := file.Close(); err != nil || cerr != nil || os.Rename(file.Name(), at.path) != nil {
		_ = os.Remove(file.Name())
	}
}

// digest returns launch.Digest of a program, which is read again only if it
// looks changed: launch compares it with the started program. What a script is
// can change without its own file.
func (c *Catalog) digest(path string, now fs.FileInfo) (string, error) {
	c.mu.Lock()
	seen, ok := c.digests[path]
	c.mu.Unlock()
	if ok && os.SameFile(seen.info, now) && seen.info.Size() == now.Size() && seen.info.ModTime().Equal(now.ModTime()) {
		return seen.digest, nil
	}
	digest, script, err := launch.Digest(path)
	if err != nil || script {
		return digest, err
	}
	c.mu.Lock()
	c.digests[path] = digested{now, digest}
	c.mu.Unlock()
	return digest, nil
}

// unknown is the error of a name that no backend has.
func (c *Catalog) unknown(name string) error {
	names := c.Names()
	like := diag.DidYouMean(name, names)
	switch {
	case like != "":
		return fmt.Errorf("there is no backend %q; %s", name, like)
	case len(names) == 0:
		return fmt.Errorf("there is no backend %q, and no other", name)
	default:
		return fmt.Errorf("there is no backend %q; there is %s%s", name, strings.Join(names, ", "), c.elsewhere())
	}
}

// elsewhere says where more backends would come from, where no directory is named
// or the one that is named is missing; "" else.
func (c *Catalog) elsewhere() string {
	if c.dir == "" {
		return "; others are found in REKEY_PLUGIN_DIR, which is not set"
	}
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf("; others are found in REKEY_PLUGIN_DIR: there is no directory %s", c.dir)
	}
	return ""
}
