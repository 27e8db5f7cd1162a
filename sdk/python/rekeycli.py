"""Calls rekey from Python: this file and the binary are all that it takes.

    import rekeycli

    user = rekeycli.set("staff.star", "ann", reveal=True)   # one account
    if user["status"] == "done":
        print(user["key"], user["passwords"]["ldap"])

    run = rekeycli.run("staff.star", {"team": "it"})        # all that are due
    print(run["run"], run["counts"]["done"], run["exit_code"])

    for user in rekeycli.report(run["run"], ["login", "mail", "status"]):
        print(user["login"], user["mail"])

What comes back are the objects that the commands print: of set a line of
"rekey report --format jsonl", of run that of "rekey run --json". Users who
failed are no exception: look at status, counts and exit_code. Failed is raised
where nothing came back, and says what rekey said.

A password goes to rekey through its standard input and comes back through its
standard output, never through arguments, the environment or a file. Whoever is
killed meanwhile, "rekey resume" of the run goes on.
"""

import json
import subprocess

__all__ = ["Failed", "run", "set", "report"]


class Failed(Exception):
    """rekey gave no answer: exit_code is its exit status, 2 where nothing was changed."""

    def __init__(self, exit_code, said):
        super().__init__(said.strip() or "rekey ended with %d" % exit_code)
        self.exit_code = exit_code


def set(script, key, params=None, *, value=None, reveal=False, requestor=None, state=None, rekey="rekey"):
    """Gives one user of a script a new password, value if it is given; returns what the user came to."""
    args = ["set", script, key] + _params(params) + _flags(reveal=reveal, requestor=requestor, value_stdin=value is not None)
    exit_code, answer = _call(rekey, state, args, value)
    return dict(json.loads(answer), exit_code=exit_code)


def run(script, params=None, *, requestor=None, state=None, rekey="rekey"):
    """Plans and applies a script without asking; returns what the run came to."""
    exit_code, answer = _call(rekey, state, ["run", script, "--yes", "--json"] + _params(params) + _flags(requestor=requestor))
    return dict(json.loads(answer), exit_code=exit_code)


def report(run, columns=None, *, reveal=False, requestor=None, state=None, rekey="rekey"):
    """Returns the users of a run as a list, whole or with the columns that are named."""
    args = ["report", run, "--format", "jsonl"] + _flags(reveal=reveal, requestor=requestor, columns=",".join(columns or []) or None)
    return [json.loads(line) for line in _call(rekey, state, args)[1].splitlines()]


def _params(params):
    return ["%s=%s" % item for item in (params or {}).items()]


def _flags(**given):
    flags = []
    for name, value in given.items():
        if value is True:
            flags.append("--" + name.replace("_", "-"))
        elif value:
            flags.append("--%s=%s" % (name.replace("_", "-"), value))
    return flags


def _call(rekey, state, args, stdin=None):
    """Runs rekey and returns its exit status and what it printed."""
    if state is not None:
        args = ["--state=" + str(state)] + args
    done = subprocess.run([str(rekey)] + [str(arg) for arg in args], input=(stdin or "").encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    answer = done.stdout.decode()
    if done.returncode == 2 or done.returncode and not answer.strip():
        raise Failed(done.returncode, done.stderr.decode(errors="replace"))
    return done.returncode, answer
