package ldap

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/sdk"
)

// wanted are the attributes that tell the state of an account, whatever the
// server. What a server does not have it leaves out.
func (i *Instance) wanted() []string {
	common := []string{i.loginAttribute, "cn", "displayName", "mail"}
	if i.mode == modeAD {
		return append(common, "userAccountControl", "msDS-User-Account-Control-Computed", "lockoutTime", "accountExpires", "pwdLastSet", "uSNChanged")
	}
	return append(common, "objectClass", "userPassword", "entryCSN", "modifyTimestamp", "pwdChangedTime", "pwdAccountLockedTime", "pwdReset", "pwdPolicySubentry",
		"nsAccountLock", "loginDisabled", "shadowExpire")
}

// Find returns what the directory tells of an account. ID is the DN.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	t, failed := i.find(ctx, account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	e, failed := i.read(ctx, t.dn, i.wanted())
	if failed != nil && failed.Code == sdk.AccountNotFound && t.known {
		i.names.forget(account)
		return i.Find(ctx, account)
	}
	if failed != nil {
		return sdk.Account{}, failed
	}
	a := i.account(e)
	a.Account = account
	if a.Status == sdk.StatusLocked && i.mode != modeAD && !i.stillLocked(ctx, e) {
		a.Status = sdk.StatusActive
	}
	return a, nil
}

// read returns one entry.
func (i *Instance) read(ctx context.Context, dn string, attributes []string) (entry, *sdk.Error) {
	var found []entry
	s := search{base: dn, scope: scopeBase, filter: filterPresent("objectClass"), attributes: attributes}
	r, failed := i.query(ctx, s, func(e entry) { found = append(found, e) })
	switch {
	case failed != nil:
		return entry{}, failed
	case r.code == resultNoSuchObject, r.code == resultSuccess && len(found) == 0:
		return entry{}, &sdk.Error{Code: sdk.AccountNotFound, Native: r.native(), Message: "account " + strconv.Quote(dn) + ": no such entry, or bind_dn may not see it"}
	case r.code != resultSuccess:
		return entry{}, r.error(readMeaning(r))
	}
	return found[0], nil
}

// account reads an entry; Account is its DN.
func (i *Instance) account(e entry) sdk.Account {
	a := sdk.Account{
		Account: e.dn, ID: e.dn,
		Login: e.first(i.loginAttribute), Name: either(e.first("displayName"), e.first("cn")), Mail: e.first("mail"),
		Status: sdk.StatusActive,
	}
	if i.mode == modeAD {
		i.windowsState(&a, e)
		return a
	}
	a.ChangedAt = generalizedTime(e.first("pwdChangedTime"))
	// The change time has seconds only; the other two move with every change
	// of the entry, and so with every change of the value.
	a.Stamp = strings.Trim(e.first("pwdChangedTime")+"/"+either(e.first("entryCSN"), e.first("modifyTimestamp")), "/")
	if reset := e.first("pwdReset"); reset != "" || !a.ChangedAt.IsZero() {
		a.MustChange = new(strings.EqualFold(reset, "TRUE"))
	}
	switch {
	case strings.EqualFold(e.first("nsAccountLock"), "true"), strings.EqualFold(e.first("loginDisabled"), "true"):
		a.Status = sdk.StatusDisabled
	case e.first("pwdAccountLockedTime") != "":
		a.Status = sdk.StatusLocked
	case slices.ContainsFunc(e.all("userPassword"), func(v string) bool { return passThrough(v) != "" }):
		a.Status = sdk.StatusFederated
	case i.shadowExpired(e.first("shadowExpire")):
		a.Status = sdk.StatusExpired
	}
	return a
}

// shadowExpired reads days since 1970; 0 and less is never.
func (i *Instance) shadowExpired(days string) bool {
	n, err := strconv.ParseInt(days, 10, 32)
	return err == nil && n > 0 && !i.now().Before(time.Unix(n*24*60*60, 0))
}

// forGood is the pwdAccountLockedTime of a lock that no time lifts.
const forGood = "000001010000Z"

// stillLocked reports whether a lock has not run out under the account's
// policy. A policy that cannot be read lifts none.
func (i *Instance) stillLocked(ctx context.Context, e entry) bool {
	since := e.first("pwdAccountLockedTime")
	dn := either(e.first("pwdPolicySubentry"), i.policyDN)
	if since == forGood || dn == "" {
		return true
	}
	p, failed := i.read(ctx, dn, []string{"pwdLockoutDuration"})
	if failed != nil {
		return true
	}
	seconds, err := strconv.Atoi(p.first("pwdLockoutDuration"))
	if err != nil || seconds == 0 {
		return true
	}
	return i.now().Before(generalizedTime(since).Add(time.Duration(seconds) * time.Second))
}

// Bits of userAccountControl and its computed twin.
const (
	uacDisabled = 0x2
	uacLockout  = 0x10
)

func (i *Instance) windowsState(a *sdk.Account, e entry) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(e.first(name), 10, 64)
		return n
	}
	a.ChangedAt = fileTime(number("pwdLastSet"))
	a.Stamp = strings.Trim(e.first("pwdLastSet")+"/"+e.first("uSNChanged"), "/")
	if e.first("pwdLastSet") != "" {
		a.MustChange = new(number("pwdLastSet") == 0)
	}
	computed := e.first("msDS-User-Account-Control-Computed")
	locked := number("lockoutTime") > 0
	if computed != "" { // knows that a lock has run out
		locked = number("msDS-User-Account-Control-Computed")&uacLockout != 0
	}
	expires := fileTime(number("accountExpires"))
	switch {
	case number("userAccountControl")&uacDisabled != 0:
		a.Status = sdk.StatusDisabled
	case locked:
		a.Status = sdk.StatusLocked
	case !expires.IsZero() && !i.now().Before(expires):
		a.Status = sdk.StatusExpired
	}
}

