package ldap

import (
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
			if kind := attributeTypeAndValue.Type; !isWord(kind) && !attributeName.MatchString(kind) {
				return nil, false
			}
		}
	}
	return dn, true
}

// isWord reports the names of attributes that are most of them: letters only.
func isWord(name string) bool {
	for i := range len(name) {
		if letter := name[i] | 0x20; letter < 'a' || letter > 'z' {
			return false
		}
	}
	return name != ""
}

// names remembers which entry a login has. It is safe for concurrent use.
type names struct {
	mu     sync.Mutex
	newest map[string]target
	older  map[string]target
}

// remembered is how many names are kept at least: as many as are in flight at once.
const remembered = 4096

func (n *names) get(login string) (target, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	target, ok := n.newest[login]
	if !ok {
		target, ok = n.older[login]
	}
	target.known = true
	return target, ok
}

func (n *names) put(login string, t target) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == nil || len(n.newest) >= remembered {
		n.newest, n.older = make(map[string]target), n.newest
	}
	n.newest[login] = t
}

func (n *names) forget(login string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.newest, login)
	delete(n.older, login)
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

// sameLogin reports whether two spellings differ in case and Unicode form at
// most. Servers see past more than that, spaces for one, and two rows of a file
// would be one account of which nobody says so.
func sameLogin(first, second string) bool {
	return strings.EqualFold(norm.NFC.String(first), norm.NFC.String(second))
}
