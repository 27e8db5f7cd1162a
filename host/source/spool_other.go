//go:build !linux

package source

import (
	"errors"
	"os"
)

// tmpfile says that this system has no files without a name.
func tmpfile(string) (*os.File, error) { return nil, errors.ErrUnsupported }
