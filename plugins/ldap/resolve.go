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
	for index, name := range names {
		target, failed := i.entryOf(ctx, name)
		switch {
		case failed != nil && !ofName(failed.Code):
			return nil, failed
		case failed != nil:
			found[index].Err = failed
		case target.id != "":
			found[index] = sdk.Identity{Target: "entry", ID: target.id}
		default:
			found[index] = sdk.Identity{Target: strings.ToLower(i.network + " " + i.address), ID: target.folded()}
		}
	}
	return found, nil
}

// ofName reports whether an error is about one name and not about the server.
func ofName(code sdk.Code) bool {
	return code == sdk.AccountNotFound || code == sdk.Ambiguous || code == sdk.InvalidOperation
}

// entryOf is find, and knows of a DN too what stands in its entry.
func (i *Instance) entryOf(ctx context.Context, account string) (target, *sdk.Error) {
	target, failed := i.find(ctx, account)
	if failed != nil || target.seen {
		return target, failed
	}
	entry, failed := i.read(ctx, target.dn, i.telling())
	switch {
	case failed == nil:
		return i.remember(account, entry), nil
	case failed.Code == sdk.AccountNotFound, failed.Code == sdk.PermissionDenied:
		return i.unseen(account, target), nil // bind_dn may write what it may not see; the write will tell
	}
	return target, failed
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
		switch target, known := i.names.get(name); {
		case known && target.seen, refuseName(name) != nil:
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
	made := search{base: i.base, scope: scopeSubtree, filter: filterOr(filters...), attributes: i.telling()}
	result, failed := i.query(ctx, made, func(item entry) { found = append(found, item) })
	if failed != nil || result.code != resultSuccess {
		return failed
	}
	for _, login := range logins {
		if entry := i.only(found, login); entry != nil {
			i.remember(login, *entry)
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
		failed := i.admin.use(ctx, func(link *conn) error {
			return link.searches(ctx, list, func(count int, item entry) { i.remember(dns[count], item) })
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
	for index := range found {
		if slices.ContainsFunc(found[index].all(i.loginAttribute), func(name string) bool { return sameLogin(name, login) }) {
			if mine != nil {
				return nil
			}
			mine = &found[index]
		}
	}
	return mine
}

// remember keeps which entry an account is.
func (i *Instance) remember(account string, entry entry) target {
	made := target{dn: entry.dn, id: entry.uniqueID(), seen: true}
	made.parsed, _ = parseDN(entry.dn)
	made.foreign = i.foreign(account, entry)
	i.names.put(account, made)
	return made
}

// unseen keeps that an entry could not be looked at.
func (i *Instance) unseen(account string, target target) target {
	target.seen = true
	i.names.put(account, target)
	return target
}

// isAlias reports an entry that stands for another.
func (e entry) isAlias() bool {
	return slices.ContainsFunc(e.all("objectClass"), func(code string) bool { return strings.EqualFold(code, "alias") })
}

// foreign is the refusal of an entry whose password is not its own: one that
// stands for another entry, or whose value points to another system.
func (i *Instance) foreign(account string, entry entry) *sdk.Error {
	if entry.isAlias() {
		return sdk.Errorf(sdk.NoCredential, "account %q: is an alias of %q; name that entry", account, entry.first("aliasedObjectName"))
	}
	if i.replaceSASL {
		return nil
	}
	for _, value := range entry.all("userPassword") {
		if scheme := passThrough(value); scheme != "" {
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
	for _, attributeTypeAndValue := range rdn.Attributes {
		name := strings.ToLower(attributeTypeAndValue.Type)
		if one, ok := sameAttributes[name]; ok {
			name = one
		}
		list = append(list, name+"="+escapeFolded.Replace(foldValue(attributeTypeAndValue.Value)))
	}
	slices.Sort(list)
	return strings.Join(list, "+")
}

var escapeFolded = strings.NewReplacer(`\`, `\\`, ",", `\,`, "+", `\+`, "=", `\=`)

// foldValue prepares a value as RFC 4518 does for the rules that ignore case.
func foldValue(value string) string {
	value = strings.Map(func(letter rune) rune {
		switch {
		case letter == 0xad, letter == 0x1806, letter == 0x34f, letter >= 0x180b && letter <= 0x180d, letter >= 0xfe00 && letter <= 0xfe0f, letter == 0xfffc, letter >= 0x200b && letter <= 0x200d, letter == 0xfeff:
			return -1
		}
		return letter
	}, value)
	value = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(value)))
	return strings.Join(strings.Fields(value), " ")
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
