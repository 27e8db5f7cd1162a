package main_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhatHappenedToBackendsStandsInTheReport: breaches and deaths, of every
// process that applied the run, and in the report when it is written again.
func TestWhatHappenedToBackendsStandsInTheReport(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("leaky.star", strings.ReplaceAll(freeScript, "user.login, ", `"contradicts" if user.login == "bob" else user.login, `))
	p.must(5, "run", "leaky.star", "--yes")
	p.must(5, "resume", "last", "--yes")
	p.sayEvents("plugin leaky broke the contract: receipts that say applied, with an error (1); report it to its author")

	p.write("slow.star", `workflow(users = rows(["u%d" % n for n in range(8)], key = "login"), concurrency = 1,
    backend = backend("memory", latency = "250ms"))`)
	cmd := p.command("run", "slow.star", "--yes")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); len(children(t, cmd.Process.Pid)) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no plugin was started")
		}
	}
	time.Sleep(600 * time.Millisecond)
	killPlugin(t, cmd, "memory")
	_ = cmd.Wait() // what became of who was under way is not the matter here
	p.sayEvents("plugin memory died once; the last time: signal: killed")
}

// sayEvents looks for a line about the backends of the newest run wherever it
// has to stand.
func (p *place) sayEvents(want string) {
	p.t.Helper()
	var shown struct{ Events []string }
	if err := json.Unmarshal([]byte(p.must(0, "show", "last", "--json").stdout), &shown); err != nil {
		p.t.Fatal(err)
	}
	for what, text := range map[string]string{"show --json": strings.Join(shown.Events, "\n"), "show": p.must(0, "show", "last").stdout,
		"report": p.must(0, "report", "last", "--format", "summary").stdout} {
		if !strings.Contains(text, want) {
			p.t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// TestABundleNamesThePrograms that got passwords, and who let one out of the
// sandbox.
func TestABundleNamesThePrograms(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("leaky.star", freeScript)
	p.outcome(0, "run", "leaky.star", "--yes", "--no-sandbox", "leaky")
	digest := p.trusted().Backends[0].SHA256
	user := strings.Split(p.must(0, "report", "last", "--format", "csv").stdout, "\n")[1]
	for name, more := range map[string][]string{"whole.json": nil, "user.json": {"--user", strings.Split(user, ",")[0]}} {
		p.must(0, append([]string{"audit", "export", "last", "--out", name}, more...)...)
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"plugin leaky":"leaky 1 sha256:`+digest+`"`) {
			t.Errorf("%s does not name the program", name)
		}
		if strings.Contains(string(text), `"no_sandbox":"leaky"`) != (more == nil) {
			t.Errorf("%s: no_sandbox", name)
		}
	}
}
