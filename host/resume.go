package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// Resume goes on with a run from where its ledger stands.
func (h *Host) Resume(ctx, stop context.Context, name string, o RunOptions) (Outcome, error) {
	return h.locked(stop, name, o, func(h *Host, r *ledger.Run) (Outcome, error) { return h.resume(ctx, stop, r, o) })
}

// locked does something with a run that is locked for applying, in the
// directory in which it was planned. What is to be kept of its log is compared
// with what was kept first.
func (h *Host) locked(ctx context.Context, name string, o RunOptions, do func(h *Host, r *ledger.Run) (Outcome, error)) (Outcome, error) {
	r, err := h.lock(ctx, name, o.Moved)
	if err != nil {
		return Outcome{}, err
	}
	defer r.Close()
	there, err := h.at(r)
	if err == nil {
		err = h.compareKept(r, o)
	}
	if err != nil {
		return Outcome{}, err
	}
	out, err := do(there, r)
	return h.whole(r, out, err)
}

// whole ends a command on a locked run: what it committed is in the run's file
// as it was written, or the error says what became of it. Whatever the users
// came to, an error is the process's exit code too.
func (h *Host) whole(r *ledger.Run, out Outcome, err error) (Outcome, error) {
	if cerr := r.Confirm(); err == nil || errors.Is(cerr, ledger.ErrGone) && !errors.Is(err, ledger.ErrGone) {
		err = errors.Join(err, cerr)
	}
	if err = r.Salvage(err); err != nil {
		out.ExitCode = ExitUnexpected
	}
	return out, err
}

func (h *Host) resume(ctx, stop context.Context, r *ledger.Run, o RunOptions) (Outcome, error) {
	out, err := look(r)
	if err != nil {
		return out, err
	}
	if done := out.Counts.Pending+out.Counts.Held+out.Counts.Unknown == 0; done {
		if out.Status == journal.StateRunning {
			return h.unsaid(ctx, r, o)
		}
		return h.asItEnded(r, out)
	}
	if wave, open, err := r.Hold(); err != nil || open {
		return h.stillHeld(r, out, wave, err)
	}
	if reason, err := overAgain(r); err != nil || reason != "" && !o.OverThreshold && out.Counts.Pending+out.Counts.Held > 0 {
		if err != nil {
			return out, err
		}
		return h.stillOver(r, out, reason)
	}
	if out.Status == journal.StatePlanned {
		if err := h.confirmPlanned(stop, out, o); err != nil {
			return Outcome{}, err
		}
	}
	return h.again(ctx, stop, r, o, "resume", func() error { return reopenUnknown(r) })
}

// Retry puts failed and partial users back and applies them.
func (h *Host) Retry(ctx, stop context.Context, name string, o RunOptions) (Outcome, error) {
	return h.locked(stop, name, o, func(h *Host, r *ledger.Run) (Outcome, error) { return h.retry(ctx, stop, r, o) })
}

func (h *Host) retry(ctx, stop context.Context, r *ledger.Run, o RunOptions) (Outcome, error) {
	users, err := retried(r, o)
	if err != nil {
		return Outcome{}, err
	}
	if len(users) == 0 {
		return Outcome{}, &UsageError{Message: fmt.Sprintf("run %s has no failed or partial user%s", r.ID(), filterText(o)), Fix: "rekey show " + r.ID()}
	}
	if err := underLimit(r, users, o); err != nil {
		return Outcome{}, err
	}
	if err := h.confirmRetry(stop, r, len(users), o); err != nil {
		return Outcome{}, err
	}
	return h.again(ctx, stop, r, o, "retry", func() error { return reopen(r, users) })
}

// lock takes a run for applying.
func (h *Host) lock(ctx context.Context, name string, moved bool) (*ledger.Run, error) {
	id, err := h.store.ResolveToApply(name)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	keys, err := h.keys(ctx)
	if err != nil {
		return nil, err
	}
	take := h.store.Lock
	if moved {
		take = h.store.LockMoved
	}
	r, err := take(id, keys)
	return r, refusedLock(err)
}

