// Package mysql is the backend of accounts of MariaDB and MySQL.
//
// It makes the hash of a password itself where the server takes one, so that the
// value reaches neither the server nor its log, and changes of an account nothing
// but its password, its expiry where it is told to, and its lock when it is asked.
package mysql

import (
	"context"

	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one server each. The zero Backend is ready for use
// and is what New returns.
type Backend struct{}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is user@host as mysql.user has it: the host is what follows the last @.
Without one it is %, so that "ann" and "ann@%" are one account; ann@acme.example
of any host is "ann@acme.example@%". Users are told apart by case, hosts are not.

What success proves: the server says that the account has the new hash. Whether a
client can log in with it only a verify tells, which is a logon from this machine:
it proves nothing of an account whose host is another one, or for whose user the
server prefers another account here, and says so.

set of a plain value keeps the way in which the account proves its password
(hash_format makes it the way of that hash): on MariaDB
mysql_native_password and ed25519, whose hashes are made here, on MySQL that and
caching_sha2_password, for which the server makes the hash (MySQL keeps values out
of its logs). An account that logs in without a password of its own (unix_socket,
pam, gssapi, LDAP) is NoCredential; one with several ways (MariaDB) is Unsupported, because
a set would take the others away.

MariaDB with a plugin that validates passwords (simple_password_check,
cracklib_password_check) takes no hashes unless strict_password_validation is
off. send = "value" lets it see the value: THE GENERAL LOG, WHERE IT IS ON, THEN
HAS EVERY VALUE, and the error log may have it too.

A set leaves a lock (ACCOUNT LOCK) and the interval of expiry as they are; verify
of a locked account is Blocked, step.unlock lifts the lock. A password that has
expired is fresh after a set, unless must_change = True, which is PASSWORD EXPIRE.
On MySQL from 8.0.14 on the old password goes on working beside the new one with

    step.set(db, user.login, value, options = {"retain_current": True})

until ALTER USER … DISCARD OLD PASSWORD, or the next set with it.

step.revoke ends the sessions of an account (KILL CONNECTION) and waits until they
are gone: THOSE OF ALL ACCOUNTS OF THE SAME USER, whatever their host, because a
server does not tell which one a session logged in as. That takes PROCESS and, of
MariaDB, CONNECTION ADMIN, of MySQL, CONNECTION_ADMIN. It ends those on the server of
url alone: SESSIONS ON OTHER NODES AND REPLICAS STAY OPEN. Behind a proxy, or where
addresses are translated, it is Unsupported: which server ends what is not known there.

A value that is hashed already has hash_format "mysql_native_password" (* and 40
digits), "ed25519" (43 characters), or on MySQL "caching_sha2_password" ($A$…).

The user needs CREATE USER, and SELECT on mysql.user and mysql.global_priv (of
MySQL: mysql.user). The account that rekey is logged in as is Protected: step.handover
gives it a password, and goes on with that once a second session has logged in with it.
Accounts of the server's own, and those with SUPER where rekey has it not, are
Protected, too.

accounts() leaves out roles, anonymous users and those of the server's own. filter
is an SQL condition over mysql.user, such as "Host = '%' AND User LIKE 'app\_%'".
Attributes are user, host, plugin and super.

The connection is TLS with the server's certificate checked, or a socket of this
machine (unix:///run/mysqld/mysqld.sock). Without TLS it takes insecure = True.
A statement that is cut off at its deadline is ended, and the server asked what came
of it; behind a proxy it stays unknown, for its session may be on another server.
MySQL's own forms are by its manual; the tests have a MariaDB.

Example:

    backend("mysql", url = "mysql://db.acme.example", user = "rotator", password = secret.env("MYSQL_PASSWORD"))`

// kind is how a server is reached.
var kind = reach.Kind{Scheme: "mysql", Port: 3306, Socket: "mysqld.sock"}

// How a value is sent.
const (
	sendHash  = "hash"
	sendValue = "value"
)

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:        "mysql",
		Version:     "1.0.0",
		Summary:     "accounts (user@host) of MariaDB and MySQL: hashes made here, verified by a logon",
		Doc:         doc,
		Config:      fields(),
		Options:     []sdk.Field{{Name: "retain_current", Type: sdk.Bool, Doc: "MySQL from 8.0.14 on: the old password goes on working (RETAIN CURRENT PASSWORD)"}},
		HashFormats: []string{native, ed25519, cachingSHA2},
		Verbs:       []sdk.Verb{sdk.Set, sdk.Unlock, sdk.Revoke, sdk.Handover},
		ReplaySafe:  []sdk.Verb{sdk.Set, sdk.Unlock, sdk.Revoke},
		Abilities:   sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:  new(true),
		Limits:      sdk.Limits{Concurrency: 64, Batch: 64},
		Egress:      []string{"{url}"},
		Target:      []string{"url"},
		Paths:       []string{"{ca_file}"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return append(kind.Fields(),
		sdk.Field{Name: "user", Type: sdk.String, Required: true, Doc: "the user that rekey logs in as"},
		sdk.Field{Name: "password", Type: sdk.Secret, Doc: "its password; not needed over a socket with unix_socket"},
		sdk.Field{Name: "send", Type: sdk.Choice, Default: sendHash, Choices: []string{sendHash, sendValue}, Doc: "what MariaDB gets: a hash, or the value, which its validating plugins can see and its general log shows"},
	)
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
