// Package openiam sets and resets passwords in the OpenIAM identity manager
// through its SOAP services: ProvisionControllerService for what changes
// something, and PasswordWebService, LoginDataWebService and
// AuthenticationService beside it for what looks.
//
// It knows the protocol of the community edition of 2011, which the
// documentation describes and partly contradicts; where the two differ there
// is a setting. It knows nothing of OpenIAM's later, incompatible interface of
// 2015, and it never asks for a password that OpenIAM holds, though the server
// would tell it.
package openiam

import (
	"context"
	"path"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Version is the plugin's.
const Version = "1.0.0"

// What the settings are when a script leaves them out.
const (
	defaultDomain    = "USR_SEC_DOMAIN"
	defaultSystem    = "0"
	defaultNamespace = "http://www.openiam.org/service/provision"
	defaultAuth      = "http://service.auth.srvc.idm.openiam.org/"

	loginNamespace    = "urn:idm.openiam.org/srvc/auth/service"
	passwordNamespace = "urn:idm.openiam.org/srvc/pswd/service"
)

// How Verify asks, by the setting verify.
const (
	verifyEqual = "equal"
	verifyLogon = "logon"
	verifyNone  = "none"
)

// Whether LoginDataWebService has to be there, by the setting lookup.
const (
	lookupOptional = "optional"
	lookupRequired = "required"
)

// Which elements of PasswordSync are sent, by the setting fields.
const (
	fieldsCurrent = "current"
	fieldsBasic   = "basic"
)

// New returns the backend.
func New() sdk.Backend { return backend{} }

type backend struct{}

// Describe says what the plugin can do.
func (backend) Describe() sdk.Description {
	return sdk.Description{
		Name:          "openiam",
		Version:       Version,
		Summary:       "OpenIAM identities, by the SOAP services of the provisioning controller",
		Doc:           doc,
		Config:        settings(),
		Verbs:         []sdk.Verb{sdk.Set, sdk.Reset, sdk.Unlock},
		ReplaySafe:    []sdk.Verb{sdk.Reset, sdk.Unlock},
		Abilities:     sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:    new(true),
		Limits:        sdk.Limits{Concurrency: 8},
		Egress:        []string{"{url}", "{services}", "{proxy}"},
		Paths:         []string{"{ca_file}"},
		Target:        []string{"url", "services", "security_domain", "managed_system"},
		VerifyIsLogon: true,
	}
}

func settings() []sdk.Field {
	return append([]sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: "the endpoint, such as https://idm.example/openiam-idm-esb/idmsrvc/ProvisionControllerService; some releases call it ProvisioningService"},
		{Name: "security_domain", Type: sdk.String, Default: defaultDomain, Doc: "the domain of accounts that do not name one"},
		{Name: "managed_system", Type: sdk.String, Default: defaultSystem, Doc: "the managed system of accounts that do not name one; 0 is OpenIAM itself, whose changes go on to the user's other systems"},
		{Name: "user", Type: sdk.String, Doc: "sends a WS-Security UsernameToken with every request; the community edition does not ask for it"},
		{Name: "password", Type: sdk.Secret, Doc: "of that token"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "allow http:// to another machine: passwords cross the network in clear"},
		{Name: "ca_file", Type: sdk.Path, Doc: "PEM certificates to trust in place of the system's"},
		{Name: "services", Type: sdk.URL, Doc: "where the other services are; default: beside the url"},
		{Name: "lookup", Type: sdk.Choice, Default: lookupOptional, Choices: []string{lookupOptional, lookupRequired},
			Doc: "whether LoginDataWebService has to be there. required: without it no run starts. optional: without it step.find is Unsupported, a verify cannot tell, and a set whose answer is lost stays unknown"},
		{Name: "policy_principal", Type: sdk.String, Doc: "an account whose password policy stands for all: OpenIAM tells a policy only for an account, and step.generate() needs it before it has one"},
		{Name: "verify", Type: sdk.Choice, Default: verifyEqual, Choices: []string{verifyEqual, verifyLogon, verifyNone},
			Doc: "equal: isPasswordEq, which compares with OpenIAM's value and is not a logon; logon: passwordAuth, which does and works on managed system 0 only; none"},
		{Name: "blank_reset", Type: sdk.Bool, Default: true, Doc: "allow step.reset, a resetPassword without a value; False refuses it, because the community edition makes a guessable value and tells no one"},
		{Name: "fields", Type: sdk.Choice, Default: fieldsCurrent, Choices: []string{fieldsCurrent, fieldsBasic},
			Doc: "which elements a request has: current adds passThruAttributes and the requestor_* settings; basic has those of the documentation, for a server whose older schema refuses the rest"},
		{Name: "validate_request", Type: sdk.Bool, Default: true, Doc: "the value of validateRequest; the documentation wants true, the community edition does not read it"},
		{Name: "namespace", Type: sdk.String, Default: defaultNamespace, Doc: "of the provisioning operations; the documentation shows http://www.openiam.org/service/connector, the server's own description this one"},
		{Name: "auth_namespace", Type: sdk.String, Default: defaultAuth, Doc: "of AuthenticationService, for verify = \"logon\""},
		{Name: "requestor_login", Type: sdk.String, Doc: "requestorLogin in OpenIAM's audit log"},
		{Name: "requestor_domain", Type: sdk.String, Doc: "requestorDomain in OpenIAM's audit log"},
		{Name: "request_client_ip", Type: sdk.String, Doc: "requestClientIP in OpenIAM's audit log"},
	}, rest.ProxyFields()...)
}

