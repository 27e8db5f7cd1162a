// Package redis is the backend of ACL users of Redis and Valkey.
//
// It sends digests of passwords, never a value but in a verify, and changes of a
// user nothing but its passwords. It knows nothing of rights.
package redis

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

const doc = `An account is an ACL user, spelled exactly as ACL USERS has it: case counts. A user
that does not exist is refused, although Redis would make it.

What success proves: the server has the digest of the value, and, unless save =
"none", has written it to where it reads its users from at its start. A verify is
AUTH with the value; of a user with nopass, whom every value lets in, and of one
that is off it proves nothing, and says so.

set sends the SHA-256 digest (#), so that the value is neither in MONITOR nor in
the slow log, and takes the user's other passwords away. To have the old and the
new one work side by side for a while:

    step.set(cache, user.login, value, options = {"keep_others": True})

A user that is off stays off, sessions that are open stay open until step.revoke ends
them (CLIENT KILL USER), and nopass ends with the first password. A value that is hashed already has hash_format "sha256",
64 digits of 0-9 and a-f.

save       what makes a set last
acl        ACL SAVE, for servers that have an aclfile (default)
config     CONFIG REWRITE, for those whose users stand in redis.conf
none       nothing: THE OLD PASSWORDS ARE BACK WHEN THE SERVER STARTS AGAIN

A server that cannot save is found out before anything is set. What a later save
fails for is put back as it was and saved so, and is refused; if that cannot be
saved either, it is not known what the server has after its next start. ACL SAVE
writes all users, also what others have changed and not saved.

ACLS ARE NOT REPLICATED: each replica and each node of a cluster has its own
users. Give each node a backend with a label of its own. Sessions are
ended on that node alone.

The user that rekey logs in as (default unless user is given) is Protected. It
needs +acl|getuser +acl|setuser +acl|users +acl|whoami and +acl|save (or
+config|rewrite), and +client|kill to end sessions; +config|get and +info let Check see more. With +acl|list (where
sets are saved) or +acl|dryrun (where not; Redis 7) large runs are about twice as
fast, for ACL GETUSER costs a server fifty times the work of a set.

accounts(): filter is a pattern as of KEYS, such as "app-*". Attributes are flags,
passwords (how many), commands, keys and channels.

The connection is rediss:// with the server's certificate checked, or a socket of
this machine (unix:///run/redis/redis.sock). redis:// takes insecure = True.

Example:

    backend("redis", url = "rediss://cache.acme.example", user = "rotator", password = secret.env("REDIS_PASSWORD"))`

// kind is how a server is reached.
var kind = reach.Kind{Scheme: "redis", Secure: "rediss", Port: 6379, Socket: "redis.sock"}

// What makes a set last.
const (
	saveACL    = "acl"
	saveConfig = "config"
	saveNone   = "none"
)

// formatSHA256 is the one hash format: what Redis keeps of a password.
const formatSHA256 = "sha256"

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:        "redis",
		Version:     "1.0.0",
		Summary:     "ACL users of Redis and Valkey: digests only, saved, verified by AUTH",
		Doc:         doc,
		Config:      fields(),
		Options:     []sdk.Field{{Name: "keep_others", Type: sdk.Bool, Doc: "the passwords that the user has go on working beside the new one"}},
		HashFormats: []string{formatSHA256},
		Verbs:       []sdk.Verb{sdk.Set, sdk.Revoke},
		ReplaySafe:  []sdk.Verb{sdk.Set, sdk.Revoke},
		Abilities:   sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:  new(false),
		Limits:      sdk.Limits{Concurrency: 128, Batch: 128},
		Egress:      []string{"{url}"},
		Target:      []string{"url"},
		Paths:       []string{"{ca_file}"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return append(kind.Fields(),
		sdk.Field{Name: "user", Type: sdk.String, Default: defaultUser, Doc: "the user that rekey logs in as"},
		sdk.Field{Name: "password", Type: sdk.Secret, Doc: "its password; not needed of a user with nopass"},
		sdk.Field{Name: "save", Type: sdk.Choice, Default: saveACL, Choices: []string{saveACL, saveConfig, saveNone}, Doc: "what makes a set last: ACL SAVE, CONFIG REWRITE, or nothing"},
	)
}

// Configure opens an instance; the server is met by Check and by the
// operations. A connection without TLS is InsecureTransport unless it is wanted.
func (*Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	return newInstance(settings), nil
}
