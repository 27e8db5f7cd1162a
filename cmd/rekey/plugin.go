package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/depot"
	"github.com/rekey-host/rekey/host/lockfile"
)

// pluginCmd is the life of plugins in REKEY_PLUGIN_DIR.
type pluginCmd struct {
	New     pluginNewCmd     `cmd:"" help:"Write a new backend into ./rekey-backend-NAME: it builds and keeps the contract as it is."`
	Add     pluginAddCmd     `cmd:"" help:"Install a plugin, and lock it with what it asks for."`
	Connect pluginConnectCmd `cmd:"" help:"Lock a plugin that serves on another machine, and who it is."`
	List    pluginListCmd    `cmd:"" help:"List the plugins, and whether they are those of the lock file."`
	Verify  pluginVerifyCmd  `cmd:"" help:"Compare the plugins with the lock file; exit status 2 if one is another."`
	Upgrade pluginUpgradeCmd `cmd:"" help:"Replace a plugin by one that asks for no more than it was granted."`
	Remove  pluginRemoveCmd  `cmd:"" help:"Remove a plugin, and its entry in the lock file."`
	Test    pluginTestCmd    `cmd:"" help:"Hold a plugin to the contract: one line a promise; exit status 3 if one is broken."`
	Sign    pluginSignCmd    `cmd:"" help:"Sign the programs of a plugin, as its author."`
	Dev     pluginDevCmd     `cmd:"" help:"Keep a plugin built and running while you write it, for runs with REKEY_REATTACH and for a debugger; until it is interrupted."`
	Call    pluginCallCmd    `cmd:"" help:"Make one call by hand, and show what comes of it; exit status 3 if it is refused or a value rejected, 5 if unknown."`
}

// locked is the flag of commands that use a lock file.
type locked struct {
	Lock string `help:"The lock file; without it rekey.lock in the plugin directory. A script uses the one beside it first." type:"path" placeholder:"FILE"`
}

// depot opens the plugin directory for a command.
func (l locked) depot(app *app, do func(*depot.Depot) error) error {
	opened, err := app.openWithoutRuns()
	if err != nil {
		return err
	}
	defer opened.Close()
	place, err := opened.Depot(l.Lock)
	if err != nil {
		return err
	}
	if err := do(place); err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	return nil
}

// taking is what Add and Upgrade have in common.
type taking struct {
	Key      string `help:"The verifier key of who signs it; rekey verifies PROGRAM.sig by it until the plugin is removed." placeholder:"KEY"`
	Platform string `help:"The program is the same version for another system: record its SHA-256, and install nothing." placeholder:"OS/ARCH"`
	locked
}

func (t taking) options() (depot.Options, error) {
	if t.Key == "" {
		return depot.Options{Platform: t.Platform}, nil
	}
	if err := lockfile.ValidKey(t.Key); err != nil {
		return depot.Options{}, &host.UsageError{Message: "--key: " + err.Error(), Fix: "give the line that rekey plugin sign printed to the plugin's author"}
	}
	return depot.Options{Key: t.Key, Platform: t.Platform}, nil
}

type pluginAddCmd struct {
	From string `arg:"" name:"PATH" help:"A program, a script, the folder of one with all in it, or a .tar.gz or .zip of either." type:"path"`
	taking
}

// Run adds a plugin.
func (c *pluginAddCmd) Run(app *app) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	return c.depot(app, func(place *depot.Depot) error {
		entry, err := place.Add(context.Background(), c.From, options)
		if err != nil {
			return err
		}
		return c.told(app, "added", place, entry)
	})
}

type pluginUpgradeCmd struct {
	Name string `arg:"" name:"NAME" help:"Of the plugin."`
	From string `arg:"" name:"PATH" help:"A program, a script, the folder of one with all in it, or a .tar.gz or .zip of either." type:"path"`
	taking
}

// Run upgrades a plugin.
func (c *pluginUpgradeCmd) Run(app *app) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	return c.depot(app, func(place *depot.Depot) error {
		entry, err := place.Upgrade(context.Background(), c.Name, c.From, options)
		if err != nil {
			return err
		}
		return c.told(app, "upgraded", place, entry)
	})
}

