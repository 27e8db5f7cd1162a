package source

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/visible"
)

// kindFlaw names the kind of a file by its beginning, if it is not a text in
// the encoding that it is to be read in; nil if it may be.
func kindFlaw(head []byte, charset charset) *diag.Problem {
	for _, kind := range kinds() {
		if bytes.HasPrefix(bytes.TrimPrefix(head, markUTF8), []byte(kind.magic)) {
			return &diag.Problem{Message: "is " + kind.is + ", not a text", Fix: kind.fix}
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		return &diag.Problem{Line: 1, Message: "starts with the byte order mark of utf-32", Fix: "save it in UTF-8"}
	case len(head) > tarMark && bytes.HasPrefix(head[tarMark:], []byte("ustar")):
		return &diag.Problem{Message: "is a tar archive, not a text", Fix: "unpack it first"}
	}
	if charset.wide || bytes.HasPrefix(head, markLittle) || bytes.HasPrefix(head, markBig) {
		return nil
	}
	if name := wideWithoutMark(head); name != "" {
		return &diag.Problem{Line: 1, Message: "every second byte is NUL, as in " + name + " without a byte order mark", Fix: fmt.Sprintf("set encoding = %q", name)}
	}
	if bytes.Count(head, []byte("\r")) > 1 && bytes.IndexByte(head, '\n') < 0 {
		return &diag.Problem{Line: 1, Message: "its lines end in carriage return (CR) alone, as on an old Mac", Fix: `save it with the line ends of Windows or Unix, or convert it: tr '\r' '\n'`}
	}
	return nil
}

// tarMark is where in a tar archive its name stands.
const tarMark = 257

// kind is a kind of file often mistaken for a list of users.
type kind struct{ magic, is, fix string }

func kinds() []kind {
	const export = "save it as CSV, or export it again"
	return []kind{
		{"PK\x03\x04", "a zip archive, as the workbooks of spreadsheets (xlsx, ods) are", "read a workbook of Excel (xlsx) with xlsx(), save another as CSV"},
		{"PK\x05\x06", "an empty zip archive", export},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an old Office (xls, doc)", export},
		{"\x1f\x8b", "compressed by gzip", "gunzip it first"},
		{"BZh", "compressed by bzip2", "bunzip2 it first"},
		{"\xfd7zXZ\x00", "compressed by xz", "unxz it first"},
		{"(\xb5/\xfd", "compressed by zstd", "unzstd it first"},
		{"7z\xbc\xaf'\x1c", "a 7z archive", "unpack it first"},
		{"%PDF-", "a PDF", export},
		{"SQLite format 3\x00", "an SQLite database", export},
		{"age-encryption.org/", "encrypted by age", "age --decrypt it first"},
		{"-----BEGIN AGE ENCRYPTED FILE-----", "encrypted by age", "age --decrypt it first"},
		{"-----BEGIN PGP MESSAGE-----", "encrypted by PGP", "gpg --decrypt it first"},
		{"\x7fELF", "a program", ""},
		{"Rar!\x1a\x07", "a rar archive", "unpack it first"},
		{"{\\rtf", "a text document (RTF)", export},
		{"<", "HTML or XML, as some systems export it under the name of a spreadsheet", export},
		{"dn: ", "LDIF", "use the accounts of an ldap backend, or export it as CSV"},
		{"BEGIN:VCARD", "a list of contacts (vCard)", export},
	}
}

// wideWithoutMark tells UTF-16 by its NUL bytes: of Latin letters every second.
func wideWithoutMark(head []byte) string {
	head = head[:len(head)&^1]
	if len(head) < 4 {
		return ""
	}
	even, odd := 0, 0
	for i := 0; i < len(head); i += 2 {
		if head[i] == 0 {
			even++
		}
		if head[i+1] == 0 {
			odd++
		}
	}
	half := len(head) / 2
	switch {
	case odd > half*3/4 && even == 0:
		return "utf-16le"
	case even > half*3/4 && odd == 0:
		return "utf-16be"
	}
	return ""
}

// spreadsheetErrors are what a spreadsheet makes of a value that it takes for
// a formula.
func spreadsheetErrors() []string {
	return []string{"#NAME?", "#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA", "#BLOCKED!", "#FIELD!", "#CONNECT!"}
}

// valueFlaw finds a key or a secret that cannot be what was meant. The
// complaint does not quote a secret.
func valueFlaw(column Column, key bool, text string) *complaint {
	switch {
	case !key && !column.Secret:
		return nil
	case isSpreadsheetError(text):
		return &complaint{Message: fmt.Sprintf("column %q holds %s, the error text of a spreadsheet", column.Name, strings.ToUpper(strings.TrimSpace(text))),
			Fix: spreadsheetFix(text)}
	case tooNarrow(text):
		return &complaint{Message: fmt.Sprintf("column %q holds nothing but #, which a spreadsheet shows where a column is too narrow", column.Name), Fix: "widen the column, or import it as text, and export it again"}
	case strings.ContainsRune(text, utf8.RuneError):
		return &complaint{Message: fmt.Sprintf("column %q has a replacement character (U+FFFD): a letter was lost before", column.Name), Fix: "export it again, in UTF-8, from where it is whole"}
	case key:
		return edgeFlaw(column, text)
	}
	return nil
}

// doubtful says why a password may be a stand-in, as systems write for a
// missing one, or the rest of one; "" if it may well be a password. A user may
// have it all the same.
func doubtful(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case slices.Contains(standIns(), strings.ToUpper(text)):
		return strconv.Quote(text) + ", which stands for nothing in many exports"
	case shortNumber(text):
		return "a number as a spreadsheet shortens it, as in 1.2E+11"
	case len(text) > 2 && strings.Trim(text, "*\u2022\u25cf") == "":
		return "what stands in forms in place of a password"
	}
	return ""
}

