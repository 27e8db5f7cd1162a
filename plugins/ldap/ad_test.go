package ldap

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// domain is an Active Directory with the accounts user0 to user4, at least
// seven characters of three classes, no minimum age, a lock after three wrong
// logons, and no grace for old values. What is said here of one holds for the
// simulated domain in this file and, with the build tag samba, for Samba.
type domain struct {
	instance func(t *testing.T) *Instance // logged in as rotator@ad.test
	logon    func(dn, value string) bool
	write    func(t *testing.T, dn, attribute, value string) // as an administrator
	dn       func(login string) string
	first    func(login string) string // the value it begins with
}

func (d domain) wantLogon(t *testing.T, login, value string, want bool) {
	t.Helper()
	if got := d.logon(d.dn(login), value); got != want {
		t.Errorf("logon as %s: %v, want %v", login, got, want)
	}
}

func (d domain) test(t *testing.T) {
	t.Run("set", d.set)
	t.Run("change", d.change)
	t.Run("must change", d.mustChange)
	t.Run("lock and disablement", d.states)
	t.Run("reading", d.reading)
	t.Run("names", d.names)
}

func (d domain) set(t *testing.T) {
	i := d.instance(t)
	wantReceipt(t, i.Apply(t.Context(), set("user0", canary+"A1")), "applied")
	wantVerdict(t, i, "user0", canary+"A1", sdk.Accepted)
	wantVerdict(t, i, "user0", d.first("user0"), sdk.Rejected)
	d.wantLogon(t, "user0", canary+"A1", true)
	wantReceipt(t, i.Apply(t.Context(), set(d.dn("user0"), "By its DN 1")), "applied")
	d.wantLogon(t, "user0", "By its DN 1", true)
	for _, tt := range []struct {
		name string
		op   sdk.Operation
		want string
	}{
		{"again", again(set("user0", "By its DN 1")), "applied"},
		{"too short", set("user0", "Ab1"), "refused PolicyViolation min_length"},
		{"one class", set("user0", "abcdefghijkl"), "refused PolicyViolation classes"},
		{"nobody", set("nobody", "New value 1"), "refused AccountNotFound"},
		{"nobody, by a DN", set(d.dn("nobody"), "New value 1"), "refused AccountNotFound"},
		{"itself", set("rotator", "New value 1"), "refused Protected"},
		{"itself, by its DN", set(d.dn("rotator"), "New value 1"), "refused Protected"},
		{"krbtgt", set("krbtgt", "New value 1"), "refused Protected"},
		{"krbtgt, by its DN", set(d.dn("krbtgt"), "New value 1"), "refused Protected"},
		{"an administrator", set("Administrator", "New value 1"), "refused Protected"},
		{"an administrator, unlocked", sdk.Operation{Verb: sdk.Unlock, Account: "Administrator"}, "refused Protected"},
		{"a hash", sdk.Operation{Verb: sdk.Set, Account: "user0", Value: secret.New("{SSHA}x"), HashFormat: "rfc2307"}, "refused Unsupported"},
	} {
		do := i.Apply
		if tt.op.Verb == sdk.Unlock {
			do = i.Unlock
		}
		r := do(t.Context(), tt.op)
		if got := say(r); got != tt.want {
			t.Errorf("%s: %s (%v), want %s", tt.name, got, r.Err, tt.want)
		}
	}
	d.wantLogon(t, "user0", "By its DN 1", true)
}

func (d domain) change(t *testing.T) {
	i := d.instance(t)
	old := d.first("user1")
	wantReceipt(t, i.Apply(t.Context(), change("user1", "Not it 123", "New value 1")), "refused WrongCurrentPassword")
	d.wantLogon(t, "user1", old, true)
	wantReceipt(t, i.Apply(t.Context(), change("user1", old, "New value 1")), "applied")
	wantReceipt(t, i.Apply(t.Context(), again(change("user1", old, "New value 1"))), "already-applied")
	wantReceipt(t, i.Apply(t.Context(), again(change("user1", old, "New value 2"))), "refused WrongCurrentPassword")
	d.wantLogon(t, "user1", "New value 1", true)
	wantReceipt(t, i.Apply(t.Context(), change("nobody", old, "New value 1")), "refused AccountNotFound")
}

