package wire

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é`

// spoken returns the ways in which programs put a secret into a text.
func spoken(s string) map[string]string {
	asJSON, _ := json.Marshal(s)
	twice, _ := json.Marshal(string(asJSON))
	var asXML strings.Builder
	_ = xml.EscapeText(&asXML, []byte(s))
	wide := utf16le(s)
	return map[string]string{
		"raw": s, "quoted": strconv.Quote(s), "quoted to ASCII": strconv.QuoteToASCII(s), "quoted twice": strconv.Quote(strconv.Quote(s)),
		"JSON": string(asJSON), "JSON in JSON": string(twice), "XML": asXML.String(),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "query twice": url.QueryEscape(url.QueryEscape(s)),
		"base64": base64.StdEncoding.EncodeToString([]byte(s)), "base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(s)),
		"basic": "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+s)), "in base64": base64.StdEncoding.EncodeToString([]byte("xy" + s + "z")),
		"base64 in a query": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))),
		"hex":               hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))), "% x": fmt.Sprintf("%q", s),
		"UTF-16": wide, "UTF-16 base64": base64.StdEncoding.EncodeToString([]byte(wide)), "UTF-16 hex": hex.EncodeToString([]byte(wide)),
	}
}

func TestASecretIsScrubbedInEveryForm(t *testing.T) {
	for _, s := range []string{canary, "hunter22", "pässwörd 日本", `\u0041\x41%41&amp;`, "a+b c=d&e", "01234", strings.Repeat("long ", 400)} {
		var r Redactor
		r.Note(secret.New(s))
		for form, text := range spoken(s) {
			got := r.Scrub("before " + text + " after")
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, secret.Redacted) {
				t.Errorf("%.20q, %s: %.80q", s, form, got)
			}
			if len(text) > 12 && strings.Contains(got, text[len(text)/2-4:len(text)/2+4]) {
				t.Errorf("%.20q, %s: half of it is still there: %.80q", s, form, got)
			}
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	var r Redactor
	r.Note(secret.New("ab"), secret.New("7"), secret.New("xyz"), secret.New("summer"), secret.New(""))
	for _, c := range []struct{ in, want string }{
		{"about the cab", "about the cab"},
		{"code ab was wrong", "code [redacted] was wrong"},
		{"error 7 of 17", "error 7 of 17"},
		{"pin=7", "pin=[redacted]"},
		{`pin "7"`, `pin "[redacted]"`},
		{"xyzzy", "xyzzy"},
		{"midsummer", "mid[redacted]"},
		{"nothing here", "nothing here"},
		{"", ""},
	} {
		if got := r.Scrub(c.in); got != c.want {
			t.Errorf("Scrub(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestASecretOfAnOperationIsRememberedForAWhileAndOneOfSettingsForGood(t *testing.T) {
	var r Redactor
	r.Keep(secret.New("kept for good"), secret.New("kept for good"), secret.Value{})
	for n := range generation + 1 {
		r.Note(secret.New(fmt.Sprint("operation ", n, " value")), secret.Value{})
	}
	for _, text := range []string{"kept for good", "operation 1 value", fmt.Sprint("operation ", generation, " value")} {
		if got := r.Scrub(text); got != secret.Redacted {
			t.Errorf("Scrub(%q) = %q", text, got)
		}
	}
	for n := range 2 * generation {
		r.Note(secret.New(fmt.Sprint("later ", n, " value")))
	}
	if got := r.Scrub("operation 1 value"); got != "operation 1 value" {
		t.Errorf("it is remembered for ever: %q", got)
	}
	if got := r.Scrub("kept for good"); got != secret.Redacted {
		t.Errorf("a setting is forgotten: %q", got)
	}
}

// TestNoFormIsShorterThanIsSaid is what lets a short text go by.
func TestNoFormIsShorterThanIsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "secret")
		for _, f := range formsOf(s) {
			if len(f.text) < shortest(s) {
				t.Fatalf("%q stands for %q", f.text, s)
			}
		}
	})
}

// TestScrubbingLeavesNoSecretAndNothingElseOut puts secrets at random places.
func TestScrubbingLeavesNoSecretAndNothingElseOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[!-~é日]{5,24}`).Draw(t, "secret")
		before, after := rapid.StringMatching(`[0-9 ]{0,40}`).Draw(t, "before"), rapid.StringMatching(`[0-9 ]{0,40}`).Draw(t, "after")
		forms := spoken(s)
		var names []string
		for name := range forms {
			names = append(names, name)
		}
		form := forms[rapid.SampledFrom(sorted(names)).Draw(t, "form")]
		var r Redactor
		r.Note(secret.New("another one, of an earlier operation"), secret.New(s))
		got := r.Scrub(before + form + after)
		if strings.Contains(got, form) && !strings.Contains(secret.Redacted, form) {
			t.Fatalf("%q is still in %q", form, got)
		}
		if utf8.ValidString(form) && !utf8.ValidString(got) {
			t.Fatalf("%q is no text any more", got)
		}
	})
}

