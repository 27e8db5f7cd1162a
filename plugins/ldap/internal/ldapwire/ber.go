// Package ldapwire is LDAP as bytes: requests as a client sends them and
// answers as it reads them (RFC 4511), with the few extensions that a change of
// passwords wants.
//
// It knows nothing of connections, accounts, or what an answer means.
package ldapwire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Tags of LDAP messages, RFC 4511. All are below 31, so each is one byte.
const (
	TagBoolean    = 0x01
	TagInteger    = 0x02
	TagOctets     = 0x04
	TagEnumerated = 0x0a
	TagSequence   = 0x30
	TagSet        = 0x31

	TagBindRequest      = 0x60
	TagBindResponse     = 0x61
	TagUnbindRequest    = 0x42
	TagSearchRequest    = 0x63
	TagSearchEntry      = 0x64
	TagSearchDone       = 0x65
	TagSearchReference  = 0x73
	TagModifyRequest    = 0x66
	TagModifyResponse   = 0x67
	TagExtendedRequest  = 0x77
	TagExtendedResponse = 0x78
	TagControls         = 0xa0
)

// Encode returns one element: tag, length, and the parts one after the other.
func Encode(tag byte, parts ...[]byte) []byte {
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

// Text is ber of a text. The text is copied once.
func Text(tag byte, text string) []byte { return Encode(tag, []byte(text)) }

// Int is ber of a number, in as few bytes as it needs.
func Int(tag byte, count int) []byte {
	var data []byte
	for {
		data = append([]byte{byte(count)}, data...)
		if count >= -0x80 && count < 0x80 {
			return Encode(tag, data)
		}
		count >>= 8
	}
}

// Bool is Encode of a boolean.
func Bool(tag byte, ok bool) []byte {
	if ok {
		return Encode(tag, []byte{0xff})
	}
	return Encode(tag, []byte{0})
}

// ErrMalformed says that the server sent what is not LDAP.
var ErrMalformed = errors.New("malformed message")

// Element is one decoded element. Its body is not copied.
type Element struct {
	Tag  byte
	Body []byte
}

// Next takes the first element off data. Lengths need not be minimal: Active
// Directory's are not.
func Next(data []byte) (e Element, rest []byte, err error) {
	if len(data) < 2 {
		return Element{}, nil, ErrMalformed
	}
	number, head := int(data[1]), 2
	if number >= 0x80 {
		count := number & 0x7f
		if count == 0 || count > 4 || len(data) < 2+count {
			return Element{}, nil, ErrMalformed
		}
		number = 0
		for _, char := range data[2 : 2+count] {
			number = number<<8 | int(char)
		}
		head += count
	}
	if number < 0 || number > len(data)-head {
		return Element{}, nil, ErrMalformed
	}
	return Element{Tag: data[0], Body: data[head : head+number]}, data[head+number:], nil
}

// Elements takes data apart; want is how many there must be at least.
func Elements(data []byte, want int) ([]Element, error) {
	var all []Element
	for len(data) > 0 {
		element, rest, err := Next(data)
		if err != nil {
			return nil, err
		}
		all, data = append(all, element), rest
	}
	if len(all) < want {
		return nil, ErrMalformed
	}
	return all, nil
}

// Number reads an integer, an enumeration or a boolean.
func (e Element) Number() (int, error) {
	if len(e.Body) == 0 || len(e.Body) > 8 {
		return 0, ErrMalformed
	}
	count := int64(int8(e.Body[0]))
	for _, char := range e.Body[1:] {
		count = count<<8 | int64(char)
	}
	return int(count), nil
}

// maxMessage bounds what one message of a server may take of our memory.
const maxMessage = 16 << 20

// ReadElement reads one whole element off a stream.
func ReadElement(reader *bufio.Reader) (Element, error) {
	head, err := reader.Peek(2)
	if err != nil {
		return Element{}, err
	}
	size := 2
	if head[1] > 0x80 {
		size += int(head[1] & 0x7f)
	}
	if size > 6 || head[1] == 0x80 {
		return Element{}, ErrMalformed
	}
	if head, err = reader.Peek(size); err != nil {
		return Element{}, err
	}
	count := int(head[1])
	if size > 2 {
		count = 0
		for _, char := range head[2:] {
			count = count<<8 | int(char)
		}
	}
	if count > maxMessage {
		return Element{}, fmt.Errorf("%w: %d bytes, want at most %d", ErrMalformed, count, maxMessage)
	}
	tag := head[0]
	if _, err := reader.Discard(size); err != nil {
		return Element{}, err
	}
	body := make([]byte, count)
	if _, err := io.ReadFull(reader, body); err != nil {
		return Element{}, err
	}
	return Element{Tag: tag, Body: body}, nil
}
