package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/scaffold"
	"github.com/rekey-host/rekey/scripts"
)

type newCmd struct {
	Script newScriptCmd `cmd:"" help:"Write a new script with its tests."`
}

type newScriptCmd struct {
	Kind string `arg:"" optional:"" help:"What it is for; without it the kinds are listed."`
	Name string `arg:"" optional:"" help:"Of the script, NAME.star; default: the kind."`
	Out  string `help:"The directory that it is written into." default:"." placeholder:"DIR"`
}

// Help is the longer help of the command.
func (newScriptCmd) Help() string {
	return `NAME.star is a whole script, and NAME_test.star tests it: both pass rekey check, rekey fmt --check and rekey test as they are
written. Change the backend and the columns to yours; rekey docs has every name. Files that exist are never overwritten.`
}

// Run writes a new script, or lists the kinds.
func (c *newScriptCmd) Run(app *app) error {
	if c.Kind == "" {
		return listScripts(app, scaffold.ScriptKinds())
	}
	if err := oneOf("there is no kind of script", c.Kind, scaffold.ScriptKinds()); err != nil {
		return err
	}
	name := cmp.Or(c.Name, c.Kind)
	paths, err := scaffold.WriteScript(c.Kind, name, c.Out)
	return wrote(app, paths, err)
}

type scriptsCmd struct {
	Name string   `arg:"" optional:"" help:"Of a script; it is printed."`
	Copy pathFlag `help:"Copy it instead, with its tests, libraries and data: into this directory, or to =NAME.star." placeholder:"NAME.star"`
}

// Run lists the scripts that ship with rekey, prints or copies one.
func (c *scriptsCmd) Run(app *app) error {
	all, err := scaffold.Shipped(scripts.FS)
	switch {
	case err != nil:
		return err
	case c.Name == "" && c.Copy.on:
		return &host.UsageError{Message: "--copy wants the name of a script", Fix: "see rekey scripts"}
	case c.Name == "":
		return listScripts(app, all)
	}
	name := plainScript(c.Name)
	if err := oneOf("rekey ships no script", name, all); err != nil {
		return err
	}
	if c.Copy.on {
		paths, err := scaffold.CopyShipped(scripts.FS, name, filepath.Clean(cmp.Or(c.Copy.path, name+".star")))
		return wrote(app, paths, err)
	}
	text, err := scaffold.ShippedText(scripts.FS, name)
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, map[string]string{"script": c.Name, "text": text})
		return nil
	}
	_, err = fmt.Fprint(app.process.stdout, text)
	return err
}

// plainScript is NAME of NAME.star and @rekey/NAME.star.
func plainScript(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "@rekey/"), ".star")
}

// oneOf refuses a name that is none of a list.
func oneOf(message, name string, all []scaffold.ScriptKind) error {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name
	}
	if slices.Contains(names, name) {
		return nil
	}
	return &host.UsageError{Message: fmt.Sprintf("%s %q", message, name), Fix: cmp.Or(diag.DidYouMean(name, names), "use one of "+strings.Join(names, ", "))}
}

// wrote tells which files were written.
func wrote(app *app, paths []string, err error) error {
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, map[string][]string{"files": paths})
		return nil
	}
	fmt.Fprintf(app.process.stdout, "wrote %s\n", strings.Join(paths, ", "))
	return nil
}

// listScripts lists kinds of scripts, or scripts.
func listScripts(app *app, all []scaffold.ScriptKind) error {
	if app.cli.JSON {
		printJSON(app.process.stdout, all)
		return nil
	}
	writer := tabwriter.NewWriter(app.process.stdout, 0, 4, 2, ' ', 0)
	for _, one := range all {
		fmt.Fprintf(writer, "%s\t%s\n", one.Name, one.Doc)
	}
	return writer.Flush()
}
