package scaffold

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// shippedPrefix names what ships with rekey.
const shippedPrefix = "@rekey/"

// Shipped are the scripts in a tree, without tests: their names without .star, and
// the first line of their texts.
func Shipped(tree fs.FS) ([]ScriptKind, error) {
	names, err := fs.Glob(tree, "*.star")
	var all []ScriptKind
	for _, name := range names {
		if strings.HasSuffix(name, "_test.star") {
			continue
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(string(text), `"""`), "\n")
		all = append(all, ScriptKind{strings.TrimSuffix(name, ".star"), first})
	}
	return all, err
}

// ShippedText is the text of a shipped script, which is named without .star.
func ShippedText(tree fs.FS, name string) (string, error) {
	text, err := fs.ReadFile(tree, name+".star")
	if err == nil && !strings.HasSuffix(name, "_test") {
		return string(text), nil
	}
	return "", fmt.Errorf("no script %q ships with rekey", name)
}

// used finds what a script takes from the tree: libraries and data.
var used = regexp.MustCompile(`"@rekey//?((?:lib|data)/[^"]+)"`)

// CopyShipped copies a shipped script to a path, its tests, the libraries that it
// loads and the data that it reads beside it. The copies use each other, and nothing
// of the tree. It returns the paths; files that exist are left as they are, and then
// nothing is written.
func CopyShipped(tree fs.FS, plain, to string) ([]string, error) {
	text, err := ShippedText(tree, plain)
	if err != nil {
		return nil, err
	}
	if path.Ext(to) != ".star" || strings.HasSuffix(to, "_test.star") {
		return nil, fmt.Errorf("%s is no name of a script; write NAME.star", to)
	}
	dir, base := filepath.Dir(to), filepath.Base(to)
	own := strings.NewReplacer(shippedPrefix+plain+".star", filepath.ToSlash(to), "scripts/"+plain+".star", filepath.ToSlash(to), `"`+plain+`.star"`, `"`+base+`"`, "Tests of "+plain+".star", "Tests of "+base)
	files := []file{{to, []byte(own.Replace(text)), 0o644}}
	if tests, err := fs.ReadFile(tree, plain+"_test.star"); err == nil {
		files = append(files, file{strings.TrimSuffix(to, ".star") + "_test.star", []byte(own.Replace(string(tests))), 0o644})
	}
	if files, err = withUsed(tree, files, dir); err != nil {
		return nil, err
	}
	return writeNew(files)
}

// withUsed adds the libraries and data of files, and has the files name the copies.
// A library is named from the directory of the script, data from the working one.
func withUsed(tree fs.FS, files []file, dir string) ([]file, error) {
	var taken []string
	for i := 0; i < len(files); i++ {
		for _, found := range used.FindAllSubmatch(files[i].text, -1) {
			name := string(found[1])
			if slices.Contains(taken, name) {
				continue
			}
			text, err := fs.ReadFile(tree, name)
			if err != nil {
				return nil, err
			}
			taken = append(taken, name)
			files = append(files, file{filepath.Join(dir, filepath.FromSlash(name)), text, 0o644})
		}
		if filepath.Ext(files[i].path) == ".star" {
			files[i].text = used.ReplaceAllFunc(files[i].text, func(found []byte) []byte {
				name := string(used.FindSubmatch(found)[1])
				if strings.HasPrefix(name, "data/") {
					name = filepath.ToSlash(filepath.Join(dir, name))
				}
				return []byte(`"` + name + `"`)
			})
		}
	}
	return files, nil
}
