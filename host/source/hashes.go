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
	if shape, known := shapes[form]; known && !shape.form.MatchString(text) {
		return &complaint{Message: fmt.Sprintf("column %q: not a hash of the form %s, which looks like %s", column, form, shape.like), Fix: "take it as the application holds it; where that has another form, it cannot be moved"}
	}
	return nil
}

// shape is what hashes of a form look like.
type shape struct {
	form *regexp.Regexp
	like string
}

// shapes are those of the forms in which applications keep hashes.
var shapes = map[string]shape{
	"argon2id":      {regexp.MustCompile(`^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`), "$argon2id$v=19$m=…,t=…,p=…$…$…"},
	"bcrypt":        {regexp.MustCompile(`^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$`), "$2y$, its cost and 53 characters"},
	"scrypt":        {regexp.MustCompile(`^\$scrypt\$ln=\d+,r=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`), "$scrypt$ln=…,r=…,p=…$…$…"},
	"pbkdf2-django": {regexp.MustCompile(`^pbkdf2_sha256\$\d+\$[^$]+\$[A-Za-z0-9+/=]+$`), "pbkdf2_sha256$ROUNDS$…$…"},
	"phpass":        {regexp.MustCompile(`^\$[PH]\$[./0-9A-Za-z]{31}$`), "$P$ and 31 characters"},
	"sha512-crypt":  {regexp.MustCompile(`^\$6\$(rounds=\d+\$)?[^$]{1,16}\$[./0-9A-Za-z]{86}$`), "$6$…$ and 86 characters"},
	"ssha":          {regexp.MustCompile(`^\{SSHA\}[A-Za-z0-9+/=]+$`), "{SSHA} and Base64"},
	"ha1":           {regexp.MustCompile(`^[0-9a-f]{32}$`), "32 digits of 0-9 and a-f"},
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
