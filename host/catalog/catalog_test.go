package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rekey-host/rekey/host/catalog"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// notes is the file in which a plugin process of these tests notes that it was
// started; it stands beside the plugin.
const notes = "started"

// TestMain turns the test binary into a bundled backend when it is started as
// rekey would, and into an external one by the name that it is started under.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "confine" {
		fmt.Fprintln(os.Stderr, launch.Confine(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) == 3 && os.Args[1] == "serve-backend" {
		serve.Main(backend{os.Args[2]})
	}
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "rekey-backend-"); ok {
		if os.Getenv("HOME") != os.Getenv("TMPDIR") { // in the sandbox nothing can be noted
			note(filepath.Dir(os.Args[0]), name)
		}
		if name == "liar" {
			name = "truth"
		}
		serve.Main(backend{name})
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // these tests wait for processes
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func note(dir, name string) {
	f, err := os.OpenFile(filepath.Join(dir, notes), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = fmt.Fprintln(f, name)
		_ = f.Close()
	}
}

type backend struct{ name string }

func (b backend) Describe() sdk.Description {
	return sdk.Description{Name: b.name, Version: "1", Verbs: []sdk.Verb{sdk.Set}, Limits: sdk.Limits{Concurrency: 3, Timeout: time.Minute}, Config: []sdk.Field{
		{Name: "wait", Type: sdk.Duration, Default: 3 * time.Second}, {Name: "count", Type: sdk.Int, Default: int64(7)},
		{Name: "names", Type: sdk.List, Default: []string{"a", "b"}}, {Name: "on", Type: sdk.Bool, Default: true},
		{Name: "data", Type: sdk.Path}}, Paths: []string{"write {data}"}}
}

func (b backend) Configure(context.Context, sdk.Config) (sdk.Instance, error) { return b, nil }
func (b backend) Apply(_ context.Context, op sdk.Operation) sdk.Receipt {
	if path, ok := strings.CutPrefix(op.Account, "read "); ok {
		if _, err := os.ReadFile(path); err != nil {
			return sdk.Refuse(sdk.Errorf(sdk.PermissionDenied, "%s", err))
		}
	}
	return sdk.Receipt{Outcome: sdk.Applied, Ref: b.name + " " + strconv.Itoa(os.Getpid())}
}
func (b backend) Close() error { return nil }

// place is a plugin directory and what else a catalog needs.
type place struct {
	dir     string
	options launch.Options

	unconfined []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	run, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	return &place{dir: t.TempDir(), unconfined: []string{"acme", "linked", "liar", "absent"}, options: launch.Options{RunDir: run, CacheDir: filepath.Join(t.TempDir(), "cache")}}
}

func (p *place) catalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	c := catalog.New(map[string]sdk.Backend{"ldap": backend{"ldap"}, "memory": backend{"memory"}}, self(t), p.dir, p.options, p.unconfined...)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// started lists the external plugins that were started, in order.
func (p *place) started() []string {
	text, _ := os.ReadFile(filepath.Join(p.dir, notes))
	return strings.Fields(string(text))
}

func (p *place) path(name string) string { return filepath.Join(p.dir, "rekey-backend-"+name) }

// install makes an executable of its own of this binary.
func (p *place) install(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), content, 0o700); err != nil {
		t.Fatal(err)
	}
	return p.path(name)
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, c *catalog.Catalog, name string) *launch.Instance {
	t.Helper()
	i, _, err := c.Open(t.Context(), name, sdk.Config{Label: name, Concurrency: 2, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// apply does one operation.
func apply(i *launch.Instance, account string) sdk.Receipt {
	got := make(chan sdk.Receipt, 1)
	i.Submit([]sdk.Operation{{ID: fmt.Sprint(time.Now().UnixNano()), Verb: sdk.Set, Account: account, Value: secret.New("a value")}}, func(_ int, r sdk.Receipt) { got <- r })
	return <-got
}

// ref is which backend and process answer an operation.
func ref(t *testing.T, i *launch.Instance) (name string, pid int) {
	t.Helper()
	r := apply(i, "u")
	name, number, _ := strings.Cut(r.Ref, " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("%v %v", r.Outcome, r.Err)
	}
	return name, pid
}

func TestBundledBackendsAreThisBinaryStartedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.catalog(t)
	if d, err := c.Describe(t.Context(), "ldap"); err != nil || d.Name != "ldap" {
		t.Errorf("got %q %v", d.Name, err)
	}
	if entries, _ := os.ReadDir(p.options.RunDir); len(entries) > 0 {
		t.Error("a process was started to describe what this binary knows")
	}
	a, b, other := open(t, c, "ldap"), open(t, c, "ldap"), open(t, c, "memory")
	nameA, pidA := ref(t, a)
	_, pidB := ref(t, b)
	nameC, pidC := ref(t, other)
	if nameA != "ldap" || nameC != "memory" || pidA != pidB || pidA == pidC || pidA == os.Getpid() {
		t.Errorf("%s in %d and %d, %s in %d: want one process a plugin", nameA, pidA, pidB, nameC, pidC)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{pidA, pidC} {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d still runs", pid)
		}
	}
	if _, _, err := c.Open(t.Context(), "ldap", sdk.Config{}); err == nil {
		t.Error("it was opened after Close")
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestNamesAreThoseOfBothKinds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, name := range []string{"acme", "ldap"} {
		if err := os.WriteFile(p.path(name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(p.dir, "README"), nil, 0o600), os.WriteFile(p.path(""), nil, 0o700),
		os.Mkdir(p.path("directory"), 0o700), os.Symlink(p.path("acme"), p.path("linked"))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acme", "ldap", "linked", "memory"}, p.catalog(t).Names()); diff != "" {
		t.Error(diff)
	}
	p.dir = filepath.Join(p.dir, "missing")
	if diff := cmp.Diff([]string{"ldap", "memory"}, p.catalog(t).Names()); diff != "" {
		t.Error(diff)
	}
	p.dir = ""
	if diff := cmp.Diff([]string{"ldap", "memory"}, p.catalog(t).Names()); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnknownNameSuggestsOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.catalog(t)
	for _, x := range []struct{ name, want string }{
		{"ldpa", `there is no backend "ldpa"; did you mean "ldap"?`},
		{"LDAP", `there is no backend "LDAP"; did you mean "ldap"?`},
		{"memorie", `there is no backend "memorie"; did you mean "memory"?`},
		{"smartcloud", `there is no backend "smartcloud"; there is ldap, memory`},
		{"", `there is no backend ""; there is ldap, memory`},
		{"../ldap", `there is no backend "../ldap"; there is ldap, memory`},
	} {
		if _, err := c.Describe(t.Context(), x.name); err == nil || err.Error() != x.want {
			t.Errorf("Describe(%q) = %v, want %s", x.name, err, x.want)
		}
		if _, _, err := c.Open(t.Context(), x.name, sdk.Config{}); err == nil || err.Error() != x.want {
			t.Errorf("Open(%q) = %v, want %s", x.name, err, x.want)
		}
	}
	empty := catalog.New(nil, self(t), "", p.options)
	if _, err := empty.Describe(t.Context(), "x"); err == nil || err.Error() != `there is no backend "x", and no other` {
		t.Errorf("got %v", err)
	}
	for dir, want := range map[string]string{"": ", which is not set", "/nowhere/plugins": ": there is no directory /nowhere/plugins"} {
		bundled := catalog.New(map[string]sdk.Backend{"memory": backend{"memory"}}, self(t), dir, p.options)
		if err := bundled.Known("okta"); err == nil || err.Error() != `there is no backend "okta"; there is memory; others are found in REKEY_PLUGIN_DIR`+want {
			t.Errorf("got %v", err)
		}
		if err := bundled.Known("memory"); err != nil {
			t.Error(err)
		}
	}
}

func TestAnExternalPluginIsAskedOnceForEachExecutable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	path := p.install(t, "acme")
	first, err := p.catalog(t).Describe(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	cached, err := p.catalog(t).Describe(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, cached); diff != "" {
		t.Errorf("what the cache says differs: %s", diff)
	}
	if diff := cmp.Diff([]string{"acme"}, p.started()); diff != "" {
		t.Errorf("started: %s", diff)
	}
	c := p.catalog(t)
	if _, err := c.Describe(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path) // another version
	if _, err := c.Describe(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acme", "acme"}, p.started()); diff != "" {
		t.Errorf("started after a change: %s", diff)
	}
	spoil(t, p.options.CacheDir)
	if d, err := p.catalog(t).Describe(t.Context(), "acme"); err != nil || d.Name != "acme" {
		t.Errorf("with a spoilt cache: %q %v", d.Name, err)
	}
	if diff := cmp.Diff([]string{"acme", "acme", "acme"}, p.started()); diff != "" {
		t.Errorf("started with a spoilt cache: %s", diff)
	}
}

func appendTo(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path) // it may be running
	}
	if err == nil {
		err = os.WriteFile(path, append(content, 0), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func spoil(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the cache holds %v, %v; want two files", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", f, info.Mode(), err)
		}
		content, err := os.ReadFile(f)
		if err != nil || !json.Valid(content) {
			t.Errorf("%s: %v", f, err)
		}
		if err := os.WriteFile(f, content[:len(content)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnExternalPluginWorksLikeABundledOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.install(t, "acme")
	if err := os.Symlink(p.path("acme"), p.path("linked")); err != nil {
		t.Fatal(err)
	}
	c := p.catalog(t)
	var wg sync.WaitGroup
	pids := make([]int, 8)
	for n := range pids {
		wg.Go(func() { _, pids[n] = ref(t, open(t, c, "acme")) })
	}
	wg.Wait()
	if slices.Max(pids) != slices.Min(pids) {
		t.Errorf("processes %v, want one for all instances", pids)
	}
	if name, _ := ref(t, open(t, c, "linked")); name != "linked" {
		t.Errorf("through a symbolic link: %q", name)
	}
	if err := c.Close(); err != nil || syscall.Kill(pids[0], 0) == nil {
		t.Errorf("process %d still runs: %v", pids[0], err)
	}
}

func TestAFileThatIsNoPluginIsExplained(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for name, mode := range map[string]os.FileMode{"plain": 0o600, "open": 0o702, "ldap": 0o700} {
		if err := errors.Join(os.WriteFile(p.path(name), []byte("#!/bin/sh\n"), mode), os.Chmod(p.path(name), mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(p.path("directory"), 0o700), os.Symlink("/nowhere", p.path("dangling")), os.Symlink(p.dir, p.path("todir")),
		syscall.Mkfifo(p.path("pipe"), 0o700)); err != nil {
		t.Fatal(err)
	}
	p.install(t, "liar")
	c := p.catalog(t)
	for _, x := range []struct{ name, want string }{
		{"plain", "rekey-backend-plain: not an executable file; chmod +x it, or remove it"},
		{"open", "rekey-backend-open: everybody may write it, so another user could replace the plugin rekey-backend-open; chmod o-w "},
		{"ldap", `rekey-backend-ldap: the name "ldap" is that of a backend in rekey itself; rename or remove the file`},
		{"directory", `there is no backend "directory"`},
		{"dangling", "rekey-backend-dangling: a symbolic link to nothing; install the plugin again, or remove it"},
		{"todir", "rekey-backend-todir: not an executable file"},
		{"pipe", "rekey-backend-pipe: not an executable file"},
		{"liar", `rekey-backend-liar: the plugin calls itself "truth"; rename it to rekey-backend-truth`},
	} {
		_, err := c.Describe(t.Context(), x.name)
		_, _, oerr := c.Open(t.Context(), x.name, sdk.Config{Label: "x", Concurrency: 1})
		for _, err := range []error{err, oerr} {
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want …%s", x.name, err, x.want)
			}
		}
	}
	if err := os.Chmod(p.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	p.install(t, "acme")
	if _, err := c.Describe(t.Context(), "acme"); err == nil || !strings.Contains(err.Error(), p.dir+": its group and everybody else may write it, so another user could replace the plugin rekey-backend-acme; chmod go-w "+p.dir) {
		t.Errorf("in a directory that is open to all: %v", err)
	}
}

// TestAPluginThatSomebodyElseCouldReplaceIsNotStarted: neither to be described
// nor to be opened, nor after it was started once.
func TestAPluginThatSomebodyElseCouldReplaceIsNotStarted(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(*place) error{
		"group may write the file":      func(p *place) error { return os.Chmod(p.path("acme"), 0o770) },
		"group may write the directory": func(p *place) error { return os.Chmod(p.dir, 0o770) },
		"sticky directory":              func(p *place) error { return os.Chmod(p.dir, 0o777|os.ModeSticky) },
		"a directory above":             func(p *place) error { return os.Chmod(filepath.Dir(p.dir), 0o777) },
		"setuid":                        func(p *place) error { return os.Chmod(p.path("acme"), 0o700|os.ModeSetuid) },
		"setgid":                        func(p *place) error { return os.Chmod(p.path("acme"), 0o700|os.ModeSetgid) },
		"a link into an open directory": func(p *place) error {
			open := filepath.Join(p.dir, "open")
			return errors.Join(os.Mkdir(open, 0o700), os.Rename(p.path("acme"), filepath.Join(open, "acme")),
				os.Symlink(filepath.Join(open, "acme"), p.path("acme")), os.Chmod(open, 0o777))
		},
	} {
		p := newPlace(t)
		p.install(t, "acme")
		c := p.catalog(t)
		if _, err := c.Describe(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		if err := spoil(p); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*catalog.Catalog{c, p.catalog(t)} {
			_, derr := c.Describe(t.Context(), "acme")
			_, _, oerr := c.Open(t.Context(), "acme", sdk.Config{Label: "x", Concurrency: 1})
			_, _, gerr := c.Digest("acme")
			for _, err := range []error{derr, oerr, gerr} {
				if err == nil || !strings.Contains(err.Error(), "; chmod ") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v, want what to type", what, err)
				}
			}
		}
		if diff := cmp.Diff([]string{"acme"}, p.started()); diff != "" {
			t.Errorf("%s: started again: %s", what, diff)
		}
		if err := os.Chmod(filepath.Dir(p.dir), 0o700); err != nil { // it is the next one's too
			t.Fatal(err)
		}
	}
}

// TestAScriptIsAskedAgainWhenWhatLiesBesideItChanges: its interpreter reads that
// too, and settings of yesterday would be checked against.
func TestAScriptIsAskedAgainWhenWhatLiesBesideItChanges(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	program := p.install(t, "program")
	beside := filepath.Join(p.dir, "lib", "settings.txt")
	script := fmt.Sprintf("#!/bin/sh\nexec -a /elsewhere/rekey-backend-acme %s \"$@\"\n", program)
	if err := errors.Join(os.Mkdir(filepath.Dir(beside), 0o700), os.WriteFile(beside, []byte("one"), 0o600),
		os.WriteFile(p.path("acme"), []byte(strings.Replace(script, "/bin/sh", "/bin/bash", 1)), 0o700)); err != nil {
		t.Fatal(err)
	}
	p.unconfined = append(p.unconfined, "program")
	describe := func() []byte {
		t.Helper()
		if d, err := p.catalog(t).Describe(t.Context(), "acme"); err != nil || d.Name != "acme" {
			t.Fatalf("%q %v", d.Name, err)
		}
		files, err := filepath.Glob(filepath.Join(p.options.CacheDir, "describe-acme-*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("the cache has %v, %v", files, err)
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := describe()
	if !bytes.Equal(describe(), first) {
		t.Error("it was asked again although nothing had changed")
	}
	if err := os.WriteFile(beside, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(describe(), first) {
		t.Error("the description of before was taken")
	}
}

// TestWhatIsOnRecordIsWhatWasStarted: a file that is replaced behind the start is
// another program's.
func TestWhatIsOnRecordIsWhatWasStarted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	path := p.install(t, "acme")
	c := p.catalog(t)
	_, before, err := c.Digest("acme")
	if err != nil {
		t.Fatal(err)
	}
	instance, program, err := c.Open(t.Context(), "acme", sdk.Config{Label: "acme", Concurrency: 1, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = instance.Close() }()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(must(os.ReadFile(path+".old")), '\n'), 0o700); err != nil {
		t.Fatal(err)
	}
	if later, err := c.Program(t.Context(), "acme", sdk.Config{}); err != nil || later.Digest == before || program.Digest != before || program.Path != path {
		t.Errorf("started %+v, there now %s, before %s: %v", program, later.Digest, before, err)
	}
}

func must(content []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return content
}

// TestAPluginThatIsAttachedToTakesNoBundledName, and goes before one of the directory.
func TestAPluginThatIsAttachedToTakesNoBundledName(t *testing.T) {
	t.Parallel()
	reaches, err := launch.Reattached(`{"truth": {"Protocol": "grpc", "ProtocolVersion": 1, "Pid": 7, "Test": true, "Addr": {"Network": "unix", "String": "/nowhere/plugin"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	bundled := catalog.New(map[string]sdk.Backend{"truth": backend{"truth"}}, "/nowhere/rekey", "", launch.Options{Reaches: reaches})
	t.Cleanup(func() { _ = bundled.Close() })
	if _, err := bundled.Describe(t.Context(), "truth"); err == nil || !strings.Contains(err.Error(), `attached to process 7: the name "truth" is that of a backend in rekey itself`) {
		t.Errorf("a bundled name: %v", err)
	}
	attached := catalog.New(nil, "/nowhere/rekey", "", launch.Options{Reaches: reaches})
	t.Cleanup(func() { _ = attached.Close() })
	if names := attached.Names(); !slices.Equal(names, []string{"truth"}) {
		t.Errorf("names %v", names)
	}
	program, err := attached.Program(t.Context(), "truth", sdk.Config{})
	if err != nil || program.Served != launch.Attached || program.Loose == "" || program.Confined {
		t.Errorf("%+v, %v", program, err)
	}
	if _, err := attached.Describe(t.Context(), "truth"); err == nil || !strings.Contains(err.Error(), "is rekey plugin dev still running?") {
		t.Errorf("nobody there: %v", err)
	}
	for _, text := range []string{"{", `{"x": {"Protocol": "netrpc"}}`, `{"x": {"Protocol": "grpc", "ProtocolVersion": 1, "Addr": {"Network": "tcp"}}}`} {
		if _, err := launch.Reattached(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
