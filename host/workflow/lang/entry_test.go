package lang

import (
	"slices"
	"strings"
	"testing"
)

// TestNamesOfTheTableHangTogether: what one entry says of another is there.
func TestNamesOfTheTableHangTogether(t *testing.T) {
	table := New()
	for _, e := range table.Entries() {
		if table.Lookup(e.Name) != e {
			t.Errorf("%s is not found by its name", e.Name)
		}
		of, member, dotted := strings.Cut(e.Name, ".")
		if dotted && (table.Member(of, member) != e || of != "BACKEND" && table.Lookup(of) == nil) {
			t.Errorf("%s is an attribute of nothing", e.Name)
		}
		if dotted && slices.Contains(table.Members(of), member) == (e.Later != "") {
			t.Errorf("%s: listed among the members of %s is %v", e.Name, of, e.Later != "")
		}
		if e.Later != "" && e.Use != Function {
			t.Errorf("%s comes later, and is no function", e.Name)
		}
		if e.Use == Namespace && len(table.Members(e.Name)) == 0 {
			t.Errorf("%s is a namespace of nothing", e.Name)
		}
		if dotted && e.InScope() {
			t.Errorf("%s is in scope by itself", e.Name)
		}
	}
}

func TestParametersOfAFunctionAreSound(t *testing.T) {
	for _, e := range New().Entries() {
		seen := map[string]bool{}
		optional := false
		for i, p := range e.Params {
			if seen[p.Name] {
				t.Errorf("%s: %s is there twice", e.Name, p.Name)
			}
			seen[p.Name] = true
			if e.Index(p.Name) != i {
				t.Errorf("%s: %s is found at %d, want %d", e.Name, p.Name, e.Index(p.Name), i)
			}
			if p.Required() && optional {
				t.Errorf("%s: %s is required after one that is not", e.Name, p.Name)
			}
			optional = optional || !p.Required()
			if !strings.HasPrefix(p.Help(), p.Name+": ") {
				t.Errorf("%s: help of %s is %q", e.Name, p.Name, p.Help())
			}
		}
		if e.Index("bicycle") != -1 {
			t.Errorf("%s has a bicycle", e.Name)
		}
	}
}

// TestStepsHaveTheirTwins: a try_ twin takes the same, and gives a result.
func TestStepsHaveTheirTwins(t *testing.T) {
	table := New()
	for _, name := range table.Members("step") {
		plain, is := strings.CutPrefix(name, "try_")
		if !is {
			if table.Member("step", "try_"+name) == nil {
				t.Errorf("step.%s has no twin", name)
			}
			continue
		}
		step, twin := table.Member("step", plain), table.Member("step", name)
		if !slices.Equal(step.Params, twin.Params) || twin.Gives != KindResult || twin.At != step.At || !strings.Contains(twin.Doc, step.Name) {
			t.Errorf("step.%s is not the twin of %s", name, step.Name)
		}
	}
}

func TestSignatures(t *testing.T) {
	table := New()
	for name, want := range map[string]string{
		"csv":          `csv(path, key, columns = None, `,
		"concat":       "concat(*sources)",
		"struct":       "struct(**fields)",
		"param.string": `param.string(name, default, help = "")`,
		"done":         "done()",
		"r.status":     "r.status",
		"step":         "step",
		"rotate":       "rotate(user, step)",
		"backend":      `patience = "10m", **config)`,
	} {
		if got := table.Lookup(name).Signature(); got != want && !strings.HasPrefix(got, want) && !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestTablesAreTheirOwn: what one script does to its table, no other sees.
func TestTablesAreTheirOwn(t *testing.T) {
	New().Entries()[0].Name = "changed"
	if New().Entries()[0].Name == "changed" {
		t.Error("two tables share their entries")
	}
}
