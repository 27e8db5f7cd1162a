// Package broadworks sets the three credentials of BroadWorks users through
// the Odin REST interface: the SIP authentication password, the voicemail
// passcode and the password of the web portal. It knows that interface's
// requests, tokens, services, rules and generators; it knows nothing of
// devices, which learn a new SIP password in ways of their own.
package broadworks

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const version = "1.0.0"

type backend struct {
	now func() time.Time // of the session and the rules
}

// New returns the backend.
func New() sdk.Backend { return backend{now: time.Now} }

// Describe returns the settings, kinds and abilities.
func (backend) Describe() sdk.Description {
	return sdk.Description{
		Name:          "broadworks",
		Version:       version,
		Summary:       "BroadWorks users' SIP, voicemail and web passwords, by the Odin REST interface",
		Doc:           doc,
		Config:        fields(),
		Kinds:         []sdk.Kind{{Name: SIP, Doc: "the SIP authentication password; needs the service Authentication"}, {Name: Voicemail, Doc: "the passcode of voicemail and voice portal, digits; needs the service Voice Messaging User"}, {Name: Web, Doc: "the password of the web portal"}},
		Verbs:         []sdk.Verb{sdk.Set},
		ReplaySafe:    []sdk.Verb{sdk.Set},
		Abilities:     sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:    new(false),
		Limits:        sdk.Limits{Concurrency: 8, Timeout: 30 * time.Second},
		Egress:        []string{"{url}", "{proxy}"},
		Target:        []string{"url", "provider", "group"},
		Paths:         []string{"{ca_file}"},
		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return append([]sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: "the interface's base, such as https://odin.example/api/v2"},
		{Name: "user", Type: sdk.String, Required: true, Doc: "who logs in"},
		{Name: "password", Type: sdk.Secret, Required: true, Doc: "that user's password"},
		{Name: "provider", Type: sdk.String, Required: true, Doc: "service provider or enterprise whose rules hold and whose users are listed"},
		{Name: "group", Type: sdk.String, Required: true, Doc: "its group"},
		{Name: "refresh_after", Type: sdk.Duration, Default: 10 * time.Minute, Doc: "renew the token when it is this old; 0: only when it has died"},
		{Name: "check_services", Type: sdk.Bool, Default: true, Doc: "look whether the user has the kind's service before its value is sent"},
		{Name: "sip_generator", Type: sdk.Choice, Default: bySIP, Choices: []string{bySIP, byPassword},
			Doc: "where generated SIP passwords come from: sip-password, one request each, by the SIP rules; password, one request for all, by the system's web rules"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "allow http:// to another machine: passwords in clear"},
		{Name: "ca_file", Type: sdk.Path, Default: "", Doc: "PEM certificates to trust in place of the system's"},
	}, rest.ProxyFields()...)
}

const doc = `Accounts are user ids (name@domain). A set names one of three kinds:

  sip        PUT /users/authentication    service Authentication
  voicemail  PUT /users/portal-passcode   service Voice Messaging User
  web        PUT /users/passwords

Before a sip or voicemail value is sent the user's services are read, those of
service packs included: without the service it is NoCredential. must_change is
Unsupported, since whether a new web password has to be changed is a rule of the
system (forcePasswordChangeAfterReset). The user that rekey logs in as is Protected.

Policy is what the platform's rules say: of the group for web; of provider or
system (useServiceProviderSettings) for sip; of group, provider or system
(useRuleLevel) for voicemail. Values may instead come from the platform's own
generators, by step.generate(kind = ..., generator = BACKEND); an answer with
fewer values than were asked for is refused.

verify works for web only and is a logon, which counts towards maxFailedLoginAttempts.

filter of accounts(): the interface's own filters, such as "lastName=B*" or
"extension=10*&emailAddress=*example*"; one of macAddress, lastName, firstName, dn,
emailAddress, userId, extension. Attributes are a user's fields, such as
extension, phoneNumber, departmentName.

The interface's own reference (doc.odinapi.net) was not at hand; the facts are from
its clients and samples. Inferred: that a token which
died is answered 401; that 402 at the login means that the password has to be
changed first (InvalidConfig: the run stops); that a broken rule is a 4xx whose
text speaks of the password or passcode; that the provider's SIP rules are at
/service-providers/sip-authentication-password-rules and the system's passcode
rules at /system/passcode-rules (where rules are not, or not for this login, the value is
checked by the platform alone); that GET /users answers all users of a group, or pages that go
on by offset. A lost answer is settled by the same value again; where a rule
about old values then refuses it, the outcome stays unknown for sip and
voicemail, unless the refusal says that it is the present value.`

