package host_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rekey-host/rekey/"

// floor is what packages may not import, directly or through others, and why.
type floor struct {
	packages string // a package, or a tree ending in /...
	banned   []string
	why      string
}

// floors are those of the house.
var floors = []floor{
	{"sdk", []string{module + "host/...", module + "plugins/...", module + "cmd/...", "google.golang.org/...", "github.com/..."}, "plugin authors import it: the standard library and sdk/secret only"},
	{"sdk/...", []string{module + "host/...", module + "plugins/...", module + "cmd/..."}, "it is the ground floor"},
	{"plugins/...", []string{module + "host/...", module + "cmd/..."}, "a plugin runs without the host"},
	{"plugins/internal/definition", []string{module + "host/...", module + "plugins/...", "net/http", "os/exec", "database/sql"}, "it knows the language of definitions: what a plugin does with it is the plugin's"},
	{"host/...", []string{module + "plugins/...", module + "cmd/..."}, "host and plugins meet in cmd/rekey/bundled.go only"},
	{"host/engine", []string{"go.starlark.net/...", "github.com/hashicorp/go-plugin", "golang.org/x/term", module + "host/launch", module + "host/workflow"}, "the engine knows no scripts, processes or terminals"},
	{"host/diag", []string{module + "...", "os/exec", "net"}, "it knows text: everything in the host may stand on it"},
	{"host/workflow/lang", []string{module + "host/source", module + "host/engine", module + "host/workflow/tree", module + "host/workflow/vet", module + "sdk/...", "go.starlark.net/...", "os/exec", "net"}, "the language is data: whoever shows or checks it needs no interpreter"},
	{"host/workflow/tree", []string{module + "host/engine", module + "host/report", module + "host/ledger", module + "host/workflow", module + "host/workflow/vet", "net/http"}, "syntax knows no values"},
	{"host/workflow/vet", []string{module + "host/engine", module + "host/report", module + "host/ledger", module + "host/workflow", "net/http"}, "the static checks read a table and a tree: the evaluation hands them the rest"},
	{"host/workflow/types", []string{module + "host/engine", module + "host/report", module + "host/ledger", module + "host/workflow", "net/http"}, "what follows from a text needs no evaluation"},
	{"host/journal", []string{module + "host/...", module + "plugins/...", module + "cmd/...", "github.com/hashicorp/...", "go.starlark.net/...", "modernc.org/...", "google.golang.org/...", "golang.org/x/...", "os/exec", "net"}, "it is pure: what records say, and nothing of where they come from"},
	{"host/hashlog", []string{module + "host/ledger", module + "host/engine", module + "host/source", module + "plugins/...", module + "cmd/...", "modernc.org/...", "database/sql", "os/exec", "net"}, "it is pure: proofs are checked without what keeps the records"},
	{"host/lockfile", []string{module + "host/...", "os/exec", "net"}, "which programs may be started is a file, whoever starts them"},
	{"host/scaffold", []string{module + "host/...", module + "sdk/...", "net"}, "what it writes is text, and it starts nothing"},
	{"host/workbench", []string{module + "host/engine", module + "host/ledger", module + "host/workflow", module + "host/journal"}, "one call of a plugin by hand is no run"},
	{"host/scripttest", []string{"golang.org/x/term", "github.com/alecthomas/..."}, "a test of a script takes the way of every run: it knows hosts, and no flags or terminals"},
	{"host/depot", []string{module + "host/engine", module + "host/ledger", module + "host/workflow", module + "host/catalog"}, "it installs plugins, and asks nothing of them but what they are"},
	{"host/password", []string{module + "host/...", "os/exec", "net"}, "values are made without looking at anything"},
	{"host/source", []string{module + "host/ledger", module + "host/engine", "net/http"}, "reading users knows no runs"},
	{"host/ledger/internal/rows", []string{module + "host/ledger/internal/sqlite", "modernc.org/...", "os/exec", "net"}, "what is kept is data, wherever that is"},
	{"host/ledger/internal/sqlite", []string{module + "host/ledger", module + "host/engine", module + "host/source", module + "host/workflow"}, "it keeps rows, and knows not why"},
	{"host/ledger/internal/files", []string{module + "...", "modernc.org/..."}, "it knows files, and nothing of runs"},
	{"host/ledger/internal/storagetest", []string{module + "host/ledger", module + "host/ledger/internal/sqlite", "modernc.org/..."}, "every storage has to pass it, so it names none"},
	{"host/report", []string{module + "host/engine", module + "host/workflow", module + "host/launch", module + "host/catalog", module + "host/output", "go.starlark.net/...", "github.com/hashicorp/go-plugin"}, "a report is what the ledger says: it asks neither script nor backend"},
	{"host/output", []string{module + "host/ledger", module + "host/engine", module + "host/report", module + "host/source", module + "host/workflow", module + "sdk/...", "os/exec", "net"}, "it writes files, whatever is in them"},
	{"host/launch", []string{module + "host/...", "go.starlark.net/...", "modernc.org/..."}, "it knows processes, and nothing of runs"},
	{"host/catalog", []string{module + "host/ledger", module + "host/engine", module + "host/report", module + "host/workflow", "go.starlark.net/...", "modernc.org/..."}, "it finds plugins, and knows no runs"},
	{"host/visible", []string{module + "...", "os/exec", "net"}, "it knows text: everything may print by it"},
	{"host/workflow", []string{module + "host/launch", module + "host/catalog", module + "host/output", "github.com/hashicorp/go-plugin"}, "scripts know backends by the engine, and no processes"},
	{"host/internal/bounded", []string{module + "..."}, "it knows files"},
	{"host/internal/faultfs", []string{module + "..."}, "it knows file systems"},
	{"host/internal/home", []string{module + "..."}, "it knows a directory"},
	{"host/internal/piles", []string{module + "..."}, "it knows numbers"},
	{"host", []string{"go.starlark.net/repl", "github.com/alecthomas/...", "github.com/vbauerster/...", "golang.org/x/term"}, "flags and terminals are the command's"},
	{"host/ledger", []string{module + "host/engine", module + "host/source", module + "host/workflow", "go.starlark.net/..."}, "records know nothing of who writes them"},
}

