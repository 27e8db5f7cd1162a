package openiam

import (
	"context"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Instance is one configured OpenIAM. Its methods may be called concurrently.
type Instance struct {
	clients                              []*rest.Client
	provision, logins, passwords, logons service

	domain, system  string
	policyPrincipal string
	verify          string
	blankReset      bool
	validate        bool
	basic           bool
	lookup          bool // LoginDataWebService has to be there
	audit           audit
	token           token
}

// audit is what OpenIAM's audit log is told beyond the operation's own fields.
type audit struct{ login, domain, ip string }

// Close drops the connections. No session has to end.
func (i *Instance) Close() error {
	for _, client := range i.clients {
		client.Close()
	}
	return nil
}

// Apply sets a value: by setPassword, or where the owner has to change it by
// resetPassword. A further attempt first asks whether an earlier one did it.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, err := i.accept(op)
	if err != nil {
		return sdk.Refuse(err)
	}
	ctx = rest.WithSecrets(ctx, op.Value)
	doubtful := false
	if op.Attempt > 1 {
		same, failure := i.holds(ctx, target, op.Value)
		if same {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
		doubtful = failure != nil
	}
	failed := i.set(ctx, op, target)
	if failed == nil {
		return sdk.OK()
	}
	if doubtful && repeated(failed) {
		failed.Outcome = sdk.Unknown
		failed.Err.Message += "; an earlier attempt may be why, and the server could not be asked"
	}
	return failed.Receipt()
}

// accept checks an Apply before anything is sent.
func (i *Instance) accept(op sdk.Operation) (target, *sdk.Error) {
	target, err := i.target(op.Account)
	switch {
	case err != nil:
		return target, err
	case op.Verb != sdk.Set:
		return target, sdk.Errorf(sdk.Unsupported, "%s: OpenIAM never asks for the old password; use set", op.Verb)
	case op.Kind != "":
		return target, sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", op.Kind)
	case op.HashFormat != "":
		return target, sdk.Errorf(sdk.Unsupported, "hash_format %q: OpenIAM takes plain values only", op.HashFormat)
	case op.Value.Empty():
		return target, sdk.Errorf(sdk.InvalidOperation, "a set needs a value; the server would make one and keep it to itself")
	case !writable(op.Value.Reveal()):
		return target, unwritable()
	}
	return target, i.protects(target)
}

func unwritable() *sdk.Error {
	failure := sdk.Errorf(sdk.PolicyViolation, "the value has a character that XML cannot carry")
	failure.Violations = []sdk.Violation{{Rule: sdk.RuleEncoding, Message: failure.Message}}
	return failure
}

// protects refuses the account that the instance logs in with.
func (i *Instance) protects(target target) *sdk.Error {
	if i.token.user != "" && strings.EqualFold(target.principal, i.token.user) {
		return sdk.Errorf(sdk.Protected, "%q is the account that this backend logs in with", target.principal)
	}
	return nil
}

// repeated reports whether a refusal is what a second set of the same value
// meets.
func repeated(failure *rest.Failure) bool {
	for _, violation := range failure.Err.Violations {
		if violation.Rule == sdk.RuleHistory || violation.Rule == sdk.RuleChangeCount || violation.Rule == sdk.RuleOpaque {
			return true
		}
	}
	return false
}

// set sends one setPassword or resetPassword with the operation's value.
func (i *Instance) set(ctx context.Context, op sdk.Operation, target target) *rest.Failure {
	name := "setPassword"
	if op.MustChange != nil && *op.MustChange {
		name = "resetPassword"
	}
	told, failure := i.change(ctx, name, op, target)
	if failure == nil && told.Present() && !told.Equal(op.Value) {
		failure = &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError,
			"the server answered success and another password than the one it was given")}
	}
	return failure
}

