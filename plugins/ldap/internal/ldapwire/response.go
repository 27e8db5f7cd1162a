package ldapwire

import (
	"bufio"
	"slices"
	"strings"
)

// Message is one decoded response.
type Message struct {
	ID       int
	Op       Element
	Controls []Control
}

// Control returns the value of a control, and whether there is one.
func (m Message) Control(oid string) ([]byte, bool) {
	count := slices.IndexFunc(m.Controls, func(c Control) bool { return c.OID == oid })
	if count < 0 {
		return nil, false
	}
	return m.Controls[count].Value, true
}

// ReadMessage reads one whole message off a stream.
func ReadMessage(reader *bufio.Reader) (Message, error) {
	element, err := ReadElement(reader)
	if err != nil {
		return Message{}, err
	}
	return DecodeMessage(element)
}

// DecodeMessage takes the body of a message's sequence apart.
func DecodeMessage(element Element) (Message, error) {
	parts, err := Elements(element.Body, 2)
	if err != nil || element.Tag != TagSequence || parts[0].Tag != TagInteger {
		return Message{}, ErrMalformed
	}
	id, err := parts[0].Number()
	if err != nil {
		return Message{}, err
	}
	made := Message{ID: id, Op: parts[1]}
	if len(parts) > 2 && parts[2].Tag == TagControls {
		made.Controls, err = decodeControls(parts[2].Body)
	}
	return made, err
}

func decodeControls(data []byte) ([]Control, error) {
	list, err := Elements(data, 0)
	if err != nil {
		return nil, err
	}
	var controls []Control
	for _, element := range list {
		parts, err := Elements(element.Body, 1)
		if err != nil {
			return nil, err
		}
		made := Control{OID: string(parts[0].Body)}
		if last := parts[len(parts)-1]; len(parts) > 1 && last.Tag == TagOctets {
			made.Value = last.Body
		}
		controls = append(controls, made)
	}
	return controls, nil
}

// Result is the LDAPResult of a response.
type Result struct {
	Code     int
	Text     string // the server's diagnostic message
	Referral string // the first one
	Password string // that the server made, of a password modify
	Policy   PolicyAnswer
}

// Result takes the LDAPResult out of a response of any kind.
func (m Message) Result() (Result, error) {
	parts, err := Elements(m.Op.Body, 3)
	if err != nil {
		return Result{}, err
	}
	code, err := parts[0].Number()
	if err != nil {
		return Result{}, err
	}
	made := Result{Code: code, Text: readable(string(parts[2].Body))}
	for _, element := range parts[3:] {
		switch element.Tag {
		case 0xa3:
			if uris, err := Elements(element.Body, 1); err == nil {
				made.Referral = readable(string(uris[0].Body))
			}
		case 0x8b:
			made.Password = madePassword(element.Body)
		}
	}
	if value, ok := m.Control(OIDPPolicy); ok {
		made.Policy = decodePolicy(value)
	}
	return made, nil
}

// madePassword reads PasswdModifyResponseValue.
func madePassword(value []byte) string {
	sequence, _, err := Next(value)
	if err != nil {
		return ""
	}
	parts, err := Elements(sequence.Body, 1)
	if err != nil || parts[0].Tag != 0x80 {
		return ""
	}
	return string(parts[0].Body)
}

// readable cuts what a server says to one line without control characters:
// Active Directory ends its with a NUL.
func readable(text string) string {
	const most = 300
	text = strings.ToValidUTF8(text, "?")
	text = strings.Map(func(letter rune) rune {
		if letter < ' ' || letter == 0x7f {
			return ' '
		}
		return letter
	}, text)
	if list := []rune(text); len(list) > most {
		text = string(list[:most]) + "…"
	}
	return strings.TrimSpace(text)
}

// NextPage is where the next page begins, empty after the last.
func (m Message) NextPage() []byte {
	value, ok := m.Control(OIDPaging)
	if !ok {
		return nil
	}
	sequence, _, err := Next(value)
	if err != nil {
		return nil
	}
	parts, err := Elements(sequence.Body, 2)
	if err != nil {
		return nil
	}
	return parts[1].Body
}

// AuthorizationID reads the answer of a "Who am I?", RFC 4532.
func (m Message) AuthorizationID() string {
	parts, err := Elements(m.Op.Body, 3)
	if err != nil {
		return ""
	}
	for _, element := range parts[3:] {
		if element.Tag == 0x8b {
			return string(element.Body)
		}
	}
	return ""
}
