// Package postgres is the backend of roles of PostgreSQL.
//
// It makes the verifier of a password itself, so that the value reaches neither
// the server nor its log, and changes of a role nothing but its password and,
// where it is told to, its VALID UNTIL.
package postgres

import (
	"context"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one cluster each. The zero Backend is ready for use
// and is what New returns.
type Backend struct{}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is a role, spelled exactly as pg_roles has it: case counts. A name of
more than 63 bytes is refused, because the server would cut it and mean another
role.

What success proves: the server has committed the new verifier. Whether the role
can log in with it from here only a verify tells, which is a logon over this
connection: pg_hba.conf has the last word on that.

set makes a SCRAM-SHA-256 verifier here and sends that: the value itself reaches
neither the server nor its log. THE LOG HAS THE VERIFIER where log_statement is
ddl, mod or all, and of a statement that failed; who reads it can try passwords
against it, so keep the log as you keep the database. What clients
prepare in different ways (SASLprep) is refused: no-break and other wide spaces,
characters without width, ligatures, ² and their like, accents that stand alone.

With a set, attributes, memberships and open sessions of the role stay as they are. VALID
UNTIL stays too, unless options say otherwise:

    step.set(db, user.login, value, options = {"valid_days": 90})
    step.set(db, user.login, value, options = {"valid_until": "2027-01-31"})   # or a time, or "infinity"

A value that is hashed already has hash_format "scram-sha-256", the whole text of
pg_authid.rolpassword, or "md5", "md5" and 32 digits. One that is malformed is
refused here: the server would take it for a password in clear. An md5 hash is
of the name too, and is dead after a rename.

verify is a logon. A role that may not log in (NOLOGIN) and one whose VALID UNTIL
has passed are Blocked; the server lets the former be told only with the right
value. Where pg_hba.conf asks for no password (trust, peer, cert), or for the
password itself (password, ldap, pam, radius), nothing is proven: verify says so,
and does not hand the value over.

The role needs CREATEROLE, from PostgreSQL 16 on also ADMIN OPTION on the roles
that it changes; superusers take a superuser and are Protected otherwise. The role
that rekey logs in as is Protected, and so are pg_… roles: step.handover changes
the former's password, and goes on with it once a session has logged in with it.

step.revoke ends the sessions that a role has open (pg_terminate_backend) and waits
until they are gone; that takes pg_signal_backend. One that is logging in at that
moment with the old password may be missed: call it after the set, and verify. SESSIONS ON
STANDBYS AND OTHER NODES STAY OPEN: it ends those on the server that it is connected to.

passwordcheck sees no value here. Where it is loaded and the role may read that
(pg_read_all_settings), its rules are kept by rekey.

accounts() are the roles that can log in. filter is an SQL condition over
pg_roles, such as "rolname LIKE 'app\_%' AND NOT rolsuper" or
"pg_has_role(oid, 'staff', 'member')". Attributes are columns of pg_roles, comment,
and memberof, the groups as a list.

The connection is TLS with the server's certificate checked, or a socket of this
machine (unix:///run/postgresql). Without TLS it takes insecure = True; then too
the password of user is never sent in clear.

Example:

    backend("postgres", url = "postgres://db.acme.example", user = "rotator", password = secret.env("PG_PASSWORD"))`

// kind is how a cluster is reached.
var kind = reach.Kind{Scheme: "postgres", Port: 5432, Socket: ".s.PGSQL.5432"}

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:        "postgres",
		Version:     "1.0.0",
		Summary:     "roles of PostgreSQL: SCRAM verifiers made here, verified by a logon",
		Doc:         doc,
		Config:      fields(),
		Options:     options(),
		HashFormats: []string{formatSCRAM, formatMD5},
		Verbs:       []sdk.Verb{sdk.Set, sdk.Revoke, sdk.Handover},
		ReplaySafe:  []sdk.Verb{sdk.Set, sdk.Revoke},
		Abilities:   sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:  new(false),
		Limits:      sdk.Limits{Concurrency: 16},
		Egress:      []string{"{url}"},
		Target:      []string{"url"},
		Paths:       []string{"{ca_file}"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return append(kind.Fields(),
		sdk.Field{Name: "user", Type: sdk.String, Required: true, Doc: "the role that rekey logs in as"},
		sdk.Field{Name: "password", Type: sdk.Secret, Doc: "its password; not needed where pg_hba.conf asks for none, as over a socket with peer"},
		sdk.Field{Name: "database", Type: sdk.String, Default: defaultDatabase, Doc: "where rekey, and each verify, logs in: roles are those of the whole cluster"},
		sdk.Field{Name: "iterations", Type: sdk.Int, Default: defaultIterations, Doc: "of the SCRAM verifier: as scram_iterations of the server"},
	)
}

func options() []sdk.Field {
	return []sdk.Field{
		{Name: "valid_until", Type: sdk.String, Conflicts: []string{"valid_days"}, Doc: `VALID UNTIL: "2027-01-31" (its first moment, UTC), a time as in RFC 3339, or "infinity"`},
		{Name: "valid_days", Type: sdk.Int, Conflicts: []string{"valid_until"}, Doc: "VALID UNTIL: so many days from now"},
	}
}

// Configure opens an instance; the server is met by Check and by the
// operations. A connection without TLS is InsecureTransport unless it is wanted.
func (*Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	return newInstance(settings)
}
