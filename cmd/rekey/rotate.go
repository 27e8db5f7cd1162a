package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/rekey-host/rekey/host"
)

// applying are the flags of every command that applies a run.
type applying struct {
	Yes          bool   `help:"Do not ask for confirmation." short:"y"`
	Overwrite    bool   `help:"Replace report files that no run of this state directory wrote."`
	Requestor    string `help:"Who asked for this, for the audit trail." placeholder:"ID"`
	SourceSystem string `help:"The system that asked, for the audit trail." placeholder:"ID"`
	CheckpointTo string `help:"Also write the signed head of the hash log to this file." type:"path" placeholder:"PATH"`
	AcceptChange bool   `help:"Apply a changed script or plugin to users not yet started."`
	moved
}

// moved is the flag of every command that goes on with a run.
type moved struct {
	Moved bool `help:"The run was last applied on another host or with another state directory, and is not continued there."`
}

// goingOn are the flags of the commands that go on with a run.
type goingOn struct {
	OverThreshold bool `help:"Go on although a wave has failed more often than max_failures allows; failures are counted anew from here."`
	applying
}

func (f goingOn) options() host.RunOptions {
	runOptions := f.applying.options()
	runOptions.OverThreshold = f.OverThreshold
	return runOptions
}

func (f applying) options() host.RunOptions {
	return host.RunOptions{Yes: f.Yes, Overwrite: f.Overwrite, Requestor: f.Requestor, SourceSystem: f.SourceSystem,
		CheckpointTo: f.CheckpointTo, AcceptChange: f.AcceptChange, Moved: f.Moved}
}

// planning are the flags of the commands that plan.
type planning struct {
	Script    string   `arg:"" predictor:"script" help:"The workflow script, or @rekey/NAME.star for one that ships with rekey."`
	Params    []string `arg:"" optional:"" name:"NAME=VALUE" help:"Parameters of the script."`
	New       bool     `help:"Start anew although an unfinished run of the same script exists."`
	MaxUsers  int64    `help:"Refuse a plan with more users than this." placeholder:"N"`
	MinUsers  int64    `help:"Refuse a plan with fewer users than this." placeholder:"N"`
	Recipient []string `help:"Also seal the values to this age recipient; may be repeated." placeholder:"AGE"`
	exercising
	applying
}

func (f planning) options() host.RunOptions {
	runOptions := f.applying.options()
	runOptions.New, runOptions.MaxUsers, runOptions.MinUsers, runOptions.Exercise = f.New, f.MaxUsers, f.MinUsers, f.exercising.options()
	return runOptions
}

func (f planning) script() host.Script { return host.Script{Path: f.Script, Params: f.Params} }

type runCmd struct {
	planning
}

// Help is the longer help of the command.
func (runCmd) Help() string {
	return `The script is checked, the users are read, its hooks and the reports' rows are tried with each user on simulated steps, every
backend is asked whether it is ready, and the plan is shown. Nothing is changed before you confirm (or give --yes).
What was killed or stopped goes on with "rekey resume".`
}

// Run plans and applies.
func (c *runCmd) Run(app *app) error {
	return withHost(app, c.Recipient, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		session, err := opened.Begin(stop, c.script(), c.options())
		if err != nil {
			return host.Outcome{}, err
		}
		defer session.Close()
		return session.Apply(ctx, stop)
	})
}

type planCmd struct {
	planning
}

// Help is the longer help of the command.
func (planCmd) Help() string {
	return `Who, in which wave, in which order: frozen in the ledger as a run that has the status planned. "rekey resume RUN"
applies exactly that.`
}

// Run plans.
func (c *planCmd) Run(app *app) error {
	return withHost(app, c.Recipient, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		out, err := c.freeze(ctx, stop, opened)
		if err != nil || !app.cli.JSON {
			return out, err
		}
		err = opened.Users(out.Run, func(plannedUser host.PlannedUser) error { out.Plan = append(out.Plan, plannedUser); return nil })
		return out, err
	})
}

// freeze plans and leaves the run for resume.
func (c *planCmd) freeze(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
	session, err := opened.Plan(stop, c.script(), c.options())
	if err != nil {
		return host.Outcome{}, err
	}
	defer session.Close()
	return session.Leave(ctx)
}

type resumeCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	goingOn
}

// Run resumes.
func (c *resumeCmd) Run(app *app) error {
	return withHost(app, nil, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		session, err := opened.Continue(stop, c.Name, c.options())
		if err != nil {
			return host.Outcome{}, err
		}
		defer session.Close()
		return session.Resume(ctx, stop)
	})
}

type retryCmd struct {
	Name string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Code []string `help:"Only users that failed with this code; may be repeated." placeholder:"C"`
	User []string `help:"Only this user; may be repeated." placeholder:"KEY"`
	goingOn
}

