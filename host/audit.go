package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Auditor proves things about runs, and checks proofs.
type Auditor struct {
	runs    runs
	outlets outlets
	place   place
}

// Verify reads a run from end to end and compares it with a checkpoint: "",
// SIZE:HASH, a hash, or the name of a file with a signed head.
func (a Auditor) Verify(ctx context.Context, name, checkpoint string) (hashlog.Audit, error) {
	id, err := a.runs.store.Resolve(name)
	if err != nil {
		return hashlog.Audit{}, &UsageError{Message: err.Error()}
	}
	kept, err := a.keptHead(ctx, checkpoint)
	if err != nil {
		return hashlog.Audit{}, err
	}
	found, err := a.runs.store.Verify(id, kept)
	if err != nil {
		return found, &UsageError{Message: err.Error()}
	}
	return found, nil
}

// keptHead reads a checkpoint from a file, if it names one.
func (a Auditor) keptHead(ctx context.Context, checkpoint string) (string, error) {
	if checkpoint == "" {
		return "", nil
	}
	text, err := bounded.ReadFile(ctx, a.place.absolute(checkpoint), headLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(checkpoint, "/."):
		return checkpoint, nil
	case err != nil:
		return "", &UsageError{Message: fmt.Sprintf("checkpoint %q: %s", checkpoint, reasonOf(err))}
	}
	return string(text), nil
}

// Open opens every sealed value of a run with the identity at hand, shows none,
// and adds to the audit which do not open. It returns how many do.
func (a Auditor) Open(ctx context.Context, name string, found *hashlog.Audit) (int64, error) {
	run, err := a.runs.opened(ctx, name)
	if err != nil {
		return 0, err
	}
	defer run.Close()
	schema, err := schemaOf(run)
	if err != nil {
		return 0, err
	}
	cells := int64(0)
	opened, err := run.OpenAll(found, func(user ledger.User) error {
		_, err := source.Decode(schema, user.Row, func(column string, sealed []byte) (secret.Value, error) {
			value, err := run.UnsealCell(column, user.Seq, sealed)
			if err == nil {
				cells++
			}
			return value, err
		})
		return err
	})
	return opened + cells, err
}

// Bundle checks a bundle offline, with a key or a file that holds it, and calls
// record for every record that it proves.
func (a Auditor) Bundle(ctx context.Context, path, vkey string, record func(journal.Record) error) (hashlog.Bundle, error) {
	if text, err := bounded.ReadFile(ctx, a.place.absolute(vkey), headLimit); err == nil {
		vkey = string(text)
	}
	file, err := bounded.Open(ctx, a.place.absolute(path))
	if err != nil {
		return hashlog.Bundle{}, &UsageError{Message: fmt.Sprintf("bundle %q: %s", path, reasonOf(err))}
	}
	defer file.Close()
	bundle, err := hashlog.VerifyBundle(file, vkey, record)
	if err != nil {
		return bundle, &UsageError{Message: fmt.Sprintf("bundle %q: %s", path, err)}
	}
	return bundle, nil
}

// Target is where a command writes its result.
type Target struct {
	Path      string // "-" is Stdout
	Overwrite bool   // replace a file that no run of this state directory wrote
	Stdout    io.Writer
}

// Prove writes one user's records with the proof that they are in the log.
func (a Auditor) Prove(name, key string, to Target) error {
	run, err := a.runs.read(name)
	if err != nil {
		return err
	}
	defer run.Close()
	proof, err := run.Prove(key)
	if errors.Is(err, ledger.ErrNoUser) {
		return usagef("run %s has no user %q", run.ID(), key)
	}
	if err != nil {
		return err
	}
	return a.written(run, to, func(w io.Writer) error {
		_, err := w.Write(proof)
		return err
	})
}

// Export writes a bundle of users, or of the whole log.
func (a Auditor) Export(name string, options ledger.ExportOptions, to Target) error {
	run, err := a.runs.read(name)
	if err != nil {
		return err
	}
	defer run.Close()
	for _, key := range options.Keys {
		if _, err := run.User(key); err != nil {
			return usagef("run %s has no user %q", run.ID(), key)
		}
	}
	return a.written(run, to, func(w io.Writer) error { return run.Export(w, options) })
}

// Key returns the public key that heads and bundles are verified with.
func (a Auditor) Key() (string, error) { return a.runs.store.VerifierKey() }

// written writes evidence about a run, which holds no secret, to standard output or to a
// file, whole or not at all. A state directory that cannot be written can be
// proved from: the file is then not remembered as ours.
func (a Auditor) written(run *ledger.Run, to Target, write func(io.Writer) error) error {
	defer func() {
		if left := run.Uncovered(); left > 0 {
			a.runs.notices.warn("the last %d records are left out: no signed head covers them, and none can be signed here", left)
		}
	}()
	if to.Path == stdoutPath {
		return write(to.Stdout)
	}
	waiving := a.outlets
	waiving.waived = true
	options, err := waiving.writes(run.Header(), kindProof, to.Overwrite)
	if err != nil {
		return err
	}
	options.Mode = public
	return waiving.publish(to.Path, options, write)
}
