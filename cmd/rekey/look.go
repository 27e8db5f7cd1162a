package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/report"
)

type runsCmd struct{}

// Run lists the runs.
func (runsCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	list, err := h.Runs()
	if err != nil {
		return err
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, list)
	} else if err := listRuns(a.process.stdout, list); err != nil {
		return err
	}
	unreadable := false
	for _, r := range list {
		if r.Problem != "" {
			unreadable = true
			fmt.Fprintf(a.process.stderr, "rekey: run %s cannot be read: %s\n", r.Run, r.Problem)
		}
	}
	if unreadable {
		return errExit(host.ExitUnexpected)
	}
	return nil
}

func listRuns(out io.Writer, list []host.RunSummary) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tCREATED\tSTATUS\tUSERS\tSCRIPT")
	for _, r := range list {
		if r.Problem != "" {
			fmt.Fprintf(w, "%s\t-\tunreadable\t-\t-\n", r.Run)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Run, r.Created, r.Status, counts(r.Counts), r.Script)
	}
	return w.Flush()
}

type showCmd struct {
	Name   string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	User   []string `help:"This user, with every step; may be repeated." placeholder:"KEY"`
	Status []string `help:"Users with this status; may be repeated." placeholder:"S"`
	Code   []string `help:"Users with this code; may be repeated." placeholder:"C"`
}

// Run shows a run.
func (c *showCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	var users []report.Line
	show := func(l report.Line) error {
		if a.cli.JSON {
			users = append(users, l)
			return nil
		}
		return showUser(a.process.stdout, l, len(c.User) > 0)
	}
	out, err := h.Show(c.Name, host.ShowFilter{Keys: c.User, Statuses: c.Status, Codes: c.Code}, show)
	var nobody *host.NobodyError
	if errors.As(err, &nobody) && !isPart(err) { // which is an answer
		fmt.Fprintf(a.process.stderr, "rekey: %s\n", nobody)
		err = nil
	}
	if err != nil && !isPart(err) {
		return err
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, struct {
			host.Outcome
			Users []report.Line `json:"users,omitempty"`
		}{out, users})
		return err
	}
	return errors.Join(showRun(a.process.stdout, out), err)
}

// isPart reports whether all was shown that can be.
func isPart(err error) bool { return errors.As(err, new(*host.PartError)) }

func showRun(w *screen, out host.Outcome) error {
	fmt.Fprintf(w, "run %s of %s: %s\n", out.Run, out.Script, out.Status)
	fmt.Fprintf(w, "  %s\n", counts(out.Counts))
	for _, wave := range out.Waves {
		fmt.Fprintf(w, "  wave %s: %s\n", wave.Name, counts(wave.Counts))
	}
	showTrust(w, out.Backends, out.Recipients)
	for _, next := range out.Next {
		fmt.Fprintf(w, "  %s\n", next)
	}
	return nil
}

// showTrust shows which programs get a run's passwords, what they may use, and
// who can open the sealed values.
func showTrust(w *screen, backends []host.BackendLine, recipients []string) {
	for _, b := range backends {
		fmt.Fprintf(w, "  backend %s: %s %s, %s\n", b.Label, b.Name, b.Version, confinement(b))
	}
	for _, r := range recipients {
		fmt.Fprintf(w, "  sealed to %s\n", shortened(r))
	}
}

// confinement is which file a plugin is, and what it may use.
func confinement(b host.BackendLine) string {
	text := "in rekey itself"
	if b.SHA256 != "" {
		text = "SHA-256 " + b.SHA256
	}
	switch {
	case !b.Confined:
		return text
	case len(b.Grants) == 0:
		return text + ", confined: no network and no files"
	}
	return text + ", confined to " + strings.Join(b.Grants, ", ")
}

// shortened cuts a public key of two thousand characters, as post-quantum ones
// are, to what people compare.
func shortened(recipient string) string {
	if len(recipient) <= 80 {
		return recipient
	}
	return recipient[:72] + "…"
}

func showUser(w *screen, l report.Line, steps bool) error {
	parts := []string{l.Key, string(l.Status)}
	if l.Code != "" {
		parts = append(parts, l.Code)
	}
	if l.Message != "" {
		parts = append(parts, l.Message)
	}
	fmt.Fprintln(w, strings.Join(parts, "  "))
	if !steps {
		return nil
	}
	for _, s := range l.Steps {
		fmt.Fprintf(w, "  %s  %s %s %s %s %s %s\n", s.At, s.Step, s.Backend, s.Account, s.Kind, s.Outcome, s.Code)
	}
	return nil
}

type reportCmd struct {
	Name      string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Format    string `help:"One format for all users instead of the script's reports: ${enum}." enum:"summary,json,jsonl,csv,html," default:""`
	Out       string `help:"Where to, with --format; - is standard output, as without it." type:"home" placeholder:"PATH"`
	Reveal    bool   `help:"With --format: include the passwords; an audited act."`
	Overwrite bool   `help:"Replace files that no run of this state directory wrote."`
	Script    string `help:"Write the reports of this script instead: the run's own, mended." type:"path" placeholder:"FILE"`
	unaudited
}

// unaudited is the flag of every command that shows what is only shown to who
// is recorded.
type unaudited struct {
	Unaudited bool `help:"Show it although the act cannot be recorded in the ledger."`
}

// Run writes reports again.
func (c *reportCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	paths, err := h.Report(context.Background(), c.Name, host.ReportOptions{Format: c.Format, Out: c.Out, Reveal: c.Reveal, Overwrite: c.Overwrite, Script: c.Script, Unaudited: c.Unaudited, Stdout: a.process.stdout})
	for _, p := range paths {
		fmt.Fprintf(a.process.stderr, "rekey: wrote %s\n", p)
	}
	return err
}

type revealCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Key  string `arg:"" optional:"" name:"KEY" help:"One user; all without."`
	unaudited
}

// Run shows sealed values.
func (c *revealCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	list := []host.Revealed{}
	err = h.Reveal(context.Background(), c.Name, host.RevealOptions{Key: c.Key, Unaudited: c.Unaudited}, func(r host.Revealed) error {
		if a.cli.JSON {
			list = append(list, r)
			return nil
		}
		_, err := fmt.Fprintf(a.process.stdout, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Key, r.Backend, r.Account, r.Kind, r.State, r.Password)
		return err
	})
	if (err == nil || isPart(err)) && a.cli.JSON {
		printJSON(a.process.stdout, list)
	}
	return err
}

type approveCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	moved
}

// Run approves.
func (c *approveCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	s, err := h.Continue(context.Background(), c.Name, host.RunOptions{Moved: c.Moved})
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := s.Approve()
	if err != nil {
		return err
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, out)
		return nil
	}
	fmt.Fprintf(a.process.stderr, "rekey: run %s: %s; go on with rekey resume %s\n", out.Run, out.Reason, out.Run)
	return nil
}

type forgetCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id."`
	moved
}

// Run forgets.
func (c *forgetCmd) Run(a *app) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	defer h.Close()
	id, err := h.Forget(context.Background(), c.Name, host.RunOptions{Moved: c.Moved})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.process.stderr, "rekey: the key to the values of run %s is destroyed here; a copy of the state directory made before can still open them\n", id)
	return nil
}
