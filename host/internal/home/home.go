// Package home knows what a path means that begins with a tilde. Shells expand
// those that they see; in quotes, in NAME=VALUE, in cron and in scripts they do
// not see them.
package home

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Expand returns a path whose "~" or "~/" at the start stands for the home
// directory dir, "" without one. "~anna/" is an error: whose home that
// is, is not looked up. Any other path is returned as it is.
func Expand(path, dir string) (string, error) {
	first, rest, below := strings.Cut(path, "/")
	switch {
	case !strings.HasPrefix(first, "~") || first != "~" && !below:
		return path, nil
	case first != "~":
		return "", fmt.Errorf("%s: the home of another user is not looked up; write the whole path, or ./%s", path, path)
	case dir == "":
		return "", fmt.Errorf("%s: there is no home directory; write the whole path, or ./%s", path, path)
	}
	return filepath.Join(dir, rest), nil
}