func (d domain) mustChange(t *testing.T) {
	i := d.instance(t)
	wantReceipt(t, i.Apply(t.Context(), must(set("user2", "New value 1"), true)), "applied")
	wantVerdict(t, i, "user2", "New value 1", sdk.AcceptedMustChange)
	wantVerdict(t, i, "user2", "New value 2", sdk.Rejected)
	if a, err := i.Find(t.Context(), "user2"); err != nil || a.MustChange == nil || !*a.MustChange {
		t.Errorf("Find = %+v, %v: want must change", a, err)
	}
	wantReceipt(t, i.Apply(t.Context(), must(set("user2", "New value 3"), false)), "applied")
	wantVerdict(t, i, "user2", "New value 3", sdk.Accepted)
	if a, err := i.Find(t.Context(), "user2"); err != nil || a.MustChange == nil || *a.MustChange || time.Since(a.ChangedAt) > time.Hour {
		t.Errorf("Find = %+v, %v: want changed now", a, err)
	}
}

// A set lifts neither.
func (d domain) states(t *testing.T) {
	i := d.instance(t)
	for range 3 {
		d.wantLogon(t, "user3", "wrong", false)
	}
	wantVerdict(t, i, "user3", d.first("user3"), sdk.Blocked)
	wantReceipt(t, i.Apply(t.Context(), set("user3", "New value 1")), "applied")
	wantVerdict(t, i, "user3", "New value 1", sdk.Blocked)
	if a, err := i.Find(t.Context(), "user3"); err != nil || a.Status != sdk.StatusLocked {
		t.Errorf("Find = %v, %v, want locked", a.Status, err)
	}
	wantReceipt(t, i.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "user3"}), "applied")
	wantVerdict(t, i, "user3", "New value 1", sdk.Accepted)

	d.write(t, d.dn("user4"), "userAccountControl", fmt.Sprint(512|uacDisabled))
	wantReceipt(t, i.Apply(t.Context(), set("user4", "New value 1")), "applied")
	wantVerdict(t, i, "user4", "New value 1", sdk.Blocked)
	if a, err := i.Find(t.Context(), "user4"); err != nil || a.Status != sdk.StatusDisabled {
		t.Errorf("Find = %v, %v, want disabled", a.Status, err)
	}
}

func (d domain) reading(t *testing.T) {
	i := d.instance(t)
	for _, f := range i.Check(t.Context()) {
		t.Errorf("Check: %+v", f)
	}
	p, err := i.Policy(t.Context(), "user0", "")
	if err != nil || p.MinLength != 7 || p.Classes != 3 || !p.NoAccountName {
		t.Errorf("Policy = %+v, %v", p, err)
	}
	var logins []string
	err = i.List(t.Context(), "(&(objectCategory=person)(sAMAccountName=user*))", nil, func(a sdk.Account) error {
		logins = append(logins, a.Login)
		return nil
	})
	slices.Sort(logins)
	if want := "user0 user1 user2 user3 user4"; err != nil || strings.Join(logins, " ") != want {
		t.Errorf("List: %q, %v, want %s", logins, err, want)
	}
	a, err := i.Find(t.Context(), "user0")
	if err != nil || a.ID != d.dn("user0") || a.Stamp == "" || a.Status != sdk.StatusActive {
		t.Errorf("Find = %+v, %v", a, err)
	}
}

