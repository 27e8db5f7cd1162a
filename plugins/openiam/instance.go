package openiam

import (
	"context"
	"slices"
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
		same, failure := lookups{i}.holds(ctx, target, op.Value)
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
	answer, failure := soap{i}.call(ctx, i.provision, message{operation: name, inside: "passwordSync", fields: i.sync(op, target), secrets: secrets(op.Value)})
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
		if account, failed := (lookups{i}).find(ctx, target); failed == nil {
			failure.AccountStatus = account.Status
			failure.Message += ": " + account.Status.String()
		}
	case sdk.PolicyViolation:
		if rules, failed := i.rules(ctx, target); failed == nil {
			rules.limits(failure, op.Value)
		}
	}
}

// target reads an account: [domain][:system]/principal, or a principal alone.
func (i *Instance) target(account string) (target, *sdk.Error) {
	made := target{i.domain, account, i.system}
	if before, after, ok := strings.Cut(account, "/"); ok {
		domain, system, named := strings.Cut(before, ":")
		made.principal = after
		if domain != "" {
			made.domain = domain
		}
		if named {
			made.system = system
		}
	}
	if made.principal == "" || made.system == "" {
		return made, sdk.Errorf(sdk.InvalidOperation, "account %q: is not [DOMAIN][:SYSTEM]/PRINCIPAL or a principal", account)
	}
	if !writable(account) {
		return made, sdk.Errorf(sdk.InvalidOperation, "account %q: has a character that XML cannot carry", account)
	}
	return made, nil
}

// Check asks for the service's description, or for the service itself where
// the description is missing, and for the services beside it, without which lost
// answers cannot be settled.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	found := diagnosis{i}.described(ctx)
	if len(found) > 0 && found[0].Severity == sdk.Bad {
		return found
	}
	if _, failure := (soap{i}).call(ctx, i.logins, message{operation: "loginExists", readOnly: true,
		fields: target{i.domain, "rekey-check", i.system}.fields()}); failure != nil {
		found = append(found, diagnosis{i}.without(failure)...)
	}
	return slices.Concat(found, diagnosis{i}.policyKnown(ctx), i.provision.client.Findings())
}

// Find returns the state of an identity and of its user. The stamp is made of
// the time of the last change, which OpenIAM may keep in whole seconds, and
// the change counter.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	target, err := i.target(account)
	if err != nil {
		return sdk.Account{}, err
	}
	a, failure := lookups{i}.find(ctx, target)
	if failure != nil && absent(failure) {
		return sdk.Account{}, sdk.Errorf(sdk.Unsupported, "find: LoginDataWebService is not there; leave the look-up out, or name the place of the services with services")
	}
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	a.Account = account
	return a, nil
}

// Verify asks in the way that the setting verify says.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	target, err := i.target(account)
	if err != nil {
		return sdk.CannotTell, err
	}
	ctx = rest.WithSecrets(ctx, value)
	switch {
	case i.verify == verifyNone:
		return sdk.CannotTell, nil
	case !writable(value.Reveal()):
		return sdk.Rejected, nil
	case i.verify == verifyLogon:
		return i.logon(ctx, target, value)
	}
	return i.compare(ctx, target, value)
}

// compare asks for equality, then for the identity itself: that the value is
// not equal also holds of an identity that does not exist.
func (i *Instance) compare(ctx context.Context, target target, value secret.Value) (sdk.Verdict, error) {
	same, failure := lookups{i}.holds(ctx, target, value)
	if failure != nil && absent(failure) && !i.lookup {
		return sdk.CannotTell, nil
	}
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	login, failure := lookups{i}.login(ctx, target)
	switch {
	case failure != nil && failure.Err.Code == sdk.AccountNotFound:
		return sdk.CannotTell, failure.AsError()
	case !same:
		return sdk.Rejected, nil
	case failure == nil && mustChange(login):
		return sdk.AcceptedMustChange, nil
	}
	return sdk.Accepted, nil
}

