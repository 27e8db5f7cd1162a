// Package smartcloud sets passwords of IBM SmartCloud (Connections Cloud)
// through its BSS administration interface. It knows that interface's
// requests, states, errors and documented password policy; it knows nothing of
// mail, seats or subscriptions, and creates no accounts.
package smartcloud

import (
	"context"
	"net/http"
	"strings"
	"time"

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
		return []sdk.Finding{{Message: "logged in at " + i.client.Host() + " with the roles " + strings.Join(roles, ", ")}}
	case failure.Answer.Status == http.StatusUnauthorized:
		return bad(sdk.InvalidConfig, "the administrator's e-mail address or password is refused", "check admin and password")
	case failure.Err.Code == sdk.PermissionDenied:
		return bad(sdk.PermissionDenied, "the administrator may not use the BSS interface", "have BSS access enabled for the organisation, and give it the role CustomerAdministrator")
	case failure.Answer.Status == http.StatusNotFound:
		return bad(sdk.InvalidConfig, "there is no BSS interface at "+i.client.Host(), "check url: the data centre's host, without a path")
	}
	return bad(failure.Err.Code, failure.Err.Message, "check url, and that the system is up")
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
