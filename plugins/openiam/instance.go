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

// Close drops the connections. There is no session to end.
func (i *Instance) Close() error {
	for _, c := range i.clients {
		c.Close()
	}
	return nil
}

// Apply sets a value: by setPassword, or where the owner has to change it by
// resetPassword. A further attempt first asks whether an earlier one did it.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	t, err := i.accept(op)
	if err != nil {
		return sdk.Refuse(err)
	}
	ctx = rest.WithSecrets(ctx, op.Value)
	doubtful := false
	if op.Attempt > 1 {
		same, f := i.holds(ctx, t, op.Value)
		if same {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
		doubtful = f != nil
	}
	f := i.set(ctx, op, t)
	if f == nil {
		return sdk.OK()
	}
	if doubtful && repeated(f) {
		f.Outcome = sdk.Unknown
		f.Err.Message += "; an earlier attempt may be why, and the server could not be asked"
	}
	return f.Receipt()
}

// accept checks an Apply before anything is sent.
func (i *Instance) accept(op sdk.Operation) (target, *sdk.Error) {
	t, err := i.target(op.Account)
	switch {
	case err != nil:
		return t, err
	case op.Verb != sdk.Set:
		return t, sdk.Errorf(sdk.Unsupported, "%s: OpenIAM never asks for the old password; use set", op.Verb)
	case op.Kind != "":
		return t, sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", op.Kind)
	case op.HashFormat != "":
		return t, sdk.Errorf(sdk.Unsupported, "hash_format %q: OpenIAM takes plain values only", op.HashFormat)
	case op.Value.Empty():
		return t, sdk.Errorf(sdk.InvalidOperation, "a set needs a value; the server would make one and tell nobody")
	case !writable(op.Value.Reveal()):
		return t, unwritable()
	}
	return t, i.protects(t)
}

func unwritable() *sdk.Error {
	e := sdk.Errorf(sdk.PolicyViolation, "the value has a character that XML cannot carry")
	e.Violations = []sdk.Violation{{Rule: sdk.RuleEncoding, Message: e.Message}}
	return e
}

// protects refuses the account that the instance logs in with.
func (i *Instance) protects(t target) *sdk.Error {
	if i.token.user != "" && strings.EqualFold(t.principal, i.token.user) {
		return sdk.Errorf(sdk.Protected, "%q is the account that this backend logs in with", t.principal)
	}
	return nil
}

// repeated reports whether a refusal is what a second set of the same value
// meets.
func repeated(f *rest.Failure) bool {
	for _, v := range f.Err.Violations {
		if v.Rule == sdk.RuleHistory || v.Rule == sdk.RuleChangeCount || v.Rule == sdk.RuleOpaque {
			return true
		}
	}
	return false
}

// set sends one setPassword or resetPassword with the operation's value.
func (i *Instance) set(ctx context.Context, op sdk.Operation, t target) *rest.Failure {
	name := "setPassword"
	if op.MustChange != nil && *op.MustChange {
		name = "resetPassword"
	}
	told, f := i.change(ctx, name, op, t)
	if f == nil && told.Present() && !told.Equal(op.Value) {
		f = &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError,
			"the server answered success and another password than the one it was given")}
	}
	return f
}

// Reset lets the server pick the value, which the receipt has if the server
// tells it.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	t, err := i.target(op.Account)
	if err == nil && op.Kind != "" {
		err = sdk.Errorf(sdk.InvalidOperation, "kind %q: an identity has one password, whose kind is \"\"", op.Kind)
	}
	if err == nil {
		err = i.protects(t)
	}
	if err == nil && !i.blankReset {
		err = sdk.Errorf(sdk.Unsupported, "reset: switched off by blank_reset = False; set a generated value with must_change = True")
	}
	if err != nil {
		return sdk.Refuse(err)
	}
	told, f := i.change(ctx, "resetPassword", op, t)
	if f != nil {
		return f.Receipt()
	}
	return sdk.Receipt{Outcome: sdk.Applied, Value: told}
}

// change sends one of the two operations and returns the password that the
// answer has, absent if it has none.
func (i *Instance) change(ctx context.Context, name string, op sdk.Operation, t target) (secret.Value, *rest.Failure) {
	answer, f := i.call(ctx, i.provision, message{operation: name, inside: "passwordSync", fields: i.sync(op, t), secrets: secrets(op.Value)})
	if f != nil {
		return secret.Value{}, f
	}
	switch status := answer.attribute("status"); status {
	case "success":
		return answer.password(), nil
	case "failure":
		return secret.Value{}, i.failure(ctx, answer, op, t)
	}
	return secret.Value{}, &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError, "the answer says neither success nor failure")}
}

// password is the value that an answer tells. Its text is taken as it is: a
// blank may be part of it.
func (n *node) password() secret.Value {
	if c := n.child("password"); c != nil && c.text != "" {
		return secret.New(c.text)
	}
	return secret.Value{}
}

func secrets(v secret.Value) []secret.Value {
	if v.Present() {
		return []secret.Value{v}
	}
	return nil
}

// sync is PasswordSync, in the schema's order.
func (i *Instance) sync(op sdk.Operation, t target) []field {
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
	add("securityDomain", t.domain)
	add("managedSystemId", t.system)
	add("principal", t.principal)
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
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !writable(string(r)) {
			return '?'
		}
		return r
	}, s)
}

// failure reads an answer whose status is failure.
func (i *Instance) failure(ctx context.Context, answer *node, op sdk.Operation, t target) *rest.Failure {
	native := answer.value("errorCode")
	m := mean(native)
	detail := ""
	if m.code == sdk.AccountNotFound {
		detail = ": " + t.String()
	}
	if text := answer.value("errorText"); text != "" {
		detail += ": " + text
	}
	e := m.err(native, detail)
	i.enrich(ctx, e, op, t)
	e.Message = i.provision.client.Scrub(ctx, e.Message, op.Value)
	e.Native = i.provision.client.Scrub(ctx, e.Native, op.Value)
	for n := range e.Violations {
		e.Violations[n].Native = e.Native
	}
	return &rest.Failure{Outcome: m.outcome, Err: e}
}

// enrich asks the server for what the code alone does not say: the number that
// a rule has, the status that refuses. If it does not answer, nothing is added.
func (i *Instance) enrich(ctx context.Context, e *sdk.Error, op sdk.Operation, t target) {
	switch e.Code {
	case sdk.AccountStatus:
		if a, f := i.find(ctx, t); f == nil {
			e.AccountStatus = a.Status
			e.Message += ": " + a.Status.String()
		}
	case sdk.PolicyViolation:
		if p, f := i.rules(ctx, t); f == nil {
			p.limits(e, op.Value)
		}
	}
}
