package lockfile_test

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rekey-host/rekey/host/lockfile"
)

var (
	one = strings.Repeat("1", 64)
	two = strings.Repeat("2", 64)
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written returns the path of a lock file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), lockfile.Name)
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestALockFileSaysWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), lockfile.Name)
	lock := lockfile.New(path)
	want := lockfile.Plugin{Version: "1.2", From: "/src", Egress: []string{"{url}"}, Paths: []string{"write {path}"}}.With(lockfile.Platform(), one).With("plan9/arm", two)
	must(t, lock.Set("acme", want))
	must(t, lock.Write())
	read, err := lockfile.Read(path)
	must(t, err)
	got, ok := read.Of("acme")
	if !ok || got.Version != "1.2" || got.SHA256["plan9/arm"] != two || got.SHA256[lockfile.Platform()] != one || got.Paths[0] != "write {path}" {
		t.Errorf("got %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestALockFileThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	entry := func(name, platform, digest string) string {
		return `{"format": 1, "plugins": {"` + name + `": {"version": "1", "from": "", "sha256": {"` + platform + `": "` + digest + `"}}}}`
	}
	for text, want := range map[string]string{
		"":                                   "EOF",
		"[]":                                 "cannot unmarshal array",
		`{"format": 2}`:                      "format is 2, this rekey reads 1",
		`{"format": 1} {}`:                   "more follows",
		`{"format": 1, "extra": true}`:       `unknown field "extra"`,
		entry("../acme", "linux/amd64", one): `plugin "../acme": the name is not`,
		entry("/bin/sh", "linux/amd64", one): `plugin "/bin/sh": the name is not`,
		entry("", "linux/amd64", one):        `plugin "": the name is not`,
		entry("Acme", "linux/amd64", one):    `plugin "Acme": the name is not`,
		entry("acme", "linux", one):          `"linux" is no platform`,
		entry("acme", "linux/amd64", "11"):   `"11" is no SHA-256`,
		entry("acme", "linux/amd64", strings.Repeat("A", 64)):  "is no SHA-256 in small hex",
		`{"format": 1, "plugins": {"acme": {"version": "1"}}}`: "sha256: missing",
	} {
		path := written(t, text)
		_, err := lockfile.Read(path)
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", text, err, want)
		}
	}
	if _, err := lockfile.Read(filepath.Join(t.TempDir(), lockfile.Name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without one: %v", err)
	}
}

func TestALockFileThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	path := written(t, `{"format": 1}`)
	if _, err := lockfile.Read(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o664, 0o646} {
		must(t, os.Chmod(path, mode))
		if _, err := lockfile.Read(path); err == nil || !strings.Contains(err.Error(), "so another user could have any plugin started") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	must(t, os.Chmod(path, 0o644))
	must(t, os.Chmod(filepath.Dir(path), 0o777))
	link := filepath.Join(t.TempDir(), lockfile.Name)
	must(t, os.Symlink(path, link))
	if _, err := lockfile.Read(link); err == nil {
		t.Error("a link into a directory that all may write was followed")
	}
}

func TestTheLockBesideTheScriptCounts(t *testing.T) {
	t.Parallel()
	beside, plugins := filepath.Dir(written(t, `{"format": 1}`)), filepath.Dir(written(t, `{"format": 1}`))
	for _, x := range []struct {
		dirs []string
		want string
	}{{[]string{beside, plugins}, beside}, {[]string{t.TempDir(), plugins}, plugins}, {[]string{"", ""}, ""}, {[]string{t.TempDir()}, ""}} {
		lock, err := lockfile.Find(x.dirs...)
		must(t, err)
		if x.want == "" && lock != nil || x.want != "" && (lock == nil || filepath.Dir(lock.Path()) != x.want) {
			t.Errorf("%v: %+v, want that in %q", x.dirs, lock, x.want)
		}
	}
	if _, err := lockfile.Find(filepath.Dir(written(t, "spoilt")), plugins); err == nil {
		t.Error("a spoilt lock file was passed over for the next")
	}
}

