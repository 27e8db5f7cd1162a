package output

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

const tempPrefix = ".rekey-"

// tempNames match what tempName makes, and nothing that people call a file.
const tempNames = `^\.rekey-[0-9A-Za-z]+-[0-9a-f]{16}$`

// Sweep removes from directories the files that processes left behind which
// died before theirs were complete: regular files with such a name, of this
// user, not locked. Missing directories are left out. It
// returns the removed paths, also with an error.
func Sweep(dirs ...string) (removed []string, err error) {
	names := regexp.MustCompile(tempNames)
	var errs []error
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, dirEntry := range entries {
			if !names.MatchString(dirEntry.Name()) || !dirEntry.Type().IsRegular() {
				continue
			}
			path := filepath.Join(dir, dirEntry.Name())
			gone, err := sweepFile(path)
			if err != nil {
				errs = append(errs, err)
			}
			if gone {
				removed = append(removed, path)
			}
		}
	}
	return removed, errors.Join(errs...)
}

// sweepFile removes one file unless a process holds it.
func sweepFile(path string) (gone bool, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil // gone, or another user's
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	var info unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &info); err != nil {
		return false, err
	}
	if int(info.Uid) != os.Geteuid() {
		return false, nil
	}
	if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false, nil
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
