package main

import (
	"context"
	"fmt"
	"io"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/ledger"
)

// exitBroken is the exit code of an audit that found something wrong.
const exitBroken = 3

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Compute every hash of a run's log anew, or check a bundle offline."`
	Prove  auditProveCmd  `cmd:"" help:"Print one user's records with the proof that they are in the log."`
	Export auditExportCmd `cmd:"" help:"Write a bundle that can be verified without this state directory."`
	Key    auditKeyCmd    `cmd:"" help:"Print the public key that heads and bundles are verified with."`
}

type auditVerifyCmd struct {
	Name       string `arg:"" optional:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Checkpoint string `help:"A head that was kept elsewhere, or the file that --checkpoint-to wrote." placeholder:"HEAD|FILE"`
	Bundle     string `help:"Check this bundle instead of a run; wants --key." type:"path" placeholder:"FILE"`
	Open       bool   `help:"Also prove that every sealed value opens with the identity at hand; none is shown."`
	Key        string `help:"The key that \"rekey audit key\" prints where the bundle was made, or a file with it." placeholder:"VKEY"`
}

// auditResult is what audit verify --json prints.
type auditResult struct {
	Run             string         `json:"run"`
	OK              bool           `json:"ok"`
	Size            int64          `json:"size"`
	Head            string         `json:"head"`
	ConsistencyOnly bool           `json:"consistency_only"`
	Complete        bool           `json:"complete"`
	Records         int64          `json:"records"`          // of a bundle: how many of size it has
	Unsigned        int64          `json:"unsigned"`         // records at the end that are under no signed head
	Opened          *int64         `json:"opened,omitempty"` // with --open: how many sealed values open
	Problems        []auditProblem `json:"problems"`
	ExitCode        int            `json:"exit_code"`

	tail ledger.Tail
}

type auditProblem struct {
	Record  int64  `json:"record"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	text    string
}

// Run verifies.
func (c *auditVerifyCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	var result auditResult
	switch {
	case c.Bundle != "" && c.Name != "":
		return &host.UsageError{Message: "give a run or --bundle, not both"}
	case c.Bundle != "":
		result, err = c.bundle(h)
	case c.Name == "":
		return &host.UsageError{Message: "audit verify wants a run", Fix: "rekey audit verify last"}
	default:
		result, err = c.run(h)
	}
	if err != nil {
		return err
	}
	return a.showAudit(result)
}

func (c *auditVerifyCmd) run(h *host.Host) (auditResult, error) {
	found, err := h.Auditor().Verify(context.Background(), c.Name, c.Checkpoint)
	if err != nil {
		return auditResult{}, err
	}
	var opened *int64
	if c.Open {
		n, err := h.Auditor().Open(context.Background(), c.Name, &found)
		if err != nil {
			return auditResult{}, err
		}
		opened = &n
	}
	return auditResult{Run: found.Run, OK: found.OK, Size: found.Size, Head: found.Head, Complete: true, Records: found.Size, tail: found.Tail,
		Unsigned: found.Unsigned(), Opened: opened, ConsistencyOnly: found.ConsistencyOnly, Problems: auditProblems(found.Problems, found.More)}, nil
}

func (c *auditVerifyCmd) bundle(h *host.Host) (auditResult, error) {
	if c.Key == "" {
		return auditResult{}, &host.UsageError{Message: "--bundle wants --key", Fix: `"rekey audit key" prints it where the bundle was made`}
	}
	b, err := h.Auditor().Bundle(context.Background(), c.Bundle, c.Key, nil)
	return auditResult{Run: b.Run, OK: b.OK, Size: b.Size, Head: b.Head, Complete: b.Complete, Records: b.Records, Problems: auditProblems(b.Problems, b.More)}, err
}

