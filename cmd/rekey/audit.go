package main

import (
	"context"
	"fmt"
	"io"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/hashlog"
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
	Checkpoint string `help:"A head kept elsewhere, or the file that --checkpoint-to wrote." placeholder:"HEAD|FILE"`
	Bundle     string `help:"Check this bundle instead of a run; wants --key." type:"path" placeholder:"FILE"`
	Open       bool   `help:"Also prove that every sealed value opens with the identity at hand, without showing any."`
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
	Unsigned        int64          `json:"unsigned"`         // records at the end under no signed head
	Opened          *int64         `json:"opened,omitempty"` // with --open: how many sealed values open
	Problems        []auditProblem `json:"problems"`
	ExitCode        int            `json:"exit_code"`

	tail hashlog.Tail
}

type auditProblem struct {
	Record  int64  `json:"record"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	text    string
}

// Run verifies.
func (c *auditVerifyCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	var result auditResult
	switch {
	case c.Bundle != "" && c.Name != "":
		return &host.UsageError{Message: "give a run or --bundle, not both"}
	case c.Bundle != "":
		result, err = c.bundle(opened)
	case c.Name == "":
		return &host.UsageError{Message: "audit verify wants a run", Fix: "rekey audit verify last"}
	default:
		result, err = c.run(opened)
	}
	if err != nil {
		return err
	}
	return showAudit(app, result)
}

func (c *auditVerifyCmd) run(h *host.Host) (auditResult, error) {
	found, err := h.Auditor().Verify(context.Background(), c.Name, c.Checkpoint)
	if err != nil {
		return auditResult{}, err
	}
	var opened *int64
	if c.Open {
		count, err := h.Auditor().Open(context.Background(), c.Name, &found)
		if err != nil {
			return auditResult{}, err
		}
		opened = &count
	}
	return auditResult{Run: found.Run, OK: found.OK, Size: found.Size, Head: found.Head, Complete: true, Records: found.Size, tail: found.Tail,
		Unsigned: found.Unsigned(), Opened: opened, ConsistencyOnly: found.ConsistencyOnly, Problems: auditProblems(found.Problems, found.More)}, nil
}

func (c *auditVerifyCmd) bundle(opened *host.Host) (auditResult, error) {
	if c.Key == "" {
		return auditResult{}, &host.UsageError{Message: "--bundle wants --key", Fix: `"rekey audit key" prints it where the bundle was made`}
	}
	bundle, err := opened.Auditor().Bundle(context.Background(), c.Bundle, c.Key, nil)
	return auditResult{Run: bundle.Run, OK: bundle.OK, Size: bundle.Size, Head: bundle.Head, Complete: bundle.Complete, Records: bundle.Records, Problems: auditProblems(bundle.Problems, bundle.More)}, err
}

func auditProblems(list []hashlog.Problem, more int) []auditProblem {
	out := []auditProblem{}
	for _, problem := range list {
		out = append(out, auditProblem{problem.Index, problem.Key, problem.Message, problem.String()})
	}
	if more > 0 {
		text := fmt.Sprintf("and %d more", more)
		out = append(out, auditProblem{Record: -1, Message: text, text: text})
	}
	return out
}

func showAudit(a *app, auditResult auditResult) error {
	if !auditResult.OK {
		auditResult.ExitCode = exitBroken
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, auditResult)
		return errExit(auditResult.ExitCode)
	}
	for _, auditProblem := range auditResult.Problems {
		fmt.Fprintf(a.process.stdout, "%s\n", auditProblem.text)
	}
	switch {
	case !auditResult.OK:
		fmt.Fprintf(a.process.stdout, "run %s: broken\n", auditResult.Run)
	case auditResult.tail != hashlog.TailSigned:
		fmt.Fprintf(a.process.stdout, "run %s: consistent up to record %d of %d, head %s\n", auditResult.Run, auditResult.Size-auditResult.Unsigned, auditResult.Size, auditResult.Head)
		fmt.Fprintf(a.process.stdout, "the last %s are under no signed head: %s\n", counted(auditResult.Unsigned, "record"), whyUnsigned(auditResult))
	case !auditResult.Complete:
		fmt.Fprintf(a.process.stdout, "run %s: the records here are intact: %d of %d records of the log; others may be left out; head %s\n", auditResult.Run, auditResult.Records, auditResult.Size, auditResult.Head)
	case auditResult.ConsistencyOnly:
		fmt.Fprintf(a.process.stdout, "run %s: consistent, %d records, head %s\n", auditResult.Run, auditResult.Size, auditResult.Head)
	default:
		fmt.Fprintf(a.process.stdout, "run %s: intact, %d records, head %s\n", auditResult.Run, auditResult.Size, auditResult.Head)
	}
	if auditResult.OK && auditResult.ConsistencyOnly {
		fmt.Fprintln(a.process.stdout, "nothing kept elsewhere was compared: whoever holds the state directory could have written all of it anew; give --checkpoint")
	}
	if auditResult.Opened != nil && auditResult.OK {
		fmt.Fprintf(a.process.stdout, "all %s open with the identity at hand\n", counted(*auditResult.Opened, "sealed value"))
	}
	return errExit(auditResult.ExitCode)
}

// whyUnsigned says what became of who should have signed.
func whyUnsigned(auditResult auditResult) string {
	if auditResult.tail == hashlog.TailRunning {
		return "a process applies the run, and signs a few times a second"
	}
	return "the process that wrote them was killed before it signed; rekey resume " + auditResult.Run + " goes on and signs"
}

type auditProveCmd struct {
	Name      string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Key       string `arg:"" name:"KEY" help:"The user."`
	Out       string `help:"Where to; - is standard output." default:"-" type:"path" placeholder:"FILE"`
	Overwrite bool   `help:"Replace a file that no run of this state directory wrote."`
}

// Run proves.
func (c *auditProveCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Auditor().Prove(c.Name, c.Key, host.Target{Path: c.Out, Overwrite: c.Overwrite, Stdout: app.process.stdout})
}

type auditExportCmd struct {
	Name      string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	User      []string `help:"Only this user's records; may be repeated." placeholder:"KEY"`
	Withhold  bool     `help:"Leave names, accounts and messages out; keyed hashes stand for users."`
	Out       string   `help:"Where to; - is standard output." required:"" type:"path" placeholder:"FILE"`
	Overwrite bool     `help:"Replace a file that no run of this state directory wrote."`
}

// Run exports.
func (c *auditExportCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	to := host.Target{Path: c.Out, Overwrite: c.Overwrite, Stdout: app.process.stdout}
	if err := opened.Auditor().Export(c.Name, ledger.ExportOptions{Keys: c.User, Withhold: c.Withhold}, to); err != nil {
		return err
	}
	if c.Out == "-" {
		return nil
	}
	fmt.Fprintf(app.process.stderr, "rekey: wrote %s; check it anywhere with rekey audit verify --bundle %s --key VKEY\n", c.Out, c.Out)
	return nil
}

type auditKeyCmd struct{}

// Run prints the key.
func (auditKeyCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	key, err := opened.Auditor().Key()
	if err != nil {
		return err
	}
	_, err = io.WriteString(app.process.stdout, key+"\n")
	return err
}
