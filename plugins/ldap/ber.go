package ldap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Tags of LDAP messages, RFC 4511. All are below 31, so each is one byte.
const (
	tagBoolean    = 0x01
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagEnumerated = 0x0a
	tagSequence   = 0x30
	tagSet        = 0x31

	tagBindRequest      = 0x60
	tagBindResponse     = 0x61
	tagUnbindRequest    = 0x42
	tagSearchRequest    = 0x63
	tagSearchEntry      = 0x64
	tagSearchDone       = 0x65
	tagSearchReference  = 0x73
	tagModifyRequest    = 0x66
	tagModifyResponse   = 0x67
	tagExtendedRequest  = 0x77
	tagExtendedResponse = 0x78
	tagControls         = 0xa0
)

// ber returns one element: tag, length, and the parts one after the other.
func ber(tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := append(make([]byte, 0, n+6), tag)
	switch {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// berText is ber of a text. The text is copied once.
func berText(tag byte, s string) []byte { return ber(tag, []byte(s)) }

// berInt is ber of a number, in as few bytes as it needs.
func berInt(tag byte, n int) []byte {
	var b []byte
	for {
		b = append([]byte{byte(n)}, b...)
		if n >= -0x80 && n < 0x80 {
			return ber(tag, b)
		}
		n >>= 8
	}
}

func berBool(tag byte, v bool) []byte {
	if v {
		return ber(tag, []byte{0xff})
	}
	return ber(tag, []byte{0})
}

// errMalformed says that the server sent what is not LDAP.
var errMalformed = errors.New("malformed message")

// element is one decoded element. Its body is not copied.
type element struct {
	tag  byte
	body []byte
}

// next takes the first element off b. Lengths need not be minimal: Active
// Directory's are not.
func next(b []byte) (e element, rest []byte, err error) {
	if len(b) < 2 {
		return element{}, nil, errMalformed
	}
	n, head := int(b[1]), 2
	if n >= 0x80 {
		count := n & 0x7f
		if count == 0 || count > 4 || len(b) < 2+count {
			return element{}, nil, errMalformed
		}
		n = 0
		for _, c := range b[2 : 2+count] {
			n = n<<8 | int(c)
		}
		head += count
	}
	if n < 0 || n > len(b)-head {
		return element{}, nil, errMalformed
	}
	return element{tag: b[0], body: b[head : head+n]}, b[head+n:], nil
}

// elements takes b apart; want is how many there must be at least.
func elements(b []byte, want int) ([]element, error) {
	var all []element
	for len(b) > 0 {
		e, rest, err := next(b)
		if err != nil {
			return nil, err
		}
		all, b = append(all, e), rest
	}
	if len(all) < want {
		return nil, errMalformed
	}
	return all, nil
}

// number reads an integer, an enumeration or a boolean.
func (e element) number() (int, error) {
	if len(e.body) == 0 || len(e.body) > 8 {
		return 0, errMalformed
	}
	n := int64(int8(e.body[0]))
	for _, c := range e.body[1:] {
		n = n<<8 | int64(c)
	}
	return int(n), nil
}

// maxMessage bounds what one message of a server may take of our memory.
const maxMessage = 16 << 20

// readElement reads one whole element off a stream.
func readElement(r *bufio.Reader) (element, error) {
	head, err := r.Peek(2)
	if err != nil {
		return element{}, err
	}
	size := 2
	if head[1] > 0x80 {
		size += int(head[1] & 0x7f)
	}
	if size > 6 || head[1] == 0x80 {
		return element{}, errMalformed
	}
	if head, err = r.Peek(size); err != nil {
		return element{}, err
	}
	n := int(head[1])
	if size > 2 {
		n = 0
		for _, c := range head[2:] {
			n = n<<8 | int(c)
		}
	}
	if n > maxMessage {
		return element{}, fmt.Errorf("%w: %d bytes, want at most %d", errMalformed, n, maxMessage)
	}
	tag := head[0]
	if _, err := r.Discard(size); err != nil {
		return element{}, err
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return element{}, err
	}
	return element{tag: tag, body: body}, nil
}
