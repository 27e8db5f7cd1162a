package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// recorded compares the files of a run with those on disk.
type recorded struct {
	loader
	run *ledger.Run
}

// load loads the script as the ledger has it. One changed on disk is
// refused, unless the change is accepted for users not yet started; the files
// that changed are then returned.
func (r recorded) load(ctx context.Context, options RunOptions) (*workflow.Workflow, openHooks, []string, error) {
	if err := r.sameSources(ctx); err != nil {
		return nil, nil, nil, err
	}
	kept, err := r.kept(ctx, r.run)
	if err != nil {
		return nil, nil, nil, err
	}
	changed, lost := r.changedFiles(ctx)
	err = context.Cause(ctx)
	if err == nil && len(changed) == 0 {
		return kept, kept, nil, nil
	}
	if err == nil && !options.AcceptChange {
		err = &UsageError{Message: fmt.Sprintf("run %s was planned with %s", r.run.ID(), strings.Join(changed, ", ")),
			Fix: strings.TrimSuffix("restore it at "+strings.Join(lost, " and "), " at ") + ", or give --accept-change to apply it to users not yet started"}
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, kept.Close())
	}
	flow, err := r.changed(ctx, r.run)
	if err != nil {
		return nil, nil, nil, errors.Join(err, kept.Close())
	}
	return flow, twoScripts{old: kept, changed: flow}, changed, nil
}

// changedFiles lists the files of a script whose text on disk differs from the ledger,
// and the former places of lost ones.
func (r recorded) changedFiles(ctx context.Context) (changed, lost []string) {
	same := func(name, path string, was []byte) {
		switch now, err := r.place.read(ctx, path); {
		case errors.Is(err, fs.ErrNotExist):
			changed = append(changed, name+", which is not there any more")
			lost = append(lost, r.place.of(path))
		case err != nil:
			changed = append(changed, fmt.Sprintf("%s, which cannot be read (%s)", name, err))
		case !bytes.Equal(now, was):
			changed = append(changed, "another "+name)
		}
	}
	head := r.run.Header()
	same(head.Script, head.Script, head.ScriptText)
	for _, module := range head.Modules {
		path := filepath.Join(filepath.Dir(head.Script), filepath.FromSlash(module.Name))
		if rest, embedded := strings.CutPrefix(module.Name, embeddedPrefix+"/"); embedded {
			path = embeddedPrefix + rest
		}
		same(module.Name, path, module.Text)
	}
	return changed, lost
}

// sameSources refuses a changed source: the plan is frozen and never re-read. A
// missing source counts as unchanged: lists of passwords are removed after use.
func (r recorded) sameSources(ctx context.Context) error {
	for _, was := range r.run.Header().Sources {
		if was.Stdin || was.SHA256 == "" {
			continue
		}
		now, err := r.place.fingerprint(ctx, was.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return &UsageError{Message: fmt.Sprintf("source %s: %s", was.Name, err)}
		}
		if now != was.SHA256 {
			return &UsageError{Message: fmt.Sprintf("source %s has changed since run %s was planned", was.Name, r.run.ID()), Fix: "restore it, or start a new run with rekey run --new"}
		}
	}
	return nil
}

// twoScripts rotates users that have started by the recorded script, and all
// others by the changed one.
type twoScripts struct{ old, changed *workflow.Workflow }

// Rotate calls the user's rotate.
func (t twoScripts) Rotate(ctx context.Context, row source.Row, steps *engine.Steps) journal.Verdict {
	if steps.Started() {
		return t.old.Rotate(ctx, row, steps)
	}
	return t.changed.Rotate(ctx, row, steps)
}

// Close closes both.
func (t twoScripts) Close() error { return errors.Join(t.old.Close(), t.changed.Close()) }
