package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
)

// wired is a run of a script whose plugin reaches its server through a relay.
type wired struct {
	*place
	relay  *relay
	args   []string // of rekey run
	before func()   // puts all back to where the script begins
	safe   func()   // what has to be so after a cut or a kill
	done   func()   // and at the end
}

// message is one between a plugin and its server.
type message struct {
	direction direction
	nth       int
}

// everywhere has a clean run count its messages in each direction. At each, or at some,
// rekey is killed, or the connection is cut under it; the message does not arrive.
func (w wired) everywhere(name string) {
	w.t.Helper()
	w.owned()
	w.before()
	w.relay.count()
	w.must(0, w.run()...)
	w.done()
	sent, received := w.relay.counted()
	seed := harnessSeed(w.t)
	moments, kills, cuts := someOf(sent, received, seed), 0, 0
	for round, when := range moments {
		strike, counted := w.cutAt, &cuts
		if (round+int(seed))%2 == 0 {
			strike, counted = w.killedAt, &kills
		}
		hit := strike(when)
		for !hit && when.nth > 1 && !w.t.Failed() { // a run on a loaded machine needs fewer: it sends more at once
			when.nth /= 2
			hit = strike(when)
		}
		if hit {
			*counted++
		}
		if w.t.Failed() {
			w.t.Fatalf("at message %+v, of %d and %d; seed %d", when, sent, received, seed)
		}
	}
	w.t.Logf("counts: %s: %d messages to the server and %d from it in a clean run; of %d chosen rekey was killed at %d and the connection cut at %d", name, sent, received, len(moments), kills, cuts)
	if kills+cuts < len(moments)*8/10 || kills == 0 || cuts == 0 {
		w.t.Errorf("%d kills and %d cuts of %d: the test proves nothing", kills, cuts, len(moments))
	}
}

func (w wired) run() []string { return append([]string{"run", "--yes"}, w.args...) }

// killedAt kills rekey at a message, and has the run resumed to its end.
func (w wired) killedAt(when message) (hit bool) {
	w.t.Helper()
	w.before()
	was, v := w.last(), newVictim(w.command(w.run()...))
	w.relay.strike(when.direction, when.nth, func() {
		hit = true
		_ = v.started().Process.Kill()
	})
	said, err := v.run()
	w.gone()
	w.relay.count()
	if err != nil && !hit {
		w.t.Fatalf("a run that was not killed: %v: %s", err, said)
	}
	if !hit {
		w.done()
		return false
	}
	w.safe()
	if run := w.last(); run != was {
		w.must(0, "resume", run, "--yes")
	} else {
		w.must(0, w.run()...)
	}
	w.done()
	return true
}

// cutAt cuts the connection at a message. The run itself goes on; what it could not
// finish, the next commands do.
func (w wired) cutAt(when message) (hit bool) {
	w.t.Helper()
	w.before()
	was := w.last()
	w.relay.strike(when.direction, when.nth, func() { hit = true })
	ended := w.rekey(w.run()...)
	w.relay.count()
	for _, command := range []string{"resume", "retry"} {
		if run := w.last(); run != was && ended.exit != 0 {
			w.safe()
			ended = w.rekey(command, run, "--yes")
		}
	}
	if ended.exit != 0 { // there is no run, or it has ended without a change
		w.must(0, w.run()...)
	}
	w.done()
	return hit
}

// someOf are the messages to strike at: all with REKEY_FAULTS=full, else one of each
// direction, a kill and a cut, other ones with another seed.
func someOf(sent, received int, seed uint64) []message {
	most := map[string]int{"full": sent + received, "short": 4}[os.Getenv("REKEY_FAULTS")]
	chance := rand.New(rand.NewPCG(seed, 12))
	var chosen []message
	for whose, count := range []int{sent, received} {
		for _, index := range chance.Perm(count)[:min(count, max(1, most))] {
			chosen = append(chosen, message{direction(whose), index + 1})
		}
	}
	return chosen
}

// TestServiceAccountCutAtEveryMessage: the role and both programs have one value, which
// the ledger names, wherever the database was lost.
func TestServiceAccountCutAtEveryMessage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	relay := newRelay(t, s.Address)
	s.URL = "postgres://" + relay.address
	wired{s.place, relay, s.args(), s.start, s.safe, s.done}.everywhere("service account")
}

// TestSlapdHandoverCutAtEveryMessage: rekey's own entry is never locked out.
func TestSlapdHandoverCutAtEveryMessage(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, ldaptest.Options{Users: 1})
	relay := newRelay(t, strings.TrimPrefix(d.URL, "ldap://"))
	d.has("service", d.BindDN, d.Password)
	d.logins = append(d.logins[:1:1], "service")
	d.list()
	d.write("handover.star", few(fmt.Sprintf(handoverScript, "ldap://"+relay.address, d.BindDN, d.BaseDN, d.BindDN)))
	var c tally
	wired{d.place, relay, []string{"handover.star", "--new"}, func() {}, func() { d.wantKnown(d.last(), &c) }, func() { d.handedOver(d.last()) }}.everywhere("handover on slapd")
	if c.lost > 0 {
		t.Errorf("%d values that nobody can name", c.lost)
	}
}

// TestSSHHandoverCutAtEveryMessage: nor is its user of a host.
func TestSSHHandoverCutAtEveryMessage(t *testing.T) {
	t.Parallel()
	h := newLoginHost(t)
	relay := newRelay(t, h.Address)
	there := relay.address
	h.write("known", sshtest.Line(there, h.HostKey))
	h.write("users.csv", "login\nuser0\nsvc\n")
	h.now = map[string]string{"svc": h.now["svc"], "user0": h.now["user0"]}
	script := fmt.Sprintf(sshHandover, h.dir+"/known", there, there, there)
	h.write("handover.star", strings.Replace(script, "range(4)", "range(1)", 1))
	wired{h.place, relay, []string{"handover.star", "--new"}, func() {}, func() { h.wantKnown(h.last(), false) }, func() { h.wantKnown(h.last(), true); h.next(h.last()) }}.everywhere("handover by ssh")
}
