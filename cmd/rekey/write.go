package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

type checkCmd struct {
	Script string   `arg:"" predictor:"script" help:"The workflow script, or @rekey/NAME.star for one that ships with rekey."`
	Params []string `arg:"" optional:"" name:"NAME=VALUE" help:"Parameters of the script; stand-ins are used for the others."`
}

// checked is what rekey check --json prints for a sound script.
type checked struct {
	Script   string        `json:"script"`
	Doc      string        `json:"doc"`
	Params   []checkedArg  `json:"params"`
	Backends []string      `json:"backends"`
	Warnings []failureLine `json:"warnings"`
	ExitCode int           `json:"exit_code"`
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
func (c *checkCmd) Run(a *app) error {
	h, err := a.openWithoutRuns()
	if err != nil {
		return err
	}
	defer h.Close()
	w, err := h.Check(context.Background(), host.Script{Path: c.Script, Params: c.Params})
	if err != nil {
		return err
	}
	defer w.Close()
	if a.cli.JSON {
		printJSON(a.process.stdout, sound(w))
		return nil
	}
	for _, p := range w.Warnings {
		fmt.Fprintf(a.process.stderr, "rekey: warning: %s\n", p)
	}
	fmt.Fprintf(a.process.stdout, "%s is sound\n", w.Name)
	return showParams(a.process.stdout, w.Params)
}

func sound(w *workflow.Workflow) checked {
	out := checked{Script: w.Name, Doc: w.Doc, Params: []checkedArg{}, Backends: []string{}, Warnings: []failureLine{}}
	for _, p := range w.Params {
		out.Params = append(out.Params, checkedArg{p.Name, p.Type, p.Default, p.Choices, p.Help, p.Default == nil})
	}
	for _, b := range w.Backends {
		out.Backends = append(out.Backends, b.Label)
	}
	for _, x := range w.Warnings {
		out.Warnings = append(out.Warnings, failureOf(x))
	}
	return out
}

func showParams(w *screen, params []workflow.Param) error {
	if len(params) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nparameters, given as NAME=VALUE:")
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, p := range params {
		def := "required"
		if p.Default != nil {
			def = "default " + *p.Default
			if p.Type == "string" || p.Type == "path" {
				def = fmt.Sprintf("default %q", *p.Default)
			}
		}
		kind := p.Type
		if len(p.Choices) > 0 {
			kind = strings.Join(p.Choices, "|")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", p.Name, kind, def, p.Help)
	}
	return t.Flush()
}

type docsCmd struct {
	Name string `arg:"" optional:"" help:"A name of the language, as csv or step.set."`
}

// Run explains the language.
func (c *docsCmd) Run(a *app) error {
	table := lang.New()
	var found []lang.Doc
	for _, e := range append(lang.Docs(table), lang.Statements()...) {
		if c.Name == "" || e.Name == c.Name || strings.HasPrefix(e.Name, c.Name+".") {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		err := &host.UsageError{Message: fmt.Sprintf("the language has no name %q", c.Name), Fix: "see rekey docs"}
		if near := lang.Near(table, c.Name); near != "" {
			err.Fix = fmt.Sprintf("did you mean %q?", near)
		}
		return err
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, found)
		return nil
	}
	if c.Name == "" {
		return listNames(a.process.stdout, found)
	}
	for _, e := range found {
		explainName(a.process.stdout, e)
	}
	return nil
}

func listNames(w *screen, all []lang.Doc) error {
	where := ""
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, e := range all {
		if e.Where != where {
			where = e.Where
			fmt.Fprintf(t, "\n%s\n", where)
		}
		first, _, _ := strings.Cut(e.Doc, ". ")
		fmt.Fprintf(t, "  %s\t%s\n", e.Name, strings.TrimSuffix(first, "."))
	}
	return t.Flush()
}

func explainName(w *screen, e lang.Doc) {
	fmt.Fprintf(w, "%s\n    in: %s\n    %s\n", e.Signature, e.Where, e.Doc)
	for _, p := range e.Params {
		def := ""
		if p.Default == "" {
			def = " (required)"
		}
		fmt.Fprintf(w, "    %-14s %s%s\n", p.Name, p.Doc, def)
	}
	if e.Later != "" {
		fmt.Fprintf(w, "    comes later: %s\n", e.Later)
	}
	if e.Example != "" {
		fmt.Fprintf(w, "    example:\n        %s\n", strings.ReplaceAll(strings.TrimSpace(e.Example), "\n", "\n        "))
	}
	fmt.Fprintln(w)
}

type backendsCmd struct {
	Name string `arg:"" optional:"" predictor:"backend" help:"Of one backend, to explain it."`
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
func (c *backendsCmd) Run(a *app) error {
	h, err := a.openWithoutRuns()
	if err != nil {
		return err
	}
	defer h.Close()
	if c.Name == "" {
		return a.listBackends(h)
	}
	d, err := h.Backend(context.Background(), c.Name)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, lineOf(d))
		return nil
	}
	explainBackend(a.process.stdout, d)
	return nil
}

func (a *app) listBackends(h *host.Host) error {
	list := []backendLine{}
	for _, name := range h.Backends() {
		d, err := h.Backend(context.Background(), name)
		line := lineOf(d)
		if err != nil {
			line = backendLine{Name: name, Problem: err.Error()}
		}
		list = append(list, line)
	}
	if a.cli.JSON {
		printJSON(a.process.stdout, list)
		return nil
	}
	t := tabwriter.NewWriter(a.process.stdout, 0, 4, 2, ' ', 0)
	for _, l := range list {
		text := l.Summary
		if l.Problem != "" {
			text = "cannot be used: " + l.Problem
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.Name, l.Version, text)
	}
	return t.Flush()
}

func lineOf(d sdk.Description) backendLine {
	return backendLine{Name: d.Name, Version: d.Version, Summary: d.Summary, Doc: d.Doc, Config: fieldsOf(d.Config), Options: fieldsOf(d.Options),
		Kinds: d.Kinds, HashFormats: d.HashFormats, Verbs: d.Verbs, ReplaySafe: d.ReplaySafe, Abilities: d.Abilities,
		Concurrency: d.Limits.Concurrency, PerSecond: d.Limits.PerSecond, Egress: d.Egress}
}

func fieldsOf(fields []sdk.Field) []backendArg {
	var out []backendArg
	for _, f := range fields {
		out = append(out, backendArg{f.Name, string(f.Type), f.Required, f.Default, f.Choices, f.Doc})
	}
	return out
}

func explainBackend(w *screen, d sdk.Description) {
	fmt.Fprintf(w, "%s %s: %s\n\n%s\n", d.Name, d.Version, d.Summary, strings.TrimSpace(d.Doc))
	explainFields(w, "settings", d.Config)
	explainFields(w, "options of a step", d.Options)
	if len(d.Kinds) > 0 {
		fmt.Fprintln(w, "\nkinds of credentials")
		for _, k := range d.Kinds {
			fmt.Fprintf(w, "  %-20s %s\n", k.Name, k.Doc)
		}
	}
	fmt.Fprintln(w)
	explainList(w, "steps", texts(d.Verbs))
	explainList(w, "abilities", texts(d.Abilities))
	explainList(w, "hash formats", d.HashFormats)
	explainList(w, "safe to repeat", texts(d.ReplaySafe))
	if d.Limits.Concurrency > 0 {
		fmt.Fprintf(w, "%-16s %d\n", "concurrency", d.Limits.Concurrency)
	}
	explainList(w, "connects to", d.Egress)
	explainList(w, "opens", d.Paths)
}

func explainFields(w *screen, title string, fields []sdk.Field) {
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, f := range fields {
		kind := string(f.Type)
		if len(f.Choices) > 0 {
			kind = strings.Join(f.Choices, "|")
		}
		switch {
		case f.Required:
			kind += ", required"
		case f.Default != nil:
			kind += fmt.Sprintf(", default %v", f.Default)
		}
		fmt.Fprintf(w, "  %-20s %s (%s)\n", f.Name, f.Doc, kind)
	}
}

func explainList(w *screen, title string, values []string) {
	if len(values) > 0 {
		fmt.Fprintf(w, "%-16s %s\n", title, strings.Join(values, ", "))
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
func (c *keygenCmd) Run(a *app) error {
	if c.Out == "-" {
		return a.printIdentity()
	}
	own, err := a.config()
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
	if a.cli.JSON {
		printJSON(a.process.stdout, map[string]string{"identity": path, "recipient": recipient})
		return nil
	}
	fmt.Fprintf(a.process.stderr, "rekey: wrote %s; keep a copy in a safe place\n", path)
	fmt.Fprintln(a.process.stdout, recipient)
	return nil
}

// path is where the identity goes. That of a state directory whose runs are
// sealed to another is no such place.
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
func (a *app) printIdentity() error {
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
