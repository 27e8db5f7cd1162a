package main_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// TestAPersonSettlesWhoIsUnknown: what a person saw ends the doubt, no operation is sent for
// it, and a retry goes on: with a fresh value where it is not the one sent.
func TestAPersonSettlesWhoIsUnknown(t *testing.T) {
	for as, want := range map[string]struct {
		status string // of the user
		exit   int
		state  string // of the value
		values int    // after a retry
	}{"changed": {"partial", 3, "applied", 1}, "1": {"partial", 3, "applied", 1}, "unchanged": {"failed", 3, "refused", 2}} {
		t.Run(as, func(t *testing.T) {
			j := newCloudJob(t, 2, smartcloudtest.Active, smartcloudtest.Options{})
			login := j.logins[0]
			j.sim.Faults.Add(resttest.Fault{Account: login, Op: "setUserPassword", Effect: true, Answer: resttest.Drop()})
			j.write("cautious.star", strings.Replace(cautiousScript, "attempts = 1", `attempts = 1, timeout = "500ms"`, 1))
			j.must(5, "run", "cautious.star", "url="+j.sim.URL(), "--yes")
			j.must(2, "settle", "last", "--user", login, "--as", as)                      // without a reason
			j.must(2, "settle", "last", "--user", login, "--as", "7", "--reason", "eyes") // there is one value
			j.must(2, "settle", "last", "--user", j.logins[1], "--as", as, "--reason", "eyes")
			early := j.must(2, "settle", "last", "--user", login, "--as", as, "--reason", "eyes")
			if !strings.Contains(early.stderr, "a request may still reach "+login) {
				t.Errorf("a doubt that may end by itself: %s", early.stderr)
			}
			time.Sleep(4 * 500 * time.Millisecond) // as long as that may be
			sent := j.sim.Requests()["setUserPassword"]
			out := j.must(want.exit, "settle", "last", "--user", login, "--as", as, "--reason", "I logged on with it", "--requestor", "INC-9")
			if now := j.sim.Requests()["setUserPassword"]; now != sent {
				t.Errorf("%d requests were sent", now-sent)
			}
			if !strings.Contains(out.stderr, "2 users, 1 done, 1 "+want.status) && !strings.Contains(out.stderr, "2 users, 1 "+want.status+", 1 done") {
				t.Errorf("%s%s", out.stdout, out.stderr)
			}
			var values []struct{ State string }
			if err := json.Unmarshal([]byte(j.must(0, "reveal", "last", login, "--json").stdout), &values); err != nil || len(values) != 1 || values[0].State != want.state {
				t.Errorf("values %+v (%v), want one that is %s", values, err, want.state)
			}
			if shown := j.must(0, "show", "last", "--user", login).stdout; !strings.Contains(shown, "settled as "+as+" by ") || !strings.Contains(shown, "I logged on with it") {
				t.Errorf("show does not tell:\n%s", shown)
			}
			if log := j.must(0, "log", "last").stdout; !strings.Contains(log, "settled") || !strings.Contains(log, "for INC-9") {
				t.Errorf("log does not tell:\n%s", log)
			}
			j.must(0, "audit", "verify", "last")
			j.sim.Faults.Clear()
			if after := j.outcome(0, "retry", "last", "--user", login, "--yes"); after.Counts["done"] != 2 {
				t.Errorf("after a retry: %v", after.Counts)
			}
			if values := j.must(0, "reveal", "last", login, "--json").stdout; strings.Count(values, `"state": "applied"`) != 1 || strings.Count(values, `"password"`) != want.values {
				t.Errorf("after a retry:\n%s", values)
			}
		})
	}
}