const doc = `An account is a principal, alone or with a domain or a managed system before it:

    jdoe                       in security_domain, on managed_system
    PARTNERS/jdoe              in another domain
    PARTNERS:110/jdoe          in another domain, on managed system 110
    :110/jdoe                  on managed system 110

What stands before the first slash is the domain; a principal that has a slash
in it is written with one before it: /a/b. For one identity on several systems
use such accounts, or one backend(...) a system, each with its label and
managed_system.

    step.set                       setPassword: under the policy, no forced change
    step.set(must_change = True)   resetPassword with that value: the owner has to change it, the
                                   account is unlocked; the community edition checks no policy here
    step.reset                     resetPassword without a value: the server makes one. If it tells the
                                   value, the value is reported; the community edition does not
    step.unlock                    unLockLogin

The operator's --requestor and --source-system are sent as requestorId and
srcSystemId. setPassword on managed system 0 goes on to the user's identities
on systems that take part in synchronisation; what their connectors answer is
not told by OpenIAM, so verify such a system by itself.

A set is not safe to repeat: the history and the change counter
(PASSWORD_CHANGE_ALLOWED, by default one change until a reset or a nightly task
sets it back) refuse the second one. So a set whose answer was lost is settled
by isPasswordEq, and a further attempt asks that first.

The policy is read from OpenIAM for policy_principal. Its symbols are only
! to / and : to @: if it demands symbols, those are the only ones that are
generated and accepted. Limits above (at most so many digits) are not modelled.

A server that publishes no description (?wsdl) is asked for an operation that
there is not, to see that the service is there; a warning says so.

OpenIAM of 2015 and later has another PasswordSync (no securityDomain, no
validateRequest), which this plugin does not speak.

Documented: the two operations, securityDomain, principal, validateRequest,
password, srcSystemId and requestorId, the four failure codes, and that a reset
tells its value. Read from the sources of 2011: all other fields and codes, the
services beside, the policy.

Inferred, not documented: the WS-Security header; that a fault with the code
Client means that nothing was done; that every failure of a connector comes
after OpenIAM's own copy was changed, which is why those are unknown outcomes.
A 401 or a refused token stops the run: it would refuse every user.`

// Configure opens an instance; it connects to nothing.
func (backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	instance := &Instance{
		domain: text(config, "security_domain", defaultDomain), system: text(config, "managed_system", defaultSystem),
		policyPrincipal: config.Text("policy_principal"), verify: text(config, "verify", verifyEqual),
		blankReset: flag(config, "blank_reset"), validate: flag(config, "validate_request"),
		basic: config.Text("fields") == fieldsBasic, lookup: config.Text("lookup") == lookupRequired,
		audit: audit{config.Text("requestor_login"), config.Text("requestor_domain"), config.Text("request_client_ip")},
		token: token{config.Text("user"), config.Secret("password")},
	}
	if (instance.token.user == "") != instance.token.password.Empty() {
		return nil, sdk.Errorf(sdk.InvalidConfig, "user and password: give both or neither")
	}
	for name, value := range map[string]string{"security_domain": instance.domain, "managed_system": instance.system, "user": instance.token.user} {
		if !writable(value) {
			return nil, sdk.Errorf(sdk.InvalidConfig, "%s: has a character that XML cannot carry", name)
		}
	}
	if err := instance.connect(config); err != nil {
		return nil, err
	}
	return instance, nil
}

func client(config sdk.Config, base string) (*rest.Client, error) {
	return rest.New(rest.Options{Base: base, Insecure: config.Bool("insecure"), CAFile: config.Text("ca_file"), Proxy: rest.ProxyOf(config),
		Concurrency: config.Concurrency, Timeout: config.Timeout, UserAgent: "rekey-openiam/" + Version,
		Secrets: []secret.Value{config.Secret("password")}, Explain: explain, Log: config.Log})
}

// directory returns what the last part of the endpoint's path is in.
func directory(endpoint string) (string, error) {
	scheme, rest, ok := strings.Cut(endpoint, "://")
	dir := path.Dir(rest)
	if !ok || dir == "." {
		return "", sdk.Errorf(sdk.InvalidConfig, "url: names no service; it ends in ProvisionControllerService or the like")
	}
	return scheme + "://" + dir, nil
}

func text(config sdk.Config, name, otherwise string) string {
	if value := config.Text(name); value != "" {
		return value
	}
	return otherwise
}

// flag is a field of type Bool whose default is true.
func flag(config sdk.Config, name string) bool {
	yes, ok := config.Values[name].(bool)
	return yes || !ok
}