// Reset lets the server pick the value, which the receipt has if the server
// tells it.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, err := i.target(op.Account)
	if err == nil && op.Kind != "" {
		err = sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", op.Kind)
	}
	if err == nil {
		err = i.protects(target)
	}
	if err == nil && !i.blankReset {
		err = sdk.Errorf(sdk.Unsupported, "reset: switched off by blank_reset = False; set a generated value with must_change = True")
	}
	if err != nil {
		return sdk.Refuse(err)
	}
	told, failure := i.change(ctx, "resetPassword", op, target)
	if failure != nil {
		return failure.Receipt()
	}
	return sdk.Receipt{Outcome: sdk.Applied, Value: told}
}

// change sends one of the two operations and returns the password that the
// answer has, absent without one.
func (i *Instance) change(ctx context.Context, name string, op sdk.Operation, target target) (secret.Value, *rest.Failure) {
	answer, failure := i.call(ctx, i.provision, message{operation: name, inside: "passwordSync", fields: i.sync(op, target), secrets: secrets(op.Value)})
	if failure != nil {
		return secret.Value{}, failure
	}
	switch status := answer.attribute("status"); status {
	case "success":
		return answer.password(), nil
	case "failure":
		return secret.Value{}, i.failure(ctx, answer, op, target)
	}
	return secret.Value{}, &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError, "the answer says neither success nor failure")}
}

// password is the value that an answer tells. Its text is taken as it is: a
// blank may be part of it.
func (n *node) password() secret.Value {
	if node := n.child("password"); node != nil && node.text != "" {
		return secret.New(node.text)
	}
	return secret.Value{}
}

func secrets(value secret.Value) []secret.Value {
	if value.Present() {
		return []secret.Value{value}
	}
	return nil
}

// sync is PasswordSync, in the schema's order.
func (i *Instance) sync(op sdk.Operation, target target) []field {
	var list []field
	add := func(name, value string) {
		if value != "" {
			list = append(list, field{name, clean(value)})
		}
	}
	if !i.basic {
		add("requestorLogin", i.audit.login)
		add("requestorDomain", i.audit.domain)
		add("requestClientIP", i.audit.ip)
	}
	add("securityDomain", target.domain)
	add("managedSystemId", target.system)
	add("principal", target.principal)
	add("password", op.Value.Reveal())
	add("srcSystemId", op.SourceSystem)
	add("validateRequest", strconv.FormatBool(i.validate))
	add("requestorId", op.Requestor)
	if !i.basic {
		add("passThruAttributes", "true")
	}
	return list
}

// clean replaces what XML cannot carry; accounts and values that have such
// characters were refused before, so it touches audit texts only.
func clean(text string) string {
	return strings.Map(func(letter rune) rune {
		if !writable(string(letter)) {
			return '?'
		}
		return letter
	}, text)
}

// failure reads an answer whose status is failure.
func (i *Instance) failure(ctx context.Context, answer *node, op sdk.Operation, target target) *rest.Failure {
	native := answer.value("errorCode")
	meaning := mean(native)
	detail := ""
	if meaning.code == sdk.AccountNotFound {
		detail = ": " + target.String()
	}
	if text := answer.value("errorText"); text != "" {
		detail += ": " + text
	}
	failure := meaning.err(native, detail)
	i.enrich(ctx, failure, op, target)
	failure.Message = i.provision.client.Scrub(ctx, failure.Message, op.Value)
	failure.Native = i.provision.client.Scrub(ctx, failure.Native, op.Value)
	for index := range failure.Violations {
		failure.Violations[index].Native = failure.Native
	}
	return &rest.Failure{Outcome: meaning.outcome, Err: failure}
}

// enrich asks the server for what the code alone does not say: the number that
// a rule has, the status that refuses. If it does not answer, nothing is added.
func (i *Instance) enrich(ctx context.Context, failure *sdk.Error, op sdk.Operation, target target) {
	switch failure.Code {
	case sdk.AccountStatus:
		if account, failed := i.find(ctx, target); failed == nil {
			failure.AccountStatus = account.Status
			failure.Message += ": " + account.Status.String()
		}
	case sdk.PolicyViolation:
		if rules, failed := i.rules(ctx, target); failed == nil {
			rules.limits(failure, op.Value)
		}
	}
}