// A user of a domain has four names.
func (d domain) names(t *testing.T) {
	i := d.instance(t)
	all := []string{"user0", `ADTEST\user0`, `adtest\USER0`, "user0@ad.test", `ad.test\user0`, d.dn("user0")}
	found := ask(t, i, append(all, "user1", `ADTEST\user1`)...)
	for n := range all {
		if found[n] != found[0] || found[n] == found[len(all)] {
			t.Errorf("%q is %+v, %q is %+v: want one", all[0], found[0], all[n], found[n])
		}
	}
	if found[len(all)] != found[len(all)+1] {
		t.Errorf("got %+v, want user1 to be one too", found[len(all):])
	}
	wantReceipt(t, i.Apply(t.Context(), set(`ADTEST\user0`, "By its name 1")), "applied")
	wantVerdict(t, i, "user0@ad.test", "By its name 1", sdk.Accepted)
	for _, name := range []string{`OTHER\user0`, `\user0`, "user0@other.test", "user0@", "@ad.test", `ADTEST\nobody`} {
		wantReceipt(t, i.Apply(t.Context(), set(name, "New value 1")), "refused AccountNotFound")
	}
}

func TestUnicodePwdIsQuotedUTF16LE(t *testing.T) {
	for value, want := range map[string]string{
		"a":       "\"\x00a\x00\"\x00",
		`"`:       "\"\x00\"\x00\"\x00",
		"é":       "\"\x00\xe9\x00\"\x00",
		"名":       "\"\x00\x0d\x54\"\x00",
		"😀":       "\"\x00\x3d\xd8\x00\xde\"\x00",
		"e\u0301": "\"\x00e\x00\x01\x03\"\x00",
	} {
		if got := unicodePwd(value); got != want {
			t.Errorf("unicodePwd(%q) = % x, want % x", value, got, want)
		}
	}
}

func TestActiveDirectory(t *testing.T) {
	f := startFakeDomain(t)
	domain{
		dn:    f.dn,
		first: func(login string) string { return "First value of " + login + " 1" },
		logon: func(dn, value string) bool { return f.bind(dn, value).Code == resultSuccess },
		write: func(_ *testing.T, dn, attribute, value string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.accounts[strings.ToLower(dn)].attributes[attribute] = value
		},
		instance: f.instance,
	}.test(t)
}

// fakeDomain answers what mode ad asks the way Samba 4.17 does, whose texts
// these are.
type fakeDomain struct {
	ahead         time.Duration // its clock
	base, address string
	service       string // what it calls itself

	mu       sync.Mutex
	accounts map[string]*fakeAccount // by DN, lower case
}

type fakeAccount struct {
	dn, value  string
	wrong      int // logons since the last right one
	attributes map[string]string
}

func startFakeDomain(t *testing.T) *fakeDomain {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeDomain{base: "DC=ad,DC=test", address: l.Addr().String(), accounts: map[string]*fakeAccount{}}
	for _, login := range []string{"user0", "user1", "user2", "user3", "user4", "rotator", "krbtgt", "Administrator"} {
		a := &fakeAccount{dn: f.dn(login), value: "First value of " + login + " 1", attributes: map[string]string{
			"sAMAccountName": login, "userPrincipalName": login + "@ad.test", "objectClass": "user", "objectCategory": "person",
			"objectGUID": "id of " + login, "userAccountControl": "512", "pwdLastSet": "134000000000000000", "uSNChanged": "1", "lockoutTime": "0"}}
		switch login {
		case "rotator":
			a.value = "Rotator 123"
		case "krbtgt", "Administrator":
			a.attributes["adminCount"] = "1"
		}
		f.accounts[strings.ToLower(a.dn)] = a
	}
	var serving sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				f.serve(c)
			})
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); serving.Wait() })
	return f
}

// instance is one in clear, which newSettings would refuse.
func (f *fakeDomain) instance(t *testing.T) *Instance {
	i := newInstance(settings{
		directory: directory{base: f.base, loginAttribute: defaultLoginAD, mode: modeAD},
		dialer:    dialer{network: "tcp", address: f.address, patience: 10 * time.Second},
		bindDN:    "rotator@ad.test", passwords: sdk.NewPasswords(nil, secret.New("Rotator 123")), concurrency: 4, page: 2,
	}, time.Now)
	t.Cleanup(func() { _ = i.Close() })
	return i
}

func (f *fakeDomain) dn(login string) string { return "CN=" + login + ",CN=Users," + f.base }

