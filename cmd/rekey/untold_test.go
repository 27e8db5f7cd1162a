package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

func TestResetsThatTellNoValueAreCounted(t *testing.T) {
	j := newCloudJob(t, 3, smartcloudtest.Active, smartcloudtest.Options{})
	j.write("reset.star", fmt.Sprintf(`cloud = backend("smartcloud", url = %q, admin = %q, password = secret.env("CLOUD_PASSWORD"))
def rotate(user, step):
    step.reset(cloud, user.login)
workflow(users = csv("accounts.txt", key = "login", delimiter = ";", columns = ["login", "temporary"], secrets = ["temporary"], optional = ["temporary"]), rotate = rotate)
`, j.sim.URL(), "admin@acme.example"))
	r := j.must(0, "run", "reset.star", "--yes", "--json")
	if !strings.Contains(r.stdout, `"untold": 3`) || !strings.Contains(r.stderr, "3 resets gave a value that only the target knows") {
		t.Errorf("got\n%s%s", r.stdout, r.stderr)
	}
	if list := j.must(0, "reveal", "last", "--json").stdout; strings.TrimSpace(list) != "[]" {
		t.Errorf("nothing can be revealed, got %s", list)
	}
	j.must(0, "audit", "verify", "last")
}
