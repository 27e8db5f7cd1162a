package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// TestConfinedInstancesGetWhatTheyAreGrantedEach opens instances of a bundled
// and an external plugin in the sandbox.
func TestConfinedInstancesGetWhatTheyAreGrantedEach(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.install(t, "acme")
	dirs := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dirs, name, "users")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two, state := file("one"), file("two"), file("state")
	p.options.Sandbox, p.options.Memory, p.unconfined = true, 1<<47, nil
	p.options.Protect = []string{filepath.Dir(state), p.dir}
	c := p.catalog(t)
	for _, name := range []string{"ldap", "acme"} {
		open := func(data string) (string, int, func(string) sdk.Receipt) {
			i, _, err := c.Open(t.Context(), name, sdk.Config{Label: "mine", Concurrency: 1, Timeout: 20 * time.Second, Values: map[string]any{"data": data}})
			if err != nil {
				t.Fatal(err)
			}
			got, pid := ref(t, i)
			return got, pid, func(account string) sdk.Receipt { return apply(i, account) }
		}
		got, first, do := open(one)
		_, again, _ := open(one)
		_, second, _ := open(two)
		if got != name || first != again || first == second {
			t.Errorf("%s: processes %d and %d for the same grants, %d for others", got, first, again, second)
		}
		if r := do("read " + one); r.Outcome != sdk.Applied {
			t.Errorf("%s: its own file: %v", name, r.Err)
		}
		for _, other := range []string{two, state, "/etc/passwd"} {
			if r := do("read " + other); r.Outcome != sdk.Refused || !strings.Contains(r.Err.Message, "permission denied") {
				t.Errorf("%s: %s: %v %v", name, other, r.Outcome, r.Err)
			}
		}
	}
	_, _, err := c.Open(t.Context(), "ldap", sdk.Config{Label: "mine", Concurrency: 1, Values: map[string]any{"data": filepath.Join(dirs, "users")}})
	if err == nil || !strings.HasPrefix(err.Error(), "sandbox: for ") || !strings.Contains(err.Error(), "put the file into a directory of its own") {
		t.Errorf("got %v", err)
	}
}

// TestAPluginOfOthersIsConfinedWithoutAFlag, and one whose script leads it to
// what is the host's own is not, which is said; asked for, that is an error.
func TestAPluginOfOthersIsConfinedWithoutAFlag(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.install(t, "acme")
	own := t.TempDir()
	apart := filepath.Join(t.TempDir(), "users")
	state := filepath.Join(own, "state")
	for _, path := range []string{apart, filepath.Join(own, "users"), state} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.options.Memory, p.unconfined, p.options.Protect = 1<<47, nil, []string{state, p.dir}
	c := p.catalog(t)
	for _, x := range []struct {
		data     string
		confined bool
	}{{apart, true}, {filepath.Join(own, "users"), false}} {
		config := sdk.Config{Label: "mine", Concurrency: 1, Timeout: 20 * time.Second, Values: map[string]any{"data": x.data}}
		program, err := c.Program(t.Context(), "acme", config)
		if err != nil || program.Confined != x.confined || (program.Loose == "") != x.confined {
			t.Errorf("%s: %+v %v", x.data, program, err)
		}
		if !x.confined && !strings.Contains(program.Loose, "which reaches "+state+"; put the file into a directory of its own") {
			t.Errorf("it is said: %s", program.Loose)
		}
		i, _, err := c.Open(t.Context(), "acme", config)
		if err != nil {
			t.Fatal(err)
		}
		if r := apply(i, "read "+state); (r.Outcome == sdk.Refused) != x.confined {
			t.Errorf("%s: it reads the state directory: %v %v", x.data, r.Outcome, r.Err)
		}
	}
	if program, err := c.Program(t.Context(), "ldap", sdk.Config{}); err != nil || program.Confined || program.Loose != "" {
		t.Errorf("in rekey itself: %+v %v", program, err)
	}
	p.options.Sandbox = true
	if _, _, err := p.catalog(t).Open(t.Context(), "acme", sdk.Config{Values: map[string]any{"data": filepath.Join(own, "users")}}); err == nil {
		t.Error("with --sandbox it was started all the same")
	}
}
