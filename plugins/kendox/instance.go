package kendox

import (
	"context"
	"encoding/json"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// dciAdmin is the id of the built-in administrator, and its login.
const (
	dciAdmin      = "0100a003-38a7-11d8-a902-0050bf427e8f"
	dciAdminLogin = "dciadmin"
)

// Instance is one configured InfoShare. Its methods may be called concurrently.
type Instance struct {
	client, bulk *rest.Client // bulk is for lists of all users
	session      *rest.Session

	tenant, user, clientID string
	password               secret.Value
	encoding               string
	policy                 sdk.Policy

	ownID    atomic.Pointer[string] // of the service account; nil before the first logon
	readOnly atomic.Bool            // the last logon's licence
	rights   rights
	store    store

	after   func(time.Duration) <-chan time.Time
	keeping sync.Once
	running sync.WaitGroup
	context context.Context
	cancel  context.CancelFunc
}

// Apply sets a password. Sending the same one again does the same again.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	method, name, value, err := i.prepare(op)
	if err != nil {
		return sdk.Refuse(err)
	}
	// A server that gets the value knows its hash too.
	known := []secret.Value{op.Value, value, digest(op.Value, i.encoding)}
	if failure := i.set(rest.WithSecrets(ctx, known...), op.Account, method, name, value); failure != nil {
		return i.scrubbed(ctx, failure, known).Receipt()
	}
	return sdk.OK()
}

// set finds the user and makes the call, if all that can be known beforehand
// allows it.
func (i *Instance) set(ctx context.Context, account, method, parameter string, value secret.Value) *rest.Failure {
	if failure := (diagnosis{i}).mayChange(ctx); failure != nil {
		return failure
	}
	user, failed := directory{i}.resolve(ctx, account)
	if failed != nil {
		return failed
	}
	if err := i.refuses(user); err != nil {
		return rest.Refusal(err)
	}
	_, failed = i.in(ctx, call{service: "Common", method: method, arguments: map[string]any{"userId": user.ID, parameter: value}})
	if failed != nil && failed.Err.Code == sdk.AccountNotFound {
		i.store.forget()
	}
	return failed
}

// scrubbed takes an operation's secrets out of a failure read from an
// answer of status 200, of which the client does not know.
func (i *Instance) scrubbed(ctx context.Context, failure *rest.Failure, known []secret.Value) *rest.Failure {
	failure.Err.Message = i.client.Scrub(ctx, failure.Err.Message, known...)
	return failure
}

// prepare checks an operation before anything is sent, and picks the call, its
// parameter and what goes into it.
func (i *Instance) prepare(op sdk.Operation) (method, name string, value secret.Value, err *sdk.Error) {
	plain, _ := op.Options["plain"].(bool)
	switch {
	case op.HashFormat != "" && plain:
		err = sdk.Errorf(sdk.InvalidOperation, "plain: a hash cannot be sent as the value itself")
	case op.HashFormat != "" && !isDigest(op.Value):
		err = sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is not the Base64 of the 64 bytes of a SHA-512")
	case op.HashFormat != "":
		return "SetUserPasswordHashed", "newPasswordHashed", op.Value, nil
	default:
		err = i.violates(op.Value)
	}
	if plain {
		return "SetUserPassword", "newPassword", op.Value, err
	}
	return "SetUserPasswordHashed", "newPasswordHashed", digest(op.Value, i.encoding), err
}

// refuses says why a user's password must not or cannot be set.
func (i *Instance) refuses(user user) *sdk.Error {
	own := i.ownID.Load()
	switch {
	case strings.EqualFold(user.ID, dciAdmin), strings.EqualFold(user.Login, dciAdminLogin):
		return sdk.Errorf(sdk.Protected, "%q is DCIAdmin, whose password only DCIAdmin may set", user.Login)
	case own != nil && strings.EqualFold(user.ID, *own), strings.EqualFold(user.Login, i.user):
		return sdk.Errorf(sdk.Protected, "%q is the account that this backend logs in with", user.Login)
	case user.Obsolete.On:
		return &sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusDeleted, Message: "the user is deleted"}
	case user.Internal.Known && !user.Internal.On:
		return sdk.Errorf(sdk.NoCredential, "the user does not log in with an internal password")
	}
	return nil
}

