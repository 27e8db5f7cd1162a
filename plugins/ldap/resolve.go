package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
)

// uniqueIDs are what servers call the id that an entry keeps for good.
var uniqueIDs = []string{"entryUUID", "nsUniqueId", "objectGUID", "ibm-entryUUID", "GUID"}

func (e entry) uniqueID() string {
	for _, name := range uniqueIDs {
		if id := e.first(name); id != "" {
			return id
		}
	}
	return ""
}

// Resolve returns the entry behind each name: its unique id, else its DN. All
// logins go in one search and all DNs in one flight, and what is found is
// remembered for the operations that follow.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	if failed := i.lookAll(ctx, names); failed != nil {
		return nil, failed
	}
	found := make([]sdk.Identity, len(names))
	for n, name := range names {
		t, failed := i.entryOf(ctx, name)
		switch {
		case failed != nil && !ofName(failed.Code):
			return nil, failed
		case failed != nil:
			found[n].Err = failed
		case t.id != "":
			found[n] = sdk.Identity{Target: "entry", ID: t.id}
		default:
			found[n] = sdk.Identity{Target: strings.ToLower(i.network + " " + i.address), ID: t.folded()}
		}
	}
	return found, nil
}

// ofName reports whether an error is about one name and not about the server.
func ofName(c sdk.Code) bool {
	return c == sdk.AccountNotFound || c == sdk.Ambiguous || c == sdk.InvalidOperation
}

// entryOf is find, and knows of a DN too what stands in its entry.
func (i *Instance) entryOf(ctx context.Context, account string) (target, *sdk.Error) {
	t, failed := i.find(ctx, account)
	if failed != nil || t.seen {
		return t, failed
	}
	e, failed := i.read(ctx, t.dn, i.telling())
	switch {
	case failed == nil:
		return i.remember(account, e), nil
	case failed.Code == sdk.AccountNotFound, failed.Code == sdk.PermissionDenied:
		return i.unseen(account, t), nil // bind_dn may write what it may not see; the write will tell
	}
	return t, failed
}

// telling are the attributes that say what kind of entry an account is.
func (i *Instance) telling() []string {
	list := append([]string{i.loginAttribute, "objectClass", "aliasedObjectName"}, uniqueIDs...)
	if i.mode != modeAD {
		list = append(list, "userPassword")
	}
	return list
}

// lookAll finds what is not known yet of the names. What that leaves open,
// entryOf asks one by one.
func (i *Instance) lookAll(ctx context.Context, names []string) *sdk.Error {
	var logins, dns []string
	for _, name := range names {
		_, isDN := parseDN(name)
		switch t, known := i.names.get(name); {
		case known && t.seen, refuseName(name) != nil:
		case isDN:
			dns = append(dns, name)
		case i.base != "":
			logins = append(logins, name)
		}
	}
	if failed := i.lookLogins(ctx, logins); failed != nil {
		return failed
	}
	return i.lookDNs(ctx, dns)
}

// lookLogins is one search for all.
func (i *Instance) lookLogins(ctx context.Context, logins []string) *sdk.Error {
	if len(logins) < 2 {
		return nil
	}
	var filters [][]byte
	for _, login := range logins {
		filters = append(filters, filterEqual(i.loginAttribute, login))
	}
	var found []entry
	s := search{base: i.base, scope: scopeSubtree, filter: filterOr(filters...), attributes: i.telling()}
	r, failed := i.query(ctx, s, func(e entry) { found = append(found, e) })
	if failed != nil || r.code != resultSuccess {
		return failed
	}
	for _, login := range logins {
		if e := i.only(found, login); e != nil {
			i.remember(login, *e)
		}
	}
	return nil
}

// lookDNs reads the entries in one flight.
func (i *Instance) lookDNs(ctx context.Context, dns []string) *sdk.Error {
	if len(dns) < 2 {
		return nil
	}
	var list []search
	for _, dn := range dns {
		list = append(list, search{base: dn, scope: scopeBase, filter: filterPresent("objectClass"), attributes: i.telling()})
	}
	for try := 0; ; try++ {
		failed := i.admin.use(ctx, func(c *conn) error {
			return c.searches(ctx, list, func(n int, e entry) { i.remember(dns[n], e) })
		})
		if failed != nil && failed.sent && try == 0 && ctx.Err() == nil {
			continue
		}
		if failed != nil {
			return reading(failed)
		}
		return nil
	}
}

