package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
)

const (
	lineBuffer = 64 << 10
	maxLine    = 1 << 20 // bytes: longer lines belong to no list of users
)

// lines reads the lines of an input, one after the other.
type lines struct {
	in      *input
	charset charset
	hash    *hashed
	text    *bufio.Reader
	close   func() error
	space   string // a line of nothing else is blank
	long    []byte // a line that does not fit text's buffer
	n       int    // number of the line that was read last
	at      int    // number of the line in which the present record begins
	crlf    bool   // the line that was read last ended in CRLF
	record  []byte // of several lines
	joins   []int  // where in it its further lines begin
	failed  error  // of join
}

// next returns the next line with text, without its end, valid until
// the next call. At the end it is io.EOF, after checking that the input is the
// one read before; a *Problem is about this line only.
func (l *lines) next(ctx context.Context) ([]byte, error) {
	if l.failed != nil {
		return nil, l.stopped(ctx, l.failed)
	}
	l.joins = l.joins[:0]
	for {
		line, err := l.one()
		if err != nil {
			return nil, l.stopped(ctx, err)
		}
		l.at = l.n
		if len(bytes.Trim(line, l.space)) > 0 {
			return line, l.sound(line)
		}
	}
}

// stopped is why there is no next line.
func (l *lines) stopped(ctx context.Context, err error) error {
	var bad *flaw
	switch {
	case errors.Is(err, io.EOF):
		return l.end()
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &bad):
		return bad
	}
	return l.in.broken(l.n, err)
}

func (l *lines) end() error {
	if err := l.in.settle(l.hash); err != nil {
		return err
	}
	return io.EOF
}

// one returns the next line, blank or not.
func (l *lines) one() ([]byte, error) {
	l.n++
	line, err := l.text.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.gather(line)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	line, ended := bytes.CutSuffix(line, []byte{'\n'})
	line, l.crlf = bytes.CutSuffix(line, []byte{'\r'})
	l.crlf = l.crlf && ended
	return line, nil
}

// join returns the present record with one more line, for a value that goes on
// there; the end of line between them is the file's. At the end of the file it
// is io.EOF, and a *flaw is about the line.
func (l *lines) join(record []byte) ([]byte, error) {
	if len(l.joins) == 0 {
		l.record = append(l.record[:0], record...)
	}
	if l.crlf {
		l.record = append(l.record, '\r')
	}
	line, err := l.one()
	var bad *flaw
	switch {
	case errors.Is(err, io.EOF), errors.As(err, &bad):
		return nil, err
	case err != nil:
		l.failed = err
		return nil, err
	}
	l.record = append(l.record, '\n')
	l.joins = append(l.joins, len(l.record))
	l.record = append(l.record, line...)
	return l.record, l.sound(line)
}

// place is where a byte of the present record stands in the file, from 1; column
// 0 is the record as a whole.
func (l *lines) place(column int) (line, inLine int) {
	line, inLine = l.at, column
	for i, begins := range l.joins {
		if column > begins {
			line, inLine = l.at+i+1, column-begins
		}
	}
	return line, inLine
}

// gather collects a line longer than the buffer.
func (l *lines) gather(head []byte) ([]byte, error) {
	l.long = append(l.long[:0], head...)
	for {
		more, err := l.text.ReadSlice('\n')
		if len(l.long) <= maxLine {
			l.long = append(l.long, more...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && err != io.EOF:
			return nil, err
		case len(l.long) > maxLine:
			return nil, l.flaw(0, fmt.Sprintf("the line is longer than %d bytes", maxLine), "is this a list of users, one a line?")
		}
		return l.long, nil
	}
}

// sound checks that the line is well encoded.
func (l *lines) sound(line []byte) error {
	if at := bytes.IndexByte(line, '\r'); at >= 0 {
		return l.flaw(at+1, "carriage return (CR) within the line", `remove it; where all lines end in CR alone, convert the file: tr '\r' '\n'`)
	}
	if l.charset.decoder != nil {
		if at := bytes.Index(line, replacement); at >= 0 {
			return l.flaw(0, "not valid "+l.charset.name, "set encoding= to that of the file")
		}
		return nil
	}
	if utf8.Valid(line) {
		return nil
	}
	at := 0
	for at < len(line) {
		letter, size := utf8.DecodeRune(line[at:])
		if letter == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return l.flaw(at+1, fmt.Sprintf("not valid utf-8 at byte %d of the line", at+1),
		`set encoding = to what the file is in: "windows-1252" in the west of Europe, "windows-1250" in its middle, "windows-1251" for Cyrillic, or another IANA name`)
}

// flaw is a problem of the line that was read last.
func (l *lines) flaw(column int, message, fix string) *flaw {
	return &flaw{diag.Problem{File: l.in.name(), Line: l.n, Column: column, Message: message, Fix: fix}}
}

// flaw is the problem of one line, handed to a caller that notes it and goes
// on with the next.
type flaw struct{ diag.Problem }

func (f *flaw) Error() string { return f.String() }

// noteFunc notes a problem of the present record.
type noteFunc func(column int, message, fix string)

// each makes a row of every line and yields it. row notes the problems of
// its line and returns false; the reading goes on, so that problems are found
// together.
func (l *lines) each(ctx context.Context, row func(*lines, []byte, noteFunc) (Row, bool), yield func(Row) error) error {
	var problems diag.Problems
	var bad *flaw
	note := func(column int, message, fix string) {
		bad := l.flaw(column, message, fix).Problem
		bad.Line, bad.Column = l.place(column)
		problems.Add(bad)
	}
	for {
		line, err := l.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return problems.Err()
		case errors.As(err, &bad):
			problems.Add(bad.Problem)
			continue
		case err != nil:
			return problems.With(err)
		}
		made, ok := row(l, line, note)
		if !ok {
			continue
		}
		if err := yield(made); err != nil {
			return err
		}
	}
}