// Policy returns the rules of the settings: the server does not tell its own.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) { return i.policy, nil }

// Verify logs on as the user and off again, once.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	user, failure := directory{i}.resolve(ctx, account)
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	switch {
	case user.Obsolete.On || user.Active.Known && !user.Active.On:
		return sdk.Blocked, nil
	case user.Internal.Known && !user.Internal.On:
		return sdk.CannotTell, sdk.Errorf(sdk.NoCredential, "the user does not log in with an internal password")
	}
	known := []secret.Value{value, digest(value, i.encoding)}
	logonResult, failure := logins{i}.authenticate(rest.WithSecrets(ctx, known...), user.Login, known[1])
	if failure == nil {
		logins{i}.logoff(ctx, secret.New(logonResult.ConnectionID))
		return sdk.Accepted, nil
	}
	switch failure.Err.Native {
	case "10006":
		return sdk.Rejected, nil
	case "10053", "10054", "10055":
		return sdk.CannotTell, nil
	}
	return sdk.CannotTell, i.scrubbed(ctx, failure, known).AsError()
}

// do sends the call as the session given and returns its result; "null" for a
// call without one.
func (i *Instance) do(ctx context.Context, call call, connection secret.Value) (json.RawMessage, *rest.Failure) {
	client := i.client
	if call.bulk {
		client = i.bulk
	}
	body, secrets := call.body(connection)
	answer, failure := client.Do(ctx, rest.Request{Method: http.MethodPost, Path: "/" + call.service + "/" + call.method, Body: body, Secrets: secrets, ReadOnly: call.readOnly})
	if failure == nil {
		var result json.RawMessage
		if result, failure = read(answer, call); failure == nil {
			return result, nil
		}
		failure.Err.Message = client.Scrub(ctx, failure.Err.Message, secrets...)
	}
	return nil, failure
}

// in sends the call as the instance's session, which is renewed once if it
// has ended.
func (i *Instance) in(ctx context.Context, call call) (json.RawMessage, *rest.Failure) {
	var result json.RawMessage
	failure := i.session.Do(ctx, func(connection secret.Value) *rest.Failure {
		var failed *rest.Failure
		result, failed = i.do(ctx, call, connection)
		return failed
	})
	return result, failure
}

// Check logs on, with the other text encoding if the set one is refused, and
// asks for the rights and the list of users.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	missing, failure := diagnosis{i}.missing(ctx)
	if failure != nil {
		return []sdk.Finding{diagnosis{i}.diagnose(ctx, failure)}
	}
	var found []sdk.Finding
	for _, r := range missing {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.PermissionDenied, Message: "" + lacks([]right{r}).Message,
			Fix: "give " + i.user + " the right in InfoShare's user administration"})
	}
	if i.readOnly.Load() {
		found = append(found, sdk.Finding{Severity: sdk.Warning, Message: "the service account's licence is read-only; changes may be refused", Fix: "use an account with a full licence"})
	}
	if _, failed := (directory{i}).users(ctx); failed != nil {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: failed.Err.Code, Message: "the list of users cannot be read, so login names cannot be resolved: " + failed.Err.Message})
	}
	if policy := i.policy; policy.MinLength+policy.MaxLength+policy.Lower+policy.Upper+policy.Digits+policy.Symbols == 0 {
		found = append(found, sdk.Finding{Severity: sdk.Warning, Message: "no password rules are set, and the server cannot check a hash against its own",
			Fix: "enter the server's rules as min_length, max_length, lower, upper, digits, symbols"})
	}
	return append(found, i.client.Findings()...)
}

