package main_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// handoverScript gives everybody a new password, and the account that it logs in
// as a dozen, one after the other, in the middle of them.
const handoverScript = `"""The service account among the others."""

a = backend("ldap", label = "a", url = "%s", bind_dn = "%s", bind_password = secret.env("LDAP_BIND_PASSWORD"), base_dn = "%s",
    insecure = True, timeout = "1s", concurrency = 4)

def rotate(user, step):
    if user.login != "service":
        step.set(a, user.login, step.generate())
        return
    for n in range(12):
        step.handover(a, "%s", step.generate())

workflow(users = csv("users.csv", key = "login"), rotate = rotate)
`

func handoverKills() int {
	switch os.Getenv("REKEY_FAULTS") {
	case "full":
		return 60
	case "short":
		return 4
	default:
		return 4
	}
}

// TestSlapdKilledHandoverLocksNobodyOut: the host or its plugin is killed at any
// moment while the account with which rekey logs in gets one password after the
// other. That is always the one from before or one that the ledger holds, and a
// resume, which is configured with the one from before, goes on to the end.
func TestSlapdKilledHandoverLocksNobodyOut(t *testing.T) {
	want := handoverKills()
	d := newDirectory(t, ldaptest.Options{Users: 40})
	d.has("service", d.BindDN, d.Password)
	d.logins = slices.Insert(d.logins[:40:40], 20, "service")
	d.list()
	d.write("handover.star", fmt.Sprintf(handoverScript, d.URL, d.BindDN, d.BaseDN, d.BindDN))
	var c tally
	c.hits, c.tries = d.killedHandovers(want, func(run string) { d.wantKnown(run, &c) }, d.handedOver)
	c.check(t, want)
}

// killedHandovers kills runs of handover.star, and their resumes, at any moment until
// so many kills hit one that hands over, and lets each run end. known looks at what a killed run
// left, done at a finished one, and has the next one log in.
func (p *place) killedHandovers(want int, known, done func(run string)) (hits, tries int) {
	p.t.Helper()
	start := time.Now()
	p.must(0, "run", "handover.star", "--yes")
	whole := time.Since(start)
	done(p.last())
	for ; hits < want && tries < 6*want+40; tries++ {
		before := p.last()
		killed := p.killed(whole, "run", "handover.star", "--yes", "--new")
		// Moments are looked for where runs are, however fast the machine is now.
		if p.last() == before {
			whole = whole * 10 / 9
			continue
		}
		if !killed {
			whole = whole * 9 / 10
		}
		for run := p.last(); killed; killed = tries%2 == 0 && p.killed(whole, "resume", run, "--yes") {
			hits, tries = hits+1, tries+1
			known(run)
		}
		p.must(0, "resume", p.last(), "--yes")
		done(p.last())
	}
	return hits, tries
}

// wantKills says how often a kill hit, and wants so many.
func wantKills(t *testing.T, what string, hits, tries, want int) {
	t.Helper()
	t.Logf("counts: %s: %d kills of %d tries hit a run that hands over", what, hits, tries)
	if hits < want {
		t.Errorf("%d kills hit a run, want %d: the test proves nothing", hits, want)
	}
}

// handedOver wants a finished run whose last values work, and has the next one
// log in with them.
func (d *directory) handedOver(run string) {
	d.t.Helper()
	for login, r := range d.rows(run) {
		if r.Status != "done" {
			d.t.Errorf("%s: %s %s, want done", login, r.Status, r.Code)
		}
	}
	newest := map[string]string{}
	for login, values := range d.revealed(run) {
		newest[login] = values[0].Password
	}
	works := d.binds(newest)
	for _, login := range d.logins {
		if !works[login] {
			d.t.Errorf("%s: the newest value of the ledger does not work", login)
		}
	}
	d.now = newest
	d.env = []string{"LDAP_BIND_PASSWORD=" + newest["service"]}
}
