package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/rekey-host/rekey/host/ledger"
)

// keys reads the identity that opens sealed values. It makes none: what is there
// is sealed to another.
func (h *Host) keys(ctx context.Context) (ledger.Keys, error) {
	if _, err := os.Stat(h.IdentityPath); h.loaded == nil && errors.Is(err, fs.ErrNotExist) {
		return ledger.Keys{}, h.noIdentity()
	}
	return h.loadKeys(ctx)
}

// firstKeys is keys for the first run of a state directory, whose identity is
// made. One that was named is never made: the name may be a slip.
func (h *Host) firstKeys(ctx context.Context) (ledger.Keys, error) {
	used, err := ledger.HasRuns(h.StateDir)
	if err != nil {
		return ledger.Keys{}, err
	}
	if used || h.named {
		return h.keys(ctx)
	}
	return h.loadKeys(ctx)
}

// loadKeys reads the identity, or makes it and says where it is.
func (h *Host) loadKeys(ctx context.Context) (ledger.Keys, error) {
	if h.loaded != nil {
		return *h.loaded, nil
	}
	type answer struct {
		keys    ledger.Keys
		created bool
		err     error
	}
	got := make(chan answer, 1)
	go func() {
		k, created, err := ledger.LoadKeys(h.IdentityPath, h.Recipients)
		got <- answer{k, created, err}
	}()
	var a answer
	select {
	case a = <-got:
	case <-ctx.Done(): // the file may be a pipe that somebody holds open
		return a.keys, ErrInterrupted
	}
	if a.err != nil {
		return a.keys, &UsageError{Message: a.err.Error()}
	}
	h.loaded = &a.keys
	if a.created {
		fmt.Fprintf(h.Stderr, "rekey: made %s: it opens the sealed passwords of every run here; keep a copy in a safe place\n", h.IdentityPath)
	}
	return a.keys, nil
}

// noIdentity is what to do without one.
func (h *Host) noIdentity() error {
	if h.named {
		return &UsageError{Message: fmt.Sprintf("REKEY_AGE_IDENTITY names %s, and there is no such file", h.IdentityPath),
			Fix: "mend the name, or make one: rekey keygen --out " + h.IdentityPath}
	}
	return &UsageError{Message: fmt.Sprintf("there is no %s, to which the runs here are sealed", h.IdentityPath),
		Fix: "put its copy back, or name it in REKEY_AGE_IDENTITY"}
}
