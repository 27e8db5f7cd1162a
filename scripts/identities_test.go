package scripts_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/plugins/ldap"
	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/scripts"
	"github.com/rekey-host/rekey/sdk"
)

// identity loads a script of this directory as rekey check does, or as rekey
// run if parameters are given.
func identity(t *testing.T, name string, params ...string) (*workflow.Workflow, error) {
	t.Helper()
	backends := map[string]sdk.Backend{"kendox": kendox.New(), "ldap": ldap.New(), "openiam": openiam.New()}
	o := workflow.Options{Path: name, WorkDir: ".", BackendNames: []string{"kendox", "ldap", "openiam"}, Placeholders: len(params) == 0, Embedded: scripts.FS, Fatal: func(line string) { panic(line) },
		Params: map[string]string{}, Describe: func(name, _ string) (sdk.Description, error) { return backends[name].Describe(), nil }}
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		o.Params[key] = value
	}
	return workflow.Load(context.Background(), o)
}

func TestScriptsOfOpenIAMAndKendoxAreSound(t *testing.T) {
	for _, name := range []string{"openiam_sync.star", "openiam_reset.star", "kendox_set_hashed.star"} {
		w, err := identity(t, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(w.Warnings) > 0 {
			t.Errorf("%s: %v", name, w.Warnings)
		}
		for _, p := range w.Params {
			if p.Help == "" {
				t.Errorf("%s: parameter %s has no help", name, p.Name)
			}
		}
		if !strings.Contains(w.Doc, "rekey run scripts/"+name) && !strings.Contains(w.Doc, "rekey run @rekey/"+name) {
			t.Errorf("%s: its text does not say how it is run", name)
		}
	}
}

// The scripts take their backend's settings by the same names, but those that
// mean nothing to what the script does.
func TestScriptsTakeTheSettingsOfTheirBackend(t *testing.T) {
	for _, test := range []struct {
		script  string
		backend sdk.Backend
		without []string
	}{
		{"kendox_set_hashed.star", kendox.New(), nil},
		{"openiam_sync.star", openiam.New(), []string{"blank_reset", "auth_namespace"}},
		{"openiam_reset.star", openiam.New(), []string{"blank_reset", "auth_namespace", "verify"}},
	} {
		w, err := identity(t, test.script)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range test.backend.Describe().Config {
			takes := slices.ContainsFunc(w.Params, func(p workflow.Param) bool { return p.Name == f.Name })
			if f.Type != sdk.Secret && takes == slices.Contains(test.without, f.Name) {
				t.Errorf("%s: parameter %s: %t", test.script, f.Name, takes)
			}
		}
	}
}

func TestOpenIAMSyncHasABackendForEachSystem(t *testing.T) {
	accounts := filepath.Join(t.TempDir(), "identities.csv")
	if err := os.WriteFile(accounts, []byte("identity;openiam;crm;erp;directory\ne1;a;b;c;d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := identity(t, "openiam_sync.star", "accounts="+accounts, "url=https://idm.example/idmsrvc/ProvisioningService", "systems=crm:110, erp:120",
		"ldap_url=ldaps://ds.example", "bind_dn=cn=rekey,dc=example", "policy_principal=a", "user=svc")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range w.Backends {
		got = append(got, fmt.Sprintf("%s %s %v %v %v", b.Name, b.Label, b.Values["managed_system"], b.Values["policy_principal"], b.Secrets["password"].Name+b.Secrets["bind_password"].Name))
	}
	want := []string{"openiam openiam 0 a OPENIAM_PASSWORD", "openiam crm 110 <nil> OPENIAM_PASSWORD", "openiam erp 120 <nil> OPENIAM_PASSWORD", "ldap directory <nil> <nil> LDAP_BIND_PASSWORD"}
	if diff := cmp.Diff(want, got); diff != "" || !w.Revert {
		t.Errorf("backends, revert %t (-want +got):\n%s", w.Revert, diff)
	}
	if w, err = identity(t, "openiam_sync.star", "accounts="+accounts, "url=https://idm.example/idmsrvc/ProvisioningService"); err != nil || len(w.Backends) != 1 {
		t.Errorf("without systems and directory: %v", err)
	}
}
