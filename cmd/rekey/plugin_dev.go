package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/workbench"
)

type pluginDevCmd struct {
	Path string `arg:"" name:"PATH" help:"The folder of the plugin, or its program." type:"path"`
}

// Run keeps a plugin running until it is interrupted.
func (c *pluginDevCmd) Run(app *app) error {
	if strings.HasSuffix(c.Path, ".star") {
		return &host.UsageError{Message: c.Path + " is a definition, not a program: nothing is built", Fix: `give it to backend("http", definition = …) and save; rekey plugin test tries it`}
	}
	log, err := app.logger()
	if err != nil {
		return err
	}
	if app.env("REKEY_LOG") == "" {
		log.SetLevel(hclog.Debug) // what the plugin prints is what its author looks at
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	said := ""
	workshop := workbench.Workshop{Path: c.Path, Options: launch.Options{Log: log, StartTimeout: time.Minute},
		Tell: func(text string) { fmt.Fprintf(app.process.stderr, "rekey: %s\n", text) },
		Ready: func(made workbench.Prototype) {
			fmt.Fprintf(app.process.stderr, "rekey: %s runs as process %d, for a debugger: dlv attach %d\n", made.Name, made.PID, made.PID)
			if line := "export REKEY_REATTACH='" + made.Reattach + "'"; line != said {
				said = line
				fmt.Fprintf(app.process.stderr, "rekey: warning: this is for development: not pinned, not confined, never killed for being late; a run uses it where this is set:\n")
				fmt.Fprintln(app.process.stdout, line)
			}
		}}
	err = workshop.Run(ctx)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return &host.UsageError{Message: fmt.Sprintf("%s: %s", path.Path, path.Err), Fix: "give the folder of a plugin, or its program"}
	}
	return err
}