// owners are the libraries that are required and the only packages, or trees of
// packages, that import each. The ledger and the tables of applications are in files
// of SQLite.
var owners = map[string][]string{
	"filippo.io/age/...":                   {"host/ledger", "host/report"},
	"filippo.io/edwards25519/...":          {"plugins/mysql"},
	"github.com/bazelbuild/buildtools/...": {"host/workflow/tree"},
	"github.com/alecthomas/kong/...":       {"cmd/rekey"},
	"github.com/go-crypt/crypt/...":        {"plugins/sqltable"},
	"github.com/go-crypt/x/...":            {"plugins/sqltable"},
	"github.com/go-ldap/ldap/...":          {"plugins/ldap/..."},
	"github.com/go-sql-driver/mysql/...":   {"plugins/mysql/...", "plugins/sqltable"},
	"github.com/gomodule/redigo/...":       {"plugins/redis"},
	"github.com/hanwen/go-fuse/...":        {"host/internal/faultfs"},
	"github.com/hashicorp/go-hclog/...":    {"cmd/rekey", "host", "host/launch", "sdk/dial", "sdk/hlog", "sdk/serve"},
	"github.com/hashicorp/go-plugin/...":   {"host/launch", "sdk/dial", "sdk/internal/sdktest", "sdk/serve"},
	"github.com/jackc/pgx/...":             {"plugins/postgres/...", "plugins/sqltable"},
	"github.com/posener/complete/...":      {"cmd/rekey"},
	"github.com/vbauerster/mpb/...":        {"cmd/rekey"},
	"github.com/willabides/kongplete/...":  {"cmd/rekey"},
	"go.starlark.net/...":                  {"host/workflow/...", "host/scripttest", "plugins/internal/definition"},
	"go.yaml.in/yaml/...":                  {"plugins/file"},
	"golang.org/x/mod/sumdb/...":           {"host/hashlog", "host/lockfile", "host/depot"},
	"golang.org/x/crypto/ssh/...":          {"plugins/ssh/..."},
	"golang.org/x/term/...":                {"cmd/rekey"},
	"google.golang.org/grpc/...":           {"sdk/..."},
	"google.golang.org/protobuf/...":       {"sdk/..."},
	"modernc.org/...":                      {"host/ledger/internal/sqlite", "plugins/sqltable"},
}