func auditProblems(list []ledger.Problem, more int) []auditProblem {
	out := []auditProblem{}
	for _, p := range list {
		out = append(out, auditProblem{p.Index, p.Key, p.Message, p.String()})
	}
	if more > 0 {
		text := fmt.Sprintf("and %d more", more)
		out = append(out, auditProblem{Record: -1, Message: text, text: text})
	}
	return out
}

func (a *app) showAudit(r auditResult) error {
	if !r.OK {
		r.ExitCode = exitBroken
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, r)
		return errExit(r.ExitCode)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(a.process.stdout, "%s\n", p.text)
	}
	switch {
	case !r.OK:
		fmt.Fprintf(a.process.stdout, "run %s: broken\n", r.Run)
	case r.tail != ledger.TailSigned:
		fmt.Fprintf(a.process.stdout, "run %s: consistent up to record %d of %d, head %s\n", r.Run, r.Size-r.Unsigned, r.Size, r.Head)
		fmt.Fprintf(a.process.stdout, "the last %s are under no signed head: %s\n", counted(r.Unsigned, "record"), whyUnsigned(r))
	case !r.Complete:
		fmt.Fprintf(a.process.stdout, "run %s: what is here is intact: %d of %d records of the log; others may be left out; head %s\n", r.Run, r.Records, r.Size, r.Head)
	case r.ConsistencyOnly:
		fmt.Fprintf(a.process.stdout, "run %s: consistent, %d records, head %s\n", r.Run, r.Size, r.Head)
	default:
		fmt.Fprintf(a.process.stdout, "run %s: intact, %d records, head %s\n", r.Run, r.Size, r.Head)
	}
	if r.OK && r.ConsistencyOnly {
		fmt.Fprintln(a.process.stdout, "nothing that was kept elsewhere was compared: whoever holds the state directory could have written all of it anew; give --checkpoint")
	}
	if r.Opened != nil && r.OK {
		fmt.Fprintf(a.process.stdout, "all %s open with the identity at hand\n", counted(*r.Opened, "sealed value"))
	}
	return errExit(r.ExitCode)
}

// whyUnsigned says what became of who should have signed.
func whyUnsigned(r auditResult) string {
	if r.tail == ledger.TailRunning {
		return "a process applies the run, and signs a few times a second"
	}
	return "the process that wrote them was killed before it signed; rekey resume " + r.Run + " goes on and signs"
}

type auditProveCmd struct {
	Name      string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Key       string `arg:"" name:"KEY" help:"The user."`
	Out       string `help:"Where to; - is standard output." default:"-" type:"path" placeholder:"FILE"`
	Overwrite bool   `help:"Replace a file that no run of this state directory wrote."`
}

// Run proves.
func (c *auditProveCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Auditor().Prove(c.Name, c.Key, host.Target{Path: c.Out, Overwrite: c.Overwrite, Stdout: a.process.stdout})
}

type auditExportCmd struct {
	Name      string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	User      []string `help:"Only this user's records; may be repeated." placeholder:"KEY"`
	Withhold  bool     `help:"Leave names, accounts and messages out; keyed hashes stand for users."`
	Out       string   `help:"Where to; - is standard output." required:"" type:"path" placeholder:"FILE"`
	Overwrite bool     `help:"Replace a file that no run of this state directory wrote."`
}

// Run exports.
func (c *auditExportCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	to := host.Target{Path: c.Out, Overwrite: c.Overwrite, Stdout: a.process.stdout}
	if err := h.Auditor().Export(c.Name, ledger.ExportOptions{Keys: c.User, Withhold: c.Withhold}, to); err != nil {
		return err
	}
	if c.Out == "-" {
		return nil
	}
	fmt.Fprintf(a.process.stderr, "rekey: wrote %s; check it anywhere with rekey audit verify --bundle %s --key VKEY\n", c.Out, c.Out)
	return nil
}

type auditKeyCmd struct{}

// Run prints the key.
func (auditKeyCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	key, err := h.Auditor().Key()
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.process.stdout, key+"\n")
	return err
}
