package htpasswd

import (
	"errors"
	"os"
	"strings"
	"syscall"
)

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
		n, err := syscall.Getxattr(path, name, value)
		if err != nil {
			return os.NewSyscallError("getxattr "+name, err)
		}
		err = syscall.Setxattr(draft.Name(), name, value[:n], 0)
		if err != nil && !strings.HasPrefix(name, "security.") {
			return os.NewSyscallError("setxattr "+name, err)
		}
	}
	return nil
}

func attributeNames(path string) ([]string, error) {
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := syscall.Listxattr(path, list)
	if errors.Is(err, syscall.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, os.NewSyscallError("listxattr", err)
	}
	return strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00"), nil
}
