package host

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// checkOutputs finds outputs that could not be written at the end, before
// anything is changed.
func (h *Host) checkOutputs(w *workflow.Workflow, sources []ledger.SourcePin, o RunOptions) error {
	options, err := h.outputs(w, sources, o.Overwrite)
	if err != nil {
		return err
	}
	var problems source.Problems
	for _, spec := range w.Reports {
		if spec.Path == "" {
			continue
		}
		if err := report.CheckEncrypted(spec.Path, spec.EncryptTo); len(spec.EncryptTo) > 0 && err != nil {
			problems.Add(source.Problem{File: spec.Path, Message: err.Error()})
		}
		refused(&problems, output.Check(spec.Path, options))
	}
	if o.CheckpointTo != "" {
		options.Overwrite = true
		refused(&problems, output.Check(o.CheckpointTo, options))
	}
	return problems.Err()
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

// outputs says where reports may be written: never over what the run reads or
// is made of.
func (h *Host) outputs(w *workflow.Workflow, sources []ledger.SourcePin, overwrite bool) (output.Options, error) {
	forbidden := []string{h.StateDir, h.Self}
	for _, more := range []string{h.PluginDir, h.IdentityPath} {
		if more != "" {
			forbidden = append(forbidden, h.absolute(more))
		}
	}
	mine, err := h.inputs(w, sources)
	if err != nil {
		return output.Options{}, err
	}
	return output.Options{Dir: h.WorkDir, Overwrite: overwrite, Owns: h.store.Owns, Writes: h.store.Writes, Forbidden: append(forbidden, mine...)}, nil
}

// inputs are the files that a workflow is made of and that it reads or changes.
func (h *Host) inputs(w *workflow.Workflow, sources []ledger.SourcePin) ([]string, error) {
	var files []string
	add := func(path string) {
		if path != "" && path != "-" && !strings.HasPrefix(path, "@rekey/") {
			files = append(files, h.absolute(path))
		}
	}
	for i, f := range w.Files {
		switch {
		case i == 0:
			add(f.Name)
		case !strings.HasPrefix(f.Name, "@"):
			add(filepath.Join(filepath.Dir(w.Name), filepath.FromSlash(f.Name)))
		}
	}
	for _, s := range sources {
		if !s.Stdin {
			add(s.Name)
		}
	}
	for _, spec := range w.Backends {
		paths, err := h.backendFiles(spec)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			add(p)
		}
	}
	return files, nil
}

// backendFiles are the paths among the settings of a backend.
func (h *Host) backendFiles(spec workflow.BackendSpec) ([]string, error) {
	d, err := h.catalog.Describe(context.Background(), spec.Name)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	var files []string
	for _, f := range d.Config {
		if path, ok := spec.Values[f.Name].(string); ok && f.Type == sdk.Path {
			files = append(files, path)
		}
	}
	for _, ref := range spec.Secrets {
		if ref.Kind == "file" {
			files = append(files, ref.Name)
		}
	}
	return files, nil
}
