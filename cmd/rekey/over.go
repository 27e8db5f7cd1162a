package main

import (
	"context"
	"fmt"

	"github.com/rekey-host/rekey/host"
)

type cancelCmd struct {
	Name      string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	Overwrite bool   `help:"Replace report files that no run of this state directory wrote."`
	acting
	moved
}

// Help is the longer help of the command.
func (cancelCmd) Help() string {
	return `Users who wait end skipped, with the reason; who was under way ends as their records say. Nothing is sent. Wants --reason.`
}

// Run cancels.
func (c *cancelCmd) Run(app *app) error {
	return withHost(app, nil, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		options := c.options(c.Moved)
		options.Overwrite = c.Overwrite
		session, err := opened.Continue(stop, c.Name, options)
		if err != nil {
			return host.Outcome{}, err
		}
		defer session.Close()
		return session.Cancel(ctx)
	})
}

type settleCmd struct {
	Name    string `arg:"" name:"RUN" predictor:"run" help:"A run's id, or last."`
	User    string `required:"" help:"The user who is unknown." placeholder:"KEY"`
	As      string `required:"" help:"changed: the newest value is in force. unchanged: none of the doubtful ones is. Or the number of the value that is, as reveal lists them, from 1." placeholder:"changed|unchanged|N"`
	Backend string `help:"Where, if several credentials are in doubt." placeholder:"LABEL"`
	Account string `help:"Which account there." placeholder:"NAME"`
	Kind    string `help:"Which kind of its credentials." placeholder:"KIND"`
	acting
	moved
}

// Help is the longer help of the command.
func (settleCmd) Help() string {
	return `For a user whose outcome is unknown and whom no resume can settle, as the system is gone: you looked, and say what you
found. Wants --reason. The user is partial or failed then; "rekey retry RUN --user KEY" goes on, with a fresh value where the
doubtful one is not in force.`
}

// Run settles.
func (c *settleCmd) Run(app *app) error {
	return withHost(app, nil, func(_, stop context.Context, opened *host.Host) (host.Outcome, error) {
		session, err := opened.Continue(stop, c.Name, c.options(c.Moved))
		if err != nil {
			return host.Outcome{}, err
		}
		defer session.Close()
		return session.Settle(host.Settlement{Key: c.User, As: c.As, Backend: c.Backend, Account: c.Account, Kind: c.Kind})
	})
}

type pruneCmd struct {
	Older    span `required:"" help:"Runs last applied, or planned, longer ago than this: 90d, 720h." placeholder:"AGE"`
	KeepLast int  `help:"Keep the newest so many runs, however old." placeholder:"N"`
	DryRun   bool `help:"Only name them."`
	acting
}

// Help is the longer help of the command.
func (pruneCmd) Help() string {
	return `A removed run is gone whole, with its values, also those still in force: nothing here opens them any more. Runs with users who are pending, held or
unknown stay. Who removed what, and the head of its log, stays in "rekey log".`
}

// Run prunes.
func (c *pruneCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	list := []host.Pruned{}
	err = opened.Prune(context.Background(), host.PruneOptions{Older: c.Older.Duration, KeepLast: c.KeepLast, DryRun: c.DryRun, Act: c.act()}, func(pruned host.Pruned) error {
		list = append(list, pruned)
		return nil
	})
	if app.cli.JSON {
		printJSON(app.process.stdout, list)
		return err
	}
	word := "removed"
	if c.DryRun {
		word = "would remove"
	}
	for _, pruned := range list {
		goes := ""
		if pruned.Newest > 0 {
			goes = "; with it the newest value here of " + counted(pruned.Newest, "account")
		}
		fmt.Fprintf(app.process.stdout, "%s %s of %s, last applied %s: %s%s\n", word, pruned.Run, pruned.Script, pruned.Last, counts(pruned.Counts), goes)
	}
	if len(list) == 0 && err == nil {
		fmt.Fprintln(app.process.stderr, "rekey: no run is that old and over")
	}
	return err
}
