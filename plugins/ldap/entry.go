package ldap

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
)

// entry is an entry of the directory, read for what is in it of an account.
type entry struct{ ldapwire.Entry }

// number is the first value of an attribute as a number, 0 if it is none.
func (e entry) number(name string) int64 {
	count, _ := strconv.ParseInt(e.First(name), 10, 64)
	return count
}

// uniqueIDs are what servers call the id that an entry keeps for good.
var uniqueIDs = []string{"entryUUID", "nsUniqueId", "objectGUID", "ibm-entryUUID", "GUID"}

func (e entry) uniqueID() string {
	for _, name := range uniqueIDs {
		if id := e.First(name); id != "" {
			return id
		}
	}
	return ""
}

// is reports whether an entry is of an object class.
func (e entry) is(class string) bool {
	return slices.ContainsFunc(e.All("objectClass"), func(one string) bool { return strings.EqualFold(one, class) })
}

// isAlias reports an entry that stands for another.
func (e entry) isAlias() bool { return e.is("alias") }

// passThrough returns the scheme of a value that names another system, where
// the password is; "" if the password is the entry's own.
func (e entry) passThrough() string {
	for _, value := range e.All("userPassword") {
		for _, scheme := range []string{"{SASL}", "{KERBEROS}"} {
			if len(value) >= len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
				return scheme
			}
		}
	}
	return ""
}

// texts returns attributes as text, several values joined by commas.
func (e entry) texts(names []string) map[string]string {
	have := make(map[string]string, len(names))
	for _, name := range names {
		values := e.All(name)
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
		values := e.All(name)
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
