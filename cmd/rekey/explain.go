package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/password"
)

type explainCmd struct {
	Script string   `arg:"" predictor:"script" help:"The workflow script, or @rekey/NAME.star for one that ships with rekey."`
	Params []string `arg:"" optional:"" name:"NAME=VALUE" help:"Parameters of the script."`
	User   string   `required:"" help:"The user's key, as the source has it." placeholder:"KEY"`
}

// Help is the longer help of the command.
func (explainCmd) Help() string {
	return `Whether the script selects the user, by which line; the wave and the place in it; each step that rotate takes if all succeed, on
simulated steps; and the rules of each value, with whose they are. The backends are opened and nothing is changed or recorded.`
}

// Run explains one user.
func (c *explainCmd) Run(app *app) error {
	opened, err := app.openWithoutRuns()
	if err != nil {
		return err
	}
	defer opened.Close()
	_, stop := app.signals()
	made, err := opened.Explain(stop, host.Script{Path: c.Script, Params: c.Params}, c.User)
	if err != nil {
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, made)
		return nil
	}
	return tellExplanation(app.process.stdout, made)
}

// tellExplanation shows for people what a script does with a user.
func tellExplanation(out io.Writer, made host.Explanation) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s:%d, in %s\n", made.Key, made.File, made.Line, made.Script)
	selected := "yes"
	if !made.Selected {
		selected = "no: " + made.Reason
	}
	fmt.Fprintf(&text, "  selected  %s%s\n", selected, decided(made.Decided))
	if made.Selected {
		fmt.Fprintf(&text, "  wave      %s, place %s of %s there and %s of %s in all%s\n", made.Wave, thousands(made.Place), thousands(made.Of), thousands(made.Overall), thousands(made.Due), decided(made.WaveBy))
		tellSteps(&text, made)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func decided(by *host.Decision) string {
	if by == nil {
		return ""
	}
	return fmt.Sprintf("  (%s:%d: %s)", by.File, by.Line, by.Text)
}

func tellSteps(text *strings.Builder, made host.Explanation) {
	for _, step := range made.Steps {
		kind := ""
		if step.Kind != "" {
			kind = " (" + step.Kind + ")"
		}
		switch {
		case step.Verb != "generate":
			fmt.Fprintf(text, "  step %-3d  %s %s %s%s\n", step.Step, step.Verb, step.Backend, step.Account, kind)
		case step.Generator != "":
			fmt.Fprintf(text, "  step %-3d  generate%s by %s\n", step.Step, kind, step.Generator)
		default:
			fmt.Fprintf(text, "  step %-3d  generate%s %s\n", step.Step, kind, step.Shape)
			tellRules(text, step.Rules, step.Dropped)
		}
	}
	fmt.Fprintf(text, "  ends      %s, if each step succeeds", made.Ends)
	if made.Because != "" {
		fmt.Fprintf(text, ": %s", made.Because)
	}
	text.WriteString("\n")
}

func tellRules(text *strings.Builder, rules []password.RuleText, dropped []string) {
	for _, rule := range rules {
		fmt.Fprintf(text, "              %s %s\n", rule.Owner, rule.Rule)
	}
	for _, wish := range dropped {
		fmt.Fprintf(text, "              dropped: %s\n", wish)
	}
}
