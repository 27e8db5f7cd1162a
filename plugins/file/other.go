package file

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk"
)

// properties is a file of Java's Properties: name=value, with escapes.
type properties struct{}

// spots are the values of the lines. A value that goes on in the next line is
// none that can be replaced.
func (properties) spots(text string) ([]spot, *sdk.Error) {
	var found []spot
	goesOn := false
	for line := range lines(text) {
		line = line.trimmed(text)
		words := line.of(text)
		before := goesOn
		goesOn = continued(words) && (before || words != "" && !strings.ContainsRune("#!", rune(words[0])))
		if before || words == "" || strings.ContainsRune("#!", rune(words[0])) {
			continue
		}
		end := strings.IndexAny(words, `=: `+"\t")
		if end < 0 || strings.Contains(words[:end], `\`) {
			continue
		}
		value := span{line.from + end, line.to}.trimmed(text)
		if rest := value.of(text); rest != "" && strings.ContainsRune("=:", rune(rest[0])) {
			value = span{value.from + 1, line.to}.trimmed(text)
		}
		if goesOn || strings.ContainsFunc(words, unprintable) {
			continue
		}
		found = append(found, spot{span: value, place: words[:end]})
	}
	return found, nil
}

// continued reports whether a line goes on in the next one.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// written escapes what the format would read otherwise; what is not ASCII stands
// as \uXXXX, which every version reads.
func (properties) written(_ spot, value string) (string, *sdk.Error) {
	var out strings.Builder
	for index, letter := range value {
		switch {
		case letter == '\\', letter == ' ' && index == 0:
			out.WriteString(`\` + string(letter))
		case letter > 126:
			for _, unit := range utf16Of(letter) {
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		default:
			out.WriteRune(letter)
		}
	}
	text := out.String()
	if trimmed := strings.TrimRight(text, " "); trimmed != text { // kept by Java, cut off by editors
		text = trimmed + strings.Repeat(`\u0020`, len(text)-len(trimmed))
	}
	return text, nil
}

// read joins lines, takes the first separator that is not escaped, and reads the
// escapes, as the documentation of Properties.load has it.
func (properties) read(text, place string) (string, bool) {
	value, found := "", false
	natural := strings.FieldsFunc(text, func(letter rune) bool { return letter == '\n' || letter == '\r' })
	for index := 0; index < len(natural); index++ {
		line := strings.TrimLeft(natural[index], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continued(line) && index+1 < len(natural) {
			index++
			line = line[:len(line)-1] + strings.TrimLeft(natural[index], " \t\f")
		}
		name, rest := loaded(line, true)
		if name == place {
			value, _ = loaded(rest, false)
			found = true
		}
	}
	return value, found
}

// loaded reads escapes, of a name up to its separator.
func loaded(line string, name bool) (text, rest string) {
	var units []uint16
	for index := 0; index < len(line); {
		letter := line[index]
		if name && strings.IndexByte("=: \t\f", letter) >= 0 {
			rest = strings.TrimLeft(line[index:], " \t\f")
			if rest != "" && strings.IndexByte("=:", rest[0]) >= 0 {
				rest = strings.TrimLeft(rest[1:], " \t\f")
			}
			break
		}
		if letter == '\\' && index+5 < len(line) && line[index+1] == 'u' {
			if unit, err := strconv.ParseUint(line[index+2:index+6], 16, 16); err == nil {
				units = append(units, uint16(unit))
				index += 6
				continue
			}
		}
		if letter == '\\' && index+1 < len(line) {
			index++
		}
		units = append(units, utf16Of([]rune(line[index:])[0])...)
		index += len(string([]rune(line[index:])[0]))
	}
	return fromUTF16(units), rest
}

func (properties) policy() sdk.Policy { return sdk.Policy{MinLength: 1} }

// pgpass is the password file of libpq: host:port:database:user:password. A
// place is the first four fields as they stand there.
type pgpass struct{}

// spots are the last fields of the lines.
func (pgpass) spots(text string) ([]spot, *sdk.Error) {
	var found []spot
	for line := range lines(text) {
		words := line.of(text)
		if words == "" || words[0] == '#' {
			continue
		}
		if at := fifth(words); at > 0 && !strings.ContainsFunc(words, unprintable) {
			found = append(found, spot{span: span{line.from + at, line.to}, place: words[:at-1]})
		}
	}
	return found, nil
}

// fifth is where the fifth field of a line begins; 0: there is none.
func fifth(line string) int {
	colons := 0
	for index := 0; index < len(line); index++ {
		switch line[index] {
		case '\\':
			index++
		case ':':
			if colons++; colons == 4 {
				return index + 1
			}
		}
	}
	return 0
}

// written escapes what ends a field.
func (pgpass) written(_ spot, value string) (string, *sdk.Error) {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(value), nil
}

// read takes the first line that a connection to the place takes, as libpq does: a
// star stands for all, and a backslash is before what it means.
func (pgpass) read(text, place string) (string, bool) {
	wanted, _ := fields4(place + ":")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		have, rest := fields4(line)
		if strings.HasPrefix(line, "#") || have == nil || wanted == nil || !slices.EqualFunc(have, wanted, func(field, of string) bool { return field == "*" || field == of }) {
			continue
		}
		value, _ := field(rest)
		return value, true
	}
	return "", false
}

// fields4 are the first four fields of a line, and what follows; nil if there are
// fewer.
func fields4(line string) (four []string, rest string) {
	rest = line
	for range 4 {
		one, after := field(rest)
		if len(after) == 0 || after[0] != ':' {
			return nil, ""
		}
		four, rest = append(four, one), after[1:]
	}
	return four, rest
}

// field is a text up to a colon, without its escapes.
func field(text string) (value, rest string) {
	var out strings.Builder
	for index := 0; index < len(text); index++ {
		switch {
		case text[index] == ':':
			return out.String(), text[index:]
		case text[index] == '\\' && index+1 < len(text):
			index++
		}
		out.WriteByte(text[index])
	}
	return out.String(), ""
}

func (pgpass) policy() sdk.Policy { return sdk.Policy{MinLength: 1} }

// letters that a file of text cannot hold.
func unprintable(letter rune) bool {
	return unicode.IsControl(letter) || letter == '\uFEFF' || letter == unicode.ReplacementChar
}

func utf16Of(letter rune) []uint16 { return utf16.Encode([]rune{letter}) }

func fromUTF16(units []uint16) string { return string(utf16.Decode(units)) }
