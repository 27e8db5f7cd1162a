package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const byHand = "Corr3ct-horse-battery"

// everything is a place with the backend in Python that can do all, and its settings.
func everything(t *testing.T) (*place, string) {
	t.Helper()
	p := newPlace(t, "TOKEN=t0p-secret-token")
	for _, file := range []string{"rekey.py", "testdata/rekey-backend-everything"} {
		text, err := os.ReadFile(filepath.Join("../../sdk/python", file))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(p.dir, filepath.Base(file)), text, 0o755))
	}
	p.write("accounts.json", `{"ann": {}, "lou": {"locked": true}}`)
	p.write("settings.json", `{"config": {"path": "`+filepath.Join(p.dir, "accounts.json")+`", "shortest": 8}, "secrets": {"token": {"$secret": "env:TOKEN"}}, "accounts": []}`)
	return p, filepath.Join(p.dir, "rekey-backend-everything")
}

// fed is a command that reads from standard input and has to end with the exit code.
func fed(p *place, stdin string, exit int, args ...string) result {
	p.t.Helper()
	var stdout, stderr strings.Builder
	cmd := p.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != exit {
		p.t.Fatalf("rekey %q: %v, want %d\n%s%s", args, err, exit, &stdout, &stderr)
	}
	return result{exit, stdout.String(), stderr.String()}
}

// TestOneCallByHand: what comes of it is told by words and by the exit status.
func TestOneCallByHand(t *testing.T) {
	t.Parallel()
	p, program := everything(t)
	for _, test := range []struct {
		exit        int
		stdin, want string
		args        []string
	}{
		{0, byHand + "\n", "applied\n  ref: r1", []string{"set", "ann", "--value-stdin"}},
		{0, byHand + "\n", "accepted\n", []string{"verify", "ann", "--value-stdin"}},
		{3, "another-1\n", "rejected\n", []string{"verify", "ann", "--value-stdin"}},
		{0, byHand + "\nN3w-horse-battery", "applied\n", []string{"change", "ann", "--value-stdin"}},
		{3, "wrong-wrong\nN3w-horse-battery", "refused WrongCurrentPassword: ", []string{"change", "ann", "--value-stdin"}},
		{3, "Short1", `refused PolicyViolation: [secret] is too short` + "\n" + `  rules: [{"limit":8,"rule":"min_length"}]`, []string{"set", "ann", "--value-stdin"}},
		{3, byHand, "refused AccountStatus: it is locked\n  account status: locked", []string{"set", "lou", "--value-stdin"}},
		{0, "", `"status":"locked"`, []string{"find", "lou"}},
		{3, "", "AccountNotFound: ", []string{"find", "nobody"}},
		{2, "", "a reset is not done by hand: it gives the account a new value, which nothing would keep; `rekey plugin test` tries it", []string{"reset", "ann"}},
		{0, "", "applied\n", []string{"unlock", "lou"}},
		{0, "", `"account":"lou"`, []string{"list"}},
		{0, "", `  policy: {"min_length":8}`, []string{"policy"}},
		{0, "", "  ready: true", []string{"check"}},
		{2, "", "needs an account", []string{"find"}},
		{2, "", "there is no terminal to ask for it; give --value-stdin", []string{"set", "ann"}},
		{2, byHand + "\nanother-1\n", "set needs 1 line on standard input", []string{"set", "ann", "--value-stdin"}},
		{2, "", "set needs 1 line on standard input", []string{"set", "ann", "--value-stdin"}},
		{2, strings.Repeat("x", 1<<20+1), "standard input has more than 1048576 bytes; give the value alone", []string{"set", "ann", "--value-stdin"}},
		{2, byHand, "check takes no value", []string{"check", "--value-stdin"}},
		{2, "", `"drop" is no verb; use one of set, change`, []string{"drop", "ann"}},
		{2, byHand, `"foo" is no verb; use one of set, change`, []string{"foo", "ann", "--value-stdin"}},
	} {
		r := fed(p, test.stdin, test.exit, append([]string{"plugin", "call", "--config", "settings.json", "--kind", "web", program}, test.args...)...)
		if said := r.stdout + r.stderr; !strings.Contains(said, test.want) || strings.Contains(said, "horse") {
			t.Errorf("%q: want %q, got %s", test.args, test.want, said)
		}
	}
}

// TestAMistypedSettingIsNamed, and not only the required one that it was meant to be.
func TestAMistypedSettingIsNamed(t *testing.T) {
	t.Parallel()
	p, program := everything(t)
	p.write("settings.json", `{"config": {"pth": "accounts.json"}, "secrets": {"token": "t0p-secret-token"}}`)
	if r := p.must(2, "plugin", "call", program, "check", "--config", "settings.json"); !strings.Contains(r.stderr, `settings: there is no "pth"; did you mean "path"?`) {
		t.Errorf("got %s", r.stderr)
	}
}

// TestATraceShowsNoSecret: neither those of the settings nor the value, also where
// the plugin quotes it, logs it or answers with it.
func TestATraceShowsNoSecret(t *testing.T) {
	t.Parallel()
	p, program := everything(t)
	r := fed(p, byHand, 0, "plugin", "call", program, "set", "ann", "--config", "settings.json", "--kind", "web", "--value-stdin", "--trace", "--json")
	for _, want := range []string{`-> Configure {`, `"token":"<secret>"`, `"value":"<secret>","verb":"set"`, `<- ApplyStream {"answers":[`, `"outcome":"OUTCOME_APPLIED"`, "sets [secret]"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("the trace has no %s:\n%s", want, r.stderr)
		}
	}
	short := fed(p, "horse", 3, "plugin", "call", program, "set", "ann", "--config", "settings.json", "--kind", "web", "--value-stdin", "--trace")
	for _, said := range []string{r.stderr, r.stdout, short.stderr, short.stdout} {
		for _, never := range []string{"horse", "Q29ycjNj", "t0p-secret"} {
			if strings.Contains(said, never) {
				t.Errorf("%q in the output:\n%s", never, said)
			}
		}
	}
	if !strings.Contains(r.stdout, `"outcome": "applied"`) {
		t.Error(r.stdout)
	}
}
