// Package littletest is a small system with a REST interface, which is strict about
// what it is sent: what definitions are tried on.
//
//	POST   /token                  form grant_type=client_credentials, Basic: {"access_token", "expires_in"}
//	GET    /users/NAME             {"id", "name", "mail", "state", "changed"}
//	GET    /users?page=N&mail=M    {"users": […], "next": N or null}
//	PUT    /users/ID/password      {"password", "must_change"}: 204
//	POST   /users/ID/unlock        204
//	DELETE /users/ID/sessions      204
//	POST   /login                  {"name", "password"}: {"session", "must_change"}
//
// All but the first and the last want a bearer token. A refusal is {"error": WORD}.
package littletest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The login of whoever administers the system.
const (
	Client = "rekey"
	Secret = "Zq7!vR2#kX9"
)

// pageSize is how many users stand on a page.
const pageSize = 2

type user struct {
	id, name, state string
	changed         time.Time
	must            bool
	values          []string // the present one last
}

// Server is one such system.
type Server struct {
	URL string

	mu       sync.Mutex
	users    []*user
	tokens   map[string]bool
	sessions map[string]string // of logins, with their users
	count    int
	refused  int // logins of the administrator
	http     *http.Server
	done     chan struct{}
}

// Start starts a system with the users, who have the value. One of the name "locked"
// is locked. It ends with the test.
func Start(t testing.TB, value string, names ...string) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{URL: "http://" + listener.Addr().String(), tokens: map[string]bool{}, sessions: map[string]string{}, done: make(chan struct{})}
	for i, name := range names {
		state := "active"
		if name == "locked" {
			state = name
		}
		server.users = append(server.users, &user{id: fmt.Sprintf("u-%d", i+1), name: name, state: state, values: []string{value}})
	}
	server.http = &http.Server{Handler: server.routes(), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(server.done)
		_ = server.http.Serve(listener)
	}()
	t.Cleanup(server.Close)
	return server
}

// Close takes the system away.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.done
}

// Holds reports whether a user has the value.
func (s *Server) Holds(name, _, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.named(name)
	return found != nil && found.values[len(found.values)-1] == value
}

// Forget ends all sessions of the administrator.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Session logs a user in, and returns what asks whether the session is open.
func (s *Server) Session(name, value string) (open func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	session := fmt.Sprintf("s-%d", s.count)
	s.sessions[session] = name
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.sessions[session] != ""
	}
}

func (s *Server) named(name string) *user {
	for _, found := range s.users {
		if found.name == name {
			return found
		}
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	admin := func(pattern string, do func(http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || !s.tokens[token] {
				answer(w, http.StatusUnauthorized, map[string]any{"error": "no session"})
				return
			}
			do(w, r)
		})
	}
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /login", s.login)
	admin("GET /users", s.list)
	admin("GET /users/{name}", s.find)
	admin("PUT /users/{id}/password", s.set)
	admin("POST /users/{id}/unlock", s.of(func(found *user) { found.state = "active" }))
	admin("DELETE /users/{id}/sessions", s.of(func(found *user) {
		for session, name := range s.sessions {
			if name == found.name {
				delete(s.sessions, session)
			}
		}
	}))
	return mux
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	if user != Client || password != Secret || r.PostFormValue("grant_type") != "client_credentials" {
		s.refused++
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	s.count++
	token := fmt.Sprintf("token-of-the-client-%d", s.count)
	s.tokens[token] = true
	answer(w, http.StatusOK, map[string]any{"access_token": token, "expires_in": 300})
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var given struct{ Name, Password string }
	if !decode(w, r, &given) {
		return
	}
	found := s.named(given.Name)
	switch {
	case found == nil || found.values[len(found.values)-1] != given.Password:
		answer(w, http.StatusUnauthorized, map[string]any{"error": "wrong name or password"})
	case found.state != "active":
		answer(w, http.StatusLocked, map[string]any{"error": found.state})
	default:
		s.count++
		answer(w, http.StatusOK, map[string]any{"session": fmt.Sprintf("s-%d", s.count), "must_change": found.must})
	}
}

// decode is strict: fields that it does not know are refused.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || decoder.Decode(into) != nil || decoder.More() {
		answer(w, http.StatusBadRequest, map[string]any{"error": "malformed"})
		return false
	}
	return true
}

func (u *user) shown() map[string]any {
	return map[string]any{"id": u.id, "name": u.name, "mail": u.name + "@acme.example", "state": u.state, "changed": u.changed.UnixNano()}
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	if found := s.named(r.PathValue("name")); found != nil {
		answer(w, http.StatusOK, found.shown())
		return
	}
	answer(w, http.StatusNotFound, map[string]any{"error": "no such user"})
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	first, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || first < 0 {
		answer(w, http.StatusBadRequest, map[string]any{"error": "malformed"})
		return
	}
	found := slices.DeleteFunc(slices.Clone(s.users), func(one *user) bool {
		mail := r.URL.Query().Get("mail")
		return mail != "" && mail != one.name+"@acme.example"
	})
	shown, next := []any{}, any(nil)
	for i, one := range found {
		switch i / pageSize {
		case first:
			shown = append(shown, one.shown())
		case first + 1:
			next = first + 1
		}
	}
	answer(w, http.StatusOK, map[string]any{"users": shown, "next": next})
}

// of is a request that is done to one user.
func (s *Server) of(do func(*user)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, found := range s.users {
			if found.id == r.PathValue("id") {
				do(found)
				answer(w, http.StatusNoContent, nil)
				return
			}
		}
		answer(w, http.StatusNotFound, map[string]any{"error": "no such user"})
	}
}

func (s *Server) set(w http.ResponseWriter, r *http.Request) {
	var given struct {
		Password string
		Must     bool `json:"must_change"`
	}
	if !decode(w, r, &given) {
		return
	}
	for _, found := range s.users {
		if found.id == r.PathValue("id") {
			found.take(w, given.Password, given.Must)
			return
		}
	}
	answer(w, http.StatusNotFound, map[string]any{"error": "no such user"})
}

// take sets a value, as the policy has it: 8 characters, and none that was there before.
func (u *user) take(w http.ResponseWriter, value string, must bool) {
	switch {
	case u.state != "active":
		answer(w, http.StatusConflict, map[string]any{"error": u.state})
	case len([]rune(value)) < 8:
		answer(w, http.StatusUnprocessableEntity, map[string]any{"error": "too short: " + value})
	case slices.Contains(u.values, value):
		answer(w, http.StatusUnprocessableEntity, map[string]any{"error": "used before"})
	default:
		u.values, u.must, u.changed = append(u.values, value), must, time.Now()
		answer(w, http.StatusNoContent, nil)
	}
}
