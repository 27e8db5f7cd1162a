package htpasswd

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
)

// entry is the line of one account. Its texts and offsets are of the file's
// content.
type entry struct {
	name, hash []byte
	rest       []byte // the fields after the hash, without the colon before them
	start, end int    // of the hash in the content
	line       int
}

// account tells of an entry. Without a hash that can be right, such as "!",
// the status is not known to be active.
func (e entry) account() sdk.Account {
	name, hash := string(e.name), string(e.hash)
	account := sdk.Account{Account: name, ID: name, Login: name, Stamp: stamp(hash)}
	if schemeOf(hash).name != "" {
		account.Status = sdk.StatusActive
	}
	return account
}

func (e entry) attributes(names []string) map[string]string {
	have := make(map[string]string, len(names))
	for _, name := range names {
		switch name {
		case "hash":
			have[name] = schemeOf(string(e.hash)).name
		case "line":
			have[name] = strconv.Itoa(e.line)
		}
	}
	return have
}

// lines yields every line with its number from 1 and its offset, line ends
// included.
func lines(content []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for offset := 0; offset < len(content); {
			count := bytes.IndexByte(content[offset:], '\n') + 1
			if count == 0 {
				count = len(content) - offset
			}
			if !yield(offset, content[offset:offset+count]) {
				return
			}
			offset += count
		}
	}
}

// entries yields the accounts of a file in its order. A line that is no
// account, a comment or blank goes to broken, which may be nil.
func entries(content []byte, broken func(line int, why string)) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		number := 0
		for offset, line := range lines(content) {
			number++
			entry, why := parse(line)
			switch {
			case len(entry.name) > 0:
				entry.start, entry.end, entry.line = entry.start+offset, entry.end+offset, number
				if !yield(entry) {
					return
				}
			case why != "" && broken != nil:
				broken(number, why)
			}
		}
	}
}

// Why servers pass a line over.
const (
	noColon = "no colon, want NAME:HASH"
	noName  = "no name before the colon"
)

// parse takes one line apart. Without a name it is blank, a comment, or, if
// why says so, broken. Fields after the hash are left alone, as servers do.
func parse(line []byte) (item entry, why string) {
	text := bytes.TrimRight(line, "\r\n")
	if start := bytes.TrimSpace(text); len(start) == 0 || start[0] == '#' {
		return entry{}, ""
	}
	if why := odd(text); why != "" {
		return entry{}, why
	}
	colon := bytes.IndexByte(text, ':')
	switch {
	case colon < 0:
		return entry{}, noColon
	case colon == 0:
		return entry{}, noName
	case oddName(text[:colon]) != "":
		return entry{}, oddName(text[:colon])
	}
	start, end := colon+1, len(text)
	if count := bytes.IndexByte(text[start:], ':'); count >= 0 {
		end = start + count
	}
	return entry{name: text[:colon], hash: text[start:end], rest: text[min(end+1, len(text)):], start: start, end: end}, ""
}

// edit is a new hash for an account: in place of at, or at the end of the file.
type edit struct {
	name, hash string
	at         entry
}

// rewrite returns content with the edits applied, in room if it is large enough.
// Replacements must be in the order of the file; additions come last and in the
// given order. Everything else stays byte for byte.
func rewrite(room, content []byte, replaced, added []edit) []byte {
	out := room[:0]
	if need := len(content) + 128*(len(replaced)+len(added)); cap(out) < need {
		out = make([]byte, 0, need+need/8)
	}
	from := 0
	for _, edit := range replaced {
		out = append(out, content[from:edit.at.start]...)
		out = append(out, edit.hash...)
		from = edit.at.end
	}
	out = append(out, content[from:]...)
	for _, edit := range added {
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		out = append(out, edit.name+":"+edit.hash+"\n"...)
	}
	return out
}

// refuseName returns why no line can hold an account of that name.
func refuseName(name string) *sdk.Error {
	why := ""
	switch {
	case name == "":
		why = "is empty"
	case strings.ContainsRune(name, ':'):
		why = "has a colon, which ends a name in the file"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "has a control character"
	case name[0] == '#':
		why = "starts with #, as comments do"
	case strings.TrimSpace(name) != name:
		why = "starts or ends with a space"
	case !utf8.ValidString(name):
		why = "is not UTF-8"
	case len(name) > otherBytes:
		why = fmt.Sprintf("is longer than %d bytes", otherBytes)
	default:
		return nil
	}
	return sdk.Errorf(sdk.InvalidOperation, "account %q: the name %s", name, why)
}
