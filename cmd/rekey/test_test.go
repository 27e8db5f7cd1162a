package main_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const testedScript = `b = backend("htpasswd", path = "users.htpasswd")
def rotate(user, step):
    if user.login == "zoe":
        return skip("left")
    step.set(b, user.login, step.generate())
workflow(users = csv("users.csv", key = "login"), rotate = rotate)
`

const testOfIt = `def test_good(t):
    print("in a test")
    t.eq(t.run("s.star", users = ["ann"]).counts.done, 1)
def test_bad(t):
    t.eq(t.run("s.star", users = ["ann"]).counts.done, 2)
`

// TestTestsOfScripts are told for people, as JSON and for a build server; a
// failure is exit 3, and nothing is left behind.
func TestTestsOfScripts(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", testedScript)
	p.write("s_test.star", testOfIt)
	r := p.must(3, "test", "--junit", "junit.xml", "--coverage=page.html")
	for _, want := range []string{"FAIL s_test.star test_bad", "s_test.star:5: got  1\n", "want 2", "1 test passed, 1 failed", "83.3 % of lines,  50.0 % of branches", "(not executed: 4)"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, r.stdout)
		}
	}
	if strings.Contains(r.stdout, "test_good") || r.stderr != "" {
		t.Errorf("of what passes it says\n%s%s", r.stdout, r.stderr)
	}
	if text := p.read("junit.xml"); !strings.Contains(text, `<testsuite name="rekey" tests="2" failures="1">`) || !strings.Contains(text, `<failure message="s_test.star:5: got  1">`) {
		t.Errorf("JUnit: %s", text)
	}
	if text := p.read("page.html"); !strings.Contains(text, `class="miss"`) {
		t.Errorf("the page: %s", text)
	}
	var out struct {
		Tests  []struct{ Test, Failure, Printed string }
		Passed int
		Failed int
	}
	if err := json.Unmarshal([]byte(p.must(0, "test", "s_test.star", "--run", "good", "--json").stdout), &out); err != nil || out.Passed != 1 || out.Failed != 0 || out.Tests[0].Printed != "s_test.star:2: in a test\n" {
		t.Errorf("%+v, %v", out, err)
	}
	if list := p.must(0, "runs").stdout; strings.Contains(list, "s.star") {
		t.Errorf("a run is left:\n%s", list)
	}
	for _, c := range []struct{ args, want string }{{"test none", "none: no such file"}, {"test --run (", "--run: "}, {"test s.star", "s.star is no file of tests: its name does not end in _test.star; name the one beside the script"}} {
		if r := p.must(2, strings.Fields(c.args)...); !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %s", c.args, r.stderr)
		}
	}
}

// TestShippedScriptsPassTheirTests, which execute nine lines of ten of each.
func TestShippedScriptsPassTheirTests(t *testing.T) {
	p := newPlace(t)
	var out struct {
		Tests    []struct{ File, Test, Failure string }
		Coverage []struct {
			File, Missed string
			Lines        float64
		}
	}
	r := p.rekey("test", "@rekey/", "--coverage", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatalf("%v\n%s%s", err, r.stdout, r.stderr)
	}
	for _, test := range out.Tests {
		if test.Failure != "" {
			t.Errorf("%s %s: %s", test.File, test.Test, test.Failure)
		}
	}
	covered := map[string]bool{}
	for _, file := range out.Coverage {
		covered[file.File] = true
		if file.Lines < 90 {
			t.Errorf("%s: %.1f %% of lines, not executed: %s", file.File, file.Lines, file.Missed)
		}
	}
	scripts, err := filepath.Glob("../../scripts/*.star")
	if err != nil || len(scripts) < 32 {
		t.Fatal(scripts, err)
	}
	for _, path := range scripts {
		if name := filepath.Base(path); !strings.HasSuffix(name, "_test.star") && !covered["@rekey/"+name] {
			t.Errorf("no test runs %s", name)
		}
	}
}
