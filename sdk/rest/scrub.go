package rest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk/secret"
)

// maxText is how many characters of a target's own words are kept.
const maxText = 300

// scrubber replaces secrets, in the forms in which targets echo them, in one
// pass and the longest first.
type scrubber struct{ replacer *strings.Replacer }

func newScrubber(secrets []secret.Value) scrubber {
	var all []string
	for _, v := range secrets {
		if !v.Empty() {
			all = append(all, forms(v.Reveal())...)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range all {
		pairs = append(pairs, form, secret.Redacted)
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

// forms returns how a text may stand in a message.
func forms(v string) []string {
	raw := []byte(v)
	quoted := strconv.Quote(v)
	ascii := strconv.QuoteToASCII(v)
	encoded, _ := json.Marshal(v)
	list := []string{
		v, quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1], string(encoded[1 : len(encoded)-1]),
		url.QueryEscape(v), url.PathEscape(v), html.EscapeString(v),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding, base64.StdEncoding, base64.URLEncoding} {
		list = append(list, e.EncodeToString(raw))
	}
	return append(list, strings.ToLower(url.QueryEscape(v)), strings.ReplaceAll(url.QueryEscape(v), "+", "%20"))
}

func (s scrubber) clean(text string) string { return s.replacer.Replace(text) }

// authorization returns a header's value and its part after the scheme.
func authorization(v secret.Value) []secret.Value {
	if !v.Present() {
		return nil
	}
	_, credentials, _ := strings.Cut(v.Reveal(), " ")
	return []secret.Value{v, secret.New(credentials)}
}

// tidy makes a text one line of at most maxText characters.
func tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}
