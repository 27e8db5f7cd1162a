package kendoxtest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

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

// Rules are the server's password configuration; a zero field rules nothing.
type Rules struct {
	MinLength                     int
	Letter, Special, Mixed, Digit bool
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
	server.faulty = server.Faults.Wrap(http.HandlerFunc(server.call), named)
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

// newID makes a GUID.
func newID() string {
	data := make([]byte, 16)
	_, _ = rand.Read(data)
	return fmt.Sprintf("%x-%x-%x-%x-%x", data[:4], data[4:6], data[6:8], data[8:10], data[10:])
}

func sameID(first, second string) bool { return strings.EqualFold(first, second) }
