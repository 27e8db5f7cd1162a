package file

import (
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/internal/run"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one file. Every method may be called concurrently.
type Instance struct {
	path      string
	format    format
	reload    *run.Program // nil: none
	pidFile   string       // "": none
	signal    syscall.Signal
	minLength int
	names     []string // places whose text is told
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Resolver
} = (*Instance)(nil)

// Apply writes a value to its place, and tells the program.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.refuse(op); failure != nil {
		return sdk.Refuse(failure)
	}
	receipt := i.write(ctx, op)
	if receipt.Outcome == sdk.Refused || receipt.Outcome == sdk.Unknown {
		return receipt
	}
	if failure := i.told(ctx); failure != nil {
		return sdk.Lost(failure)
	}
	return receipt
}

// refuse returns why an operation makes no sense, whatever the file holds.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	if failure := refusePlace(op.Account); failure != nil {
		return failure
	}
	if slices.Contains(i.names, op.Account) {
		return sdk.Errorf(sdk.InvalidOperation, "account %q: names says that it is no secret, and find shows what is there: take it out of names, or set another place", op.Account)
	}
	for _, further := range also(op) {
		if failure := further.refuse(op.Account); failure != nil {
			return failure
		}
	}
	return i.refuseValue(op.Value)
}

// also are the places of a file that an operation writes beside its own.
func also(op sdk.Operation) []further {
	list, _ := op.Options["also"].([]string)
	var all []further
	for _, item := range list {
		place, text, _ := strings.Cut(item, "=")
		all = append(all, further{place, text})
	}
	return all
}

// further is a text for another place, such as the name that goes with a password.
type further struct{ place, text string }

func (f further) refuse(account string) *sdk.Error {
	if failure := refusePlace(f.place); failure != nil {
		return failure
	}
	switch {
	case f.place == account:
		return sdk.Errorf(sdk.InvalidOperation, "also: %q is where the value goes", f.place)
	case f.text == "" || !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unprintable):
		return sdk.Errorf(sdk.InvalidOperation, `also: want "PLACE=TEXT" with a text for %q that a line can hold`, f.place)
	}
	return nil
}

func refusePlace(place string) *sdk.Error {
	if place == "" || !utf8.ValidString(place) || strings.ContainsFunc(place, unprintable) {
		return sdk.Errorf(sdk.InvalidOperation, "account %q: is no place in a file", place)
	}
	return nil
}

func (i *Instance) refuseValue(value secret.Value) *sdk.Error {
	text := value.Reveal()
	message, rule := "", sdk.RuleEncoding
	switch {
	case text == "":
		return sdk.Errorf(sdk.InvalidOperation, "the value is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable):
		message = "the value holds control characters or is not UTF-8"
	case utf8.RuneCountInString(text) < i.minLength:
		message, rule = "the value is too short", sdk.RuleMinLength
	default:
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: message, Violations: []sdk.Violation{{Rule: rule, Limit: i.minLength, Message: message}}}
}

// value is what a parser of the format reads at a place.
func (i *Instance) value(place string) (string, *sdk.Error) {
	if failure := refusePlace(place); failure != nil {
		return "", failure
	}
	now, failure := i.read()
	if failure != nil {
		return "", failure
	}
	if _, failure := find(i.format, now.text, place); failure != nil {
		return "", failure
	}
	value, ok := i.format.read(now.text, place)
	if !ok {
		return "", sdk.Errorf(sdk.InvalidConfig, "%q: a program would not find a text there", place)
	}
	return value, nil
}

// Verify reads the file, and compares. It cannot tell of a value that the program
// was not told of.
func (i *Instance) Verify(_ context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	there, failure := i.value(account)
	if failure != nil {
		return sdk.CannotTell, failure
	}
	switch {
	case !secret.New(there).Equal(value):
		return sdk.Rejected, nil
	case i.untold().has(account):
		return sdk.CannotTell, nil
	}
	return sdk.Accepted, nil
}

// Find tells whether a place is there, and of one that names has what it holds.
func (i *Instance) Find(_ context.Context, account string) (sdk.Account, error) {
	text, failure := i.value(account)
	if failure != nil {
		return sdk.Account{}, failure
	}
	if slices.Contains(i.names, account) {
		return sdk.Account{Account: account, ID: text, Login: text, Status: sdk.StatusActive}, nil
	}
	return sdk.Account{Account: account, ID: account, Login: account, Status: sdk.StatusActive}, nil
}

// List calls yield for the places that fit the filter, a shell pattern.
func (i *Instance) List(ctx context.Context, filter string, _ []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: not a shell pattern", filter)
	}
	now, failure := i.read()
	if failure != nil {
		return failure
	}
	spots, failure := i.format.spots(now.text)
	if failure != nil {
		return failure
	}
	var seen []string
	for _, spot := range spots {
		if err := ctx.Err(); err != nil {
			return err
		}
		if match, _ := path.Match(filter, spot.place); slices.Contains(seen, spot.place) || filter != "" && !match {
			continue
		}
		seen = append(seen, spot.place)
		if err := yield(sdk.Account{Account: spot.place, ID: spot.place, Login: spot.place}); err != nil {
			return err
		}
	}
	return nil
}

// Resolve returns the place, with the file behind symbolic links: other instances
// may write it too.
func (i *Instance) Resolve(_ context.Context, names []string) ([]sdk.Identity, error) {
	target := i.canonical()
	found := make([]sdk.Identity, len(names))
	for index, name := range names {
		if found[index].Err = refusePlace(name); found[index].Err == nil {
			found[index] = sdk.Identity{Target: target, ID: name}
		}
	}
	return found, nil
}

// Policy returns what the format can carry.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	policy := i.format.policy()
	policy.MinLength = max(1, i.minLength)
	return policy, nil
}

// Check tells whether the file can be read as what it is said to be, and replaced,
// and whether the program can be told.
func (i *Instance) Check(context.Context) []sdk.Finding {
	now, failure := i.read()
	if failure == nil {
		_, failure = i.format.spots(now.text)
	}
	if failure != nil {
		return []sdk.Finding{bad(failure)}
	}
	found := append(now.obstacles(), marksOf(filepath.Dir(now.target), markName(now.target)).findings()...)
	if i.reload != nil {
		if failure := run.Sound(i.reload.Name, i.reload.Path); failure != nil {
			found = append(found, bad(failure))
		}
	}
	if i.pidFile != "" {
		if _, failure := i.process(); failure != nil {
			found = append(found, bad(failure))
		}
	}
	return found
}

func bad(failure *sdk.Error) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}
}

// Close has nothing to release.
func (i *Instance) Close() error { return nil }