// only returns the one entry that has the login, nil if it is not one.
func (i *Instance) only(found []entry, login string) *entry {
	var mine *entry
	for n := range found {
		if slices.ContainsFunc(found[n].all(i.loginAttribute), func(name string) bool { return sameLogin(name, login) }) {
			if mine != nil {
				return nil
			}
			mine = &found[n]
		}
	}
	return mine
}

// remember keeps which entry an account is.
func (i *Instance) remember(account string, e entry) target {
	t := target{dn: e.dn, id: e.uniqueID(), seen: true}
	t.parsed, _ = parseDN(e.dn)
	t.foreign = i.foreign(account, e)
	i.names.put(account, t)
	return t
}

// unseen keeps that an entry could not be looked at.
func (i *Instance) unseen(account string, t target) target {
	t.seen = true
	i.names.put(account, t)
	return t
}

// isAlias reports an entry that stands for another.
func (e entry) isAlias() bool {
	return slices.ContainsFunc(e.all("objectClass"), func(c string) bool { return strings.EqualFold(c, "alias") })
}

// foreign is the refusal of an entry whose password is not its own: one that
// stands for another entry, or whose value points to another system.
func (i *Instance) foreign(account string, e entry) *sdk.Error {
	if e.isAlias() {
		return sdk.Errorf(sdk.NoCredential, "account %q: is an alias of %q; name that entry", account, e.first("aliasedObjectName"))
	}
	if i.replaceSASL {
		return nil
	}
	for _, v := range e.all("userPassword") {
		if scheme := passThrough(v); scheme != "" {
			return &sdk.Error{Code: sdk.NoCredential, AccountStatus: sdk.StatusFederated, Message: fmt.Sprintf(
				"account %q: its userPassword is %s, which points to a password in another system; set it there, or say replace_sasl = True", account, scheme)}
		}
	}
	return nil
}

// passThrough returns the scheme of a value that names another system, where
// the password is.
func passThrough(value string) string {
	for _, scheme := range []string{"{SASL}", "{KERBEROS}"} {
		if len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
			return scheme
		}
	}
	return ""
}

// folded is a DN in the form in which two that name one entry are equal: the
// usual other names of attributes are one, case, Unicode form and spaces do
// not count, nor does the order within a part. It is a form to compare.
func (t target) folded() string {
	if t.parsed == nil {
		return foldValue(t.dn)
	}
	var parts []string
	for _, rdn := range t.parsed.RDNs {
		parts = append(parts, foldRDN(rdn))
	}
	return strings.Join(parts, ",")
}

func foldRDN(rdn *goldap.RelativeDN) string {
	var list []string
	for _, a := range rdn.Attributes {
		name := strings.ToLower(a.Type)
		if one, ok := sameAttributes[name]; ok {
			name = one
		}
		list = append(list, name+"="+escapeFolded.Replace(foldValue(a.Value)))
	}
	slices.Sort(list)
	return strings.Join(list, "+")
}

var escapeFolded = strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`, "=", `\=`)

// foldValue prepares a value as RFC 4518 does for the rules that ignore case.
func foldValue(v string) string {
	v = strings.Map(func(r rune) rune {
		switch {
		case r == 0xad, r == 0x1806, r == 0x34f, r >= 0x180b && r <= 0x180d, r >= 0xfe00 && r <= 0xfe0f, r == 0xfffc, r >= 0x200b && r <= 0x200d, r == 0xfeff:
			return -1
		}
		return r
	}, v)
	v = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(v)))
	return strings.Join(strings.Fields(v), " ")
}

// sameAttributes are other names of the attributes of which DNs are made.
var sameAttributes = map[string]string{
	"userid": "uid", "0.9.2342.19200300.100.1.1": "uid",
	"commonname": "cn", "2.5.4.3": "cn",
	"surname": "sn", "2.5.4.4": "sn",
	"organizationalunitname": "ou", "2.5.4.11": "ou",
	"organizationname": "o", "2.5.4.10": "o",
	"domaincomponent": "dc", "0.9.2342.19200300.100.1.25": "dc",
	"countryname": "c", "2.5.4.6": "c",
	"localityname": "l", "2.5.4.7": "l",
	"stateorprovincename": "st", "2.5.4.8": "st",
	"streetaddress": "street", "2.5.4.9": "street",
	"rfc822mailbox": "mail", "0.9.2342.19200300.100.1.3": "mail",
	"gn": "givenname", "2.5.4.42": "givenname",
	"2.5.4.5": "serialnumber", "2.16.840.1.113730.3.1.3": "employeenumber", "2.16.840.1.113730.3.1.241": "displayname",
	"email": "emailaddress", "pkcs9email": "emailaddress", "1.2.840.113549.1.9.1": "emailaddress",
}
