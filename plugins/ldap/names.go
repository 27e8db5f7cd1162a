package ldap

import (
	"context"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
)

// goldapParse parses a DN; the empty one is fine.
func goldapParse(dn string) (*goldap.DN, error) { return goldap.ParseDN(dn) }

// parseDN reports whether an account's name is a DN: two parts or more, each
// with the name of an attribute. A login such as "a=b" is none.
func parseDN(name string) (*goldap.DN, bool) {
	if !strings.ContainsRune(name, '=') {
		return nil, false
	}
	dn, err := goldap.ParseDN(name)
	if err != nil || len(dn.RDNs) < 2 {
		return nil, false
	}
	for _, rdn := range dn.RDNs {
		for _, attributeTypeAndValue := range rdn.Attributes {
			if !attributeName.MatchString(attributeTypeAndValue.Type) {
				return nil, false
			}
		}
	}
	return dn, true
}

// names remembers which entry a login has. It is safe for concurrent use.
type names struct {
	mu      sync.Mutex
	entries map[string]target
}

// remembered is how many names are kept: more than are in flight at once.
const remembered = 4096

func (n *names) get(login string) (target, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	target, ok := n.entries[login]
	target.known = true
	return target, ok
}

func (n *names) put(login string, t target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.entries == nil || len(n.entries) >= remembered {
		n.entries = make(map[string]target)
	}
	n.entries[login] = t
}

func (n *names) forget(login string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.entries, login)
}

// target is an entry that an operation is for.
type target struct {
	dn      string
	parsed  *goldap.DN // nil: a server's DN that is none to us
	id      string     // that it keeps for good; "": not known
	seen    bool       // what follows is known, as far as bind_dn may know it
	foreign *sdk.Error // why its password is not its own; nil: it is
	known   bool       // from memory: it may have been renamed since
}

// find returns the entry of an account, or AccountNotFound, Ambiguous,
// InvalidOperation for what cannot be one.
func (i *Instance) find(ctx context.Context, account string) (target, *sdk.Error) {
	if failed := refuseName(account); failed != nil {
		return target{}, failed
	}
	if target, ok := i.names.get(account); ok {
		return target, nil
	}
	if parsed, ok := parseDN(account); ok {
		return target{dn: account, parsed: parsed}, nil
	}
	entry, failed := i.look(ctx, account)
	if failed != nil {
		return target{}, failed
	}
	return i.remember(account, entry), nil
}

// refuseName returns why no account can have the name.
func refuseName(account string) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "account: the name is empty")
	case !utf8.ValidString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name is not UTF-8", account)
	}
	return nil
}

// look asks the server for the one entry of a login.
func (i *Instance) look(ctx context.Context, login string) (entry, *sdk.Error) {
	if i.base == "" {
		return entry{}, sdk.Errorf(sdk.InvalidConfig, "base_dn: missing, and account %q is not a DN", login)
	}
	var found []entry
	made := search{base: i.base, scope: scopeSubtree, limit: 2, filter: filterEqual(i.loginAttribute, login), attributes: i.telling()}
	result, failed := i.query(ctx, made, func(item entry) { found = append(found, item) })
	switch {
	case failed != nil:
		return entry{}, failed
	case len(found) > 1:
		return entry{}, sdk.Errorf(sdk.Ambiguous, "account %q: several entries under %q have this %s", login, i.base, i.loginAttribute)
	case result.code == resultNoSuchObject:
		return entry{}, &sdk.Error{Code: sdk.InvalidConfig, Native: result.native(), Message: "base_dn: " + i.base + " does not exist, or bind_dn may not see it"}
	case result.code != resultSuccess:
		return entry{}, result.error(readMeaning(result))
	case len(found) == 0:
		return entry{}, sdk.Errorf(sdk.AccountNotFound, "account %q: no entry under %q has this %s", login, i.base, i.loginAttribute)
	}
	if names := found[0].all(i.loginAttribute); len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return sameLogin(name, login) }) {
		return entry{}, sdk.Errorf(sdk.AccountNotFound, "account %q: the server takes it for %q; spell it so", login, names[0])
	}
	return found[0], nil
}

// sameLogin reports whether two spellings differ in case and Unicode form at
// most. Servers see past more than that, spaces for one, and two rows of a file
// would be one account of which nobody says so.
func sameLogin(first, second string) bool {
	return strings.EqualFold(norm.NFC.String(first), norm.NFC.String(second))
}

// query runs a search. It changes nothing, so a connection that is lost is
// replaced once.
func (i *Instance) query(ctx context.Context, search search, yield func(entry)) (result, *sdk.Error) {
	for try := 0; ; try++ {
		var entries []entry
		var reply result
		failed := i.admin.use(ctx, func(link *conn) (err error) {
			entries = nil
			_, reply, err = link.search(ctx, search, nil, func(item entry) error {
				entries = append(entries, item)
				return nil
			})
			link.broken = link.broken || err == nil && reply.loggedOut()
			return err
		})
		if again := failed != nil && failed.sent || failed == nil && reply.loggedOut(); again && try == 0 && ctx.Err() == nil {
			continue
		}
		if failed != nil {
			return result{}, reading(failed)
		}
		for _, entry := range entries {
			yield(entry)
		}
		return reply, nil
	}
}

// reading is the error of a search that has no answer: nothing was changed, so
// it is as if it had not been sent.
func reading(failure *failure) *sdk.Error {
	if failure.err.Code == sdk.ConnectionLost {
		return &sdk.Error{Code: sdk.Unreachable, Message: failure.err.Message}
	}
	return failure.err
}

// readMeaning is the code of a search that the server refused.
func readMeaning(result result) sdk.Code {
	switch code := result.meaning().code; code {
	case sdk.PolicyViolation, sdk.WrongCurrentPassword, sdk.ChangeNotAllowed, sdk.NoCredential:
		return sdk.TargetError
	default:
		return code
	}
}

// protect refuses the account that rekey is logged in as, and krbtgt, whose
// key holds a Windows domain together.
func (i *Instance) protect(ctx context.Context, target target) *sdk.Error {
	if target.parsed == nil {
		return nil
	}
	self, failed := i.self(ctx)
	switch {
	case failed != nil:
		return failed
	case self != nil && target.parsed.EqualFold(self):
		return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as it", target.dn)
	case i.mode == modeAD && strings.EqualFold(target.parsed.RDNs[0].Attributes[0].Value, "krbtgt"):
		return sdk.Errorf(sdk.Protected, "account %q: its key holds the domain together; rotate it as Microsoft says", target.dn)
	}
	return nil
}

// self is the entry of the service account, nil if the server does not tell.
func (i *Instance) self(ctx context.Context) (*goldap.DN, *sdk.Error) {
	if dn := i.login.self.Load(); dn != nil {
		return dn, nil
	}
	// It is found at the first logon.
	if failed := i.admin.use(ctx, func(*conn) error { return nil }); failed != nil {
		return nil, failed.err
	}
	return i.login.self.Load(), nil
}
