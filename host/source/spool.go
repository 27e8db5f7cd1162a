package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/rekey-host/rekey/host/internal/bounded"
)

const (
	// spoolMemory is how much of a pipe is kept in memory.
	spoolMemory = 4 << 20
	// spoolMost is how much of a pipe is read: ten million users and more.
	spoolMost = 4 << 30
)

// Pipes without an end.
var (
	errEndless = fmt.Errorf("does not end within %d GiB; write the list to a file", spoolMost>>30)
	errNoLines = fmt.Errorf("has no line end in its first %d MiB; is this a list of users, one a line?", spoolMemory>>20)
)

// Spool makes a stream readable again: it reads it once, to its end, into
// memory and, from a bound on, into a file without a name that only this
// process can read: streams hold passwords. It is safe for concurrent use.
type Spool struct {
	dir   string
	bound int
	most  int64

	mu   sync.Mutex
	from io.Reader // nil once it has been read
	mem  []byte
	file *sealed // nil: all is in mem
	err  error
}

// NewSpool returns a Spool of r, which is first read when the Spool is opened.
// What does not fit into memory goes to dir; "" is os.TempDir.
func NewSpool(r io.Reader, dir string) *Spool {
	return &Spool{dir: dir, bound: spoolMemory, most: spoolMost, from: r}
}

// Open returns the stream from its start, after reading it to its end if that
// has not happened yet, unless the context ends before. A stream that breaks
// fails every Open: a part of it is never handed out.
func (s *Spool) Open(ctx context.Context) (io.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != nil {
		s.err = s.fill(bounded.Until(ctx, s.from))
		s.from = nil
	}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.file != nil:
		return s.file.reader(), nil
	}
	return bytes.NewReader(s.mem), nil
}

func (s *Spool) fill(from io.Reader) error {
	var mem bytes.Buffer
	_, err := io.CopyN(&mem, from, int64(s.bound))
	switch {
	case errors.Is(err, io.EOF):
		s.mem = mem.Bytes()
		return nil
	case err != nil:
		return err
	case !bytes.ContainsAny(mem.Bytes(), "\n\r"):
		return errNoLines
	}
	return s.spill(mem.Bytes(), from)
}

// spill moves to a file: first the bytes in memory, then the rest of the stream.
func (s *Spool) spill(head []byte, from io.Reader) error {
	sealed, err := newSealed(s.dir)
	if err != nil {
		return err
	}
	defer clear(head)
	_, err = io.Copy(sealed, io.MultiReader(bytes.NewReader(head), io.LimitReader(from, s.most-int64(len(head))+1)))
	if err == nil && sealed.size > s.most {
		err = errEndless
	}
	if err == nil {
		err = sealed.flush()
	}
	if err != nil {
		return errors.Join(err, sealed.close())
	}
	s.file = sealed
	return nil
}

// nameless returns a file that no directory holds: it goes with the process.
func nameless(dir string) (*os.File, error) {
	if file, err := tmpfile(dir); err == nil {
		return file, nil
	}
	f, err := os.CreateTemp(dir, ".rekey-spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // while it is still empty
		_ = f.Close()
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
	sealed := s.file
	s.file = nil
	return sealed.close()
}
