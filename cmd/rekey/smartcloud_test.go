package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/sdk"
)

// loadShipped loads a shipped script with the parameters, in a directory of its own.
func loadShipped(t *testing.T, dir, script string, params ...string) (*workflow.Workflow, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../scripts", script))
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		given[name] = value
	}
	backends := map[string]sdk.Backend{"smartcloud": smartcloud.New(), "broadworks": broadworks.New()}
	return workflow.Load(t.Context(), workflow.Options{
		Path: path, Params: given, WorkDir: dir, Placeholders: len(params) == 0,
		BackendNames: []string{"smartcloud", "broadworks"},
		Describe: func(name string) (sdk.Description, error) {
			if b, ok := backends[name]; ok {
				return b.Describe(), nil
			}
			return sdk.Description{}, fmt.Errorf("there is no %q", name)
		},
	})
}

// keysOf reads the users of a workflow.
func keysOf(t *testing.T, w *workflow.Workflow) []string {
	t.Helper()
	var keys []string
	if err := w.Users.Rows(t.Context(), func(r source.Row) error { keys = append(keys, r.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSmartcloudScriptTakesTheSettingsOfItsBackendAsParameters(t *testing.T) {
	for script, backend := range map[string]sdk.Backend{"smartcloud_initialise.star": smartcloud.New(), "broadworks_bulk_reset.star": broadworks.New()} {
		w, err := loadShipped(t, t.TempDir(), script)
		if err != nil {
			t.Fatalf("%s without parameters: %v", script, err)
		}
		for _, f := range backend.Describe().Config {
			named := slices.ContainsFunc(w.Params, func(p workflow.Param) bool { return p.Name == f.Name })
			if named == (f.Type == sdk.Secret) {
				t.Errorf("%s: setting %s is a parameter: %v", script, f.Name, named)
			}
		}
		for _, p := range w.Params {
			if p.Help == "" {
				t.Errorf("%s: parameter %s has no help", script, p.Name)
			}
		}
	}
}

func TestSmartcloudScriptReadsTheFileOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	text := "\ufeffann@acme.example;passforuser1\r\n\r\n bob@acme.example ; passforuser2 \r\nmiä@acme.example;\r\n"
	if err := os.WriteFile(filepath.Join(dir, "accounts.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := loadShipped(t, dir, "smartcloud_initialise.star", "url=http://127.0.0.1:1", "admin=admin@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keysOf(t, w), []string{"ann@acme.example", "bob@acme.example", "miä@acme.example"}; !slices.Equal(got, want) {
		t.Errorf("users %q, want %q", got, want)
	}
	if len(w.Waves) != 2 || w.Waves[0].Name != "canary" || w.Waves[0].Take != 20 || w.Backends[0].Secrets["password"].Name != "CLOUD_PASSWORD" {
		t.Errorf("waves %+v, secrets %+v", w.Waves, w.Backends[0].Secrets)
	}
}

func TestSmartcloudScriptRefusesAnotherMethod(t *testing.T) {
	_, err := loadShipped(t, t.TempDir(), "smartcloud_initialise.star", "url=http://127.0.0.1:1", "admin=a@b", "method=mail")
	if err == nil || !strings.Contains(err.Error(), "change") || !strings.Contains(err.Error(), "one-time") {
		t.Errorf("got %v, want the methods that there are", err)
	}
}
