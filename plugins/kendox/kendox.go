// Package kendox sets passwords of users of Kendox InfoShare through its JSON
// services, by preference as a hash that the plugin makes, so that the value
// itself never leaves the process.
//
// It knows InfoShare's calls, its sessions, and what its errors mean whatever
// form they come in. InfoShare cannot check the rules of a value of which it
// gets a hash only; the plugin checks those that its settings name. It knows
// nothing of InfoShare's documents, and it does not edit users.
package kendox

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// Version is the plugin's.
const Version = "1.0.0"

// The text encodings under the hash.
const (
	utf8Text    = "utf-8"
	utf16leText = "utf-16le"
)

// hashFormat is the one form of given hashes: Base64 of SHA-512, no salt.
const hashFormat = "sha512-base64"

// largestStore is the most bytes that a list of all users may have.
const largestStore = 64 << 20

// New returns the backend.
func New() sdk.Backend { return backend{after: time.After} }

// backend holds what tests replace.
type backend struct {
	after func(time.Duration) <-chan time.Time // the keep-alive's clock
}

// Describe says what the plugin can do.
func (backend) Describe() sdk.Description {
	return sdk.Description{
		Name:          "kendox",
		Version:       Version,
		Summary:       "users of Kendox InfoShare, their passwords sent as hashes",
		Doc:           doc,
		Config:        settings(),
		Options:       []sdk.Field{{Name: "plain", Type: sdk.Bool, Default: false, Doc: "send the value itself, by SetUserPassword, instead of its hash; the server then checks its own rules"}},
		HashFormats:   []string{hashFormat},
		Verbs:         []sdk.Verb{sdk.Set},
		ReplaySafe:    []sdk.Verb{sdk.Set},
		Abilities:     sdk.AbilitiesOf((*Instance)(nil)),
		MustChange:    new(false),
		Limits:        sdk.Limits{Concurrency: 4},
		Egress:        []string{"{url}", "{proxy}"},
		Paths:         []string{"{ca_file}"},
		Target:        []string{"url", "tenant"},
		VerifyIsLogon: true,
	}
}

func settings() []sdk.Field {
	return append([]sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: "the services, such as https://docs.example/InfoShare/Json; a cloud has another path before the names of the services"},
		{Name: "tenant", Type: sdk.String, Doc: "tenantName of the logon; not needed where there is one tenant"},
		{Name: "user", Type: sdk.String, Required: true, Doc: "the service account's login name; it needs the rights Access to users and user groups, Access to security edit, Reset user password, and no second factor"},
		{Name: "password", Type: sdk.Secret, Required: true, Doc: "of the service account"},
		{Name: "hash_encoding", Type: sdk.Choice, Default: utf8Text, Choices: []string{utf8Text, utf16leText}, Doc: "of the text under the hash; Check proves it with the service account's own logon"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "allow http:// to another machine: hashes are as good as passwords to InfoShare, and cross the network in clear"},
		{Name: "ca_file", Type: sdk.Path, Doc: "PEM certificates to trust in place of the system's"},
		{Name: "client_id", Type: sdk.String, Doc: "clientId of the logon, for licences bound to one"},
		{Name: "min_length", Type: sdk.Int, Default: 0, Doc: "of a password; the rules here are checked before a hash is sent, because the server cannot"},
		{Name: "max_length", Type: sdk.Int, Default: 0, Doc: "of a password; 0 is no limit"},
		{Name: "lower", Type: sdk.Int, Default: 0, Doc: "at least so many lower-case letters"},
		{Name: "upper", Type: sdk.Int, Default: 0, Doc: "at least so many upper-case letters"},
		{Name: "digits", Type: sdk.Int, Default: 0, Doc: "at least so many digits"},
		{Name: "symbols", Type: sdk.Int, Default: 0, Doc: "at least so many characters besides letters and digits"},
	}, rest.ProxyFields()...)
}

const doc = `An account is a login name, DOMAIN\login, or a user's id. Ids and login names are
compared ignoring case; of several users with one login name the active one is
meant, if it is the only one.

    step.set                              SetUserPasswordHashed, with the hash made here
    step.set(hash_format = "sha512-base64")   the same with a given hash: Base64 of 64 bytes
    step.set(options = {"plain": True})   SetUserPassword, with the value itself
    step.verify                           Logon and Logoff as that user: a logon, which takes a
                                          licence for a moment and counts towards a lock if there is one

A filter of accounts() is a shell pattern of login names, such as "team-*";
deleted users are left out. Attributes are the names of a user's fields as
InfoShare has them, such as Domain, Email or NamedUser.

The server cannot check the rules of a value of which it gets a hash, and tells
nobody its own: enter them as min_length and so on. A hash is as good as the
password, and is kept out of logs and errors like one.

Check logs on. If the server refuses that, it tries the other hash_encoding
once, and says so if that one works: two wrong logons at most, which matters
where something locks accounts. After three refused logons in a row no further
one is tried. A session that a killed process leaves behind takes its licence
until it has idled out, ten minutes as InfoShare is shipped.

must_change is refused as Unsupported. InfoShare has a flag for it, but the only
way to it is UpdateUser, which replaces the whole user and whose present fields
no call returns completely; what is not sent would be lost. Use an expiry of
passwords, or InfoShare's invitation mail.

DCIAdmin and the service account itself are Protected, found before anything is
sent. Users without "login with internal password" are NoCredential: a password
would be of no use to them. Deleted users are refused as AccountStatus.

Inferred, not documented: the form of errors (any status but 200, a JSON field
ErrorCode, Code or FaultCode, or five digits in brackets in the text), that a
call keeps the session alive, that the administrative context is held only for
the moment of a call, so that 10129 is worth repeating, and that SetUserPassword
takes the value in clear, whose sample looks like a hash.`

// Configure opens an instance; it connects to nothing. A goroutine of its own
// keeps the session alive after the first logon, until Close.
func (b backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	instance := &Instance{tenant: config.Text("tenant"), user: config.Text("user"), password: config.Secret("password"), clientID: config.Text("client_id"),
		encoding: config.Text("hash_encoding"), after: b.after}
	if instance.encoding == "" {
		instance.encoding = utf8Text
	}
	if err := instance.limits(config); err != nil {
		return nil, err
	}
	switch {
	case instance.user == "" || instance.password.Empty():
		return nil, sdk.Errorf(sdk.InvalidConfig, "user and password: both are needed")
	case instance.encoding != utf8Text && instance.encoding != utf16leText:
		return nil, sdk.Errorf(sdk.InvalidConfig, "hash_encoding: %q is neither utf-8 nor utf-16le", instance.encoding)
	}
	options := rest.Options{Base: config.Text("url"), Insecure: config.Bool("insecure"), CAFile: config.Text("ca_file"), Proxy: rest.ProxyOf(config), Concurrency: config.Concurrency,
		Timeout: config.Timeout, UserAgent: "rekey-kendox/" + Version, Secrets: instance.own(), Explain: explain, Log: config.Log}
	var err error
	if instance.client, err = rest.New(options); err != nil {
		return nil, err
	}
	options.MaxBody, options.Concurrency = largestStore, 1
	if instance.bulk, err = rest.New(options); err != nil {
		return nil, err
	}
	instance.session = rest.NewSession(rest.SessionOptions{Login: logins{instance}.logon, Timeout: config.Timeout})
	instance.context, instance.cancel = context.WithCancel(context.Background())
	return instance, nil
}
