package host

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// realPaths are settings whose paths are those behind all links, sockets in a
// URL among them: a link that is pointed elsewhere is another target, however
// its path reads. The values are changed and returned.
func realPaths(d sdk.Description, values map[string]any) map[string]any {
	for _, f := range d.Config {
		text, ok := values[f.Name].(string)
		switch {
		case !ok || text == "":
		case f.Type == sdk.Path:
			values[f.Name] = realPath(text)
		case f.Type == sdk.URL:
			values[f.Name] = realSocket(text)
		}
	}
	return values
}

// realPath is a path without links. What is not there yet counts as it will be
// made.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(realPath(dir), filepath.Base(path))
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
