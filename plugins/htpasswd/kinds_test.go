package htpasswd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

const apr1Hash = "$apr1$abcdefgh$3bOVbGLEd0c3nP4ZbWXm60"

// TestAFileThatIsNotOursIsFoundAndLeftAlone is A.9: Check says so, and a set
// that comes all the same changes nothing.
func TestAFileThatIsNotOursIsFoundAndLeftAlone(t *testing.T) {
	for _, c := range []struct{ name, file, says string }{
		{"digest", "ann:Intranet:0cc175b9c0f1b6a831c399e269772661\n", "digest file"},
		{"digest among others", "bob:" + apr1Hash + "\nann:Intranet:0cc175b9c0f1b6a831c399e269772661\r\n", "digest file"},
		{"ends of CR alone", "ann:" + apr1Hash + "\rbob:" + apr1Hash + "\r", "carriage return"},
		{"a CR in one line", "ann:" + apr1Hash + "\nbob:" + apr1Hash + "\rcy:" + apr1Hash + "\n", "carriage return"},
		{"blank before a name", "bob:" + apr1Hash + "\n ann:" + apr1Hash + "\n", "blank before the name"},
		{"tab before a name", "\tann:" + apr1Hash + "\n", "blank before the name"},
		{"byte order mark", "\ufeffann:" + apr1Hash + "\n", "byte order mark"},
		{"UTF-16", "a\x00n\x00n\x00:\x00x\x00\n\x00", "NUL byte"},
		{"NUL", "bob:" + apr1Hash + "\nann:x\x00\n", "NUL byte"},
		{"Latin-1 name", "ann:" + apr1Hash + "\nren\xe9:" + apr1Hash + "\n", "not UTF-8"},
		{"mosquitto", "ann:$7$101$c2FsdHNhbHQ=$AAAA==\n", "another program ($7$"},
		{"argon2", "ann:$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA\n", "another program ($argon2id$"},
		{"pbkdf2 among others", "bob:" + apr1Hash + "\nann:$pbkdf2-sha256$29000$N2$1t8\n", "another program ($pbkdf2-sha256$"},
		{"dovecot", "ann:{ARGON2ID}$argon2id$v=19$x:1000:1000::/home/ann::\n", "another program ({ARGON2ID}"},
		{"clear text", "ann:sesame street\n", "in clear"},
		{"passwd", "root:x:0:0:root:/root:/bin/sh\nann:x:1:1::/:/bin/sh\n", "list of users"},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, path := open(t, c.file, "hash", "apr1", "cost", int64(10), "create", true)
			bad := false
			for _, f := range i.Check(t.Context()) {
				bad = bad || f.Severity == sdk.Bad && f.Code == sdk.InvalidConfig && strings.Contains(f.Message, c.says)
			}
			if !bad {
				t.Errorf("Check finds %q", findings(i, path))
			}
			if r := i.Apply(t.Context(), set("ann", "x")); r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidConfig || !strings.Contains(r.Err.Message, c.says) {
				t.Errorf("set: %v %v", r.Outcome, r.Err)
			}
			if got := content(t, path); got != c.file {
				t.Errorf("the file is %q now", got)
			}
		})
	}
}

func TestFilesThatAreOursStayOurs(t *testing.T) {
	for _, hash := range []string{
		apr1Hash, "$2y$10$abcdefghijklmnopqrstuv", "$5$salt$x", "$6$salt$x", "$1$salt$x", "{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=", "{SSHA}x", "{PLAIN}x",
		"abJnggxhB/yWI", "$y$j9T$salt$hash", "$gy$j9T$salt$hash", "$7$CU..../....salt$hash", "$sha1$4$salt$hash", "", "x", "!", "!!", "*", "!" + apr1Hash,
	} {
		for _, more := range []string{"", ":further:fields", "\r"} {
			i, path := open(t, "# a list\r\n\n  # another\nann:"+hash+more+"\nzoë:"+apr1Hash+"\n", "hash", "apr1", "cost", int64(10))
			for _, f := range findings(i, path) {
				t.Errorf("%q: %s", hash+more, f)
			}
			if r := i.Apply(t.Context(), set("ann", "x")); r.Outcome != sdk.Applied {
				t.Errorf("%q: %v %v", hash+more, r.Outcome, r.Err)
			}
		}
	}
}

