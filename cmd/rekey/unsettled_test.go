package main_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

const cautiousScript = `cloud = backend("smartcloud", url = param.string("url"), admin = "admin@acme.example", password = secret.env("CLOUD_PASSWORD"), attempts = 1)
def rotate(user, step):
    step.set(cloud, user.login, step.generate())
workflow(users = csv("accounts.txt", key = "login", delimiter = ";", columns = ["login", "temporary"], secrets = ["temporary"], optional = ["temporary"]),
    rotate = rotate, waves = {"first": wave_rule(take = 4, max_failures = 1), "rest": wave_rule()})
`

// TestUnknownUsersAreSettledAfterAThreshold: a plain resume tries each once more
// and goes on, and one that finds them as they were stays stopped.
func TestUnknownUsersAreSettledAfterAThreshold(t *testing.T) {
	j := newCloudJob(t, 6, smartcloudtest.Active, smartcloudtest.Options{})
	for _, login := range j.logins[:3] {
		j.sim.Faults.Add(resttest.Fault{Account: login, Op: "setUserPassword", Effect: true, Answer: resttest.Drop()})
	}
	j.write("cautious.star", cautiousScript)
	first := j.must(5, "run", "cautious.star", "url="+j.sim.URL(), "--yes")
	if !strings.Contains(first.stdout, "2 pending: rekey resume r") {
		t.Errorf("the advice is another than to settle them:\n%s%s", first.stdout, first.stderr)
	}
	before := j.outcome(5, "resume", "last", "--yes") // nothing has been mended
	if before.Counts["unknown"] < 2 || before.Counts["pending"] == 0 {
		t.Fatalf("with the faults as they were: %v", before.Counts)
	}
	j.sim.Faults.Clear()
	if after := j.outcome(0, "resume", "last", "--yes"); after.Counts["done"] != 6 {
		t.Errorf("with the faults mended: %v", after.Counts)
	}
}
