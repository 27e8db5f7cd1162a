package main_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// TestTheReferenceHasEveryName with its parameters and its example.
func TestTheReferenceHasEveryName(t *testing.T) {
	p := newPlace(t)
	page := p.must(0, "docs", "--markdown").stdout
	all := append(lang.Docs(lang.New()), lang.Statements()...)
	for _, doc := range all {
		_, part, found := strings.Cut(page, "\n### `"+doc.Name+"`\n")
		part, _, _ = strings.Cut(part, "\n### ")
		if !found || !strings.Contains(part, strings.TrimSpace(doc.Example)) {
			t.Errorf("%s is not there, or without its example:\n%s", doc.Name, part)
		}
		for _, param := range doc.Params {
			if !strings.Contains(part, "\n| `"+param.Name+"` | ") {
				t.Errorf("%s: parameter %s is not there", doc.Name, param.Name)
			}
		}
	}
	if len(all) < 80 || !strings.Contains(page, "Types are optional.") || strings.Count(page, "```")%2 != 0 {
		t.Errorf("%d names, or no types, or a block that does not end", len(all))
	}
	for _, args := range []string{"docs csv --stubs", "docs --markdown --json", "docs --markdown --stubs"} {
		p.must(2, strings.Fields(args)...)
	}
}

// askPython compiles stubs, and says of some names what Python makes of them.
const askPython = `
import ast, sys
tree = ast.parse(sys.stdin.read())
for node in tree.body:
    if isinstance(node, ast.FunctionDef):
        print(node.name, ast.unparse(node.returns), (ast.get_docstring(node) or "-").splitlines()[0])
    if isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                print(node.name + "." + inner.name, ast.unparse(inner.args), "->", ast.unparse(inner.returns))
            if isinstance(inner, ast.AnnAssign):
                print(node.name + "." + inner.target.id, ast.unparse(inner.annotation))
`

// TestStubsAreOfPython, which reads them, and have every function of the language.
func TestStubsAreOfPython(t *testing.T) {
	p := newPlace(t)
	ask := exec.Command("python3", "-c", askPython)
	ask.Stdin = strings.NewReader(p.must(0, "docs", "--stubs").stdout)
	out, err := ask.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := "\n" + string(out)
	for _, want := range []string{"csv Source Users from a file", "skip Verdict ", "param.int self, name: str, default: int | None=..., help: str='', min: int | None=None, max: int | None=None -> int",
		"policy.__call__ self, length: int | None=None", "Step.set self, backend: Backend, account: str, value: Secret | str", "Backend.can self, step: str -> bool", "Row.status ", "Date.year int"} {
		if !strings.Contains(said, "\n"+want) && !strings.Contains(said, "\n_"+want) {
			t.Errorf("it lacks %q:\n%s", want, said)
		}
	}
	for _, entry := range lang.New().Entries() {
		_, member, _ := strings.Cut(entry.Name, ".")
		if entry.Use == lang.Function && entry.Later == "" && !strings.Contains(said, "\n"+entry.Name+" ") && !strings.Contains(said, "."+member+" ") {
			t.Errorf("it lacks %s", entry.Name)
		}
	}
}