// anywhere are required modules that no package owns: tests and small tools.
var anywhere = []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak", "pgregory.net/rapid",
	"golang.org/x/crypto", "golang.org/x/mod", "golang.org/x/sys", "golang.org/x/text", "golang.org/x/time"}

// seams are packages of the host and the only files that name each.
var seams = map[string]string{"host/ledger/internal/sqlite": "host/ledger/seam.go"}

// unbounded are the files of the host that may make a context of their own, and
// why. All others are given one by the command, and no file ends the process.
var unbounded = map[string]string{
	"launch/launch.go":               "a plugin lives until it is closed, however long the one lives who started it",
	"ledger/internal/sqlite/conn.go": "a statement on a local file is never given up half-way",
	"ledger/trust.go":                "the host waits for keys beside it, and gives up by itself",
}

func TestOnlyCommandsEndTheProcessOrMakeContexts(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for place, call := range forbiddenIn(t, path) {
			if _, may := unbounded[path]; may && call != "os.Exit" {
				used[path] = true
				continue
			}
			t.Errorf("%s: %s: the command ends the process, and gives every context", place, call)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range unbounded {
		if !used[path] {
			t.Errorf("%s makes no context any more: take it off the list", path)
		}
	}
}

// forbiddenIn returns the uses of os.Exit and of new contexts in a file, by
// their place.
func forbiddenIn(t *testing.T, path string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		if of, ok := node.(*ast.SelectorExpr); ok {
			if from, ok := of.X.(*ast.Ident); ok {
				if call := from.Name + "." + of.Sel.Name; slices.Contains([]string{"os.Exit", "context.Background", "context.TODO"}, call) {
					found[set.Position(of.Pos()).String()] = call
				}
			}
		}
		return true
	})
	return found
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// matches reports whether a path is the pattern, or in its tree.
func matches(path, pattern string) bool {
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return path == tree || isTree && strings.HasPrefix(path, tree+"/")
}

func TestImportsRunOneWay(t *testing.T) {
	all := list(t)
	for _, f := range floors {
		n := 0
		for _, p := range all {
			if !matches(p.ImportPath, module+f.packages) {
				continue
			}
			n++
			for _, dep := range p.Deps {
				if slices.ContainsFunc(f.banned, func(b string) bool { return matches(dep, b) }) && !strings.HasPrefix(dep, p.ImportPath) && !allowed(f.packages, dep) {
					t.Errorf("%s imports %s: %s", p.ImportPath, dep, f.why)
				}
			}
		}
		if n == 0 && !strings.HasSuffix(f.packages, "/...") {
			t.Errorf("no package %s: the rule guards nothing", f.packages)
		}
	}
}

// allowed reports whether the dependency is the package's own, or the one fold
// of names.
func allowed(pkg, dep string) bool {
	return pkg == "sdk" && dep == module+"sdk/secret" || pkg == "host/password" && dep == module+"host/diag"
}

func TestOnePackageImportsEachLargeLibrary(t *testing.T) {
	for _, p := range list(t) {
		for _, dep := range p.Imports {
			for library, owner := range owners {
				if matches(dep, library) && !slices.ContainsFunc(owner, func(owner string) bool { return matches(p.ImportPath, module+owner) }) {
					t.Errorf("%s imports %s, which is of %s", p.ImportPath, dep, owner)
				}
			}
		}
	}
}

