package ssh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
)

// entry is a line of /etc/shadow.
type entry struct {
	user    string
	hash    string
	changed int // days since 1970; -1: not known; 0: has to be changed
	expires int // -1: never
}

// parseEntry reads a line.
func parseEntry(line string) (entry, bool) {
	fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
	if len(fields) < 9 {
		return entry{}, false
	}
	return entry{user: fields[0], hash: fields[1], changed: days(fields[2]), expires: days(fields[7])}, true
}

func days(text string) int {
	count, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return count
}

// locked reports whether the hash has a mark before it that keeps everybody out.
func (e entry) locked() bool { return strings.HasPrefix(e.hash, "!") }

// bare is the hash without the mark of a lock.
func (e entry) bare() string { return strings.TrimLeft(e.hash, "!") }

// barred reports whether there is no password and none is meant to be.
func (e entry) barred() bool { return strings.HasPrefix(e.bare(), "*") || e.bare() == "x" }

// has reports whether there is a password.
func (e entry) has() bool { return e.bare() != "" && !e.barred() }

// expired reports whether the account is no longer valid.
func (e entry) expired(now time.Time) bool {
	return e.expires >= 0 && now.Unix()/(24*60*60) >= int64(e.expires)
}

// stamp differs after every change, and tells nothing of the hash.
func (e entry) stamp() string {
	if !strings.HasPrefix(e.bare(), "$") {
		return ""
	}
	sum := sha256.Sum256([]byte(e.bare()))
	return hex.EncodeToString(sum[:16])
}

// takes reports whether a value is the one of the hash, as far as that can be
// told here.
func (e entry) takes(value string) (yes, known bool) {
	for _, kind := range []string{"$5$", "$6$"} {
		if strings.HasPrefix(e.bare(), kind) && !shacrypt.TooSlow(e.bare()) {
			return shacrypt.Matches(e.bare(), []byte(value)), true
		}
	}
	return false, false
}

// entryOf reads the line of an account. The loss says whether its absence may be
// a matter of rights.
func (f *fleet) entryOf(ctx context.Context, on *host, user string) (entry, *sdk.Error) {
	program := getent + " shadow " + user
	reply, lost := f.run(ctx, on, program, "")
	switch {
	case lost != nil:
		return entry{}, lost.why
	case reply.exit == 2:
		return entry{}, f.absent(ctx, on, user)
	case reply.exit != 0:
		return entry{}, reply.failure(on, program)
	}
	found, ok := parseEntry(reply.output)
	if !ok || found.user != user {
		return entry{}, sdk.Errorf(sdk.TargetError, "host %s: getent does not show the line of %s", on.address, user)
	}
	return found, nil
}

// absent tells an account that is not there from one without a line in
// /etc/shadow, or whose line rekey may not see.
func (f *fleet) absent(ctx context.Context, on *host, user string) *sdk.Error {
	program := getent + " passwd " + user
	reply, lost := f.run(ctx, on, program, "")
	switch {
	case lost != nil:
		return lost.why
	case reply.exit == 2:
		return sdk.Errorf(sdk.AccountNotFound, "host %s: no local account %s", on.address, user)
	case reply.exit != 0:
		return reply.failure(on, program)
	}
	return sdk.Errorf(sdk.NoCredential, "host %s: %s has no line in /etc/shadow that %s may read", on.address, user, on.user)
}
