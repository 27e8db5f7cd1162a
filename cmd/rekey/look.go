package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/report"
)

type runsCmd struct {
	Status []string `help:"Runs with this status; may be repeated." placeholder:"S"`
	Script string   `help:"Runs of this script: its name, or the last part of it." placeholder:"SCRIPT"`
	Since  moment   `help:"Runs planned since: 2026-03-01, or 30d ago." placeholder:"TIME"`
	Until  moment   `help:"Runs planned until then." placeholder:"TIME"`
	Limit  int      `help:"The newest so many." placeholder:"N"`
}

// Run lists the runs.
func (c *runsCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	list, err := opened.Runs()
	if err != nil {
		return err
	}
	if list, err = (host.RunFilter{Statuses: c.Status, Script: c.Script, Since: c.Since.Time, Until: c.Until.Time, Limit: c.Limit}).Of(list); err != nil {
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, list)
	} else if err := listRuns(app.process.stdout, list); err != nil {
		return err
	}
	unreadable := false
	for _, runSummary := range list {
		if runSummary.Problem != "" {
			unreadable = true
			fmt.Fprintf(app.process.stderr, "rekey: run %s cannot be read: %s\n", runSummary.Run, runSummary.Problem)
		}
	}
	if unreadable {
		return errExit(host.ExitUnexpected)
	}
	return nil
}

func listRuns(out io.Writer, list []host.RunSummary) error {
	writer := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(writer, "RUN\tCREATED\tSTATUS\tUSERS\tSCRIPT")
	for _, runSummary := range list {
		if runSummary.Problem != "" {
			fmt.Fprintf(writer, "%s\t-\tunreadable\t-\t-\n", runSummary.Run)
			continue
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\t%s\t%s\n", runSummary.Run, runSummary.Created, runSummary.Status, counts(runSummary.Counts), runSummary.Script)
	}
	return writer.Flush()
}

type showCmd struct {
	Name   string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	User   []string `help:"This user, with every step; may be repeated." placeholder:"KEY"`
	Status []string `help:"Users with this status; may be repeated." placeholder:"S"`
	Code   []string `help:"Users with this code; may be repeated." placeholder:"C"`
}

// Run shows a run.
func (c *showCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	var users []report.Line
	show := func(line report.Line) error {
		if app.cli.JSON {
			users = append(users, line)
			return nil
		}
		return showUser(app.process.stdout, line, len(c.User) > 0)
	}
	out, err := opened.Show(c.Name, host.ShowFilter{Keys: c.User, Statuses: c.Status, Codes: c.Code}, show)
	var nobody *host.NobodyError
	if errors.As(err, &nobody) && !isPart(err) { // which is an answer
		fmt.Fprintf(app.process.stderr, "rekey: %s\n", nobody)
		err = nil
	}
	if err != nil && !isPart(err) {
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, struct {
			host.Outcome
			Users []report.Line `json:"users,omitempty"`
		}{out, users})
		return err
	}
	return errors.Join(showRun(app.process.stdout, out), err)
}

// isPart reports whether all was shown that can be.
func isPart(err error) bool { return errors.As(err, new(*host.PartError)) }

func showRun(screen *screen, out host.Outcome) error {
	fmt.Fprintf(screen, "run %s of %s: %s\n", out.Run, out.Script, out.Status)
	if out.About != nil {
		showAbout(screen, out.About)
	}
	fmt.Fprintf(screen, "  %s\n", counts(out.Counts))
	for _, wave := range out.Waves {
		fmt.Fprintf(screen, "  wave %s: %s\n", wave.Name, counts(wave.Counts))
	}
	for _, event := range out.Events {
		fmt.Fprintf(screen, "  %s\n", event)
	}
	showTrust(screen, out.Backends, out.Recipients)
	for _, next := range out.Next {
		fmt.Fprintf(screen, "  %s\n", next)
	}
	return nil
}

// showAbout shows what a run is.
func showAbout(screen *screen, about *host.About) {
	if about.Title != "" {
		fmt.Fprintf(screen, "  %s\n", about.Title)
	}
	for _, name := range slices.Sorted(maps.Keys(about.Params)) {
		fmt.Fprintf(screen, "  %s=%s\n", name, about.Params[name])
	}
	planned := fmt.Sprintf("planned %s by %s@%s", about.Planned, about.OSUser, about.Host)
	if about.Requestor != "" {
		planned += " for " + about.Requestor
	}
	fmt.Fprintf(screen, "  %s\n", planned)
	if about.Began != "" {
		fmt.Fprintf(screen, "  applied from %s to %s\n", about.Began, about.Until)
	}
}

// showTrust shows which programs get a run's passwords, their grants, and
// who can open the sealed values.
func showTrust(screen *screen, backends []host.BackendLine, recipients []string) {
	for _, backendLine := range backends {
		fmt.Fprintf(screen, "  backend %s: %s %s, %s\n", backendLine.Label, backendLine.Name, backendLine.Version, confinement(backendLine))
	}
	for _, text := range recipients {
		fmt.Fprintf(screen, "  sealed to %s\n", shortened(text))
	}
}

