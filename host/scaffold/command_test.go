package scaffold_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/scaffold"
)

// command is a folder with a backend that starts commands.
func command(t *testing.T, lang string) string {
	t.Helper()
	folder, err := scaffold.Write(scaffold.Options{Name: "shop", Lang: lang, Target: "command", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestACommandAtItsDeadlineInGo compiles what is written in a package of this module.
func TestACommandAtItsDeadlineInGo(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	folder, replace := command(t, "go"), map[string]string{}
	replace[filepath.Join(here, "overlaid", "main.go")] = filepath.Join(folder, "main.go")
	replace[filepath.Join(here, "overlaid", "deadline_test.go")] = filepath.Join(here, "testdata", "deadline_test.go.txt")
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "overlaid.test")
	for _, args := range [][]string{{"go", "test", "-c", "-vet=off", "-o", binary, "-overlay", file, "./overlaid"}, {binary}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
}

// TestACommandAtItsDeadlineInPython: nothing is started after it, and no failure is
// raised twice.
func TestACommandAtItsDeadlineInPython(t *testing.T) {
	runs(t, command(t, "python"), "/usr/bin/python3", "-c", `
import os, runpy, time, rekey
rekey.serve = lambda *_, **__: None
backend = runpy.run_path("rekey-backend-shop")["Backend"]({"program": os.path.abspath("program"), "folder": "."})
op = rekey.Operation("set", 30)
op.account, op.value, raised = "ann", rekey.Secret("x"), []
for op.deadline in (0, time.monotonic() + 30, time.monotonic() + 30):
    try:
        backend.set(op)
    except rekey.Refused as e:
        raised.append(e)
    assert os.path.exists("mark") == (op.deadline > 0), op.deadline
assert [e.error["code"] for e in raised] == ["Timeout", "AccountNotFound", "AccountNotFound"], raised
assert raised[1] is not raised[2]
`)
}

// TestACommandAtItsDeadlineInNode: one that cannot be killed was started.
func TestACommandAtItsDeadlineInNode(t *testing.T) {
	runs(t, command(t, "node"), "node", "-e", `
const rekey = require("./rekey.js"), { ChildProcess } = require("node:child_process");
rekey.serve = (made) => { Backend = made; };
require("./rekey-backend-shop");
ChildProcess.prototype.kill = function () { this.emit("error", Object.assign(new Error(), { code: "EPERM" })); };
const op = { account: "late", value: new rekey.Secret("x"), left: () => 100 };
const told = (program) => new Backend({ program, folder: "." }).set(op).then(() => "applied", (e) => e.constructor.name);
Promise.all([told(process.cwd() + "/program"), told("/no/such/program")]).then((got) => {
  if (String(got) !== "Lost,Refused") throw new Error(got);
  process.exit();
});
`)
}

// runs runs a script beside a command that leaves a mark, and of "late" takes long.
func runs(t *testing.T, folder string, args ...string) {
	t.Helper()
	text := "#!/bin/sh\n: > mark\n[ \"$3\" != late ] || sleep 1\nexit 3\n"
	if err := os.WriteFile(filepath.Join(folder, "program"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
