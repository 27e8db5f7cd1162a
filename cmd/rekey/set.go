package main

import (
	"context"
	"io"
	"strings"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/sdk/secret"
)

// setCmd is one account, for callers who want a function.
type setCmd struct {
	Script       string   `arg:"" predictor:"script" help:"The workflow script, or @rekey/NAME.star for one that ships with rekey."`
	Key          string   `arg:"" name:"KEY" help:"The user's key in the script's list."`
	Params       []string `arg:"" optional:"" name:"NAME=VALUE" help:"Parameters of the script."`
	ValueStdin   bool     `help:"Read the new password from standard input, one line, instead of generating one."`
	Reveal       bool     `help:"Print the new passwords too; an audited act."`
	New          bool     `help:"Start anew although an unfinished run for the same user exists."`
	Recipient    []string `help:"Also seal the values to this age recipient; may be repeated." placeholder:"AGE"`
	SourceSystem string   `help:"The system that asked, for the audit trail." placeholder:"ID"`
	acting
}

// Help is the longer help of the command.
func (setCmd) Help() string {
	return `Treats one user of a script as a run does: planned, sealed, recorded, verified, resumed after anything. The script's
reports are not written, for they are lists of all. What the user came to is one line of JSON on standard output, as
"rekey report RUN --format jsonl" prints it; the exit status is that of a run. Nothing is asked.`
}

// Run plans and applies for one user, and prints what it came to.
func (c *setCmd) Run(app *app) error {
	script := host.Script{Path: c.Script, Params: c.Params, User: c.Key}
	if c.Key == "" {
		return &host.UsageError{Message: "the key is empty", Fix: "name the user"}
	}
	if c.ValueStdin {
		value, err := c.value(app.process.stdin)
		if err != nil {
			return err
		}
		script.Value = value
	}
	app.cli.JSON = false // the line is JSON, and the only one
	act := c.act()
	return withHost(app, c.Recipient, func(ctx, stop context.Context, opened *host.Host) (host.Outcome, error) {
		out, err := set(ctx, stop, opened, script, host.RunOptions{Yes: true, New: c.New, Requestor: act.Requestor, SourceSystem: c.SourceSystem})
		if err != nil {
			return out, err
		}
		_, err = opened.Report(ctx, out.Run, host.ReportOptions{Format: "jsonl", Reveal: c.Reveal, Act: act, Stdout: app.process.stdout})
		return out, err
	})
}

// set is a whole run for one user.
func set(ctx, stop context.Context, opened *host.Host, script host.Script, options host.RunOptions) (host.Outcome, error) {
	session, err := opened.Begin(stop, script, options)
	if err != nil {
		return host.Outcome{}, err
	}
	defer session.Close()
	return session.Apply(ctx, stop)
}

// value reads the new password: one line and no other.
func (c *setCmd) value(from io.Reader) (secret.Value, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxValue+1))
	line, _ := strings.CutSuffix(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if err != nil || line == "" || len(text) > maxValue || strings.ContainsAny(line, "\r\n") {
		return secret.Value{}, &host.UsageError{Message: "standard input is not one line with a password", Fix: "write the password and nothing else to it"}
	}
	return secret.New(line), nil
}
