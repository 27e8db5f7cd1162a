package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/rekey-host/rekey/host/ledger"
)

// keyring is the keys of a state directory, read once they are needed. It is
// safe for concurrent use.
type keyring struct {
	path       string // of the identity
	named      bool   // the path was given
	recipients []string
	stateDir   string
	notices    *notices

	loading chan struct{} // of one element: who may read them
	loaded  *ledger.Keys
}

func newKeyring(config Config, named bool, out *notices) *keyring {
	return &keyring{path: config.IdentityPath, named: named, recipients: config.Recipients, stateDir: config.StateDir, notices: out, loading: make(chan struct{}, 1)}
}

// keys reads the identity that opens sealed values. It makes none: what exists
// is sealed to another.
func (k *keyring) keys(ctx context.Context) (ledger.Keys, error) {
	return k.once(ctx, func() (ledger.Keys, error) {
		if _, err := os.Stat(k.path); errors.Is(err, fs.ErrNotExist) {
			return ledger.Keys{}, k.missing()
		}
		return k.load(ctx)
	})
}

// first is keys for the first run of a state directory, whose identity is
// made. A named one is never made: the name may be a slip.
func (k *keyring) first(ctx context.Context) (ledger.Keys, error) {
	used, err := ledger.HasRuns(k.stateDir)
	if err != nil {
		return ledger.Keys{}, err
	}
	if used || k.named {
		return k.keys(ctx)
	}
	return k.once(ctx, func() (ledger.Keys, error) { return k.load(ctx) })
}

// once returns the keys, read by one session for all.
func (k *keyring) once(ctx context.Context, read func() (ledger.Keys, error)) (ledger.Keys, error) {
	select {
	case k.loading <- struct{}{}:
		defer func() { <-k.loading }()
	case <-ctx.Done():
		return ledger.Keys{}, ErrInterrupted
	}
	if k.loaded != nil {
		return *k.loaded, nil
	}
	keys, err := read()
	if err == nil {
		k.loaded = &keys
	}
	return keys, err
}

// load reads the identity, or makes it and says where it is.
func (k *keyring) load(ctx context.Context) (ledger.Keys, error) {
	type answer struct {
		keys    ledger.Keys
		created bool
		err     error
	}
	got := make(chan answer, 1)
	go func() {
		keys, created, err := ledger.LoadKeys(k.path, k.recipients)
		got <- answer{keys, created, err}
	}()
	select {
	case found := <-got:
		if found.err != nil {
			return found.keys, &UsageError{Message: found.err.Error()}
		}
		if found.created {
			k.notices.say("made %s: it opens the sealed passwords of every run here; keep a copy in a safe place", k.path)
		}
		return found.keys, nil
	case <-ctx.Done(): // the file may be a pipe that another process holds open
		return ledger.Keys{}, ErrInterrupted
	}
}

// missing says what to do without an identity.
func (k *keyring) missing() error {
	if k.named {
		return &UsageError{Message: fmt.Sprintf("REKEY_AGE_IDENTITY names %s, and there is no such file", k.path),
			Fix: "mend the name, or make one: rekey keygen --out " + k.path}
	}
	return &UsageError{Message: fmt.Sprintf("there is no %s, to which the runs here are sealed", k.path),
		Fix: "put its copy back, or name it in REKEY_AGE_IDENTITY"}
}
