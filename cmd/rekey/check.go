package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/workflow"
)

type checkCmd struct {
	Words []string `arg:"" optional:"" name:"SCRIPT" predictor:"script" help:"Scripts, libraries, directories of them, or @rekey/NAME.star for one that ships with rekey; without any, those of this directory and below. NAME=VALUE gives a parameter; stand-ins are used for the others."`
	Sarif bool     `help:"Print the findings as SARIF 2.1.0 to standard output."`
}

// Help is the longer help of the command.
func (checkCmd) Help() string {
	return `All findings of all files are told at once, each with its line and the fix. A file that does not call workflow() is a
library. Warnings are of scripts that can be run. The exit status is 2 if there is a finding that is no warning.`
}

// checked is what rekey check --json prints: of one script that is sound what it is, of
// several or of findings all of them.
type checked struct {
	sounder
	Scripts  []sounder     `json:"scripts,omitempty"`
	Errors   []failureLine `json:"errors,omitempty"`
	Warnings []failureLine `json:"warnings"`
	ExitCode int           `json:"exit_code"`
}

// sounder is one script or library that is sound.
type sounder struct {
	Script   string       `json:"script,omitempty"`
	Library  bool         `json:"library,omitempty"`
	Doc      *string      `json:"doc,omitempty"`
	Params   []checkedArg `json:"params,omitzero"`
	Backends []string     `json:"backends,omitzero"`
}

type checkedArg struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Default  *string  `json:"default"`
	Choices  []string `json:"choices,omitempty"`
	Help     string   `json:"help"`
	Required bool     `json:"required"`
}

// Run checks.
func (c *checkCmd) Run(app *app) error {
	if c.Sarif && app.cli.JSON {
		return &host.UsageError{Message: "--json and --sarif both want standard output", Fix: "give one of them"}
	}
	names, params := divided(c.Words)
	paths, err := scriptsIn(names)
	if err != nil {
		return err
	}
	opened, err := app.openWithoutRuns()
	if err != nil {
		return err
	}
	defer opened.Close()
	look := &examination{}
	for _, path := range paths {
		found, err := opened.Check(context.Background(), host.Script{Path: path, Params: params})
		if err != nil {
			return err
		}
		look.add(path, found)
	}
	return look.tell(app, c.Sarif)
}

// divided tells the names of files from parameters, which are NAME=VALUE and no
// file of that name.
func divided(words []string) (names, params []string) {
	for _, word := range words {
		name, _, is := strings.Cut(word, "=")
		_, missing := os.Stat(word)
		if is && missing != nil && name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_") == "" {
			params = append(params, word)
			continue
		}
		names = append(names, word)
	}
	return names, params
}

// scriptsIn are the files that are named, those of directories among them.
func scriptsIn(names []string) ([]string, error) {
	if len(names) == 0 {
		names = []string{"."}
	}
	var paths []string
	for _, name := range names {
		expanded, err := host.ExpandHome(name, home())
		if err != nil {
			expanded = name
		}
		info, err := os.Stat(expanded)
		if err != nil || !info.IsDir() {
			paths = append(paths, name)
			continue
		}
		below, err := scriptsBelow(expanded)
		if err != nil {
			return nil, err
		}
		paths = append(paths, below...)
	}
	return slices.Compact(paths), nil
}

// scriptsBelow are the scripts of a directory and of those in it, hidden ones left
// out.
func scriptsBelow(dir string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path != dir && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.Type().IsRegular() && strings.HasSuffix(path, ".star"):
			paths = append(paths, path)
		}
		return nil
	})
	if err == nil && len(paths) == 0 {
		return nil, &host.UsageError{Message: fmt.Sprintf("there is no script in %s", dir), Fix: "name one, or write NAME.star"}
	}
	return paths, err
}

// examination is what was found in all files.
type examination struct {
	all      []examined
	findings []workflow.Finding
}

type examined struct {
	path string
	*workflow.Checked
}

// add takes over what was found in a file, each finding once.
func (e *examination) add(path string, found *workflow.Checked) {
	e.all = append(e.all, examined{path, found})
	for _, finding := range found.Findings {
		same := func(other workflow.Finding) bool {
			return other.Place() == finding.Place() && other.Message == finding.Message && finding.File != ""
		}
		if !slices.ContainsFunc(e.findings, same) {
			e.findings = append(e.findings, finding)
		}
	}
}

