package launch_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// forms are the ways in which a secret may stand in a text.
func forms(s string) []string {
	asJSON, _ := json.Marshal(s)
	var wide []byte
	for _, u := range utf16.Encode([]rune(s)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	upper := strings.ToUpper(hex.EncodeToString([]byte(s)))
	return []string{
		s, strconv.Quote(s), strconv.QuoteToASCII(s), url.QueryEscape(s), url.PathEscape(s),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
		base64.StdEncoding.EncodeToString([]byte("user:" + s)), hex.EncodeToString([]byte(s)), upper,
		string(asJSON), base64.StdEncoding.EncodeToString(wide), hex.EncodeToString(wide), string(wide),
	}
}

func everyForm(s string) string { return strings.Join(forms(s), " | ") }

// noLeak fails if a text holds a secret in any form.
func noLeak(t testing.TB, where, text string) {
	t.Helper()
	needles := append(forms(canary)[:5:5], forms(canary)[5:]...)
	inner, _ := json.Marshal(canary)
	needles = append(needles, strings.Trim(string(inner), `"`), strings.Trim(base64.StdEncoding.EncodeToString([]byte(canary)), "="),
		strconv.Quote(strings.Trim(string(inner), `"`)))
	for _, n := range needles {
		if strings.Contains(text, n) {
			t.Errorf("%s holds the canary as %q", where, n)
		}
	}
}
