package main_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

const looseScript = `cloud = backend("smartcloud", url = param.string("url"), admin = "admin@acme.example", password = secret.env("CLOUD_PASSWORD"), attempts = 1, timeout = "2s")
def rotate(user, step):
    step.set(cloud, user.login, step.generate())
workflow(users = csv("accounts.txt", key = "login", delimiter = ";", columns = ["login", "temporary"], secrets = ["temporary"], optional = ["temporary"]),
    rotate = rotate)
`

// looseJob is three users, of whom two get no answer. The same script has two
// names: the second run knows nothing of the first one's parameters.
func looseJob(t *testing.T, answer resttest.Answer) *cloudJob {
	t.Helper()
	j := newCloudJob(t, 3, smartcloudtest.Active, smartcloudtest.Options{})
	for _, login := range j.logins[:2] {
		j.sim.Faults.Add(resttest.Fault{Account: login, Op: "setUserPassword", Effect: true, Answer: answer})
	}
	j.write("one.star", looseScript)
	j.write("two.star", looseScript)
	return j
}

// loose matches the warning, with the run, how many users, and the end.
var loose = regexp.MustCompile(`(?m)^rekey: warning: run (\w+) has (\d) users? whose last request may still reach smartcloud\(url = "http://[^"]*"\)(, until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) at least)?: (.*)$`)

func checkLoose(t *testing.T, what, stderr, users string, until bool, end string) {
	t.Helper()
	m := loose.FindStringSubmatch(stderr)
	if m == nil || m[2] != users || (m[4] != "") != until || !strings.HasPrefix(m[5], end) {
		t.Fatalf("%s: %q, want %s users, until when: %v, %s\n%s", what, m, users, until, end, stderr)
	}
	if at, err := time.ParseInLocation(time.DateTime, m[4], time.Local); until && (err != nil || time.Until(at) < 0 || time.Until(at) > 4*2*time.Second) {
		t.Errorf("%s: until %s, want within four timeouts from %s", what, m[4], time.Now())
	}
}

// TestWhatAnotherRunLostIsSaidBeforeItsAccountsAreChanged: in a plan and before
// the first change, of every script, until it is settled and cannot come.
func TestWhatAnotherRunLostIsSaidBeforeItsAccountsAreChanged(t *testing.T) {
	j := looseJob(t, resttest.Drop())
	first := j.outcome(5, "run", "one.star", "url="+j.sim.URL(), "--yes")
	if first.Counts["unknown"] != 2 {
		t.Fatalf("%v", first.Counts)
	}
	planned := j.must(0, "plan", "two.star", "url="+j.sim.URL())
	checkLoose(t, "a plan", planned.stderr, "2", true, "resume it first, rekey resume "+first.Run)
	if !strings.Contains(planned.stdout, "may still reach") {
		t.Errorf("the plan does not show it:\n%s", planned.stdout)
	}
	other := newCloudJob(t, 1, smartcloudtest.Active, smartcloudtest.Options{})
	if elsewhere := j.must(0, "plan", "two.star", "url="+other.sim.URL()); strings.Contains(elsewhere.stderr, "may still reach") {
		t.Errorf("another target:\n%s", elsewhere.stderr)
	}
	time.Sleep(8 * time.Second) // four timeouts: it is not known what they have all the same
	second := j.rekey("run", "two.star", "url="+j.sim.URL(), "--yes", "--new")
	checkLoose(t, "another run, later", second.stderr, "2", false, "resume it first")
}

// TestWhatAKilledRunLostIsSaidUntilWhen: it has recorded nothing of its requests.
func TestWhatAKilledRunLostIsSaidUntilWhen(t *testing.T) {
	j := looseJob(t, resttest.Silence())
	cmd := j.command("run", "one.star", "url="+j.sim.URL(), "--yes")
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	time.Sleep(time.Second)
	live := j.must(0, "plan", "two.star", "url="+j.sim.URL())
	if !strings.Contains(live.stderr, "is being applied now, and has 2 users whose last request may still reach smartcloud(") {
		t.Errorf("while it goes on:\n%s\n%s", live.stderr, said.String())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	killed := j.must(0, "plan", "two.star", "url="+j.sim.URL())
	checkLoose(t, "after a kill", killed.stderr, "2", true, "resume it first")
	j.sim.Faults.Clear()
	j.must(0, "resume", loose.FindStringSubmatch(killed.stderr)[1], "--yes")
}
