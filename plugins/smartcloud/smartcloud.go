// Package smartcloud sets passwords of IBM SmartCloud (Connections Cloud)
// through its BSS administration interface. It knows that interface's
// requests, states, errors and documented password policy; it knows nothing of
// mail, seats or subscriptions, and creates no accounts.
package smartcloud

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

const version = "1.0.0"

// The values of the setting logon_check.
const (
	checkNever  = "never"
	checkSettle = "settle"
	checkVerify = "verify"
)

type backend struct {
	now func() time.Time // of the session
}

// New returns the backend.
func New() sdk.Backend { return backend{now: time.Now} }

// Describe returns the settings and abilities.
func (backend) Describe() sdk.Description {
	return sdk.Description{
		Name:          "smartcloud",
		Version:       version,
		Summary:       "IBM SmartCloud (Connections Cloud), by its BSS administration interface",
		Doc:           doc,
		Config:        fields(),
		Verbs:         []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset},
		ReplaySafe:    []sdk.Verb{sdk.Set, sdk.Reset},
		Abilities:     sdk.AbilitiesOf((*verifying)(nil)),
		Recover:       sdk.SetThenChange,
		MustChange:    new(true),
		Limits:        sdk.Limits{Concurrency: 16, Timeout: 30 * time.Second},
		Egress:        []string{"{url}", "{proxy}"},
		Target:        []string{"url"},
		Paths:         []string{"{ca_file}"},
		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return append([]sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: "the data centre's host, such as https://apps.na.collabserv.com"},
		{Name: "admin", Type: sdk.String, Required: true, Doc: "e-mail address of an administrator (role CustomerAdministrator or VSR)"},
		{Name: "password", Type: sdk.Secret, Required: true, Doc: "the administrator's password"},
		{Name: "bypass_policy", Type: sdk.Bool, Default: false, Doc: "setUserPassword skips the password policy, reuse included"},
		{Name: "budget", Type: sdk.String, Default: "", Doc: "most requests in a period, as N/s, N/m, N/h or N/30s; empty: no limit of our own"},
		{Name: "weights", Type: sdk.List, Doc: "what a request counts in the budget, as subscriber=1, authentication=1, changepassword=1, getrolelist=1 (the defaults)"},
		{Name: "logon_check", Type: sdk.Choice, Default: checkSettle, Choices: []string{checkNever, checkSettle, checkVerify},
			Doc: "when to log on as a user to see whether a password works: never (nor look in another way); settle: once, before an answer that may come from an earlier attempt is reported; verify: also for step.verify"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "allow http:// to another machine: passwords in clear"},
		{Name: "ca_file", Type: sdk.Path, Default: "", Doc: "PEM certificates to trust in place of the system's"},
	}, rest.ProxyFields()...)
}

const doc = `Accounts are e-mail addresses.

  set(must_change = True)   setOneTimePassword: works for one login; PENDING and ACTIVE accounts
  set                       setUserPassword: permanent; ACTIVE accounts only, else AccountStatus
  change                    changePassword, by the administrator; old may be a one-time or temporary
                            password; PENDING and ACTIVE accounts
  reset                     resetPassword: the user gets a mail; the value is never told

Each operation first reads the subscriber: a federated account has no password
here (NoCredential), a suspended or deleted one is refused (AccountStatus).
The administrator's own account is Protected.

Policy (documented; there is no way to ask for it): 8 characters or more, 4
letters, 1 that is no letter, no blanks, no character more than twice in a row,
none of the last 8, no user name or e-mail address in it. With bypass_policy the
host checks nothing before it sends.

filter of accounts(): empty for all that the administrator sees, or the query's
own parameters: "customer=ID", "emailAddress=E", each with SubscriberState=S if
only those in one state are wanted. Attributes are the names of a Subscriber's or
its Person's fields, such as FamilyName, EmployeeNumber, SubscriberState.

A change whose answer was lost is settled without a second final value: by
setUserPassword with the same value where the account is ACTIVE, else by a
one-time password and a change from it to the same value.

Inferred, because IBM documents nothing about it: that a broken policy, a wrong
old password and a missing field are all HTTP 400 (told apart by their texts,
and by checking the value against the policy here); that 404 is an unknown
account and 409 a state that forbids; that overload is 503; that setting the
present value again may count as one of the last 8; that a user may read the own
profile with Basic authentication, which is what logon_check does (only success
is taken as evidence, except for step.verify; it costs one logon attempt); that a
change looks at the old password first. The last settles a one-time password that
was sent twice, which a logon would use up: a change from it to itself is refused
as a repetition if it is the present one, and for a wrong old password if not.
IBM's numbers for the load that an organisation may cause are not public: set
budget and weights if you know yours.`

