package workflow

import (
	"context"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk"
)

// inContext makes a whole script of an example, which may be the body of a
// rotate or one line of the top level.
func inContext(example string, e *lang.Entry) string {
	text := example
	if e.At == lang.InRotate && !strings.Contains(example, "def ") {
		text = "target = backend(\"memory\")\ndef rotate(user, step):\n    " + strings.ReplaceAll(example, "\n", "\n    ")
	}
	if strings.Contains(text, "workflow(") {
		return text
	}
	if !strings.Contains(text, "backend(\"memory\")") {
		text += "\ntarget = backend(\"memory\")"
	}
	name, _, isAssignment := strings.Cut(text, " = ")
	args := ""
	switch e.Gives {
	case lang.KindReport:
		args = ", reports = [" + name + "]"
	case lang.KindSource:
		args = "\nworkflow(users = " + name + ", backend = target)"
	}
	for _, hook := range []string{"select", "wave", "rotate"} {
		if strings.Contains(text, "def "+hook+"(") {
			args += ", " + hook + " = " + hook
		}
	}
	if strings.Contains(text, "\"canary\" if") {
		args += ", waves = {\"canary\": wave_rule(), \"all\": wave_rule()}"
	}
	if e.Gives == lang.KindSource && isAssignment {
		return text + args
	}
	if !strings.Contains(args, "rotate") {
		args += ", backend = target"
	}
	return text + "\nworkflow(users = csv(\"people.csv\", key = \"login\", secrets = [\"temporary\"])" + args + ")"
}

func TestEveryExampleLoads(t *testing.T) {
	files := []string{
		"people.csv", "login,temporary\nann,secret\n",
		"users.csv", "login;temporary;enabled\nann;x;yes\n",
		"users.jsonl", `{"login": "ann"}` + "\n",
	}
	for _, e := range lang.New().Entries() {
		t.Run(e.Name, func(t *testing.T) {
			if e.Example == "" {
				if e.Use == lang.Function && e.Later == "" || len(e.Params) > 0 && e.Later == "" {
					t.Error("there is no example")
				}
				return
			}
			text := inContext(e.Example, e)
			if strings.Contains(e.Example, `csv("users.csv", key = "login")`) {
				text = strings.ReplaceAll(text, `csv("users.csv", key = "login")`, `csv("people.csv", key = "login")`)
			}
			options := script(t, text, files...)
			options.Blind = strings.Contains(text, ".xlsx\", key") // the workbook is not there
			checkFindsNothing(t, text, options)
			w, err := Load(context.Background(), options)
			if err != nil {
				t.Fatalf("%s\n\n%v", text, err)
			}
			defer closeQuietly(w)
			if w.HasSelect || w.HasWave || w.HasRotate {
				callHooks(t, text, w)
			}
		})
	}
}

// checkFindsNothing holds that an example has no mistakes; what is left over of it
// may be.
func checkFindsNothing(t *testing.T, text string, options Options) {
	t.Helper()
	found, err := Check(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range found.Findings {
		if !finding.Warning {
			t.Errorf("%s\n\n%s", text, finding)
		}
	}
	if found.Flow != nil {
		closeQuietly(found.Flow)
	}
}

// callHooks calls the hooks of an example for its users.
func callHooks(t *testing.T, text string, w *Workflow) {
	t.Helper()
	for _, row := range rowsOf(t, w) {
		if _, _, err := w.Select(context.Background(), row); err != nil {
			t.Errorf("%s\n\n%v", text, err)
		}
		if _, err := w.Wave(context.Background(), row); err != nil {
			t.Errorf("%s\n\n%v", text, err)
		}
		f := &fakeSteps{answers: map[string]journal.Result{"find": {Outcome: sdk.Applied, Account: &sdk.Account{Account: row.Key, Status: sdk.StatusActive}}}}
		if v := w.rotate(context.Background(), row, f); v.Kind == journal.Raised {
			t.Errorf("%s\n\n%s", text, said(v))
		}
	}
}
