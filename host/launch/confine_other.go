//go:build !linux

package launch

import (
	"errors"
	"runtime"
)

// Confinable is an error: only Linux lets a process give up rights without
// root.
func Confinable() (missing []string, err error) {
	return nil, errors.New("cannot be confined: " + runtime.GOOS + " has no Landlock; run without --sandbox")
}

func (c confinement) apply() error {
	_, err := Confinable()
	return err
}

func (c confinement) become() error { return c.apply() }
