package source

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest.
const maxDepth = 64

// jsonParser reads one JSON text. It is stricter than encoding/json where that
// would change a password without a word: a half surrogate pair, a name given
// twice, and a whole number that does not fit are errors.
//
// Its errors name the place, and never the value.
type jsonParser struct {
	text  []byte
	at    int
	depth int
	dry   bool // checks the text and makes no values
}

// jsonFlaw is a flaw at a place of the text.
type jsonFlaw struct {
	at      int
	message string
}

func (f *jsonFlaw) Error() string { return f.message }

func (p *jsonParser) fail(message string) error { return &jsonFlaw{p.at, message} }

// peek returns the next byte after white space, 0 at the end.
func (p *jsonParser) peek() byte {
	for p.at < len(p.text) {
		switch char := p.text[p.at]; char {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return char
		}
	}
	return 0
}

func (p *jsonParser) end() error {
	if p.peek() != 0 || p.at < len(p.text) {
		return p.fail("text after the end of the object")
	}
	return nil
}

// members calls member for each name of the object that comes next; member has
// to read the value.
func (p *jsonParser) members(member func(name []byte) error) error {
	if p.peek() != '{' {
		return p.fail("not an object: want {…} on every line")
	}
	return p.list('}', func() error {
		if p.peek() != '"' {
			return p.fail("want a name in double quotes")
		}
		name, err := p.quoted()
		if err != nil {
			return err
		}
		if p.peek() != ':' {
			return p.fail("want : after a name")
		}
		p.at++
		return member(name)
	})
}

// list reads what an opening bracket starts, one element a call.
func (p *jsonParser) list(closing byte, element func() error) error {
	p.at++
	if p.depth++; p.depth > maxDepth {
		return p.fail("nested too deep")
	}
	defer func() { p.depth-- }()
	if p.peek() == closing {
		p.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch p.peek() {
		case closing:
			p.at++
			return nil
		case ',':
			p.at++
		default:
			return p.fail("want , or " + string(closing))
		}
	}
}

// value reads any value: nil, bool, int64, float64, string, []any or
// map[string]any; nil if the parser is dry.
func (p *jsonParser) value() (any, error) {
	switch char := p.peek(); {
	case char == '"':
		return p.textValue()
	case char == '{':
		return p.object()
	case char == '[':
		return p.array()
	case char == '-' || '0' <= char && char <= '9':
		return p.number()
	}
	for _, w := range []struct {
		word  string
		value any
	}{{"null", nil}, {"true", true}, {"false", false}} {
		if bytes.HasPrefix(p.text[p.at:], []byte(w.word)) {
			p.at += len(w.word)
			return w.value, nil
		}
	}
	return nil, p.fail("want a value")
}

func (p *jsonParser) textValue() (any, error) {
	data, err := p.quoted()
	if err != nil || p.dry {
		return nil, err
	}
	return string(data), nil
}

func (p *jsonParser) array() (any, error) {
	all := []any{}
	err := p.list(']', func() error {
		value, err := p.value()
		if !p.dry {
			all = append(all, value)
		}
		return err
	})
	return all, err
}

func (p *jsonParser) object() (any, error) {
	all := map[string]any{}
	err := p.members(func(name []byte) error {
		if _, twice := all[string(name)]; twice {
			return p.fail("a name that the object has already")
		}
		all[string(name)] = nil
		key := string(name)
		value, err := p.value()
		all[key] = value
		return err
	})
	return all, err
}

// number reads a number: int64 if it is written as a whole one.
func (p *jsonParser) number() (any, error) {
	start, whole := p.at, true
	if p.text[p.at] == '-' {
		p.at++
	}
	first := p.at
	digits := p.digits()
	if digits == 0 || digits > 1 && p.text[first] == '0' {
		return nil, p.fail("not a number")
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		whole = false
		p.at++
		if p.digits() == 0 {
			return nil, p.fail("not a number")
		}
	}
	if p.at < len(p.text) && (p.text[p.at] == 'e' || p.text[p.at] == 'E') {
		whole = false
		p.at++
		if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return nil, p.fail("not a number")
		}
	}
	return p.numeric(string(p.text[start:p.at]), whole)
}

func (p *jsonParser) numeric(text string, whole bool) (any, error) {
	if whole {
		count, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, p.fail("the number is too large: write it as a string")
		}
		return count, nil
	}
	amount, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.fail("the number is too large: write it as a string")
	}
	return amount, nil
}

func (p *jsonParser) digits() int {
	start := p.at
	for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
		p.at++
	}
	return p.at - start
}

// quoted reads a string; the bytes may be of the text itself.
func (p *jsonParser) quoted() ([]byte, error) {
	p.at++
	start := p.at
	for p.at < len(p.text) {
		switch char := p.text[p.at]; {
		case char == '"':
			p.at++
			return p.text[start : p.at-1], nil
		case char == '\\':
			return p.escaped(append([]byte(nil), p.text[start:p.at]...))
		case char < 0x20:
			return nil, p.fail("control character in a string")
		}
		p.at++
	}
	return nil, p.fail("a string that does not end on its line")
}

// escaped goes on with a string from its first backslash.
func (p *jsonParser) escaped(out []byte) ([]byte, error) {
	for p.at < len(p.text) {
		switch char := p.text[p.at]; {
		case char == '"':
			p.at++
			return out, nil
		case char < 0x20:
			return nil, p.fail("control character in a string")
		case char != '\\':
			out = append(out, char)
			p.at++
			continue
		}
		letter, err := p.escape()
		if err != nil {
			return nil, err
		}
		out = utf8.AppendRune(out, letter)
	}
	return nil, p.fail("a string that does not end on its line")
}

// escape reads what a backslash starts.
func (p *jsonParser) escape() (rune, error) {
	p.at++
	if p.at == len(p.text) {
		return 0, p.fail("a string that does not end on its line")
	}
	char := p.text[p.at]
	p.at++
	switch char {
	case '"', '\\', '/':
		return rune(char), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicode()
	}
	return 0, p.fail("a backslash that escapes nothing")
}

func (p *jsonParser) unicode() (rune, error) {
	high, err := p.hex()
	if err != nil || !utf16.IsSurrogate(high) {
		return high, err
	}
	if !bytes.HasPrefix(p.text[p.at:], []byte(`\u`)) {
		return 0, p.fail("half of a surrogate pair")
	}
	p.at += 2
	low, err := p.hex()
	if err != nil {
		return 0, err
	}
	if letter := utf16.DecodeRune(high, low); letter != utf8.RuneError {
		return letter, nil
	}
	return 0, p.fail("half of a surrogate pair")
}

func (p *jsonParser) hex() (rune, error) {
	if p.at+4 > len(p.text) {
		return 0, p.fail(`want four hex digits after \u`)
	}
	var letter rune
	for _, char := range p.text[p.at : p.at+4] {
		switch {
		case '0' <= char && char <= '9':
			char -= '0'
		case 'a' <= char|0x20 && char|0x20 <= 'f':
			char = char | 0x20 - 'a' + 10
		default:
			return 0, p.fail(`want four hex digits after \u`)
		}
		letter = letter<<4 | rune(char)
	}
	p.at += 4
	return letter, nil
}
