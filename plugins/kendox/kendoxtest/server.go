package kendoxtest

import (
	"cmp"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// Base is the path that all calls are under.
const Base = "/InfoShare/Json"

// The access rights that the two password calls need, all three.
const (
	RightUsers    = "01002040-38a7-11d8-a902-0050bf427e8f"
	RightSecurity = "01002050-38a7-11d8-a902-0050bf427e8f"
	RightPassword = "01002059-38a7-11d8-a902-0050bf427e8f"
)

// DCIAdmin is the id of the built-in administrator.
const DCIAdmin = "0100a003-38a7-11d8-a902-0050bf427e8f"

// The forms of an error's body.
const (
	FormCode    = ""        // {"ErrorCode":10008,"Message":"… (10008)"}
	FormMessage = "message" // {"Message":"… (10008)"}
	FormFault   = "fault"   // {"Reason":"…","Detail":{"FaultCode":"10008"}}
	FormText    = "text"    // … (10008)
)

// Options are how a server behaves.
type Options struct {
	// Strict takes only what the reference lists: application/json, the
	// parameters of each call by their names and types, no final slash.
	Strict bool
	Now    func() time.Time // the clock; nil: time.Now
	Tenant string           // the name that a logon has to give; "": any
	Idle   time.Duration    // after which a session ends; 0: ten minutes
	UTF16  bool             // passwords are hashed as UTF-16LE instead of UTF-8
	Loose  bool             // SetUserPasswordHashed takes anything, as the sample in the reference suggests

	Form   string // of an error's body
	Status int    // of an error; 0: 500

	Sessions int    // a user may have at once; 0: any number
	Licences int    // sessions at once of all users; 0: any number
	Code     string // the second factor's code; "": 123456

	Rules Rules // of SetUserPassword; the hashed call cannot check them
}

func (o Options) body(exception *exception) string {
	encode := func(value any) string { data, _ := json.Marshal(value); return string(data) }
	switch o.Form {
	case FormMessage:
		return encode(map[string]any{"Message": exception.text})
	case FormFault:
		return encode(map[string]any{"Reason": exception.text, "Detail": map[string]any{"FaultCode": fmt.Sprint(exception.code)}})
	case FormText:
		return exception.text
	}
	return encode(map[string]any{"ErrorCode": exception.code, "Message": exception.text})
}

// Rules are the server's password configuration; a zero field rules nothing.
type Rules struct {
	MinLength                     int
	Letter, Special, Mixed, Digit bool
}

// broken returns the code of the first rule that a password breaks; 0: it is good.
func (r Rules) broken(password string) int {
	has := func(is func(rune) bool) bool { return strings.IndexFunc(password, is) >= 0 }
	switch {
	case len([]rune(password)) < r.MinLength:
		return codeTooShort
	case r.Letter && !has(unicode.IsLetter):
		return codeLetter
	case r.Special && !has(func(letter rune) bool { return !unicode.IsLetter(letter) && !unicode.IsDigit(letter) }):
		return codeSpecial
	case r.Mixed && (!has(unicode.IsUpper) || !has(unicode.IsLower)):
		return codeMixed
	case r.Digit && !has(unicode.IsDigit):
		return codeDigit
	}
	return 0
}

// Server is one simulated InfoShare. Its methods may be called concurrently.
type Server struct {
	simulator.Server
	Faults resttest.Faults // how it misbehaves
	o      Options
	now    func() time.Time
	faulty http.Handler // the calls behind Faults

	mu       sync.Mutex
	users    map[string]*User // by id
	order    []*User          // sorted; nil: out of date
	sessions map[string]*session
	checked  string // who has the administrative context; "": it is free
	checks   int    // for how many calls yet; below 0: for ever
	calls    map[string]int
	changed  int // counts changes of users
}

type session struct {
	user     *User
	used     time.Time
	verified bool
}

// New returns a server with DCIAdmin as its only user, whose password is
// "dciadmin". It is an http.Handler; Listen makes it listen.
func New(options Options) *Server {
	server := &Server{o: options, now: options.Now, users: map[string]*User{}, sessions: map[string]*session{}, calls: map[string]int{}}
	if server.now == nil {
		server.now = time.Now
	}
	if server.o.Idle == 0 {
		server.o.Idle = 10 * time.Minute
	}
	if server.o.Status == 0 {
		server.o.Status = http.StatusInternalServerError
	}
	if server.o.Code == "" {
		server.o.Code = "123456"
	}
	server.faulty = server.Faults.Wrap(http.HandlerFunc(transport{server}.call), named)
	server.Add(User{ID: DCIAdmin, Login: "dciadmin", Name: "DCIAdmin", Rights: AllRights()}, "dciadmin")
	return server
}

// AllRights returns the three rights that setting a password needs.
func AllRights() []string { return []string{RightUsers, RightSecurity, RightPassword} }

// Listen serves on an address, such as "127.0.0.1:0", until Close.
func (s *Server) Listen(address string) error { return s.Serve(address, s) }

// URL returns what a client is given.
func (s *Server) URL() string { return s.Host() + Base }

// Calls returns how often a method was called, refused calls included. Those that a
// fault swallowed do not count.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

// Open returns how many sessions there are that have not idled out.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	return len(s.sessions)
}

