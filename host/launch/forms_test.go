package launch_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk/leaktest"
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
		strings.ToUpper(s), s[:len(s)-1], fmt.Sprint([]byte(s)), fmt.Sprintf("% x", s), base32.StdEncoding.EncodeToString([]byte(s)), strconv.Quote(url.QueryEscape(string(asJSON))),
		string(asJSON), base64.StdEncoding.EncodeToString(wide), hex.EncodeToString(wide), string(wide),
	}
}

func everyForm(s string) string { return strings.Join(forms(s), " | ") }

// noLeak fails if a text holds six bytes of the canary in any form.
func noLeak(t testing.TB, where, text string) {
	t.Helper()
	if form := leaktest.New(canary).Find([]byte(text)); form != "" {
		t.Errorf("%s holds a piece of the canary, %s", where, form)
	}
}
