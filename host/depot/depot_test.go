package depot_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/depot"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/lockfile"
	"github.com/rekey-host/rekey/sdk"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is a depot whose plugins say what the test wants.
type place struct {
	*depot.Depot
	says      sdk.Description
	distrusts error // what a run would say of every plugin
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plugins")
	made := &place{says: sdk.Description{Version: "1"}}
	made.Depot = &depot.Depot{Dir: dir, Lock: lockfile.New(filepath.Join(dir, lockfile.Name)), Taken: func(name string) bool { return name == "memory" },
		Describe: func(_ context.Context, dir, name string) (sdk.Description, error) {
			if _, err := os.Stat(filepath.Join(dir, "rekey-backend-"+name)); err != nil {
				return sdk.Description{}, err
			}
			return made.says, nil
		},
		Judge: func(lock *lockfile.Lock, name string) error {
			path := filepath.Join(dir, "rekey-backend-"+name)
			digest, _, err := launch.Digest(path)
			return errors.Join(err, lock.Admits(name, path, digest), made.distrusts)
		}}
	return made
}

// program writes a program, as far as its first bytes tell.
func program(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rekey-backend-"+name)
	must(t, os.WriteFile(path, []byte("\x7fELF"+text), 0o644))
	return path
}

// script writes a script with a module beside it.
func script(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rekey-backend-"+name)
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	must(t, os.MkdirAll(filepath.Join(filepath.Dir(path), "lib"), 0o755))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(path), "lib", "module"), []byte("one"), 0o644))
	return path
}

func (p *place) states(t *testing.T) map[string]string {
	t.Helper()
	list, err := p.List()
	must(t, err)
	states := map[string]string{}
	for _, entry := range list {
		if (entry.Problem == "") != (entry.State == depot.Locked) {
			t.Errorf("%s is %s: problem %q", entry.Name, entry.State, entry.Problem)
		}
		states[entry.Name] = entry.State
	}
	return states
}

func (p *place) added(t *testing.T, from string) depot.Entry {
	t.Helper()
	entry, err := p.Add(t.Context(), from, depot.Options{})
	must(t, err)
	return entry
}