// confinement is a plugin's file and its grants.
func confinement(backendLine host.BackendLine) string {
	text := "in rekey itself"
	if backendLine.SHA256 != "" {
		text = "SHA-256 " + backendLine.SHA256
	}
	switch {
	case backendLine.Served != "":
		return backendLine.Served
	case !backendLine.Confined && backendLine.SHA256 != "":
		return text + ", not confined"
	case !backendLine.Confined:
		return text
	case len(backendLine.Grants) == 0:
		return text + ", confined: no network and no files"
	}
	return text + ", confined to " + strings.Join(backendLine.Grants, ", ")
}

// shortened cuts a public key of two thousand characters, as post-quantum ones
// are, to what people compare.
func shortened(recipient string) string {
	if len(recipient) <= 80 {
		return recipient
	}
	return recipient[:72] + "…"
}

func showUser(screen *screen, line report.Line, steps bool) error {
	parts := []string{line.Key, string(line.Status)}
	if line.Code != "" {
		parts = append(parts, line.Code)
	}
	if line.Message != "" {
		parts = append(parts, line.Message)
	}
	fmt.Fprintln(screen, strings.Join(parts, "  "))
	if !steps {
		return nil
	}
	for _, lineStep := range line.Steps {
		fmt.Fprintf(screen, "  %s  %s %s %s %s %s %s\n", lineStep.At, lineStep.Step, lineStep.Backend, lineStep.Account, lineStep.Kind, lineStep.Outcome, lineStep.Code)
	}
	return nil
}

type reportCmd struct {
	Name      string   `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Format    string   `help:"One format for all users instead of the script's reports: ${enum}." enum:"${formats}," default:""`
	Out       string   `help:"Where to, with --format or --columns; - is standard output, as without it." type:"home" placeholder:"PATH"`
	Columns   []string `help:"Write these columns, in one format for all users: columns of the users, and key, status, code, native, message, wave, attempts, at, run, ended, requestor, source_system; with --reveal password and passwords.LABEL." placeholder:"NAME,…"`
	Reveal    bool     `help:"With --format or --columns: include the passwords; an audited act."`
	Overwrite bool     `help:"Replace files that no run of this state directory wrote."`
	Script    string   `help:"Write the reports of this script instead: the run's own, mended." type:"path" placeholder:"FILE"`
	acting
	unaudited
}

// unaudited is the flag of every command that shows things reserved for who
// is recorded.
type unaudited struct {
	Unaudited bool `help:"Show it although the act cannot be recorded in the ledger."`
}

// Run writes reports again.
func (c *reportCmd) Run(app *app) error {
	tuneMemory(app)
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	paths, err := opened.Report(context.Background(), c.Name, host.ReportOptions{Format: c.Format, Columns: c.Columns, Out: c.Out, Reveal: c.Reveal, Overwrite: c.Overwrite, Script: c.Script, Unaudited: c.Unaudited, Act: c.act(), Stdout: app.process.stdout})
	for _, path := range paths {
		fmt.Fprintf(app.process.stderr, "rekey: wrote %s\n", path)
	}
	return err
}

type revealCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Key  string `arg:"" optional:"" name:"KEY" help:"One user; all without."`
	acting
	unaudited
}

// Run shows sealed values.
func (c *revealCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	list := []host.Revealed{}
	err = opened.Reveal(context.Background(), c.Name, host.RevealOptions{Key: c.Key, Unaudited: c.Unaudited, Act: c.act()}, func(revealed host.Revealed) error {
		if app.cli.JSON {
			list = append(list, revealed)
			return nil
		}
		_, err := fmt.Fprintf(app.process.stdout, "%s\t%s\t%s\t%s\t%s\t%s\n", revealed.Key, revealed.Backend, revealed.Account, revealed.Kind, revealed.State, revealed.Password)
		return err
	})
	if (err == nil || isPart(err)) && app.cli.JSON {
		printJSON(app.process.stdout, list)
	}
	return err
}

type approveCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	acting
	moved
}

// Run approves.
func (c *approveCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	session, err := opened.Continue(context.Background(), c.Name, c.options(c.Moved))
	if err != nil {
		return err
	}
	defer session.Close()
	out, err := session.Approve()
	if err != nil {
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, out)
		return nil
	}
	fmt.Fprintf(app.process.stderr, "rekey: run %s: %s; go on with rekey resume %s\n", out.Run, out.Reason, out.Run)
	return nil
}

type forgetCmd struct {
	Name string `arg:"" name:"RUN" predictor:"run" help:"A run's id."`
	acting
	moved
}

// Run forgets.
func (c *forgetCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	id, err := opened.Forget(context.Background(), c.Name, c.options(c.Moved))
	if err != nil {
		return err
	}
	fmt.Fprintf(app.process.stderr, "rekey: the key to the values of run %s is destroyed here; a copy of the state directory made before can still open them\n", id)
	return nil
}