func (f *fakeDomain) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	for {
		m, err := ldapwire.ReadMessage(r)
		if err != nil || m.Op.Tag == ldapwire.TagUnbindRequest {
			return
		}
		for _, op := range f.answer(m.Op) {
			if _, err := c.Write(ldapwire.Frame(m.ID, op)); err != nil {
				return
			}
		}
	}
}

// answer returns the operations that answer one.
func (f *fakeDomain) answer(op ldapwire.Element) [][]byte {
	done := func(tag byte, r result) []byte {
		return ldapwire.Encode(tag, ldapwire.Int(ldapwire.TagEnumerated, r.Code), ldapwire.Text(ldapwire.TagOctets, ""), ldapwire.Text(ldapwire.TagOctets, r.Text))
	}
	parts, err := ldapwire.Elements(op.Body, 1)
	if err != nil {
		return nil
	}
	switch op.Tag {
	case ldapwire.TagBindRequest:
		return [][]byte{done(ldapwire.TagBindResponse, f.bind(string(parts[1].Body), string(parts[2].Body)))}
	case ldapwire.TagModifyRequest:
		return [][]byte{done(ldapwire.TagModifyResponse, f.modify(string(parts[0].Body), parts[1].Body))}
	case ldapwire.TagSearchRequest:
		return append(f.search(string(parts[0].Body), parts[6]), done(ldapwire.TagSearchDone, f.exists(string(parts[0].Body))))
	}
	return [][]byte{done(ldapwire.TagExtendedResponse, answered(2, "Extended Operation not supported"))}
}

// answered is an answer of the domain.
func answered(code int, text string) result {
	return result{ldapwire.Result{Code: code, Text: text}}
}

func (f *fakeDomain) bind(name, value string) result {
	f.mu.Lock()
	defer f.mu.Unlock()
	refused := func(data string) result {
		return answered(resultInvalidLogin, "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data "+data+", v1db1")
	}
	var a *fakeAccount
	for _, one := range f.accounts {
		if strings.EqualFold(name, one.dn) || strings.EqualFold(name, one.attributes["userPrincipalName"]) {
			a = one
		}
	}
	switch {
	case a == nil:
		return refused("52e")
	case a.wrong >= 3:
		return refused("775")
	case a.value != value:
		if a.wrong++; a.wrong == 3 {
			a.attributes["lockoutTime"] = "134000000000000000"
		}
		return refused("52e")
	case a.attributes["userAccountControl"] == "514":
		return refused("533")
	case a.attributes["pwdLastSet"] == "0":
		return refused("773")
	}
	a.wrong = 0
	return result{}
}

func (f *fakeDomain) exists(base string) result {
	f.mu.Lock()
	defer f.mu.Unlock()
	if base == "" || strings.EqualFold(base, f.base) || strings.HasPrefix(base, "CN=Partitions,") || f.accounts[strings.ToLower(base)] != nil {
		return result{}
	}
	return answered(resultNoSuchObject, "00002030: No such Base DN: "+base)
}

// search knows the searches for an entry, for the domain and the server, and
// for accounts by a filter.
func (f *fakeDomain) search(base string, filter ldapwire.Element) [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case base == "":
		return [][]byte{asEntry("", map[string]string{"supportedCapabilities": ldapwire.OIDActiveDir, "defaultNamingContext": f.base, "dsServiceName": f.service, "configurationNamingContext": "CN=Configuration," + f.base,
			"currentTime": time.Now().Add(f.ahead).UTC().Format("20060102150405.0Z")})}
	case strings.HasPrefix(base, "CN=Partitions,"):
		return [][]byte{asEntry("CN=ADTEST,"+base, map[string]string{"nETBIOSName": "ADTEST"})}
	case strings.EqualFold(base, f.base) && filter.Tag == 0x87:
		return [][]byte{asEntry(f.base, map[string]string{"minPwdLength": "7", "pwdHistoryLength": "24", "pwdProperties": "1"})}
	}
	var found [][]byte
	for key, a := range f.accounts {
		if key == strings.ToLower(base) || strings.EqualFold(base, f.base) && a.matches(filter) {
			found = append(found, asEntry(a.dn, a.attributes))
		}
	}
	return found
}

