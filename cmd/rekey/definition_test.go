package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/http/littletest"
)

// defined is a script whose backend is a definition beside it.
const defined = `workflow(users = rows(["ann", "bob", "nobody"], key = "login"),
    backend = backend("http", definition = "little.star", url = "URL", client = "rekey", secret = secret.env("LITTLE_SECRET")),
    reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password})])
`

// littlePlace is a place with that script, and the system that it works on.
func littlePlace(t *testing.T) (*place, *littletest.Server) {
	server := littletest.Start(t, "First-Of-All_1", "ann", "bob", "cy")
	p := newPlace(t, "LITTLE_SECRET="+littletest.Secret)
	p.write("little.star", readText(t, "../../plugins/http/testdata/little.star"))
	p.write("s.star", strings.Replace(defined, "URL", server.URL, 1))
	return p, server
}

// TestABackendInAFile: a definition sets, verifies and refuses, confined and not, and
// the account has what the report says.
func TestABackendInAFile(t *testing.T) {
	for _, how := range [][]string{nil, {"--sandbox"}} {
		p, server := littlePlace(t)
		p.must(3, append([]string{"run", "s.star", "--yes"}, how...)...)
		lines := strings.Split(strings.TrimSpace(p.read("out.csv")), "\n")
		if len(lines) != 4 || lines[3] != "nobody," {
			t.Fatalf("%v: the report has %d lines, the last for %q", how, len(lines), strings.Split(lines[len(lines)-1], ",")[0])
		}
		for _, line := range lines[1:3] {
			login, value, _ := strings.Cut(line, ",")
			if !server.Holds(login, "", strings.ReplaceAll(strings.Trim(value, `"`), `""`, `"`)) {
				t.Errorf("%v: %s does not have the value of the report", how, login)
			}
		}
		if r := p.must(0, "show", "last", "--user", "nobody"); !strings.Contains(r.stdout, "AccountNotFound") {
			t.Errorf("%v: a missing user is told as\n%s", how, r.stdout)
		}
	}
}

// TestAChangedDefinitionIsAChangedPlugin: resume refuses it before anything is sent, and
// takes it with --accept-change.
func TestAChangedDefinitionIsAChangedPlugin(t *testing.T) {
	p, server := littlePlace(t)
	p.must(0, "plan", "s.star")
	var shown struct {
		Backends []struct {
			Defined string `json:"definition_sha256"`
		}
	}
	if err := json.Unmarshal([]byte(p.must(0, "show", "last", "--json").stdout), &shown); err != nil || len(shown.Backends) != 1 || len(shown.Backends[0].Defined) != 64 {
		t.Fatalf("show --json does not tell the definition's SHA-256: %+v, %v", shown, err)
	}
	p.write("little.star", p.read("little.star")+"\n# another\n")
	r := p.must(2, "resume", "last", "--yes")
	if !strings.Contains(r.stderr, `the definition of backend "http" has changed: it was SHA-256 `+shown.Backends[0].Defined[:16]) || !strings.Contains(r.stderr, "--accept-change") {
		t.Errorf("a changed definition is told as\n%s", r.stderr)
	}
	if !server.Holds("ann", "", "First-Of-All_1") {
		t.Error("something was set")
	}
	p.must(3, "resume", "last", "--yes", "--accept-change")
	if server.Holds("ann", "", "First-Of-All_1") {
		t.Error("nothing was set")
	}
}

// TestMistakesInDefinitions name file, line and fix, and nothing is started.
func TestMistakesInDefinitions(t *testing.T) {
	p, _ := littlePlace(t)
	text := p.read("little.star")
	for _, one := range []struct{ from, to, want string }{
		{"def verify(", "def verfy(", "little.star:28: a definition has no function \"verfy\"; there is auth, change, check"},
		{"def set(account, value, must_change)", "def set(account, value, must_change, mode)", "little.star:17: set does not get \"mode\"; it gets those that it names, of settings, account"},
		{"http(\n", "htp(\n", "little.star:3: undefined: htp"},
		{"must_change = True,", "must_change = True, egress = [\"{login_url}\"],", "little.star:3: egress: \"{login_url}\" names no setting"},
		{"type = \"secret\"", "type = \"secrt\"", "little.star:7: setting \"secret\": there is no type \"secrt\""},
		{"def policy():", "def policy()", "little.star:52: got newline, want ':'"},
		{"def check", "load(\"x.star\", \"x\")\ndef check", "a definition is one file"},
	} {
		if !strings.Contains(text, one.from) {
			t.Fatalf("the definition has no %q", one.from)
		}
		p.write("little.star", strings.Replace(text, one.from, one.to, 1))
		r := p.must(2, "check", "s.star")
		if !strings.Contains(r.stderr, filepath.Join(p.dir, "little.star")[len(p.dir)+1:]) || !strings.Contains(r.stderr, one.want) {
			t.Errorf("%q is told as\n%s", one.to, r.stderr)
		}
	}
	for from, want := range map[string]string{"little.star": "nix.star: does not exist", "": "definition is missing; definition: the file that says how"} {
		script := strings.Replace(p.read("s.star"), `definition = "little.star", `, map[bool]string{true: `definition = "nix.star", `}[from != ""], 1)
		p.write("t.star", script)
		if r := p.must(2, "check", "t.star"); !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "rekey: ") != 1 {
			t.Errorf("it is told as\n%s", r.stderr)
		}
	}
}

// readText reads a file of the repository.
func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
