package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// checkpoint writes the newest signed head of a run to a file, which is worth
// keeping where nobody who can write the state directory can. A head of the run
// that stands there was compared, and is older: it is ours to replace.
func (h *Host) checkpoint(r *ledger.Run, o RunOptions) error {
	if o.CheckpointTo == "" {
		return nil
	}
	if err := h.compareKept(r, o); err != nil {
		return err
	}
	text, err := r.Checkpoint()
	if err != nil {
		return err
	}
	options, err := h.writes(r.Header(), kindCheckpoint, o.Overwrite || h.keptOf(o.CheckpointTo) == r.ID())
	if err != nil {
		return err
	}
	options.Mode = public
	return h.publish(o.CheckpointTo, options, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// compareKept compares what stands at --checkpoint-to with the log, before
// anything is sent. A head of the run has to be in its log, whatever
// --overwrite says: the file knows better than a ledger that lacks it. Any
// other file is replaced as any other output is.
func (h *Host) compareKept(r *ledger.Run, o RunOptions) error {
	if o.CheckpointTo == "" {
		return nil
	}
	if err := h.spareHead(o, r.ID()); err != nil {
		return err
	}
	if h.keptOf(o.CheckpointTo) != r.ID() {
		options, err := h.writes(r.Header(), kindCheckpoint, o.Overwrite)
		if err != nil {
			return err
		}
		_, err = output.Check(o.CheckpointTo, options)
		return usageOf(err)
	}
	text, err := readHead(h.absolute(o.CheckpointTo))
	if err == nil {
		err = r.Contains(text)
	}
	if err != nil {
		return &UsageError{Message: fmt.Sprintf("checkpoint %s: %s", o.CheckpointTo, err)}
	}
	return nil
}

// spareHead returns an error if --checkpoint-to has the head of another run that
// is still worth something: of one that is not finished, or that is not here as
// the head has it, which an older copy of the state directory is known by. That
// head is there to be compared, and would be lost. "" is a run that is to be.
func (h *Host) spareHead(o RunOptions, run string) error {
	text, err := readHead(h.absolute(o.CheckpointTo))
	kept := ledger.HeadOf(text)
	if err != nil || kept == "" || kept == run || o.Overwrite {
		return nil
	}
	if err := h.outlived(kept, text); err != nil {
		return &UsageError{Message: fmt.Sprintf("checkpoint %s: it is the head of run %s, and %s", o.CheckpointTo, kept, err), Fix: "give a path of its own, or --overwrite to lose that head"}
	}
	return nil
}

// outlived returns nil if nobody needs the head of a run any more, because it
// is finished here and has that head.
func (h *Host) outlived(run, head string) error {
	r, err := h.store.Read(run)
	switch {
	case errors.Is(err, ledger.ErrNoRun):
		return errors.New("that run is not in this state directory")
	case err != nil:
		return err
	}
	defer r.Close()
	if err := r.Contains(head); err != nil {
		return err
	}
	state, err := r.State()
	if err == nil && state != journal.StateFinished {
		err = fmt.Errorf("that run is %s", state)
	}
	return err
}

// keptOf returns the run of which a file has a head, "" if it has none.
func (h *Host) keptOf(path string) string {
	text, err := readHead(h.absolute(path))
	if err != nil {
		return ""
	}
	return ledger.HeadOf(text)
}

// headLimit is more than the text of a signed head, or a key, ever has.
const headLimit = 64 << 10

// readHead reads a file that may have a head.
func readHead(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // nothing that could wait is asked
		return "", errors.New("is not a regular file")
	}
	text, err := bounded.ReadFile(context.Background(), path, headLimit)
	return string(text), err
}

// public is the mode of a file that holds no secret.
const public = 0o644

// publish writes a whole file, and remembers that it is ours.
func (h *Host) publish(path string, options output.Options, write func(io.Writer) error) error {
	f, err := output.Create(path, options)
	if err != nil {
		return usageOf(err)
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	digest, err := f.Commit()
	if err != nil {
		return usageOf(err)
	}
	return h.hasWritten(f.Path(), digest, options.Kind)
}

// willWrite remembers what a file is about to hold.
func (h *Host) willWrite(kind string) func(path, digest string) error {
	return func(path, digest string) error { return h.unkept(h.store.Writes(path, digest, kind)) }
}

// hasWritten remembers that a file is ours.
func (h *Host) hasWritten(path, digest, kind string) error {
	return h.unkept(h.store.Wrote(path, digest, kind))
}

// unkept is why it is not remembered that a file is ours; nil if that was
// waived: the file is then nobody's.
func (h *Host) unkept(err error) error {
	if h.waived {
		return nil
	}
	return err
}

// usageOf makes a refused path the user's to mend.
func usageOf(err error) error {
	var r *output.Refusal
	if errors.As(err, &r) {
		return &UsageError{Message: r.Path + ": " + r.Message, Fix: r.Fix}
	}
	return err
}

// AuditVerify reads a run from end to end and compares it with a checkpoint:
// "", SIZE:HASH, a hash, or the name of a file with a signed head.
func (h *Host) AuditVerify(name, checkpoint string) (ledger.Audit, error) {
	id, err := h.store.Resolve(name)
	if err != nil {
		return ledger.Audit{}, &UsageError{Message: err.Error()}
	}
	kept, err := h.keptHead(checkpoint)
	if err != nil {
		return ledger.Audit{}, err
	}
	a, err := h.store.Verify(id, kept)
	if err != nil {
		return a, &UsageError{Message: err.Error()}
	}
	return a, nil
}

// AuditOpen opens every sealed value of a run with the identity at hand, shows
// none, and adds to the audit which do not open. It returns how many do.
func (h *Host) AuditOpen(name string, a *ledger.Audit) (int64, error) {
	r, err := h.opened(name)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	schema, err := schemaOf(r)
	if err != nil {
		return 0, err
	}
	cells := int64(0)
	opened, err := r.OpenAll(a, func(u ledger.User) error {
		_, err := source.Decode(schema, u.Row, func(column string, sealed []byte) (secret.Value, error) {
			v, err := r.UnsealCell(column, u.Seq, sealed)
			if err == nil {
				cells++
			}
			return v, err
		})
		return err
	})
	return opened + cells, err
}

// keptHead reads a checkpoint from a file, if it names one.
func (h *Host) keptHead(checkpoint string) (string, error) {
	if checkpoint == "" {
		return "", nil
	}
	text, err := bounded.ReadFile(context.Background(), h.absolute(checkpoint), headLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(checkpoint, "/."):
		return checkpoint, nil
	case err != nil:
		return "", &UsageError{Message: fmt.Sprintf("checkpoint %q: %s", checkpoint, reasonOf(err))}
	}
	return string(text), nil
}

func reasonOf(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// AuditBundle checks a bundle offline, with a key or a file that holds it, and
// calls record for every record that it proves.
func (h *Host) AuditBundle(path, vkey string, record func(journal.Record) error) (ledger.Bundle, error) {
	if text, err := bounded.ReadFile(context.Background(), h.absolute(vkey), headLimit); err == nil {
		vkey = string(text)
	}
	f, err := bounded.Open(context.Background(), h.absolute(path))
	if err != nil {
		return ledger.Bundle{}, &UsageError{Message: fmt.Sprintf("bundle %q: %s", path, reasonOf(err))}
	}
	defer f.Close()
	b, err := ledger.VerifyBundle(f, vkey, record)
	if err != nil {
		return b, &UsageError{Message: fmt.Sprintf("bundle %q: %s", path, err)}
	}
	return b, nil
}

// Target is where a command writes what it was asked for.
type Target struct {
	Path      string // "-" is Stdout
	Overwrite bool   // replace a file that no run of this state directory wrote
	Stdout    io.Writer
}

// written writes evidence about a run, which holds no secret, to standard output or to a
// file, whole or not at all.
func (h *Host) written(r *ledger.Run, to Target, write func(io.Writer) error) error {
	defer func() {
		if n := r.Uncovered(); n > 0 {
			fmt.Fprintf(h.Stderr, "rekey: warning: the last %d records are left out: no signed head covers them, and none can be signed here\n", n)
		}
	}()
	if to.Path == stdoutPath {
		return write(to.Stdout)
	}
	options, err := h.writes(r.Header(), kindProof, to.Overwrite)
	if err != nil {
		return err
	}
	options.Mode = public
	reading := *h
	reading.waived = true // a state directory that cannot be written can be proved from
	options.Writes = reading.willWrite(options.Kind)
	return reading.publish(to.Path, options, write)
}

// AuditProve writes one user's records with the proof that they are in the log.
func (h *Host) AuditProve(name, key string, to Target) error {
	r, err := h.read(name)
	if err != nil {
		return err
	}
	defer r.Close()
	proof, err := r.Prove(key)
	if errors.Is(err, ledger.ErrNoUser) {
		return usagef("run %s has no user %q", r.ID(), key)
	}
	if err != nil {
		return err
	}
	return h.written(r, to, func(w io.Writer) error {
		_, err := w.Write(proof)
		return err
	})
}

// AuditExport writes a bundle of users, or of the whole log.
func (h *Host) AuditExport(name string, o ledger.ExportOptions, to Target) error {
	r, err := h.read(name)
	if err != nil {
		return err
	}
	defer r.Close()
	for _, key := range o.Keys {
		if _, err := r.User(key); err != nil {
			return usagef("run %s has no user %q", r.ID(), key)
		}
	}
	return h.written(r, to, func(w io.Writer) error { return r.Export(w, o) })
}

// AuditKey is the public key that heads and bundles are verified with.
func (h *Host) AuditKey() (string, error) { return h.store.VerifierKey() }
