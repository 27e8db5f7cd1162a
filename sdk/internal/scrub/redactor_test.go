package scrub

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk/secret"
)

const canary = `c"a\n%y é`

// spoken are the ways in which programs put a secret into a text, by name.
var spoken = map[string]func(s string) string{
	"raw":    func(s string) string { return s },
	"upper":  strings.ToUpper,
	"lower":  strings.ToLower,
	"quoted": strconv.Quote, "quoted to ASCII": strconv.QuoteToASCII,
	"quoted twice": func(s string) string { return strconv.Quote(strconv.Quote(s)) },
	"JSON":         asJSON, "JSON in JSON": func(s string) string { return asJSON(asJSON(s)) },
	"three layers":      func(s string) string { return asJSON(url.QueryEscape(asJSON(s))) },
	"other layers":      func(s string) string { return url.PathEscape(asJSON(html.EscapeString(s))) },
	"JSON thrice":       func(s string) string { return asJSON(asJSON(asJSON(s))) },
	"XML":               asXML,
	"HTML":              html.EscapeString,
	"decimal entities":  each("&#%d;", ""),
	"hex entities":      each("&#x%X;", ""),
	"JSON escapes":      func(s string) string { return eachUnit(s, `\u%04x`) },
	"JavaScript":        func(s string) string { return eachUnit(s, `%%u%04X`) },
	"query":             url.QueryEscape,
	"query twice":       func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"path":              url.PathEscape,
	"all percent":       eachByte("%%%02x", ""),
	"base64":            func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 for URLs":   func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"basic":             func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+s)) },
	"in base64":         func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xy" + s + "z")) },
	"base64 in lines":   func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 7, "\r\n") },
	"base64 in a query": func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"base64 of JSON":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(asJSON(s))) },
	"base32":            func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"in base32":         func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte("a" + s))) },
	"base32hex":         func(s string) string { return base32.HexEncoding.EncodeToString([]byte(s)) },
	"hex":               func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":               func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex after a digit": func(s string) string { return "7" + hex.EncodeToString([]byte(s)) },
	"hex :":             eachByte("%02x", ":"), "hex blank": eachByte("%02X", " "), "hex x": eachByte(`\x%02x`, ""),
	"hex 0x": eachByte("0x%02x", ", "), "hex -": eachByte("%02X", "-"), "xxd": func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), 4, " ") },
	"bytes": func(s string) string { return fmt.Sprintf("%d", []byte(s)) }, "bytes,": eachByte("%d", ", "), "bytes;": eachByte("%d", ";"),
	"octal": eachByte("%03o", " "), `octal \`: eachByte(`\%03o`, ""), "runes": func(s string) string { return fmt.Sprint([]rune(s)) },
	"quoted-printable": asPrintable, "all printable": eachByte("=%02X", ""),
	"SQL": doubling("'"), "CSV": doubling(`"`), "%%": doubling("%"), `\ doubled`: doubling(`\`),
	"LDAP":        func(s string) string { return ldapEscape(s) },
	"LDAP all":    eachByte(`\%02x`, ""),
	"shell":       func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
	"NFD":         norm.NFD.String,
	"NFC":         norm.NFC.String,
	"NFKC":        norm.NFKC.String,
	"NFKD":        norm.NFKD.String,
	"reversed":    reversed,
	"two lines":   func(s string) string { return wrapped(s, len(s)/2, "\r\n  ") },
	"spaced":      func(s string) string { return spread(s, " ") },
	"dashed":      func(s string) string { return spread(s, "-") },
	"dotted":      func(s string) string { return spread(s, ".") },
	"zero width":  func(s string) string { return spread(s, "\u200b") },
	"UTF-16":      utf16le,
	"UTF-16 of a": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(utf16le(s))) },
	"UTF-16 hex":  func(s string) string { return hex.EncodeToString([]byte(utf16le(s))) },
	"full width":  fullWidth,
}

func asJSON(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func asXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func asPrintable(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func eachByte(format, between string) func(string) string {
	return func(s string) string {
		var parts []string
		for _, c := range []byte(s) {
			parts = append(parts, fmt.Sprintf(format, c))
		}
		return strings.Join(parts, between)
	}
}

func each(format, between string) func(string) string {
	return func(s string) string {
		var parts []string
		for _, c := range s {
			parts = append(parts, fmt.Sprintf(format, c))
		}
		return strings.Join(parts, between)
	}
}

func eachUnit(s, format string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, format, u)
	}
	return b.String()
}

