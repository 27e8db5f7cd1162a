package ldap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// resolver finds the entries of accounts, remembers them, and says which of
// them may not be touched. It is safe for concurrent use.
type resolver struct {
	*server
	names names
}

// resolve returns the entry behind each name: its unique id, else its DN. All
// logins go in one search and all DNs in one flight, and what is found is
// remembered for the operations that follow.
func (r *resolver) resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	if failed := r.lookAll(ctx, names); failed != nil {
		return nil, failed
	}
	found := make([]sdk.Identity, len(names))
	for index, name := range names {
		target, failed := r.entryOf(ctx, name)
		switch {
		case failed != nil && !ofName(failed.Code):
			return nil, failed
		case failed != nil:
			found[index].Err = failed
		case target.id != "":
			found[index] = sdk.Identity{Target: "entry", ID: target.id}
		default:
			found[index] = sdk.Identity{Target: strings.ToLower(r.network + " " + r.address), ID: target.folded()}
		}
	}
	return found, nil
}

// ofName reports whether an error is about one name and not about the server.
func ofName(code sdk.Code) bool {
	return code == sdk.AccountNotFound || code == sdk.Ambiguous || code == sdk.InvalidOperation || code == sdk.NoCredential
}

// entryOf is find, and knows of a DN too what stands in its entry.
func (r *resolver) entryOf(ctx context.Context, account string) (target, *sdk.Error) {
	target, failed := r.find(ctx, account)
	if failed != nil || target.seen {
		return target, failed
	}
	entry, failed := r.read(ctx, target.dn, r.telling())
	switch {
	case failed == nil:
		return r.remember(account, entry), nil
	case failed.Code == sdk.AccountNotFound, failed.Code == sdk.PermissionDenied:
		return r.unseen(account, target), nil // bind_dn may write what it may not see; the write will tell
	case failed.Code == sdk.ReadOnly: // of a search that is a referral
		return target, &sdk.Error{Code: sdk.NoCredential, Native: failed.Native, Message: fmt.Sprintf("account %q: another server holds it: %s", account, failed.Message)}
	}
	return target, failed
}

// telling are the attributes that say what kind of entry an account is.
func (r *resolver) telling() []string {
	list := append([]string{r.loginAttribute, "objectClass", "aliasedObjectName"}, uniqueIDs...)
	if r.mode == modeAD {
		return append(list, "sAMAccountName", "userAccountControl", "adminCount")
	}
	return append(list, "userPassword", "shadowLastChange")
}

// lookAll finds what is not known yet of the names. What that leaves open,
// entryOf asks one by one.
func (r *resolver) lookAll(ctx context.Context, names []string) *sdk.Error {
	var logins []string
	var dns []target
	for _, name := range names {
		if target, known := r.names.get(name); known && target.seen || refuseName(name) != nil {
			continue
		}
		if parsed, isDN := parseDN(name); isDN {
			dns = append(dns, target{dn: name, parsed: parsed})
		} else if r.base != "" {
			logins = append(logins, name)
		}
	}
	if failed := r.lookLogins(ctx, logins); failed != nil {
		return failed
	}
	return r.lookDNs(ctx, dns)
}

// lookLogins is one search for all.
func (r *resolver) lookLogins(ctx context.Context, logins []string) *sdk.Error {
	if len(logins) < 2 {
		return nil
	}
	var filters [][]byte
	for _, login := range logins {
		filters = append(filters, ldapwire.FilterEqual(r.loginAttribute, login))
	}
	var found []entry
	made := ldapwire.Search{Base: r.base, Scope: ldapwire.ScopeSubtree, Filter: ldapwire.FilterOr(filters...), Attributes: r.telling()}
	result, failed := r.query(ctx, made, func(item entry) { found = append(found, item) })
	if failed != nil || result.Code != resultSuccess {
		return failed
	}
	for _, login := range logins {
		if entry := r.only(found, login); entry != nil {
			r.remember(login, *entry)
		}
	}
	return nil
}

