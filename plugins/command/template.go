package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hole is what a template has a place for.
type hole string

// The holes.
const (
	accountHole  hole = "account"
	valueHole    hole = "value"
	secretHole   hole = "secret"
	valueFDHole  hole = "value-fd"
	secretFDHole hole = "secret-fd"
)

// part is a text, or a hole.
type part struct {
	text string
	hole hole // "" is none
}

// template is a text with holes.
type template []part

// holes finds what looks like one: other braces are text.
var holes = regexp.MustCompile(`\{[a-z-]+\}`)

// parse takes a text apart. A hole that is not one of those allowed is an error.
func parse(text string, allowed ...hole) (template, error) {
	var made template
	at := 0
	for _, span := range holes.FindAllStringIndex(text, -1) {
		name := hole(text[span[0]+1 : span[1]-1])
		if !slices.Contains(allowed, name) {
			return nil, fmt.Errorf("{%s} cannot stand there%s", name, adviceOn(name, allowed))
		}
		if at < span[0] {
			made = append(made, part{text: text[at:span[0]]})
		}
		made = append(made, part{hole: name})
		at = span[1]
	}
	if at < len(text) {
		made = append(made, part{text: text[at:]})
	}
	return made, nil
}

// adviceOn says where a hole belongs, or which there are.
func adviceOn(name hole, allowed []hole) string {
	switch {
	case name == valueHole && slices.Contains(allowed, valueFDHole):
		return ": everybody on the machine sees arguments; put it into the input, or use {value-fd}"
	case name == secretHole && slices.Contains(allowed, secretFDHole):
		return ": everybody on the machine sees arguments; put it into the input, or use {secret-fd}"
	}
	names := make([]string, len(allowed))
	for index, hole := range allowed {
		names[index] = "{" + string(hole) + "}"
	}
	if len(names) == 0 {
		return ""
	}
	return "; there is " + strings.Join(names, ", ")
}

// has reports whether the template has a hole.
func (t template) has(name hole) bool {
	return slices.ContainsFunc(t, func(part part) bool { return part.hole == name })
}

// fill returns the text with the holes filled.
func (t template) fill(with map[hole]string) string {
	var out strings.Builder
	for _, part := range t {
		out.WriteString(part.text)
		if part.hole != "" {
			out.WriteString(with[part.hole])
		}
	}
	return out.String()
}

// begins reports whether the text begins with what fills a hole.
func (t template) begins(name hole) bool { return len(t) > 0 && t[0].hole == name }

// blank reports whether a text of the template has blanks in it.
func (t template) blank() bool {
	return slices.ContainsFunc(t, func(part part) bool { return strings.ContainsFunc(part.text, unicode.IsSpace) })
}

// after are the characters that follow a hole: what fills it may hold none of
// them, because whoever reads the text takes the first for its end.
func (t template) after(name hole) string {
	var ends strings.Builder
	for index, part := range t {
		if part.hole == name && index+1 < len(t) && t[index+1].hole == "" {
			letter, _ := utf8.DecodeRuneInString(t[index+1].text)
			ends.WriteRune(letter)
		}
	}
	return ends.String()
}
