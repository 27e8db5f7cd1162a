package ldap

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
)

// target is an entry that an operation is for.
type target struct {
	dn      string
	parsed  *goldap.DN // nil: a server's DN that is none to us
	id      string     // that it keeps for good; "": not known
	seen    bool       // what follows is known, as far as bind_dn may know it
	foreign *sdk.Error // why its password is not its own; nil: it is
	guarded *sdk.Error // why nothing of it may be changed; nil: it may
	forever bool       // Windows asks for no other password, whatever the mark says
	hidden  bool       // bind_dn may not see it
	samba   bool       // Samba has a hash of its own of its password
	shadow  bool       // Linux counts the age of its password
	known   bool       // from memory: it may have been renamed since
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
	if !strings.ContainsFunc(value, func(letter rune) bool { return letter >= utf8.RuneSelf }) {
		return oneSpace(strings.ToLower(value))
	}
	value = strings.Map(func(letter rune) rune {
		switch {
		case letter == 0xad, letter == 0x1806, letter == 0x34f, letter >= 0x180b && letter <= 0x180d, letter >= 0xfe00 && letter <= 0xfe0f, letter == 0xfffc, letter >= 0x200b && letter <= 0x200d, letter == 0xfeff:
			return -1
		}
		return letter
	}, value)
	return oneSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(value))))
}

// oneSpace is a text with one space between its words, and none around them.
func oneSpace(text string) string {
	if !strings.ContainsFunc(text, unicode.IsSpace) {
		return text
	}
	return strings.Join(strings.Fields(text), " ")
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