// lookDNs reads the entries in one flight.
func (r *resolver) lookDNs(ctx context.Context, dns []target) *sdk.Error {
	if len(dns) < 2 {
		return nil
	}
	one := ldapwire.Search{Scope: ldapwire.ScopeBase, Filter: ldapwire.FilterPresent("objectClass"), Attributes: r.telling()}
	list := make([]ldapwire.Search, len(dns))
	for i, dn := range dns {
		list[i] = one
		list[i].Base = dn.dn
	}
	for try := 0; ; try++ {
		failed := r.admin.use(ctx, func(link *conn) error {
			return link.searches(ctx, list, func(count int, item entry) { r.keep(dns[count], item) })
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
func (r *resolver) only(found []entry, login string) *entry {
	var mine *entry
	for index := range found {
		if slices.ContainsFunc(found[index].All(r.loginAttribute), func(name string) bool { return sameLogin(name, login) }) {
			if mine != nil {
				return nil
			}
			mine = &found[index]
		}
	}
	return mine
}

// remember keeps which entry an account is.
func (r *resolver) remember(account string, entry entry) target {
	return r.keep(target{dn: account}, entry)
}

// keep is remember of an account that may be a DN, and parsed already: the server
// mostly spells it as the list does.
func (r *resolver) keep(named target, entry entry) target {
	account, made := named.dn, target{dn: entry.DN, parsed: named.parsed, id: entry.uniqueID(), seen: true}
	if named.parsed == nil || named.dn != entry.DN {
		made.parsed, _ = parseDN(entry.DN)
	}
	made.foreign, made.guarded = r.foreign(account, entry), r.guarded(account, entry)
	made.forever = r.mode == modeAD && entry.number("userAccountControl")&uacForever != 0
	made.samba, made.shadow = entry.is("sambaSamAccount"), entry.First("shadowLastChange") != ""
	r.names.put(account, made)
	return made
}

// unseen keeps that an entry could not be looked at.
func (r *resolver) unseen(account string, target target) target {
	target.seen, target.hidden = true, true
	r.names.put(account, target)
	return target
}

// foreign is the refusal of an entry whose password is not its own: one that
// stands for another entry, or whose value points to another system.
func (r *resolver) foreign(account string, entry entry) *sdk.Error {
	if entry.isAlias() {
		return sdk.Errorf(sdk.NoCredential, "account %q: is an alias of %q; name that entry", account, entry.First("aliasedObjectName"))
	}
	if r.replacePassthrough {
		return nil
	}
	if scheme := entry.passThrough(); scheme != "" {
		return &sdk.Error{Code: sdk.NoCredential, AccountStatus: sdk.StatusFederated, Message: fmt.Sprintf(
			"account %q: its userPassword is %s, which points to a password in another system; set it there, or say replace_passthrough = True", account, scheme)}
	}
	return nil
}

// find returns the entry of an account, or AccountNotFound, Ambiguous,
// InvalidOperation for what cannot be one.
func (r *resolver) find(ctx context.Context, account string) (target, *sdk.Error) {
	if failed := refuseName(account); failed != nil {
		return target{}, failed
	}
	if target, ok := r.names.get(account); ok {
		return target, nil
	}
	if parsed, ok := parseDN(account); ok {
		return target{dn: account, parsed: parsed}, nil
	}
	entry, failed := r.look(ctx, account)
	if failed != nil {
		return target{}, failed
	}
	return r.remember(account, entry), nil
}

// look asks the server for the one entry of a login. In a domain users have two
// more names, DOMAIN\name and name@domain.
func (r *resolver) look(ctx context.Context, login string) (entry, *sdk.Error) {
	if r.base == "" {
		return entry{}, sdk.Errorf(sdk.InvalidConfig, "base_dn: missing, and account %q is not a DN", login)
	}
	found, failed := r.lookBy(ctx, r.loginAttribute, login)
	if failed == nil || failed.Code != sdk.AccountNotFound || r.mode != modeAD || r.loginAttribute != defaultLoginAD {
		return found, failed
	}
	if domain, name, ok := strings.Cut(login, `\`); ok {
		return r.lookInDomain(ctx, name, domain, failed)
	}
	local, domain, ok := cutLast(login, "@")
	if !ok {
		return found, failed
	}
	found, absent := r.lookBy(ctx, "userPrincipalName", login)
	if absent == nil || absent.Code != sdk.AccountNotFound {
		return found, absent
	}
	return r.lookInDomain(ctx, local, domain, failed) // every user has this one
}

// lookInDomain looks for a user by its name in a domain, unless that is another
// one than the server's: then the login is as unknown as it was.
func (r *resolver) lookInDomain(ctx context.Context, name, domain string, unknown *sdk.Error) (entry, *sdk.Error) {
	names, failed := r.domainNames(ctx)
	if failed != nil {
		return entry{}, failed
	}
	if !slices.ContainsFunc(names, func(one string) bool { return one != "" && strings.EqualFold(one, domain) }) {
		return entry{}, unknown
	}
	return r.lookBy(ctx, r.loginAttribute, name)
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// domainNames are the names of the server's domain, the DNS one and the short
// one.
func (r *resolver) domainNames(ctx context.Context) ([]string, *sdk.Error) {
	root, failed := r.read(ctx, "", []string{"defaultNamingContext", "configurationNamingContext"})
	if failed != nil {
		return nil, failed
	}
	domain := root.First("defaultNamingContext")
	var parts []string
	if parsed, ok := parseDN(domain); ok {
		for _, rdn := range parsed.RDNs {
			parts = append(parts, rdn.Attributes[0].Value)
		}
	}
	short := ""
	made := ldapwire.Search{Base: "CN=Partitions," + root.First("configurationNamingContext"), Scope: ldapwire.ScopeSubtree, Limit: 2,
		Filter: ldapwire.FilterEqual("nCName", domain), Attributes: []string{"nETBIOSName"}}
	if _, failed = r.query(ctx, made, func(item entry) { short = either(item.First("nETBIOSName"), short) }); failed != nil {
		return nil, failed
	}
	return []string{strings.Join(parts, "."), short}, nil
}

// lookBy asks for the one entry with a value of an attribute.
func (r *resolver) lookBy(ctx context.Context, attribute, value string) (entry, *sdk.Error) {
	var found []entry
	made := ldapwire.Search{Base: r.base, Scope: ldapwire.ScopeSubtree, Limit: 2, Filter: ldapwire.FilterEqual(attribute, value), Attributes: append(r.telling(), attribute)}
	result, failed := r.query(ctx, made, func(item entry) { found = append(found, item) })
	switch {
	case failed != nil:
		return entry{}, failed
	case len(found) > 1:
		return entry{}, sdk.Errorf(sdk.Ambiguous, "account %q: several entries under %q have this %s", value, r.base, attribute)
	case result.Code == resultNoSuchObject:
		return entry{}, r.noBase(result)
	case result.Code != resultSuccess:
		return entry{}, result.error(result.readCode())
	case len(found) == 0:
		return entry{}, sdk.Errorf(sdk.AccountNotFound, "account %q: no entry under %q has this %s", value, r.base, attribute)
	}
	if names := found[0].All(attribute); len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return sameLogin(name, value) }) {
		return entry{}, sdk.Errorf(sdk.AccountNotFound, "account %q: the server takes it for %q; spell it so", value, names[0])
	}
	return found[0], nil
}

// guarded is the refusal of an entry on which a Windows domain stands: its key,
// its controllers, what other domains trust it by, and administrators unless
// they are meant.
func (r *resolver) guarded(account string, entry entry) *sdk.Error {
	if r.mode != modeAD {
		return nil
	}
	flags, count := entry.number("userAccountControl"), entry.number("adminCount")
	name := strings.ToLower(entry.First("sAMAccountName"))
	switch {
	case name == "krbtgt" || strings.HasPrefix(name, "krbtgt_"):
		return sdk.Errorf(sdk.Protected, "account %q: its key holds the domain together; rotate it as Microsoft says", account)
	case flags&uacController != 0:
		return sdk.Errorf(sdk.Protected, "account %q: is a domain controller, which changes its password itself", account)
	case flags&uacTrust != 0:
		return sdk.Errorf(sdk.Protected, "account %q: is the trust of another domain, which has to change it too; use netdom", account)
	case count > 0 && !r.rotateAdmins:
		return sdk.Errorf(sdk.Protected, "account %q: is or was an administrator (adminCount = %d); say rotate_admins = True if it is meant", account, count)
	}
	return nil
}

// protect refuses the account that rekey is logged in as, and those that are
// guarded.
func (r *resolver) protect(ctx context.Context, found target) *sdk.Error {
	if found.guarded != nil {
		return found.guarded
	}
	if found.parsed == nil {
		return nil
	}
	self, failed := r.self(ctx)
	switch {
	case failed != nil:
		return failed
	case self != nil && len(found.parsed.RDNs) == len(self.RDNs) && found.folded() == (target{parsed: self}).folded():
		return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as it", found.dn)
	}
	return nil
}
