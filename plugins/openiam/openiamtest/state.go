package openiamtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The statuses of a user that matter here; on the wire they are lower case.
const (
	Active              = "ACTIVE"
	Inactive            = "INACTIVE"
	PendingInitialLogin = "PENDING_INITIAL_LOGIN"
	Locked              = "LOCKED"
	LockedAdmin         = "LOCKED_ADMIN"
	Disabled            = "DISABLED"
	Terminated          = "TERMINATE"
	Deleted             = "DELETED"
)

// User is a person. A person has any number of identities.
type User struct {
	ID, First, Last, Mail string
	Status                string // "": ACTIVE
	SecondaryStatus       string // "", LOCKED, LOCKED_ADMIN, DISABLED
	Classification, Type  string // select a policy
}

// System is a managed system. Its connector takes the values that OpenIAM
// passes on.
type System struct {
	ID     string
	NoSync bool // a change of the default system is not passed on to it
	Broken bool // its connector fails in silence
}

// Key names an identity.
type Key struct{ Domain, Principal, System string }

// Identity is what a test or an operator may know of an identity.
type Identity struct {
	Key
	UserID       string
	Password     string   // what OpenIAM holds
	Passed       string   // what the managed system's connector was last given
	Values       []string // every value that took effect, the first at creation
	History      []string // newest last
	ChangeCount  int
	MustChange   bool
	FirstLogin   bool
	Locked       bool
	FailedLogons int
	Changed      time.Time
	Expires      time.Time
	GraceEnds    time.Time
}

type identity struct{ Identity }

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
	s.put(key.orDefault(), user.ID, password)
}

// AddOrphan adds an identity whose user is missing.
func (s *Server) AddOrphan(key Key, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key.orDefault(), "gone", password)
}

// AddSystem adds or replaces a managed system.
func (s *Server) AddSystem(sys System) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.systems[sys.ID] = sys
}

func (s *Server) put(key Key, user, password string) {
	if _, ok := s.systems[key.System]; !ok {
		s.systems[key.System] = System{ID: key.System}
	}
	made := &identity{Identity{Key: key, UserID: user, Password: password, Passed: password, Values: []string{password}, Changed: s.now()}}
	s.identities[key] = made
}

func (k Key) orDefault() Key {
	if k.Domain == "" {
		k.Domain = DefaultDomain
	}
	if k.System == "" {
		k.System = "0"
	}
	return k
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

// ofUser returns the identities of a user in a fixed order.
func (s *Server) ofUser(id string) []*identity {
	var list []*identity
	for _, identity := range s.identities {
		if identity.UserID == id {
			list = append(list, identity)
		}
	}
	slices.SortFunc(list, func(a, b *identity) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	return list
}

func (i *identity) sortKey() string {
	return i.System + "\x00" + i.Domain + "\x00" + i.Principal
}

// take gives the identity a value and its system's connector too.
func (s *Server) take(identity *identity, value string) {
	identity.Password = value
	identity.Values = append(identity.Values, value)
	identity.Changed = s.now()
}

func (s *Server) pass(identity *identity, value string) {
	if identity.System != "0" && !s.systems[identity.System].Broken {
		identity.Passed = value
	}
}

// AuditRow is one row of OpenIAM's audit log. SourceSystem is an exception: the
// documentation has it, the source of 2011 does not write it; the simulator
// keeps it to show that it arrived.
type AuditRow struct {
	At              time.Time `json:"at"`
	Action          string    `json:"action"`
	Result          string    `json:"result"`
	Reason          string    `json:"reason,omitempty"`
	RequestID       string    `json:"requestId"`
	UserID          string    `json:"userId,omitempty"`
	Domain          string    `json:"domain"`
	Principal       string    `json:"principal"`
	System          string    `json:"managedSystemId"`
	RequestorID     string    `json:"requestorId"`
	RequestorLogin  string    `json:"requestorLogin,omitempty"`
	RequestorDomain string    `json:"requestorDomain,omitempty"`
	ClientIP        string    `json:"requestClientIP,omitempty"`
	SourceSystem    string    `json:"srcSystemId"`
}

// Audit returns the audit rows, oldest first.
func (s *Server) Audit() []AuditRow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.audit)
}