// violates checks a plain value against the client's policy. The server sees
// a hash only and cannot.
func (i *Instance) violates(value secret.Value) *sdk.Error {
	if !utf8.ValidString(value.Reveal()) {
		return &sdk.Error{Code: sdk.PolicyViolation, Message: "the value is not UTF-8",
			Violations: []sdk.Violation{{Rule: sdk.RuleEncoding, Message: "is not UTF-8"}}}
	}
	counts, policy := count(value.Reveal()), i.policy
	failure := &sdk.Error{Code: sdk.PolicyViolation, Message: "the value breaks the rules of this backend's settings"}
	add := func(broken bool, rule sdk.Rule, limit int, native string) {
		if broken {
			failure.Violations = append(failure.Violations, sdk.Violation{Rule: rule, Limit: limit, Native: native})
			failure.Message += ", " + native
		}
	}
	add(counts.all < policy.MinLength, sdk.RuleMinLength, policy.MinLength, "min_length")
	add(policy.MaxLength > 0 && counts.all > policy.MaxLength, sdk.RuleMaxLength, policy.MaxLength, "max_length")
	add(counts.lower < policy.Lower, sdk.RuleLower, policy.Lower, "lower")
	add(counts.upper < policy.Upper, sdk.RuleUpper, policy.Upper, "upper")
	add(counts.digits < policy.Digits, sdk.RuleDigits, policy.Digits, "digits")
	add(counts.symbols < policy.Symbols, sdk.RuleSymbols, policy.Symbols, "symbols")
	if failure.Violations == nil {
		return nil
	}
	return failure
}

// limits reads the client's policy.
func (i *Instance) limits(config sdk.Config) error {
	for _, f := range []struct {
		name string
		into *int
	}{{"min_length", &i.policy.MinLength}, {"max_length", &i.policy.MaxLength}, {"lower", &i.policy.Lower},
		{"upper", &i.policy.Upper}, {"digits", &i.policy.Digits}, {"symbols", &i.policy.Symbols}} {
		if *f.into = config.Int(f.name); *f.into < 0 {
			return sdk.Errorf(sdk.InvalidConfig, "%s: got %d, want at least 0", f.name, *f.into)
		}
	}
	policy := i.policy
	if needs := max(policy.MinLength, policy.Lower+policy.Upper+policy.Digits+policy.Symbols); policy.MaxLength > 0 && needs > policy.MaxLength {
		return sdk.Errorf(sdk.InvalidConfig, "max_length: got %d, but the other rules need %d", policy.MaxLength, needs)
	}
	return nil
}

// own are the secrets of the service account: its password and both hashes of
// it, each as good as the password.
func (i *Instance) own() []secret.Value {
	return []secret.Value{i.password, digest(i.password, utf8Text), digest(i.password, utf16leText)}
}

// Close ends the session, so that its licence is free, and drops the
// connections.
func (i *Instance) Close() error {
	i.cancel()
	i.session.Close()
	i.running.Wait()
	if connection := i.session.Token(); connection.Present() {
		ctx, cancel := context.WithTimeout(context.Background(), lastWords)
		defer cancel()
		logins{i}.logoff(ctx, connection)
	}
	i.client.Close()
	i.bulk.Close()
	return nil
}

// Find returns what the list of users says of one.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	user, failure := directory{i}.resolve(ctx, account)
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	return user.account(account), nil
}

// List calls yield for the users whose login name matches the pattern, deleted
// ones left out.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if _, err := path.Match(filter, ""); err != nil {
		return sdk.Errorf(sdk.InvalidOperation, "filter %q: is not a shell pattern", filter)
	}
	users, failure := directory{i}.users(ctx)
	if failure != nil {
		return failure.AsError()
	}
	for _, user := range users {
		if ok, _ := path.Match(strings.ToLower(filter), strings.ToLower(user.Login)); user.Obsolete.On || filter != "" && !ok {
			continue
		}
		account := user.account(user.Login)
		account.Attributes = user.attributes(attributes)
		if err := yield(account); err != nil {
			return err
		}
	}
	return nil
}
