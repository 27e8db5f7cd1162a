//go:build !linux

package launch

import (
	"errors"
	"runtime"
)

// Confinable is an error: only Linux lets a process give up rights without
// root.
func Confinable() (missing []string, err error) {
	return nil, errors.New("cannot be confined: " + runtime.GOOS + " has no Landlock; run without --sandbox, and with --no-sandbox NAME for a plugin of a lock file")
}

func enter(c confinement) error {
	_, err := Confinable()
	return err
}

func become(c confinement) error { return enter(c) }
