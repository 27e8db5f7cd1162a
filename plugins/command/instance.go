package command

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/run"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one tool. Every method may be called concurrently.
type Instance struct {
	*settings
	strays *strays
}

var _ interface {
	sdk.Partial
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Unlocker
} = (*Instance)(nil)

// How much of an output is kept: of a list all that fits, else the beginning.
const (
	keptWords = 64 << 10
	keptList  = 64 << 20
)

// Lacks returns the abilities whose commands are not given.
func (i *Instance) Lacks() []sdk.Ability {
	if i == nil {
		return nil
	}
	var lacks []sdk.Ability
	for _, pair := range []struct {
		command command
		ability sdk.Ability
	}{{i.verify, sdk.CanVerify}, {i.find, sdk.CanFind}, {i.list, sdk.CanList}, {i.unlock, sdk.CanUnlock}} {
		if !pair.command.given() {
			lacks = append(lacks, pair.ability)
		}
	}
	return lacks
}

// start runs a command on an account. An account that must not be given to it
// is a program that was not started, and so is one on which an earlier program
// still runs: what that sets, or has not set yet, would be taken for what this one
// finds.
func (i *Instance) start(ctx context.Context, command command, account string, value secret.Value) ending {
	if !command.given() {
		return ending{Ending: run.Ending{Failure: sdk.Errorf(sdk.Unsupported, "no command is given for this")}}
	}
	if failure := i.refuseAccount(account, command); failure != nil {
		return ending{Ending: run.Ending{Failure: failure}}
	}
	if i.strays.has(account) {
		return ending{Ending: run.Ending{Failure: sdk.Errorf(sdk.Conflict, "account %q: a tool that was started for it still runs, after its time: nothing is certain until it has ended", account)}}
	}
	end := job{command: command, account: account, value: value, secret: i.secret, env: i.env, most: keptWords}.run(ctx)
	i.strays.add(account, end.Left)
	return end
}

// Apply has the tool set a password.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.refuseValue(op.Value); failure != nil {
		return sdk.Refuse(failure)
	}
	receipt := i.answers.receipt(i.start(ctx, i.set, op.Account, op.Value))
	if op.Attempt > 1 && remembered(receipt) {
		return i.before(ctx, op, receipt.Err)
	}
	return receipt
}

// remembered reports whether an earlier attempt of the same set may be what the
// target remembers.
func remembered(receipt sdk.Receipt) bool {
	return receipt.Outcome == sdk.Refused && receipt.Err.Code == sdk.PolicyViolation &&
		slices.ContainsFunc(receipt.Err.Violations, func(violation sdk.Violation) bool {
			return slices.Contains([]sdk.Rule{sdk.RuleHistory, sdk.RuleSameAsCurrent, sdk.RuleOpaque, sdk.RuleMinAge}, violation.Rule)
		})
}

// before tells whether an earlier attempt is why this one was refused.
func (i *Instance) before(ctx context.Context, op sdk.Operation, refusal *sdk.Error) sdk.Receipt {
	if !i.verify.given() {
		return sdk.Lost(refused(refusal))
	}
	switch verdict, err := i.Verify(ctx, op.Account, op.Kind, op.Value); {
	case err != nil || verdict == sdk.CannotTell || verdict == sdk.Blocked:
		return sdk.Lost(refused(refusal))
	case verdict == sdk.Rejected:
		return sdk.Refuse(refusal)
	}
	return sdk.Receipt{Outcome: sdk.AlreadyApplied}
}

// refused is a refusal that an earlier attempt may have caused.
func refused(refusal *sdk.Error) *sdk.Error {
	return &sdk.Error{Code: sdk.TargetError, Native: refusal.Native, Message: refusal.Message + " (an earlier attempt of the same set may be why)"}
}

// Unlock has the tool unlock an account.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.answers.receipt(i.start(ctx, i.unlock, op.Account, secret.Value{}))
}

// Verify has the tool try a value.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	if failure := i.refuseValue(value); failure != nil {
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "the value cannot be given to the tool: %s", failure.Message)
	}
	verdict, failure := i.answers.verdict(i.start(ctx, i.verify, account, value))
	if failure != nil {
		return sdk.CannotTell, failure
	}
	return verdict, nil
}

