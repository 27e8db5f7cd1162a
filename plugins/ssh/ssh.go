// Package ssh is the backend of local accounts of Unix hosts: passwords are set
// over SSH with chpasswd, as hashes that are made here.
//
// It knows the protocol, known_hosts, and the line of an account in /etc/shadow.
// It knows nothing of directories that hosts ask for accounts.
package ssh

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one login each. The zero Backend is ready for use and
// is what New returns.
type Backend struct {
	// Rand is where salts come from. Nil: crypto/rand.
	Rand io.Reader
	// Now is the clock of status. Nil: time.Now.
	Now func() time.Time
}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is USER@HOST or USER@HOST:PORT: one user on many hosts, many users on
one. The user has to stand in the host's own /etc/shadow; accounts of a directory
are not found. Two names of one machine (its address, an alias, another port) are one,
as the machine itself says: by its /etc/machine-id, which has to be its own, and where its
/etc lies. One that has no such file is told by its address. A login that may not ask
does nothing, and an address that is another machine later in a run is refused.

rekey logs in as user, with key_file or with password, and runs, through sudo -n
if that is not root:

    /usr/bin/getent -s files shadow NAME
    /usr/sbin/chpasswd -e               NAME:HASH on standard input
    /usr/bin/chage -d 0 NAME            where must_change = True
    /usr/sbin/usermod -U NAME           unlock
    /usr/bin/getent -s files shadow     accounts()
    /usr/bin/getent -s files passwd NAME
    env LC_ALL=C cat /etc/machine-id && stat -L -c %d:%i /etc     without sudo

The hash ($6$, rounds) is made here: the value reaches no host but by verify, and no
argument, environment or log. So no host applies its own rules to it (pam_pwquality):
demand what they do in the script's policy.

WHAT SUCCESS PROVES: the account's line was read again and has the new hash. Whether
sshd lets the account in is for verify to say: a second connection with the value, by
password or keyboard-interactive, one attempt, which counts as a logon. Where sshd
takes no passwords from the account it cannot tell. An account that is locked or
expired is "blocked". Where the value is right and sshd keeps the account out for
another reason, verify cannot tell.

Minimum and maximum age, warning, inactivity and expiry stay as they are; the day of
the change is set to today. An account that is locked ("!" before its hash) is
refused (AccountStatus) with locked = "refuse", gets the value and stays locked with
"keep", and is unlocked with "unlock". One without a password of its own ("*") is
NoCredential. A user that is logged in as by password is Protected: step.handover
changes it, and goes on with the new one once a second connection has logged in with
that. It takes a backend for that host alone (hosts = ["web1.acme.example"]): which
password is whose would not be known on many.

A host's key has to stand in known_hosts; rekey adds none. Another key than that is
refused (InsecureTransport) with the line and what to do. jump are hosts on the way,
USER@HOST[:PORT], in order; they are logged in to with the same key or password, and
their keys have to be known too. A connection is kept for each host, 64 at most. After a
deadline the host, and those on the way to it, are asked whether they are there: a
connection on which nothing answers for two seconds is given up, and made anew.

With --sandbox, hosts are reached on port 22 only.

accounts() lists those of hosts that have a password; the filter is a shell pattern,
such as "root@*". A stamp is a digest of the hash.

Examples:

    backend("ssh", user = "root", key_file = "fleet_key", known_hosts = "fleet_hosts")
    backend("ssh", user = "rekey", key_file = "fleet_key", known_hosts = "fleet_hosts",
            jump = ["rekey@bastion.acme.example"], hosts = ["web1.acme.example", "web2.acme.example:2222"])`

// The bounds on connections.
const (
	atOnce   = 16 // operations
	mostOpen = 64 // connections that are kept
	starting = 8  // handshakes at once: sshd drops what is more than ten
	channels = 8  // of one connection: sshd gives ten
)

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:       "ssh",
		Version:    "1.0.0",
		Summary:    "local accounts of Unix hosts, over SSH with chpasswd",
		Doc:        doc,
		Config:     fields(),
		Verbs:      []sdk.Verb{sdk.Set, sdk.Unlock, sdk.Handover},
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*Instance)(nil)),
		MustChange: new(true),
		Limits:     sdk.Limits{Concurrency: atOnce},
		Egress:     []string{"any-host:22"},
		Paths:      []string{"{known_hosts}", "{key_file}"},
		Target:     []string{"port", "jump"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return []sdk.Field{
		{Name: "user", Type: sdk.String, Required: true, Doc: "who rekey is on every host; sudo -n is used if it is not root"},
		{Name: "key_file", Type: sdk.Path, Doc: "the user's private key, which no other user may read; or password"},
		{Name: "key_passphrase", Type: sdk.Secret, Doc: "what opens key_file, if it is sealed"},
		{Name: "password", Type: sdk.Secret, Doc: "the user's password, without key_file", Conflicts: []string{"key_file"}},
		{Name: "known_hosts", Type: sdk.Path, Required: true, Doc: "the keys of all hosts, as OpenSSH keeps them"},
		{Name: "jump", Type: sdk.List, Doc: "hosts on the way, USER@HOST[:PORT], in order"},
		{Name: "port", Type: sdk.Int, Default: 22, Doc: "of hosts that are named without one"},
		{Name: "sudo", Type: sdk.Choice, Default: sudoAuto, Choices: []string{sudoAuto, sudoAlways, sudoNever}, Doc: "whether commands are run by sudo -n; auto: if user is not root"},
		{Name: "locked", Type: sdk.Choice, Default: lockedRefuse, Choices: []string{lockedRefuse, lockedKeep, lockedUnlock}, Doc: "what becomes of an account that is locked"},
		{Name: "rounds", Type: sdk.Int, Default: shacrypt.DefaultRounds, Doc: "of the hash: 1000 to 10000000"},
		{Name: "min_length", Type: sdk.Int, Default: 1, Doc: "the fewest characters of a value"},
		{Name: "hosts", Type: sdk.List, Doc: "the hosts that accounts() lists, and that are looked at before a run: HOST[:PORT]"},
	}
}

// Configure opens an instance. Hosts are met by Check and by the operations.
func (b *Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	instance := &Instance{settings: settings, fleet: newFleet(settings), rand: b.Rand, now: b.Now}
	if instance.rand == nil {
		instance.rand = rand.Reader
	}
	if instance.now == nil {
		instance.now = time.Now
	}
	return instance, nil
}