func TestWhatIsAddedIsLocked(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.says = sdk.Description{Version: "1.2", Egress: []string{"{url}"}}
	from := program(t, "acme", "x")
	entry := p.added(t, from)
	if entry.State != depot.Locked || entry.Version != "1.2" || entry.From != from || entry.Egress[0] != "{url}" {
		t.Errorf("got %+v", entry)
	}
	if info, err := os.Stat(entry.Path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	p.added(t, filepath.Dir(script(t, "sh")))
	must(t, os.WriteFile(filepath.Join(p.Dir, "rekey-backend-stray"), []byte("#!/bin/sh\n"), 0o755))
	want := map[string]string{"acme": depot.Locked, "sh": depot.Locked, "stray": depot.Unlocked}
	if got := p.states(t); !equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	folders, _ := filepath.Glob(filepath.Join(p.Dir, ".rekey-plugin-sh-*"))
	if len(folders) != 1 {
		t.Fatalf("folders of the script: %v", folders)
	}
	must(t, os.WriteFile(filepath.Join(folders[0], "lib", "module"), []byte("two"), 0o644))
	must(t, os.WriteFile(entry.Path, []byte("\x7fELFy"), 0o755))
	if got := p.states(t); got["sh"] != depot.Changed || got["acme"] != depot.Changed {
		t.Errorf("a module and a program that were changed: %v", got)
	}
	must(t, os.Remove(entry.Path))
	if got := p.states(t); got["acme"] != depot.Missing {
		t.Errorf("a program that is gone: %v", got)
	}
	must(t, p.Remove("acme"))
	must(t, p.Remove("sh"))
	if got := p.states(t); !equal(got, map[string]string{"stray": depot.Unlocked}) {
		t.Errorf("after they were removed: %v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(p.Dir, ".rekey-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := p.Remove("acme"); err == nil || !strings.HasPrefix(err.Error(), `there is no plugin "acme" in `) {
		t.Errorf("once more: %v", err)
	}
}

func equal(a, b map[string]string) bool {
	for name := range a {
		if a[name] != b[name] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestAnUpgradeMayNotAskForMore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.says = sdk.Description{Version: "1", Egress: []string{"{url}"}}
	if _, err := p.Upgrade(t.Context(), "acme", program(t, "acme", "x"), depot.Options{}); err == nil || !strings.Contains(err.Error(), "is not in ") {
		t.Errorf("without an entry: %v", err)
	}
	was := p.added(t, program(t, "acme", "x"))
	p.says = sdk.Description{Version: "2", Egress: []string{"{url}", "evil.example:443"}}
	_, err := p.Upgrade(t.Context(), "acme", program(t, "acme", "y"), depot.Options{})
	if err == nil || !strings.Contains(err.Error(), "grants it: evil.example:443; if that is right, rekey plugin add it again, with --lock ") {
		t.Errorf("wider: %v", err)
	}
	if now, _ := p.List(); now[0].SHA256 != was.SHA256 || now[0].Version != "1" || now[0].State != depot.Locked {
		t.Errorf("the refusal changed it: %+v", now)
	}
	p.says.Egress = nil
	if now, err := p.Upgrade(t.Context(), "acme", program(t, "acme", "y"), depot.Options{}); err != nil || now.Version != "2" || now.SHA256 == was.SHA256 || len(now.Egress) > 0 {
		t.Errorf("narrower: %+v, %v", now, err)
	}
	if _, err := p.Upgrade(t.Context(), "acme", program(t, "other", "y"), depot.Options{}); err == nil || !strings.Contains(err.Error(), "it is the plugin other, not acme") {
		t.Errorf("another plugin: %v", err)
	}
}

func TestSeveralPlatformsShareAnEntry(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	foreign := program(t, "acme", "for arm")
	if _, err := p.Add(t.Context(), foreign, depot.Options{Platform: "plan9/arm"}); err == nil || !strings.Contains(err.Error(), "add it for "+lockfile.Platform()+" first") {
		t.Errorf("the other first: %v", err)
	}
	here := p.added(t, program(t, "acme", "x"))
	if now, err := p.Add(t.Context(), foreign, depot.Options{Platform: "plan9/arm"}); err != nil || now.SHA256 != here.SHA256 {
		t.Errorf("it replaced the program of this platform: %+v, %v", now, err)
	}
	read, err := lockfile.Read(p.Lock.Path())
	must(t, err)
	if entry, _ := read.Of("acme"); len(entry.SHA256) != 2 {
		t.Errorf("got %+v", entry)
	}
	p.added(t, program(t, "acme", "x"))
	if entry, _ := p.Lock.Of("acme"); len(entry.SHA256) != 2 {
		t.Errorf("the same version again: %+v", entry)
	}
	p.says.Version = "2"
	p.added(t, program(t, "acme", "y"))
	if entry, _ := p.Lock.Of("acme"); len(entry.SHA256) != 1 {
		t.Errorf("another version: %+v", entry)
	}
}

func TestWhatIsNoPluginIsNotAdded(t *testing.T) {
	t.Parallel()
	two := filepath.Dir(script(t, "one"))
	must(t, os.WriteFile(filepath.Join(two, "rekey-backend-two"), []byte("#!/bin/sh\n"), 0o755))
	plain := filepath.Join(t.TempDir(), "acme")
	must(t, os.WriteFile(plain, []byte("\x7fELF"), 0o755))
	for from, want := range map[string]string{
		plain:                            "a plugin is named rekey-backend-NAME",
		filepath.Join(t.TempDir(), "no"): "/no: does not exist",
		t.TempDir():                      "it has 0 files named rekey-backend-NAME, want one",
		two:                              "it has 2 files named rekey-backend-NAME, want one",
		program(t, "memory", ""):         `the name "memory" is that of a backend in rekey itself`,
		program(t, "Acme", ""):           "a plugin is named rekey-backend-NAME",
		tarball(t, "../rekey-backend-acme", tar.TypeReg):   `"../rekey-backend-acme" leads out of the archive`,
		tarball(t, "/bin/rekey-backend-acme", tar.TypeReg): `"/bin/rekey-backend-acme" leads out of the archive`,
		tarball(t, "rekey-backend-acme", tar.TypeSymlink):  `"rekey-backend-acme" is no file and no directory`,
		tarball(t, "rekey-backend-acme", tar.TypeFifo):     `"rekey-backend-acme" is no file and no directory`,
		zipped(t, "../../rekey-backend-acme"):              "leads out of the archive",
	} {
		p := newPlace(t)
		if _, err := p.Add(t.Context(), from, depot.Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), from) {
			t.Errorf("%s: %v, want %q", from, err, want)
		}
		if left, _ := os.ReadDir(p.Dir); len(left) > 0 {
			t.Errorf("%s: left behind: %v", from, left)
		}
	}
}

// TestOfAScriptOnlyWhatWasNamedIsCopied: the file alone, or its folder, private
// files as private as they were, and nothing from outside.
func TestOfAScriptOnlyWhatWasNamedIsCopied(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	from := script(t, "acme")
	private, cache := filepath.Join(filepath.Dir(from), "private"), filepath.Join(filepath.Dir(from), "lib", "__pycache__")
	must(t, os.Mkdir(cache, 0o700))
	must(t, os.WriteFile(filepath.Join(cache, "module.pyc"), []byte("in no digest"), 0o600))
	must(t, os.Mkdir(private, 0o700))
	must(t, os.WriteFile(filepath.Join(private, "env"), []byte("secret"), 0o600))
	must(t, os.MkdirAll(p.Dir, 0o755))
	must(t, os.WriteFile(filepath.Join(p.Dir, "notes"), nil, 0o644)) // is none of it
	if entry := p.added(t, from); entry.State != depot.Locked {
		t.Errorf("got %+v", entry)
	}
	if left, _ := filepath.Glob(filepath.Join(p.Dir, ".rekey-plugin-*", "*")); len(left) != 1 {
		t.Errorf("of a file its folder was copied: %v", left)
	}
	entry := p.added(t, filepath.Dir(from))
	if want := []string{"lib/", "private/", "rekey-backend-acme"}; !slices.Equal(entry.Copied, want) {
		t.Errorf("copied is %v, want %v", entry.Copied, want)
	}
	real, err := filepath.EvalSymlinks(entry.Path)
	must(t, err)
	if _, err := os.Stat(filepath.Join(filepath.Dir(real), "lib", "__pycache__")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cache came along: %v", err)
	}
	for name, mode := range map[string]os.FileMode{"private": 0o700, "private/env": 0o600, "rekey-backend-acme": 0o755} {
		if info, err := os.Stat(filepath.Join(filepath.Dir(real), name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	must(t, os.Symlink("/etc/passwd", filepath.Join(filepath.Dir(from), "link")))
	if _, err := p.Add(t.Context(), filepath.Dir(from), depot.Options{}); err == nil || !strings.Contains(err.Error(), "is a link out of the folder, to /etc/passwd") {
		t.Errorf("a link out: %v", err)
	}
	must(t, os.Remove(filepath.Join(filepath.Dir(from), "link")))
	p.Dir = filepath.Join(filepath.Dir(from), "plugins")
	if _, err := p.Add(t.Context(), filepath.Dir(from), depot.Options{}); err == nil || !strings.Contains(err.Error(), "lies in it; give the script a folder of its own") {
		t.Errorf("a folder with the plugin directory in it: %v", err)
	}
}

// TestAnUpgradeOfAFolderLeavesNothingOfTheOldOne.
func TestAnUpgradeOfAFolderLeavesNothingOfTheOldOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	from := script(t, "acme")
	p.added(t, filepath.Dir(from))
	must(t, os.WriteFile(filepath.Join(filepath.Dir(from), "lib", "module"), []byte("two"), 0o644))
	if _, err := p.Upgrade(t.Context(), "acme", filepath.Dir(from), depot.Options{}); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.Dir, ".rekey-*")); len(left) != 1 {
		t.Errorf("folders: %v, want that of the new one", left)
	}
}

// TestALockThatCannotBeWrittenChangesNothing.
// TestTheAdviceForAFolderTakesAllOfIt: the command that a changed script's error
// names is one that works, since the script needs what lies beside it.
func TestTheAdviceForAFolderTakesAllOfIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	entry := p.added(t, filepath.Dir(script(t, "sh")))
	folders, _ := filepath.Glob(filepath.Join(p.Dir, ".rekey-plugin-sh-*"))
	must(t, os.WriteFile(filepath.Join(folders[0], "lib", "module"), []byte("two"), 0o644))
	list, err := p.List()
	must(t, err)
	if want := "if you know why, rekey plugin upgrade sh " + folders[0] + ", else"; !strings.Contains(list[0].Problem, want) {
		t.Fatalf("got %s, want %s", list[0].Problem, want)
	}
	_, err = p.Upgrade(t.Context(), "sh", folders[0], depot.Options{})
	must(t, err)
	real, err := filepath.EvalSymlinks(entry.Path)
	must(t, err)
	if text, err := os.ReadFile(filepath.Join(filepath.Dir(real), "lib", "module")); err != nil || string(text) != "two" || p.states(t)["sh"] != depot.Locked {
		t.Errorf("after the upgrade: %q, %v, %v", text, err, p.states(t))
	}
}

func TestALockThatCannotBeWrittenChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Lock = lockfile.New(filepath.Join(t.TempDir(), "missing", lockfile.Name))
	if _, err := p.Add(t.Context(), program(t, "acme", "x"), depot.Options{}); err == nil || !strings.Contains(err.Error(), p.Lock.Path()+": cannot be written: ") || strings.Contains(err.Error(), ".rekey-lock-") {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(p.Dir); len(left) > 0 {
		t.Errorf("installed all the same: %v", left)
	}
}

// TestListSaysWhatARunWouldSay, of trust too.
func TestListSaysWhatARunWouldSay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.added(t, program(t, "acme", "x"))
	p.distrusts = errors.New("another user could replace it")
	if list, err := p.List(); err != nil || list[0].State != depot.Changed || list[0].Problem != "another user could replace it" {
		t.Errorf("got %+v, %v", list, err)
	}
}

func TestAPluginThatCannotSayWhatItIsIsNotAdded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Describe = func(context.Context, string, string) (sdk.Description, error) {
		return sdk.Description{}, errors.New("it is mute")
	}
	if _, err := p.Add(t.Context(), program(t, "acme", ""), depot.Options{}); err == nil || err.Error() != "it is mute" {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(p.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestAScriptThatLacksWhatLiesBesideIt: the fix is its folder, not its sandbox; of one
// that was added with its folder, or has nothing beside it, the fix stays.
func TestAScriptThatLacksWhatLiesBesideIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Describe = func(_ context.Context, _, name string) (sdk.Description, error) {
		return sdk.Description{}, &launch.StartError{Plugin: name, Phase: launch.PhaseExit, Message: "ended before it was ready: exit status 1", Fix: "--no-sandbox acme lets it"}
	}
	from := script(t, "acme")
	folder := filepath.Dir(from)
	lonely := filepath.Join(t.TempDir(), "rekey-backend-acme")
	must(t, os.WriteFile(lonely, []byte("#!/bin/sh\n"), 0o755))
	for path, want := range map[string]string{
		from:   "ready: exit status 1; what lies beside it in " + folder + " was not taken: if it needs that, give the folder: rekey plugin add " + folder,
		folder: "ready: exit status 1; --no-sandbox acme lets it",
		lonely: "ready: exit status 1; --no-sandbox acme lets it",
	} {
		if _, err := p.Add(t.Context(), path, depot.Options{}); err == nil || err.Error() != "plugin acme: ended before it was "+want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestArchives: of a program, and of a script in a folder.
func TestArchives(t *testing.T) {
	t.Parallel()
	for _, from := range []string{tarball(t, "acme-1.0/rekey-backend-acme", tar.TypeReg), tarball(t, "rekey-backend-acme", tar.TypeReg), zipped(t, "acme-1.0/rekey-backend-acme")} {
		p := newPlace(t)
		entry := p.added(t, from)
		if entry.State != depot.Locked || entry.Name != "acme" {
			t.Errorf("%s: %+v", from, entry)
		}
		if info, err := os.Stat(entry.Path); err != nil || info.Mode().Perm()&0o111 == 0 {
			t.Errorf("%s: %v, %v", from, info, err)
		}
		real, err := filepath.EvalSymlinks(entry.Path)
		must(t, err)
		if module, err := os.ReadFile(filepath.Join(filepath.Dir(real), "lib", "module")); err != nil || string(module) != "one" {
			t.Errorf("%s: the module: %q, %v", from, module, err)
		}
	}
}

const shell = "#!/bin/sh\n"

// tarball returns a .tar.gz of a script and a module beside it.
func tarball(t *testing.T, name string, kind byte) string {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	add := func(head tar.Header, text string) {
		if head.Size = int64(len(text)); head.Typeflag != tar.TypeReg {
			head.Size, text = 0, ""
		}
		must(t, archive.WriteHeader(&head))
		_, err := archive.Write([]byte(text))
		must(t, err)
	}
	add(tar.Header{Name: name, Typeflag: kind, Linkname: "/bin/sh", Mode: 0o755}, shell)
	if kind == tar.TypeReg && filepath.IsLocal(name) {
		add(tar.Header{Name: filepath.Join(filepath.Dir(name), "lib/module"), Typeflag: tar.TypeReg, Mode: 0o600}, "one")
	}
	must(t, errors.Join(archive.Close(), compressed.Close()))
	path := filepath.Join(t.TempDir(), "acme.tar.gz")
	must(t, os.WriteFile(path, packed.Bytes(), 0o644))
	return path
}

func zipped(t *testing.T, name string) string {
	t.Helper()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	head := &zip.FileHeader{Name: name}
	head.SetMode(0o755)
	for _, file := range []*zip.FileHeader{head, {Name: filepath.ToSlash(filepath.Join(filepath.Dir(name), "lib/module"))}} {
		to, err := archive.CreateHeader(file)
		must(t, err)
		_, err = to.Write([]byte(map[bool]string{true: shell, false: "one"}[file == head]))
		must(t, err)
	}
	must(t, archive.Close())
	path := filepath.Join(t.TempDir(), "acme.zip")
	must(t, os.WriteFile(path, packed.Bytes(), 0o644))
	return path
}

func TestSignaturesComeAlong(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	from, keys := program(t, "acme", "x"), filepath.Join(t.TempDir(), "key")
	signed, err := depot.Sign(from, keys, []string{"plan9/arm=" + program(t, "acme", "other")})
	must(t, err)
	if info, err := os.Stat(keys); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again, err := depot.Sign(from, keys, nil)
	must(t, err)
	if signed.Key != again.Key {
		t.Error("the second signature has another key")
	}
	entry, err := p.Add(t.Context(), from, depot.Options{Key: signed.Key})
	must(t, err)
	if entry.Signed != "acme" || entry.State != depot.Locked {
		t.Errorf("got %+v", entry)
	}
	unsigned := program(t, "acme", "unsigned")
	for name, take := range map[string]func() (depot.Entry, error){
		"an upgrade":       func() (depot.Entry, error) { return p.Upgrade(t.Context(), "acme", unsigned, depot.Options{}) },
		"an addition":      func() (depot.Entry, error) { return p.Add(t.Context(), unsigned, depot.Options{}) },
		"another platform": func() (depot.Entry, error) { return p.Add(t.Context(), unsigned, depot.Options{Platform: "plan9/arm"}) },
	} {
		if _, err := take(); err == nil || !strings.HasPrefix(err.Error(), unsigned+": it is not signed") {
			t.Errorf("%s without a signature: %v", name, err)
		}
	}
	must(t, os.Remove(lockfile.SignatureOf(entry.Path)))
	if got := p.states(t); got["acme"] != depot.Changed {
		t.Errorf("without its signature: %v", got)
	}
	names, err := os.ReadDir(p.Dir)
	must(t, err)
	if slices.ContainsFunc(names, func(entry os.DirEntry) bool { return strings.HasPrefix(entry.Name(), ".") }) {
		t.Errorf("left behind: %v", names)
	}
}
