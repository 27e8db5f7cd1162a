package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
)

// acting are the flags of acts that a run's ledger records.
type acting struct {
	Requestor string `help:"Who asked for this, for the audit trail." placeholder:"ID"`
	Reason    string `help:"Why, for the audit trail." placeholder:"TEXT"`
}

func (f acting) act() host.Act { return host.Act{Requestor: f.Requestor, Reason: f.Reason} }

// options are those of an act on a run that is locked for it.
func (f acting) options(moved bool) host.RunOptions {
	return host.RunOptions{Requestor: f.Requestor, Reason: f.Reason, Moved: moved}
}

type logCmd struct {
	Name string `arg:"" optional:"" name:"RUN" predictor:"run" help:"A run's id, or last; all runs without."`
}

// Run shows the log.
func (c *logCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	list := []host.Event{}
	err = opened.Events(c.Name, func(event host.Event) error {
		list = append(list, event)
		return nil
	})
	if err != nil && !isPart(err) {
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, list)
		return err
	}
	writer := tabwriter.NewWriter(app.process.stdout, 0, 4, 2, ' ', 0)
	for _, event := range list {
		fmt.Fprintf(writer, "%s\t%s\t%s\t%s\t%s\n", event.At[:19]+"Z", event.Run, event.Event, event.Who(), event.Text())
	}
	if ferr := writer.Flush(); ferr != nil {
		return ferr
	}
	return err
}
