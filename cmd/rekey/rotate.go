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
	Moved bool `help:"The run was last applied on another host or with another state directory, and nobody goes on with it there."`
}

// goingOn are the flags of the commands that go on with a run.
type goingOn struct {
	OverThreshold bool `help:"Go on although a wave has failed more often than max_failures allows; failures are counted anew from here."`
	applying
}

func (f goingOn) options() host.RunOptions {
	o := f.applying.options()
	o.OverThreshold = f.OverThreshold
	return o
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
	applying
}

func (f planning) options() host.RunOptions {
	o := f.applying.options()
	o.New, o.MaxUsers, o.MinUsers = f.New, f.MaxUsers, f.MinUsers
	return o
}

func (f planning) script() host.Script { return host.Script{Path: f.Script, Params: f.Params} }

type runCmd struct {
	planning
}

// Help is the longer help of the command.
func (runCmd) Help() string {
	return `The script is checked, the users are read, every backend is asked whether it is ready, and the plan is shown. Nothing
is changed before you confirm (or give --yes). What was killed or stopped goes on with "rekey resume".`
}

// Run plans and applies.
func (c *runCmd) Run(a *app) error {
	return a.withHost(c.Recipient, func(ctx, stop context.Context, h *host.Host) (host.Outcome, error) {
		s, err := h.Begin(stop, c.script(), c.options())
		if err != nil {
			return host.Outcome{}, err
		}
		defer s.Close()
		return s.Apply(ctx, stop)
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
func (c *planCmd) Run(a *app) error {
	return a.withHost(c.Recipient, func(ctx, stop context.Context, h *host.Host) (host.Outcome, error) {
		out, err := c.freeze(ctx, stop, h)
		if err != nil || !a.cli.JSON {
			return out, err
		}
		err = h.Users(out.Run, func(u host.PlannedUser) error { out.Plan = append(out.Plan, u); return nil })
		return out, err
	})
}

// freeze plans and leaves the run for resume.
func (c *planCmd) freeze(ctx, stop context.Context, h *host.Host) (host.Outcome, error) {
	s, err := h.Plan(stop, c.script(), c.options())
	if err != nil {
		return host.Outcome{}, err
	}
	defer s.Close()
	return s.Leave(ctx)
}

type resumeCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	goingOn
}

// Run resumes.
func (c *resumeCmd) Run(a *app) error {
	return a.withHost(nil, func(ctx, stop context.Context, h *host.Host) (host.Outcome, error) {
		s, err := h.Continue(stop, c.Name, c.options())
		if err != nil {
			return host.Outcome{}, err
		}
		defer s.Close()
		return s.Resume(ctx, stop)
	})
}

type retryCmd struct {
	Name string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Code []string `help:"Only users that failed with this code; may be repeated." placeholder:"C"`
	User []string `help:"Only this user; may be repeated." placeholder:"KEY"`
	goingOn
}

// Run retries.
func (c *retryCmd) Run(a *app) error {
	o := c.options()
	o.Codes, o.Keys = c.Code, c.User
	return a.withHost(nil, func(ctx, stop context.Context, h *host.Host) (host.Outcome, error) {
		s, err := h.Continue(stop, c.Name, o)
		if err != nil {
			return host.Outcome{}, err
		}
		defer s.Close()
		return s.Retry(ctx, stop)
	})
}

// withHost runs a command that applies, and shows what it came to.
func (a *app) withHost(recipients []string, do func(ctx, stop context.Context, h *host.Host) (host.Outcome, error)) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	c.Recipients = append(c.Recipients, recipients...)
	a.tuneMemory()
	h, err := host.New(c)
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
	a.showOutcome(out)
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

// tuneMemory lets the heap of a process that applies a run fill that before it
// is collected: an eighth less processor time than with Go's defaults, at the
// same peak. GOGC and GOMEMLIMIT have the last word.
func (a *app) tuneMemory() {
	if a.env("GOGC") == "" && a.env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(steadyMemory)
	}
}

func (a *app) showOutcome(out host.Outcome) {
	if a.cli.JSON {
		printJSON(a.process.stdout, out)
		return
	}
	showOutcome(a.process.stderr, out)
}

// showOutcome says for people what a run came to and what to do next.
func showOutcome(w *screen, out host.Outcome) {
	line := fmt.Sprintf("rekey: run %s %s: %s", out.Run, out.Status, counts(out.Counts))
	if out.Reason != "" {
		line += "; " + out.Reason
	}
	fmt.Fprintln(w, line)
	for _, text := range out.Unwritten {
		fmt.Fprintf(w, "rekey: %s\n", text)
	}
	if !out.Summarised {
		for _, path := range out.Reports {
			fmt.Fprintf(w, "rekey: wrote %s\n", path)
		}
		for _, next := range out.Next {
			fmt.Fprintf(w, "rekey: %s\n", next)
		}
	}
	if out.Audit.Size > 0 {
		fmt.Fprintf(w, "rekey: audit head %s\n", out.Audit.Head)
	}
}

// counts returns the counts that are not zero.
func counts(c host.Counts) string {
	parts := []string{counted(c.Total, "user")}
	for _, p := range []struct {
		n    int64
		name string
	}{{c.Done, "done"}, {c.Failed, "failed"}, {c.Partial, "partial"}, {c.Unknown, "unknown"},
		{c.Skipped, "skipped"}, {c.Pending, "pending"}, {c.Held, "held"}} {
		if p.n > 0 {
			parts = append(parts, thousands(p.n)+" "+p.name)
		}
	}
	return strings.Join(parts, ", ")
}

// showPreview shows a plan before it is confirmed.
func showPreview(w *screen, p host.Preview) {
	fmt.Fprintf(w, "Plan of %s: %s in the source, %s due", p.Script, counted(p.Total, "user"), thousands(p.Due))
	if p.Skipped > 0 {
		fmt.Fprintf(w, ", %s skipped", thousands(p.Skipped))
	}
	fmt.Fprintln(w)
	for _, wave := range p.Waves {
		fmt.Fprintf(w, "  wave %-12s %s%s\n", wave.Name, counted(wave.Users, "user"), ruleOf(wave))
	}
	showTrust(w, p.Backends, p.Recipients)
	for _, note := range p.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
}

func ruleOf(w host.WavePreview) string {
	var parts []string
	if w.Rule.Size > 0 {
		parts = append(parts, fmt.Sprintf("batches of %d", w.Rule.Size))
	}
	if w.Rule.Pause > 0 {
		parts = append(parts, "pause "+w.Rule.Pause.String())
	}
	if w.Rule.MaxFailures >= 0 {
		parts = append(parts, fmt.Sprintf("stops above %d failures", w.Rule.MaxFailures))
	}
	if w.Rule.MaxPercent >= 0 {
		parts = append(parts, fmt.Sprintf("stops above %g%% failures", w.Rule.MaxPercent))
	}
	if w.Rule.Hold {
		parts = append(parts, "then holds for approval")
	}
	if len(parts) == 0 {
		return ""
	}
	return "  (" + strings.Join(parts, ", ") + ")"
}