// logon logs on once. Only identities of the default managed system can.
func (i *Instance) logon(ctx context.Context, target target, value secret.Value) (sdk.Verdict, error) {
	if target.system != defaultSystem {
		return sdk.CannotTell, nil
	}
	answer, failure := soap{i}.call(ctx, i.logons, message{operation: "passwordAuth", readOnly: true, secrets: secrets(value),
		fields: []field{{"domainId", target.domain}, {"principal", target.principal}, {"password", value.Reveal()}}})
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	if answer.attribute("status") == "success" {
		if answer.child("subject").value("resultCode") == "3" {
			return sdk.AcceptedMustChange, nil
		}
		return sdk.Accepted, nil
	}
	return verdict(answer.value("authErrorCode"), target)
}

// Unlock lifts the lock of an identity and of its user.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	target, err := i.target(op.Account)
	if err != nil {
		return sdk.Refuse(err)
	}
	// The server fails in a way of its own for a missing identity.
	if _, failure := (lookups{i}).find(ctx, target); failure != nil {
		return failure.Receipt()
	}
	answer, failed := soap{i}.call(ctx, i.logins, message{operation: "unLockLogin", fields: target.fields()})
	if failed != nil {
		return failed.Receipt()
	}
	switch answer.attribute("status") {
	case "success":
		return sdk.OK()
	case "failure":
		return i.failure(ctx, answer, op, target).Receipt()
	}
	return sdk.Lost(sdk.Errorf(sdk.TargetError, "the answer says neither success nor failure"))
}

// connect makes the clients of the endpoint and of the services beside it.
func (i *Instance) connect(config sdk.Config) error {
	endpoint := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(config.Text("url"), "?wsdl"), "?WSDL"), "/")
	main, err := client(config, endpoint)
	if err != nil {
		return err
	}
	beside := config.Text("services")
	if beside == "" {
		if beside, err = directory(endpoint); err != nil {
			return err
		}
	}
	others, err := client(config, beside)
	if err != nil {
		return err
	}
	i.clients = []*rest.Client{main, others}
	i.provision = service{main, "", text(config, "namespace", defaultNamespace)}
	i.logins = service{others, "/LoginDataWebService", loginNamespace}
	i.passwords = service{others, "/PasswordWebService", passwordNamespace}
	i.logons = service{others, "/AuthenticationService", text(config, "auth_namespace", defaultAuth)}
	return nil
}

// Policy returns the policy of the account, or of policy_principal where no
// account is named. Without both OpenIAM has nothing to tell, and the policy
// is empty.
func (i *Instance) Policy(ctx context.Context, account, _ string) (sdk.Policy, error) {
	named := account
	if named == "" {
		named = i.policyPrincipal
	}
	if named == "" {
		return sdk.Policy{Note: "OpenIAM tells its policy for an account only: name one with policy_principal"}, nil
	}
	target, err := i.target(named)
	if err != nil {
		return sdk.Policy{}, err
	}
	rules, failure := i.rules(ctx, target)
	if failure != nil {
		return sdk.Policy{}, failure.AsError()
	}
	return rules.policy(), nil
}

// rules reads the policy of an identity. The server answers a fault for one
// that does not exist, so the identity is looked up before this is believed.
func (i *Instance) rules(ctx context.Context, target target) (rules, *rest.Failure) {
	answer, failure := soap{i}.call(ctx, i.passwords, message{operation: "getPasswordPolicy", fields: target.fields(), readOnly: true})
	if failure != nil {
		if _, missing := (lookups{i}).find(ctx, target); missing != nil && missing.Err.Code == sdk.AccountNotFound {
			return nil, missing
		}
		return nil, failure
	}
	policy := answer.child("policy")
	if answer.attribute("status") != "success" || policy == nil {
		return nil, rest.Refusal(sdk.Errorf(sdk.TargetError, "the server has no password policy for %s", target))
	}
	made := rules{}
	for _, node := range policy.children {
		if node.name == "policyAttributes" {
			made[strings.ToUpper(node.value("name"))] = [2]string{node.raw("value1"), node.raw("value2")}
		}
	}
	return made, nil
}
