package workflow

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/sdk"
)

// inContext makes a whole script of an example, which may be the body of a
// rotate or one line of the top level.
func inContext(example string, e entry) string {
	text := example
	if e.at == inRotate && !strings.Contains(example, "def ") {
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
	switch e.gives {
	case kindReport:
		args = ", reports = [" + name + "]"
	case kindSource:
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
	if e.gives == kindSource && isAssignment {
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
	for _, e := range table() {
		t.Run(e.name, func(t *testing.T) {
			if e.example == "" {
				if e.call != nil || len(e.params) > 0 && e.later == "" {
					t.Error("there is no example")
				}
				return
			}
			text := inContext(e.example, e)
			if strings.Contains(e.example, `csv("users.csv", key = "login")`) {
				text = strings.ReplaceAll(text, `csv("users.csv", key = "login")`, `csv("people.csv", key = "login")`)
			}
			w, err := Load(context.Background(), script(t, text, files...))
			if err != nil {
				t.Fatalf("%s\n\n%v", text, err)
			}
			defer w.Close()
			if w.HasSelect || w.HasWave || w.HasRotate {
				callHooks(t, text, w)
			}
		})
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
		f := &fakeSteps{answers: map[string]engine.Result{"find": {Outcome: sdk.Applied, Account: &sdk.Account{Account: row.Key, Status: sdk.StatusActive}}}}
		if v := w.rotate(context.Background(), row, f); v.Kind == engine.Raised {
			t.Errorf("%s\n\n%s", text, said(v))
		}
	}
}

func TestEveryNameIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range table() {
		if seen[e.name] {
			t.Errorf("%s is there twice", e.name)
		}
		seen[e.name] = true
		if !strings.HasSuffix(e.doc, ".") {
			t.Errorf("%s: doc %q is no sentence", e.name, e.doc)
		}
		for _, p := range e.params {
			if p.doc == "" {
				t.Errorf("%s: parameter %s has no doc", e.name, p.name)
			}
		}
		if newLanguage().inScope(&e) && e.rename == "" && e.name != "workflow" {
			t.Errorf("%s: nothing says what to call a variable instead", e.name)
		}
	}
}

// TestSignaturesAreTheContract compares the table with what scripts outside of
// this repository are written for. A name may be added; UPDATE=1 rewrites.
func TestSignaturesAreTheContract(t *testing.T) {
	const golden = "testdata/signatures.txt"
	var b strings.Builder
	for _, d := range Docs() {
		later := ""
		if d.Later != "" {
			later = "  (later)"
		}
		b.WriteString(d.Where + ": " + d.Signature + later + "\n")
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("signatures differ (-want +got):\n%s", diff)
	}
}

func TestDocsTellParametersAndDefaults(t *testing.T) {
	all := map[string]Entry{}
	for _, d := range Docs() {
		all[d.Name] = d
	}
	if len(all) != len(table()) {
		t.Errorf("%d entries, want %d", len(all), len(table()))
	}
	csv := all["csv"]
	if csv.Where != "top level" || len(csv.Params) != 12 || csv.Params[0].Default != "" || csv.Params[3].Default != `","` || csv.Example == "" {
		t.Errorf("csv = %+v", csv)
	}
	if !strings.Contains(all["user"].Doc, "codepoints()") {
		t.Error("nothing says how the first letter of a name is taken")
	}
	for name, where := range map[string]string{"step.set": "rotate", "r.status": "row functions", "skip": "select, rotate", "json.encode": "anywhere", "user": "select, wave, rotate, row functions"} {
		if all[name].Where != where {
			t.Errorf("%s is used in %q, want %q", name, all[name].Where, where)
		}
	}
	for _, name := range []string{"policy.words", "policy.parse", "xlsx", "report.xlsx", "report.letters"} {
		if all[name].Later == "" {
			t.Errorf("%s is not marked as coming later", name)
		}
	}
}

func TestNearName(t *testing.T) {
	for asked, want := range map[string]string{
		"param.sting": "param.string", "wave_role": "wave_rule", "step.try_st": "step.try_set", "WORKFLOW": "workflow", "csv": "csv",
		"generate": "step.generate", "try_verfy": "step.try_verify", "accounts": "BACKEND.accounts", "bicycle": "", "": ""} {
		if got := NearName(asked); got != want {
			t.Errorf("NearName(%q) = %q, want %q", asked, got, want)
		}
	}
}
