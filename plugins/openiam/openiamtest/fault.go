package openiamtest

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Fault is something that goes wrong with matching calls. The zero value
// matches the next call of any operation.
type Fault struct {
	Operation string // such as "setPassword"; "": any
	Principal string // "": any
	Times     int    // how often; 0: once; below 0: for ever

	After  bool          // the operation is carried out first, then this happens
	Delay  time.Duration // wait first; with nothing else set the answer is only late
	Cut    bool          // reset the connection instead of answering
	Status int           // answer this instead, with Header and Body
	Header http.Header
	Body   string
	Huge   int64  // answer with an envelope of so many bytes
	Code   string // answer a failure of this code
}

// Fail makes matching calls go wrong. Faults are tried in the order given.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	s.faults = append(s.faults, &f)
}

// fault takes the fault that the call meets, if any.
func (s *Server) fault(operation, principal string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Times == 0 || f.Operation != "" && f.Operation != operation || f.Principal != "" && f.Principal != principal {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

// spoil answers as the fault says and reports whether it did.
func (f *Fault) spoil(w http.ResponseWriter, r *http.Request) bool {
	pause(r.Context(), f.Delay)
	switch {
	case f.Cut:
		cut(w)
	case f.Huge > 0:
		w.Header().Set("Content-Type", "text/xml; charset=UTF-8")
		_, _ = io.WriteString(w, envelopeStart+"<a>")
		_, _ = io.CopyN(w, zeros{}, f.Huge)
	case f.Status != 0:
		w.Header().Set("Content-Type", "text/xml; charset=UTF-8")
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	default:
		return false
	}
	return true
}

// cut resets the connection without an answer.
func cut(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// zeros is a stream of the digit zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, strings.Repeat("0", len(p))), nil }

// Mend takes back every fault.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}