// Find has the tool tell of an account.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	end := i.start(ctx, i.find, account, secret.Value{})
	status, failure := i.answers.status(end)
	if failure != nil {
		return sdk.Account{}, failure
	}
	found := sdk.Account{Account: account, ID: account, Login: account, Status: status}
	matched := len(i.found) == 0
	for _, pattern := range i.found {
		if match := pattern.FindSubmatch(end.Out); match != nil {
			tell(&found, pattern, match)
			matched = true
		}
	}
	if !matched {
		return sdk.Account{}, end.fault("none of find_output fits what it printed")
	}
	found.Account = account
	return found, nil
}

// tell notes what the groups of a pattern found. A status that is none is not
// known.
func tell(account *sdk.Account, pattern *regexp.Regexp, match [][]byte) {
	for index, name := range pattern.SubexpNames() {
		text := strings.TrimSpace(string(match[index]))
		if text == "" {
			continue
		}
		switch name {
		case "account":
			account.Account, account.ID, account.Login = text, text, text
		case "id":
			account.ID = text
		case "login":
			account.Login = text
		case "name":
			account.Name = text
		case "mail":
			account.Mail = text
		case "stamp":
			account.Stamp = text
		case "status":
			if slices.Contains(sdk.Statuses(), sdk.Status(text)) {
				account.Status = sdk.Status(text)
			}
		}
	}
}

// List has the tool list accounts, and calls yield for those whose name fits the
// filter, a shell pattern. Nothing is yielded before the tool has ended well.
func (i *Instance) List(ctx context.Context, filter string, _ []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: not a shell pattern", filter)
	}
	if !i.list.given() {
		return sdk.Errorf(sdk.Unsupported, "no command is given for this")
	}
	end := job{command: i.list, secret: i.secret, env: i.env, most: keptList}.run(ctx)
	if failure := i.answers.fault(end); failure != nil {
		return failure
	}
	if end.Cut {
		return sdk.Errorf(sdk.TargetError, "%s: lists more than %d bytes", end.name, keptList)
	}
	for line := range strings.SplitSeq(string(end.Out), "\n") {
		if err := ctx.Err(); err != nil {
			return err
		}
		account, ok := i.listedIn(strings.TrimRight(line, "\r"))
		if match, _ := path.Match(filter, account.Account); !ok || filter != "" && !match {
			continue
		}
		if err := yield(account); err != nil {
			return err
		}
	}
	return nil
}

// listedIn is the account of a line, if it has one.
func (i *Instance) listedIn(line string) (account sdk.Account, ok bool) {
	if i.listed == nil {
		return sdk.Account{Account: line, ID: line, Login: line}, line != ""
	}
	match := i.listed.FindSubmatch([]byte(line))
	if match == nil {
		return account, false
	}
	account.Account = string(match[i.listed.SubexpIndex("account")])
	account.ID, account.Login = account.Account, account.Account
	name := account.Account
	tell(&account, i.listed, match)
	account.Account = name
	return account, name != ""
}

// Policy returns what the settings say of values.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{MinLength: max(1, i.minLength), MaxBytes: i.maxBytes, Forbid: i.forbidden(),
		Note: "the tool's own rules are known only from its answers"}, nil
}

// Check tells whether the programs may be started, whether anything proves what
// they do, and what the tool's own check says.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	var found []sdk.Finding
	for _, command := range []command{i.set, i.verify, i.find, i.list, i.unlock, i.check} {
		if !command.given() {
			continue
		}
		if failure := run.Sound(command.name, command.path); failure != nil {
			found = append(found, bad(failure))
		}
	}
	if !i.verify.given() {
		found = append(found, sdk.Finding{Severity: sdk.Warning,
			Message: fmt.Sprintf("not proven: that a value works is only what %s says; verify names a program that tries it", i.set.path)})
	}
	if len(found) > 0 && found[0].Severity == sdk.Bad || !i.check.given() {
		return found
	}
	end := job{command: i.check, secret: i.secret, env: i.env, most: keptWords}.run(ctx)
	if failure := i.answers.fault(end); failure != nil {
		found = append(found, bad(failure))
	}
	return found
}

func bad(failure *sdk.Error) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message}
}

// Close has nothing to release: a program that outlives its operation is beyond what
// may be ended.
func (i *Instance) Close() error { return nil }
