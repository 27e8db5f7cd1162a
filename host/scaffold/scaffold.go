// Package scaffold writes new backends: a folder with a backend that keeps the
// contract as it is written, what it works on in tests, and a page that says what to
// do with them. It knows templates and the source of the SDKs; it starts nothing.
package scaffold

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/rekey-host/rekey"
)

// templates are the files of new backends, by language and target.
//
//go:embed templates
var templates embed.FS

// Options say which backend.
type Options struct {
	Name   string // of the backend: rekey-backend-NAME
	Lang   string // one of Langs
	Target string // one of Targets
	Dir    string // where its folder is made
}

// Starlark is the language of definitions: a file, and no program.
const Starlark = "starlark"

// Langs are the languages.
func Langs() []string { return []string{"go", "python", "node", Starlark} }

// Targets are the kinds of systems.
func Targets() []string { return []string{"http", "sql", "command"} }

// word is what a backend's name looks like.
var word = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// sound refuses what no backend can be.
func (o Options) sound() error {
	switch {
	case !word.MatchString(o.Name):
		return fmt.Errorf("%q is no name of a backend; use lower-case letters, digits, - and _", o.Name)
	case !slices.Contains(Langs(), o.Lang):
		return fmt.Errorf("--lang %s: use one of %s", o.Lang, strings.Join(Langs(), ", "))
	case !slices.Contains(Targets(), o.Target):
		return fmt.Errorf("--target %s: use one of %s", o.Target, strings.Join(Targets(), ", "))
	case o.Lang == Starlark && o.Target != "http":
		return fmt.Errorf("--lang %s --target %s: a new definition is of http; rekey backends %s tells how one gives its settings", o.Lang, o.Target, map[string]string{"sql": "sqltable", "command": "command"}[o.Target])
	}
	return nil
}

// Write makes the folder, which must not exist, and returns its path.
func Write(options Options) (folder string, err error) {
	if err := options.sound(); err != nil {
		return "", err
	}
	folder = filepath.Join(options.Dir, options.folder())
	files, err := options.files()
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(folder, 0o755); errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s exists already; give another name, or remove it", folder)
	} else if err != nil {
		return "", err
	}
	for _, file := range files {
		to := filepath.Join(folder, filepath.FromSlash(file.path))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, file.text, file.mode)); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// folder is what the new one is called: a definition is no program.
func (o Options) folder() string {
	if o.Lang == Starlark {
		return o.Name
	}
	return "rekey-backend-" + o.Name
}

// file is one of the new folder.
type file struct {
	path string
	text []byte
	mode fs.FileMode
}

// from is a template and what becomes of it.
type from struct {
	template, to string
	mode         fs.FileMode
}

// files are all of the folder.
func (o Options) files() ([]file, error) {
	if o.Lang == Starlark {
		return o.made([]from{{"starlark/README.md", "README.md", 0o644}, {"starlark/try.star", "try.star", 0o644}, {"starlark/http/definition.star", o.Name + ".star", 0o644},
			{"shared/target.http.json", "target.json", 0o644}, {"python/http/target.py", "target.py", 0o755}})
	}
	program := "rekey-backend-" + o.Name
	list := []from{
		{"shared/README.md", "README.md", 0o644}, {"shared/try.star", "try.star", 0o644},
		{"shared/target." + o.Target + ".json", "target.json", 0o644}, {"shared/gitignore", ".gitignore", 0o644},
	}
	if o.Target == "command" {
		list = append(list, from{"shared/accounts.sh", "accounts.sh", 0o755})
	}
	here := o.Lang + "/" + o.Target + "/"
	switch {
	case o.Lang == "go":
		list = append(list, from{here + "main.go", "main.go", 0o644}, from{"go/main_test.go", "main_test.go", 0o644})
		if o.Target != "command" {
			list = append(list, from{here + "target_main.go", "target/main.go", 0o644}, from{"go/target.sh", "target.sh", 0o755})
		}
	case o.Target == "command":
		list = append(list, from{here + "backend", program, 0o755})
	default:
		list = append(list, from{here + "backend", program, 0o755}, from{here + "target" + o.extension(), "target" + o.extension(), 0o755})
	}
	made, err := o.made(list)
	if err != nil {
		return nil, err
	}
	more, err := o.sdk()
	return append(made, more...), err
}

// made are files with their templates filled in.
func (o Options) made(list []from) ([]file, error) {
	var made []file
	for _, one := range list {
		text, err := o.filled(one.template)
		if err != nil {
			return nil, err
		}
		made = append(made, file{one.to, text, one.mode})
	}
	return made, nil
}

// extension is that of the language's files.
func (o Options) extension() string {
	return map[string]string{"python": ".py", "node": ".js", Starlark: ".py"}[o.Lang]
}

// facts are what templates show.
type facts struct{ Name, Lang, Target, Main, Start, Settings string }

func (o Options) filled(name string) ([]byte, error) {
	text, err := templates.ReadFile("templates/" + name + ".tmpl")
	if err != nil {
		return nil, err
	}
	parsed, err := template.New(name).Parse(string(text))
	if err != nil {
		return nil, err
	}
	made := facts{Name: o.Name, Lang: o.Lang, Target: o.Target, Main: "main.go", Start: o.start()}
	if o.Lang != "go" {
		made.Main = "rekey-backend-" + o.Name
	}
	made.Settings = map[string]string{
		"http":    fmt.Sprintf("url = \"https://%s.example.com\", token = secret.env(\"%s_TOKEN\")", o.Name, strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))),
		"sql":     `path = "../accounts.db"`,
		"command": `program = "accounts.sh", folder = "accounts"`,
	}[o.Target]
	var out bytes.Buffer
	if err := parsed.Execute(&out, made); err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".go") {
		return format.Source(out.Bytes()) // templates write { { for what Go writes without the space
	}
	return out.Bytes(), nil
}