// standIns are, in capitals, what people write in place of a missing value.
func standIns() []string {
	return []string{"NULL", "(NULL)", "<NULL>", "[NULL]", `\N`, "NIL", "NONE", "NAN", "UNDEFINED", "N/A", "N.A.", "NA", "K.A.", "TBD", "-", "--", "---",
		"\u2013", "\u2014", "?", "??", "???", "EMPTY", "(EMPTY)", "(BLANK)", "UNKNOWN", "[REDACTED]", "REDACTED", "HIDDEN", "[OBJECT OBJECT]"}
}

// shortNumber reports whether a text is a number with an exponent: 1.23457E+11.
func shortNumber(text string) bool {
	mantissa, exponent, is := strings.Cut(strings.ToUpper(text), "E+")
	whole, fraction, _ := strings.Cut(strings.Replace(mantissa, ",", ".", 1), ".")
	digits := func(text string) bool { return strings.Trim(text, "0123456789") == "" }
	return is && len(whole) == 1 && digits(whole+fraction+exponent) && exponent != ""
}

func isSpreadsheetError(text string) bool {
	text = strings.ToUpper(strings.TrimSpace(text))
	for _, entry := range spreadsheetErrors() {
		if text == entry {
			return true
		}
	}
	return false
}

// spreadsheetFix is how a value that became an error text is had again.
func spreadsheetFix(text string) string {
	if strings.EqualFold(strings.TrimSpace(text), "#NAME?") {
		return "the original value began with = + - or @: import the column as text and export it again"
	}
	return "a formula had no result there: put the value in its place and export it again"
}

func tooNarrow(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) >= 3 && strings.Trim(text, "#") == ""
}

// edgeFlaw finds invisible characters at the ends of a key.
func edgeFlaw(column Column, text string) *complaint {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	for _, end := range []struct {
		r     rune
		where string
	}{{first, "begins"}, {last, "ends"}} {
		if text != "" && unseen(end.r) {
			return &complaint{Message: fmt.Sprintf("key column %q %s with %s, which is invisible", column.Name, end.where, nameOf(end.r)), Fix: "remove it"}
		}
	}
	return hiddenInKey(column, text)
}

// hiddenInKey finds an invisible character within a key: two keys that
// look the same would be two users, and one would not be found.
func hiddenInKey(column Column, key string) *complaint {
	at := visible.Find(key)
	if at < 0 {
		return nil
	}
	letter, _ := utf8.DecodeRuneInString(key[at:])
	return &complaint{Message: fmt.Sprintf("key column %q: character %d of %s is %s", column.Name, utf8.RuneCountInString(key[:at])+1,
		visible.Escape(strconv.Quote(shorten(key))), visible.Name(letter)), Fix: "remove it"}
}

// unseen reports whether a character leaves no mark.
func unseen(letter rune) bool {
	return unicode.IsSpace(letter) || unicode.Is(unicode.Z, letter) || unicode.Is(unicode.Cf, letter) || unicode.Is(unicode.Variation_Selector, letter) ||
		letter == '\u115f' || letter == '\u1160' || letter == '\u3164' || letter == '\uffa0' || letter == '\u2800'
}

func nameOf(letter rune) string {
	switch letter {
	case ' ':
		return "a space"
	case '\u00a0':
		return "a no-break space (U+00A0)"
	case '\u200b':
		return "a zero-width space (U+200B)"
	case '\ufeff':
		return "a byte order mark (U+FEFF)"
	}
	return fmt.Sprintf("%U", letter)
}
