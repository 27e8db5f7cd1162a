package openiamtest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// directory is the users and their identities. Whoever asks it holds the lock.
type directory struct{ *Server }

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

func (u *User) mayLogOn() int {
	if u.Status != Active && u.Status != PendingInitialLogin {
		return logonStatus
	}
	switch u.SecondaryStatus {
	case Locked, LockedAdmin:
		return logonLocked
	case Disabled:
		return logonDisabled
	}
	return 0
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

func (s directory) put(key Key, user, password string) {
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

// ofUser returns the identities of a user in a fixed order.
func (s directory) ofUser(id string) []*identity {
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

// login is the Login of an identity. The server answers with the reversibly
// encrypted password too; here stands what could be anything.
func (i *identity) login() string {
	flag := func(name string, on bool) string {
		if on {
			return tag(name, "1")
		}
		return tag(name, "0")
	}
	return "<id>" + tag("domainId", i.Domain) + tag("login", i.Principal) + tag("managedSysId", i.System) + "</id>" +
		tag("userId", i.UserID) + tag("password", "3des:"+strconv.Itoa(len(i.Values))) +
		tag("pwdChanged", stamp(i.Changed)) + tag("pwdExp", stamp(i.Expires)) +
		flag("firstTimeLogin", i.FirstLogin) + flag("resetPassword", i.MustChange) + flag("isLocked", i.Locked) +
		tag("gracePeriod", stamp(i.GraceEnds)) + tag("authFailCount", strconv.Itoa(i.FailedLogons)) +
		tag("selected", "false") + tag("passwordChangeCount", strconv.Itoa(i.ChangeCount))
}

// take gives the identity a value and its system's connector too.
func (s directory) take(identity *identity, value string) {
	identity.Password = value
	identity.Values = append(identity.Values, value)
	identity.Changed = s.now()
}

func (s directory) pass(identity *identity, value string) {
	if identity.System != "0" && !s.systems[identity.System].Broken {
		identity.Passed = value
	}
}

// find returns the identity of a call; the source dereferences a missing
// domain or principal.
func (s directory) find(call call) (*identity, reply) {
	for _, name := range []string{"domainId", "principal"} {
		if _, ok := call.body.value(name); !ok {
			return nil, serverFault("java.lang.NullPointerException: %s is null", name)
		}
	}
	return s.identities[call.key()], reply{}
}

// policyOf selects the policy of an identity: by classification, type, domain,
// and then the global one.
func (s directory) policyOf(identity *identity) (Policy, bool) {
	user := s.users[identity.UserID]
	if user == nil {
		return Policy{}, false
	}
	for _, where := range []string{"CLASSIFICATION " + user.Classification, "TYPE " + user.Type, "DOMAIN " + identity.Domain, "GLOBAL"} {
		if policy, ok := s.policies[where]; ok {
			return policy, true
		}
	}
	return Policy{}, false
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
