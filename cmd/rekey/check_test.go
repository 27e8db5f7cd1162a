package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// lefty is a script that can be run, with something left over.
const lefty = `load("lib/names.star", "plain", "other")

target = backend("memory")

def select(user):
    spare = 1
    return plain(user.login)

workflow(users = csv("users.csv", key = "login"), backend = target, select = select)
`

func checkedPlace(t *testing.T) *place {
	p := newPlace(t)
	p.write("users.csv", "login\nann\n")
	p.write("left.star", lefty)
	p.write("lib/names.star", "def plain(name):\n    return name.isalpha()\n\ndef other(name, most):\n    return name\n\nx = other(\"é\", 3)\n")
	p.write("bad.star", "x = {\"é\": nul}\ny = srted(x)\n")
	p.write("lib/worse.star", "def f(a)\n    return a\n")
	return p
}

func TestCheckTellsAllFindingsOfAllFilesAtOnce(t *testing.T) {
	p := checkedPlace(t)
	r := p.must(2, "check")
	want := `rekey: bad.star:1:12: undefined: nul; give it a value above, or load() it
     1 | x = {"é": nul}
       |           ^
rekey: bad.star:2:5: undefined: srted; did you mean "sorted"?
     2 | y = srted(x)
       |     ^
rekey: warning: left.star:1:34: what is loaded as other is never used; leave it out of the load()
     1 | load("lib/names.star", "plain", "other")
       |                                  ^
rekey: warning: left.star:6:5: spare is never used; take it out, or call it _spare
     6 |     spare = 1
       |     ^
rekey: warning: lib/names.star:4:17: other never uses its parameter most; take it out, or call it _most
     4 | def other(name, most):
       |                 ^
rekey: lib/worse.star:1:9: the line ends without a colon; write : at its end
     1 | def f(a)
       |         ^
`
	if r.stderr != want {
		t.Errorf("got\n%s\nwant\n%s", r.stderr, want)
	}
	if want := "left.star is sound\nlib/names.star is sound; it is a library: it does not call workflow()\n"; r.stdout != want {
		t.Errorf("standard output is %q, want %q", r.stdout, want)
	}
	if r := p.must(0, "lint", "left.star", "lib/names.star"); strings.Count(r.stderr, "rekey: warning: ") != 3 {
		t.Errorf("rekey lint says\n%s", r.stderr)
	}
	p.must(2, "check", "left.star", "nothing=1")
	p.write("a=b.star", lefty)
	p.must(0, "check", "a=b.star")
	if r := p.must(2, "check", t.TempDir()); !strings.Contains(r.stderr, "there is no script in ") {
		t.Error(r.stderr)
	}
}

// TestCheckInJSONIsOneObject, of one sound script as it has always been.
func TestCheckInJSONIsOneObject(t *testing.T) {
	p := checkedPlace(t)
	var said struct {
		Script   string
		Backends []string
		Scripts  []struct{ Script string }
		Errors   []struct{ File, Message, Fix, Rule string }
		Warnings []struct{ File, Rule string }
		ExitCode int `json:"exit_code"`
	}
	parse := func(r result) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.stdout), &said); err != nil {
			t.Fatalf("%v\n%s", err, r.stdout)
		}
	}
	parse(p.must(0, "check", "left.star", "--json"))
	if said.Script != "left.star" || len(said.Backends) != 1 || said.Scripts != nil || len(said.Warnings) != 3 || said.Warnings[0].Rule != "unused" {
		t.Errorf("of one script: %+v", said)
	}
	parse(p.must(2, "check", "--json"))
	if len(said.Scripts) != 2 || len(said.Errors) != 3 || said.Errors[0].Rule != "syntax" || said.Errors[0].Fix == "" || said.ExitCode != 2 {
		t.Errorf("of all: %+v", said)
	}
}

// required are the fields that the published schema of SARIF 2.1.0 requires of what
// rekey writes, by the path of their object.
var required = map[string][]string{
	"":                           {"version", "runs"},
	"/runs/":                     {"tool"},
	"/runs//tool":                {"driver"},
	"/runs//tool/driver":         {"name"},
	"/runs//tool/driver/rules/":  {"id"},
	"/runs//results/":            {"message", "locations", "ruleId"},
	"/runs//results//message":    {"text"},
	"/runs//results//locations/": {"physicalLocation"},
	"/runs//results//locations//physicalLocation":                  {"artifactLocation", "region"},
	"/runs//results//locations//physicalLocation/artifactLocation": {"uri"},
	"/runs//results//locations//physicalLocation/region":           {"startLine"},
}

func TestCheckInSARIFHasWhatTheSchemaRequires(t *testing.T) {
	p := checkedPlace(t)
	r := p.must(2, "check", "--sarif")
	var log any
	if err := json.Unmarshal([]byte(r.stdout), &log); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case []any:
			for _, one := range v {
				walk(path+"/", one)
			}
		case map[string]any:
			seen[path]++
			for _, name := range required[path] {
				if v[name] == nil {
					t.Errorf("%s lacks %s", path, name)
				}
			}
			for name, one := range v {
				walk(path+"/"+name, one)
			}
		}
	}
	walk("", log)
	if seen["/runs//results/"] != 6 || seen["/runs//tool/driver/rules/"] < 5 {
		t.Errorf("objects by their paths: %v", seen)
	}
	for _, want := range []string{`"version": "2.1.0"`, `"level": "warning"`, `"level": "error"`, `"uri": "lib/names.star"`, `"startColumn": 11`} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %s in\n%s", want, r.stdout)
		}
	}
	if r := p.must(2, "check", "--sarif", "--json"); !strings.Contains(r.stderr, "both want standard output") {
		t.Error(r.stderr)
	}
}

// TestCheckShowsNoPasswordOfALine: a script may have one in clear, and the line
// is shown all the same.
func TestCheckShowsNoPasswordOfALine(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", `b = backend("memory")
db_password = "hunter2-s3cret"
def rotate(user, step):
    step.set(b, user.login, "hunter2-s3cret")
    step.set(b, 3 + user.login, "hunter2-s3cret", kind = "pin")
workflow(users = rows(["ann"], key = "login"), rotate = rotate)
`)
	r := p.must(2, "check", "s.star")
	if lines := strings.Split(r.stderr, "\n"); strings.Contains(r.stderr, "hunter2") || !slices.Contains(lines, `     2 | db_password = "**************"`) || !strings.Contains(r.stderr, `"**************")`) ||
		!strings.Contains(r.stderr, `3 + user.login, "**************", kind = "pin")`) {
		t.Errorf("it says\n%s", r.stderr)
	}
}
