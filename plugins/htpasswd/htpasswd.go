// Package htpasswd is the backend of password files as Apache httpd, nginx
// and their like read them: a line an account, NAME:HASH.
//
// It knows the hashes that such files hold, and how to replace a file so that
// neither a crash nor another rekey loses a line of it. It knows nothing of
// the servers that read the file: none has to be reloaded.
package htpasswd

import (
	"context"
	"crypto/rand"
	"io"
	"runtime"

	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one password file each. The zero Backend is ready
// for use and is what New returns.
type Backend struct {
	// Rand is where salts come from, those of bcrypt excepted. Nil: crypto/rand.
	Rand io.Reader
}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is the name before the first colon, byte for byte. Of two lines
with one name the first counts, as it does for the servers.

The file is locked (flock on its directory), read again under the lock, written
beside itself and renamed into place: a crash leaves the old file or the new
one, and two runs on one file lose nothing. Order, comments, blank lines, line
ends, further fields and the hashes of other accounts stay byte for byte; mode,
owner, access lists and a symbolic link are kept. Apache's own htpasswd takes
no lock and writes in place: do not run it at the same time. Because the file
is replaced, hard links keep showing the old one, and a file that is a mount of
its own (docker -v FILE:FILE) cannot be: mount the directory.

A set replaces the hash of an existing account, of every kind that servers read;
with create = True it adds a missing account at the end, and makes a missing
file (mode 0600: give the server's group its right once, it is kept).

A file that is not such a file is refused before anything is changed: digest
files, lines that end in CR alone, blanks or a byte order mark before a name, NUL
bytes, names that are not UTF-8, hashes of other programs (argon2, mosquitto's
$7$, a list in clear). replace_foreign = True takes the last of these.

Hashing is not bound to the deadline of an operation: one whose hash is not
ready comes again, with no attempt spent.

hash    cost                                          values
bcrypt  4 to 17, 10 unless given; $2y$                72 bytes at most
sha512  rounds, 1000 to 10000000, 5000 unless given   255 bytes at most
sha256  as sha512                                     255 bytes at most
apr1    fixed                                         255 bytes at most

verify compares with the hash in the file and is not a logon. It reads bcrypt,
$5$, $6$, $apr1$, $1$, {SHA} and {SSHA}, and cannot tell of others. The filter
of accounts() is a shell pattern of names, such as "team-*"; its attributes are
"hash" (the kind of hash) and "line".

Example:

    backend("htpasswd", path = "/etc/nginx/users.htpasswd", hash = "sha512")`

// Describe returns what an instance can do.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:    "htpasswd",
		Version: "1.0.0",
		Summary: "password files of Apache httpd, nginx and others",
		Doc:     doc,
		Config: []sdk.Field{
			{Name: "path", Type: sdk.Path, Required: true, Doc: "the password file"},
			{Name: "hash", Type: sdk.Choice, Default: "bcrypt", Choices: []string{"bcrypt", "sha512", "sha256", "apr1"}, Doc: "how new values are hashed"},
			{Name: "cost", Type: sdk.Int, Default: defaultCost, Doc: "the cost of bcrypt, or the rounds of sha512 and sha256 (5000 if left at 10)"},
			{Name: "replace_foreign", Type: sdk.Bool, Default: false, Doc: "replace hashes of kinds that neither Apache nor nginx reads; without it a file that has one is refused"},
			{Name: "create", Type: sdk.Bool, Default: false, Doc: "make missing accounts, and the file"},
		},
		Verbs:      []sdk.Verb{sdk.Set, sdk.Change},
		ReplaySafe: []sdk.Verb{sdk.Set},
		Abilities:  sdk.AbilitiesOf((*Instance)(nil)),
		MustChange: new(false),
		Limits:     sdk.Limits{Concurrency: atOnce, Batch: batch},
		Paths:      []string{"write {path}"},
		Target:     []string{"path"},
	}
}

// batch is how many accounts are hashed together: as many as one frame from the
// host holds. More would run a slow hash into the deadline.
const batch = 64

// atOnce is how many accounts may share one rewrite of the file: what a rewrite
// of 100,000 lines costs is then little beside the cheapest of their hashes.
const atOnce = 4 * batch

// Configure opens an instance. The file itself is met by Check and by the
// operations.
func (b *Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	path := config.Text("path")
	if path == "" {
		return nil, sdk.Errorf(sdk.InvalidConfig, "path: missing")
	}
	hasher, err := newHasher(config.Text("hash"), config.Int("cost"), b.random())
	if err != nil {
		return nil, err
	}
	return &Instance{
		file:     book{file: file{path: path, create: config.Bool("create"), foreign: config.Bool("replace_foreign")}},
		hasher:   hasher,
		hashing:  newHashing(hasher, runtime.GOMAXPROCS(0)),
		checks:   make(slots, runtime.GOMAXPROCS(0)),
		timeout:  config.Timeout,
		rewrites: newRewrites(),
	}, nil
}

func (b *Backend) random() io.Reader {
	if b.Rand == nil {
		return rand.Reader
	}
	return b.Rand
}
