package source

import (
	"bytes"
	"fmt"
	"strings"
)

// format is how lines are made of values.
type format struct {
	delimiter []byte
	quote     []byte // nil: without quotes
	space     string // characters trimmed around values
}

func (f format) trim(value []byte) []byte {
	for len(value) > 0 && f.isSpace(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && f.isSpace(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

func (f format) isSpace(char byte) bool {
	for i := range len(f.space) {
		if f.space[i] == char {
			return true
		}
	}
	return false
}

// splitFlaw is a flaw of a line and its place.
type splitFlaw struct {
	column int  // from 1, in bytes
	open   bool // the line ends within quotes: the value goes on, or the quote is a stray one
	complaint
}

// splitter takes lines apart. Its buffers are used again for every line.
type splitter struct {
	format
	fields  [][]byte
	cut     []bool // of each value, whether spaces around it were trimmed
	scratch []byte
}

func newSplitter(format format) *splitter { return &splitter{format: format} }

// split returns the values of a line; they are valid until the next call and
// may share the line's memory.
func (s *splitter) split(line []byte) ([][]byte, *splitFlaw) {
	s.fields, s.cut = s.fields[:0], s.cut[:0]
	switch {
	case s.quote == nil:
		s.bare(line, false)
		return s.fields, nil
	case !bytes.Contains(line, s.quote):
		s.bare(line, true)
		return s.fields, nil
	}
	return s.quoted(line)
}

// bare splits a line without quotes.
func (s *splitter) bare(line []byte, trim bool) {
	for more := true; more; {
		var value []byte
		value, line, more = bytes.Cut(line, s.delimiter)
		before := len(value)
		if trim {
			value = s.trim(value)
		}
		s.fields, s.cut = append(s.fields, value), append(s.cut, len(value) < before)
	}
}

// quoted splits a line with quotes.
func (s *splitter) quoted(line []byte) ([][]byte, *splitFlaw) {
	if cap(s.scratch) < len(line) { // so that it never moves under a value
		s.scratch = make([]byte, 0, 2*len(line))
	}
	s.scratch = s.scratch[:0]
	for at := 0; ; {
		start := at
		for start < len(line) && s.isSpace(line[start]) {
			start++
		}
		var value []byte
		var end int
		cut := false
		if bytes.HasPrefix(line[start:], s.quote) {
			var bad *splitFlaw
			if value, end, bad = s.inside(line, start); bad != nil {
				return nil, bad
			}
		} else {
			end = s.until(line, start)
			value = s.trim(line[start:end])
			cut = len(value) < end-at
		}
		s.fields, s.cut = append(s.fields, value), append(s.cut, cut)
		if end == len(line) {
			return s.fields, nil
		}
		at = end + len(s.delimiter)
	}
}

// until returns where the next delimiter is, or the end of the line.
func (s *splitter) until(line []byte, from int) int {
	if i := bytes.Index(line[from:], s.delimiter); i >= 0 {
		return from + i
	}
	return len(line)
}

// inside returns the value whose opening quote is at start, and where its
// delimiter is.
func (s *splitter) inside(line []byte, start int) ([]byte, int, *splitFlaw) {
	from := len(s.scratch)
	for at := start + len(s.quote); ; {
		i := bytes.Index(line[at:], s.quote)
		if i < 0 {
			return nil, 0, &splitFlaw{start + 1, true, openQuote("does not end in the file")}
		}
		s.scratch = append(s.scratch, line[at:at+i]...)
		at += i + len(s.quote)
		if !bytes.HasPrefix(line[at:], s.quote) {
			end := s.until(line, at)
			if len(s.trim(line[at:end])) > 0 {
				return nil, 0, &splitFlaw{at + 1, false, s.afterQuote(bytes.TrimLeft(line[at:end], " "))}
			}
			return s.scratch[from:len(s.scratch):len(s.scratch)], end, nil
		}
		s.scratch = append(s.scratch, s.quote...)
		at += len(s.quote)
	}
}

// openQuote is that of a value whose quote is not closed, which is a stray one.
func openQuote(how string) complaint {
	return complaint{Message: "the quoted value that begins here " + how, Fix: "close it; where the quote belongs to the value, double it, or set quote=None"}
}

// afterQuote is what to say of text between a closing quote and the delimiter:
// where it begins with another delimiter, the file is written with that one.
func (s *splitter) afterQuote(text []byte) complaint {
	if dir := string(text[:1]); strings.Contains(delimiters, dir) {
		return complaint{Message: fmt.Sprintf("a quoted value is followed by %q, and delimiter= is %q", dir, s.delimiter), Fix: fmt.Sprintf("set delimiter=%q", dir)}
	}
	return complaint{Message: "text after the end of a quoted value", Fix: "double a quote inside quotes, or set quote=None"}
}

// delimiters are those that lists are written with.
const delimiters = ";,\t|:"