// Configure checks the settings; it connects to nothing.
func (b backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	instance := &Instance{admin: config.Text("admin"), bypass: config.Bool("bypass_policy"), look: config.Text("logon_check") != checkNever}
	if instance.admin == "" {
		return nil, sdk.Errorf(sdk.InvalidConfig, "admin: is empty")
	}
	instance.basic = rest.Basic(instance.admin, config.Secret("password"))
	limit, err := parseBudget(config.Text("budget"), config.List("weights"))
	if err != nil {
		return nil, err
	}
	instance.budget = limit
	instance.client, err = rest.New(rest.Options{
		Base: config.Text("url"), Insecure: config.Bool("insecure"), CAFile: config.Text("ca_file"), Proxy: rest.ProxyOf(config), Concurrency: config.Concurrency, Timeout: config.Timeout,
		UserAgent: "rekey-backend-smartcloud/" + version, Secrets: []secret.Value{config.Secret("password"), instance.basic}, Explain: explain, Log: config.Log,
	})
	if err != nil {
		return nil, err
	}
	instance.session = rest.NewSession(rest.SessionOptions{Login: instance.login, Timeout: config.Timeout, Now: b.now})
	if config.Text("logon_check") == checkVerify {
		return &verifying{instance}, nil
	}
	return instance, nil
}

// Instance is one organisation as one administrator sees it.
type Instance struct {
	client  *rest.Client
	session *rest.Session
	budget  *budget
	admin   string
	basic   secret.Value // the administrator's Authorization
	bypass  bool
	look    bool // log on as a user to settle an earlier attempt
}

var (
	_ sdk.Finder       = (*Instance)(nil)
	_ sdk.Lister       = (*Instance)(nil)
	_ sdk.PolicyReader = (*Instance)(nil)
	_ sdk.Checker      = (*Instance)(nil)
	_ sdk.Resetter     = (*Instance)(nil)
	_ sdk.Verifier     = (*verifying)(nil)
)

// Close drops the connections.
func (i *Instance) Close() error {
	i.session.Close()
	i.client.Close()
	return nil
}

const (
	authentication = "/api/bss/service/authentication/"
	authorization  = "/api/bss/service/authorization/"
	resource       = "/api/bss/resource/subscriber"
)

// login finds out whether the administrator's password is still taken. Basic
// authentication has no session to renew; but an operation answered
// 401 asks this once before it gives up, and after three such answers in a row
// nothing more is sent: two thousand users must not lock the administrator.
func (i *Instance) login(ctx context.Context, old secret.Value) (secret.Value, *rest.Failure) {
	_, failure := i.roles(ctx)
	if failure == nil || failure.Answer.Status != 0 && failure.Answer.Status != http.StatusUnauthorized && failure.Answer.Status < 500 {
		return nextToken(old), nil
	}
	return secret.Value{}, failure
}

// nextToken tells one belief that the login works from the next.
func nextToken(old secret.Value) secret.Value { return secret.New(old.Reveal() + "+") }

// roles returns the administrator's own roles.
func (i *Instance) roles(ctx context.Context) ([]string, *rest.Failure) {
	answer, failure := i.do(ctx, "getrolelist", rest.Request{Method: http.MethodPost, Path: authorization + "getRoleList", Query: query("loginName", i.admin), ReadOnly: true})
	if failure != nil {
		return nil, failure
	}
	var body struct{ List []rest.Text }
	if err := answer.JSON(&body); err != nil {
		return nil, rest.Refusal(sdk.AsError(err, sdk.TargetError))
	}
	return texts(body.List), nil
}

func texts(list []rest.Text) []string {
	all := make([]string, len(list))
	for index, text := range list {
		all[index] = string(text)
	}
	return all
}

// do sends a request as the administrator, when the budget allows.
func (i *Instance) do(ctx context.Context, weight string, request rest.Request) (rest.Answer, *rest.Failure) {
	if failure := i.budget.spend(ctx, weight); failure != nil {
		return rest.Answer{}, failure
	}
	request.Authorization = i.basic
	return i.client.Do(ctx, request)
}

