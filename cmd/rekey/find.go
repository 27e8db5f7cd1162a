package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
)

type findCmd struct {
	Name    string `arg:"" name:"ACCOUNT|KEY" help:"An account as its system has it, or a user's key."`
	Backend string `help:"Only on this backend: its label, or its name." placeholder:"B" predictor:"backend"`
	Reveal  bool   `help:"Show the values too; an audited act."`
	acting
	unaudited
}

// Run finds.
func (c *findCmd) Run(app *app) error {
	opened, err := app.open()
	if err != nil {
		return err
	}
	defer opened.Close()
	list := []host.Found{}
	options := host.FindOptions{Name: c.Name, Backend: c.Backend, Reveal: c.Reveal, Unaudited: c.Unaudited, Act: c.act()}
	err = opened.Find(context.Background(), options, func(found host.Found) error {
		list = append(list, found)
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
	fmt.Fprintln(writer, strings.Join(append([]string{"RUN", "SENT", "KEY", "BACKEND", "TARGET", "ACCOUNT", "KIND", "STATE"}, values(c.Reveal)...), "\t"))
	for _, found := range list {
		state := found.State
		if found.Current {
			state = "current"
		}
		columns := []string{found.Run, found.At, found.Key, found.Backend, found.Target, found.Account, found.Kind, state}
		if c.Reveal {
			columns = append(columns, found.Password)
		}
		fmt.Fprintln(writer, strings.Join(columns, "\t"))
	}
	return errors.Join(writer.Flush(), err)
}

// values is the header of the values, if they are shown.
func values(shown bool) []string {
	if !shown {
		return nil
	}
	return []string{"VALUE"}
}