// TestEveryLibraryHasAnOwner: a module that is required belongs to a room, or anywhere.
func TestEveryLibraryHasAnOwner(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		owned := slices.Contains(anywhere, path)
		for library := range owners {
			tree := strings.TrimSuffix(library, "/...")
			owned = owned || matches(tree, path+"/...") || matches(path, tree+"/...")
		}
		if !owned {
			t.Errorf("go.mod requires %s: name the room that imports it in owners", path)
		}
	}
}

// TestEveryRoomHasARule of its own: that of its tree only keeps host and plugins apart.
func TestEveryRoomHasARule(t *testing.T) {
	for _, p := range list(t) {
		if !matches(p.ImportPath, module+"host/...") {
			continue
		}
		if !slices.ContainsFunc(floors, func(f floor) bool { return module+f.packages == p.ImportPath }) {
			t.Errorf("%s has no rule in floors: say what it may not import, and why", p.ImportPath)
		}
	}
}

// TestWhatGoesWithoutTheRaceDetector: a package that make test tries without it has no
// goroutines, in its tests neither, and shares nothing under a lock; a test that it
// tries so is there, and starts nothing itself.
func TestWhatGoesWithoutTheRaceDetector(t *testing.T) {
	for _, pkg := range makeList(t, "ALONE") {
		for path, file := range filesOf(t, pkg) {
			if what := startsSomething(file); what != "" {
				t.Errorf("%s has %s: take %s off ALONE in the Makefile", path, what, pkg)
			}
		}
	}
	missing := makeList(t, "SERIAL")
	for _, pkg := range makeList(t, "SERIAL_OF") {
		for path, file := range filesOf(t, pkg) {
			for _, decl := range file.Decls {
				test, ok := decl.(*ast.FuncDecl)
				if !ok || test.Recv != nil || !slices.Contains(missing, test.Name.Name) {
					continue
				}
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == test.Name.Name })
				ast.Inspect(test, func(node ast.Node) bool {
					if _, starts := node.(*ast.GoStmt); starts {
						t.Errorf("%s: %s starts something: take it off SERIAL in the Makefile", path, test.Name.Name)
					}
					return true
				})
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("SERIAL of the Makefile names %q, which no package of SERIAL_OF has: nothing would try them", missing)
	}
}

// makeList returns a list of the Makefile.
func makeList(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+" = ")
	list, _, _ := strings.Cut(strings.ReplaceAll(rest, "\\\n", ""), "\n")
	if strings.TrimSpace(list) == "" {
		t.Fatalf("the Makefile has no %s", name)
	}
	return strings.Fields(list)
}

// filesOf parses the files of a package, tests included, by their path.
func filesOf(t *testing.T, pkg string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", pkg, len(paths), err)
	}
	files := map[string]*ast.File{}
	for _, path := range paths {
		files[path] = parsed(t, strings.TrimPrefix(path, "../"))
	}
	return files
}

// startsSomething returns what in a file may run beside something else.
func startsSomething(file *ast.File) (what string) {
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.ImportSpec:
			if path := strings.Trim(n.Path.Value, `"`); path == "sync" || path == "sync/atomic" {
				what = path
			}
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" {
				what = "tests side by side"
			}
		}
		return true
	})
	return what
}

