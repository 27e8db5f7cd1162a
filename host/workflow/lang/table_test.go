package lang

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryNameIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range New().Entries() {
		if seen[e.Name] {
			t.Errorf("%s is there twice", e.Name)
		}
		seen[e.Name] = true
		if !strings.HasSuffix(e.Doc, ".") {
			t.Errorf("%s: doc %q is no sentence", e.Name, e.Doc)
		}
		for _, p := range e.Params {
			if p.Doc == "" {
				t.Errorf("%s: parameter %s has no doc", e.Name, p.Name)
			}
		}
		if e.InScope() && e.Rename == "" && e.Name != "workflow" {
			t.Errorf("%s: nothing says what to call a variable instead", e.Name)
		}
	}
}

// TestSignaturesAreTheContract compares the table with what scripts outside of
// this repository are written for. A name may be added; UPDATE=1 rewrites.
func TestSignaturesAreTheContract(t *testing.T) {
	const golden = "testdata/signatures.txt"
	var b strings.Builder
	for _, d := range Docs(New()) {
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
	all := map[string]Doc{}
	for _, d := range Docs(New()) {
		all[d.Name] = d
	}
	if len(all) != len(New().Entries()) {
		t.Errorf("%d entries, want %d", len(all), len(New().Entries()))
	}
	csv := all["csv"]
	if csv.Where != "top level" || len(csv.Params) != 17 || csv.Params[0].Default != "" || csv.Params[3].Default != `","` || csv.Example == "" {
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
	for _, name := range []string{"report.letters"} {
		if all[name].Later == "" {
			t.Errorf("%s is not marked as coming later", name)
		}
	}
}

func TestNearName(t *testing.T) {
	for asked, want := range map[string]string{
		"param.sting": "param.string", "wave_role": "wave_rule", "step.try_st": "step.try_set", "WORKFLOW": "workflow", "csv": "csv",
		"generate": "step.generate", "try_verfy": "step.try_verify", "accounts": "BACKEND.accounts", "bicycle": "", "": ""} {
		if got := Near(New(), asked); got != want {
			t.Errorf("Near(%q) = %q, want %q", asked, got, want)
		}
	}
}
