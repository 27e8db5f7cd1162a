package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// login binds connections as the service account, one after the other: if its
// password is wrong, all who wait share the one failed attempt, and for the
// next seconds so do others. Sixteen connections that all try it would lock
// the account.
type login struct {
	dn string
	directory
	now func() time.Time

	known  *sdk.Passwords
	gate   chan struct{}             // guards those below
	failed *sdk.Error                // the last refusal
	until  time.Time                 // when to try again
	policy ldapwire.PolicyAnswer     // what the last logon was told of its password
	self   atomic.Pointer[goldap.DN] // who that is; nil while it is not known

	external bool // the transport says who rekey is
	where    place
}

// cooling is how long a refused logon is not tried again.
const cooling = 5 * time.Second

func newLogin(dn string, known *sdk.Passwords, directory directory, now func() time.Time) *login {
	made := &login{dn: dn, known: known, directory: directory, now: now, gate: make(chan struct{}, 1)}
	if parsed, ok := parseDN(dn); ok {
		made.self.Store(parsed)
	}
	return made
}

// enter waits for the gate.
func (l *login) enter(ctx context.Context) (leave func(), failed *sdk.Error) {
	select {
	case l.gate <- struct{}{}:
		return func() { <-l.gate }, nil
	case <-ctx.Done():
		return nil, wireFault(ctx.Err(), false)
	}
}

// bind logs a new connection in.
func (l *login) bind(ctx context.Context, conn *conn) *sdk.Error {
	leave, failed := l.enter(ctx)
	if failed != nil {
		return failed
	}
	defer leave()
	if l.failed != nil && l.now().Before(l.until) {
		return new(*l.failed) // each caller writes into its own
	}
	result, err := l.knock(ctx, conn)
	if err != nil {
		return l.where.dropped(err)
	}
	l.failed, l.policy = l.refusal(result), result.Policy
	if l.failed != nil {
		l.until = l.now().Add(cooling)
		return new(*l.failed)
	}
	return l.recognise(ctx, conn)
}

// knock tries what the password may be, what worked last first. The caller holds
// the gate.
func (l *login) knock(ctx context.Context, conn *conn) (result, error) {
	if l.external {
		return conn.ask(ctx, ldapwire.ExternalBind(), ldapwire.AskPolicy())
	}
	known := l.known.Values()
	for n, value := range known {
		answer, err := conn.ask(ctx, ldapwire.BindRequest(l.dn, value.Reveal()), ldapwire.AskPolicy())
		wrong := err == nil && answer.Code == resultInvalidLogin && !answer.expired() && answer.Policy.Code() != ldapwire.PolicyLocked
		if wrong && n+1 < len(known) {
			continue
		}
		if err == nil && l.refusal(answer) == nil {
			l.known.Prefer(value)
		}
		return answer, err
	}
	return result{}, errNoPassword
}

// errNoPassword is of a login without a password, which settings never make.
var errNoPassword = errors.New("there is no password to log on with")

// told is what the server said of the service account's password at its last
// logon.
func (l *login) told(ctx context.Context) ldapwire.PolicyAnswer {
	leave, failed := l.enter(ctx)
	if failed != nil {
		return ldapwire.PolicyAnswer{}
	}
	defer leave()
	return l.policy
}

// bindWith logs a connection in with one value, which comes first from then on.
func (l *login) bindWith(ctx context.Context, conn *conn, value secret.Value) *sdk.Error {
	leave, failed := l.enter(ctx)
	if failed != nil {
		return failed
	}
	defer leave()
	answer, err := conn.ask(ctx, ldapwire.BindRequest(l.dn, value.Reveal()), ldapwire.AskPolicy())
	if err != nil {
		return l.where.dropped(err)
	}
	if failed := l.refusal(answer); failed != nil {
		return failed
	}
	l.known.Prefer(value)
	return nil
}

// refusal says why the service account is not logged in; nil if it is.
func (l *login) refusal(result result) *sdk.Error {
	code := sdk.LoginExpired
	switch {
	case result.Code == resultSuccess && result.Policy.Code() != ldapwire.PolicyChangeAfterReset:
		return nil
	case result.Code == resultSuccess:
		result.Text = "its password has to be changed first"
	case result.Code == resultBusy, result.Code == resultAdminLimit:
		code = sdk.RateLimited
	case result.Code == resultUnavailable:
		code = sdk.TargetUnavailable
	case result.Code == resultStrongerAuth, result.Code == resultConfidentiality:
		code = sdk.InsecureTransport
	case result.Code == resultInvalidDN, result.Code == resultInvalidSyntax:
		code = sdk.InvalidConfig
	}
	message := fmt.Sprintf("bind_dn %q: the server refuses the logon: %s", l.dn, result.describe())
	switch {
	case l.external:
		message = fmt.Sprintf("auth: the server refuses the logon as whom the socket or the certificate says (SASL EXTERNAL): %s", result.describe())
	case code == sdk.InvalidConfig:
		message += "; write a DN, such as cn=rotator,dc=acme,dc=example"
	}
	return &sdk.Error{Code: code, Native: result.native(), Message: message}
}

// recognise finds out who a bind name that is no DN is, so that nobody changes
// the password with which all this is done.
func (l *login) recognise(ctx context.Context, conn *conn) *sdk.Error {
	if l.self.Load() != nil {
		return nil
	}
	dn, err := l.whoAmI(ctx, conn)
	if err != nil {
		return wireFault(err, false)
	}
	if parsed, ok := parseDN(dn); ok {
		l.self.Store(parsed)
	}
	return nil
}

// whoAmI asks the server.
func (l *login) whoAmI(ctx context.Context, conn *conn) (string, error) {
	if l.mode == modeAD {
		return l.whoInDomain(ctx, conn)
	}
	message, err := conn.do(ctx, ldapwire.ExtendedRequest(ldapwire.OIDWhoAmI, nil))
	if err != nil {
		return "", err
	}
	name, _ := strings.CutPrefix(message.AuthorizationID(), "dn:")
	return name, nil
}

// whoInDomain finds the user whose security identifier the connection has;
// where a domain controller does not tell that, the one with the name that it
// logged on with.
func (l *login) whoInDomain(ctx context.Context, conn *conn) (string, error) {
	var root entry
	made := ldapwire.Search{Scope: ldapwire.ScopeBase, Filter: ldapwire.FilterPresent("objectClass"), Attributes: []string{"defaultNamingContext", "tokenGroups"}}
	if _, _, err := conn.search(ctx, made, nil, func(item entry) error { root = item; return nil }); err != nil {
		return "", err
	}
	_, short, _ := strings.Cut(l.dn, `\`)
	either := [][]byte{ldapwire.FilterEqual("userPrincipalName", l.dn), ldapwire.FilterEqual("sAMAccountName", short), ldapwire.FilterEqual("sAMAccountName", l.dn)}
	if sids := root.All("tokenGroups"); len(sids) > 0 {
		either = nil
		for _, sid := range sids { // of its groups too, which are no users
			either = append(either, ldapwire.FilterEqual("objectSid", sid))
		}
	}
	found := ""
	made = ldapwire.Search{Base: root.First("defaultNamingContext"), Scope: ldapwire.ScopeSubtree, Limit: 2, Attributes: []string{"1.1"},
		Filter: ldapwire.FilterAnd(ldapwire.FilterEqual("objectClass", "user"), ldapwire.FilterOr(either...))}
	_, _, err := conn.search(ctx, made, nil, func(item entry) error {
		found = item.DN
		return nil
	})
	return found, err
}
