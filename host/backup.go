package host

import (
	"context"
	"errors"
	"io/fs"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
)

// Backup copies the state directory to a directory that does not exist or is
// empty, also while runs go on. The identity is copied only if that is wanted.
func (h *Host) Backup(stop context.Context, dir string, withIdentity bool) (ledger.Backup, error) {
	dir = h.absolute(dir)
	if err := output.KeepsOff(dir, []string{h.StateDir}); err != nil {
		return ledger.Backup{}, usageOf(err)
	}
	identity := ""
	if withIdentity {
		identity = h.absolute(h.IdentityPath)
	}
	b, err := h.store.Backup(stop, dir, identity)
	var path *fs.PathError
	switch {
	case err != nil && stop.Err() != nil:
		return b, ErrInterrupted
	case errors.Is(err, ledger.ErrNotVacant):
		return b, &UsageError{Message: dir + " " + ledger.ErrNotVacant.Error(), Fix: "give a directory that does not exist"}
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) && path.Path == identity:
		return b, &UsageError{Message: "there is no identity at " + identity, Fix: "leave --identity away, or set REKEY_AGE_IDENTITY"}
	}
	return b, err
}
