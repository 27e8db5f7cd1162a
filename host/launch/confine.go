package launch

import (
	"fmt"
)

// Confine is the whole of the command in Options.Confine: it gives up what the
// arguments do not grant and becomes the plugin, in the same process. It
// returns only if that cannot be, with what to tell on standard error.
func Confine(args []string) error {
	confinement, err := parseConfinement(args)
	if err != nil {
		return err
	}
	if err := enter(confinement); err != nil {
		return fmt.Errorf("cannot be confined: %w", err)
	}
	return become(confinement)
}
