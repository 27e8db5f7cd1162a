package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// login binds connections as the service account, one after the other: if its
// password is wrong, all who wait share the one failed attempt, and for the
// next seconds so do others. Sixteen connections that all try it would lock
// the account.
type login struct {
	dn       string
	password secret.Value
	directory
	now func() time.Time

	gate   chan struct{}             // guards the two below
	failed *sdk.Error                // the last refusal
	until  time.Time                 // when to try again
	policy ppolicy                   // what the last logon was told of its password
	self   atomic.Pointer[goldap.DN] // who that is; nil while it is not known

	external bool // the transport says who rekey is
	where    place
}

// cooling is how long a refused logon is not tried again.
const cooling = 5 * time.Second

func newLogin(dn string, password secret.Value, directory directory, now func() time.Time) *login {
	made := &login{dn: dn, password: password, directory: directory, now: now, gate: make(chan struct{}, 1)}
	if parsed, ok := parseDN(dn); ok {
		made.self.Store(parsed)
	}
	return made
}

// bind logs a new connection in.
func (l *login) bind(ctx context.Context, conn *conn) *sdk.Error {
	select {
	case l.gate <- struct{}{}:
		defer func() { <-l.gate }()
	case <-ctx.Done():
		return wireFault(ctx.Err(), false)
	}
	if l.failed != nil && l.now().Before(l.until) {
		return new(*l.failed) // each caller writes into its own
	}
	result, err := conn.ask(ctx, l.request(), askPPolicy)
	if err != nil {
		return l.where.fault(err)
	}
	l.failed, l.policy = l.refusal(result), result.policy
	if l.failed != nil {
		l.until = l.now().Add(cooling)
		return new(*l.failed)
	}
	return l.recognise(ctx, conn)
}

// request is the logon.
func (l *login) request() []byte {
	if l.external {
		return externalBind()
	}
	return bindRequest(l.dn, l.password.Reveal())
}

// told is what the server said of the service account's password at its last
// logon.
func (l *login) told(ctx context.Context) ppolicy {
	select {
	case l.gate <- struct{}{}:
		defer func() { <-l.gate }()
		return l.policy
	case <-ctx.Done():
		return ppolicy{}
	}
}

// refusal says why the service account is not logged in; nil if it is.
func (l *login) refusal(result result) *sdk.Error {
	code := sdk.LoginExpired
	switch {
	case result.code == resultSuccess && result.policy.code() != ppChangeAfterReset:
		return nil
	case result.code == resultSuccess:
		result.text = "its password has to be changed first"
	case result.code == resultBusy, result.code == resultAdminLimit:
		code = sdk.RateLimited
	case result.code == resultUnavailable:
		code = sdk.TargetUnavailable
	case result.code == resultStrongerAuth, result.code == resultConfidentiality:
		code = sdk.InsecureTransport
	case result.code == resultInvalidDN, result.code == resultInvalidSyntax:
		code = sdk.InvalidConfig
	}
	message := fmt.Sprintf("bind_dn %q: the server refuses the logon: %s", l.dn, result.describe())
	switch {
	case l.external:
		message = fmt.Sprintf("auth: the server refuses the logon as whom the socket says (SASL EXTERNAL): %s", result.describe())
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

// whoAmI asks the server, and one that cannot tell, as Active Directory, for
// the entry that has this name.
func (l *login) whoAmI(ctx context.Context, conn *conn) (string, error) {
	message, err := conn.do(ctx, extendedRequest(oidWhoAmI, nil), nil)
	if err != nil {
		return "", err
	}
	if name, ok := strings.CutPrefix(authorizationID(message), "dn:"); ok {
		return name, nil
	}
	if l.base == "" || l.external {
		return "", nil
	}
	_, short, _ := strings.Cut(l.dn, `\`)
	found := ""
	made := search{base: l.base, scope: scopeSubtree, limit: 2, attributes: []string{"1.1"},
		filter: filterOr(filterEqual("userPrincipalName", l.dn), filterEqual("sAMAccountName", short), filterEqual("sAMAccountName", l.dn))}
	_, _, err = conn.search(ctx, made, nil, func(item entry) error {
		found = item.dn
		return nil
	})
	return found, err
}

// authorizationID reads the answer of a "Who am I?", RFC 4532.
func authorizationID(message message) string {
	parts, err := elements(message.op.body, 3)
	if err != nil {
		return ""
	}
	for _, element := range parts[3:] {
		if element.tag == 0x8b {
			return string(element.body)
		}
	}
	return ""
}

// wireFault is the error of a connection that failed; sent says whether a
// request was under way on it.
func wireFault(err error, sent bool) *sdk.Error {
	var known *sdk.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded) && sent:
		return sdk.Errorf(sdk.Timeout, "the server did not answer in time")
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the server was not reached in time")
	case errors.Is(err, context.Canceled) && sent:
		return sdk.Errorf(sdk.Cancelled, "given up before the server answered")
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	case sent:
		return sdk.Errorf(sdk.ConnectionLost, "the connection was lost before the answer: %v", err)
	}
	return sdk.Errorf(sdk.Unreachable, "%v", err)
}
