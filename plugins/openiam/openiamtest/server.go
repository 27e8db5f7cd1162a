package openiamtest

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// The namespaces of the services.
const (
	ProvisionNamespace = "http://www.openiam.org/service/provision"
	AuthNamespace      = "http://service.auth.srvc.idm.openiam.org/"
	LoginNamespace     = "urn:idm.openiam.org/srvc/auth/service"
	PasswordNamespace  = "urn:idm.openiam.org/srvc/pswd/service"
)

// DefaultDomain is the security domain that identities are in unless they name
// another.
const DefaultDomain = "USR_SEC_DOMAIN"

// Services is the path that all services are under.
const Services = "/openiam-idm-esb/idmsrvc/"

// Options are how a server behaves. The zero value is the community edition of
// 2011 with its shipped policy.
type Options struct {
	// Strict takes only requests that keep to the schema and to SOAP 1.1 to the
	// letter. Without it a request is read as the server's own classes read it:
	// elements in any order, 1 for true, no SOAPAction, anything left out.
	Strict bool

	Now func() time.Time // the clock; nil: time.Now

	Namespace     string // of the provisioning service's elements; "": ProvisionNamespace
	AuthNamespace string // of the authentication service's elements; "": AuthNamespace

	ReturnResets bool // a reset answers with the new password, as documented
	CheckStatus  bool // setPassword and resetPassword answer userStatus, as documented
	BlankSets    bool // setPassword without a password generates one, as documented
	HomeSystem   bool // a request without managedSystemId means system 0: the documentation lists no such field
	Constants    bool // failures have the names of the constants instead of the wire's
	PolicyCode   bool // policy failures answer failPasswordPolicy only, as documented
	NoCompanions bool // only the provisioning service is there
	NoWSDL       bool // no service publishes its description
	BasicFields  bool // the older schema: no passThruAttributes and no base fields

	User, Password string // a WS-Security UsernameToken that every call needs; "": not needed
	FailedLogons   int    // wrong logons that lock; 0: three; below 0: never
}

// Documented returns the options with which a server answers as OpenIAM's wiki
// says, where its sources do otherwise.
func (o Options) Documented() Options {
	o.ReturnResets, o.CheckStatus, o.BlankSets, o.HomeSystem, o.Constants, o.PolicyCode = true, true, true, true, true, true
	return o
}

// Server is one simulated OpenIAM. Its methods may be called concurrently.
type Server struct {
	simulator.Server
	Faults resttest.Faults // how it misbehaves
	o      Options
	now    func() time.Time
	mux    *http.ServeMux
	faulty http.Handler // mux behind Faults

	mu         sync.Mutex
	users      map[string]*User
	identities map[Key]*identity
	systems    map[string]System
	policies   map[string]Policy // by level and value: "GLOBAL", "DOMAIN x", "TYPE x", "CLASSIFICATION x"
	audit      []AuditRow
	calls      map[string]int
}

// New returns a server with the default policy, the managed system 0, and no
// identities. It is an http.Handler; Listen makes it listen.
func New(options Options) *Server {
	server := &Server{o: options, now: options.Now, mux: http.NewServeMux(),
		users: map[string]*User{}, identities: map[Key]*identity{}, calls: map[string]int{},
		systems:  map[string]System{"0": {ID: "0"}},
		policies: map[string]Policy{"GLOBAL": DefaultPolicy()}}
	if server.now == nil {
		server.now = time.Now
	}
	if server.o.Namespace == "" {
		server.o.Namespace = ProvisionNamespace
	}
	if server.o.AuthNamespace == "" {
		server.o.AuthNamespace = AuthNamespace
	}
	if server.o.FailedLogons == 0 {
		server.o.FailedLogons = 3
	}
	server.routes()
	server.faulty = server.Faults.Wrap(server.mux, named)
	return server
}

func (s *Server) routes() {
	provision := soap{s}.service(s.o.Namespace, map[string]operation{
		"setPassword": provision{s}.setPassword, "resetPassword": provision{s}.resetPassword})
	s.mux.Handle(Services+"ProvisionControllerService", provision)
	s.mux.Handle(Services+"ProvisioningService", provision)
	s.mux.HandleFunc("GET /simulator/status", simulator.ServeJSON(func() any { return s.Status() }))
	s.mux.HandleFunc("GET /simulator/audit", simulator.ServeJSON(func() any { return s.Audit() }))
	if s.o.NoCompanions {
		return
	}
	s.mux.Handle(Services+"PasswordWebService", soap{s}.service(PasswordNamespace, map[string]operation{
		"isPasswordValid": companion{s}.isPasswordValid, "isPasswordChangeAllowed": companion{s}.isPasswordChangeAllowed,
		"daysToPasswordExpiration": companion{s}.daysToPasswordExpiration, "passwordChangeCount": companion{s}.passwordChangeCount,
		"getPasswordPolicy": companion{s}.getPasswordPolicy}))
	s.mux.Handle(Services+"LoginDataWebService", soap{s}.service(LoginNamespace, map[string]operation{
		"getLoginByManagedSys": companion{s}.getLoginByManagedSys, "getUserByLogin": companion{s}.getUserByLogin,
		"isPasswordEq": companion{s}.isPasswordEq, "loginExists": companion{s}.loginExists, "unLockLogin": companion{s}.unLockLogin,
		"bulkResetPasswordChangeCount": companion{s}.bulkResetPasswordChangeCount}))
	s.mux.Handle(Services+"AuthenticationService", soap{s}.service(s.o.AuthNamespace, map[string]operation{
		"passwordAuth": companion{s}.passwordAuth}))
}

