package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/scaffold"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/serve"
)

// process is what the command uses of the operating system.
type process struct {
	args           []string
	stdin          *os.File
	stdout, stderr *screen
	lookupEnv      func(string) (string, bool)
	bundled        map[string]sdk.Backend
}

// cli is the command line, as rekey --help reads it.
type cli struct {
	State     string   `help:"Directory of runs, keys and caches." env:"REKEY_STATE" type:"path" placeholder:"DIR"`
	JSON      bool     `help:"Print results as JSON to standard output, those of a run as one object." name:"json"`
	Sandbox   bool     `help:"Confine all plugins to the ports and paths that they declare (Linux), those in rekey itself too."`
	NoSandbox []string `help:"Do not confine this backend; may be repeated." placeholder:"NAME" predictor:"backend"`
	PluginLog string   `help:"Write what each plugin prints, without secrets, to a file of its own in this directory." type:"path" placeholder:"DIR"`
	LogFormat string   `help:"Format of what goes to standard error: ${enum}." enum:"text,json" default:"text"`
	Quiet     bool     `help:"Say nothing of a run that goes well: warnings and errors only." short:"q"`
	Versioned bool     `help:"Print the version." name:"version"`

	Run    runCmd    `cmd:"" group:"Rotate:" help:"Plan, confirm and apply a workflow script."`
	Plan   planCmd   `cmd:"" group:"Rotate:" help:"Freeze a run without changing anything; resume applies exactly that."`
	Resume resumeCmd `cmd:"" group:"Rotate:" help:"Go on with a run that was planned, stopped, held, killed or interrupted."`
	Retry  retryCmd  `cmd:"" group:"Rotate:" help:"Put failed and partial users of a run back, and apply them at once."`
	Set    setCmd    `cmd:"" group:"Rotate:" help:"Give one user of a script a new password, and print what came of it as JSON."`

	Approve approveCmd `cmd:"" group:"Rotate:" help:"Release the hold of a wave; resume goes on."`

	Runs   runsCmd   `cmd:"" group:"Look:" help:"List the runs of this state directory."`
	Show   showCmd   `cmd:"" group:"Look:" help:"Show a run, or some of its users."`
	Report reportCmd `cmd:"" group:"Look:" help:"Write a run's reports again, or its users in a format."`
	Reveal revealCmd `cmd:"" group:"Look:" help:"Show the sealed values of a run; an audited act."`

	Find findCmd `cmd:"" group:"Look:" help:"Show what all runs know of one account or user."`
	Log  logCmd  `cmd:"" group:"Look:" help:"Show who did what to a run, and when; without one, to all runs."`

	Cancel cancelCmd `cmd:"" group:"Keep:" help:"End a run before its users: whoever waits is skipped."`
	Settle settleCmd `cmd:"" group:"Keep:" help:"Say which value of an unknown user is in force, as you looked."`
	Prune  pruneCmd  `cmd:"" group:"Keep:" help:"Remove old runs whole, with their values."`
	Audit  auditCmd  `cmd:"" group:"Keep:" help:"Verify a run's hash log, prove a record, export a bundle."`
	Forget forgetCmd `cmd:"" group:"Keep:" help:"Destroy the key to a finished run's values."`
	Backup backupCmd `cmd:"" group:"Keep:" help:"Copy the state directory, also while runs go on."`
	Keygen keygenCmd `cmd:"" group:"Keep:" help:"Make an age identity that can open sealed values."`

	New        newCmd        `cmd:"" group:"Write:" help:"Write a new script with its tests."`
	Scripts    scriptsCmd    `cmd:"" group:"Write:" help:"List the scripts that ship with rekey, print or copy one."`
	Check      checkCmd      `cmd:"" aliases:"lint" group:"Write:" help:"Find the mistakes in scripts and libraries, without starting anything."`
	Fmt        fmtCmd        `cmd:"" group:"Write:" help:"Format scripts and libraries."`
	Test       testCmd       `cmd:"" group:"Write:" help:"Run the tests of scripts, without touching a system."`
	Explain    explainCmd    `cmd:"" group:"Write:" help:"Say what a script would do with one user, and why."`
	Docs       docsCmd       `cmd:"" group:"Write:" help:"Explain the names that scripts can use."`
	Backends   backendsCmd   `cmd:"" group:"Write:" help:"List the backends, or explain one."`
	Plugin     pluginCmd     `cmd:"" group:"Write:" help:"Write, develop, try, add, connect, list, verify, upgrade, remove, test or sign plugins of others."`
	Completion completionCmd `cmd:"" group:"Write:" help:"Print a completion script for bash, zsh or fish."`
	Version    versionCmd    `cmd:"" group:"Write:" help:"Print the version."`

	ServeBackend serveBackendCmd `cmd:"" hidden:"" help:"Be a plugin process; started by rekey itself."`
}

