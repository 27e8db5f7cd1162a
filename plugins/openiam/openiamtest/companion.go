package openiamtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key reads the three parts that the companion services name an identity by.
func (c call) key() Key {
	return Key{c.body.get("domainId"), c.body.get("principal"), c.body.get("managedSysId")}
}

// find returns the identity of a call; the source dereferences a missing
// domain or principal.
func (s *Server) find(c call) (*identity, reply) {
	for _, name := range []string{"domainId", "principal"} {
		if _, ok := c.body.value(name); !ok {
			return nil, serverFault("java.lang.NullPointerException: %s is null", name)
		}
	}
	return s.identities[c.key()], reply{}
}

func (s *Server) getLoginByManagedSys(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	return success("<principal>" + i.login() + "</principal>")
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

func (s *Server) getUserByLogin(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil || s.users[i.UserID] == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	u := s.users[i.UserID]
	// The children of user are qualified by another schema.
	return success(`<user xmlns:u="urn:idm.openiam.org/srvc/user/dto">` +
		tag("u:firstName", u.First) + tag("u:lastName", u.Last) + tag("u:status", strings.ToLower(u.Status)) +
		tag("u:secondaryStatus", strings.ToLower(u.SecondaryStatus)) + tag("u:userId", u.ID) + tag("u:email", u.Mail) + "</user>")
}

func (s *Server) isPasswordEq(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	value, ok := c.body.value("newPassword")
	if ok && i != nil && value == i.Password {
		return success(anyValue("boolean", "true"))
	}
	return reply{xml: `<return status="failure">` + anyValue("boolean", "false") + `</return>`}
}

func (s *Server) loginExists(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil {
		return reply{xml: `<return status="failure">` + anyValue("boolean", "false") + `</return>`}
	}
	return success(anyValue("boolean", "true"))
}

func (s *Server) unLockLogin(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil || s.users[i.UserID] == nil {
		return nullPointer()
	}
	i.Locked = false
	s.users[i.UserID].SecondaryStatus = ""
	return success("")
}

func (s *Server) bulkResetPasswordChangeCount(call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.identities {
		i.ChangeCount = 0
	}
	return success(anyValue("int", strconv.Itoa(len(s.identities))))
}

func (s *Server) isPasswordValid(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := c.body.child("", "pswd")
	i := s.identities[Key{p.get("domainId"), p.get("principal"), p.get("managedSysId")}]
	if i == nil || s.users[i.UserID] == nil {
		return nullPointer()
	}
	policy, ok := s.policyOf(i)
	if !ok {
		return failure("PASSWORD_POLICY_NOT_FOUND")
	}
	value := p.get("password")
	code, null := candidate{policy, i, s.users[i.UserID], value, value == ""}.broken()
	switch {
	case null:
		return nullPointer()
	case code != "":
		return failure(code)
	}
	return success("")
}

func (s *Server) isPasswordChangeAllowed(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil {
		return nullPointer()
	}
	policy, ok := s.policyOf(i)
	if !ok {
		return nullPointer()
	}
	return reply{xml: fmt.Sprintf(`<return value="%t"/>`, policy.first("PASSWORD_CHANGE_ALLOWED") != "0")}
}

func (s *Server) daysToPasswordExpiration(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil {
		return reply{xml: `<return status="failure">` + anyValue("int", "-1") + `</return>`}
	}
	days := 9999
	if !i.Expires.IsZero() {
		days = max(0, int(i.Expires.Sub(s.now())/(24*time.Hour)))
	}
	return success(anyValue("int", strconv.Itoa(days)))
}

func (s *Server) passwordChangeCount(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	return success(anyValue("int", strconv.Itoa(i.ChangeCount)))
}

func (s *Server) getPasswordPolicy(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, refused := s.find(c)
	if refused.fault != nil {
		return refused
	}
	if i == nil || s.users[i.UserID] == nil {
		return nullPointer()
	}
	policy, ok := s.policyOf(i)
	if !ok {
		return reply{xml: `<return status="failure"/>`}
	}
	inner := tag("policyId", policy.ID) + tag("policyDefId", "100") + tag("name", "Default Pswd Policy") + tag("status", "1")
	for _, name := range slices.Sorted(maps.Keys(policy.Attributes)) {
		pair := policy.Attributes[name]
		inner += "<policyAttributes>" + tag("policyId", policy.ID) + tag("name", name) + tag("value1", pair[0]) + tag("value2", pair[1]) + "</policyAttributes>"
	}
	return success("<policy>" + inner + "</policy>")
}

// The result codes of a logon.
const (
	logonInternal  = -1
	logonBadLogin  = 100
	logonBadValue  = 101
	logonExpired   = 102
	logonLocked    = 103
	logonStatus    = 104
	logonBadDomain = 109
	logonDisabled  = 110
)

// passwordAuth logs on. It looks at identities of the default system only.
func (s *Server) passwordAuth(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	domain, principal, value := c.body.get("domainId"), c.body.get("principal"), c.body.get("password")
	if !s.hasDomain(domain) {
		return logonFailed(logonBadDomain)
	}
	if principal == "" {
		return logonFailed(logonBadLogin)
	}
	if value == "" {
		return logonFailed(logonBadValue)
	}
	i := s.identities[Key{domain, principal, "0"}]
	if i == nil {
		return logonFailed(logonBadLogin)
	}
	u := s.users[i.UserID]
	if u == nil {
		return nullPointer()
	}
	if code := u.mayLogOn(); code != 0 {
		return logonFailed(code)
	}
	if value != i.Password {
		return logonFailed(s.wrongLogon(i, u))
	}
	return s.logon(i, u)
}

func (s *Server) hasDomain(domain string) bool {
	for k := range s.identities {
		if k.Domain == domain {
			return true
		}
	}
	return domain == DefaultDomain
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

// wrongLogon counts a wrong password and locks when there are too many.
func (s *Server) wrongLogon(i *identity, u *User) int {
	i.FailedLogons++
	if s.o.FailedLogons > 0 && i.FailedLogons >= s.o.FailedLogons {
		i.Locked = true
		u.SecondaryStatus = Locked
		return logonLocked
	}
	return logonBadValue
}

func (s *Server) logon(i *identity, u *User) reply {
	now := s.now()
	if !i.Expires.IsZero() && now.After(i.Expires) && now.After(i.GraceEnds) {
		return logonFailed(logonExpired)
	}
	result := 0 // the source leaves it so where an expiry date is in the future
	switch {
	case i.Expires.IsZero():
		result = 1
	case now.After(i.Expires):
		result = 2
	}
	i.FailedLogons, i.FirstLogin = 0, false
	if u.Status == PendingInitialLogin {
		u.Status = Active
	}
	days := 0
	if i.Expires.After(now) {
		days = int(i.Expires.Sub(now) / (24 * time.Hour))
	}
	return reply{xml: fmt.Sprintf(`<return status="success"><subject><readOnly>false</readOnly><expirationTime>0</expirationTime>`+
		`<resultCode>%d</resultCode><daysToPwdExp>%d</daysToPwdExp>%s%s%s</subject><authErrorCode>0</authErrorCode></return>`,
		result, days, tag("domainId", i.Domain), tag("userId", u.ID), tag("principal", i.Principal))}
}

func logonFailed(code int) reply {
	return reply{xml: fmt.Sprintf(`<return status="failure"><authErrorCode>%d</authErrorCode></return>`, code)}
}
