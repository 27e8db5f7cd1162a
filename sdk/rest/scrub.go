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
	made := scrubber{&scrub.Redactor{}}
	made.redactor.Keep(secrets...)
	return made
}

func (s scrubber) clean(text string) string { return s.redactor.Scrub(text) }

// authorization returns a header's value and its part after the scheme.
func authorization(value secret.Value) []secret.Value {
	if !value.Present() {
		return nil
	}
	_, credentials, _ := strings.Cut(value.Reveal(), " ")
	return []secret.Value{value, secret.New(credentials)}
}

// tidy makes a text one line of at most maxText characters.
func tidy(text string) string {
	text = strings.Map(func(letter rune) rune {
		if unicode.IsControl(letter) || letter == unicode.ReplacementChar {
			return ' '
		}
		return letter
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}
