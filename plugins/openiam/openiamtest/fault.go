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
func (s *Server) Fail(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	s.faults = append(s.faults, &fault)
}

// fault takes the fault that the call meets, if any.
func (s *Server) fault(operation, principal string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		if fault.Times == 0 || fault.Operation != "" && fault.Operation != operation || fault.Principal != "" && fault.Principal != principal {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return fault
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
		for key, list := range f.Header {
			w.Header()[key] = list
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
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcpConn, ok := conn.(*net.TCPConn); ok {
		_ = tcpConn.SetLinger(0)
	}
	_ = conn.Close()
}

// zeros is a stream of the digit zero.
type zeros struct{}

func (zeros) Read(data []byte) (int, error) { return copy(data, strings.Repeat("0", len(data))), nil }

// Mend takes back every fault.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}