// tell says what was found.
func (e *examination) tell(app *app, inSarif bool) error {
	code := host.ExitDone
	if slices.ContainsFunc(e.findings, func(one workflow.Finding) bool { return !one.Warning }) {
		code = host.ExitUsage
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, e.object(code))
	}
	for _, finding := range e.findings {
		showFindingOf(app, finding)
	}
	if inSarif {
		printJSON(app.process.stdout, sarifOf(e.findings))
	}
	if !app.cli.JSON && !inSarif {
		if err := e.show(app.process.stdout); err != nil {
			return err
		}
	}
	if code != host.ExitDone {
		return errExit(code)
	}
	return nil
}

// show lists what is sound, of one script with its parameters.
func (e *examination) show(screen *screen) error {
	for _, one := range e.all {
		switch {
		case !one.Sound():
		case one.Library:
			fmt.Fprintf(screen, "%s is sound; it is a library: it does not call workflow()\n", one.path)
		default:
			fmt.Fprintf(screen, "%s is sound\n", one.Flow.Name)
		}
	}
	if len(e.all) == 1 && e.all[0].Flow != nil {
		return showParams(screen, e.all[0].Flow.Params)
	}
	return nil
}

// showFindingOf tells a finding, with its line and a mark under its place.
func showFindingOf(app *app, finding workflow.Finding) {
	stderr := app.process.stderr
	if finding.Warning {
		fmt.Fprintf(stderr, "rekey: warning: %s\n", finding)
	} else {
		stderr.complain(finding.String())
	}
	if finding.Source == "" || app.cli.LogFormat == "json" {
		return
	}
	number := fmt.Sprintf("%6d", finding.Line)
	text := strings.ReplaceAll(finding.Source, "\t", " ")
	fmt.Fprintf(stderr, "%s | %s\n", number, text)
	if at := finding.Column - 1; at >= 0 && at <= len(text) {
		fmt.Fprintf(stderr, "%s | %s^\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", utf8.RuneCountInString(text[:at])))
	}
}

// object is what --json prints.
func (e *examination) object(code int) checked {
	out := checked{Warnings: []failureLine{}, ExitCode: code}
	for _, finding := range e.findings {
		if finding.Warning {
			out.Warnings = append(out.Warnings, failureOf(finding.Problem))
		} else {
			out.Errors = append(out.Errors, failureOf(finding.Problem))
		}
	}
	for _, one := range e.all {
		if one.Sound() {
			out.Scripts = append(out.Scripts, soundOf(one))
		}
	}
	if len(e.all) == 1 && len(out.Scripts) == 1 {
		out.sounder, out.Scripts = out.Scripts[0], nil
	}
	return out
}

// soundOf is what a sound script is, as JSON.
func soundOf(one examined) sounder {
	out := sounder{Script: one.path, Library: one.Library}
	if one.Flow == nil {
		return out
	}
	out.Script, out.Doc, out.Params, out.Backends = one.Flow.Name, &one.Flow.Doc, []checkedArg{}, []string{}
	for _, param := range one.Flow.Params {
		out.Params = append(out.Params, checkedArg{param.Name, param.Type, param.Default, param.Choices, param.Help, param.Default == nil})
	}
	for _, backendSpec := range one.Flow.Backends {
		out.Backends = append(out.Backends, backendSpec.Label)
	}
	return out
}

func showParams(screen *screen, params []workflow.Param) error {
	if len(params) == 0 {
		return nil
	}
	fmt.Fprintln(screen, "\nparameters, given as NAME=VALUE:")
	writer := tabwriter.NewWriter(screen, 0, 4, 2, ' ', 0)
	for _, param := range params {
		def := "required"
		if param.Default != nil {
			def = "default " + *param.Default
			if param.Type == "string" || param.Type == "path" {
				def = fmt.Sprintf("default %q", *param.Default)
			}
		}
		kind := param.Type
		if len(param.Choices) > 0 {
			kind = strings.Join(param.Choices, "|")
		}
		fmt.Fprintf(writer, "  %s\t%s\t%s\t%s\n", param.Name, kind, def, param.Help)
	}
	return writer.Flush()
}
