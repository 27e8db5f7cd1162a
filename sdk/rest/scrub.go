package rest

import (
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk/internal/scrub"
	"github.com/rekey-host/rekey/sdk/secret"
)

// maxText is how many characters of a target's own words are kept.
const maxText = 300

// scrubber replaces secrets, in whatever form a target echoes them.
type scrubber struct{ redactor *scrub.Redactor }

func newScrubber(secrets []secret.Value) scrubber {
	s := scrubber{&scrub.Redactor{}}
	s.redactor.Keep(secrets...)
	return s
}

func (s scrubber) clean(text string) string { return s.redactor.Scrub(text) }

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