func sorted(names []string) []string {
	for i := range names {
		for j := i; j > 0 && names[j] < names[j-1]; j-- {
			names[j], names[j-1] = names[j-1], names[j]
		}
	}
	return names
}

func TestErrorsReceiptsAndFindingsAreScrubbed(t *testing.T) {
	var r Redactor
	r.Note(secret.New(canary))
	e := &sdk.Error{Code: sdk.TargetError, Message: "m " + canary, Native: canary, Violations: []sdk.Violation{{Rule: "r", Native: canary, Message: canary}}}
	got := r.Receipt(sdk.Receipt{Err: e, Ref: canary, Stamp: canary})
	f := r.Finding(sdk.Finding{Message: canary, Fix: canary})
	for _, text := range []string{got.Err.Message, got.Err.Native, got.Err.Violations[0].Native, got.Err.Violations[0].Message, got.Ref, got.Stamp, f.Message, f.Fix} {
		if strings.Contains(text, canary) || !strings.Contains(text, secret.Redacted) {
			t.Errorf("%q", text)
		}
	}
	if e.Message != "m "+canary || e.Violations[0].Native != canary {
		t.Error("the error of the caller was changed")
	}
	if r.Error(nil) != nil {
		t.Error("no error became one")
	}
}

func TestARedactorServesManyAtOnce(t *testing.T) {
	var r Redactor
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 300 {
				s := fmt.Sprintf("value %d of %d", n, g)
				r.Note(secret.New(s))
				if got := r.Scrub("is " + s + "?"); got != "is [redacted]?" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzScrub(f *testing.F) {
	for _, text := range spoken(canary) {
		f.Add(canary, text)
	}
	f.Add("ab", "ab cab")
	f.Add("7", "pin=7")
	f.Add("a", `\`)
	f.Add("secret", `\u00`)
	f.Add("secret", "&#x110000;&#;&;")
	f.Add("secret", "%")
	f.Fuzz(func(t *testing.T, s, text string) {
		var r Redactor
		r.Note(secret.New(s))
		got := r.Scrub(text)
		for _, piece := range strings.Split(got, secret.Redacted) { // what is cut out may make new neighbours
			if len(s) >= 4 && strings.Contains(piece, s) {
				t.Errorf("%q is still in %q", s, got)
			}
		}
		if s == "" && got != text {
			t.Errorf("nothing was kept and %q became %q", text, got)
		}
	})
}

// BenchmarkScrub is the cost of one operation whose receipt has a text.
func BenchmarkScrub(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"reference", "4f0c1e9a-6d3b-4b57-9d0e-7c1f2a3b4c5d"},
		{"message", `uid=user123456,ou=people,dc=acme: constraint violation: the value does not meet the "default" policy (quality 3 < 5)`},
	} {
		b.Run(c.name, func(b *testing.B) {
			var r Redactor
			values := make([]secret.Value, 1<<14)
			for n := range values {
				values[n] = secret.New(fmt.Sprintf("Temp-%020d", rand.Uint64()))
			}
			b.ReportAllocs()
			for n := range b.N {
				r.Note(values[n%len(values)])
				_ = r.Scrub(c.text)
			}
		})
	}
}
