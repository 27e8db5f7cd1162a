package host

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
)

// outputCheck finds what keeps the outputs of a run from being written.
type outputCheck struct {
	options  output.Options
	within   string        // where they have to be; "": anywhere
	head     ledger.Header // of the run, or of one to be
	schema   source.Schema
	taken    map[string]string // outputs, by where they lead
	problems diag.Problems
}

func (c *outputCheck) problem(found diag.Problem) { c.problems.Add(found) }

// report checks the file of a report.
func (c *outputCheck) report(spec workflow.ReportSpec) {
	c.columns(spec)
	if spec.Path == "" || spec.Path == stdoutPath {
		return
	}
	if err := report.CheckEncrypted(spec.Path, spec.EncryptTo); len(spec.EncryptTo) > 0 && err != nil {
		c.problem(diag.Problem{File: spec.Path, Message: err.Error()})
	}
	path := pathFor(spec.Path, c.head)
	if spec.SplitBy != "" {
		path = partPath(path, "{"+spec.SplitBy+"}")
	}
	c.path(path)
}

// columns checks the columns that a report names.
func (c *outputCheck) columns(spec workflow.ReportSpec) {
	if spec.SplitBy != "" {
		if _, err := columnAt(c.schema, "split_by", spec.SplitBy); err != nil {
			c.refused(err)
		}
	}
	for _, name := range spec.By {
		if _, err := columnAt(c.schema, "by", name); err != nil {
			c.refused(err)
		}
	}
}

// path adds what keeps a path from being written, or that another output of
// the run leads to the same file.
func (c *outputCheck) path(path string) {
	there, err := output.Check(path, c.options)
	if c.within != "" && !strings.HasPrefix(there, c.within+string(filepath.Separator)) {
		c.problem(diag.Problem{File: path, Message: "a test writes below its own directory only", Fix: "make the path a parameter of the script, and give the test a relative one"})
		return
	}
	if other, twice := c.taken[there]; twice {
		c.problem(diag.Problem{File: path, Message: "is the same file as " + other + ", which is written too", Fix: "give each a path of its own"})
		return
	}
	if err != nil {
		c.refused(err)
		return
	}
	_, _ = output.Sweep(filepath.Dir(there)) // what a killed run left there holds passwords
	c.taken[there] = path
}

// refused adds the error of a check to the problems.
func (c *outputCheck) refused(err error) {
	var refusal *output.Refusal
	if errors.As(err, &refusal) {
		c.problem(diag.Problem(*refusal))
		return
	}
	c.problem(diag.Problem{Message: err.Error()})
}