const description = `rekey changes the locks for two, two thousand or two million users.

A workflow script says which users get which passwords, in what order, and how to report it. Every password is
sealed in a ledger before it is sent: whatever is killed, it is the old one or one that "rekey reveal" knows.

  rekey run @rekey/quickstart.star --yes     2,000 made-up accounts in a minute
  rekey check mine.star                      is my script sound?
  rekey run mine.star users=users.csv        plan, confirm, apply
  rekey resume last                          go on after anything

Exit status: 0 done · 1 unexpected · 2 usage or script, nothing changed · 3 some users failed or partial ·
4 stopped early · 5 unknown outcomes remain · 6 held for approval · 7 applied, but a report could not be written ·
130 interrupted.

Environment: REKEY_STATE and REKEY_PLUGIN_DIR, directories · REKEY_AGE_IDENTITY, a file · REKEY_RECIPIENTS · REKEY_REATTACH, as rekey plugin dev prints it · REKEY_LOG, how much goes to
standard error of what rekey and its plugins do: error (the default), warn, info, debug or trace · NO_COLOR.`

// errExit ends a command with a code when everything has been said.
type errExit int

func (e errExit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// run parses the arguments, runs the command and returns the exit code.
func run(process process) int {
	defer process.stderr.flush()
	code, err := command(process)
	return process.whole(code, err)
}

func command(process process) (int, error) {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("rekey"), kong.Description(description),
		kong.Writers(process.stdout, process.stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.NamedMapper("path", paths(filepath.Abs)), kong.NamedMapper("home", paths(asItIs)),
		kong.Vars{"version": version(), "formats": strings.Join(host.ReportFormats(), ","),
			"langs": strings.Join(scaffold.Langs(), ","), "targets": strings.Join(scaffold.Targets(), ",")}, kong.UsageOnError())
	if err != nil {
		return explain(process, false, err), err
	}
	made := &app{cli: &c, process: process}
	completer{made}.complete(parser)
	if exited >= 0 {
		return exited, nil
	}
	ctx, err := parser.Parse(together(parser, asked(process.args)))
	if exited >= 0 {
		return exited, nil
	}
	if c.LogFormat == "json" || err != nil && wantsJSONLog(process.args) {
		process.stderr.inJSON()
	}
	if err != nil {
		return explain(process, wantsJSON(process.args), inWords(err)), err
	}
	if !strings.HasPrefix(ctx.Command(), serveBackend) {
		abnormalExit{made}.install()
		defer func() { abnormalExit{made}.caught(recover()) }()
	}
	err = ctx.Run(made)
	return explain(process, c.JSON, err), err
}

// serveBackend is the command of a plugin process, whose end its host explains.
const serveBackend = "serve-backend"

// paths reads a flag that names a file: "~/" is expanded as everywhere else,
// then comes further; "-" names nothing.
func paths(further func(string) (string, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var path string
		if err := ctx.Scan.PopValueInto("file", &path); err != nil {
			return err
		}
		path, err := host.ExpandHome(path, home())
		if err == nil && path != "" && path != "-" {
			path, err = further(path)
		}
		target.SetString(path)
		return err
	}
}

func asItIs(path string) (string, error) { return path, nil }

func wantsJSON(args []string) bool {
	for _, text := range args {
		if text == "--json" {
			return true
		}
	}
	return false
}

// explain says what went wrong and returns the exit code.
func explain(process process, asJSON bool, err error) int {
	var exit errExit
	switch {
	case err == nil:
		return host.ExitDone
	case errors.As(err, &exit):
		return int(exit)
	}
	code, problems := classify(err)
	if asJSON {
		printJSON(process.stdout, failure{Errors: problems, ExitCode: code})
	}
	for _, failureLine := range problems {
		for _, line := range strings.Split(failureLine.text, "\n") {
			process.stderr.complain(line)
		}
	}
	return code
}

// failure is what --json prints for exit codes 1 and 2.
type failure struct {
	Errors   []failureLine `json:"errors"`
	ExitCode int           `json:"exit_code"`
}

type failureLine struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Fix     string `json:"fix"`
	Rule    string `json:"rule,omitempty"` // of rekey check: which kind of finding it is
	text    string
}

