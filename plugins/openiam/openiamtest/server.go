package openiamtest

import (
	"net/http"
	"path"
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
	provision := s.service(s.o.Namespace, map[string]operation{
		"setPassword": s.setPassword, "resetPassword": s.resetPassword})
	s.mux.Handle(Services+"ProvisionControllerService", provision)
	s.mux.Handle(Services+"ProvisioningService", provision)
	s.mux.HandleFunc("GET /simulator/status", simulator.ServeJSON(func() any { return s.Status() }))
	s.mux.HandleFunc("GET /simulator/audit", simulator.ServeJSON(func() any { return s.Audit() }))
	if s.o.NoCompanions {
		return
	}
	s.mux.Handle(Services+"PasswordWebService", s.service(PasswordNamespace, map[string]operation{
		"isPasswordValid": s.isPasswordValid, "isPasswordChangeAllowed": s.isPasswordChangeAllowed,
		"daysToPasswordExpiration": s.daysToPasswordExpiration, "passwordChangeCount": s.passwordChangeCount,
		"getPasswordPolicy": s.getPasswordPolicy}))
	s.mux.Handle(Services+"LoginDataWebService", s.service(LoginNamespace, map[string]operation{
		"getLoginByManagedSys": s.getLoginByManagedSys, "getUserByLogin": s.getUserByLogin,
		"isPasswordEq": s.isPasswordEq, "loginExists": s.loginExists, "unLockLogin": s.unLockLogin,
		"bulkResetPasswordChangeCount": s.bulkResetPasswordChangeCount}))
	s.mux.Handle(Services+"AuthenticationService", s.service(s.o.AuthNamespace, map[string]operation{
		"passwordAuth": s.passwordAuth}))
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
