package ldap

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

const people = "ou=people,dc=rekey,dc=test"

// manyNamed are entries with more than one name.
const manyNamed = `dn: uid=cy,` + people + `
objectClass: inetOrgPerson
uid: cy
uid: cyril
cn: c
sn: c
mail: cy@rekey.test
userPassword: x

dn: uid=rené,` + people + `
objectClass: inetOrgPerson
uid: rené
cn: r
sn: r
userPassword: x

dn: uid=straße,` + people + `
objectClass: inetOrgPerson
uid: straße
cn: s
sn: s
userPassword: x

dn: cn=Lee\, Bob,` + people + `
objectClass: inetOrgPerson
uid: lb
cn: Lee, Bob
sn: Lee
userPassword: x

dn: cn=Ann+uid=al,` + people + `
objectClass: inetOrgPerson
uid: al
cn: Ann
sn: Lee
userPassword: x

dn: uid=a  b,` + people + `
objectClass: inetOrgPerson
uid: a  b
cn: two
sn: spaces
userPassword: x

dn: cn=pointer,` + people + `
objectClass: alias
objectClass: extensibleObject
cn: pointer
uid: pointer
aliasedObjectName: uid=cy,` + people + `

`

// ask resolves names and fails the test if one means nothing.
func ask(t *testing.T, i sdk.Resolver, names ...string) []sdk.Identity {
	t.Helper()
	found, err := i.Resolve(t.Context(), names)
	if err != nil || len(found) != len(names) {
		t.Fatalf("%d identities, %v", len(found), err)
	}
	for n, who := range found {
		if who.Err != nil || who.ID == "" {
			t.Errorf("%q: %+v, %v", names[n], who, who.Err)
		}
	}
	return found
}

func TestAllNamesOfAnEntryAreOne(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, TLS: true, LDIF: manyNamed})
	uid, mail := open(t, s), open(t, s, "login_attribute", "mail", "url", s.Socket)
	secure := open(t, s, "url", s.TLSURL, "ca_file", s.CAFile, "insecure", false, "base_dn", people)
	local := open(t, s, "url", strings.Replace(s.URL, "127.0.0.1", "localhost", 1))
	for _, c := range []struct {
		name string
		a, b string
		i    sdk.Resolver // of b; nil: uid
	}{
		{"two values of uid", "cy", "cyril", nil},
		{"login and DN", "cy", "uid=cy," + people, nil},
		{"case of a login", "cy", "CY", nil},
		{"case of a DN", "cy", "UID=Cy,OU=People,DC=rekey,DC=TEST", nil},
		{"spaces in a DN", "cy", "uid = cy , ou = people,dc=rekey, dc=test", nil},
		{"spaces in a value", "a  b", "uid=a b," + people, nil},
		{"other name of an attribute", "cy", "userid=cy,organizationalUnitName=people,domainComponent=rekey,dc=test", nil},
		{"number of an attribute", "cy", "0.9.2342.19200300.100.1.1=cy," + people, nil},
		{"escapes", "lb", `cn=Lee\2c Bob,` + people, nil},
		{"other escapes", "lb", `CN=Lee\, Bob,` + people, nil},
		{"needless escapes", "cy", `uid=\63\79,` + people, nil},
		{"order within a part", "al", "uid=al+cn=Ann," + people, nil},
		{"composed letters", "rené", "uid=rene\u0301," + people, nil},
		{"letters of a login apart", "rené", "rene\u0301", nil},
		{"capital accents", "rené", "uid=RENÉ," + people, nil},
		{"login and mail over two labels", "cy", "cy@rekey.test", mail},
		{"one login over two urls", "cy", "cyril", secure},
		{"one DN over two urls", "uid=user0," + people, "user0", local},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := c.i
			if other == nil {
				other = uid
			}
			a, b := ask(t, uid, c.a)[0], ask(t, other, c.b)[0]
			if a != b {
				t.Errorf("%q is %+v, %q is %+v: want one", c.a, a, c.b, b)
			}
			if c.i == nil {
				wantReceipt(t, uid.Apply(t.Context(), set(c.b, "value of "+c.name)), "applied")
			}
			if got := ask(t, uid, "user1")[0]; got == a {
				t.Errorf("user1 is %+v as well", got)
			}
		})
	}
}

func TestNamesOfNoEntryAndOfSeveralSaySo(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3, LDIF: manyNamed + ldaptest.Entry("user1", "ou=denied,dc=rekey,dc=test", "x") + "\n\n"})
	names := []string{"user0", "nobody", "user1", "", "straße", "STRASSE", "user2"}
	found, err := open(t, s).Resolve(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Code{"", sdk.AccountNotFound, sdk.Ambiguous, sdk.InvalidOperation, "", "", ""}
	for n, who := range found {
		code := sdk.Code("")
		if who.Err != nil {
			code = who.Err.Code
		}
		if n == 5 { // the server decides whether that is another spelling
			if code == "" && who != found[4] {
				t.Errorf("%q is %+v, %q is %+v", names[4], found[4], names[5], who)
			}
			continue
		}
		if code != want[n] {
			t.Errorf("%q: %v, want %q", names[n], who.Err, want[n])
		}
	}
}

