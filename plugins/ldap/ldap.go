// Package ldap is the backend of directories: OpenLDAP, 389 Directory Server
// and their like by RFC 3062, Active Directory and Samba by unicodePwd, others
// by userPassword.
//
// It knows the protocol and what the servers' answers say of a credential. It
// knows nothing of schemas beyond that, and changes no entry but in its
// credential, its must-change mark and its lock.
package ldap

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Backend makes instances, one directory each. The zero Backend is ready for
// use and is what New returns.
type Backend struct {
	// Now is the clock of status and of the pause after a refused logon. Nil:
	// time.Now.
	Now func() time.Time
}

// New returns a Backend.
func New() *Backend { return &Backend{} }

const doc = `An account is a DN, or a login: the value of login_attribute of exactly one
entry under base_dn. What parses as a DN of two parts or more is one. A login
goes to the server as a value, never as filter text, so every character is
safe; DNs that were found are remembered. A DN saves that search.

mode       set, change, reset
rfc3062    the Password Modify operation: the server hashes and applies its
           policy. reset returns the value that the server makes.
ad         Active Directory and Samba, over TLS only: unicodePwd.
           login_attribute is sAMAccountName unless another than uid is given. The domain controller
           that answers first is kept to for the whole run: others learn later.
attribute  userPassword, for servers without the operation. OpenLDAP stores
           what it is sent, so the value is hashed here first, as hash says:
           ssha (default; every server that takes hashes knows it), ssha256,
           ssha512 (OpenLDAP: with its module pw-sha2; without it nobody can
           log in), or plain for servers that hash userPassword themselves
           (389 Directory Server, OpenDJ, eDirectory). A server whose policy
           checks quality refuses hashes.

A value that is hashed already has hash_format = "rfc2307", the text of
userPassword with its {SCHEME}; it is written to userPassword (not in mode ad).

change proves the old value by a logon and acts as the owner, or as bind_dn
where owners may not; in mode ad the server compares. verify is a logon too.

A set is repeated safely. On OpenLDAP with ppolicy and on 389 Directory Server
A SET UNLOCKS A LOCKED ENTRY, even one that was locked for good: leave such
accounts out with select, or say keep_lock = True, which puts the lock back at
once; if the plugin is killed in between, the entry stays unlocked. On Active
Directory a set lifts neither lock nor disablement, and the old value works
beside the new one for an hour unless "OldPasswordAllowedPeriod" is 0. An
identity that has manage rights (or is the rootdn) bypasses ppolicy; write is
enough.

must_change = True or False writes pwdReset (ppolicy; it counts where the policy
has pwdMustChange TRUE, and True is refused where that is known and has not) or
pwdLastSet (ad, where True is refused for a password that never expires). 389
Directory Server knows no such mark, and True is refused. None leaves it to the
server.
A must-change answer to a verify is an acceptance.

The password travels over ldaps://, over ldap:// with start_tls, or over
ldapi:///path/of/socket (or ldapi://%2Fpath%2Fof%2Fsocket), where
auth = "external" logs on as the user that rekey runs as; over TLS it does so as
whom the certificate of cert_file says. Plain ldap:// is refused as InsecureTransport unless
insecure = True, to this machine too. insecure does not switch off certificate
checks: name the authority with ca_file.

Servers do not log passwords, whoever did what; slapd's levels BER and packets
dump all that it reads, and passwords with it: run with neither. 389's error log at level 1
has the values that it compares, and its audit log has hashes. Samba's logs have none.

A refused logon of bind_dn is not tried again for 5 seconds, lest the account
be locked. The entry that bind_dn is may not be rotated (Protected): step.handover
changes its password, as its owner would, which the server has to allow it, and
goes on with the new one once a second session has logged on with that. Of a Windows
domain neither may krbtgt, its controllers and its trusts, nor, without
rotate_admins = True, who has adminCount: administrators now or once.

Two names of one entry (values of login_attribute, its DN however spelled, names
over other labels) are one account, which one user of a run may have. An alias,
and a userPassword that points to another system ({SASL}name@realm), are refused
as NoCredential; replace_passthrough = True replaces the latter.

A set leaves other attributes as they are: sambaNTPassword, with which Samba goes
on taking the old password, and shadowLastChange, by which Linux counts the age.
update_samba and update_shadow write them where an entry has them; that they may
is tried before a value is set. Servers keep them in step with smbk5pwd. Check
counts the entries that would be left behind, and says when the password of
bind_dn expires or lives on grace logins.

accounts(): filter is an LDAP filter, attributes are those of the entries, a list
where one has several values; id is the DN. Aliases, and entries that other
servers hold (references), are left out.

Examples:

    backend("ldap", url = "ldaps://ds.acme.example", base_dn = "ou=people,dc=acme",
            bind_dn = "cn=rotator,dc=acme", bind_password = secret.file("ldap.pw"))
    backend("ldap", mode = "ad", url = "ldaps://dc1.acme.example", base_dn = "dc=acme,dc=example",
            bind_dn = "rotator@acme.example", bind_password = secret.env("AD_PASSWORD"))`