// refusedLock makes of why a run is not to be applied what the user can mend.
func refusedLock(err error) error {
	var held *ledger.LockedError
	var stale *ledger.StaleError
	var moved *ledger.MovedError
	switch {
	case errors.As(err, &held):
		return &UsageError{Message: err.Error(), Fix: "wait for it, or end it"}
	case errors.As(err, &stale):
		return &UsageError{Message: err.Error()}
	case errors.As(err, &moved):
		return &UsageError{Message: err.Error(), Fix: "if nobody goes on with it there, give --moved"}
	}
	return err
}

// asItEnded is the resume of a finished run: nothing.
func (h *Host) asItEnded(r *ledger.Run, out Outcome) (Outcome, error) {
	var err error
	out.Audit.Size, out.Audit.Head, err = r.SignHead()
	return out, err
}

// unsaid is the resume of a run that was killed after its last user, before
// its reports were whole and its end was recorded.
func (h *Host) unsaid(ctx context.Context, r *ledger.Run, o RunOptions) (Outcome, error) {
	w, err := h.fromLedger(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	defer w.Close()
	if err := h.checkOutputs(w, r.Header(), o); err != nil {
		return Outcome{}, err
	}
	return h.conclude(r, w, o, engine.Ending{})
}

func (h *Host) stillHeld(r *ledger.Run, out Outcome, wave string, err error) (Outcome, error) {
	if err != nil {
		return out, err
	}
	out.Status, out.ExitCode = journal.StateHeld, ExitHeld
	out.Reason = "wave " + wave + " waits for an approval"
	out.Next = []string{fmt.Sprintf("rekey approve %s, then rekey resume %s", r.ID(), r.ID())}
	return out, nil
}

// again loads the script, compares it with what was recorded, opens its
// backends and applies.
func (h *Host) again(ctx, stop context.Context, r *ledger.Run, o RunOptions, command string, prepare func() error) (Outcome, error) {
	if err := h.samePrograms(r, o); err != nil {
		return Outcome{}, err
	}
	w, hooks, changed, err := h.recorded(stop, r, o) // nothing is sent yet: the first signal ends it
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	defer hooks.Close()
	pins, err := h.pins(stop, w)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	accepted, err := samePins(r, pins, o)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	b, err := h.openBackends(stop, w)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	defer b.close()
	if err := h.checkOutputs(w, r.Header(), o); err != nil {
		return Outcome{}, err
	}
	warnings, err := h.checkBackends(stop, b)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	strays, err := h.looseEnds(r.ID(), b)
	if err != nil {
		return Outcome{}, err
	}
	for _, text := range append(warnings, strays...) {
		fmt.Fprintf(h.Stderr, "rekey: warning: %s\n", text)
	}
	before, err := gaveUp(r) // what follows makes records too
	if err != nil {
		return Outcome{}, err
	}
	if err := h.accept(r, append(changed, accepted...), b.pins); err != nil {
		return Outcome{}, err
	}
	if err := prepare(); err != nil {
		return Outcome{}, err
	}
	return h.apply(ctx, stop, r, w, hooks, b, o, beginning{command, before})
}

// recorded loads the script as the ledger has it. One that has changed on disk
// is refused, unless the change is accepted for users not yet started; the files
// that changed are then returned.
func (h *Host) recorded(ctx context.Context, r *ledger.Run, o RunOptions) (*workflow.Workflow, openHooks, []string, error) {
	if err := h.sameSources(ctx, r.Header()); err != nil {
		return nil, nil, nil, err
	}
	kept, err := h.fromLedger(ctx, r)
	if err != nil {
		return nil, nil, nil, err
	}
	changed, lost := h.changedFiles(ctx, r.Header())
	if err := context.Cause(ctx); err != nil {
		return nil, nil, nil, errors.Join(err, kept.Close())
	}
	if len(changed) == 0 {
		return kept, kept, nil, nil
	}
	if !o.AcceptChange {
		defer kept.Close()
		return nil, nil, nil, &UsageError{Message: fmt.Sprintf("run %s was planned with %s", r.ID(), strings.Join(changed, ", ")),
			Fix: strings.TrimSuffix("restore it at "+strings.Join(lost, " and "), " at ") + ", or give --accept-change to apply it to users not yet started"}
	}
	w, err := h.changed(ctx, r)
	if err != nil {
		return nil, nil, nil, errors.Join(err, kept.Close())
	}
	return w, twoScripts{old: kept, changed: w}, changed, nil
}

// openHooks are those of scripts that are open.
type openHooks interface {
	engine.Hooks
	io.Closer
}

// changed loads a script as it is on disk now.
func (h *Host) changed(ctx context.Context, r *ledger.Run) (*workflow.Workflow, error) {
	head := r.Header()
	w, err := workflow.Load(ctx, h.loadOptions(head.Script, head.Params))
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(r)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.Use(schema)
	return w, nil
}

// accept records what changed and was accepted, with the backends that the run
// goes on with.
func (h *Host) accept(r *ledger.Run, what []string, pins []journal.BackendPin) error {
	if len(what) == 0 {
		return nil
	}
	note := journal.Detail{OSUser: h.OSUser, Host: h.Hostname, Message: strings.Join(what, "; "), Backends: pins}
	return r.Commit([]*journal.Record{{Kind: journal.Accepted, Detail: note}})
}

// changedFiles lists the files of a script that are not on disk as the ledger
// has them, and where those were that are lost.
func (h *Host) changedFiles(ctx context.Context, head ledger.Header) (changed, lost []string) {
	same := func(name, path string, was []byte) {
		switch now, err := h.readScript(ctx, path); {
		case errors.Is(err, fs.ErrNotExist):
			changed = append(changed, name+", which is not there any more")
			lost = append(lost, h.placeOf(path))
		case err != nil:
			changed = append(changed, fmt.Sprintf("%s, which cannot be read (%s)", name, err))
		case !bytes.Equal(now, was):
			changed = append(changed, "another "+name)
		}
	}
	same(head.Script, head.Script, head.ScriptText)
	for _, m := range head.Modules {
		path := filepath.Join(filepath.Dir(head.Script), filepath.FromSlash(m.Name))
		if rest, embedded := strings.CutPrefix(m.Name, "@rekey//"); embedded {
			path = "@rekey/" + rest
		}
		same(m.Name, path, m.Text)
	}
	return changed, lost
}

// placeOf is where a file was looked for.
func (h *Host) placeOf(path string) string {
	if filepath.IsAbs(path) || strings.HasPrefix(path, "@rekey/") {
		return path
	}
	return filepath.Join(h.WorkDir, path)
}

func (h *Host) readScript(ctx context.Context, path string) ([]byte, error) {
	f, err := h.openSource(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// twoScripts rotates users that have started by the recorded script, and all
// others by the changed one.
type twoScripts struct{ old, changed *workflow.Workflow }

// Rotate calls the rotate that is the user's.
func (t twoScripts) Rotate(ctx context.Context, row source.Row, steps *engine.Steps) journal.Verdict {
	if steps.Started() {
		return t.old.Rotate(ctx, row, steps)
	}
	return t.changed.Rotate(ctx, row, steps)
}

// Close closes both.
func (t twoScripts) Close() error { return errors.Join(t.old.Close(), t.changed.Close()) }

// sameSources refuses a changed source: the plan is frozen and never re-read.
// One that is gone is no change: lists of passwords are removed after use.
func (h *Host) sameSources(ctx context.Context, head ledger.Header) error {
	for _, was := range head.Sources {
		if was.Stdin || was.SHA256 == "" {
			continue
		}
		now, err := h.fingerprint(ctx, was.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &UsageError{Message: fmt.Sprintf("source %s: %s", was.Name, err)}
		}
		if now != was.SHA256 {
			return &UsageError{Message: fmt.Sprintf("source %s has changed since run %s was planned", was.Name, head.ID), Fix: "restore it, or start a new run with rekey run --new"}
		}
	}
	return nil
}

// fingerprint is the SHA-256 of a source's file in hex.
func (h *Host) fingerprint(ctx context.Context, name string) (string, error) {
	f, err := h.openSource(ctx, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), ctx.Err()
}

func (h *Host) openSource(ctx context.Context, name string) (fs.File, error) {
	if rest, embedded := strings.CutPrefix(name, "@rekey/"); embedded {
		return h.Embedded.Open(rest)
	}
	f, err := bounded.Open(ctx, h.absolute(name))
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.New("is not a regular file any more")
	}
	return f, nil
}

// reopenUnknown puts users with an unknown outcome back, so that each is tried
// once more.
func reopenUnknown(r *ledger.Run) error {
	users, err := unknown(r)
	if err != nil {
		return err
	}
	return reopen(r, users)
}

// unknown finds the users with an unknown outcome.
func unknown(r *ledger.Run) (users []int64, err error) {
	err = r.Each(ledger.Filter{Status: []journal.Status{journal.Unresolved}}, ledger.OrderApply, func(u ledger.User) error {
		users = append(users, u.Pos)
		return nil
	})
	return users, err
}

func reopen(r *ledger.Run, users []int64) error {
	for part := range slices.Chunk(users, 1000) {
		recs := make([]*journal.Record, len(part))
		for i, pos := range part {
			recs[i] = &journal.Record{Kind: journal.Reopened, User: pos}
		}
		if err := r.Commit(recs); err != nil {
			return err
		}
	}
	return nil
}

// retried finds the users of a retry.
func retried(r *ledger.Run, o RunOptions) ([]int64, error) {
	f := ledger.Filter{Status: []journal.Status{journal.Failed, journal.Partial}, Codes: o.Codes, Keys: o.Keys}
	var users []int64
	err := r.Each(f, ledger.OrderApply, func(u ledger.User) error {
		users = append(users, u.Pos)
		return nil
	})
	return users, err
}

func filterText(o RunOptions) string {
	text := ""
	if len(o.Codes) > 0 {
		text += " with code " + strings.Join(o.Codes, " or ")
	}
	if len(o.Keys) > 0 {
		text += " among " + strings.Join(o.Keys, ", ")
	}
	return text
}

// confirmPlanned asks before the first change: a plan was shown to nobody yet.
func (h *Host) confirmPlanned(ctx context.Context, out Outcome, o RunOptions) error {
	shown := Preview{Script: out.Script, Total: out.Counts.Total, Due: out.Counts.Pending, Skipped: out.Counts.Skipped, Backends: out.Backends, Recipients: out.Recipients}
	for _, w := range out.Waves {
		shown.Waves = append(shown.Waves, WavePreview{Name: w.Name, Users: w.Counts.Total, Rule: journal.WaveRule{MaxFailures: -1, MaxPercent: -1}})
	}
	return h.confirm(ctx, shown, o)
}

func (h *Host) confirmRetry(ctx context.Context, r *ledger.Run, n int, o RunOptions) error {
	return h.confirm(ctx, Preview{Script: r.Header().Script, Total: int64(n), Due: int64(n)}, o)
}

// Approve releases the hold of a run.
func (h *Host) Approve(name string, o RunOptions) (Outcome, error) {
	return h.locked(context.Background(), name, o, func(h *Host, r *ledger.Run) (Outcome, error) { return h.approve(r) })
}

func (h *Host) approve(r *ledger.Run) (Outcome, error) {
	wave, held, err := r.Hold()
	if err != nil {
		return Outcome{}, err
	}
	if !held {
		return Outcome{}, usagef("run %s is not held", r.ID())
	}
	err = r.Commit([]*journal.Record{{Kind: journal.Approved, Detail: journal.Detail{Wave: wave, OSUser: h.OSUser, Host: h.Hostname}}})
	if err != nil {
		return Outcome{}, err
	}
	out, err := look(r)
	if err != nil {
		return out, err
	}
	out.Next = []string{"rekey resume " + r.ID()}
	out.Reason = fmt.Sprintf("the hold after wave %s is released by %s", wave, h.OSUser)
	if r.Header().OSUser == h.OSUser {
		out.Reason += ", who started the run: a pause, not four eyes"
	}
	out.ExitCode = ExitDone
	return out, nil
}
