package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/plugins/kept"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
)

type docsCmd struct {
	Name     string `arg:"" optional:"" help:"A name of the language, as csv or step.set; types explains those that scripts may write."`
	Markdown bool   `help:"Print the whole reference as one page of Markdown." xor:"form"`
	Stubs    bool   `help:"Print stubs of Python with types, for editors: rekey docs --stubs > rekey.pyi." xor:"form"`
}

// Run explains the language.
func (c *docsCmd) Run(app *app) error {
	table := lang.New()
	switch {
	case c.Markdown || c.Stubs:
		return c.whole(app, table)
	case c.Name == typesPage:
		return showTypes(app)
	}
	var found []lang.Doc
	for _, doc := range append(lang.Docs(table), lang.Statements()...) {
		if c.Name == "" || doc.Name == c.Name || strings.HasPrefix(doc.Name, c.Name+".") {
			found = append(found, doc)
		}
	}
	if len(found) == 0 {
		err := &host.UsageError{Message: fmt.Sprintf("the language has no name %q", c.Name), Fix: "see rekey docs"}
		if near := lang.Near(table, c.Name); near != "" {
			err.Fix = fmt.Sprintf("did you mean %q?", near)
		}
		return err
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, found)
		return nil
	}
	if c.Name == "" {
		return listNames(app.process.stdout, found)
	}
	for _, doc := range found {
		explainName(app.process.stdout, doc)
	}
	return nil
}

// whole prints all names in a form for other programs.
func (c *docsCmd) whole(app *app, table *lang.Table) error {
	if c.Name != "" || app.cli.JSON {
		return &host.UsageError{Message: "--markdown and --stubs are of all names, in forms of their own", Fix: "leave out the name and --json"}
	}
	text := lang.Markdown(table)
	if c.Stubs {
		text = lang.Stubs(table)
	}
	_, err := io.WriteString(app.process.stdout, text)
	return err
}

// typesPage is the name under which rekey docs explains types.
const typesPage = "types"

// showTypes explains the types that scripts may write.
func showTypes(app *app) error {
	if app.cli.JSON {
		printJSON(app.process.stdout, lang.TypeNames())
		return nil
	}
	_, err := io.WriteString(app.process.stdout, lang.TypesPage())
	return err
}

func listNames(screen *screen, all []lang.Doc) error {
	where := ""
	writer := tabwriter.NewWriter(screen, 0, 4, 2, ' ', 0)
	for _, doc := range all {
		if doc.Where != where {
			where = doc.Where
			fmt.Fprintf(writer, "\n%s\n", where)
		}
		first, _, _ := strings.Cut(doc.Doc, ". ")
		fmt.Fprintf(writer, "  %s\t%s\n", doc.Name, strings.TrimSuffix(first, "."))
	}
	return writer.Flush()
}

func explainName(screen *screen, doc lang.Doc) {
	fmt.Fprintf(screen, "%s\n    in: %s\n    %s\n", doc.Signature, doc.Where, doc.Doc)
	for _, paramDoc := range doc.Params {
		def := ""
		if paramDoc.Default == "" {
			def = " (required)"
		}
		fmt.Fprintf(screen, "    %-14s %s%s\n", paramDoc.Name, paramDoc.Doc, def)
	}
	if doc.Later != "" {
		fmt.Fprintf(screen, "    comes later: %s\n", doc.Later)
	}
	if doc.Example != "" {
		fmt.Fprintf(screen, "    example:\n        %s\n", strings.ReplaceAll(strings.TrimSpace(doc.Example), "\n", "\n        "))
	}
	fmt.Fprintln(screen)
}

type backendsCmd struct {
	Words []string `arg:"" optional:"" name:"NAME" predictor:"backend" help:"Of one backend, to explain it, and of its definition; with --check parameters of the script, NAME=VALUE."`
	Check string   `help:"Ask each backend of this script whether a run could do its work with it; nothing is changed." predictor:"script" placeholder:"SCRIPT"`
}

// backendLine is what rekey backends --json prints of each.
type backendLine struct {
	Name        string        `json:"name"`
	Version     string        `json:"version,omitempty"`
	Summary     string        `json:"summary,omitempty"`
	Doc         string        `json:"doc,omitempty"`
	Config      []backendArg  `json:"config,omitempty"`
	Options     []backendArg  `json:"options,omitempty"`
	Kinds       []sdk.Kind    `json:"kinds,omitempty"`
	HashFormats []string      `json:"hash_formats,omitempty"`
	Verbs       []sdk.Verb    `json:"verbs,omitempty"`
	ReplaySafe  []sdk.Verb    `json:"replay_safe,omitempty"`
	Abilities   []sdk.Ability `json:"abilities,omitempty"`
	Concurrency int           `json:"concurrency,omitempty"`
	PerSecond   float64       `json:"per_second,omitempty"`
	Egress      []string      `json:"egress,omitempty"`
	Promises    *kept.Report  `json:"promises,omitempty"`
	Problem     string        `json:"problem,omitempty"`
}