func (a *fakeAccount) matches(filter ldapwire.Element) bool {
	parts, err := ldapwire.Elements(filter.Body, 0)
	if err != nil {
		return false
	}
	any := func(p ldapwire.Element) bool { return a.matches(p) }
	switch filter.Tag {
	case 0xa0:
		return !slices.ContainsFunc(parts, func(p ldapwire.Element) bool { return !a.matches(p) })
	case 0xa1:
		return slices.ContainsFunc(parts, any)
	case 0xa3:
		return strings.EqualFold(a.attributes[string(parts[0].Body)], string(parts[1].Body))
	case 0xa4: // the one with a beginning
		start, _, err := ldapwire.Next(parts[1].Body)
		return err == nil && strings.HasPrefix(a.attributes[string(parts[0].Body)], string(start.Body))
	}
	return true
}

func asEntry(dn string, attributes map[string]string) []byte {
	var list [][]byte
	for name, value := range attributes {
		list = append(list, ldapwire.Encode(ldapwire.TagSequence, ldapwire.Text(ldapwire.TagOctets, name), ldapwire.Encode(ldapwire.TagSet, ldapwire.Text(ldapwire.TagOctets, value))))
	}
	return ldapwire.Encode(ldapwire.TagSearchEntry, ldapwire.Text(ldapwire.TagOctets, dn), ldapwire.Encode(ldapwire.TagSequence, list...))
}

// modify knows the modifications of values, marks and locks.
func (f *fakeDomain) modify(dn string, body []byte) result {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.accounts[strings.ToLower(dn)]
	mods, err := ldapwire.Elements(body, 1)
	if a == nil || err != nil {
		return answered(resultNoSuchObject, "00002030: objectclass: Cannot modify "+dn+", no such object")
	}
	for _, m := range mods {
		kind, name, value := modificationOf(m)
		if name == "pwdLastSet" && value == "-1" {
			value = windowsNow()
		}
		if name != "unicodePwd" {
			a.attributes[name] = value
			if name == "lockoutTime" {
				a.wrong = 0
			}
			continue
		}
		units := make([]uint16, len(value)/2)
		for n := range units {
			units[n] = uint16(value[2*n]) | uint16(value[2*n+1])<<8
		}
		plain, opened := strings.CutPrefix(string(utf16.Decode(units)), `"`)
		plain, closed := strings.CutSuffix(plain, `"`)
		if !opened || !closed {
			return answered(resultUnwilling, "00002035: setup_io: it's not allowed to set the NT hash password directly")
		}
		if r := a.give(kind, plain); r.Code != resultSuccess {
			return r
		}
	}
	return result{}
}

func modificationOf(m ldapwire.Element) (kind int, name, value string) {
	parts, err := ldapwire.Elements(m.Body, 2)
	if err != nil {
		return 0, "", ""
	}
	kind, _ = parts[0].Number()
	inner, err := ldapwire.Elements(parts[1].Body, 2)
	if err != nil {
		return 0, "", ""
	}
	if v, _, err := ldapwire.Next(inner[1].Body); err == nil {
		value = string(v.Body)
	}
	return kind, string(inner[0].Body), value
}

func (a *fakeAccount) give(kind int, plain string) result {
	const refused = "Constraint violation - check_password_restrictions: "
	switch {
	case kind == ldapwire.ModDelete && plain != a.value:
		return answered(resultConstraint, "00000056: "+refused+"The old password specified doesn't match!")
	case kind == ldapwire.ModDelete:
		return result{}
	case len(plain) < 7:
		return answered(resultConstraint, "0000052D: "+refused+"the password is too short. It should be equal or longer than 7 characters!")
	case strings.ToLower(plain) == plain:
		return answered(resultConstraint, "0000052D: "+refused+"the password does not meet the complexity criteria!")
	}
	a.value = plain
	a.attributes["pwdLastSet"] = windowsNow()
	a.attributes["uSNChanged"] += "1"
	return result{}
}

// windowsNow is the time as Windows writes it.
func windowsNow() string { return fmt.Sprint(time.Now().UnixNano()/100 + 116444736000000000) }