// Check logs in and looks at the administrator's roles.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	roles, failure := i.roles(ctx)
	switch {
	case failure == nil && !administers(roles):
		return bad(sdk.PermissionDenied, "the administrator's roles are "+strings.Join(roles, ", ")+"; not one of them may set passwords", "give it the role CustomerAdministrator")
	case failure == nil:
		return append([]sdk.Finding{{Message: "logged in at " + i.client.Host() + " with the roles " + strings.Join(roles, ", ")}}, i.client.Findings()...)
	case failure.Answer.Status == http.StatusUnauthorized:
		return bad(sdk.InvalidConfig, "the administrator's e-mail address or password is refused", "check admin and password")
	case failure.Err.Code == sdk.PermissionDenied:
		return bad(sdk.PermissionDenied, "the administrator may not use the BSS interface", "have BSS access enabled for the organisation, and give it the role CustomerAdministrator")
	case failure.Answer.Status == http.StatusNotFound:
		return bad(sdk.InvalidConfig, "there is no BSS interface at "+i.client.Host(), "check url: the data centre's host, without a path")
	}
	return bad(failure.Err.Code, failure.Err.Message, "check url, and that the system is up")
}

// Apply sets or changes the password of one account.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.admissible(op); failure != nil {
		return sdk.Refuse(failure)
	}
	return i.perform(ctx, op)
}

// Reset has a new password mailed to the user; the receipt lacks it.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Reset
	if failure := i.target(op); failure != nil {
		return sdk.Refuse(failure)
	}
	return i.perform(ctx, op)
}

// perform does the operation, and once more if the login turns out to be
// refused and then good again.
func (i *Instance) perform(ctx context.Context, op sdk.Operation) sdk.Receipt {
	receipt := sdk.OK()
	ctx = rest.WithSecrets(ctx, op.Value, op.Old)
	failure := i.session.Do(ctx, func(secret.Value) *rest.Failure {
		found, failed := directory{i}.subscriber(ctx, op.Account)
		if failed != nil {
			return failed
		}
		if failure := found.refuses(op); failure != nil {
			return i.settled(ctx, op, found, rest.Refusal(failure), &receipt)
		}
		answer, failed := i.do(ctx, weightOf(op), request(op, i.bypass))
		return i.settled(ctx, op, found, judge(op, found, answer, failed), &receipt)
	})
	if failure != nil {
		return failure.Receipt()
	}
	return receipt
}

// settled looks whether a refusal of a repeated operation comes from its own
// earlier success: the old password is wrong because it was changed, the new
// one is one of the last 8 because it is the present one. The look is a logon,
// so it is made only then, and only its success counts. A one-time password
// would be used up by a logon; see held.
func (i *Instance) settled(ctx context.Context, op sdk.Operation, found subscriber, failure *rest.Failure, receipt *sdk.Receipt) *rest.Failure {
	if failure == nil || failure.Outcome != sdk.Refused || op.Attempt < 2 || !i.look || op.Verb == sdk.Reset {
		return failure
	}
	switch {
	case oneTime(op):
		if remembered(failure.Err) && i.held(ctx, op, found) {
			*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
			return nil
		}
		return failure
	case failure.Err.Code == sdk.PolicyViolation && len(broken(op.Value.Reveal(), op.Account)) == 0:
	case failure.Err.Code == sdk.WrongCurrentPassword:
	case failure.Err.Code == sdk.AccountStatus && found.status() == sdk.StatusPending:
	default:
		return failure
	}
	if verdict, _ := i.logon(ctx, op.Account, op.Value); verdict == sdk.Accepted {
		*receipt = sdk.Receipt{Outcome: sdk.AlreadyApplied}
		return nil
	}
	return failure
}

// held asks whether a one-time password that the system remembers is the
// present one, without a logon: a change from it to itself is refused for a
// wrong old password where it is not, and as a repetition where it is. Neither
// changes anything.
func (i *Instance) held(ctx context.Context, op sdk.Operation, found subscriber) bool {
	op.Verb, op.Old, op.MustChange = sdk.Change, op.Value, nil
	answer, failure := i.do(ctx, weightOf(op), request(op, i.bypass))
	failure = judge(op, found, answer, failure)
	return failure != nil && failure.Outcome == sdk.Refused && remembered(failure.Err)
}

// admissible refuses what cannot be asked of this system.
func (i *Instance) admissible(op sdk.Operation) *sdk.Error {
	if failure := i.target(op); failure != nil {
		return failure
	}
	for _, value := range []secret.Value{op.Value, op.Old} {
		if !utf8.ValidString(value.Reveal()) {
			return sdk.Errorf(sdk.InvalidOperation, "a password is not valid UTF-8, which JSON needs")
		}
	}
	switch {
	case op.Verb == sdk.Change && op.Old.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "the old password is empty")
	case op.Verb == sdk.Change && op.MustChange != nil && *op.MustChange:
		return sdk.Errorf(sdk.Unsupported, "a change makes a permanent password; use set with must_change = True")
	}
	return nil
}

