package simulator

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Server listens for a simulated system. Systems embed it; the zero Server
// does not listen yet.
type Server struct {
	address string
	http    *http.Server
	served  chan struct{}
}

// Serve listens on an address, such as 127.0.0.1:0, and serves the handler
// until Close.
func (s *Server) Serve(address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; give another address", address, err)
	}
	s.address, s.served = listener.Addr().String(), make(chan struct{})
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return nil
}

// Host returns scheme, host and port.
func (s *Server) Host() string { return "http://" + s.address }

// Close stops listening and drops all connections.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.served
}

// ServeJSON returns a page that shows what state returns.
func ServeJSON(state func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(state())
	}
}
