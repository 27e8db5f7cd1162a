// Package sqltable is the backend of an application's own table of users, in
// PostgreSQL, MariaDB, MySQL or SQLite.
//
// It makes the hash as the application reads it and changes one row, or none. It
// knows columns by the names that it is told, and nothing of applications.
package sqltable

import (
	"context"
	"io/fs"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/plugins/internal/reach"
	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one table each. The zero Backend is ready for use
// and is what New returns.
type Backend struct{}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is what the column key holds, in exactly one row. A set changes that row
and no other: where none or several match, nothing is changed. A name that the
database takes for another one (a space at its end, an accent) is refused; one that
differs in case alone is the same account where the database says so.

What success proves: the row holds a hash of the value, read back before the
commit. WHETHER THE APPLICATION LETS ITS USER IN WITH IT IS NOT PROVEN, nor by a
verify, which compares with the hash in the table: try one account by hand first.
The login pages of WordPress 6.1 and Django 3.2 are tested; that of WordPress takes
no value with a quote or a backslash, for it changes what is typed.
Sessions and tokens of the application stay as they are until step.revoke ends them,
where sessions says how: one statement, in which {account} is a parameter, such as
"DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE login = {account})".

Up to 64 rows are one transaction, made of good rows alone: one that fails has a
transaction and an answer of its own. A commit whose answer is lost leaves all rows
of its transaction unknown.

hash              as the column holds it                  cost (default)
argon2id          $argon2id$v=19$m=…,t=…,p=…$…$…          passes (2); memory in KiB (19456), parallelism (1)
bcrypt            $2y$10$…; no more than 72 bytes         2 to the power of it (10)
scrypt            $scrypt$ln=…,r=8,p=1$…$…                2 to the power of it (15)
pbkdf2-django     pbkdf2_sha256$ROUNDS$…$…                rounds (720000)
pbkdf2-keycloak   JSON in column and in data_column       rounds (210000, SHA-512)
phpass            $P$…: WordPress, phpBB                  2 to the power of it (13)
sha512-crypt      $6$rounds=…$…$…                         rounds (100000)
yescrypt          $y$j9T$…: crypt(3) of Debian            2 to the power of it (12)
ssha              {SSHA}…                                 none
ha1               MD5 of KEY:realm:VALUE, for SIP         none

A value that is hashed already has hash_format, the name of the hash; it has to
be the one that the instance writes, and cannot be pbkdf2-keycloak, which has two
columns. A table of MariaDB or MySQL has to have transactions (InnoDB).

A row whose column is empty, or holds what no value fits (NULL, !…, *…), is an
account without a password of its own: NoCredential, unless replace_unusable =
True.

Beside the password a set writes must_change_column (where must_change is given),
updated_column, and what set says, such as set = ["failed_logins=0"]. Values are
parameters and names are quoted; where and filter are SQL conditions as they are.

accounts(): filter is a condition over the table. Attributes are columns of it, but
not those that hold passwords.

The user needs SELECT and UPDATE on the table, and what the statement of sessions
takes. The connection is TLS with the
server's certificate checked, or a socket of this machine (unix:///PATH). Without
TLS it takes insecure = True. engine = "sqlite" has path instead of url; the
file's directory has to be writable.

definition = "app.star" names a file that gives the settings of an application, for
whom they are too many: sqltable(summary, settings = [setting("prefix")], passes =
["engine", "url", "database", "user", "password"]) says what it asks its user for, and
configure(settings) returns a dict of the settings below. rekey backends http shows the language.

Examples:

    backend("sqltable", engine = "mysql", url = "mysql://db.acme.example", database = "wordpress", user = "rotator",
            password = secret.env("DB_PASSWORD"), table = "wp_users", key = "user_login", column = "user_pass", hash = "phpass")
    backend("sqltable", engine = "postgres", url = "unix:///run/postgresql", database = "keycloak", user = "rotator",
            table = "credential", key = "user_id", where = "type = 'password'", column = "secret_data",
            data_column = "credential_data", hash = "pbkdf2-keycloak")
    backend("sqltable", engine = "sqlite", path = "/var/lib/app/app.db", table = "auth_user", key = "username",
            column = "password", hash = "pbkdf2-django")`

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:        "sqltable",
		Version:     "1.0.0",
		Summary:     "an application's own table of users in PostgreSQL, MariaDB, MySQL or SQLite",
		Doc:         doc,
		Config:      fields(),
		HashFormats: hashable(),
		Verbs:       []sdk.Verb{sdk.Set, sdk.Revoke},
		ReplaySafe:  []sdk.Verb{sdk.Set, sdk.Revoke},
		Abilities:   sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:  new(true),
		Limits:      sdk.Limits{Concurrency: 64, Batch: 64},
		Egress:      []string{"{url}"},
		Target:      []string{"engine", "url", "path", "database", "schema", "table", "key", "where"},
		Paths:       []string{"{ca_file}", "write {path}"},
	}
}

func fields() []sdk.Field {
	all := (reach.Kind{Scheme: "postgres"}).Fields()
	all[0].Required = false
	all[0].Doc = "postgres://HOST[:PORT] or mysql://HOST[:PORT], or unix:///PATH for a socket of this machine"
	text := func(name, doc string) sdk.Field { return sdk.Field{Name: name, Type: sdk.String, Doc: doc} }
	must := func(name, doc string) sdk.Field {
		return sdk.Field{Name: name, Type: sdk.String, Required: true, Doc: doc}
	}
	return append(all,
		sdk.Field{Name: "engine", Type: sdk.Choice, Required: true, Choices: []string{enginePostgres, engineMySQL, engineSQLite}, Doc: "what keeps the table"},
		sdk.Field{Name: "path", Type: sdk.Path, Doc: "sqlite: the file"},
		text("database", "the database that the table is in"),
		text("user", "who rekey is to the server"),
		sdk.Field{Name: "password", Type: sdk.Secret, Doc: "its password"},
		text("schema", "the schema of the table, where it is not the one that is found anyway"),
		must("table", "the table"),
		must("key", "the column that accounts are named by"),
		must("column", "the column of the hash"),
		sdk.Field{Name: "hash", Type: sdk.Choice, Required: true, Choices: formats(), Doc: "how the application hashes"},
		sdk.Field{Name: "cost", Type: sdk.Int, Default: 0, Doc: "of the hash; 0 is its default"},
		sdk.Field{Name: "memory", Type: sdk.Int, Default: 0, Doc: "argon2id: KiB"},
		sdk.Field{Name: "parallelism", Type: sdk.Int, Default: 0, Doc: "argon2id: threads"},
		text("realm", "ha1: the realm"),
		text("data_column", "pbkdf2-keycloak: the column of the parameters"),
		text("where", "an SQL condition that rows of accounts fulfil"),
		text("must_change_column", "a column that says whether the owner has to change the password"),
		sdk.Field{Name: "must_change_values", Type: sdk.List, Default: []string{"1", "0"}, Doc: "what it holds if so, and if not"},
		text("updated_column", "a column that says when the password was set"),
		sdk.Field{Name: "updated_as", Type: sdk.Choice, Default: asTimestamp, Choices: []string{asTimestamp, asUnix, asMillis}, Doc: "how: a time, or seconds or milliseconds since 1970"},
		sdk.Field{Name: "set", Type: sdk.List, Doc: `further columns: "COLUMN=VALUE"`},
		text("sessions", "a statement that ends the sessions of {account}, for step.revoke"),
		definition.Setting(),
		sdk.Field{Name: "replace_unusable", Type: sdk.Bool, Default: false, Doc: "give accounts without a password one; without it they are NoCredential"},
	)
}

// Define returns the backend of a definition, whose settings make this one's.
func (b *Backend) Define(file, text string) (sdk.Backend, error) {
	return definition.Preset(b, file, text)
}

// Shipped returns nil: no definition comes with it.
func (*Backend) Shipped() fs.FS { return nil }

// Configure opens an instance; the database is met by Check and by the
// operations. A connection without TLS is InsecureTransport unless it is wanted.
func (*Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	return newInstance(settings)
}
