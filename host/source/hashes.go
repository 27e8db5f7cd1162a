package source

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// A hash made elsewhere is sent as it is, and no target refuses a malformed one:
// its user cannot log in. So its form is checked.

// rfc2307 is a scheme in braces and its form.
var rfc2307 = regexp.MustCompile(`^\{[A-Za-z0-9./_-]+\}.+$`)

// hashFlaw is the flaw of the text of a hash of that form; nil if nothing
// is, or the form is a plugin's own. It does not quote the text.
func hashFlaw(column, form, text string) *complaint {
	switch form {
	case "sha512-base64":
		return base64Flaw(column, form, text, 64)
	case "rfc2307":
		if !rfc2307.MatchString(text) {
			return &complaint{Message: fmt.Sprintf("column %q: not a hash of the form rfc2307, which begins with its scheme, as {SSHA512}", column), Fix: "write the scheme before the hash"}
		}
	}
	return nil
}

// base64Flaw is for the Base64 of a number of bytes.
func base64Flaw(column, form, text string, size int) *complaint {
	want := base64.StdEncoding.EncodedLen(size)
	if data, err := base64.StdEncoding.Strict().DecodeString(text); err == nil && len(data) == size && len(text) == want {
		return nil
	}
	fix := "make it again from the password, or leave the cell empty"
	if data, err := hex.DecodeString(strings.TrimSpace(text)); err == nil && len(data) == size {
		fix = "it is written in hexadecimal digits: write the same bytes in Base64, as xxd -r -p | base64 -w0 does"
	}
	return &complaint{Message: fmt.Sprintf("column %q: not a hash of the form %s, which is the Base64 of %d bytes: %d characters; it has %d", column, form, size, want, len([]rune(text))), Fix: fix}
}
