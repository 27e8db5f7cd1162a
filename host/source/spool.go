package source

import (
	"bytes"
	"io"
	"os"
	"sync"
)

// spoolMemory is how much of a pipe is kept in memory.
const spoolMemory = 4 << 20

// Spool makes a stream readable again: it reads it once, to its end, into
// memory and, from a bound on, into a file that has no name. It is safe for
// concurrent use.
type Spool struct {
	dir   string
	bound int

	mu   sync.Mutex
	from io.Reader // nil once it has been read
	mem  []byte
	file *os.File // nil: all is in mem
	size int64
	err  error
}

// NewSpool returns a Spool of r, which is first read when the Spool is opened.
// What does not fit into memory goes to dir; "" is os.TempDir.
func NewSpool(r io.Reader, dir string) *Spool {
	return &Spool{dir: dir, bound: spoolMemory, from: r}
}

// Open returns the stream from its start, after reading it to its end if that
// has not happened yet. A stream that breaks fails every Open: a part of it is
// never handed out.
func (s *Spool) Open() (io.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != nil {
		s.err = s.fill()
		s.from = nil
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.file != nil:
		return io.NewSectionReader(s.file, 0, s.size), nil
	}
	return bytes.NewReader(s.mem), nil
}

func (s *Spool) fill() error {
	var mem bytes.Buffer
	n, err := io.CopyN(&mem, s.from, int64(s.bound))
	if err == io.EOF {
		s.mem, s.size = mem.Bytes(), n
		return nil
	}
	if err != nil {
		return err
	}
	return s.spill(mem.Bytes())
}

// spill moves to a file: what is in memory, then the rest of the stream.
func (s *Spool) spill(head []byte) error {
	f, err := nameless(s.dir)
	if err != nil {
		return err
	}
	defer clear(head)
	n, err := f.Write(head)
	if err == nil {
		var rest int64
		rest, err = io.Copy(f, s.from)
		s.size = int64(n) + rest
	}
	if err != nil {
		f.Close()
		return err
	}
	s.file = f
	return nil
}

// nameless returns a file that no directory holds: it goes with the process.
func nameless(dir string) (*os.File, error) {
	if f, err := tmpfile(dir); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(dir, ".rekey-spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // while it is still empty
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close gives back what the Spool holds. Readers of it must not be used after.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.err = nil, os.ErrClosed
	clear(s.mem)
	s.mem = nil
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
