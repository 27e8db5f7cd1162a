package main

import (
	"fmt"
	"os"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/scaffold"
)

type pluginNewCmd struct {
	Name   string `arg:"" name:"NAME" help:"Of the backend, as scripts will write it."`
	Lang   string `help:"Its language: ${enum}." enum:"${langs}" default:"go"`
	Target string `help:"What it speaks to: ${enum}." enum:"${targets}" default:"http"`
}

// Run writes a new backend into the working directory.
func (c *pluginNewCmd) Run(app *app) error {
	if _, taken := app.process.bundled[c.Name]; taken {
		return &host.UsageError{Message: fmt.Sprintf("%q is a backend of rekey itself", c.Name), Fix: "use another name"}
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	folder, err := scaffold.Write(scaffold.Options{Name: c.Name, Lang: c.Lang, Target: c.Target, Dir: dir})
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, map[string]string{"folder": folder})
		return nil
	}
	if c.Lang == scaffold.Starlark {
		fmt.Fprintf(app.process.stdout, "wrote %s; its README.md says what is where. It keeps the contract as it is:\n  cd %s && rekey plugin test ./%s.star --target target.json\n", folder, c.Name, c.Name)
		return nil
	}
	build := map[string]string{"go": "go build . && ", "python": "", "node": "npm install && "}[c.Lang]
	fmt.Fprintf(app.process.stdout, "wrote %s; its README.md says what is where. It keeps the contract as it is:\n  cd rekey-backend-%s && %srekey plugin test ./rekey-backend-%s --target target.json\n", folder, c.Name, build, c.Name)
	return nil
}