// Expire ends every session, as a restart of the server would.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// CheckOut lets another user hold the administrative context for that many
// calls that need it; below 0 for ever, 0 returns it.
func (s *Server) CheckOut(who string, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked, s.checks = who, calls
}

// sweep drops sessions that have idled out.
func (s *Server) sweep() {
	for id, session := range s.sessions {
		if s.now().Sub(session.used) >= s.o.Idle {
			delete(s.sessions, id)
		}
	}
}

// ServeHTTP answers one request, faults included. Faults know a method as
// "SetUserPasswordHashed" and the user by its id.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/simulator/status" {
		simulator.ServeJSON(func() any { return s.Status() })(w, r)
		return
	}
	s.faulty.ServeHTTP(w, r)
}

// Exception is a fault's answer: a ServiceException of a code; without a text
// it names the code only.
func (s *Server) Exception(code int, text string) resttest.Answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		transport{s}.write(w, "", nil, raise(code, "%s", cmp.Or(text, "ServiceException")))
	}
}

// Expired is a fault's answer: every session ends before the call.
func (s *Server) Expired() resttest.Answer {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Expire()
		transport{s}.call(w, r)
	}
}

// Status returns the state without secrets, users in a fixed order.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	st := Status{Calls: maps.Clone(s.calls), Sessions: len(s.sessions)}
	for _, user := range (directory{s}).sorted() {
		st.Users = append(st.Users, StatusRow{user.ID, user.Login, !user.Inactive && !user.Obsolete, len(user.Hashes) - 1})
	}
	return st
}

// Hash returns the Base64 of the SHA-512 of a password as this server hashes
// it.
func (s *Server) Hash(password string) string {
	text := []byte(password)
	if s.o.UTF16 {
		text = nil
		for _, unit := range utf16.Encode([]rune(password)) {
			text = binary.LittleEndian.AppendUint16(text, unit)
		}
	}
	sum := sha512.Sum512(text)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Add adds a user with a password and returns its id; without one it gets a
// new id.
func (s *Server) Add(user User, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user.ID == "" {
		user.ID = newID()
	}
	user.Hash = s.Hash(password)
	user.Hashes = []string{user.Hash}
	s.users[strings.ToLower(user.ID)] = &user
	s.order = nil
	return user.ID
}

// User returns a copy of the user of that login and whether there is one.
func (s *Server) User(login string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := directory{s}.byLogin(login)
	if user == nil {
		return User{}, false
	}
	c := *user
	c.Hashes, c.Rights = slices.Clone(c.Hashes), slices.Clone(c.Rights)
	return c, true
}

// Accepts reports whether the user could log on with the password.
func (s *Server) Accepts(login, password string) bool {
	user, ok := s.User(login)
	return ok && user.Hash == s.Hash(password)
}

// Update changes a user behind the back of the protocol.
func (s *Server) Update(login string, call func(*User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user := (directory{s}).byLogin(login); user != nil {
		call(user)
		s.order = nil
	}
}

// newID makes a GUID.
func newID() string {
	data := make([]byte, 16)
	_, _ = rand.Read(data)
	return fmt.Sprintf("%x-%x-%x-%x-%x", data[:4], data[4:6], data[6:8], data[8:10], data[10:])
}

func sameID(first, second string) bool { return strings.EqualFold(first, second) }
