package launch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
)

func TestGrantsAreWhatTheDescriptionNames(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"data", "tls", "state"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file, ca := filepath.Join(dir, "data", "users"), filepath.Join(dir, "tls", "ca.pem")
	for _, name := range []string{file, ca, filepath.Join(dir, "state", "run.db")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	data, state := filepath.Dir(file), filepath.Join(dir, "state")
	for _, c := range []struct {
		name          string
		egress, paths []string
		values        map[string]any
		want          launch.Grants
		problem       string
	}{
		{name: "nothing"},
		{name: "settings that are not given", egress: []string{"{url}"}, paths: []string{"{ca_file}", "write {path}"}},
		{name: "ports of URLs", egress: []string{"{url}", "{services}", "api.example.com:8443"},
			values: map[string]any{"url": "https://h/x", "services": []string{"http://a", "LDAPS://b", "ldap://c:1389", "https://h"}},
			want:   launch.Grants{Connect: []int{80, 443, 636, 1389, 8443}}},
		{name: "the default of a setting", egress: []string{"{service}"}, want: launch.Grants{Connect: []int{8080}}},
		{name: "a socket by its encoded path", egress: []string{"{url}"}, values: map[string]any{"url": "ldapi://%2Frun%2Fslapd%2Fldapi"}},
		{name: "a socket", egress: []string{"{url}"}, values: map[string]any{"url": "ldapi:///run/slapd/ldapi"}},
		{name: "a socket as databases have it", egress: []string{"{url}"}, values: map[string]any{"url": "unix:///run/postgresql"}},
		{name: "ports of databases", egress: []string{"{services}"}, values: map[string]any{"services": []string{"postgres://h", "mysql://h", "rediss://h", "redis://h:7000"}}, want: launch.Grants{Connect: []int{3306, 5432, 6379, 7000}}},
		{name: "no port", egress: []string{"{url}"}, values: map[string]any{"url": "gopher://h"},
			problem: `sandbox: it cannot be told which port "gopher://h" is; write it with its port`},
		{name: "a file to read", paths: []string{"{ca_file}", "/nowhere/krb5.conf"}, values: map[string]any{"ca_file": ca}, want: launch.Grants{Read: []string{ca}}},
		{name: "a file to write", paths: []string{"write {path}"}, values: map[string]any{"path": file}, want: launch.Grants{Write: []string{data}}},
		{name: "through a symbolic link", paths: []string{"write {path}"}, values: map[string]any{"path": link}, want: launch.Grants{Write: []string{data}}},
		{name: "a file to make", paths: []string{"write {path}"}, values: map[string]any{"path": filepath.Join(data, "new", "users")}, want: launch.Grants{Write: []string{data}}},
		{name: "a program that is not given", paths: []string{"run {path}"}},
		{name: "a program to start", paths: []string{"run {path}"}, values: map[string]any{"path": []string{"/usr/bin/tool", "set"}},
			problem: `starts /usr/bin/tool, and no program may be started there; --no-sandbox `},
		{name: "relative", paths: []string{"{path}"}, values: map[string]any{"path": "users"}, problem: `sandbox: "users" is not an absolute path`},
		{name: "beside what is protected", paths: []string{"write {path}"}, values: map[string]any{"path": filepath.Join(dir, "users")},
			problem: "sandbox: for " + dir + "/users the plugin would be granted " + dir + ", which reaches " + state + "; put the file into a directory of its own"},
		{name: "in a directory that is still to be made", paths: []string{"write {path}"}, values: map[string]any{"path": filepath.Join(dir, "new", "users")},
			problem: ", which reaches " + state + "; make its directory first"},
		{name: "in what is protected", paths: []string{"{path}"}, values: map[string]any{"path": filepath.Join(state, "run.db")}, problem: "which reaches " + state},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := launch.GrantsOf(sdk.Description{Egress: c.egress, Paths: c.paths, Config: []sdk.Field{{Name: "service", Type: sdk.URL, Default: "http://h:8080/"}}}, sdk.Config{Values: c.values}, []string{state, filepath.Join(dir, "not", "made", "yet")})
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("got %v, want %s", err, c.problem)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

// TestWhoChoseAPathThatReachesTheHost: a plugin whose own choice it is must not
// get out of its confinement by it.
func TestWhoChoseAPathThatReachesTheHost(t *testing.T) {
	t.Parallel()
	own := t.TempDir()
	fields := []sdk.Field{{Name: "path", Type: sdk.Path, Default: own}, {Name: "list", Type: sdk.List}}
	for entry, given := range map[string]map[string]any{
		"write {path}": {"path": own}, "{path}": {"path": own},
		"write " + own: {}, "write {path} ": {}, own: {},
	} {
		_, err := launch.GrantsOf(sdk.Description{Config: fields, Paths: []string{strings.TrimSpace(entry)}}, sdk.Config{Values: given}, []string{own})
		var reach *launch.ReachError
		if !errors.As(err, &reach) || reach.Given != (len(given) > 0) {
			t.Errorf("%s, given %v: %v", entry, given, err)
		}
	}
}