// formatRFC2307 is the one hash format: the text of userPassword.
const formatRFC2307 = "rfc2307"

// Describe returns what an instance can do. In the modes ad and attribute it
// cannot reset.
func (*Backend) Describe() sdk.Description {
	return sdk.Description{
		Name:        "ldap",
		Version:     "1.0.0",
		Summary:     "OpenLDAP, 389 Directory Server, Active Directory, Samba and other directories",
		Doc:         doc,
		Config:      fields(),
		HashFormats: []string{formatRFC2307},
		Verbs:       []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Handover},
		ReplaySafe:  []sdk.Verb{sdk.Set},
		Abilities:   sdk.AbilitiesOf((*resetting)(nil)),
		MustChange:  new(true),
		Limits:      sdk.Limits{Concurrency: 16},
		Egress:      []string{"{url}"},
		Target:      []string{"url", "base_dn", "login_attribute"},
		Paths:       []string{"{ca_file}", "{cert_file}", "{key_file}"},

		VerifyIsLogon: true,
	}
}

func fields() []sdk.Field {
	return []sdk.Field{
		{Name: "url", Type: sdk.URL, Required: true, Doc: "ldaps://HOST[:PORT], ldap://HOST[:PORT] or ldapi:///SOCKET"},
		{Name: "bind_dn", Type: sdk.String, Doc: "who rekey is: a DN; in mode ad also user@domain or DOMAIN\\user; required unless auth is external"},
		{Name: "bind_password", Type: sdk.Secret, Doc: "its password"},
		{Name: "auth", Type: sdk.Choice, Default: "simple", Choices: []string{"simple", authExternal}, Doc: "external: over ldapi:// the system, over TLS the certificate of cert_file tells who rekey is (SASL EXTERNAL), without bind_dn and password"},
		{Name: "base_dn", Type: sdk.String, Doc: "where logins are looked for; not needed where all accounts are DNs"},
		{Name: "login_attribute", Type: sdk.String, Default: defaultLogin, Doc: "what a login is; sAMAccountName in mode ad unless given"},
		{Name: "mode", Type: sdk.Choice, Default: string(modeRFC3062), Choices: []string{string(modeRFC3062), string(modeAD), string(modeAttribute)}, Doc: "how the server takes a password"},
		{Name: "hash", Type: sdk.Choice, Default: hashSSHA, Choices: []string{hashSSHA, hashSSHA256, hashSSHA512, hashPlain}, Doc: "mode attribute: what is done to a value before it is sent"},
		{Name: "start_tls", Type: sdk.Bool, Default: false, Doc: "make an ldap:// connection secure before anything is sent"},
		{Name: "ca_file", Type: sdk.Path, Doc: "PEM file of the authorities to trust instead of the system's"},
		{Name: "cert_file", Type: sdk.Path, Doc: "PEM file of the certificate that rekey shows the server"},
		{Name: "key_file", Type: sdk.Path, Doc: "PEM file of its key, without a passphrase"},
		{Name: "server_name", Type: sdk.String, Doc: "the name that the server's certificate has, where url has to have another: tunnels, proxies"},
		{Name: "insecure", Type: sdk.Bool, Default: false, Doc: "send passwords in clear over ldap://; without it such a connection is refused"},
		{Name: "replace_passthrough", Type: sdk.Bool, Default: false, Doc: "replace userPassword values that point to another system ({SASL}name@realm); without it such an account is refused as NoCredential"},
		{Name: "replace_sasl", Type: sdk.Bool, Default: false, Doc: "the earlier name of replace_passthrough"},
		{Name: "keep_lock", Type: sdk.Bool, Default: false, Doc: "put back the lock of an entry that a set lifts; between the two the entry is unlocked"},
		{Name: "update_samba", Type: sdk.Bool, Default: false, Doc: "write sambaNTPassword and sambaPwdLastSet of entries of Samba (sambaSamAccount) too, and remove sambaLMPassword"},
		{Name: "update_shadow", Type: sdk.Bool, Default: false, Doc: "write today into shadowLastChange of entries that have it"},
		{Name: "rotate_admins", Type: sdk.Bool, Default: false, Doc: "mode ad: rotate accounts with adminCount, of administrators, too; without it they are refused as Protected"},
		{Name: "page_size", Type: sdk.Int, Default: defaultPage, Doc: "entries a page of accounts(); 0 asks for all at once"},
		{Name: "policy_dn", Type: sdk.String, Doc: "the ppolicy entry that holds for accounts that name none; else all under base_dn are respected"},
	}
}

// Configure opens an instance; the server is met by Check and by the
// operations. A connection that would carry passwords in clear is
// InsecureTransport.
func (b *Backend) Configure(_ context.Context, config sdk.Config) (sdk.Instance, error) {
	settings, err := newSettings(config)
	if err != nil {
		return nil, err
	}
	now := b.Now
	if now == nil {
		now = time.Now
	}
	instance := newInstance(settings, now)
	if settings.mode == modeRFC3062 {
		return &resetting{instance}, nil
	}
	return instance, nil
}
