package targetfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "target.json")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAFileThatIsNoTargetIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "EOF",
		`{"acounts": []}`:                `unknown field "acounts"`,
		`{"accounts": ["ann", "bob"]}`:   "accounts: has 2, the kit needs three",
		`{"accounts": ["a","b","c"]} {}`: "more follows",
	} {
		path := written(t, text)
		if _, err := targetfile.Read(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestFilesAndSettings(t *testing.T) {
	t.Parallel()
	file, err := targetfile.Read(written(t, `{"files": {"sub/users": "ann"}, "config": {"path": "{dir}/sub/users", "port": 389, "hosts": ["{dir}", "b"], "tls": true},
		"secrets": {"password": "of {dir}"}, "accounts": ["ann", "bob", "cy"], "values": ["v0", "v1"], "wrong": [{"field": "port", "value": 0}]}`))
	must(t, err)
	one, two := file.Target(t), file.Target(t)
	path := one.Config.Text("path")
	if text, err := os.ReadFile(path); err != nil || string(text) != "ann" || path == two.Config.Text("path") {
		t.Errorf("%q, %v; the other target has %s", text, err, two.Config.Text("path"))
	}
	dir := filepath.Dir(filepath.Dir(path))
	if one.Config.Values["port"] != int64(389) || one.Config.List("hosts")[0] != dir || one.Config.Values["tls"] != true || one.Config.Secrets["password"].Reveal() != "of "+dir {
		t.Errorf("got %v", one.Config.Values)
	}
	if one.Value(0) != "v0" || one.Value(3) != "v1" || one.Wrong[0].Value != int64(0) || one.Holds != nil {
		t.Errorf("got %+v", one)
	}
	one.Down()
	if _, err := os.Stat(path); err == nil {
		t.Error("the target was not taken away")
	}
}

// TestAServerThatIsStarted: what it prints is added to the settings, and it is
// gone when the check has ended.
func TestAServerThatIsStarted(t *testing.T) {
	t.Parallel()
	path := written(t, `{"start": ["/bin/sh", "-c", "echo '{\"port\": 77}'; echo $$ > {dir}/pid; exec sleep 600"], "config": {"dir": "{dir}"},
		"holds": ["/bin/sh", "-c", "read -r value; [ \"$value\" = right ] && [ \"$1\" = ann ]", "-", "{account}"], "accounts": ["ann", "bob", "cy"]}`)
	file, err := targetfile.Read(path)
	must(t, err)
	var pid string
	t.Run("check", func(t *testing.T) {
		target := file.Target(t)
		if target.Config.Values["port"] != int64(77) {
			t.Errorf("got %v", target.Config.Values)
		}
		if !target.Holds("ann", "", "right\n") || target.Holds("ann", "", "wrong\n") || target.Holds("bob", "", "right\n") {
			t.Error("holds does not tell")
		}
		for pid == "" {
			text, _ := os.ReadFile(filepath.Join(target.Config.Text("dir"), "pid"))
			pid = strings.TrimSpace(string(text))
		}
	})
	if _, err := os.Stat("/proc/" + pid); err == nil {
		t.Errorf("process %s is still there", pid)
	}
}
