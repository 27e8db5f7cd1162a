package main_test

import (
	"fmt"
	"testing"

	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
)

const sshHandover = `"""The login among the accounts of a host."""

a = backend("ssh", label = "a", user = "svc", password = secret.env("SSH_PASSWORD"), known_hosts = "%s", hosts = ["%s"], rounds = 1000, timeout = "5s", concurrency = 4)

def rotate(user, step):
    if user.login != "svc":
        step.set(a, user.login + "@%s", step.generate())
        return
    for n in range(4):
        step.handover(a, "svc@%s", step.generate())

workflow(users = csv("users.csv", key = "login"), rotate = rotate)
`

// loginHost is a host with users, as one of whom rekey logs in, by password.
type loginHost struct {
	*sshtest.Server
	*place
	now map[string]string // the line that each user had before
}

func newLoginHost(t *testing.T) *loginHost {
	t.Helper()
	// The hash of "service-0", by openssl passwd -6 -salt saltsalt.
	const before = "$6$saltsalt$c/MgnTT/r7bJTz245FkfsgjOKONq5eyKtXf2YbG9U1iQcgTrhrlVB92zpWE.plKkFN1yZ9MN.5SNPgXiWIlvG."
	users, list := []string{"svc:" + before + ":19000:0:99999:7:::"}, "login\nuser0\nuser1\nsvc\nuser2\nuser3\n"
	for n := range 4 {
		users = append(users, fmt.Sprintf("user%d:$6$saltsalt$x:19000:0:99999:7:::", n))
	}
	h := &loginHost{sshtest.Start(t, sshtest.Options{Users: users, Config: "MaxStartups 100\n", Sudo: "svc ALL=(ALL) NOPASSWD: ALL\n"}), newPlace(t), map[string]string{}}
	for _, user := range []string{"svc", "user0", "user1", "user2", "user3"} {
		h.now[user] = h.Shadow(user)
	}
	h.env = []string{"SSH_PASSWORD=service-0"}
	h.write("users.csv", list)
	h.write("handover.star", fmt.Sprintf(sshHandover, h.KnownHosts, h.Address, h.Address, h.Address))
	return h
}

// wantKnown wants the line of each user to be the one from before, or its hash to be
// that of a value which the ledger reveals: of a finished run, of the newest.
func (h *loginHost) wantKnown(run string, done bool) {
	h.t.Helper()
	revealed := h.revealed(run)
	for user, before := range h.now {
		known := !done && h.Shadow(user) == before
		for n := 0; !known && n < len(revealed[user]) && (n == 0 || !done); n++ {
			known = h.Holds(user, revealed[user][n].Password)
		}
		if !known {
			h.t.Errorf("%s: its password is not the one of before, nor the newest of %d revealed values", user, len(revealed[user]))
		}
	}
}

// next is the host as the next run finds it.
func (h *loginHost) next(run string) {
	h.t.Helper()
	for user, row := range h.reported(run) {
		if row.Status != "done" {
			h.t.Errorf("%s: %s %s, want done", user, row.Status, row.Code)
		}
		h.now[user] = h.Shadow(user)
	}
	h.env = []string{"SSH_PASSWORD=" + h.revealed(run)["svc"][0].Password}
}

// TestSSHKilledHandoverLocksNobodyOut: as on slapd, with users of a host.
func TestSSHKilledHandoverLocksNobodyOut(t *testing.T) {
	want := handoverKills() / 4
	h := newLoginHost(t)
	hits, tries := h.killedHandovers(want, func(run string) { h.wantKnown(run, false) }, func(run string) { h.wantKnown(run, true); h.next(run) })
	wantKills(t, "ssh", hits, tries, want)
}
