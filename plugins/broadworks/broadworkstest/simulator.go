package broadworkstest

import (
	"encoding/json"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
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

func (u *user) present(kind string) string {
	if list := u.history[kind]; len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

func (u *user) take(kind, value string) {
	u.history[kind] = append(u.history[kind], value)
	u.sets[kind]++
}

// services are the names in force.
func (u *user) services(packs bool) []string {
	list := slices.Clone(u.Services)
	for _, service := range u.Packs {
		if packs {
			list = append(list, service)
		}
	}
	sort.Strings(list)
	return slices.Compact(list)
}

func (u *user) object() map[string]any {
	return map[string]any{"userId": u.ID, "serviceProviderId": u.Provider, "groupId": u.Group, "firstName": u.First, "lastName": u.Last,
		"emailAddress": u.Email, "phoneNumber": u.DN, "extension": u.Extension, "inTrunkGroup": false}
}

// token is a login.
type token struct {
	login string
	until time.Time // zero: for ever
}

// Simulator is the system. It is safe for concurrent use.
type Simulator struct {
	simulator.Server
	Faults resttest.Faults // how it misbehaves
	o      Options

	mu       sync.Mutex
	rules    Rules
	users    map[string]*user // by lower-case id
	order    []*user
	tokens   map[string]token
	issued   int
	requests map[string]int
}

// New makes a simulator with these users. It does not listen yet.
func New(options Options, users ...User) *Simulator {
	for _, d := range []struct {
		field *string
		value string
	}{{&options.Login, "admin"}, {&options.Provider, "Acme"}, {&options.Group, "Sales"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	simulator := &Simulator{o: options, rules: DefaultRules(), users: map[string]*user{}, tokens: map[string]token{}, requests: map[string]int{}}
	if options.Rules != nil {
		simulator.rules = *options.Rules
	}
	simulator.Add(users...)
	return simulator
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
		made := &user{User: u, history: map[string][]string{}, sets: map[string]int{}}
		for kind, value := range u.Values {
			made.history[kind] = []string{value}
		}
		s.order = append(s.order, made)
		s.users[strings.ToLower(u.ID)] = made
	}
}

// Listen serves on an address, such as 127.0.0.1:0, until Close.
func (s *Simulator) Listen(address string) error { return s.Serve(address, s.Handler()) }

// URL is what the backend's setting url is set to; it ends in /api/v2.
func (s *Simulator) URL() string { return s.Host() + "/api/v2" }

// Handler returns the system as a handler, faults included. Faults know an
// operation as "PUT /users/passwords" and its account by userId.
func (s *Simulator) Handler() http.Handler {
	return s.Faults.Wrap(api{s}.mux(), func(r *http.Request, body []byte) (string, string) {
		var b struct{ UserID string }
		_ = json.Unmarshal(body, &b)
		return operation(r), r.URL.Query().Get("userId") + b.UserID
	})
}

func operation(r *http.Request) string {
	return r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v2")
}

// Value returns a user's present value of a kind, "" without one.
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
	if user := s.users[strings.ToLower(id)]; user != nil {
		return slices.Clone(user.history[kind])
	}
	return nil
}

// Locked reports whether a user's web login is locked.
func (s *Simulator) Locked(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.users[strings.ToLower(id)]
	return user != nil && user.locked
}

// DisableVoicemail locks a user's voicemail, as wrong passcodes by phone do.
func (s *Simulator) DisableVoicemail(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user := s.users[strings.ToLower(id)]; user != nil {
		user.vmOff = true
	}
}

// Token issues a token for a login, as the interface does.
func (s *Simulator) Token(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := logins{s}.issue(login)["token"].(string)
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
	for op, count := range s.requests {
		counts[op] = count
	}
	return counts
}

// Status is what GET /simulator tells.
type Status struct {
	Users    int            `json:"users"`
	Set      map[string]int `json:"set"` // users whose value was set since the start, by kind
	Locked   int            `json:"locked"`
	Tokens   int            `json:"tokens"`
	Requests map[string]int `json:"requests"`
}

// Status returns the numbers of users and requests, without secrets.
func (s *Simulator) Status() Status {
	made := Status{Set: map[string]int{SIP: 0, Voicemail: 0, Web: 0}, Requests: s.Requests()}
	s.mu.Lock()
	defer s.mu.Unlock()
	made.Users, made.Tokens = len(s.order), len(s.tokens)
	for _, user := range s.order {
		for kind, count := range user.sets {
			if count > 0 {
				made.Set[kind]++
			}
		}
		if user.locked {
			made.Locked++
		}
	}
	return made
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}