// start is the command of the target file.
func (o Options) start() string {
	command := []string{"./target" + cmp.Or(o.extension(), ".sh")}
	if o.Target == "sql" {
		command = append(command, "{dir}/accounts.db")
	}
	text, _ := json.Marshal(command) // strings always can be
	return string(text)
}

// sdk are the files of rekey itself.
func (o Options) sdk() ([]file, error) {
	switch o.Lang {
	case "python":
		return taken("sdk/python/rekey.py")
	case "node":
		packages, err := o.packages()
		if err != nil {
			return nil, err
		}
		list, err := taken("sdk/node/rekey.js")
		return append(list, file{"package.json", packages, 0o644}), err
	}
	return o.module()
}

func taken(name string) ([]file, error) {
	text, err := rekey.Source.ReadFile(name)
	return []file{{path.Base(name), text, 0o644}}, err
}

// packages is a package.json with what a backend in Node needs.
func (o Options) packages() ([]byte, error) {
	text, err := rekey.Source.ReadFile("sdk/node/package.json")
	if err != nil {
		return nil, err
	}
	var pinned struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(text, &pinned); err != nil {
		return nil, err
	}
	if o.Target == "sql" {
		pinned.Dependencies[sqlite] = pinned.DevDependencies[sqlite]
	}
	made, err := json.MarshalIndent(struct {
		Name         string            `json:"name"`
		Version      string            `json:"version"`
		Private      bool              `json:"private"`
		Dependencies map[string]string `json:"dependencies"`
	}{"rekey-backend-" + o.Name, "0.1.0", true, pinned.Dependencies}, "", "  ")
	return append(made, '\n'), err
}

// sqlite is the driver of the example for Node.
const sqlite = "node-sqlite3-wasm"

// thirdParty is where the source of the SDK is in a backend in Go.
const thirdParty = "third_party/rekey"

// module are go.mod and go.sum of a backend in Go, and the source that it stands on.
func (o Options) module() ([]file, error) {
	theirs, mine, err := o.modules()
	if err != nil {
		return nil, err
	}
	sums, err := rekey.Source.ReadFile("go.sum")
	if err != nil {
		return nil, err
	}
	list := []file{{"go.mod", mine, 0o644}, {"go.sum", sums, 0o644}, {thirdParty + "/go.mod", theirs, 0o644}}
	err = fs.WalkDir(rekey.Source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "go.") || path.Ext(name) != ".go" && name != "LICENSE" {
			return err
		}
		text, err := rekey.Source.ReadFile(name)
		list = append(list, file{thirdParty + "/" + name, text, 0o644})
		return err
	})
	return list, err
}

// needed are the modules that a backend in Go needs besides, and ofSQL those of
// the driver in the example for SQL.
var (
	needed = []string{"github.com/fatih/color", "github.com/golang/protobuf", "github.com/hashicorp/go-hclog", "github.com/hashicorp/go-plugin",
		"github.com/hashicorp/yamux", "github.com/mattn/go-colorable", "github.com/mattn/go-isatty", "github.com/oklog/run", "golang.org/x/net",
		"golang.org/x/sys", "golang.org/x/text", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/grpc", "google.golang.org/protobuf"}
	ofSQL = []string{"github.com/dustin/go-humanize", "github.com/google/uuid", "github.com/ncruces/go-strftime", "github.com/remyoudompheng/bigfft",
		"modernc.org/libc", "modernc.org/mathutil", "modernc.org/memory", "modernc.org/sqlite"}
)

// modules returns the go.mod of the source and that of the backend, with the versions
// that rekey was built from.
func (o Options) modules() (theirs, mine []byte, err error) {
	text, err := rekey.Source.ReadFile("go.mod")
	if err != nil {
		return nil, nil, err
	}
	all, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return nil, nil, err
	}
	var list, own []*modfile.Require
	for _, require := range all.Require {
		version := require.Mod
		if slices.Contains(needed, version.Path) {
			list = append(list, &modfile.Require{Mod: version, Indirect: true})
		} else if o.Target == "sql" && slices.Contains(ofSQL, version.Path) {
			own = append(own, &modfile.Require{Mod: version, Indirect: version.Path != driver})
		}
	}
	source := all.Module.Mod.Path
	if theirs, err = written(source, all.Go.Version, list, ""); err != nil {
		return nil, nil, err
	}
	own = append(append(own, list...), &modfile.Require{Mod: module.Version{Path: source, Version: "v0.0.0"}})
	mine, err = written("rekey-backend-"+o.Name, all.Go.Version, own, source)
	return theirs, mine, err
}

// driver is that of the example for SQL.
const driver = "modernc.org/sqlite"

// written is a go.mod; replaced is the module that lies in thirdParty, "" without.
func written(name, version string, requires []*modfile.Require, replaced string) ([]byte, error) {
	made := &modfile.File{}
	err := errors.Join(made.AddModuleStmt(name), made.AddGoStmt(version))
	made.SetRequireSeparateIndirect(requires)
	if replaced != "" {
		err = errors.Join(err, made.AddReplace(replaced, "", "./"+thirdParty, ""))
	}
	if err != nil {
		return nil, err
	}
	made.Cleanup()
	return made.Format()
}
