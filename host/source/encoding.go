package source

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/rekey-host/rekey/host/diag"
)

// charset is an encoding that a file can be in.
type charset struct {
	name    string
	aliases []string
	decoder func() *encoding.Decoder // nil: UTF-8, read as it is
	marked  bool                     // has to start with a byte order mark
	wide    bool                     // characters of two bytes
}

// charsets are the encodings that have names or rules of their own here. The
// first is the default.
func charsets() []charset {
	utf16 := func(endianness unicode.Endianness, bomPolicy unicode.BOMPolicy) func() *encoding.Decoder {
		return func() *encoding.Decoder { return unicode.UTF16(endianness, bomPolicy).NewDecoder() }
	}
	return []charset{
		{name: "utf-8", aliases: []string{"utf8"}},
		{name: "utf-8-sig", aliases: []string{"utf8-sig"}},
		{name: "latin-1", aliases: []string{"latin1", "iso-8859-1"}, decoder: charmap.ISO8859_1.NewDecoder},
		{name: "windows-1252", aliases: []string{"cp1252"}, decoder: charmap.Windows1252.NewDecoder},
		{name: "utf-16", aliases: []string{"utf16"}, decoder: utf16(unicode.LittleEndian, unicode.UseBOM), marked: true, wide: true},
		{name: "utf-16le", decoder: utf16(unicode.LittleEndian, unicode.UseBOM), wide: true},
		{name: "utf-16be", decoder: utf16(unicode.BigEndian, unicode.UseBOM), wide: true},
	}
}

// charsetOf returns the encoding of that name, ignoring case and _ for -: one
// of charsets, or any that the IANA has a name for and x/text can read.
func charsetOf(name string) (charset, error) {
	wanted := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	all := charsets()
	if wanted == "" {
		return all[0], nil
	}
	var names []string
	for _, charset := range all {
		if charset.name == wanted || slices.Contains(charset.aliases, wanted) {
			return charset, nil
		}
		names = append(names, charset.name)
	}
	for _, spelling := range []string{name, wanted} {
		if e, err := ianaindex.IANA.Encoding(spelling); err == nil && e != nil {
			return charset{name: wanted, decoder: e.NewDecoder}, nil
		}
	}
	return charset{}, fmt.Errorf("encoding %q is not one of %s, or a known name of the IANA, such as windows-1250, iso-8859-2, koi8-r, shift_jis, euc-kr, gb18030, big5", name, strings.Join(names, ", "))
}

// kindHead is how much of a file is read to tell its kind.
const kindHead = 512

var (
	markUTF8    = []byte{0xEF, 0xBB, 0xBF}
	markLittle  = []byte{0xFF, 0xFE}
	markBig     = []byte{0xFE, 0xFF}
	replacement = []byte("\uFFFD")
)

// decode returns r as UTF-8 without a byte order mark. The problem, if there
// is one, has no file yet: the mark and the encoding disagree.
func (c charset) decode(r io.Reader) (*bufio.Reader, *diag.Problem) {
	raw := bufio.NewReaderSize(r, lineBuffer)
	head, _ := raw.Peek(kindHead)
	if bad := kindFlaw(head, c); bad != nil {
		return nil, bad
	}
	utf16 := bytes.HasPrefix(head, markLittle) || bytes.HasPrefix(head, markBig)
	switch {
	case c.decoder == nil && utf16:
		return nil, &diag.Problem{Line: 1, Message: "starts with the byte order mark of utf-16", Fix: `set encoding = "utf-16"`}
	case c.decoder == nil:
		if bytes.HasPrefix(head, markUTF8) {
			_, _ = raw.Discard(len(markUTF8))
		}
		return raw, nil
	case bytes.HasPrefix(head, markUTF8):
		return nil, &diag.Problem{Line: 1, Message: "starts with the byte order mark of utf-8, encoding says " + c.name, Fix: `set encoding = "utf-8"`}
	case c.marked && !utf16:
		return nil, &diag.Problem{Line: 1, Message: "has no byte order mark", Fix: `set encoding = "utf-16le" or "utf-16be"`}
	}
	return bufio.NewReaderSize(transform.NewReader(raw, c.decoder()), lineBuffer), nil
}