var base = regexp.MustCompile(`/api/v[0-9]+/?$`)

// Configure checks the settings; it connects to nothing.
func (b backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	instance := &Instance{
		user: config.Text("user"), password: config.Secret("password"), provider: config.Text("provider"), group: config.Text("group"),
		checks: config.Bool("check_services"), generator: config.Text("sip_generator"), rules: cache{now: b.now},
	}
	for _, name := range []string{"user", "provider", "group"} {
		if config.Text(name) == "" {
			return nil, sdk.Errorf(sdk.InvalidConfig, "%s: is empty", name)
		}
	}
	var err error
	instance.client, err = rest.New(rest.Options{
		Base: config.Text("url"), Insecure: config.Bool("insecure"), CAFile: config.Text("ca_file"), Proxy: rest.ProxyOf(config), Concurrency: config.Concurrency, Timeout: config.Timeout,
		UserAgent: "rekey-backend-broadworks/" + version, Secrets: []secret.Value{instance.password}, Explain: explain, Log: config.Log,
	})
	if err != nil {
		return nil, err
	}
	if !base.MatchString(config.Text("url")) {
		return nil, sdk.Errorf(sdk.InvalidConfig, "url: ends in no /api/vN; want a base such as https://%s/api/v2", instance.client.Host())
	}
	instance.session = rest.NewSession(rest.SessionOptions{Login: logins{instance}.login, MaxAge: config.Duration("refresh_after"), Timeout: config.Timeout, Now: b.now})
	return instance, nil
}

// Instance is one group of one provider as one login sees it.
type Instance struct {
	client    *rest.Client
	session   *rest.Session
	user      string
	password  secret.Value
	provider  string
	group     string
	checks    bool
	generator string
	rules     cache
}

var (
	_ sdk.Finder       = (*Instance)(nil)
	_ sdk.Lister       = (*Instance)(nil)
	_ sdk.PolicyReader = (*Instance)(nil)
	_ sdk.Verifier     = (*Instance)(nil)
	_ sdk.Checker      = (*Instance)(nil)
	_ sdk.Generator    = (*Instance)(nil)
)

// Close drops the connections. The token is left to die: the interface has no
// log-off.
func (i *Instance) Close() error {
	i.session.Close()
	i.client.Close()
	return nil
}

// Check logs in and reads the group.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	var who session
	failure := logins{i}.as(ctx, func(do exchange) *rest.Failure {
		if failed := decode(do, get("/auth/session", nil), &who); failed != nil && failed.Answer.Status != 404 {
			return failed
		}
		values := rules{i}.ofGroup()
		values.Set("limit", "1")
		_, failure := do(get("/users", values))
		return failure
	})
	if failure != nil {
		return []sdk.Finding{i.wrong(failure)}
	}
	findings := []sdk.Finding{{Message: "logged in at " + i.client.Host() + " as " + i.user + " for " + i.provider + ", " + i.group}}
	if strings.EqualFold(string(who.LoginType), "User") {
		findings = append(findings, sdk.Finding{Severity: sdk.Bad, Code: sdk.PermissionDenied, Message: i.user + " is an ordinary user and cannot set passwords", Fix: "log in as an administrator of the group, the provider or the system"})
	}
	return slices.Concat(findings, who.expiry(), i.client.Findings())
}

// wrong says what a failed Check means.
func (i *Instance) wrong(failure *rest.Failure) sdk.Finding {
	bad := sdk.Finding{Severity: sdk.Bad, Code: failure.Err.Code, Message: failure.Err.Message, Fix: "check url, and that the system is up"}
	switch failure.Err.Code {
	case sdk.LoginExpired:
		bad.Code, bad.Fix = sdk.InvalidConfig, "check user and password"
	case sdk.InvalidConfig:
		bad.Fix = "see the message"
	case sdk.AccountNotFound:
		bad.Code, bad.Fix = sdk.InvalidConfig, "check provider and group: "+i.provider+", "+i.group
	case sdk.PermissionDenied:
		bad.Fix = "log in as an administrator of the group, the provider or the system"
	}
	return bad
}

