package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/redis/redistest"
)

// TestARedisThatIsAwayStopsTheRunAndFailsNobody: of two thousand users a few are tried
// before the circuit opens, no more than twenty and what is under way then, and one to
// see whether it is back; when it is resume gives each its value. The plugin has
// no Check to look with.
func TestARedisThatIsAwayStopsTheRunAndFailsNobody(t *testing.T) {
	t.Parallel()
	const users, inFlight, twenty, probes = 2000, 16, 20, 1
	server := redistest.Start(t, redistest.Options{})
	t.Cleanup(server.Remove)
	var rules []string
	for n := range users {
		rules = append(rules, fmt.Sprintf("ACL SETUSER app-%d on >old", n))
	}
	if said, err := server.CLI(append(rules, "ACL SAVE")...); err != nil {
		t.Fatal(err, said)
	}
	p := newPlace(t, "DB_PASSWORD="+server.Password)
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Join(p.dir, "plugins"))
	p.write("plugins/none", "")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.dir, "plugins/rekey-backend-checkless"), "./testdata/checkless").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p.write("job.star", fmt.Sprintf(`redis = backend("checkless", url = %q, user = %q, insecure = True, password = secret.env("DB_PASSWORD"), patience = "1s", concurrency = %d)

def rotate(user, step):
    step.set(redis, user.login, step.generate())

workflow(users = rows(["app-%%d" %% n for n in range(%d)], key = "login"), rotate = rotate,
    reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password})])
`, server.URL, server.User, inFlight, users))

	server.Stop()
	tried := closing(t, server.Address)
	r := p.must(4, "run", "job.star", "--yes", "--json")
	var o outcome
	if err := json.Unmarshal([]byte(r.stdout), &o); err != nil || o.Counts["pending"] != users {
		t.Errorf("while it is away: %v, %v, want %d pending", err, o.Counts, users)
	}
	if n := tried(); n < 1 || n > twenty+inFlight+probes {
		t.Errorf("%d attempts reached where the server was, want at most %d, %d that were under way and %d probe", n, twenty, inFlight, probes)
	}
	if !strings.Contains(r.stderr, "backend checkless is away: ") {
		t.Errorf("nothing says that it is away: %s", r.stderr)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if o := p.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != users {
		t.Errorf("when it is back: %v, want %d done", o.Counts, users)
	}
	var logons []redistest.Logon
	for _, line := range strings.Split(strings.TrimSpace(p.read("out.csv")), "\n")[1:] {
		login, value, _ := strings.Cut(line, ",")
		logons = append(logons, redistest.Logon{User: login, Value: strings.ReplaceAll(strings.Trim(value, `"`), `""`, `"`)})
	}
	for n, let := range server.Logons(t, logons) {
		if !let {
			t.Fatalf("%s does not have the value of the report", logons[n].User)
		}
	}
	if len(logons) != users {
		t.Errorf("the report has %d users", len(logons))
	}
}

// closing is in the place of a server that has gone: it closes each connection at once.
// stop counts those that there were, and makes room.
func closing(t *testing.T, address string) (stop func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	must(t, err)
	count := make(chan int)
	go func() {
		tried := 0
		for {
			conn, err := listener.Accept()
			if err != nil {
				count <- tried
				return
			}
			tried++
			_ = conn.Close()
		}
	}()
	return func() int {
		_ = listener.Close()
		return <-count
	}
}
