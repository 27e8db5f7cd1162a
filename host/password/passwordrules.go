package password

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/host/diag"
)

// RulesError is a mistake in a text of passwordrules.
type RulesError struct {
	At      int // the character, from 1
	Message string
	Fix     string
}

// Error returns the message and its place.
func (e *RulesError) Error() string { return fmt.Sprintf("character %d: %s", e.At, e.Message) }

// ParseRules reads the passwordrules that pages give browsers and password
// managers, such as "minlength: 20; required: lower; required: digit, [-_.];
// max-consecutive: 2". One character of each required list has to occur, only
// characters of the allowed and the required lists may. Without lists, and for
// unicode, values are made of printable ASCII. A mistake is a *RulesError.
func ParseRules(text string) (*Spec, error) {
	parser := &rulesParser{text: []rune(text)}
	for parser.more() {
		if err := parser.rule(); err != nil {
			return nil, err
		}
	}
	return parser.spec(), nil
}

// rulesParser reads passwordrules and collects their demands.
type rulesParser struct {
	text []rune
	at   int

	allowed          []rune
	listed           bool // allowed or required occurred
	required         [][]rune
	least, most, run int // 0: not given
}

func (p *rulesParser) fail(at int, fix, format string, args ...any) error {
	return &RulesError{At: at + 1, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// skip passes over blanks.
func (p *rulesParser) skip() {
	for p.at < len(p.text) && unicode.IsSpace(p.text[p.at]) {
		p.at++
	}
}

// more passes over blanks and empty rules and reports whether a rule follows.
func (p *rulesParser) more() bool {
	for p.skip(); p.at < len(p.text) && p.text[p.at] == ';'; p.skip() {
		p.at++
	}
	return p.at < len(p.text)
}

// sees passes over blanks and one character, if it comes next.
func (p *rulesParser) sees(letter rune) bool {
	p.skip()
	if p.at < len(p.text) && p.text[p.at] == letter {
		p.at++
		return true
	}
	return false
}

// word reads letters, digits and hyphens, in lower case.
func (p *rulesParser) word() (word string, at int) {
	p.skip()
	at = p.at
	for p.at < len(p.text) && (p.text[p.at] == '-' || unicode.IsLetter(p.text[p.at]) || unicode.IsDigit(p.text[p.at])) {
		p.at++
	}
	return strings.ToLower(string(p.text[at:p.at])), at
}

// rule reads one rule with the semicolon after it.
func (p *rulesParser) rule() error {
	name, at := p.word()
	names := []string{"allowed", "required", "minlength", "maxlength", "max-consecutive"}
	if !slices.Contains(names, name) {
		return p.fail(at, diag.DidYouMean(name, names), "want one of %s", strings.Join(names, ", "))
	}
	if !p.sees(':') {
		return p.fail(p.at, "", "want a colon after %s", name)
	}
	if err := p.value(name); err != nil {
		return err
	}
	if p.skip(); p.at < len(p.text) && p.text[p.at] != ';' {
		return p.fail(p.at, "end a rule with a semicolon", "the rule %s goes on with %q", name, p.text[p.at])
	}
	return nil
}

// value reads what follows a name. Of several numbers the strictest counts.
func (p *rulesParser) value(name string) error {
	switch name {
	case "minlength":
		return p.number(func(count int) { p.least = max(p.least, count) })
	case "maxlength":
		return p.number(func(count int) { p.most = least(p.most, count) })
	case "max-consecutive":
		return p.number(func(count int) { p.run = least(p.run, count) })
	}
	list, err := p.classes()
	if err != nil {
		return err
	}
	p.listed = true
	p.allowed = append(p.allowed, list...)
	if name == "required" {
		p.required = append(p.required, list)
	}
	return nil
}

func (p *rulesParser) number(take func(int)) error {
	text, at := p.word()
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > maxValue {
		return p.fail(at, "", "want a number from 1 to %d", maxValue)
	}
	take(count)
	return nil
}

// classes reads a list of names and brackets between commas.
func (p *rulesParser) classes() ([]rune, error) {
	var list []rune
	for {
		some, err := p.class()
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
		if !p.sees(',') {
			return list, nil
		}
	}
}

func (p *rulesParser) class() ([]rune, error) {
	if p.sees('[') {
		return p.bracket()
	}
	name, at := p.word()
	switch name {
	case "upper":
		return ofClass(upper), nil
	case "lower":
		return ofClass(lower), nil
	case "digit":
		return ofClass(digit), nil
	case "special":
		return append(ofClass(symbol), ' '), nil
	case "ascii-printable", "unicode":
		return append(printable(), ' '), nil
	}
	names := []string{"upper", "lower", "digit", "special", "ascii-printable", "unicode"}
	return nil, p.fail(at, diag.DidYouMean(name, names), "want one of %s, or characters in brackets", strings.Join(names, ", "))
}

// bracket reads characters up to a closing bracket. A hyphen comes first, a
// closing bracket last: [-a]].
func (p *rulesParser) bracket() ([]rune, error) {
	from := p.at
	for p.at < len(p.text) {
		letter := p.text[p.at]
		switch {
		case letter == ']' && p.at+1 < len(p.text) && p.text[p.at+1] == ']':
			p.at += 2
			return p.text[from : p.at-1], nil
		case letter == ']':
			p.at++
			return p.text[from : p.at-1], nil
		case letter == '-' && p.at > from:
			return nil, p.fail(p.at, "write the hyphen first: [-abc]", "a hyphen within brackets")
		case letter < ' ' || letter > '~':
			return nil, p.fail(p.at, "", "want a printable character of ASCII")
		}
		p.at++
	}
	return nil, p.fail(from-1, "", "the bracket is not closed")
}

// ofClass returns the printable characters of a class.
func ofClass(class class) []rune {
	return slices.DeleteFunc(printable(), func(letter rune) bool { return classOf(letter) != class })
}

// spec is what the rules demand.
func (p *rulesParser) spec() *Spec {
	given := func(count int) *int {
		if count == 0 {
			return nil
		}
		return &count
	}
	spec := &Spec{MinLength: given(p.least), MaxLength: given(p.most), MaxRepeat: given(p.run)}
	if p.listed {
		allowed := string(p.allowed)
		spec.Allowed = &allowed
	}
	for _, list := range p.required {
		spec.require(list)
	}
	return spec
}

// whole reports whether a list is all characters of the class and no others but
// the blank.
func whole(list []rune, class class) bool {
	for _, letter := range printable() {
		if slices.Contains(list, letter) != (classOf(letter) == class) {
			return false
		}
	}
	return true
}