// Apply sets one credential of one user.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.admissible(op); failure != nil {
		return sdk.Refuse(failure)
	}
	ctx = rest.WithSecrets(ctx, op.Value)
	failed := logins{i}.as(ctx, func(do exchange) *rest.Failure {
		if credential := credentials[op.Kind]; i.checks && credential.service != "" {
			if failure := assigned(do, op.Account, credential); failure != nil {
				return failure
			}
		}
		answer, f := do(request(op))
		return judge(answer, f)
	})
	return i.receipt(ctx, op, failed)
}

// receipt adds what the rules tell about a refusal.
func (i *Instance) receipt(ctx context.Context, op sdk.Operation, failure *rest.Failure) sdk.Receipt {
	if failure == nil {
		return sdk.OK()
	}
	if failure.Outcome == sdk.Refused && (failure.Err.Code == sdk.PolicyViolation || failure.Err.Code == sdk.InvalidOperation) && failure.Answer.Status != 0 {
		i.attribute(ctx, op, failure)
	}
	if failure.Err.Code == sdk.PolicyViolation && op.Attempt > 1 && only(failure.Err.Violations, sdk.RuleSameAsCurrent) {
		return sdk.Receipt{Outcome: sdk.AlreadyApplied} // the present value is the one that an earlier attempt sent
	}
	return failure.Receipt()
}

// admissible refuses what cannot be asked of this system.
func (i *Instance) admissible(op sdk.Operation) *sdk.Error {
	switch {
	case strings.EqualFold(strings.TrimSpace(op.Account), i.user):
		return sdk.Errorf(sdk.Protected, "is the user that rekey is logged in as")
	case !utf8.ValidString(op.Value.Reveal()):
		return sdk.Errorf(sdk.InvalidOperation, "the new value is not valid UTF-8, which JSON needs")
	}
	return nil
}

// Policy returns the rules of the kind in this group. They hold for all its
// users; account is not looked at.
func (i *Instance) Policy(ctx context.Context, _, kind string) (sdk.Policy, error) {
	if _, ok := credentials[kind]; !ok {
		return sdk.Policy{}, sdk.Errorf(sdk.InvalidOperation, "kind %q: want %s, %s or %s", kind, SIP, Voicemail, Web)
	}
	if policy, ok := i.rules.get(kind); ok {
		return policy, nil
	}
	var p sdk.Policy
	failure := logins{i}.as(ctx, func(do exchange) (failed *rest.Failure) {
		p, failed = rules{i}.fetch(do, kind)
		return failed
	})
	if failure != nil {
		return sdk.Policy{}, failure.AsError()
	}
	i.rules.put(kind, p)
	return p, nil
}

// attribute names the rules that a refused value breaks: those that can be
// checked here, else what the text speaks of.
func (i *Instance) attribute(ctx context.Context, op sdk.Operation, failure *rest.Failure) {
	rules, err := i.Policy(ctx, op.Account, op.Kind)
	if err == nil {
		if list := broken(rules, op.Value.Reveal(), op.Account); len(list) > 0 {
			failure.Err.Code, failure.Err.Violations = sdk.PolicyViolation, list
			return
		}
	}
	if failure.Err.Code != sdk.PolicyViolation {
		return
	}
	failure.Err.Violations = []sdk.Violation{{Rule: spoken(strings.ToLower(words(failure.Answer))), Native: failure.Err.Native}}
}

