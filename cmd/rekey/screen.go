package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/rekey-host/rekey/internal/visible"
)

// screen is standard output or standard error. What a terminal would obey, and
// what is not seen, is shown escaped on a terminal: a password, an account's
// name and a target's message may hold it. A result that goes to a file or
// another program stays as it is; messages for people never do.
type screen struct {
	file *os.File
	to   io.Writer
}

// results is standard output.
func results(f *os.File) *screen {
	s := &screen{file: f, to: f}
	if s.terminal() {
		s.to = &visible.Writer{To: f}
	}
	return s
}

// messages is standard error.
func messages(f *os.File) *screen { return &screen{file: f, to: &visible.Writer{To: f}} }

// Write writes to it.
func (s *screen) Write(b []byte) (int, error) { return s.to.Write(b) }

func (s *screen) terminal() bool { return term.IsTerminal(int(s.file.Fd())) }
