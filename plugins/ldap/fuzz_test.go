package ldap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// A filter that somebody wrote is refused or is one whole filter; a value that was escaped for it matches itself and no more.
func FuzzFilterText(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		r := &reader{dialect: standard{loginAttribute: "uid"}}
		if b, failed := r.filter(text); failed == nil {
			if _, rest, err := ldapwire.Next(b); err != nil || len(rest) > 0 {
				t.Fatalf("filter %q is not one element", text)
			}
		} else if failed.Code != sdk.InvalidOperation {
			t.Fatalf("filter %q: %v", text, failed)
		}
		b, failed := r.filter("(uid=" + goldap.EscapeFilter(text) + ")")
		if failed != nil || text != "" && !bytes.Equal(b, ldapwire.FilterEqual("uid", text)) {
			t.Fatalf("%q escaped: %v", text, failed)
		}
	})
}

// A login that became a part of a DN is that part again when the DN is read,
// and the DN is taken for one: no login can add a part.
func FuzzLoginInADN(f *testing.F) {
	f.Fuzz(func(t *testing.T, login string) {
		if login == "" || !utf8.ValidString(login) || strings.ContainsRune(login, 0) {
			return // find refuses the first two; no server has the last
		}
		if strings.ContainsFunc(login, func(r rune) bool { return r == utf8.RuneError }) {
			return
		}
		text := (&goldap.AttributeTypeAndValue{Type: "uid", Value: login}).String() + ",ou=people,dc=x"
		dn, ok := parseDN(text)
		if !ok || len(dn.RDNs) != 3 || len(dn.RDNs[0].Attributes) != 1 {
			t.Fatalf("%q is no DN of three parts", text)
		}
		if got := dn.RDNs[0].Attributes[0].Value; got != login {
			t.Fatalf("%q arrives as %q", login, got)
		}
	})
}

// An account is a DN or a login, and which of them does not depend on how
// often one asks. What is a DN has two named parts.
func FuzzAccount(f *testing.F) {
	f.Fuzz(func(t *testing.T, account string) {
		dn, ok := parseDN(account)
		if !ok {
			return
		}
		if len(dn.RDNs) < 2 {
			t.Fatalf("%q has %d parts", account, len(dn.RDNs))
		}
		for _, rdn := range dn.RDNs {
			for _, a := range rdn.Attributes {
				if !attributeName.MatchString(a.Type) {
					t.Fatalf("%q has the attribute %q", account, a.Type)
				}
			}
		}
		if !dn.EqualFold(dn) {
			t.Fatalf("%q is not itself", account)
		}
	})
}

// Whatever a server sends, reading it ends, takes no more than it was given,
// and no answer but a success is one.
func FuzzAnswer(f *testing.F) {
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bufio.NewReader(bytes.NewReader(stream))
		for {
			e, err := ldapwire.ReadElement(r)
			if err != nil {
				return
			}
			m, err := ldapwire.DecodeMessage(e)
			if err != nil {
				continue
			}
			read, err := m.Result()
			if err != nil {
				continue
			}
			answer := result{read}
			receipt := answer.receipt()
			if (receipt.Outcome == sdk.Applied) != (answer.Code == resultSuccess) || (receipt.Err == nil) != (answer.Code == resultSuccess) {
				t.Fatalf("result %d is %v, %v", answer.Code, receipt.Outcome, receipt.Err)
			}
			if receipt.Err != nil && strings.ContainsFunc(receipt.Err.Message, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("the message %q has control characters", receipt.Err.Message)
			}
		}
	})
}

// Whatever the value is, Active Directory reads it back from between two quotes.
func FuzzUnicodePwd(f *testing.F) {
	f.Fuzz(func(t *testing.T, value string) {
		if !utf8.ValidString(value) {
			return // refused
		}
		b := []byte(unicodePwd(value))
		if len(b)%2 != 0 {
			t.Fatal("half a character")
		}
		units := make([]uint16, len(b)/2)
		for n := range units {
			units[n] = binary.LittleEndian.Uint16(b[2*n:])
		}
		if got := string(utf16.Decode(units)); got != `"`+value+`"` {
			t.Fatalf("%q arrives as %q", value, got)
		}
	})
}