func doubling(quote string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, quote, quote+quote) }
}

func ldapEscape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte("\"+,;<>\\ #=*()\x00", c) >= 0 || c >= 0x80 {
			fmt.Fprintf(&b, `\%02x`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

func spread(s, between string) string {
	return strings.Join(strings.Split(s, ""), between)
}

// wrapped puts something between each n bytes, where a character ends.
func wrapped(s string, n int, between string) string {
	var b strings.Builder
	last := 0
	for i := range s {
		if i-last >= max(1, n) {
			b.WriteString(between)
			last = i
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		b.WriteString(s[i : i+size])
	}
	return b.String()
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7F {
			return r + 0xFEE0
		}
		return r
	}, s)
}

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// bare is the normal form that the tests compare: small letters and digits of
// what is left when marks are gone.
func bare(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		if letter(r) || digit(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// survives returns a piece of eight bare characters of the secret that a
// scrubbed text has, forwards or backwards.
func survives(s, text string) string {
	want := []rune(bare(s))
	for _, part := range strings.Split(text, secret.Redacted) {
		have := bare(part)
		if len(have) < window {
			continue
		}
		back := reversed(have)
		for i := 0; i+window <= len(want); i++ {
			piece := string(want[i : i+window])
			if strings.Contains(have, piece) || strings.Contains(back, piece) {
				return piece
			}
		}
	}
	return ""
}

var samples = []string{canary, "hunter22", "C4n'ary-Xy7Q", "pässwörd 日本", `\u0041\x41%41&amp;`, "a+b c=d&efg", "Straße+Ligaﬁ-9!", `!"§$%&/()=?`, strings.Repeat("lång' ", 200)}

func TestASecretIsScrubbedInEveryForm(t *testing.T) {
	for _, s := range samples {
		var r Redactor
		r.Note(secret.New(s))
		for form, spell := range spoken {
			text := spell(s)
			got := r.Scrub("before " + text + " after")
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, "fter") || !strings.Contains(got, secret.Redacted) {
				t.Errorf("%.20q, %s: %.80q of %.80q", s, form, got, text)
			}
			if piece := survives(s, got); piece != "" {
				t.Errorf("%.20q, %s: %q is still in %.120q", s, form, piece, got)
			}
			if rest := strings.ReplaceAll(got, secret.Redacted, ""); len(text) > 24 && len(rest) > len("before  after")+len(text)/2+16 {
				t.Errorf("%.20q, %s: half of it is still there: %.120q", s, form, got)
			}
		}
	}
}

// TestASecretInTwoFormsIsScrubbedInBoth: what a form stands for is the same text
// then, which came from two places.
func TestASecretInTwoFormsIsScrubbedInBoth(t *testing.T) {
	var r Redactor
	r.Note(secret.New(canary))
	layered := func(s string) string { return hex.EncodeToString([]byte(strconv.QuoteToASCII(s))) }
	forms := map[string]func(string) string{"escaped, in hex": layered, "escaped, in base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(strconv.QuoteToASCII(s))) }}
	maps.Copy(forms, spoken)
	for one, spell := range forms {
		for other, again := range forms {
			if form := one + "/" + other; strings.Contains(form, "plain") {
				continue
			}
			a, b := spell(canary), again(canary)
			got := r.Scrub("tried " + a + " and then " + b)
			if alone := r.Scrub("tried " + b); alone != "tried "+b && strings.HasSuffix(got, b) {
				t.Errorf("%s, then %s: the second is left in %.200q", one, other, got)
			}
			if alone := r.Scrub("tried " + a); alone != "tried "+a && strings.Contains(got, a) {
				t.Errorf("%s, then %s: the first is left in %.200q", one, other, got)
			}
		}
	}
}

// TestAShortSecretIsScrubbedWholeInEveryForm leaves out what reorders it, and
// what has no word for it.
func TestAShortSecretIsScrubbedWholeInEveryForm(t *testing.T) {
	for _, s := range []string{"01234", "t0p!", "pin-7", "Summer", "é?x1"} {
		var r Redactor
		r.Note(secret.New(s))
		for form, spell := range spoken {
			switch form {
			case "reversed", "two lines", "UTF-16 of a", "UTF-16 hex", "base64 in lines", "zero width", "hex after a digit":
				continue
			}
			text := spell(s)
			got := r.Scrub("before " + text + " after")
			if !strings.HasPrefix(got, "before") || !strings.HasSuffix(got, "fter") || !strings.Contains(got, secret.Redacted) {
				t.Errorf("%.20q, %s: %.80q of %.80q", s, form, got, text)
			}
		}
	}
}

func TestEveryPieceOfEightCharactersIsScrubbed(t *testing.T) {
	for _, s := range []string{"C4n'ary-Xy7Q", "0123456789abcdef", "lösungs 日本 lång", strings.Repeat("0123456789 ", 20) + "end of it"} {
		var r Redactor
		r.Note(secret.New(s))
		letters := []rune(s)
		for from := range letters {
			for to := from + window; to <= len(letters); to++ {
				piece := string(letters[from:to])
				if len([]rune(strings.ReplaceAll(piece, " ", ""))) < window {
					continue
				}
				if got := r.Scrub("x: " + piece); strings.Contains(got, piece) {
					t.Fatalf("piece %q of %q stays", piece, s)
				}
			}
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	var r Redactor
	r.Note(secret.New("ab"), secret.New("7"), secret.New("xyz"), secret.New("summer"), secret.New("4711"), secret.New(""), secret.New("Password-2026"), secret.New("b4d;"), secret.New("username"), secret.New("sërvice"))
	for _, c := range []struct{ in, want string }{
		{"about the cab", "about the cab"},
		{"code ab was wrong", "code [redacted] was wrong"},
		{"error 7 of 17", "error 7 of 17"},
		{"pin=7", "pin=[redacted]"},
		{`pin "7"`, `pin "[redacted]"`},
		{"xyzzy", "xyzzy"},
		{"midsummer", "midsummer"},
		{"a Summer's day", "a [redacted]'s day"},
		{"summer1", "[redacted]1"},
		{"number 147110", "number 147110"},
		{"pin4711x", "pin[redacted]x"},
		{"xb4d;x", "x[redacted]x"},
		{"nothing here", "nothing here"},
		{"the service account", "the service account"},
		{"the SËRVICE account", "the [redacted] account"},
		{"the se\u0308rvice account", "the [redacted] account"},
		{"the password is too short, passwords have to have 12 characters", "the password is too short, passwords have to have 12 characters"},
		{"not Password-2026", "not [redacted]"},
		{"not PASSWORD 2026", "not [redacted]"},
		{"not word-2026", "not [redacted]"},
		{"usernames", "usernames"},
		{"a username", "a [redacted]"},
		{"", ""},
	} {
		if got := r.Scrub(c.in); got != c.want {
			t.Errorf("Scrub(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestOrdinaryMessagesStay has a table full of secrets as they are made, and
// messages of real targets.
func TestOrdinaryMessagesStay(t *testing.T) {
	var r Redactor
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 2 * generation {
		r.Note(secret.New(fmt.Sprintf("%x-%c%d", random.Uint64(), 'A'+n%26, n)), secret.New(fmt.Sprintf("Temporary%d!", n)))
	}
	for _, text := range []string{
		`uid=user123456,ou=people,dc=acme: constraint violation: the value does not meet the "default" policy (quality 3 < 5)`,
		"0000052D: AtrErr: DSID-03191083, #1: 0: 0000052D: DSID-03191083, problem 1005 (CONSTRAINT_ATT_TYPE), data 0, Att 9005a (unicodePwd)",
		"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v2580",
		`{"errorCode":4,"errorMessage":"The password must be at least 8 characters long, was temporary set on 2026-11-30T00:28:39.123456Z"}`,
		"4f0c1e9a-6d3b-4b57-9d0e-7c1f2a3b4c5d",
		"<soap:Fault><faultcode>soap:Server</faultcode><faultstring>Internal &quot;error&quot; at line 17 &amp; column 23</faultstring></soap:Fault>",
		"dial tcp 127.0.0.1:38951: connect: connection refused",
		"x509: certificate signed by unknown authority (possibly because of \"crypto/rsa: verification error\")",
	} {
		if got := r.Scrub(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestASecretOfAnOperationIsRememberedForAWhileAndOneOfSettingsForGood(t *testing.T) {
	var r Redactor
	r.Keep(secret.New("kept for good"), secret.New("kept for good"), secret.Value{})
	for n := range generation + 1 {
		r.Note(secret.New(value(n)), secret.Value{})
	}
	for _, text := range []string{"kept for good", value(1), value(generation)} {
		if got := r.Scrub(text); got != secret.Redacted {
			t.Errorf("Scrub(%q) = %q", text, got)
		}
	}
	for n := range 2 * generation {
		r.Note(secret.New(value(1<<20 + n)))
	}
	if got := r.Scrub(value(1)); got != value(1) {
		t.Errorf("it is remembered for ever: %q", got)
	}
	if got := r.Scrub("kept for good"); got != secret.Redacted {
		t.Errorf("a setting is forgotten: %q", got)
	}
}

// A user's set and verify bring the same secret. It is folded once, however
// often it comes, and again once its generation ends.
func TestASecretThatComesAgainIsRememberedAndFoldedOnce(t *testing.T) {
	var r Redactor
	again := secret.New("comes again and again")
	for n := range 3 * generation {
		r.Note(again, secret.New(value(n)))
		if n%100 != 0 {
			continue
		}
		for _, text := range []string{again.Reveal(), value(n), value(max(0, n-generation/2+1))} {
			if got := r.Scrub("it is " + text + "."); got != "it is "+secret.Redacted+"." {
				t.Fatalf("after %d operations Scrub(%q) = %q", n, text, got)
			}
		}
	}
	r.Scrub("index all that came")
	for _, table := range []*table{r.current, r.previous} {
		if got, want := len(table.folded), len(table.values)/2+1; got != want {
			t.Errorf("of %d secrets %d were folded, want %d", len(table.values), got, want)
		}
	}
}

// Only what is worded is asked for ordinary pieces, so it must hold wherever
// there is one.
func TestWhatHasAnOrdinaryPieceIsWorded(t *testing.T) {
	for text, want := range map[string]bool{
		"Password-2026": true, "pass-word": true, "p a s s w o r d": true, "2p\u00e1ssword": true, "pássword": true, "ﬁ-directory": true,
		"P4ssword-2026": false, "passwor1d": false, "uwl3Kxw*Lsf~": false, "uwlßKxw*Lsf~": true, "": false,
	} {
		var units stream
		units.fold(view{text: text}, true)
		if got := units.worded(); got != want {
			t.Errorf("%q: worded %v, want %v", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var units stream
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"password", "account", "tion", "s", "á", "-", " ", "7", "*", "é", "É"}), 1, 8).Draw(t, "parts"), "")
		units.fold(view{text: text}, true)
		worded := units.worded()
		units.windows(func(roller *roller, _ int) {
			if ordinary(roller.units()) && !worded {
				t.Fatalf("%q has an ordinary piece and is not worded", text)
			}
		})
	})
}

// ordinary asks for pieces of words in their order, as the words themselves have
// them, and for nothing that reaches from one to the next.
func TestAnOrdinaryPieceLiesWithinOneWord(t *testing.T) {
	for piece, want := range map[string]bool{
		"password": true, "asswords": true, "redentia": true, "received": true, "drowssap": false, "passwort": true, "ordspass": false, "abcdefgh": false, "passw0rd": false,
	} {
		if got := ordinary([window]rune([]rune(piece))); got != want {
			t.Errorf("ordinary(%q) = %v, want %v", piece, got, want)
		}
	}
}

// Every byte that begins an escape is known to, whatever else it begins.
func TestEveryTriggerBegins(t *testing.T) {
	for char := range 256 {
		for index, escape := range escapes {
			if got, want := begun[char]&(1<<index) != 0, strings.IndexByte(escape.triggers, byte(char)) >= 0; got != want {
				t.Errorf("byte %q begins escape %d: %v, want %v", rune(char), index, got, want)
			}
		}
	}
}

// value has no piece in common with that of another number.
func value(n int) string {
	x := uint64(n+1) * factor
	return strconv.FormatUint(x, 36)
}

func TestANameThatWasAskedForStays(t *testing.T) {
	var r Redactor
	r.Note(secret.New("annabelle.meyer1!"), secret.New("people"))
	for _, c := range []struct{ text, asked, want string }{
		{"uid=annabelle.meyer,ou=people", "annabelle.meyer", "uid=annabelle.meyer,ou=people"},
		{"uid=Annabelle.Meyer,ou=people", "annabelle.meyer", "uid=Annabelle.Meyer,ou=people"},
		{"annabelle.meyer1!", "annabelle.meyer1!", "annabelle.meyer1!"},
		{"annabelle.meyer1!", "ann", "[redacted]"},
		{"annabelle.meyer", "", "[redacted]"},
	} {
		if got := r.ScrubName(c.text, c.asked); got != c.want {
			t.Errorf("ScrubName(%q, %q) = %q, want %q", c.text, c.asked, got, c.want)
		}
	}
	if got := r.ScrubName("uid=annabelle.meyer,code=annabelle.meyer1!", "annabelle.meyer"); survives("meyer1!x", got) != "" || strings.Contains(got, "meyer1") {
		t.Errorf("the value stays beside the name: %q", got)
	}
}

func TestASecretThatComesInPiecesIsScrubbedWhereItGoesOn(t *testing.T) {
	var r Redactor
	r.Note(secret.New("C4n'ary-Xy7Q"))
	if got := r.ScrubBetween("it is C4n'ar\n", "y-Xy7Q, is it?", ""); got != "[redacted], is it?" {
		t.Errorf("%q", got)
	}
	if got := r.ScrubBetween("it is C4n'ary-Xy7Q", "\nis it?", ""); got != "\nis it?" {
		t.Errorf("%q", got)
	}
	if got := r.ScrubBetween("so: ", "it is C4n'ar", "\ny-Xy7Q, is it?"); got != "it is [redacted]" {
		t.Errorf("%q", got)
	}
	shown, before := "", ""
	for _, letter := range strings.Split("C4n'ary-Xy7Q", "") {
		shown += r.ScrubBetween(before, letter, "") + "\n"
		before += letter + "\n"
	}
	if piece := survives("C4n'ary-Xy7Q", shown); piece != "" {
		t.Errorf("%q is still in %q", piece, shown)
	}
}

func TestARedactorServesManyAtOnce(t *testing.T) {
	var r Redactor
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 300 {
				s := value(g*1000 + n)
				r.Note(secret.New(s))
				if got := r.Scrub("is " + s + "?"); got != "is [redacted]?" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	wg.Wait()
}

// told is a secret, and a text that tells it in some form.
type told struct{ secret, text, how string }

// tellings are secrets with a piece of eight letters and digits, told in a form
// that loses no part of them.
func tellings() *rapid.Generator[told] {
	secrets := rapid.StringMatching(`[!-~éü日]{8,40}`).Filter(func(s string) bool { return len([]rune(bare(s))) >= window })
	whole := func(x told) bool {
		return !strings.Contains(x.text, "\ufffd") && !strings.Contains(x.text, `\ufffd`) && !strings.Contains(x.text, "%EF%BF%BD")
	}
	return rapid.Custom(func(t *rapid.T) told {
		s := secrets.Draw(t, "secret")
		text, how := transformed(t, s)
		return told{s, text, how}
	}).Filter(whole)
}

// transformed applies one form, or one escape over another.
func transformed(t *rapid.T, s string) (text, how string) {
	names := make([]string, 0, len(spoken))
	for name := range spoken {
		names = append(names, name)
	}
	slices.Sort(names)
	how = rapid.SampledFrom(names).Draw(t, "form")
	text = spoken[how](s)
	over := rapid.SampledFrom([]string{"raw", "raw", "JSON", "query", "path", "XML", "HTML", "CSV", "upper hex", "base64"}).Draw(t, "over")
	switch over {
	case "upper hex":
		text = strings.ToUpper(hex.EncodeToString([]byte(text)))
	default:
		text = spoken[over](text)
	}
	return text, how + " in " + over
}

// TestScrubbingLeavesNoPieceAndNothingElseOut puts secrets at random places.
func TestScrubbingLeavesNoPieceAndNothingElseOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := tellings().Draw(t, "telling")
		s, text, how := x.secret, x.text, x.how
		before, after := rapid.StringMatching(`[0-9 ]{0,40}`).Draw(t, "before"), rapid.StringMatching(`[0-9 ]{0,40}`).Draw(t, "after")
		var r Redactor
		r.Note(secret.New("another one, of an earlier operation"), secret.New(s))
		got := r.Scrub(before + " | " + text + " | " + after)
		if !strings.Contains(got, secret.Redacted) {
			t.Fatalf("%s: %q passes as %q", how, s, got)
		}
		if piece := survives(s, got); piece != "" {
			t.Fatalf("%s: %q of %q is still in %q", how, piece, s, got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q is no text any more", got)
		}
	})
}

// FuzzScrub takes any secret and any text around it, in a form that the number
// picks.
func FuzzScrub(f *testing.F) {
	for n := range len(spoken) {
		f.Add(canary, "before ", n)
		f.Add("C4n'ary-Xy7Q", "", n)
	}
	f.Add("ab", "ab cab", 0)
	f.Add("7", "pin=7", 0)
	f.Add("secret", `\u00`, 1)
	f.Add("secret", "&#x110000;&#;&;", 1)
	f.Add("secret", "%", 1)
	names := make([]string, 0, len(spoken))
	for name := range spoken {
		names = append(names, name)
	}
	slices.Sort(names)
	f.Fuzz(func(t *testing.T, s, text string, n int) {
		var r Redactor
		r.Note(secret.New(s))
		form := names[uint(n)%uint(len(names))]
		got := r.Scrub(text + " " + spoken[form](s))
		if !utf8.ValidString(s) || len(s) > 1024 || len(text) > 1024 || strings.ContainsRune(spoken[form](s), utf8.RuneError) {
			return
		}
		if piece := survives(s, got); piece != "" {
			t.Errorf("%s: %q of %q is still in %q", form, piece, s, got)
		}
		if s == "" && got != text+" "+spoken[form](s) {
			t.Errorf("nothing was kept and %q became %q", text, got)
		}
	})
}

// TestANameThatStandsOftenIsSparedInTime: names and hits are both as many as
// the text is long.
func TestANameThatStandsOftenIsSparedInTime(t *testing.T) {
	cost := func(n int) time.Duration {
		text := strings.Repeat("a", n)
		pieces := make([]span, n)
		least := time.Hour
		for range 3 {
			for i := range pieces {
				pieces[n-1-i] = span{from: i, to: i + 9}
			}
			begun := time.Now()
			if left := spare(text, "aaaaaaaa", pieces); len(left) != n {
				t.Fatalf("%d of %d are left", len(left), n)
			}
			least = min(least, time.Since(begun))
		}
		return least
	}
	if part, whole := cost(2000), cost(16000); whole > 24*part { // squared it would be 64
		t.Errorf("8 times as long costs %s, not %s", whole, part)
	}
	within := spare("xx ann ann xx", "ann", []span{{from: 8, to: 10}, {from: 3, to: 7}, {from: 0, to: 2}, {from: 3, to: 6}, {from: 4, to: 5}})
	if !slices.Equal(within, []span{{from: 0, to: 2}, {from: 3, to: 7}}) {
		t.Errorf("left are %v", within)
	}
}

// TestLongTextsAreBounded has texts that are all escapes, all numbers and all
// letters, of a megabyte: what is made of them is bounded, and four times the
// text costs about four times as much.
func TestLongTextsAreBounded(t *testing.T) {
	var r Redactor
	r.Keep(secret.New("C4n'ary-Xy7Q"), secret.New("4711"), secret.New("日本語ぱす"), secret.New(strings.Repeat("0123456789 äö", 5000)))
	cost := func(text string) time.Duration {
		least := time.Hour
		for range 3 {
			begun := time.Now()
			r.Scrub(text)
			least = min(least, time.Since(begun))
		}
		return least
	}
	var part, whole time.Duration
	for _, piece := range []string{"a", "%25", `\\`, "&amp;", "&#38;", "41 ", "65, ", "QUJD", "=3D", "''", "a-", "\x00a", "日", "\xff", "password ", "0123456789 äö"} {
		text := strings.Repeat(piece, 1<<20/len(piece))
		if got := r.Scrub(text); len(got) > MaxText+len("…") {
			t.Errorf("a megabyte of %q became %d bytes", piece, len(got))
		}
		part, whole = part+cost(text[:MaxText/16]), whole+cost(text[:MaxText/4])
	}
	if whole > 12*part { // squared it would be 16
		t.Errorf("all texts cost %s, four times as long %s", part, whole)
	}
}

// BenchmarkScrub is the cost of one operation whose receipt has a text, or
// none.
func BenchmarkScrub(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"nothing", ""},
		{"reference", "4f0c1e9a-6d3b-4b57-9d0e-7c1f2a3b4c5d"},
		{"message", `uid=user123456,ou=people,dc=acme: constraint violation: the value does not meet the "default" policy (quality 3 < 5)`},
		{"log line", `{"@timestamp":"2026-11-30T01:59:34.194431Z","@level":"info","@message":"request done","instance":"directory","method":"POST","path":"/v1/users/u1/password","status":204,"took":"17ms"}`},
		{"escaped line", strconv.Quote(strconv.Quote(`Authorization: Basic YWRtaW46c2VjcmV0LXRoYXQtaXMtbG9uZw== for "user" 4f0c1e9a-6d3b-4b57-9d0e-7c1f2a3b4c5d %22quoted%22 &amp; so on`))},
		{"megabyte", strings.Repeat("a message of a target, with \"quotes\" and numbers 17, 4711; ", 1<<20/60)},
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
