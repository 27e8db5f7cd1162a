package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestPythonCallsTheCommand runs the module that calls this binary.
func TestPythonCallsTheCommand(t *testing.T) {
	p := newPlace(t)
	p.write("users.csv", "login,team\nann,it\nbob,it\n")
	p.write("staff.star", `team = param.string("team", default = "it")
workflow(users = csv("users.csv", key = "login"), backend = backend("memory", create = False, accounts = ["ann"]), select = lambda user: user.team == team, reports = [])`)
	p.write("job.py", `
import sys
import rekeycli
cli = {"rekey": sys.argv[1], "state": sys.argv[2]}
user = rekeycli.set("staff.star", "ann", value="Correct-Hörse_7", reveal=True, requestor="CHG-7", **cli)
assert user["status"] == "done" and user["passwords"] == {"memory": "Correct-Hörse_7"} and user["exit_code"] == 0, user["status"]
run = rekeycli.run("staff.star", {"team": "it"}, **cli)
assert run["counts"]["done"] == 1 and run["counts"]["failed"] == 1 and run["exit_code"] == 3, run
users = rekeycli.report(run["run"], ["login", "team", "status", "code"], **cli)
assert users == [{"login": "ann", "team": "it", "status": "done", "code": ""}, {"login": "bob", "team": "it", "status": "failed", "code": "AccountNotFound"}], users
assert len(rekeycli.report(run["run"], reveal=True, **cli)[0]["passwords"]["memory"]) == 20
try:
    rekeycli.set("staff.star", "nobody", **cli)
    raise SystemExit("nobody was found")
except rekeycli.Failed as failed:
    assert failed.exit_code == 2 and 'there is no user "nobody"' in str(failed), failed
print("ok")
`)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "job.py", binary, p.state)
	cmd.Dir = p.dir
	cmd.Env = append(p.command().Env, "PYTHONPATH="+absolute(t, "../../sdk/python"), "PYTHONDONTWRITEBYTECODE=1")
	if said, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(said)) != "ok" {
		t.Errorf("%v\n%s", err, said)
	}
}