func failureOf(problem diag.Problem) failureLine {
	return failureLine{problem.File, problem.Line, problem.Column, problem.Message, problem.Fix, problem.Rule, problem.String()}
}

// classify returns the exit code of an error and its lines.
func classify(err error) (int, []failureLine) {
	var problems *diag.Problems
	var usage *host.UsageError
	var unwritten *host.ReportError
	switch {
	case errors.As(err, &problems):
		var lines []failureLine
		for _, problem := range problems.List {
			lines = append(lines, failureOf(problem))
		}
		if more := problems.Total - len(problems.List); more > 0 {
			lines = append(lines, failureOf(diag.Problem{Message: fmt.Sprintf("and %d more", more)}))
		}
		return host.ExitUsage, lines
	case errors.As(err, &usage):
		return host.ExitUsage, []failureLine{failureOf(diag.Problem(*usage))}
	case errors.As(err, &unwritten):
		var lines []failureLine
		for _, text := range unwritten.Lines {
			lines = append(lines, failureOf(diag.Problem{Message: text}))
		}
		return host.ExitReport, lines
	case errors.Is(err, host.ErrInterrupted):
		return host.ExitInterrupted, []failureLine{failureOf(diag.Problem{Message: host.ErrInterrupted.Error()})}
	default:
		return host.ExitUnexpected, []failureLine{failureOf(diag.Problem{Message: err.Error()})}
	}
}

// serveBackendCmd turns the process into a plugin.
type serveBackendCmd struct {
	Name       string `arg:"" help:"Of a bundled backend."`
	Definition string `arg:"" optional:"" help:"The file that defines it."`
	Digest     string `arg:"" optional:"" help:"SHA-256 of that file."`
}

// Run serves until the host is gone.
func (c *serveBackendCmd) Run(app *app) error {
	backend, known := app.process.bundled[c.Name]
	if !known {
		return &host.UsageError{Message: fmt.Sprintf("no backend %q is bundled", c.Name)}
	}
	if defines, ok := backend.(define.Backend); ok {
		backend = define.Served(defines, c.Definition, c.Digest)
	}
	serve.Main(backend)
	return nil
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(app *app) error {
	if app.cli.JSON {
		printJSON(app.process.stdout, map[string]string{"version": version()})
		return nil
	}
	_, err := io.WriteString(app.process.stdout, "rekey "+version()+"\n")
	return err
}

// whole returns the exit code of a command, which is another if its results
// are not whole; said is the error told already.
func (p process) whole(code int, said error) int {
	p.stdout.mu.Lock()
	defer p.stdout.mu.Unlock()
	lost := p.stdout.err
	if lost == nil {
		return code
	}
	if said == nil || !errors.Is(said, lost) {
		var path *fs.PathError
		if errors.As(lost, &path) {
			lost = path.Err
		}
		fmt.Fprintf(p.stderr, "rekey: standard output: %s: the results are not whole\n", lost)
	}
	return host.ExitUnexpected
}