func TestOnlyTheLockedProgramIsAdmitted(t *testing.T) {
	t.Parallel()
	lock := lockfile.New("/etc/" + lockfile.Name)
	must(t, lock.Set("acme", lockfile.Plugin{Egress: []string{"{url}"}}.With(lockfile.Platform(), one)))
	must(t, lock.Set("foreign", lockfile.Plugin{}.With("plan9/arm", one)))
	for _, x := range []struct{ name, digest, want string }{
		{"acme", one, ""},
		{"acme", two, "its SHA-256 is " + two + ", and " + one + " in /etc/rekey.lock; if you know why, rekey plugin upgrade acme"},
		{"other", one, "it is not in /etc/rekey.lock; see what it is, then rekey plugin add"},
		{"other", one, "rekey plugin add /p/rekey-backend-other --lock /etc/rekey.lock"},
		{"foreign", one, "has no SHA-256 of it for " + lockfile.Platform()},
	} {
		err := lock.Admits(x.name, "/p/rekey-backend-"+x.name, x.digest)
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	if err := lock.Covers("acme", []string{"{url}"}, nil); err != nil {
		t.Error(err)
	}
	if err := lock.Covers("acme", []string{"{url}", "evil.example:443"}, []string{"/etc/shadow"}); err == nil || !strings.Contains(err.Error(), "grants it: evil.example:443, /etc/shadow; if that is right, rekey plugin add it again, with --lock /etc/rekey.lock") {
		t.Errorf("more than was granted: %v", err)
	}
	var none *lockfile.Lock
	if err := errors.Join(none.Admits("acme", "", two), none.Covers("acme", []string{"x:1"}, nil)); err != nil {
		t.Errorf("without a lock: %v", err)
	}
}

func TestAKeyInTheLockDemandsItsSignature(t *testing.T) {
	t.Parallel()
	secret, public, err := note.GenerateKey(rand.Reader, "author")
	must(t, err)
	other, _, err := note.GenerateKey(rand.Reader, "author")
	must(t, err)
	program := filepath.Join(t.TempDir(), "rekey-backend-acme")
	lock := lockfile.New("/etc/" + lockfile.Name)
	must(t, lock.Set("acme", lockfile.Plugin{Key: public}.With(lockfile.Platform(), one)))
	sign := func(name, digest, key string) {
		text, err := lockfile.Sign(lockfile.Statement(name, map[string]string{lockfile.Platform(): digest, "plan9/arm": two}), key)
		must(t, err)
		must(t, os.WriteFile(lockfile.SignatureOf(program), text, 0o644))
	}
	admits := func(what, want string) {
		t.Helper()
		err := lock.Admits("acme", program, one)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	admits("no signature", "it is not signed")
	sign("acme", one, secret)
	admits("signed", "")
	sign("acme", two, secret)
	admits("of another program", "author signed another program")
	sign("other", one, secret)
	admits("of another plugin", "author signed another program")
	sign("acme", one, other)
	admits("by another", "no signature of author")
	text, err := os.ReadFile(lockfile.SignatureOf(program))
	must(t, err)
	must(t, os.WriteFile(lockfile.SignatureOf(program), []byte(strings.Replace(string(text), one, two, 1)), 0o644))
	admits("edited", "no signature of author")
}

// TestARemotePluginIsLockedByItsKey, with no SHA-256 of a program and no secret.
func TestARemotePluginIsLockedByItsKey(t *testing.T) {
	t.Parallel()
	lock := lockfile.New(filepath.Join(t.TempDir(), lockfile.Name))
	good := lockfile.Remote{Address: "crm.example.com:7443", Pin: one, Cert: "/etc/rekey/crm.crt", Key: "/etc/rekey/crm.key"}
	must(t, lock.Set("crm", lockfile.Plugin{Version: "1", Remote: &good}))
	must(t, lock.Set("local", lockfile.Plugin{Version: "1"}.With(lockfile.Platform(), two)))
	must(t, lock.Write())
	read, err := lockfile.Read(lock.Path())
	must(t, err)
	if got, _ := read.Of("crm"); got.Remote == nil || *got.Remote != good || len(read.Remotes()) != 1 {
		t.Errorf("got %+v, remote are %v", got, read.Remotes())
	}
	for want, change := range map[string]func(*lockfile.Remote){
		`"crm.example.com" is no HOST:PORT`: func(r *lockfile.Remote) { r.Address = "crm.example.com" },
		`pin: "12" is no SHA-256`:           func(r *lockfile.Remote) { r.Pin = "12" },
		`"crm.crt" is no absolute path`:     func(r *lockfile.Remote) { r.Cert = "crm.crt" },
		`"" is no absolute path`:            func(r *lockfile.Remote) { r.Key = "" },
	} {
		bad := good
		change(&bad)
		if err := lock.Set("crm", lockfile.Plugin{Remote: &bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := lock.Set("crm", lockfile.Plugin{Remote: &good}.With("linux/amd64", one)); err == nil {
		t.Error("both are taken")
	}
}
