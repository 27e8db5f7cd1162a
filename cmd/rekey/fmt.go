package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

type fmtCmd struct {
	Paths []string `arg:"" optional:"" name:"PATH" predictor:"script" help:"Scripts, libraries and directories of them; without any, those of this directory and below; - formats standard input to standard output."`
	Check bool     `help:"Change nothing: name the files that would change, and end with exit status 2 if there are any."`
}

// formatted is what rekey fmt --json prints.
type formatted struct {
	Changed  []string      `json:"changed"` // or, with --check, to be changed
	Errors   []failureLine `json:"errors"`
	ExitCode int           `json:"exit_code"`
}

// Run formats.
func (c *fmtCmd) Run(app *app) error {
	if len(c.Paths) == 1 && c.Paths[0] == "-" {
		return formatStdin(app)
	}
	paths, err := scriptsIn(c.Paths)
	if err != nil {
		return err
	}
	out := formatted{Changed: []string{}, Errors: []failureLine{}}
	for _, path := range paths {
		changed, problems := c.file(path)
		for _, problem := range problems {
			out.Errors = append(out.Errors, failureOf(problem))
		}
		if changed {
			out.Changed = append(out.Changed, path)
		}
	}
	if len(out.Errors) > 0 || c.Check && len(out.Changed) > 0 {
		out.ExitCode = host.ExitUsage
	}
	return c.tell(app, out)
}

// tell says what was formatted.
func (c *fmtCmd) tell(app *app, out formatted) error {
	for _, line := range out.Errors {
		app.process.stderr.complain(line.text)
	}
	if app.cli.JSON {
		printJSON(app.process.stdout, out)
	} else {
		for _, path := range out.Changed {
			fmt.Fprintln(app.process.stdout, path)
		}
	}
	if out.ExitCode != host.ExitDone {
		return errExit(out.ExitCode)
	}
	return nil
}

// file formats one file, and reports whether its form was another.
func (c *fmtCmd) file(path string) (changed bool, problems []diag.Problem) {
	if strings.HasPrefix(path, "@") {
		return false, []diag.Problem{{File: path, Message: "what ships with rekey is in rekey itself", Fix: "copy it to a file"}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return false, []diag.Problem{{File: path, Message: withoutPath(err)}}
	}
	made, problems := tree.Format(path, text)
	if problems != nil || bytes.Equal(made, text) {
		return false, problems
	}
	if !c.Check {
		if err := replace(path, made); err != nil {
			return false, []diag.Problem{{File: path, Message: "cannot be written: " + withoutPath(err)}}
		}
	}
	return true, nil
}

// replace gives a file another text, wholly or not at all, and keeps who may
// read it.
func replace(path string, text []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".rekey-fmt-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(info.Mode().Perm()), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// formatStdin formats what an editor sends.
func formatStdin(app *app) error {
	text, err := io.ReadAll(app.process.stdin)
	if err != nil {
		return err
	}
	made, problems := tree.Format("standard input", text)
	if problems != nil {
		return &diag.Problems{List: problems, Total: len(problems)}
	}
	_, err = app.process.stdout.Write(made)
	return err
}

// withoutPath is why a file cannot be reached, without its name.
func withoutPath(err error) string {
	var bad *os.PathError
	if errors.As(err, &bad) {
		return bad.Err.Error()
	}
	return err.Error()
}
