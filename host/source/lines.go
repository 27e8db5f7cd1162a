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
	n       int    // number of the present line
}

// next returns the next line with text, without its end, valid until
// the next call. At the end it is io.EOF, after checking that the input is the
// one read before; a *Problem is about this line only.
func (l *lines) next(ctx context.Context) ([]byte, error) {
	for {
		line, err := l.one()
		if err != nil {
			return nil, l.stopped(ctx, err)
		}
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
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), nil
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

// flaw is a problem of the present line.
func (l *lines) flaw(column int, message, fix string) *flaw {
	return &flaw{diag.Problem{File: l.in.name(), Line: l.n, Column: column, Message: message, Fix: fix}}
}

// flaw is the problem of one line, handed to a caller that notes it and goes
// on with the next.
type flaw struct{ diag.Problem }

func (f *flaw) Error() string { return f.String() }

// noteFunc notes a problem of the present line.
type noteFunc func(column int, message, fix string)

// each makes a row of every line and yields it. row notes the problems of
// its line and returns false; the reading goes on, so that problems are found
// together.
func (l *lines) each(ctx context.Context, row func(*lines, []byte, noteFunc) (Row, bool), yield func(Row) error) error {
	var problems diag.Problems
	var bad *flaw
	note := func(column int, message, fix string) { problems.Add(l.flaw(column, message, fix).Problem) }
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
