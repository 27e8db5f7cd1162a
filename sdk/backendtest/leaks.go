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
func forms(text string) map[string]string {
	quoted := strconv.Quote(text)
	marshalled, _ := json.Marshal(text) // a string always can be
	wide := make([]byte, 0, 2*len(text))
	for _, count := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(count), byte(count>>8))
	}
	return map[string]string{
		"quoted":         quoted[1 : len(quoted)-1],
		"JSON":           string(marshalled[1 : len(marshalled)-1]),
		"a URL's query":  url.QueryEscape(text),
		"a URL's path":   url.PathEscape(text),
		"base64":         base64.RawStdEncoding.EncodeToString([]byte(text)),
		"base64url":      base64.RawURLEncoding.EncodeToString([]byte(text)),
		"hex":            hex.EncodeToString([]byte(text)),
		"upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(text))),
		"SQL":            strings.ReplaceAll(text, "'", "''"),
		"UTF-16":         string(wide),
	}
}

// leaked returns how name stands in text, or "".
func leaked(text, name string) string {
	if len(name) < 6 {
		return "" // too short to be told from chance
	}
	if strings.Contains(text, name) {
		return "raw"
	}
	for form, encoded := range forms(name) {
		if strings.Contains(text, encoded) {
			return form
		}
	}
	return ""
}

// wantClean notes a problem if a secret stands in text.
func wantClean(probe *probe, where, text string, secrets ...string) {
	for index, name := range secrets {
		if form := leaked(text, name); form != "" {
			probe.fail("%s: holds secret %d of %d (%s)", where, index+1, len(secrets), form)
		}
	}
}

// texts is everything of a receipt shown or kept in clear.
func texts(receipt sdk.Receipt) string {
	text := fmt.Sprintf("%s %s", receipt.Ref, receipt.Stamp)
	if failure := receipt.Err; failure != nil {
		text += fmt.Sprintf(" %s %s %s", failure.Message, failure.Native, failure.AccountStatus)
		for _, violation := range failure.Violations {
			text += fmt.Sprintf(" %s %s %s", violation.Rule, violation.Native, violation.Message)
		}
	}
	return text
}
