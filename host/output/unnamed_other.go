//go:build !linux

package output

import (
	"errors"
	"os"
)

// unnamed says that this system has no files without a name.
func unnamed(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// linkUnnamed is never called here.
func linkUnnamed(_, _ *os.File, _ string) error { return errors.ErrUnsupported }