func (i *Instance) target(op sdk.Operation) *sdk.Error {
	switch {
	case op.Account == "":
		return sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	case op.Kind != "":
		return sdk.Errorf(sdk.InvalidOperation, "kind %q: an account has one password, whose kind is \"\"", op.Kind)
	case strings.EqualFold(strings.TrimSpace(op.Account), i.admin):
		return sdk.Errorf(sdk.Protected, "is the administrator that rekey is logged in as")
	}
	return nil
}

// logon tries a password as its owner, by reading the own profile. It is
// CannotTell, with the reason, where the answer says neither yes nor no.
func (i *Instance) logon(ctx context.Context, account string, value secret.Value) (sdk.Verdict, *rest.Failure) {
	if failure := i.budget.spend(ctx, "subscriber"); failure != nil {
		return sdk.CannotTell, failure
	}
	request := byMail(account)
	request.Authorization = rest.Basic(account, value)
	_, failed := i.client.Do(rest.WithSecrets(ctx, value), request)
	switch {
	case failed == nil || failed.Answer.Status == http.StatusForbidden || failed.Answer.Status == http.StatusNotFound:
		return sdk.Accepted, nil // known, whatever it may see
	case failed.Answer.Status == http.StatusUnauthorized:
		return sdk.Rejected, nil
	}
	return sdk.CannotTell, failed
}

// List calls yield for the subscribers of a filter: the query parameters
// customer or emailAddress, and SubscriberState, which is looked at here. Any
// other is InvalidOperation. A subscriber that moves between two pages while
// they are read is yielded once.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	values, state, err := parseFilter(filter)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for page := 1; ; page++ {
		list, failure := i.page(ctx, values, page)
		if failure != nil {
			return failure.AsError()
		}
		if len(list) == 0 {
			return nil // a short page may not be the last one: the server may have a limit of its own
		}
		fresh := 0
		for _, subscriber := range list {
			if seen[string(subscriber.Id)] {
				continue
			}
			seen[string(subscriber.Id)] = true
			fresh++
			if state != "" && string(subscriber.SubscriberState) != state {
				continue
			}
			account := subscriber.account()
			account.Attributes = subscriber.attributes(attributes)
			if err := yield(account); err != nil {
				return err
			}
		}
		if fresh == 0 {
			return sdk.Errorf(sdk.TargetError, "page %d of the subscribers repeats earlier ones: the list cannot be trusted to be whole", page)
		}
	}
}

func (i *Instance) page(ctx context.Context, values url.Values, page int) (list []subscriber, failure *rest.Failure) {
	values.Set("_pageNumber", strconv.Itoa(page))
	values.Set("_pageSize", strconv.Itoa(pageSize))
	failure = i.session.Do(ctx, func(secret.Value) (failed *rest.Failure) {
		list, failed = directory{i}.list(ctx, rest.Request{Method: http.MethodGet, Path: resource, Query: values, ReadOnly: true})
		return failed
	})
	return list, failure
}

// Policy returns the documented rules, the same for all accounts: the system
// cannot be asked. With bypass_policy nothing is checked beforehand.
func (i *Instance) Policy(_ context.Context, account, _ string) (sdk.Policy, error) {
	if i.bypass {
		return sdk.Policy{Note: "bypass_policy: setUserPassword takes anything; a one-time password and a change are still checked by the system"}, nil
	}
	policy := sdk.Policy{
		MinLength: minLength, Letters: minLetters, NonLetters: minOthers, Forbid: blanks, MaxRepeat: maxRepeat,
		NoAccountName: true, History: history, Note: "as documented by IBM; the system cannot be asked for it",
	}
	if name := userName(account); name != "" {
		policy.ForbidWords = []string{name}
	}
	return policy, nil
}

// Find returns the account of an e-mail address: AccountNotFound if there is
// any, Ambiguous if several undeleted ones have it.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	var found subscriber
	failure := i.session.Do(ctx, func(secret.Value) (failed *rest.Failure) {
		found, failed = directory{i}.subscriber(ctx, account)
		return failed
	})
	if failure != nil {
		return sdk.Account{}, failure.AsError()
	}
	return found.account(), nil
}

func administers(roles []string) bool {
	for _, text := range roles {
		if text == "CustomerAdministrator" || text == "VSR" {
			return true
		}
	}
	return false
}

func bad(code sdk.Code, message, fix string) []sdk.Finding {
	return []sdk.Finding{{Severity: sdk.Bad, Code: code, Message: message, Fix: fix}}
}