// TestOneFileNamesAStorage: what the rest of a room asks of it can be asked of another.
func TestOneFileNamesAStorage(t *testing.T) {
	for pkg, only := range seams {
		named := 0
		paths, err := filepath.Glob(filepath.Join("..", filepath.Dir(only), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			file := strings.TrimPrefix(path, "../")
			if strings.HasSuffix(file, "_test.go") || !imports(t, file, module+pkg) {
				continue
			}
			if named++; file != only {
				t.Errorf("%s imports %s: %s is where it is asked", file, pkg, only)
			}
		}
		if named == 0 {
			t.Errorf("no file imports %s: the rule guards nothing", pkg)
		}
	}
}

// imports reports whether a file does.
func imports(t *testing.T, file, path string) bool {
	return slices.ContainsFunc(parsed(t, file).Imports, func(spec *ast.ImportSpec) bool { return spec.Path.Value == strconv.Quote(path) })
}

// walk are the files that a password passes from step.set to the plugin, as
// ARCHITECTURE.md draws them.
var walk = []string{
	"host/workflow/steps.go", "host/engine/steps.go", "host/engine/executor.go", "host/engine/settle.go", "host/engine/send.go", "host/engine/userstate.go",
	"host/engine/committer.go", "host/engine/dispatcher.go", "host/launch/instance.go", "sdk/dial/instance.go",
}

// TestAPasswordWalksOneWay: it enters each room once, a room knows none that was
// left, and inside a room no file knows one that was.
func TestAPasswordWalksOneWay(t *testing.T) {
	deps := map[string][]string{}
	for _, p := range list(t) {
		deps[p.ImportPath] = p.Deps
	}
	var left []string
	room := ""
	for i, station := range walk {
		if next := filepath.Dir(station); next != room {
			left, room = append(left, room), next
			for _, before := range left {
				if before == room {
					t.Errorf("%s is entered again, at %s", room, station)
				}
				if slices.Contains(deps[module+room], module+before) {
					t.Errorf("%s imports %s, which the password has left", room, before)
				}
			}
		}
		for _, before := range walk[:i] {
			if filepath.Dir(before) == room {
				if known := uses(t, station, before); len(known) > 0 {
					t.Errorf("%s uses %s of %s, which the password has left", station, strings.Join(known, ", "), filepath.Base(before))
				}
			}
		}
	}
}

// TestTheWalkIsDrawn.
func TestTheWalkIsDrawn(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## The walk of a password")
	section, _, _ = strings.Cut(section, "\n## ")
	var drawn []string
	for line := range strings.Lines(section) {
		if first, _, _ := strings.Cut(strings.TrimPrefix(line, " "), " "); strings.HasPrefix(line, " ") && strings.HasSuffix(first, ".go") {
			drawn = append(drawn, first)
		}
	}
	if !slices.EqualFunc(drawn, walk, func(drawn, file string) bool { return strings.HasSuffix(file, "/"+drawn) }) {
		t.Errorf("ARCHITECTURE.md draws\n%q\nthe walk is\n%q", drawn, walk)
	}
}

// uses returns what one file of a package uses that another one declares: names
// of the package, and methods that nothing else in the package has.
func uses(t *testing.T, file, other string) (names []string) {
	t.Helper()
	mine, methods := parsed(t, other), map[string]int{}
	siblings, err := filepath.Glob(filepath.Join("..", filepath.Dir(other), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range siblings {
		for name, method := range declared(parsed(t, strings.TrimPrefix(path, "../"))) {
			if method {
				methods[name]++
			}
		}
	}
	known := declared(mine)
	of := parsed(t, file)
	for _, name := range of.Unresolved {
		if method, is := known[name.Name]; is && !method {
			names = append(names, name.Name)
		}
	}
	ast.Inspect(of, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok && known[selector.Sel.Name] && methods[selector.Sel.Name] == 1 {
			names = append(names, selector.Sel.Name)
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

func parsed(t *testing.T, file string) *ast.File {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// declared are the names of a file's declarations at top level, and those of
// methods, of interfaces and fields too; they are true.
func declared(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for name := range file.Scope.Objects {
		names[name] = false
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncDecl:
			if n.Recv != nil {
				names[n.Name.Name] = true
			}
		case *ast.Field:
			for _, name := range n.Names {
				if _, top := names[name.Name]; !top {
					names[name.Name] = true
				}
			}
		}
		return true
	})
	return names
}
