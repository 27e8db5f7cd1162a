package host

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// checkOutputs finds outputs that could not be written at the end, before
// anything is changed.
func (h *Host) checkOutputs(w *workflow.Workflow, head ledger.Header, o RunOptions) error {
	options, err := h.outputs(w, head, o.Overwrite)
	if err != nil {
		return err
	}
	var problems source.Problems
	taken := map[string]string{} // by where they lead
	for _, spec := range w.Reports {
		if spec.Path == stdoutPath && h.Taken {
			problems.Add(source.Problem{Message: "a report to - and --json both want standard output", Fix: "leave --json out, or write the report to a file"})
		}
		if spec.Path == "" || spec.Path == stdoutPath {
			continue
		}
		if err := report.CheckEncrypted(spec.Path, spec.EncryptTo); len(spec.EncryptTo) > 0 && err != nil {
			problems.Add(source.Problem{File: spec.Path, Message: err.Error()})
		}
		checkOutput(&problems, taken, spec.Path, options)
	}
	if o.CheckpointTo != "" {
		if err := h.spareHead(o, head.ID); err != nil {
			return err
		}
		options.Kind = kindCheckpoint
		options.Overwrite = o.Overwrite || h.keptOf(o.CheckpointTo) == head.ID && head.ID != ""
		checkOutput(&problems, taken, o.CheckpointTo, options)
	}
	return problems.Err()
}

// stdoutPath is the path that means standard output.
const stdoutPath = "-"

// checkOutput adds to the problems what keeps a path from being written, or
// that another output of the run leads to the same file.
func checkOutput(problems *source.Problems, taken map[string]string, path string, o output.Options) {
	there, err := output.Check(path, o)
	if other, twice := taken[there]; twice {
		problems.Add(source.Problem{File: path, Message: "is the same file as " + other + ", which is written too", Fix: "give each a path of its own"})
		return
	}
	if err != nil {
		refused(problems, err)
		return
	}
	_, _ = output.Sweep(filepath.Dir(there)) // what a killed run left there holds passwords
	taken[there] = path
}

// refused adds the error of a check to the problems.
func refused(problems *source.Problems, err error) {
	var r *output.Refusal
	switch {
	case err == nil:
	case errors.As(err, &r):
		problems.Add(source.Problem{File: r.Path, Message: r.Message, Fix: r.Fix})
	default:
		problems.Add(source.Problem{Message: err.Error()})
	}
}

// outputs says where the reports of a workflow, which may be another than the
// run began with, are written.
func (h *Host) outputs(w *workflow.Workflow, head ledger.Header, overwrite bool) (output.Options, error) {
	options, err := h.writes(head, kindReport, overwrite)
	if err != nil {
		return options, err
	}
	now, err := h.worksOn(w)
	if err != nil {
		return options, err
	}
	for _, f := range w.Files[1:] {
		if !strings.HasPrefix(f.Name, "@") {
			now = append(now, h.absolute(filepath.Join(filepath.Dir(w.Name), filepath.FromSlash(f.Name))))
		}
	}
	options.Forbidden = append(options.Forbidden, now...)
	return options, nil
}
