package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// patience is how long a writer waits for a slow reader.
	patience = time.Second
	// unread is how many bytes are kept for who does not read.
	unread = 1 << 20
)

// spool writes to an output whose reader may pause: a full pipe, a
// held terminal. Who prints waits until it is written, and no longer
// than patience; from then on, until all is written, no one waits, and what does
// not fit is counted. It is safe for concurrent use.
type spool struct {
	to io.Writer

	mu      sync.Mutex
	texts   []printed
	size    int
	left    int           // texts that did not fit
	stalled bool          // writers no longer wait
	idle    chan struct{} // nil: nothing is being written; closed when all is
	hurried chan struct{} // closed: the process is to end soon
	shaped  func([]byte) []byte
}

// printed is a text on its way.
type printed struct {
	text []byte
	done chan error // has room for the one answer
}

func newSpool(to io.Writer) *spool {
	return &spool{to: to, hurried: make(chan struct{}), shaped: func(text []byte) []byte { return text }}
}

// Write hands a text over, and returns its error if that comes in time.
func (s *spool) Write(text []byte) (int, error) {
	done, wait := s.add(text)
	if !wait {
		return len(text), nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-done:
		return len(text), err
	case <-late.C:
		s.stall()
		return len(text), nil
	}
}

// add queues a text and sees to it that it is written.
func (s *spool) add(text []byte) (done chan error, wait bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+len(text) > unread && s.size > 0 {
		s.left++
		return nil, false
	}
	s.confess()
	done = s.push(text)
	if s.idle == nil {
		s.idle = make(chan struct{})
		go s.deliver()
	}
	return done, !s.stalled
}

func (s *spool) push(text []byte) chan error {
	made := printed{append([]byte(nil), text...), make(chan error, 1)}
	s.texts, s.size = append(s.texts, made), s.size+len(text)
	return made.done
}

// confess says how much is missing, where it is.
func (s *spool) confess() {
	if s.left > 0 {
		count := s.left
		s.left = 0
		s.push(s.shaped(fmt.Appendf(nil, "rekey: %s left out here: standard error was not read\n", counted(int64(count), "message"))))
	}
}

// shape sets the form of the spool's own messages.
func (s *spool) shape(to func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaped = to
}

func (s *spool) stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = s.idle != nil
}

// deliver writes until nothing is left.
func (s *spool) deliver() {
	for {
		next, ok := s.next()
		if !ok {
			return
		}
		_, err := s.to.Write(next.text)
		next.done <- err
		s.mu.Lock()
		s.size -= len(next.text)
		s.mu.Unlock()
	}
}

func (s *spool) next() (printed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.texts) == 0 {
		s.confess()
	}
	if len(s.texts) == 0 {
		close(s.idle)
		s.idle, s.texts, s.stalled = nil, nil, false
		return printed{}, false
	}
	next := s.texts[0]
	s.texts[0], s.texts = printed{}, s.texts[1:]
	return next, true
}

// hurry makes flush wait no longer than patience: a signal has come.
func (s *spool) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.hurried:
	default:
		close(s.hurried)
	}
}

// flush waits until all is written, as a writer of a pipe does. After hurry,
// not for long.
func (s *spool) flush() {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-s.hurried:
		select {
		case <-idle:
		case <-time.After(patience):
		}
	}
}