// ServeHTTP answers one request, faults included. Faults know an operation as
// "setPassword" and its account by the principal.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.faulty.ServeHTTP(w, r) }

// Listen serves on an address, such as "127.0.0.1:0", until Close.
func (s *Server) Listen(address string) error { return s.Serve(address, s) }

// URL returns the endpoint that a client is given.
func (s *Server) URL() string { return s.Host() + path.Join(Services, "ProvisionControllerService") }

// SetToken changes the UsernameToken that every call needs from now on; without
// a user it is not needed.
func (s *Server) SetToken(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.User, s.o.Password = user, password
}

// Calls returns how often an operation was asked for, refused calls included. Those that a
// fault swallowed do not count.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// SetPolicy associates a policy: with "GLOBAL", or with "DOMAIN x", "TYPE x" or
// "CLASSIFICATION x".
func (s *Server) SetPolicy(where string, policy Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[where] = policy
}

// Failure is a fault's answer: a Response of status failure with a code.
func (s *Server) Failure(code string) resttest.Answer {
	return func(w http.ResponseWriter, r *http.Request) {
		call, answer := soap{s}.receive(r, "")
		if answer.fault == nil {
			call.namespace, answer = call.body.name.Space, failure(code)
		}
		write(w, call, answer)
	}
}

// Add adds a user and its first identity; empty parts of the key take
// DefaultDomain and system 0. A user of that ID that exists gets a further
// identity.
func (s *Server) Add(user User, key Key, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user.ID == "" {
		user.ID = fmt.Sprintf("%d", 3000+len(s.users))
	}
	if user.Status == "" {
		user.Status = Active
	}
	if s.users[user.ID] == nil {
		s.users[user.ID] = &user
	}
	directory{s}.put(key.orDefault(), user.ID, password)
}

// AddOrphan adds an identity whose user is missing.
func (s *Server) AddOrphan(key Key, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	directory{s}.put(key.orDefault(), "gone", password)
}

// AddSystem adds or replaces a managed system.
func (s *Server) AddSystem(sys System) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.systems[sys.ID] = sys
}

// Identity returns a copy of an identity's state and whether it exists.
func (s *Server) Identity(key Key) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity := s.identities[key.orDefault()]
	if identity == nil {
		return Identity{}, false
	}
	c := identity.Identity
	c.Values, c.History = slices.Clone(c.Values), slices.Clone(c.History)
	return c, true
}

// Update changes an identity's state and that of its user behind the back of
// the protocol.
func (s *Server) Update(key Key, call func(*Identity, *User)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if identity := s.identities[key.orDefault()]; identity != nil {
		call(&identity.Identity, s.users[identity.UserID])
	}
}

// Audit returns the audit rows, oldest first.
func (s *Server) Audit() []AuditRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.audit)
}

// Status returns the state without secrets, identities in a fixed order.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Calls: maps.Clone(s.calls), Identities: []StatusRow{}}
	for _, identity := range s.identities {
		row := StatusRow{Domain: identity.Domain, Principal: identity.Principal, System: identity.System, User: identity.UserID, Status: "missing",
			ChangeCount: identity.ChangeCount, MustChange: identity.MustChange, Locked: identity.Locked, Changes: len(identity.Values) - 1,
			Passed: identity.System == "0" || identity.Passed == identity.Password, Changed: identity.Changed}
		if user := s.users[identity.UserID]; user != nil {
			row.Status = strings.TrimSpace(user.Status + " " + user.SecondaryStatus)
		}
		st.Identities = append(st.Identities, row)
	}
	slices.SortFunc(st.Identities, func(statusRow, b StatusRow) int {
		return strings.Compare(statusRow.Domain+"\x00"+statusRow.Principal+"\x00"+statusRow.System, b.Domain+"\x00"+b.Principal+"\x00"+b.System)
	})
	return st
}
