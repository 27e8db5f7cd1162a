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
	count := 0
	for _, data := range parts {
		count += len(data)
	}
	out := append(make([]byte, 0, count+6), tag)
	switch {
	case count < 0x80:
		out = append(out, byte(count))
	case count < 0x100:
		out = append(out, 0x81, byte(count))
	case count < 0x10000:
		out = append(out, 0x82, byte(count>>8), byte(count))
	default:
		out = append(out, 0x84, byte(count>>24), byte(count>>16), byte(count>>8), byte(count))
	}
	for _, data := range parts {
		out = append(out, data...)
	}
	return out
}

// berText is ber of a text. The text is copied once.
func berText(tag byte, text string) []byte { return ber(tag, []byte(text)) }

// berInt is ber of a number, in as few bytes as it needs.
func berInt(tag byte, count int) []byte {
	var data []byte
	for {
		data = append([]byte{byte(count)}, data...)
		if count >= -0x80 && count < 0x80 {
			return ber(tag, data)
		}
		count >>= 8
	}
}

func berBool(tag byte, ok bool) []byte {
	if ok {
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

// next takes the first element off data. Lengths need not be minimal: Active
// Directory's are not.
func next(data []byte) (e element, rest []byte, err error) {
	if len(data) < 2 {
		return element{}, nil, errMalformed
	}
	number, head := int(data[1]), 2
	if number >= 0x80 {
		count := number & 0x7f
		if count == 0 || count > 4 || len(data) < 2+count {
			return element{}, nil, errMalformed
		}
		number = 0
		for _, char := range data[2 : 2+count] {
			number = number<<8 | int(char)
		}
		head += count
	}
	if number < 0 || number > len(data)-head {
		return element{}, nil, errMalformed
	}
	return element{tag: data[0], body: data[head : head+number]}, data[head+number:], nil
}

// elements takes data apart; want is how many there must be at least.
func elements(data []byte, want int) ([]element, error) {
	var all []element
	for len(data) > 0 {
		element, rest, err := next(data)
		if err != nil {
			return nil, err
		}
		all, data = append(all, element), rest
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
	count := int64(int8(e.body[0]))
	for _, char := range e.body[1:] {
		count = count<<8 | int64(char)
	}
	return int(count), nil
}

// maxMessage bounds what one message of a server may take of our memory.
const maxMessage = 16 << 20

// readElement reads one whole element off a stream.
func readElement(reader *bufio.Reader) (element, error) {
	head, err := reader.Peek(2)
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
	if head, err = reader.Peek(size); err != nil {
		return element{}, err
	}
	count := int(head[1])
	if size > 2 {
		count = 0
		for _, char := range head[2:] {
			count = count<<8 | int(char)
		}
	}
	if count > maxMessage {
		return element{}, fmt.Errorf("%w: %d bytes, want at most %d", errMalformed, count, maxMessage)
	}
	tag := head[0]
	if _, err := reader.Discard(size); err != nil {
		return element{}, err
	}
	body := make([]byte, count)
	if _, err := io.ReadFull(reader, body); err != nil {
		return element{}, err
	}
	return element{tag: tag, body: body}, nil
}
