package file

import (
	"iter"
	"strings"
)

// span is a part of a text, in bytes.
type span struct{ from, to int }

// of is the part of the text.
func (s span) of(text string) string { return text[s.from:s.to] }

// lines yields the lines of a text as spans, without their ends (LF or CRLF).
func lines(text string) iter.Seq[span] {
	return func(yield func(span) bool) {
		for at := 0; at < len(text); {
			next := strings.IndexByte(text[at:], '\n')
			to, after := len(text), len(text)
			if next >= 0 {
				to, after = at+next, at+next+1
			}
			if to > at && text[to-1] == '\r' {
				to--
			}
			if !yield(span{at, to}) {
				return
			}
			at = after
		}
	}
}

// blanks are what may stand around words of a line.
const blanks = " \t"

// trimmed is a span without blanks at its ends.
func (s span) trimmed(text string) span {
	part := s.of(text)
	s.from += len(part) - len(strings.TrimLeft(part, blanks))
	if part = s.of(text); part != "" {
		s.to -= len(part) - len(strings.TrimRight(part, blanks))
	}
	return s
}

// cut splits a span at the first of characters.
func (s span) cut(text, at string) (before, after span, found bool) {
	index := strings.IndexAny(s.of(text), at)
	if index < 0 {
		return s, span{s.to, s.to}, false
	}
	return span{s.from, s.from + index}, span{s.from + index + 1, s.to}, true
}
