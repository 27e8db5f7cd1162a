package backendtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk"
)

// canary is a value that every careless quoting changes.
const canary = "c\"a\\n%y é"

// longCanary is longer than most targets take.
var longCanary = strings.Repeat(canary, 500)

// forms are a secret as it is likely to be encoded.
func forms(s string) map[string]string {
	quoted := strconv.Quote(s)
	marshalled, _ := json.Marshal(s) // a string always can be
	wide := make([]byte, 0, 2*len(s))
	for _, u := range utf16.Encode([]rune(s)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	return map[string]string{
		"quoted":         quoted[1 : len(quoted)-1],
		"JSON":           string(marshalled[1 : len(marshalled)-1]),
		"a URL's query":  url.QueryEscape(s),
		"a URL's path":   url.PathEscape(s),
		"base64":         base64.RawStdEncoding.EncodeToString([]byte(s)),
		"base64url":      base64.RawURLEncoding.EncodeToString([]byte(s)),
		"hex":            hex.EncodeToString([]byte(s)),
		"upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"SQL":            strings.ReplaceAll(s, "'", "''"),
		"UTF-16":         string(wide),
	}
}

// leaked returns how s stands in text, or "".
func leaked(text, s string) string {
	if len(s) < 6 {
		return "" // too short to be told from chance
	}
	if strings.Contains(text, s) {
		return "raw"
	}
	for form, encoded := range forms(s) {
		if strings.Contains(text, encoded) {
			return form
		}
	}
	return ""
}

// wantClean notes a problem if a secret stands in text.
func (p *probe) wantClean(where, text string, secrets ...string) {
	for n, s := range secrets {
		if form := leaked(text, s); form != "" {
			p.fail("%s: holds secret %d of %d (%s)", where, n+1, len(secrets), form)
		}
	}
}

// texts is everything of a receipt that is shown or kept in clear.
func texts(r sdk.Receipt) string {
	s := fmt.Sprintf("%s %s", r.Ref, r.Stamp)
	if e := r.Err; e != nil {
		s += fmt.Sprintf(" %s %s %s", e.Message, e.Native, e.AccountStatus)
		for _, v := range e.Violations {
			s += fmt.Sprintf(" %s %s %s", v.Rule, v.Native, v.Message)
		}
	}
	return s
}
