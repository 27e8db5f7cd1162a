package launch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func ask(t *testing.T, i *launch.Instance, what string) map[string]string {
	t.Helper()
	a, err := i.Find(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	return a.Attributes
}

func TestAPluginSeesAScrubbedEnvironmentAndAnEmptyInput(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{Environ: []string{"PATH=/bin", "HOME=/h", "LANG=C", "LC_ALL=C", "TZ=UTC",
		"AWS_SECRET_ACCESS_KEY=" + canary, "CLOUD_PASSWORD=x", "REKEY_STATE=/s", "LD_PRELOAD=x", "HTTPS_PROXY=http://u:p@h", "SSL_CERT_FILE=/c"}})
	i := w.open(t, sdk.Config{})
	env := ask(t, i, "environment")
	for name := range env {
		switch name {
		case "PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "REKEY_PLUGIN", "PYTHONPYCACHEPREFIX", "GORACE": // the last one is the test's own
		default:
			if !strings.HasPrefix(name, "PLUGIN_") {
				t.Errorf("it sees %s", name)
			}
		}
	}
	if env["PATH"] != "/bin" || env["SSL_CERT_FILE"] != "/c" {
		t.Errorf("it lacks what it needs: %v", env)
	}
	if got := ask(t, i, "stdin")["stdin"]; got != "0 true" {
		t.Errorf("standard input gives %s, want nothing and its end", got)
	}
}

func TestAPluginHasNoDescriptorOfItsHost(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "state")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := plug(t, command(t, "good"), launch.Options{})
	for fd, target := range ask(t, w.open(t, sdk.Config{}), "files") {
		if strings.HasPrefix(target, filepath.Dir(f.Name())) || strings.HasPrefix(target, "/") &&
			!strings.HasPrefix(target, "/dev/null") && !strings.HasPrefix(target, "/proc") && !strings.HasPrefix(target, "/sys") {
			t.Errorf("descriptor %s is %s", fd, target)
		}
	}
}

func TestThePlaceOfSocketsIsPrivate(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{})
	sockets := 0
	err := filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && path != w.dir && !info.Mode().IsDir() && info.Mode().Type() != os.ModeSocket && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if err == nil && info.IsDir() && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("directory %s has mode %v", path, info.Mode())
		}
		if err == nil && info.Mode().Type() == os.ModeSocket {
			sockets++
		}
		return err
	})
	if err != nil || sockets != 1 {
		t.Errorf("%d sockets, %v", sockets, err)
	}
	_ = i
	_ = w.Close()
	if left := entries(w.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTooLongAPathForSocketsIsToldBeforeTheStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	w := plug(t, command(t, "good"), launch.Options{RunDir: dir})
	if _, err := w.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "too long a path for sockets by ") {
		t.Errorf("got %v", err)
	}
}

func TestTheMemoryOfAPluginIsNotDumped(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	got := ask(t, w.open(t, sdk.Config{}), "dumps")
	if got["dumpable"] != "0 <nil>" || got["core"] != "0 0 <nil>" {
		t.Errorf("got %v, want neither dumpable nor a core", got)
	}
}

// TestASecretIsNowhereButInItsOperation has a plugin say its secrets in every
// form, at every level, in every place, and looks for them.
func TestASecretIsNowhereButInItsOperation(t *testing.T) {
	t.Parallel()
	tee := &lines{}
	w := plug(t, command(t, "good"), launch.Options{Stderr: tee})
	i := w.open(t, sdk.Config{Secrets: map[string]secret.Value{"password": secret.New(canary)}})
	value := secret.New(canary)
	pid := pidOf(t, i)
	refused := one(t, i, sdk.Operation{Account: "leak", Value: value})
	if refused.Outcome != sdk.Refused {
		t.Fatalf("got %v %v", refused.Outcome, refused.Err)
	}
	for _, name := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if errors.Is(err, fs.ErrPermission) {
			continue // nobody but root may look at all
		}
		if err != nil {
			t.Fatal(err)
		}
		noLeak(t, name, string(text))
	}
	panicked := one(t, i, sdk.Operation{Account: "panic", Value: value})
	died := one(t, i, sdk.Operation{Account: "die", Value: value})
	if died.Outcome != sdk.Unknown || died.Err.Code != sdk.ConnectionLost {
		t.Errorf("got %v %v", died.Outcome, died.Err)
	}
	log := w.told()
	for where, text := range map[string]string{
		"a refusal": fmt.Sprintf("%+v", *refused.Err), "a panic": panicked.Err.Error(), "a death": died.Err.Error(),
		"the log": log, "standard error": tee.String(),
	} {
		noLeak(t, where, text)
		if text == "" {
			t.Errorf("%s is empty: the test shows nothing", where)
		}
	}
	if n := strings.Count(log, "[redacted]"); n < 100 {
		t.Errorf("the log has %d redacted places: the test shows nothing", n)
	}
}