type backendArg struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Required bool     `json:"required"`
	Default  any      `json:"default,omitempty"`
	Choices  []string `json:"choices,omitempty"`
	Doc      string   `json:"doc"`
}

// Run lists or explains backends.
func (c *backendsCmd) Run(app *app) error {
	opened, err := app.openWithoutRuns()
	if err != nil {
		return err
	}
	defer opened.Close()
	switch {
	case c.Check != "":
		return c.check(app, opened)
	case len(c.Words) == 0:
		return listBackends(app, opened)
	case len(c.Words) > 2:
		return unexpected(c.Words[2])
	}
	description, err := opened.Backend(context.Background(), c.Words[0], "")
	if err == nil && len(c.Words) > 1 {
		if !slices.ContainsFunc(description.Config, func(field sdk.Field) bool { return field.Name == define.Setting }) {
			return unexpected(c.Words[1])
		}
		description, err = opened.Backend(context.Background(), c.Words[0], c.Words[1])
	}
	if err != nil {
		return err
	}
	return c.explain(app, description)
}

// explain shows a backend, and what is known of its promises: not of one by the
// definition that is given.
func (c *backendsCmd) explain(app *app, description sdk.Description) error {
	report, err := promisesOf(description.Name)
	if err != nil {
		return err
	}
	if len(c.Words) > 1 {
		report = nil
	}
	if app.cli.JSON {
		line := lineOf(description)
		line.Promises = report
		printJSON(app.process.stdout, line)
		return nil
	}
	explainBackend(app.process.stdout, description)
	explainPromises(app.process.stdout, report)
	return nil
}

// looked is what rekey backends --check --json prints.
type looked struct {
	Script   string                `json:"script"`
	Findings []host.BackendFinding `json:"findings"`
	ExitCode int                   `json:"exit_code"`
}

// check looks at the backends of a script, a line a finding.
func (c *backendsCmd) check(app *app, opened *host.Host) error {
	_, stop := app.signals()
	found, err := opened.CheckBackends(stop, host.Script{Path: c.Check, Params: c.Words})
	if err != nil {
		return err
	}
	result := looked{Script: c.Check, Findings: found}
	if slices.ContainsFunc(found, func(finding host.BackendFinding) bool { return finding.Severity == sdk.Bad.String() }) {
		result.ExitCode = host.ExitUsage
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, result)
	} else {
		for _, finding := range found {
			showFinding(app.process.stdout, finding)
		}
	}
	if result.ExitCode != 0 {
		return errExit(result.ExitCode)
	}
	return nil
}

func showFinding(screen *screen, finding host.BackendFinding) {
	text := diag.Problem{Message: finding.Message, Fix: finding.Fix}.Text()
	if finding.Backend != "" {
		text = finding.Backend + ": " + text
	}
	fmt.Fprintf(screen, "%-8s %s\n", finding.Severity, text)
}

func unexpected(word string) error {
	return &host.UsageError{Message: fmt.Sprintf("unexpected argument %s", word), Fix: "name one backend, and its definition if it takes one, or give --check SCRIPT"}
}

func listBackends(a *app, opened *host.Host) error {
	list := []backendLine{}
	for _, name := range opened.Backends() {
		description, err := opened.Backend(context.Background(), name, "")
		line := lineOf(description)
		if err != nil {
			line = backendLine{Name: name, Problem: err.Error()}
		}
		list = append(list, line)
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, list)
		return nil
	}
	writer := tabwriter.NewWriter(a.process.stdout, 0, 4, 2, ' ', 0)
	for _, backendLine := range list {
		text := backendLine.Summary
		if backendLine.Problem != "" {
			text = "cannot be used: " + backendLine.Problem
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\n", backendLine.Name, backendLine.Version, text)
	}
	return writer.Flush()
}

func lineOf(description sdk.Description) backendLine {
	return backendLine{Name: description.Name, Version: description.Version, Summary: description.Summary, Doc: description.Doc, Config: fieldsOf(description.Config), Options: fieldsOf(description.Options),
		Kinds: description.Kinds, HashFormats: description.HashFormats, Verbs: description.Verbs, ReplaySafe: description.ReplaySafe, Abilities: description.Abilities,
		Concurrency: description.Limits.Concurrency, PerSecond: description.Limits.PerSecond, Egress: description.Egress}
}

func fieldsOf(fields []sdk.Field) []backendArg {
	var out []backendArg
	for _, field := range fields {
		out = append(out, backendArg{field.Name, string(field.Type), field.Required, field.Default, field.Choices, field.Doc})
	}
	return out
}

