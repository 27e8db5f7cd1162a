package main

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/rekey-host/rekey/host/visible"
)

// screen is standard output or standard error. What a terminal would obey, and
// invisible characters, are shown escaped on a terminal: a password, an account's
// name and a target's message may hold it. A result that goes to a file or
// another program stays as it is; messages for people never do.
type screen struct {
	file *os.File
	to   io.Writer
	late *spool // nil: writes happen at once

	mu  sync.Mutex
	err error // the first of a write, so that no command has to keep it
}

// results is standard output.
func results(file *os.File) *screen {
	made := &screen{file: file, to: file}
	if made.terminal() {
		made.to = &visible.Writer{To: file}
	}
	return made
}

// messages is standard error. Whoever does not read it does not hold up the text
// told there: a run, or the end of one.
func messages(file *os.File) *screen {
	spool := newSpool(&visible.Writer{To: file})
	return &screen{file: file, to: spool, late: spool}
}

// hurry says that the process is to end soon, whether or not it is read.
func (s *screen) hurry() {
	if s.late != nil {
		s.late.hurry()
	}
}

// flush waits until all is written.
func (s *screen) flush() {
	if s.late != nil {
		s.late.flush()
	}
}

// Write writes to it, until that fails. A closed pipe has no reader: text
// written to it is dropped.
func (s *screen) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	count, err := s.to.Write(data)
	if errors.Is(err, syscall.EPIPE) {
		return len(data), nil
	}
	s.err = err
	return count, err
}

func (s *screen) terminal() bool { return term.IsTerminal(int(s.file.Fd())) }

// inJSON makes the screen one of JSON lines.
func (s *screen) inJSON() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, is := s.to.(*jsonLines); !is {
		s.to = newJSONLines(s.to, s.terminal())
		if s.late != nil {
			s.late.shape(asJSONLine)
		}
	}
}

// complain writes why a command fails.
func (s *screen) complain(line string) {
	s.mu.Lock()
	_, marked := s.to.(*jsonLines)
	s.mu.Unlock()
	if marked {
		line = complaint + line
	}
	_, _ = io.WriteString(s, "rekey: "+line+"\n")
}