func TestManyLoginsAreOneSearch(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 64})
	i := open(t, s)
	var names []string
	for n := range 64 {
		names = append(names, fmt.Sprint("user", n))
	}
	ask(t, i, names...)
	s.Stop()
	seen := map[sdk.Identity]bool{}
	for _, who := range ask(t, i, names...) { // remembered: the operations need no search either
		seen[who] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d accounts, want %d", len(seen), len(names))
	}
}

// TestAnAliasEntryIsNoAccount: the server changes no entry through an alias,
// and what cannot be set cannot be a second name.
func TestAnAliasEntryIsNoAccount(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{LDIF: manyNamed})
	for _, name := range []string{"pointer", "cn=pointer," + people} {
		r := open(t, s).Apply(t.Context(), set(name, "through an alias"))
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation && r.Err.Code != sdk.NoCredential {
			t.Errorf("%s: %s (%v), want a refusal", name, say(r), r.Err)
		}
	}
	wantBind(t, s, "uid=cy,"+people, "x", true)
}

// TestAReferenceIsNoAccount: an entry that stands for another server's part of the
// tree is refused alone, and the names beside it are found.
func TestAReferenceIsNoAccount(t *testing.T) {
	const elsewhere = "ou=elsewhere," + people
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, LDIF: "dn: " + elsewhere + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nuid: elsewhere\nref: ldap://other.example/ou=x\n\n"})
	i := open(t, s)
	found, err := i.Resolve(t.Context(), []string{"user0", elsewhere, "uid=user1," + people})
	if err != nil || found[0].ID == "" || found[2].ID == "" || found[1].Err == nil || found[1].Err.Code != sdk.NoCredential {
		t.Errorf("got %+v, %v, want the second alone refused", found, err)
	}
	for name, want := range map[string]string{elsewhere: "refused NoCredential", "elsewhere": "refused AccountNotFound"} {
		wantReceipt(t, i.Apply(t.Context(), set(name, "not here")), want)
	}
}

// TestTreesThatShowTheSameEntries: a relay shows the tree under another suffix,
// and an entry of both has one id.
func TestTreesThatShowTheSameEntries(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, Global: []string{"moduleload back_relay", "moduleload rwm"},
		Extra: []string{"database relay", `suffix "dc=other"`, "overlay rwm", `rwm-suffixmassage "dc=other" "dc=rekey,dc=test"`}})
	i := open(t, s)
	found := ask(t, i, "user0", "uid=user0,ou=people,dc=other", "uid=user0,"+people, "user1")
	if found[0] != found[1] || found[0] != found[2] || found[0] == found[3] {
		t.Errorf("got %+v, want the first three to be one", found)
	}
}

// TestEntriesThatBindDNMayNotSee: it may write what it may not read, and two
// names are then told apart by what they are.
func TestEntriesThatBindDNMayNotSee(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, Before: []string{
		`access to dn.subtree="ou=people,dc=rekey,dc=test" attrs=userPassword by dn.exact="cn=rotator,dc=rekey,dc=test" =w by anonymous auth`,
		`access to dn.subtree="ou=people,dc=rekey,dc=test" by dn.exact="cn=rotator,dc=rekey,dc=test" none by * read`}})
	i := open(t, s)
	found := ask(t, i, "uid=user0,"+people, "UID=User0,"+people, "uid=user1,"+people)
	if found[0] != found[1] || found[0] == found[2] {
		t.Errorf("got %+v, want the first two to be one", found)
	}
	wantReceipt(t, i.Apply(t.Context(), set("uid=user0,"+people, "not seen")), "applied")
	wantBind(t, s, "uid=user0,"+people, "not seen", true)
}

func TestAValueThatPointsToAnotherSystemIsKept(t *testing.T) {
	pointers := ""
	for n, scheme := range []string{"{SASL}a@REALM", "{sasl}a@REALM", "{KERBEROS}a@REALM", "{SSHA}x"} {
		pointers += ldaptest.Entry(fmt.Sprint("far", n), people, "x") + "\nuserPassword: " + scheme + "\n\n"
	}
	s := ldaptest.Start(t, ldaptest.Options{LDIF: pointers})
	for n, want := range []string{"refused NoCredential federated", "refused NoCredential federated", "refused NoCredential federated", "applied"} {
		for _, name := range []string{fmt.Sprint("far", n), fmt.Sprintf("uid=far%d,%s", n, people)} {
			r := open(t, s).Apply(t.Context(), set(name, "local"))
			wantReceipt(t, r, want)
			if n < 3 {
				wantBind(t, s, fmt.Sprintf("uid=far%d,%s", n, people), "local", false)
				wantReceipt(t, open(t, s).Reset(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Reset, Account: name}), want)
			}
		}
	}
	for n, setting := range []string{"replace_sasl", "replace_passthrough"} {
		wantReceipt(t, open(t, s, setting, true).Apply(t.Context(), set(fmt.Sprint("far", n), "local")), "applied")
		wantBind(t, s, fmt.Sprintf("uid=far%d,%s", n, people), "local", true)
	}
}

func TestAServerThatIsAwayResolvesNothing(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2})
	i := open(t, s)
	s.Stop()
	for _, names := range [][]string{{"user0"}, {"user0", "user1"}, {"uid=user0," + people}, {"uid=user0," + people, "uid=user1," + people}} {
		if _, err := i.Resolve(t.Context(), names); err == nil || sdk.AsError(err, sdk.Internal).Code != sdk.Unreachable {
			t.Errorf("%q: %v, want Unreachable", names, err)
		}
	}
}
