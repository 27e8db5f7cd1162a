package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/posener/complete"
	"github.com/willabides/kongplete"

	"github.com/rekey-host/rekey/scripts"
)

// completionScripts make a shell ask rekey itself what may come next.
var completionScripts = map[string]string{
	"bash": "complete -C %q rekey\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -C %q rekey\n",
	"fish": "function __complete_rekey\n    set -lx COMP_LINE (commandline -cp)\n    test -z (commandline -ct)\n    and set COMP_LINE \"$COMP_LINE \"\n    %s\nend\ncomplete -f -c rekey -a \"(__complete_rekey)\"\n",
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the longer help of the command.
func (completionCmd) Help() string {
	return `For this shell: source <(rekey completion bash). For all to come: put that line into ~/.bashrc, or into the start
file of your shell.`
}

// Run prints the script.
func (c *completionCmd) Run(app *app) error {
	config, err := app.config()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(app.process.stdout, completionScripts[c.Shell], config.Self)
	return err
}

// completer tells a shell what may come next.
type completer struct{ *app }

// complete answers a shell that asks what may come next, and exits.
func (c completer) complete(parser *kong.Kong) {
	if c.env("COMP_LINE") == "" {
		return
	}
	kongplete.Complete(parser, kongplete.WithPredictors(map[string]complete.Predictor{
		"script":  complete.PredictOr(complete.PredictFiles("*.star"), complete.PredictSet(shipped()...)),
		"run":     complete.PredictFunc(c.predictRuns),
		"backend": complete.PredictFunc(c.predictBackends),
	}))
}

func (c completer) predictRuns(complete.Args) []string {
	names := []string{"last"}
	host, err := c.open()
	if err != nil {
		return names
	}
	defer host.Close()
	runs, _ := host.Runs()
	for _, runSummary := range runs {
		names = append(names, runSummary.Run)
	}
	return names
}

func (c completer) predictBackends(complete.Args) []string {
	host, err := c.openWithoutRuns()
	if err != nil {
		return nil
	}
	defer host.Close()
	return host.Backends()
}

// shipped lists the scripts that ship with rekey, without their tests.
func shipped() []string {
	names, err := fs.Glob(scripts.FS, "*.star")
	if err != nil {
		return nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.star") })
	for i, name := range names {
		names[i] = "@rekey/" + name
	}
	return names
}
