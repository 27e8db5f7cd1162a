package broadworkstest

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// The services that the kinds need.
const (
	Authentication = "Authentication"
	VoiceMessaging = "Voice Messaging User"
)

// Options are what the simulated system is like.
type Options struct {
	// Strict takes only JSON that says it is, and only what the documents list.
	// Without it requests are read as public clients write them: a login may be
	// a form.
	Strict     bool
	Login      string        // who administers; "": admin
	Password   string        // of the administrator
	MustChange bool          // the administrator's password has to be changed first
	Provider   string        // "": Acme
	Group      string        // "": Sales
	Rules      *Rules        // nil: DefaultRules
	TokenLife  time.Duration // 0: tokens live for ever
	Refresh    string        // which path renews a token: "token", "session"; "": both
	Paged      int           // page size of GET /users; 0: an array of all
	Expires    *int          // passwordExpiresDays, a string if negative; nil: 2147483647, which is never
	NoRules    int           // status that every page of rules is answered with, such as 403; 0: they are shown
	// PacksHidden: /users/services/assigned leaves out what a pack brings.
	PacksHidden bool
	// Short: generators answer so many values fewer than they were asked for.
	Short int
	Now   func() time.Time
}

// User is one user to begin with.
type User struct {
	ID        string
	First     string
	Last      string
	Email     string
	DN        string // phone number
	Extension string
	Provider  string            // "": Options.Provider
	Group     string            // "": Options.Group
	Services  []string          // assigned one by one; nil: both that the kinds need
	Packs     map[string]string // assigned service packs, each with one service
	Values    map[string]string // present values by kind
	SIPName   string            // the authentication name; "": the part of ID before the @
}

// user is a user as it lives here.
type user struct {
	User
	history map[string][]string // by kind, newest last, the present one included
	sets    map[string]int
	failed  int  // web logins in a row
	locked  bool // the web login
	vmOff   bool // isLoginDisabled
}

// token is a login.
type token struct {
	login string
	until time.Time // zero: for ever
}

// Simulator is the system. It is safe for concurrent use.
type Simulator struct {
	Faults resttest.Faults // how it misbehaves
	o      Options

	mu       sync.Mutex
	rules    Rules
	users    map[string]*user // by lower-case id
	order    []*user
	tokens   map[string]token
	issued   int
	requests map[string]int

	server *http.Server
	url    string
	done   chan struct{}
}

// New makes a simulator with these users. It does not listen yet.
func New(o Options, users ...User) *Simulator {
	for _, d := range []struct {
		field *string
		value string
	}{{&o.Login, "admin"}, {&o.Provider, "Acme"}, {&o.Group, "Sales"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Simulator{o: o, rules: DefaultRules(), users: map[string]*user{}, tokens: map[string]token{}, requests: map[string]int{}}
	if o.Rules != nil {
		s.rules = *o.Rules
	}
	s.Add(users...)
	return s
}

// Add adds users.
func (s *Simulator) Add(users ...User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range users {
		if u.Provider == "" {
			u.Provider = s.o.Provider
		}
		if u.Group == "" {
			u.Group = s.o.Group
		}
		if u.Services == nil {
			u.Services = []string{Authentication, VoiceMessaging}
		}
		if u.SIPName == "" {
			u.SIPName, _, _ = strings.Cut(u.ID, "@")
		}
		n := &user{User: u, history: map[string][]string{}, sets: map[string]int{}}
		for kind, v := range u.Values {
			n.history[kind] = []string{v}
		}
		s.order = append(s.order, n)
		s.users[strings.ToLower(u.ID)] = n
	}
}

// Listen serves on an address, such as 127.0.0.1:0, until Close.
func (s *Simulator) Listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.url, s.done = "http://"+l.Addr().String()+"/api/v2", make(chan struct{})
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { defer close(s.done); _ = s.server.Serve(l) }()
	return nil
}

// URL is what the backend's setting url is set to; it ends in /api/v2.
func (s *Simulator) URL() string { return s.url }

// Close stops listening and drops all connections.
func (s *Simulator) Close() { _ = s.server.Close(); <-s.done }

// Handler returns the system as a handler, faults included. Faults know an
// operation as "PUT /users/passwords" and its account by userId.
func (s *Simulator) Handler() http.Handler {
	return s.Faults.Wrap(s.mux(), func(r *http.Request, body []byte) (string, string) {
		var b struct{ UserID string }
		_ = json.Unmarshal(body, &b)
		return operation(r), r.URL.Query().Get("userId") + b.UserID
	})
}

func operation(r *http.Request) string {
	return r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v2")
}

// Value returns a user's present value of a kind, "" if it has none.
func (s *Simulator) Value(id, kind string) string {
	values := s.Values(id, kind)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Values returns every value that a user has had of a kind, oldest first.
func (s *Simulator) Values(id, kind string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[strings.ToLower(id)]; u != nil {
		return slices.Clone(u.history[kind])
	}
	return nil
}

// Locked reports whether a user's web login is locked.
func (s *Simulator) Locked(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToLower(id)]
	return u != nil && u.locked
}

// DisableVoicemail locks a user's voicemail, as wrong passcodes by phone do.
func (s *Simulator) DisableVoicemail(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[strings.ToLower(id)]; u != nil {
		u.vmOff = true
	}
}

// Token issues a token for a login, as the interface does.
func (s *Simulator) Token(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := s.issue(login)["token"].(string)
	return token
}

// Expire makes every token die.
func (s *Simulator) Expire() { s.mu.Lock(); clear(s.tokens); s.mu.Unlock() }

// Requests returns how many requests came, by operation, such as "PUT
// /users/passwords". Those that a fault swallowed do not count.
func (s *Simulator) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for op, n := range s.requests {
		counts[op] = n
	}
	return counts
}

// status is what GET /simulator tells.
type status struct {
	Users    int            `json:"users"`
	Set      map[string]int `json:"set"` // users whose value was set since the start, by kind
	Locked   int            `json:"locked"`
	Tokens   int            `json:"tokens"`
	Requests map[string]int `json:"requests"`
}

func (s *Simulator) serveStatus(w http.ResponseWriter, _ *http.Request) {
	t := status{Set: map[string]int{SIP: 0, Voicemail: 0, Web: 0}, Requests: s.Requests()}
	s.mu.Lock()
	t.Users, t.Tokens = len(s.order), len(s.tokens)
	for _, u := range s.order {
		for kind, n := range u.sets {
			if n > 0 {
				t.Set[kind]++
			}
		}
		if u.locked {
			t.Locked++
		}
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, t)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
