package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
)

// ScriptKind is one kind of new scripts.
type ScriptKind struct {
	Name string `json:"kind"`
	Doc  string `json:"doc"` // what such a script does, in a sentence
}

// ScriptKinds are the kinds of new scripts, in the order in which they are told.
func ScriptKinds() []ScriptKind {
	return []ScriptKind{
		{"migration", "Gives users their first passwords in a new system, in three waves by team."},
		{"waves", "Gives the enabled users new passwords: a few first, the others after an approval."},
		{"sync", "Gives each user one password in two systems, or sets back what was set."},
		{"report", "Lists what a system says of its users, and changes nothing."},
	}
}

// scriptName is what a new script may be called.
var scriptName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// WriteScript writes a new script of a kind and its tests, NAME.star and
// NAME_test.star, into a directory, and returns their paths. Files that exist
// are left as they are, and then nothing is written.
func WriteScript(kind, name, dir string) ([]string, error) {
	name = strings.TrimSuffix(name, ".star")
	if !scriptName.MatchString(name) || strings.HasSuffix(name, "_test") {
		return nil, fmt.Errorf("%q is no name of a script; use letters, digits, - and _, and no _test at its end", name)
	}
	var files []file
	for _, ending := range []string{".star", "_test.star"} {
		text, err := scriptOf(kind, ending, name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{filepath.Join(dir, name+ending), text, 0o644})
	}
	return writeNew(files)
}

// scriptOf is a template of a kind, filled in.
func scriptOf(kind, ending, name string) ([]byte, error) {
	text, err := templates.ReadFile("templates/scripts/" + kind + ending + ".tmpl")
	if err != nil {
		return nil, fmt.Errorf("there is no kind of script %q", kind)
	}
	parsed, err := template.New(kind).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, struct{ Name string }{name})
	return out.Bytes(), err
}

// writeNew writes files, none of which may exist, and returns their paths.
func writeNew(files []file) ([]string, error) {
	for _, one := range files {
		if _, err := os.Lstat(one.path); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s exists already; give another name or directory, or remove it", one.path)
		}
	}
	var paths []string
	for _, one := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(one.path), 0o755), createNew(one)); err != nil {
			return paths, err
		}
		paths = append(paths, one.path)
	}
	return paths, nil
}

// createNew writes a file that does not exist.
func createNew(one file) error {
	made, err := os.OpenFile(one.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, one.mode)
	if err != nil {
		return err
	}
	_, err = made.Write(one.text)
	return errors.Join(err, made.Close())
}
