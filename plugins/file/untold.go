package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// untold are marks beside the file: one for each place that was written and that the
// program has not been told of. A value there is in the file, and nobody works with it.
// A mark outlives whoever made it, who may have been killed in between.
type untold struct {
	target string // the file, behind symbolic links
	teller string // "": no program has to be told, and no marks are made
}

func (i *Instance) untold() untold { return untold{target: i.canonical(), teller: i.teller()} }

// markName is how the names of marks of a file begin.
func markName(target string) string { return "." + filepath.Base(target) + ".untold-" }

// digest is a short name of a text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (u untold) prefix() string { return markName(u.target) + digest(u.teller) + "-" }

func (u untold) path(place string) string {
	return filepath.Join(filepath.Dir(u.target), u.prefix()+digest(place))
}

// mark marks a place, before it is written. Where nothing was written then, unmark
// takes that back.
func (u untold) mark(place string) (unmark func(), err error) {
	if u.teller == "" {
		return func() {}, nil
	}
	known := u.has(place)
	if err := u.add(place); err != nil {
		return nil, err
	}
	return func() {
		if !known {
			_ = os.Remove(u.path(place))
		}
	}, nil
}

// add makes a mark. Each is a file of its own, so that one that is older is told from
// it.
func (u untold) add(place string) error {
	file, err := os.CreateTemp(filepath.Dir(u.target), files.DraftName(u.target))
	if err != nil {
		return err
	}
	_, err = file.WriteString(place)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), u.path(place))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// has reports whether a place is marked.
func (u untold) has(place string) bool {
	if u.teller == "" {
		return false
	}
	_, err := os.Lstat(u.path(place))
	return !errors.Is(err, fs.ErrNotExist)
}

// marks are marks by their paths, as they were seen.
type marks map[string]fs.FileInfo

// all are the marks that telling the program does away with.
func (u untold) all() marks { return marksOf(filepath.Dir(u.target), u.prefix()) }

// marksOf are the marks whose names begin so.
func marksOf(dir, prefix string) marks {
	found := marks{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return found
	}
	for _, one := range entries {
		if info, err := one.Info(); err == nil && strings.HasPrefix(one.Name(), prefix) {
			found[filepath.Join(dir, one.Name())] = info
		}
	}
	return found
}

// drop removes the marks that are still the ones that were seen.
func (m marks) drop() {
	for path, seen := range m {
		now, err := os.Lstat(path)
		if err == nil && os.SameFile(now, seen) && now.ModTime().Equal(seen.ModTime()) {
			_ = os.Remove(path)
		}
	}
}

// longestPlace is how much of a mark is read.
const longestPlace = 4096

// findings are what a Check says of marks that are left.
func (m marks) findings() []sdk.Finding {
	var found []sdk.Finding
	for path := range m {
		place, _ := os.ReadFile(path)
		found = append(found, sdk.Finding{Severity: sdk.Warning, Message: "the program has not been told of what was written at \"" +
			lastLine(string(place[:min(len(place), longestPlace)])) + "\" (a run was killed in between, or its reload failed): set it again, or reload the program and remove " + path})
	}
	return found
}
