package host

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// realPaths are settings whose paths are those behind all links, sockets in a
// URL among them: a link pointed elsewhere is another target, however
// its path reads. The values are changed and returned.
func realPaths(description sdk.Description, values map[string]any) map[string]any {
	for _, field := range description.Config {
		text, ok := values[field.Name].(string)
		switch {
		case !ok || text == "":
		case field.Type == sdk.Path:
			values[field.Name] = realPath(text)
		case field.Type == sdk.URL:
			values[field.Name] = realSocket(text)
		}
	}
	return values
}

// realPath is a path without links. A missing part counts as it will be
// made, and what a link leads to as it was.
func realPath(path string) string { return followed(path, 0) }

// maxLinks is how many links a path may have, as for the kernel.
const maxLinks = 40

func followed(path string, links int) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if target, err := os.Readlink(path); err == nil && links < maxLinks {
		if !filepath.IsAbs(target) {
			target = filepath.Join(followed(dir, links+1), target)
		}
		return followed(target, links+1)
	}
	if dir == path {
		return path
	}
	return filepath.Join(followed(dir, links), filepath.Base(path))
}

// pathsIn are the paths among settings that say what a backend reaches, parted
// by whether they lead to something.
func pathsIn(description sdk.Description, reaches map[string]any) (there, absent []string) {
	for _, field := range description.Config {
		path, ok := reaches[field.Name].(string)
		if !ok || path == "" || field.Type != sdk.Path {
			continue
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, path)
		} else {
			there = append(there, path)
		}
	}
	return there, absent
}

// realSocket is a URL of a place in the file system, with or without escapes,
// as that of the place itself; others stay as they are.
func realSocket(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	path, err := url.PathUnescape(rest)
	if !ok || err != nil || !filepath.IsAbs(path) {
		return text
	}
	return scheme + "://" + realPath(filepath.Clean(path))
}
