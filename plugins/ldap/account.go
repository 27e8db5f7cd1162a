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
	target, failed := i.find(ctx, account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	entry, failed := i.read(ctx, target.dn, i.wanted())
	if failed != nil && failed.Code == sdk.AccountNotFound && target.known {
		i.names.forget(account)
		return i.Find(ctx, account)
	}
	if failed != nil {
		return sdk.Account{}, failed
	}
	a := i.account(entry)
	a.Account = account
	if a.Status == sdk.StatusLocked && i.mode != modeAD && !i.stillLocked(ctx, entry) {
		a.Status = sdk.StatusActive
	}
	return a, nil
}

// read returns one entry.
func (i *Instance) read(ctx context.Context, dn string, attributes []string) (entry, *sdk.Error) {
	var found []entry
	made := search{base: dn, scope: scopeBase, filter: filterPresent("objectClass"), attributes: attributes}
	result, failed := i.query(ctx, made, func(item entry) { found = append(found, item) })
	switch {
	case failed != nil:
		return entry{}, failed
	case result.code == resultNoSuchObject, result.code == resultSuccess && len(found) == 0:
		return entry{}, &sdk.Error{Code: sdk.AccountNotFound, Native: result.native(), Message: "account " + strconv.Quote(dn) + ": no such entry, or bind_dn may not see it"}
	case result.code != resultSuccess:
		return entry{}, result.error(readMeaning(result))
	}
	return found[0], nil
}

// account reads an entry; Account is its DN.
func (i *Instance) account(entry entry) sdk.Account {
	account := sdk.Account{
		Account: entry.dn, ID: entry.dn,
		Login: entry.first(i.loginAttribute), Name: either(entry.first("displayName"), entry.first("cn")), Mail: entry.first("mail"),
		Status: sdk.StatusActive,
	}
	if i.mode == modeAD {
		i.windowsState(&account, entry)
		return account
	}
	account.ChangedAt = generalizedTime(entry.first("pwdChangedTime"))
	// The change time has seconds only; the other two move with every change
	// of the entry, and so with every change of the value.
	account.Stamp = strings.Trim(entry.first("pwdChangedTime")+"/"+either(entry.first("entryCSN"), entry.first("modifyTimestamp")), "/")
	if reset := entry.first("pwdReset"); reset != "" || !account.ChangedAt.IsZero() {
		account.MustChange = new(strings.EqualFold(reset, "TRUE"))
	}
	switch {
	case strings.EqualFold(entry.first("nsAccountLock"), "true"), strings.EqualFold(entry.first("loginDisabled"), "true"):
		account.Status = sdk.StatusDisabled
	case entry.first("pwdAccountLockedTime") != "":
		account.Status = sdk.StatusLocked
	case slices.ContainsFunc(entry.all("userPassword"), func(value string) bool { return passThrough(value) != "" }):
		account.Status = sdk.StatusFederated
	case i.shadowExpired(entry.first("shadowExpire")):
		account.Status = sdk.StatusExpired
	}
	return account
}

// shadowExpired reads days since 1970; 0 and less is never.
func (i *Instance) shadowExpired(days string) bool {
	count, err := strconv.ParseInt(days, 10, 32)
	return err == nil && count > 0 && !i.now().Before(time.Unix(count*24*60*60, 0))
}

// forGood is the pwdAccountLockedTime of a lock that no time lifts.
const forGood = "000001010000Z"

