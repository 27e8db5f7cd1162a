package resttest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Proxy is an HTTP proxy on the loopback that tunnels and forwards to wherever
// Route says, by default to where it is asked to.
type Proxy struct {
	*httptest.Server
	// Route maps the host and port that a client names to the one
	// reached; nil: the same.
	Route func(hostport string) string
	// Login, if not "", is the wanted value of Proxy-Authorization.
	Login string
	// Answer, if there is one, is sent in place of a tunnel or of forwarding.
	Answer Answer

	mu    sync.Mutex
	asked []string
}

// NewProxy starts a proxy.
func NewProxy(route func(string) string) *Proxy {
	proxy := &Proxy{Route: route}
	proxy.Server = httptest.NewServer(http.HandlerFunc(proxy.serve))
	return proxy
}

// Asked returns what was asked for so far: "CONNECT host:port", or the method
// and the URL of what was forwarded.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// Demand sets Login while the proxy serves.
func (p *Proxy) Demand(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Login = login
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	login := p.Login
	p.mu.Unlock()
	switch {
	case login != "" && r.Header.Get("Proxy-Authorization") != login:
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "who are you, "+r.Header.Get("Proxy-Authorization")+"?", http.StatusProxyAuthRequired)
	case p.Answer != nil:
		p.Answer(w, r)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	default:
		p.forward(w, r)
	}
}

func (p *Proxy) to(hostport string) string {
	if p.Route == nil {
		return hostport
	}
	return p.Route(hostport)
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	there, err := net.Dial("tcp", p.to(r.Host))
	if err != nil {
		http.Error(w, "no way", http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }() // it was only read, or the error helps no one
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }() // it was only read, or the error helps no one
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(there, buffered); done <- struct{}{} }()
	go func() { _, _ = io.Copy(here, there); done <- struct{}{} }()
	<-done
}

func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Host = "", p.to(r.URL.Host)
	for name := range out.Header {
		if strings.HasPrefix(name, "Proxy-") {
			out.Header.Del(name)
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(w, "no way", http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }() // it was only read, or the error helps no one
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}