func explainBackend(screen *screen, description sdk.Description) {
	fmt.Fprintf(screen, "%s %s: %s\n", description.Name, description.Version, description.Summary)
	if doc := strings.TrimSpace(description.Doc); doc != "" {
		fmt.Fprintf(screen, "\n%s\n", doc)
	}
	explainFields(screen, "settings", description.Config)
	explainFields(screen, "options of a step", description.Options)
	if len(description.Kinds) > 0 {
		fmt.Fprintln(screen, "\nkinds of credentials")
		for _, kind := range description.Kinds {
			fmt.Fprintf(screen, "  %-20s %s\n", kind.Name, kind.Doc)
		}
	}
	fmt.Fprintln(screen)
	explainList(screen, "steps", texts(description.Verbs))
	explainList(screen, "abilities", texts(description.Abilities))
	explainList(screen, "hash formats", description.HashFormats)
	explainList(screen, "safe to repeat", texts(description.ReplaySafe))
	if description.Limits.Concurrency > 0 {
		fmt.Fprintf(screen, "%-16s %d\n", "concurrency", description.Limits.Concurrency)
	}
	explainList(screen, "connects to", description.Egress)
	explainList(screen, "opens", description.Paths)
}

func explainFields(screen *screen, title string, fields []sdk.Field) {
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(screen, "\n%s\n", title)
	for _, field := range fields {
		kind := string(field.Type)
		if len(field.Choices) > 0 {
			kind = strings.Join(field.Choices, "|")
		}
		switch {
		case field.Required:
			kind += ", required"
		case field.Default != nil && field.Default != "":
			kind += fmt.Sprintf(", default %v", field.Default)
		}
		fmt.Fprintf(screen, "  %-20s %s (%s)\n", field.Name, field.Doc, kind)
	}
}

func explainList(screen *screen, title string, values []string) {
	if len(values) > 0 {
		fmt.Fprintf(screen, "%-16s %s\n", title, strings.Join(values, ", "))
	}
}

// texts are the values of a named string type.
func texts[T ~string](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

type keygenCmd struct {
	Out string `help:"Where to; - is standard output; without it REKEY_AGE_IDENTITY, else the identity of the state directory." type:"path" placeholder:"FILE"`
}

// Run makes an identity.
func (c *keygenCmd) Run(app *app) error {
	if c.Out == "-" {
		return printIdentity(app)
	}
	own, err := app.config()
	if err == nil || errors.Is(err, errHomeless) {
		own, err = own.Expanded()
	}
	if err != nil {
		return err
	}
	path, err := c.path(own)
	if err != nil {
		return err
	}
	recipient, err := ledger.CreateIdentity(path)
	if errors.Is(err, fs.ErrExist) {
		return &host.UsageError{Message: path + " is there already: it may be the only key to runs", Fix: "give --out another FILE"}
	}
	if dir := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) {
		return &host.UsageError{Message: fmt.Sprintf("%s: there is no directory %s", path, dir), Fix: "make it, mkdir -m 700 -p " + dir + ", or give --out another FILE"}
	}
	if err != nil {
		return &host.UsageError{Message: err.Error()}
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, map[string]string{"identity": path, "recipient": recipient})
		return nil
	}
	fmt.Fprintf(app.process.stderr, "rekey: wrote %s; keep a copy in a safe place\n", path)
	fmt.Fprintln(app.process.stdout, recipient)
	return nil
}

// path is where the identity goes. That of a state directory whose runs are
// sealed to another does not count.
func (c *keygenCmd) path(own host.Config) (string, error) {
	if c.Out != "" {
		return c.Out, own.MayMakeIdentity(c.Out)
	}
	if own.IdentityPath != "" {
		return own.IdentityPath, nil
	}
	if own.StateDir == "" {
		return "", &host.UsageError{Message: errHomeless.Message, Fix: "give --out FILE"}
	}
	if err := os.MkdirAll(own.StateDir, 0o700); err != nil {
		return "", err
	}
	path := host.IdentityIn(own.StateDir)
	used, err := ledger.HasRuns(own.StateDir)
	if _, gone := os.Lstat(path); used && errors.Is(gone, fs.ErrNotExist) {
		return "", &host.UsageError{Message: "there is no " + path + ", to which the runs here are sealed, and another opens none of them",
			Fix: "put its copy back, or give --out FILE"}
	}
	return path, err
}

// printIdentity prints a new identity to standard output, as age-keygen does,
// and its recipient to standard error.
func printIdentity(a *app) error {
	if a.cli.JSON {
		return &host.UsageError{Message: "--json and --out - both want standard output", Fix: "give one of them"}
	}
	text, recipient, err := ledger.GenerateIdentity(time.Now())
	if err != nil {
		return err
	}
	if _, err := a.process.stdout.Write(text); err != nil {
		return err
	}
	fmt.Fprintf(a.process.stderr, "rekey: its recipient is %s\n", recipient)
	return nil
}