// Verify logs on as the user, for the kind web; for others it cannot tell. It
// counts towards maxFailedLoginAttempts.
func (i *Instance) Verify(ctx context.Context, account, kind string, value secret.Value) (sdk.Verdict, error) {
	if failure := i.admissible(sdk.Operation{Verb: sdk.Verify, Account: account, Kind: kind, Value: value}); failure != nil {
		return sdk.CannotTell, failure
	}
	if kind != Web {
		return sdk.CannotTell, nil
	}
	_, failed := logins{i}.logon(ctx, account, value)
	switch {
	case failed == nil:
		return sdk.Accepted, nil
	case failed.Answer.Status == http.StatusPaymentRequired:
		return sdk.AcceptedMustChange, nil
	case failed.Answer.Status == http.StatusUnauthorized || failed.Answer.Status == http.StatusForbidden:
		if failed.Err.AccountStatus == sdk.StatusLocked {
			return sdk.Blocked, nil
		}
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, failed.AsError()
}

// Find returns the user and which of the kinds it has, by its services:
// AccountNotFound without one.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	if account == "" {
		return sdk.Account{}, sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	}
	var found user
	kinds := []string{}
	failure := logins{i}.as(ctx, func(do exchange) *rest.Failure {
		kinds = kinds[:0]
		list, failed := users(do, get("/users", url.Values{"userId": {account}}))
		if failed != nil {
			return failed
		}
		if len(list.data) != 1 || list.data[0].text("userId") == "" {
			return rest.Refusal(sdk.Errorf(sdk.AccountNotFound, "there is no such user"))
		}
		found = list.data[0]
		for _, kind := range []string{SIP, Voicemail} {
			failure := assigned(do, account, credentials[kind])
			switch {
			case failure == nil:
				kinds = append(kinds, kind)
			case failure.Err.Code != sdk.NoCredential:
				return failure
			}
		}
		return nil
	})
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	a := found.account()
	a.Kinds = append(kinds, Web)
	return a, nil
}

// List calls yield for the users of the group that the filter selects, such as
// "lastName=B*&extension=10*". A filter by another field is InvalidOperation.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	values, err := directory{i}.query(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for offset := 0; ; {
		page, failure := directory{i}.page(ctx, values, offset)
		if failure != nil {
			return failure.AsError()
		}
		for _, user := range page.data {
			id := user.text("userId")
			if id == "" {
				return sdk.Errorf(sdk.TargetError, "the list has a user without userId")
			}
			if seen[id] {
				continue
			}
			seen[id] = true
			account := user.account()
			account.Attributes = map[string]string{}
			for _, name := range attributes {
				account.Attributes[name] = user.text(name)
			}
			if err := yield(account); err != nil {
				return err
			}
		}
		if offset += len(page.data); !page.paged || offset >= page.total {
			return whole(page, len(seen))
		}
		if len(page.data) == 0 || len(seen) < offset {
			return sdk.Errorf(sdk.TargetError, "the list stops at %d of %d users", len(seen), page.total)
		}
	}
}

// Generate asks the platform for count values of the kind. It is TargetError if
// they are fewer, or more, or empty: a value too few must not become a user
// without one.
func (i *Instance) Generate(ctx context.Context, kind string, count int) ([]secret.Value, error) {
	if count < 1 {
		return nil, sdk.Errorf(sdk.InvalidOperation, "generate: got %d values to make, want at least 1", count)
	}
	if _, ok := credentials[kind]; !ok {
		return nil, sdk.Errorf(sdk.InvalidOperation, "kind %q: want %s, %s or %s", kind, SIP, Voicemail, Web)
	}
	var values []string
	failure := logins{i}.as(ctx, func(do exchange) (failed *rest.Failure) {
		values, failed = i.generate(do, kind, count)
		return failed
	})
	if failure != nil {
		return nil, failure.AsError()
	}
	if len(values) != count {
		return nil, sdk.Errorf(sdk.TargetError, "the generator made %d values, want %d", len(values), count)
	}
	list := make([]secret.Value, count)
	for index, value := range values {
		if value == "" {
			return nil, sdk.Errorf(sdk.TargetError, "the generator made an empty value")
		}
		list[index] = secret.New(value)
	}
	return list, nil
}

func (i *Instance) generate(do exchange, kind string, count int) ([]string, *rest.Failure) {
	path, values := "/password/generate", rules{i}.ofGroup()
	switch {
	case kind == Voicemail:
		path = "/passcode/generate"
	case kind == SIP && i.generator == byPassword:
		values = url.Values{}
	case kind == SIP:
		return oneByOne(do, count)
	}
	if count > 1 {
		values.Set("limit", strconv.Itoa(count))
	}
	return ask(do, path, values)
}
