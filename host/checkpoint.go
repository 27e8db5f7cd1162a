package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/internal/bounded"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
)

// checkpoint is the file of --checkpoint-to: the newest signed head of a run,
// worth keeping where the writers of the state directory cannot reach it.
type checkpoint struct {
	path      string // as it was given; "": none is wanted
	file      string // where the path leads
	overwrite bool
	outlets   outlets
}

// write replaces the file by the newest head of the run. A head of the run that
// the file has was compared, and is older: it is ours to replace.
func (c checkpoint) write(ctx context.Context, run *ledger.Run) error {
	if c.path == "" {
		return nil
	}
	if err := c.compare(ctx, run); err != nil {
		return err
	}
	text, err := run.Checkpoint()
	if err != nil {
		return err
	}
	options, err := c.options(ctx, run.Header())
	if err != nil {
		return err
	}
	return c.outlets.publish(c.path, options, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// options says how the file is written: over a head of the same run, or over
// anything with --overwrite.
func (c checkpoint) options(ctx context.Context, head ledger.Header) (output.Options, error) {
	options, err := c.outlets.writes(head, kindCheckpoint, c.overwrite || c.run(ctx) == head.ID && head.ID != "")
	options.Mode = public
	return options, err
}

// compare compares the file with the log, before anything is sent. A head of the
// run has to be in its log, whatever --overwrite says: the file knows better
// than a ledger that lacks it. Any other file is replaced as any other output is.
func (c checkpoint) compare(ctx context.Context, run *ledger.Run) error {
	if c.path == "" {
		return nil
	}
	if err := c.spare(ctx, run.ID()); err != nil {
		return err
	}
	if c.run(ctx) != run.ID() {
		options, err := c.outlets.writes(run.Header(), kindCheckpoint, c.overwrite)
		if err != nil {
			return err
		}
		_, err = output.Check(c.path, options)
		return usageOf(err)
	}
	text, err := readHead(ctx, c.file)
	if err == nil {
		err = run.Contains(text)
	}
	if err != nil {
		return &UsageError{Message: fmt.Sprintf("checkpoint %s: %s", c.path, err)}
	}
	return nil
}

// spare returns an error if the file has the head of another run still
// worth something: of an unfinished run, or whose ledger here lacks the
// head, which tells an older copy of the state directory. That head exists to be
// compared, and would be lost. "" is a run not planned yet.
func (c checkpoint) spare(ctx context.Context, run string) error {
	text, err := readHead(ctx, c.file)
	kept := hashlog.HeadOf(text)
	if err != nil || kept == "" || kept == run || c.overwrite {
		return nil
	}
	if err := c.outlived(kept, text); err != nil {
		return &UsageError{Message: fmt.Sprintf("checkpoint %s: it is the head of run %s, and %s", c.path, kept, err), Fix: "give a path of its own, or --overwrite to lose that head"}
	}
	return nil
}

// outlived returns nil if the head of a run is of no use any more, because the
// run is finished here and has that head.
func (c checkpoint) outlived(id, head string) error {
	run, err := c.outlets.store.Read(id)
	switch {
	case errors.Is(err, ledger.ErrNoRun):
		return errors.New("that run is not in this state directory")
	case err != nil:
		return err
	}
	defer run.Close()
	if err := run.Contains(head); err != nil {
		return err
	}
	state, err := run.State()
	if err == nil && state != journal.StateFinished {
		err = fmt.Errorf("that run is %s", state)
	}
	return err
}

// run returns the run whose head the file has, or "".
func (c checkpoint) run(ctx context.Context) string {
	text, err := readHead(ctx, c.file)
	if err != nil {
		return ""
	}
	return hashlog.HeadOf(text)
}

// headLimit is more than the text of a signed head, or a key, ever has.
const headLimit = 64 << 10

// readHead reads a file that may have a head.
func readHead(ctx context.Context, path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would wait
		return "", errors.New("is not a regular file")
	}
	text, err := bounded.ReadFile(ctx, path, headLimit)
	return string(text), err
}
