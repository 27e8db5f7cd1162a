// Package resttest makes HTTP servers misbehave on purpose, for simulators of
// target systems and the tests of the backends that talk to them. It knows how
// answers get lost, late, cut, mangled or far too long; it knows nothing of
// their content.
package resttest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// maxRequest is the most bytes of a request body that a simulator takes.
const maxRequest = 1 << 20

// Fault is one way of misbehaving, and when.
type Fault struct {
	Op      string        // the operation it hits, as the server names it; "": any
	Account string        // the account it hits; "": any
	Skip    int           // let so many pass first
	Times   int           // hit so many, then be gone; 0: until Clear
	Effect  bool          // the request takes effect before Answer replaces what the server said
	Delay   time.Duration // wait first; the request's own end cuts it short
	Answer  Answer        // nil: the server's own answer
}

// Answer replaces the server's own answer.
type Answer func(w http.ResponseWriter, r *http.Request)

// Faults is a list of faults that may change while the server runs. The zero
// Faults is empty. It is safe for concurrent use.
type Faults struct {
	mu   sync.Mutex
	list []*armed
}

type armed struct {
	Fault
	seen, hits int
}

// Add arms a fault and returns how often it has hit so far, as a function.
func (f *Faults) Add(fault Fault) (hits func() int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := &armed{Fault: fault}
	f.list = append(f.list, made)
	return func() int { f.mu.Lock(); defer f.mu.Unlock(); return made.hits }
}

// Clear disarms all.
func (f *Faults) Clear() { f.mu.Lock(); f.list = nil; f.mu.Unlock() }

// Wrap puts the faults before a server. name tells the operation and the
// account of a request from its line and its body.
func (f *Faults) Wrap(next http.Handler, name func(r *http.Request, body []byte) (op, account string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		fault := f.pick(name(r, body))
		if fault == nil {
			next.ServeHTTP(w, r)
			return
		}
		fault.serve(w, r, next)
	})
}

// pick returns the first fault that hits, or nil.
func (f *Faults) pick(op, account string) *armed {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, armed := range f.list {
		if armed.Op != "" && armed.Op != op || armed.Account != "" && !strings.EqualFold(armed.Account, account) {
			continue
		}
		if armed.seen++; armed.seen > armed.Skip && (armed.Times == 0 || armed.hits < armed.Times) {
			armed.hits++
			return armed
		}
	}
	return nil
}

func (a *armed) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if a.Delay > 0 {
		timer := time.NewTimer(a.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case a.Answer == nil:
		next.ServeHTTP(w, r)
	case a.Effect:
		next.ServeHTTP(httptest.NewRecorder(), r)
		a.Answer(w, r)
	default:
		a.Answer(w, r)
	}
}

// Say answers with a status, a body of the content type, and further headers
// as name, value, name, value.
func Say(status int, contentType, body string, headers ...string) Answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// HTML answers with an error page, as a proxy does.
func HTML(status int) Answer {
	return Say(status, "text/html; charset=utf-8", "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>")
}

// Malformed answers with JSON that ends too early.
func Malformed(status int) Answer {
	return Say(status, "application/json", `{"List":[{"Id":1,`)
}

// Huge answers with a body of count bytes.
func Huge(status int, count int64) Answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		for left := count; left > 0; {
			wrote, err := w.Write(chunk[:min(left, int64(len(chunk)))])
			if err != nil {
				return
			}
			left -= int64(wrote)
		}
	}
}

// Drop closes the connection without an answer.
func Drop() Answer { return hijacked(func(net.Conn) {}) }

// Reset resets the connection without an answer.
func Reset() Answer {
	return hijacked(func(conn net.Conn) {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})
}

// Half sends the status and a part of the body that it announced.
func Half(status int) Answer {
	return hijacked(func(conn net.Conn) {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"a\":", status, http.StatusText(status))
	})
}

// Silence answers nothing until the client gives up.
func Silence() Answer {
	return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
}

func hijacked(do func(net.Conn)) Answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			return
		}
		conn, _, err := hijacker.Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }() // it was only read, or the error helps no one
		do(conn)
	}
}
