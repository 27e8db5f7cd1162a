package htpasswd

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// flaw is what is wrong with a line, or worth knowing.
type flaw struct {
	line int
	why  string
	fix  string
	mild bool // it hinders nothing
	lost bool // to servers the line is not there: it is better found, but a replacement leaves it as it is
}

var (
	md5Hex    = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
	mosquitto = regexp.MustCompile(`^\$7\$[0-9]+\$`)
	scheme1   = regexp.MustCompile(`^(\$[^$]*\$|\{[^}]*\})`)
)

// flaws returns what makes a file none of ours, or hard to tell from one: lines
// that servers read otherwise, files of other programs, hashes that no server
// of this format reads. With foreign, hashes of any kind are ours to replace.
func flaws(content []byte, foreign bool) []flaw {
	var found, plain []flaw
	readable := false
	broken := func(line int, why string) {
		found = append(found, flaw{line: line, why: why, fix: "mend or remove the line, or put # before it", lost: why == noColon || why == noName})
	}
	first := make(map[string]int)
	for entry := range entries(content, broken) {
		if line, twice := first[string(entry.name)]; twice {
			found = append(found, flaw{line: entry.line, mild: true, why: fmt.Sprintf("%q again; line %d is the one that counts", entry.name, line), fix: "remove the line"})
		} else {
			first[string(entry.name)] = entry.line
		}
		hash := string(entry.hash)
		readable = readable || schemeOf(hash).name != ""
		switch why, fix, isPlain := notOurs(entry, hash); {
		case why == "" || foreign && fix == replaceForeign:
		case isPlain:
			plain = append(plain, flaw{line: entry.line, why: why, fix: fix})
		default:
			found = append(found, flaw{line: entry.line, why: why, fix: fix})
		}
	}
	for index := range plain {
		plain[index].mild = readable
	}
	return append(found, plain...)
}

// replaceForeign is the fix where the owner may know better.
const replaceForeign = "if whoever reads the file reads the new kind too, say replace_foreign = True"

// notOurs says why a line was not written for a server of this format.
func notOurs(entry entry, hash string) (why, fix string, plain bool) {
	fields := bytes.Split(entry.rest, []byte(":"))
	last := string(bytes.TrimSpace(fields[0]))
	switch {
	case schemeOf(hash).name == "" && md5Hex.MatchString(last):
		return "a digest file (NAME:REALM:MD5), as htdigest writes it", "name a password file: digests are made otherwise", false
	case (hash == "x" || hash == "*") && len(fields) == 5:
		return "a list of users of the system, as /etc/passwd is", "name a password file", false
	case ageing(fields):
		return "a list of the system's own passwords, as /etc/shadow is", "name a password file", false
	case schemeOf(hash).name != "" || locked(hash):
		return "", "", false
	}
	if kind := scheme1.FindString(hash); kind != "" {
		return fmt.Sprintf("a hash of another program (%s…)", kind), replaceForeign, false
	}
	return "no hash, but text: a password in clear, or another program's file", replaceForeign, true
}

// ageing reports whether the fields behind a hash are the seven of /etc/shadow:
// days, or nothing.
func ageing(fields [][]byte) bool {
	days := bytes.Join(fields, nil)
	return len(fields) == 7 && len(days) > 0 && len(bytes.Trim(days, "0123456789")) == 0
}

// locked reports what stands where there is no password: nothing, a mark, or a
// placeholder too short for either a hash or a password.
func locked(hash string) bool {
	return len(hash) < 4 || strings.HasPrefix(hash, "!") || strings.HasPrefix(hash, "*")
}

// odd says why servers may read a line otherwise than as it looks.
func odd(text []byte) string {
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return "a NUL byte"
	case bytes.IndexByte(text, '\r') >= 0:
		return "a carriage return inside the line: lines that end in it alone are one line to servers"
	case bytes.HasPrefix(text, []byte("\ufeff")):
		return "a byte order mark, which servers take for a part of the name"
	case text[0] == ' ' || text[0] == '\t':
		return "a blank before the name, which some servers take for a part of it and some do not"
	}
	return ""
}

// oddName says why a name cannot be told of.
func oddName(name []byte) string {
	if !utf8.Valid(name) {
		return "the name is not UTF-8"
	}
	return ""
}