// fileTime reads Windows' hundreds of nanoseconds since 1601; 0 and the far
// end are no time.
func fileTime(n int64) time.Time {
	const epoch, never = 116444736000000000, 1<<63 - 1
	if n <= 0 || n == never {
		return time.Time{}
	}
	n -= epoch
	return time.Unix(n/1e7, n%1e7*100).UTC()
}

// generalizedTime reads the times of operational attributes, which are UTC.
func generalizedTime(s string) time.Time {
	t, err := time.Parse("20060102150405Z", s)
	if err != nil {
		t, err = time.Parse("20060102150405.999999Z", s)
	}
	if err != nil {
		return time.Time{}
	}
	return t
}

// List calls yield for the entries under base_dn that filter selects, a page
// at a time; an empty filter selects those that have a login. Values that are
// not text are base 64.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if i.base == "" {
		return sdk.Errorf(sdk.InvalidConfig, "base_dn: missing")
	}
	for _, a := range attributes {
		if secretAttribute(a) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: holds credentials", a)
		}
	}
	compiled, failed := i.filter(filter)
	if failed != nil {
		return failed
	}
	s := search{base: i.base, scope: scopeSubtree, filter: compiled, attributes: append(i.wanted(), attributes...)}
	return i.pages(ctx, s, func(e entry) error {
		if e.isAlias() {
			return nil // the entry that it stands for is there by itself
		}
		a := i.account(e)
		a.Attributes, a.Lists = e.texts(attributes), e.lists(attributes)
		return yield(a)
	})
}

// secretAttribute reports the attributes that are what this package is there
// to keep from being seen.
func secretAttribute(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), ";")
	switch name {
	case "userpassword", "unicodepwd", "pwdhistory", "sambantpassword", "sambalmpassword", "krbprincipalkey", "*", "+":
		return true
	}
	return false
}

// filter returns the filter in the protocol's form.
func (i *Instance) filter(text string) ([]byte, *sdk.Error) {
	if text == "" {
		if i.mode == modeAD {
			return filterAnd(filterEqual("objectCategory", "person"), filterPresent(i.loginAttribute)), nil
		}
		return filterPresent(i.loginAttribute), nil
	}
	if !strings.HasPrefix(text, "(") {
		text = "(" + text + ")"
	}
	packet, err := goldap.CompileFilter(text)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: %v", text, err)
	}
	return packet.Bytes(), nil
}

// pages runs a search in pages on one connection, for a server knows its place
// by that. A list that the server cut is an error.
func (i *Instance) pages(ctx context.Context, s search, yield func(entry) error) error {
	var mine error
	failed := i.admin.use(ctx, func(c *conn) error {
		var cookie []byte
		for {
			last, r, err := c.search(ctx, s, i.paging(cookie), func(e entry) error {
				mine = yield(e)
				return mine
			})
			if err != nil {
				return err
			}
			if r.code != resultSuccess {
				return i.cut(r)
			}
			if cookie = nextPage(last); len(cookie) == 0 {
				return nil
			}
		}
	})
	switch {
	case mine != nil:
		return mine
	case failed != nil:
		return reading(failed)
	}
	return nil
}

// cut is the error of a list that ends before its end.
func (i *Instance) cut(r result) error {
	if r.code == resultNoSuchObject {
		return &sdk.Error{Code: sdk.InvalidConfig, Native: r.native(), Message: "base_dn: " + i.base + " does not exist, or bind_dn may not see it"}
	}
	e := r.error(readMeaning(r))
	if r.code == resultSizeLimit || r.code == resultAdminLimit {
		e.Code = sdk.TargetError
		e.Message += "; the list would be short: raise the server's limit for bind_dn, or set page_size"
	}
	return e
}

// paging is the control of RFC 2696, nil if all is asked for at once.
func (i *Instance) paging(cookie []byte) []byte {
	if i.page == 0 {
		return nil
	}
	return encodeControls([]control{{oid: oidPaging, value: ber(tagSequence, berInt(tagInteger, i.page), ber(tagOctets, cookie))}})
}

// nextPage is where the next page begins, empty after the last.
func nextPage(m message) []byte {
	value, ok := m.control(oidPaging)
	if !ok {
		return nil
	}
	sequence, _, err := next(value)
	if err != nil {
		return nil
	}
	parts, err := elements(sequence.body, 2)
	if err != nil {
		return nil
	}
	return parts[1].body
}

// texts returns attributes as text, several values joined by commas.
func (e entry) texts(names []string) map[string]string {
	have := make(map[string]string, len(names))
	for _, n := range names {
		values := e.all(n)
		if values == nil {
			continue
		}
		texts := make([]string, len(values))
		for k, v := range values {
			texts[k] = asText(v)
		}
		have[n] = strings.Join(texts, ",")
	}
	return have
}

// lists returns the values of attributes that have several.
func (e entry) lists(names []string) map[string][]string {
	var have map[string][]string
	for _, n := range names {
		values := e.all(n)
		if len(values) < 2 {
			continue
		}
		if have == nil {
			have = map[string][]string{}
		}
		for _, v := range values {
			have[n] = append(have[n], asText(v))
		}
	}
	return have
}

func asText(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	return base64.StdEncoding.EncodeToString([]byte(v))
}
