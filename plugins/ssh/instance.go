package ssh

import (
	"context"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one login on any number of hosts. Every method may be called
// concurrently.
type Instance struct {
	settings
	fleet *fleet
	rand  io.Reader
	now   func() time.Time
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Unlocker
	sdk.Resolver
} = (*Instance)(nil)

// longestValue is what crypt(3) takes of a value everywhere.
const longestValue = 255

// Apply gives an account a password, or hands rekey's own over.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, failure := i.refuse(op)
	if failure != nil {
		return sdk.Refuse(failure)
	}
	if ctx.Err() != nil {
		return sdk.Refuse(unsent(ctx))
	}
	if op.Verb == sdk.Handover {
		return i.handOver(ctx, op, target)
	}
	salt, err := shacrypt.Salt(i.rand, 16)
	if err != nil {
		return sdk.Refuse(sdk.Errorf(sdk.Internal, "salt: %s", err))
	}
	hash := shacrypt.SHA512.Crypt([]byte(op.Value.Reveal()), salt, i.rounds)
	on := i.fleet.borrow(account{i.user, target.address})
	defer i.fleet.giveBack(on)
	return i.set(ctx, on, target, change{hash: hash, mustChange: op.MustChange != nil && *op.MustChange})
}

// refuse returns the account of an operation, or why it makes no sense.
func (i *Instance) refuse(op sdk.Operation) (account, *sdk.Error) {
	target, failure := i.parse(op.Account)
	switch {
	case failure != nil:
		return target, failure
	case op.Verb == sdk.Handover && op.MustChange != nil:
		return target, sdk.Errorf(sdk.Unsupported, "a handover takes no must_change: rekey logs in as the account")
	case op.Verb == sdk.Handover:
		if failure := i.mayHandOver(op, target); failure != nil {
			return target, failure
		}
	case i.keyFile == "" && (target.user == i.user || slices.Contains(i.jump, target)):
		return target, sdk.Errorf(sdk.Protected, "account %s: rekey logs in with its password: step.handover changes it, or use key_file", target)
	case op.MustChange != nil && *op.MustChange && (target.user == i.user || slices.Contains(i.jump, target)):
		return target, sdk.Errorf(sdk.Unsupported, "account %s: must_change: rekey logs in as it, and the host would let it do nothing else", target)
	}
	return target, i.refuseValue(op.Value)
}

func (i *Instance) refuseValue(value secret.Value) *sdk.Error {
	text := value.Reveal()
	switch {
	case text == "":
		return sdk.Errorf(sdk.InvalidOperation, "the value is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return violation(sdk.RuleEncoding, 0, "the value holds control characters or is not UTF-8")
	case utf8.RuneCountInString(text) < i.minLength:
		return violation(sdk.RuleMinLength, i.minLength, "the value is too short")
	case len(text) > longestValue:
		return violation(sdk.RuleMaxLength, longestValue, "the value has too many bytes")
	}
	return nil
}

func violation(rule sdk.Rule, limit int, message string) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: message, Violations: []sdk.Violation{{Rule: rule, Limit: limit, Message: message}}}
}

// Unlock takes the mark of a lock away.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, failure := i.parse(op.Account)
	if failure != nil {
		return sdk.Refuse(failure)
	}
	on := i.fleet.borrow(account{i.user, target.address})
	defer i.fleet.giveBack(on)
	entry, failure := i.fleet.entryOf(ctx, on, target.user)
	switch {
	case failure != nil:
		return sdk.Refuse(failure)
	case !entry.has():
		return sdk.Refuse(noCredential(target))
	case !entry.locked():
		return sdk.OK()
	}
	for range mostMarks {
		reply, lost := i.fleet.run(ctx, on, usermod+" "+target.user, "")
		switch {
		case lost != nil && lost.started:
			return sdk.Lost(lost.why)
		case lost != nil:
			return sdk.Refuse(lost.why)
		case reply.exit != 0:
			return sdk.Refuse(reply.failure(on, usermod))
		}
		if entry, failure = i.fleet.entryOf(ctx, on, target.user); failure != nil {
			return sdk.Lost(failure)
		}
		if !entry.locked() {
			return sdk.OK()
		}
	}
	return sdk.Lost(sdk.Errorf(sdk.TargetError, "host %s: %s ended well, and %s is still locked", on.address, usermod, target.user))
}

// mostMarks is how many marks of a lock are taken away: passwd -l of some systems
// makes two, of which usermod -U takes one.
const mostMarks = 3

func noCredential(target account) *sdk.Error {
	return sdk.Errorf(sdk.NoCredential, "account %s: it has no password of its own", target)
}

// Find reads the line of an account.
func (i *Instance) Find(ctx context.Context, name string) (sdk.Account, error) {
	target, failure := i.parse(name)
	if failure != nil {
		return sdk.Account{}, failure
	}
	on := i.fleet.borrow(account{i.user, target.address})
	defer i.fleet.giveBack(on)
	entry, failure := i.fleet.entryOf(ctx, on, target.user)
	if failure != nil {
		return sdk.Account{}, failure
	}
	return i.account(target, entry), nil
}

// account is what a line tells.
func (i *Instance) account(target account, entry entry) sdk.Account {
	found := sdk.Account{Account: target.String(), ID: target.String(), Login: entry.user, Stamp: entry.stamp(), Status: i.status(entry)}
	if entry.changed >= 0 {
		mustChange := entry.changed == 0
		found.MustChange = &mustChange
	}
	if entry.changed > 0 {
		found.ChangedAt = time.Unix(int64(entry.changed)*24*60*60, 0).UTC()
	}
	return found
}

func (i *Instance) status(entry entry) sdk.Status {
	switch {
	case entry.locked():
		return sdk.StatusLocked
	case entry.expired(i.now()):
		return sdk.StatusExpired
	case entry.barred():
		return sdk.StatusDisabled
	}
	return sdk.StatusActive
}

// List calls yield for the accounts of hosts that have a password and whose name
// fits the filter, a shell pattern. A host that does not answer is an error.
func (i *Instance) List(ctx context.Context, filter string, _ []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: not a shell pattern", filter)
	}
	if len(i.hosts) == 0 {
		return sdk.Errorf(sdk.InvalidConfig, "hosts: missing; name the hosts to list")
	}
	for _, where := range i.hosts {
		lines, failure := i.lines(ctx, where)
		if failure != nil {
			return failure
		}
		for _, line := range lines {
			if err := ctx.Err(); err != nil {
				return err
			}
			entry, ok := parseEntry(line)
			target := account{entry.user, where}
			if match, _ := path.Match(filter, target.String()); !ok || !entry.has() || filter != "" && !match {
				continue
			}
			if err := yield(i.account(target, entry)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lines are those of a host's shadow file.
func (i *Instance) lines(ctx context.Context, where address) ([]string, *sdk.Error) {
	on := i.fleet.borrow(account{i.user, where})
	defer i.fleet.giveBack(on)
	program := getent + " shadow"
	reply, lost := i.fleet.run(ctx, on, program, "")
	switch {
	case lost != nil:
		return nil, lost.why
	case reply.exit != 0:
		return nil, reply.failure(on, program)
	}
	return strings.Split(strings.TrimSpace(reply.output), "\n"), nil
}

// Policy returns what is known here: hosts apply no rules to hashes.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{MinLength: max(1, i.minLength), MaxBytes: longestValue, Note: "hosts do not apply their own rules to a hash"}, nil
}

// Close ends the connections.
func (i *Instance) Close() error {
	i.fleet.close()
	return nil
}
