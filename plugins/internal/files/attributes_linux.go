package files

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/sdk"
)

// changedAt is when anything of the file changed, its rights among it.
func changedAt(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }

// copyAttributes gives draft the extended attributes of the file at path: its
// access list above all. A security label that may not be given is left to the
// system's own rule.
func copyAttributes(draft *os.File, path string) error {
	names, err := attributeNames(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		count, err := syscall.Getxattr(path, name, value)
		if err != nil {
			return os.NewSyscallError("getxattr "+name, err)
		}
		err = unix.Fsetxattr(int(draft.Fd()), name, value[:count], 0) // another may have put a link where the draft was
		if err != nil && !strings.HasPrefix(name, "security.") {
			return os.NewSyscallError("setxattr "+name, err)
		}
	}
	return nil
}

// pinned returns what keeps a file from being replaced whoever asks: it is a
// mount of its own, or it or its directory is immutable.
func pinned(dir, path string) []sdk.Finding {
	var found []sdk.Finding
	say := func(why, fix string) {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.ReadOnly, Message: why, Fix: fix})
	}
	of := attributesOf(path)
	if of&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		say(fmt.Sprintf("%q is a mount of its own, as docker -v FILE:FILE makes one: it cannot be replaced", path), "mount its directory")
	}
	if of&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0 {
		say(fmt.Sprintf("%q is immutable or append-only", path), "chattr -i -a "+path)
	}
	if attributesOf(dir)&(unix.STATX_ATTR_IMMUTABLE|unix.STATX_ATTR_APPEND) != 0 {
		say(fmt.Sprintf("directory %q is immutable or append-only", dir), "chattr -i -a "+dir)
	}
	return found
}

// attributesOf are those that the system tells, 0 where it cannot.
func attributesOf(path string) uint64 {
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, 0, &st) != nil {
		return 0
	}
	return st.Attributes & st.Attributes_mask
}

func attributeNames(path string) ([]string, error) {
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	count, err := syscall.Listxattr(path, list)
	if errors.Is(err, syscall.ENOTSUP) || count == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("listxattr", err)
	}
	return strings.Split(strings.TrimSuffix(string(list[:count]), "\x00"), "\x00"), nil
}