// stillLocked reports whether a lock has not run out under the account's
// policy. A policy that cannot be read lifts none.
func (i *Instance) stillLocked(ctx context.Context, entry entry) bool {
	since := entry.first("pwdAccountLockedTime")
	dn := either(entry.first("pwdPolicySubentry"), i.policyDN)
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

func (i *Instance) windowsState(account *sdk.Account, entry entry) {
	number := func(name string) int64 {
		count, _ := strconv.ParseInt(entry.first(name), 10, 64)
		return count
	}
	account.ChangedAt = fileTime(number("pwdLastSet"))
	account.Stamp = strings.Trim(entry.first("pwdLastSet")+"/"+entry.first("uSNChanged"), "/")
	if entry.first("pwdLastSet") != "" {
		account.MustChange = new(number("pwdLastSet") == 0)
	}
	computed := entry.first("msDS-User-Account-Control-Computed")
	locked := number("lockoutTime") > 0
	if computed != "" { // knows that a lock has run out
		locked = number("msDS-User-Account-Control-Computed")&uacLockout != 0
	}
	expires := fileTime(number("accountExpires"))
	switch {
	case number("userAccountControl")&uacDisabled != 0:
		account.Status = sdk.StatusDisabled
	case locked:
		account.Status = sdk.StatusLocked
	case !expires.IsZero() && !i.now().Before(expires):
		account.Status = sdk.StatusExpired
	}
}

// fileTime reads Windows' hundreds of nanoseconds since 1601; 0 and the far
// end are no time.
func fileTime(count int64) time.Time {
	const epoch, never = 116444736000000000, 1<<63 - 1
	if count <= 0 || count == never {
		return time.Time{}
	}
	count -= epoch
	return time.Unix(count/1e7, count%1e7*100).UTC()
}

// generalizedTime reads the times of operational attributes, which are UTC.
func generalizedTime(text string) time.Time {
	at, err := time.Parse("20060102150405Z", text)
	if err != nil {
		at, err = time.Parse("20060102150405.999999Z", text)
	}
	if err != nil {
		return time.Time{}
	}
	return at
}

// List calls yield for the entries under base_dn that filter selects, a page
// at a time; an empty filter selects those that have a login. Values that are
// not text are base 64.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if i.base == "" {
		return sdk.Errorf(sdk.InvalidConfig, "base_dn: missing")
	}
	for _, text := range attributes {
		if secretAttribute(text) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: holds credentials", text)
		}
	}
	compiled, failed := i.filter(filter)
	if failed != nil {
		return failed
	}
	made := search{base: i.base, scope: scopeSubtree, filter: compiled, attributes: append(i.wanted(), attributes...)}
	return i.pages(ctx, made, func(item entry) error {
		if item.isAlias() {
			return nil // the entry that it stands for is there by itself
		}
		account := i.account(item)
		account.Attributes, account.Lists = item.texts(attributes), item.lists(attributes)
		return yield(account)
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
func (i *Instance) pages(ctx context.Context, search search, yield func(entry) error) error {
	var mine error
	failed := i.admin.use(ctx, func(link *conn) error {
		var cookie []byte
		for {
			last, result, err := link.search(ctx, search, i.paging(cookie), func(item entry) error {
				mine = yield(item)
				return mine
			})
			if err != nil {
				return err
			}
			if result.code != resultSuccess {
				return i.cut(result)
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
func (i *Instance) cut(result result) error {
	if result.code == resultNoSuchObject {
		return &sdk.Error{Code: sdk.InvalidConfig, Native: result.native(), Message: "base_dn: " + i.base + " does not exist, or bind_dn may not see it"}
	}
	failure := result.error(readMeaning(result))
	if result.code == resultSizeLimit || result.code == resultAdminLimit {
		failure.Code = sdk.TargetError
		failure.Message += "; the list would be short: raise the server's limit for bind_dn, or set page_size"
	}
	return failure
}

// paging is the control of RFC 2696, nil if all is asked for at once.
func (i *Instance) paging(cookie []byte) []byte {
	if i.page == 0 {
		return nil
	}
	return encodeControls([]control{{oid: oidPaging, value: ber(tagSequence, berInt(tagInteger, i.page), ber(tagOctets, cookie))}})
}

// nextPage is where the next page begins, empty after the last.
func nextPage(message message) []byte {
	value, ok := message.control(oidPaging)
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
	for _, name := range names {
		values := e.all(name)
		if values == nil {
			continue
		}
		texts := make([]string, len(values))
		for index, value := range values {
			texts[index] = asText(value)
		}
		have[name] = strings.Join(texts, ",")
	}
	return have
}

// lists returns the values of attributes that have several.
func (e entry) lists(names []string) map[string][]string {
	var have map[string][]string
	for _, name := range names {
		values := e.all(name)
		if len(values) < 2 {
			continue
		}
		if have == nil {
			have = map[string][]string{}
		}
		for _, value := range values {
			have[name] = append(have[name], asText(value))
		}
	}
	return have
}

func asText(value string) string {
	if utf8.ValidString(value) {
		return value
	}
	return base64.StdEncoding.EncodeToString([]byte(value))
}
