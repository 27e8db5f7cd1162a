package scaffold_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey"
	"github.com/rekey-host/rekey/host/scaffold"
)

// TestGoBackendsHaveAllThatTheyStandOn: what is embedded is what the compiler wants, so that
// a package which sdk begins to import is not forgotten.
func TestGoBackendsHaveAllThatTheyStandOn(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}",
		"../../sdk/serve", "../../sdk/rest", "../../sdk/backendtest/targetfile").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		folder := strings.TrimPrefix(name, "github.com/rekey-host/rekey/")
		if list, err := rekey.Source.ReadDir(folder); err != nil || len(list) == 0 {
			t.Errorf("source.go does not embed %s: %v", folder, err)
		}
	}
}

// short are the most lines of code of what is the author's.
var short = map[string]int{"go": 100, "python": 40, "node": 40, scaffold.Starlark: 40}

func TestWhatIsTheAuthorsIsShort(t *testing.T) {
	dir := t.TempDir()
	for _, lang := range scaffold.Langs() {
		for _, target := range scaffold.Targets() {
			if lang == scaffold.Starlark && target != "http" {
				continue
			}
			folder, err := scaffold.Write(scaffold.Options{Name: lang + target, Lang: lang, Target: target, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			main := "main.go"
			if lang != "go" {
				main = filepath.Base(folder)
			}
			if lang == scaffold.Starlark {
				main += ".star"
			}
			text, err := os.ReadFile(filepath.Join(folder, main))
			if err != nil {
				t.Fatal(err)
			}
			code := 0
			for line := range bytes.Lines(text) {
				line = bytes.TrimSpace(line)
				if len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) && !bytes.HasPrefix(line, []byte("#")) {
					code++
				}
			}
			if code > short[lang] {
				t.Errorf("%s for %s: %d lines of code, want at most %d", lang, target, code, short[lang])
			}
			left := []string{}
			_ = filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "main_test.go") {
					left = append(left, path)
				}
				return err
			})
			if len(left) > 0 {
				t.Errorf("tests of rekey's own are written: %q", left)
			}
		}
	}
}

func TestWhatIsNoBackendIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ name, lang, target, want string }{
		{"Users", "go", "http", `"Users" is no name of a backend`},
		{"../users", "go", "http", "is no name"},
		{"users", "cobol", "http", "--lang cobol: use one of go, python, node, starlark"},
		{"users", "starlark", "sql", "--lang starlark --target sql: a new definition is of http; rekey backends sqltable"},
		{"users", "go", "ftp", "--target ftp: use one of http, sql, command"},
	} {
		if _, err := scaffold.Write(scaffold.Options{Name: test.name, Lang: test.lang, Target: test.target, Dir: dir}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test, err)
		}
	}
	users := scaffold.Options{Name: "users", Lang: "python", Target: "http", Dir: dir}
	if _, err := scaffold.Write(users); err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write(users); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("over a folder that is there: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("%d entries, want one folder", len(list))
	}
}

// TestPackagesAreThoseThatAreTested: a backend in Node pins what sdk/node is tested with.
func TestPackagesAreThoseThatAreTested(t *testing.T) {
	folder, err := scaffold.Write(scaffold.Options{Name: "users", Lang: "node", Target: "sql", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Dependencies map[string]string }
	if err := json.Unmarshal(text, &made); err != nil || len(made.Dependencies) != 2 || slices.ContainsFunc([]string{made.Dependencies["@grpc/grpc-js"], made.Dependencies["node-sqlite3-wasm"]}, func(version string) bool {
		return version == "" || strings.ContainsAny(version, "^~*")
	}) {
		t.Errorf("%s, %v; want two versions, pinned", text, err)
	}
}

// TestABackendOfACommandSaysWhatRunsTake: a confined plugin starts no program, so that
// without the flag its first run is refused.
func TestABackendOfACommandSaysWhatRunsTake(t *testing.T) {
	dir := t.TempDir()
	for target, want := range map[string]bool{"command": true, "sql": false} {
		folder, err := scaffold.Write(scaffold.Options{Name: "own-" + target, Lang: "python", Target: target, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil || strings.Contains(string(text), "rekey run try.star --no-sandbox own-"+target) != want {
			t.Errorf("%s: %v\n%s", target, err, text)
		}
	}
}
