// Package strict tells whether another user could put another file in the
// place of one: it judges owners and modes as sshd does with StrictModes.
package strict

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Problem is the flaw of one file on the way.
type Problem struct {
	Path    string
	Message string // who may do what
	Fix     string // what to type
}

// Error returns the path, the message and the fix.
func (p *Problem) Error() string { return p.Path + ": " + p.Message + "; " + p.Fix }

// Walk follows a path from the root, through symbolic links, as the user of
// that number. Every directory, link and target on the way has to belong to
// root or to that user, and no one else may write it. A sticky directory, as
// /tmp, may be written by all if it is not the one that holds the file, or a
// link on the way: what lies in it may be replaced only by its owner, who is
// judged in turn. Walk returns what the path leads to; the error is a *Problem
// or one of the file system.
func Walk(path string, uid int) (fs.FileInfo, error) { return follow(path, &walk{uid: uid}) }

// Keep is Walk for what its owner keeps: a sticky directory may hold it too, as
// only its owner can replace a file there.
func Keep(path string, uid int) (fs.FileInfo, error) {
	return follow(path, &walk{uid: uid, sticky: true})
}

func follow(path string, walk *walk) (fs.FileInfo, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	walk.rest = names(path)
	info, err := os.Lstat("/")
	if err == nil {
		err = walk.judge("/", info, walk.above())
	}
	for at := "/"; err == nil && len(walk.rest) > 0; {
		at, info, err = walk.step(at)
	}
	return info, err
}

// maxLinks is how many links a path may have, as for the kernel.
const maxLinks = 40

type walk struct {
	uid    int
	sticky bool     // a sticky directory may hold what the path leads to
	rest   []string // names still to follow
	links  int
}

func names(path string) []string {
	return strings.FieldsFunc(path, func(letter rune) bool { return letter == filepath.Separator })
}

// step follows the next name from a directory that has no links in its path.
func (w *walk) step(at string) (string, fs.FileInfo, error) {
	name := w.rest[0]
	w.rest = w.rest[1:]
	next := filepath.Join(at, name) // "..", of a link, leads up: at is no link
	info, err := os.Lstat(next)
	if err != nil {
		return next, nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return w.link(at, next, info)
	}
	return next, info, w.judge(next, info, w.above())
}

// above reports whether a directory that was come to is above the one that
// holds what the path leads to, or may be sticky as if it were.
func (w *walk) above() bool { return len(w.rest) > 1 || w.sticky && len(w.rest) == 1 }

// link goes on where a link leads to. Its own mode means nothing.
func (w *walk) link(at, path string, info fs.FileInfo) (string, fs.FileInfo, error) {
	if problem := w.owner(path, info); problem != nil {
		return path, nil, problem
	}
	target, err := os.Readlink(path)
	if err != nil {
		return path, nil, err
	}
	if w.links++; w.links > maxLinks {
		return path, nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
	}
	w.rest = append(names(target), w.rest...)
	if !filepath.IsAbs(target) {
		info, err = os.Lstat(at)
		return at, info, err
	}
	info, err = os.Lstat("/")
	return "/", info, err
}

// judge looks at a directory or a file. above: it may be sticky.
func (w *walk) judge(path string, info fs.FileInfo, above bool) error {
	if problem := w.owner(path, info); problem != nil {
		return problem
	}
	if above && info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	return errorOf(Writers(path, info.Mode()))
}

// Opened judges a file that was opened and that only root, the user of that
// number and no one else may own or use, as ssh judges its keys.
func Opened(path string, info fs.FileInfo, uid int) error {
	made := &walk{uid: uid}
	if problem := made.owner(path, info); problem != nil {
		return problem
	}
	return errorOf(Secret(path, info.Mode()))
}

// errorOf keeps a nil pointer from being an error.
func errorOf(problem *Problem) error {
	if problem == nil {
		return nil
	}
	return problem
}

func (w *walk) owner(path string, info fs.FileInfo) *Problem {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == w.uid {
		return nil
	}
	who, flag := called(w.uid), ""
	if info.Mode()&fs.ModeSymlink != 0 {
		flag = "-h "
	}
	not := "neither root nor " + who
	if w.uid == 0 {
		not = "not root"
	}
	return &Problem{path, fmt.Sprintf("it belongs to %s, who is %s", called(int(stat.Uid)), not), fmt.Sprintf("chown %s%s %s", flag, who, path)}
}

// Writers is the problem of a file that others than its owner may write; nil
// if only the owner may.
func Writers(path string, mode fs.FileMode) *Problem {
	group, world := mode.Perm()&0o020 != 0, mode.Perm()&0o002 != 0
	switch {
	case group && world:
		return &Problem{path, "its group and everybody else may write it", "chmod go-w " + path}
	case world:
		return &Problem{path, "everybody may write it", "chmod o-w " + path}
	case group:
		return &Problem{path, "its group may write it", "chmod g-w " + path}
	}
	return nil
}

// Secret is the problem of a file that only its owner may use and that grants
// others anything, as ssh judges its keys; nil if it grants nothing.
func Secret(path string, mode fs.FileMode) *Problem {
	if mode.Perm()&0o077 == 0 {
		return nil
	}
	return &Problem{path, fmt.Sprintf("its mode is %04o, so others than its owner may use it", mode.Perm()), "chmod 600 " + path}
}

// called is a user's name, or number.
func called(uid int) string {
	number := strconv.Itoa(uid)
	u, err := user.LookupId(number)
	if err != nil {
		return number
	}
	return u.Username
}

// Owner is the name of the owner of a path, or of the nearest directory above it
// that is there; "" if that cannot be told.
func Owner(path string) (there, owner string) {
	for {
		info, err := os.Lstat(path)
		up := filepath.Dir(path)
		switch stat, ok := sysOf(info); {
		case err == nil && ok:
			return path, called(int(stat.Uid))
		case err == nil || up == path:
			return "", ""
		}
		path = up
	}
}

func sysOf(info fs.FileInfo) (*syscall.Stat_t, bool) {
	if info == nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}
