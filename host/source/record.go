package source

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
)

const (
	// maxValueLines is over how many lines a value goes: a quote that is open for
	// longer is a stray one.
	maxValueLines = 1000
	// foundDelimiters are those that a first line is searched for.
	foundDelimiters = ";,\t|"
)

// record splits a line, and those on which its last value goes on.
func (s *splitter) record(lines *lines, line []byte) ([][]byte, *splitFlaw) {
	fields, bad := s.split(line)
	for joined := 1; bad != nil && bad.open; joined++ {
		if joined == maxValueLines || len(line) > maxLine {
			return nil, &splitFlaw{bad.column, false, openQuote(fmt.Sprintf("goes on for %d lines", joined))}
		}
		before, opened := len(line), bad.column
		whole, err := lines.join(line)
		if err != nil {
			return nil, unjoined(lines, bad, err)
		}
		if line = whole; bytes.Contains(line[before:], s.quote) {
			fields, bad = s.split(line)
		}
		if bad != nil && !bad.open {
			at, _ := lines.place(opened)
			bad.complaint = complaint{Message: fmt.Sprintf("the quoted value that begins on line %d ends here, and text follows it", at), Fix: "close it where it ends; where a quote belongs to the value, double it, or set quote=None"}
		}
	}
	return fields, bad
}

// unjoined is why an open value does not go on.
func unjoined(lines *lines, bad *splitFlaw, err error) *splitFlaw {
	var broken *flaw
	switch {
	case errors.As(err, &broken) && broken.Column > 0:
		return &splitFlaw{lines.joins[len(lines.joins)-1] + broken.Column, false, complaint{Message: broken.Message, Fix: broken.Fix}}
	case errors.As(err, &broken):
		return &splitFlaw{bad.column, false, openQuote("goes on over a line that is not text: " + broken.Message)}
	}
	return bad // at the end of the file; another error comes from next
}

// laterHeader returns the line that has the key, where the first has not: lists
// are often exported under a title. 0 if none of the next has it either.
func (s *csvSource) laterHeader(from *reading) int {
	const lookedAt = 20
	head, _ := from.lines.text.Peek(from.lines.text.Buffered())
	split := newSplitter(from.format)
	for i := range lookedAt {
		line, rest, more := bytes.Cut(head, []byte("\n"))
		if !more {
			return 0
		}
		fields, _ := split.split(bytes.TrimSuffix(line, []byte{'\r'}))
		if len(fields) > 1 && slices.ContainsFunc(fields, func(name []byte) bool { return s.wanted.spelling(string(from.format.trim(name))) == s.wanted.key }) {
			return from.lines.n + i + 1
		}
		head = rest
	}
	return 0
}

// find returns the delimiter with which the first line has the key, or as many
// values as there are columns, and a sentence that says so.
func (s *csvSource) find(lines *lines) (delimiter, said string, err error) {
	head, _ := lines.text.Peek(lineBuffer)
	if head = firstRecord(bytes.TrimLeft(head, "\r\n "), s.format.quote); len(head) == 0 {
		return ",", "", nil // whoever reads on finds the end
	}
	var best []string
	most := 0
	for delimiter := range strings.SplitSeq(foundDelimiters, "") {
		values := s.fits(head, delimiter)
		switch {
		case values == 0 || values < most:
		case values > most:
			best, most = []string{delimiter}, values
		default:
			best = append(best, delimiter)
		}
	}
	switch {
	case most == 1:
		return ",", "", nil
	case len(best) == 1:
		return best[0], fmt.Sprintf("%s:%d: delimiter=None: %q stands between the values, as the first line tells", s.Name(), lines.n+1, best[0]), nil
	}
	bad := diag.Problem{File: s.Name(), Line: lines.n + 1, Message: fmt.Sprintf("delimiter=None: with none of %q the first line has the key %q", foundDelimiters, s.wanted.key), Fix: "set delimiter=, or skip_lines= where the header comes later"}
	switch {
	case len(best) > 1:
		bad.Message, bad.Fix = fmt.Sprintf("delimiter=None: the first line has as many values with %q as with %q", best[0], best[1]), "set delimiter="
	case s.columns != nil:
		bad.Message = fmt.Sprintf("delimiter=None: with none of %q the first line has the %d values of columns=", foundDelimiters, len(s.columns))
	}
	return "", "", one(bad)
}

// fits returns how many values a first line has with a delimiter; 0 if they are
// not what the script says.
func (s *csvSource) fits(head []byte, delimiter string) int {
	format := s.format
	format.delimiter, format.space = []byte(delimiter), spaceBeside(delimiter)
	fields, bad := newSplitter(format).split(head)
	least := len(s.columns) - len(s.wanted.mayLack)
	switch {
	case bad != nil:
	case s.columns != nil && least <= len(fields) && len(fields) <= len(s.columns):
		return len(fields)
	case s.columns == nil && slices.ContainsFunc(fields, func(name []byte) bool { return s.wanted.spelling(string(format.trim(name))) == s.wanted.key }):
		return len(fields)
	}
	return 0
}

// firstRecord cuts a text at its first line end outside quotes.
func firstRecord(text, quote []byte) []byte {
	inside := false
	for at := 0; at < len(text); at++ {
		switch {
		case len(quote) > 0 && bytes.HasPrefix(text[at:], quote):
			inside = !inside
		case text[at] == '\n' && !inside:
			return bytes.TrimSuffix(text[:at], []byte{'\r'})
		}
	}
	return text
}