// TestTheSystemsOwnPasswordsAreNotTouched: the hashes of /etc/shadow look like
// those of a password file, what stands behind them does not.
func TestTheSystemsOwnPasswordsAreNotTouched(t *testing.T) {
	for _, line := range []string{"ann:" + apr1Hash + ":19000:0:99999:7:::", "ann:!:19000::::::", "bob:*:19000:0:99999:7:::\nann:" + apr1Hash + ":19000:0:99999:7:14:20000:"} {
		for _, foreign := range []bool{false, true} {
			i, path := open(t, line+"\n", "replace_foreign", foreign)
			if got := strings.Join(findings(i, path), "; "); !strings.Contains(got, "/etc/shadow") {
				t.Errorf("%q: Check finds %q", line, got)
			}
			if r := i.Apply(t.Context(), set("ann", "x")); r.Outcome != sdk.Refused {
				t.Errorf("%q: %v", line, r.Outcome)
			}
		}
	}
}

func TestReplaceForeignTakesHashesOfOtherPrograms(t *testing.T) {
	i, path := open(t, "ann:$argon2id$v=19$x$y\nbob:sesame street\n", "hash", "apr1", "cost", int64(10), "replace_foreign", true)
	if got := findings(i, path); len(got) > 0 {
		t.Errorf("Check finds %q", got)
	}
	if r := i.Apply(t.Context(), set("ann", "x")); r.Outcome != sdk.Applied {
		t.Errorf("%v %v", r.Outcome, r.Err)
	}
	digest, _ := open(t, "ann:Intranet:0cc175b9c0f1b6a831c399e269772661\n", "replace_foreign", true)
	if r := digest.Apply(t.Context(), set("ann", "x")); r.Outcome != sdk.Refused {
		t.Errorf("a digest file: %v", r.Outcome)
	}
}

func TestTextAmongHashesIsTold(t *testing.T) {
	i, path := open(t, "ann:"+apr1Hash+"\nbob:sesame street\n", "hash", "apr1", "cost", int64(10))
	if got := strings.Join(findings(i, path), "; "); got != "warning  FILE:2: no hash, but text: a password in clear, or another program's file" {
		t.Errorf("Check finds %q", got)
	}
}

// TestASlowHashFailsNobody: what is not hashed in time comes again, with no
// attempt spent, and its hash is there when it does.
func TestASlowHashFailsNobody(t *testing.T) {
	const users = 40
	var file strings.Builder
	var ops []sdk.Operation
	for n := range users {
		fmt.Fprintf(&file, "u%d:x\n", n)
		op := set(fmt.Sprint("u", n), fmt.Sprint("value ", n))
		op.ID = fmt.Sprint("run-", n)
		ops = append(ops, op)
	}
	i, _ := open(t, file.String(), "hash", "bcrypt", "cost", int64(10))
	rounds := 0
	for all := ops; len(ops) > 0; rounds++ {
		if rounds > 400 {
			t.Fatalf("%d of %d are left", len(ops), len(all))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		var again []sdk.Operation
		for n, r := range i.ApplyBatch(ctx, ops) {
			switch {
			case r.Outcome == sdk.Applied:
			case r.Outcome == sdk.Refused && r.Err.Code == sdk.RateLimited && r.Err.RetryAfter > 0:
				again = append(again, ops[n])
			case r.Outcome == sdk.Refused && r.Err.Code == sdk.Timeout: // the disk, not the hash
				again = append(again, ops[n])
			default:
				t.Fatalf("%s: %v %v", ops[n].Account, r.Outcome, r.Err)
			}
		}
		cancel()
		ops = again
	}
	for n := range users {
		wantVerdict(t, i, fmt.Sprint("u", n), fmt.Sprint("value ", n), sdk.Accepted)
	}
	if rounds < 2 {
		t.Logf("one round was enough: the machine is fast")
	}
	if left := len(i.hashing.open); left != 0 {
		t.Errorf("%d hashes are kept", left)
	}
}

func TestAHashThatTakesAllTheTimeIsTold(t *testing.T) {
	i, path := open(t, "ann:x\n", "hash", "bcrypt", "cost", int64(11))
	i.timeout = 10 * time.Millisecond
	if got := strings.Join(findings(i, path), "; "); !strings.Contains(got, "warning  one hash of bcrypt with cost 11 takes") {
		t.Errorf("Check finds %q", got)
	}
}