// told shows what became of a plugin, and what it may use.
func (t taking) told(app *app, what string, place *depot.Depot, entry depot.Entry) error {
	out := app.process.stdout
	switch {
	case app.cli.JSON:
		printJSON(out, entry)
		return nil
	case t.Platform != "" && t.Platform != lockfile.Platform():
		fmt.Fprintf(out, "recorded %s for %s in %s; the one installed here is as it was\n", entry.Name, t.Platform, place.Lock.Path())
		return nil
	}
	fmt.Fprintf(out, "%s %s %s: %s\n", what, entry.Name, entry.Version, entry.Path)
	fmt.Fprintf(out, "  SHA-256 %s, %s, in %s\n", entry.SHA256, signature(entry), place.Lock.Path())
	fmt.Fprintf(out, "  it may use: %s\n", uses(entry))
	if len(entry.Copied) > 0 {
		fmt.Fprintf(out, "  its folder has: %s\n", strings.Join(entry.Copied, ", "))
	}
	return nil
}

func signature(entry depot.Entry) string {
	if entry.Remote != nil {
		return "key SHA-256 " + entry.Remote.Pin[:16] + "…"
	}
	if entry.Signed == "" {
		return "unsigned"
	}
	return "signed by " + entry.Signed
}

// uses are the grants of a plugin, as its description says them.
func uses(entry depot.Entry) string {
	if entry.Remote != nil {
		return "on another machine, " + entry.Remote.Address
	}
	if entry.State == depot.Unlocked {
		return "what it may use is not known"
	}
	var list []string
	for _, target := range entry.Egress {
		list = append(list, "connect "+target)
	}
	for _, path := range entry.Paths {
		if !strings.HasPrefix(path, "write ") && !strings.HasPrefix(path, "run ") {
			path = "read " + path
		}
		list = append(list, path)
	}
	if len(list) == 0 {
		return "no network and no files"
	}
	return strings.Join(list, ", ")
}

type pluginListCmd struct{ locked }

// Run lists plugins.
func (c *pluginListCmd) Run(app *app) error {
	return c.depot(app, func(place *depot.Depot) error {
		list, err := place.List()
		if err != nil {
			return err
		}
		if app.cli.JSON {
			printJSON(app.process.stdout, list)
			return nil
		}
		if len(list) == 0 {
			fmt.Fprintf(app.process.stdout, "no plugins in %s; rekey plugin add installs one\n", place.Dir)
		}
		writer := tabwriter.NewWriter(app.process.stdout, 0, 4, 2, ' ', 0)
		for _, entry := range list {
			fmt.Fprintf(writer, "%s\t%s\t%s\t%s\t%s\n", entry.Name, entry.Version, entry.State, signature(entry), uses(entry))
		}
		return writer.Flush()
	})
}

type pluginVerifyCmd struct{ locked }

// Run verifies plugins.
func (c *pluginVerifyCmd) Run(app *app) error {
	wrong := 0
	err := c.depot(app, func(place *depot.Depot) error {
		list, err := place.List()
		if err == nil && !place.Lock.Exists() {
			err = fmt.Errorf("there is no lock file %s; rekey plugin add makes one", place.Lock.Path())
		}
		if err != nil {
			return err
		}
		for _, entry := range list {
			if entry.State != depot.Locked {
				wrong++
				fmt.Fprintf(app.process.stderr, "rekey: plugin %s: %s: %s\n", entry.Name, entry.State, entry.Problem)
			}
		}
		if app.cli.JSON {
			printJSON(app.process.stdout, list)
		} else if wrong == 0 {
			fmt.Fprintf(app.process.stdout, "%s as locked in %s\n", counted(int64(len(list)), "plugin"), place.Lock.Path())
		}
		return nil
	})
	if err == nil && wrong > 0 {
		return errExit(host.ExitUsage)
	}
	return err
}

type pluginRemoveCmd struct {
	Name string `arg:"" name:"NAME" help:"Of the plugin."`
	locked
}

// Run removes a plugin.
func (c *pluginRemoveCmd) Run(app *app) error {
	return c.depot(app, func(place *depot.Depot) error {
		if err := place.Remove(c.Name); err != nil {
			return err
		}
		fmt.Fprintf(app.process.stderr, "rekey: removed the plugin %s\n", c.Name)
		return nil
	})
}

type pluginSignCmd struct {
	Program string   `arg:"" name:"PROGRAM" help:"The program rekey-backend-NAME for this system." type:"path"`
	KeyFile string   `required:"" help:"A file with the signing key; a new one is made where it does not exist." type:"path" placeholder:"FILE"`
	Other   []string `help:"The same plugin for another system; may be repeated." placeholder:"OS/ARCH=PROGRAM"`
}

// Run signs a plugin.
func (c *pluginSignCmd) Run(app *app) error {
	signed, err := depot.Sign(c.Program, c.KeyFile, c.Other)
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	fmt.Fprintf(app.process.stderr, "rekey: wrote %s; who gets it verifies it by rekey plugin add --key:\n", signed.Path)
	fmt.Fprintln(app.process.stdout, signed.Key)
	return nil
}