// Run retries.
func (c *retryCmd) Run(app *app) error {
	runOptions := c.options()
	runOptions.Codes, runOptions.Keys = c.Code, c.User
	return withHost(app, nil, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		session, err := opened.Continue(stop, c.Name, runOptions)
		if err != nil {
			return host.Outcome{}, err
		}
		defer session.Close()
		return session.Retry(ctx, stop)
	})
}

// withHost runs a command that applies, and shows its result.
func withHost(a *app, recipients []string, do func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error)) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	config.Recipients = append(config.Recipients, recipients...)
	tuneMemory(a)
	h, err := host.New(config)
	if err != nil {
		return err
	}
	defer h.Close()
	ctx, stop := a.signals()
	out, err := do(ctx, stop, h)
	if out.Run == "" {
		return err
	}
	a.process.stderr.flush() // there is room for what matters most
	if a.cli.JSON {
		printJSON(a.process.stdout, out)
	} else if !a.cli.Quiet || err != nil || out.ExitCode != host.ExitDone {
		showOutcome(a.process.stderr, out)
	}
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			a.process.stderr.complain(line)
		}
		return errExit(host.ExitUnexpected)
	}
	return errExit(out.ExitCode)
}

// steadyMemory is what the heap of a run comes to, however many users it has:
// the window of users under way, with half of it to spare.
const steadyMemory = 72 << 20

// tuneMemory lets the heap of a process that applies or reports a run fill that
// before it is collected: an eighth less processor time than with Go's defaults, at the
// same peak. GOGC and GOMEMLIMIT have the last word.
func tuneMemory(a *app) {
	if a.env("GOGC") == "" && a.env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(steadyMemory)
	}
}

// showOutcome says for people what a run came to and what to do next.
func showOutcome(screen *screen, out host.Outcome) {
	line := fmt.Sprintf("rekey: run %s %s: %s", out.Run, out.Status, counts(out.Counts))
	if out.Reason != "" {
		line += "; " + out.Reason
	}
	fmt.Fprintln(screen, line)
	for _, text := range out.Unwritten {
		fmt.Fprintf(screen, "rekey: %s\n", text)
	}
	if !out.Summarised {
		for _, path := range out.Reports {
			fmt.Fprintf(screen, "rekey: wrote %s\n", path)
		}
		for _, next := range out.Next {
			fmt.Fprintf(screen, "rekey: %s\n", next)
		}
	}
	if out.Audit.Size > 0 {
		fmt.Fprintf(screen, "rekey: audit head %s\n", out.Audit.Head)
	}
}

// counts returns the counts above zero.
func counts(counts host.Counts) string {
	parts := []string{counted(counts.Total, "user")}
	for _, p := range []struct {
		n    int64
		name string
	}{{counts.Done, "done"}, {counts.Failed, "failed"}, {counts.Partial, "partial"}, {counts.Unknown, "unknown"},
		{counts.Skipped, "skipped"}, {counts.Pending, "pending"}, {counts.Held, "held"}} {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.name)
		}
	}
	return strings.Join(parts, ", ")
}

// showPreview shows a plan before it is confirmed.
func showPreview(screen *screen, preview host.Preview) {
	fmt.Fprintf(screen, "Plan of %s: %s in the source, %s due", preview.Script, counted(preview.Total, "user"), thousands(preview.Due))
	if preview.Skipped > 0 {
		fmt.Fprintf(screen, ", %s skipped", thousands(preview.Skipped))
	}
	fmt.Fprintln(screen)
	for _, wave := range preview.Waves {
		fmt.Fprintf(screen, "  wave %-12s %s%s\n", wave.Name, counted(wave.Users, "user"), ruleOf(wave))
	}
	showTrust(screen, preview.Backends, preview.Recipients)
	for _, note := range preview.Notes {
		fmt.Fprintf(screen, "  note: %s\n", note)
	}
}

func ruleOf(wavePreview host.WavePreview) string {
	var parts []string
	if wavePreview.Rule.Size > 0 {
		parts = append(parts, fmt.Sprintf("batches of %d", wavePreview.Rule.Size))
	}
	if wavePreview.Rule.Pause > 0 {
		parts = append(parts, "pause "+wavePreview.Rule.Pause.String())
	}
	if wavePreview.Rule.MaxFailures >= 0 {
		parts = append(parts, fmt.Sprintf("stops above %d failures", wavePreview.Rule.MaxFailures))
	}
	if wavePreview.Rule.MaxPercent >= 0 {
		parts = append(parts, fmt.Sprintf("stops above %g%% failures", wavePreview.Rule.MaxPercent))
	}
	if wavePreview.Rule.Hold {
		parts = append(parts, "then holds for approval")
	}
	if len(parts) == 0 {
		return ""
	}
	return "  (" + strings.Join(parts, ", ") + ")"
}
