package openiamtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// companion is the services beside it: logins, policies, authentication.
type companion struct{ *Server }

func (s companion) getLoginByManagedSys(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	return success("<principal>" + identity.login() + "</principal>")
}

func (s companion) getUserByLogin(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil || s.users[identity.UserID] == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	user := s.users[identity.UserID]
	// The children of user are qualified by another schema.
	return success(`<user xmlns:u="urn:idm.openiam.org/srvc/user/dto">` +
		tag("u:firstName", user.First) + tag("u:lastName", user.Last) + tag("u:status", strings.ToLower(user.Status)) +
		tag("u:secondaryStatus", strings.ToLower(user.SecondaryStatus)) + tag("u:userId", user.ID) + tag("u:email", user.Mail) + "</user>")
}

func (s companion) isPasswordEq(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	value, ok := call.body.value("newPassword")
	if ok && identity != nil && value == identity.Password {
		return success(anyValue("boolean", "true"))
	}
	return reply{xml: `<return status="failure">` + anyValue("boolean", "false") + `</return>`}
}

func (s companion) loginExists(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil {
		return reply{xml: `<return status="failure">` + anyValue("boolean", "false") + `</return>`}
	}
	return success(anyValue("boolean", "true"))
}

func (s companion) unLockLogin(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil || s.users[identity.UserID] == nil {
		return nullPointer()
	}
	identity.Locked = false
	s.users[identity.UserID].SecondaryStatus = ""
	return success("")
}

func (s companion) bulkResetPasswordChangeCount(call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, identity := range s.identities {
		identity.ChangeCount = 0
	}
	return success(anyValue("int", strconv.Itoa(len(s.identities))))
}

func (s companion) isPasswordValid(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	element := call.body.child("", "pswd")
	identity := s.identities[Key{element.get("domainId"), element.get("principal"), element.get("managedSysId")}]
	if identity == nil || s.users[identity.UserID] == nil {
		return nullPointer()
	}
	policy, ok := directory(s).policyOf(identity)
	if !ok {
		return failure("PASSWORD_POLICY_NOT_FOUND")
	}
	value := element.get("password")
	code, null := candidate{policy, identity, s.users[identity.UserID], value, value == ""}.broken()
	switch {
	case null:
		return nullPointer()
	case code != "":
		return failure(code)
	}
	return success("")
}

func (s companion) isPasswordChangeAllowed(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil {
		return nullPointer()
	}
	policy, ok := directory(s).policyOf(identity)
	if !ok {
		return nullPointer()
	}
	return reply{xml: fmt.Sprintf(`<return value="%t"/>`, policy.first("PASSWORD_CHANGE_ALLOWED") != "0")}
}

func (s companion) daysToPasswordExpiration(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil {
		return reply{xml: `<return status="failure">` + anyValue("int", "-1") + `</return>`}
	}
	days := 9999
	if !identity.Expires.IsZero() {
		days = max(0, int(identity.Expires.Sub(s.now())/(24*time.Hour)))
	}
	return success(anyValue("int", strconv.Itoa(days)))
}

func (s companion) passwordChangeCount(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil {
		return reply{xml: `<return status="failure"/>`}
	}
	return success(anyValue("int", strconv.Itoa(identity.ChangeCount)))
}

func (s companion) getPasswordPolicy(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	identity, refused := directory(s).find(call)
	if refused.fault != nil {
		return refused
	}
	if identity == nil || s.users[identity.UserID] == nil {
		return nullPointer()
	}
	policy, ok := directory(s).policyOf(identity)
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
func (s companion) passwordAuth(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	domain, principal, value := call.body.get("domainId"), call.body.get("principal"), call.body.get("password")
	if !s.hasDomain(domain) {
		return logonFailed(logonBadDomain)
	}
	if principal == "" {
		return logonFailed(logonBadLogin)
	}
	if value == "" {
		return logonFailed(logonBadValue)
	}
	identity := s.identities[Key{domain, principal, "0"}]
	if identity == nil {
		return logonFailed(logonBadLogin)
	}
	user := s.users[identity.UserID]
	if user == nil {
		return nullPointer()
	}
	if code := user.mayLogOn(); code != 0 {
		return logonFailed(code)
	}
	if value != identity.Password {
		return logonFailed(s.wrongLogon(identity, user))
	}
	return s.logon(identity, user)
}

func (s companion) hasDomain(domain string) bool {
	for key := range s.identities {
		if key.Domain == domain {
			return true
		}
	}
	return domain == DefaultDomain
}

// wrongLogon counts a wrong password and locks when there are too many.
func (s companion) wrongLogon(identity *identity, user *User) int {
	identity.FailedLogons++
	if s.o.FailedLogons > 0 && identity.FailedLogons >= s.o.FailedLogons {
		identity.Locked = true
		user.SecondaryStatus = Locked
		return logonLocked
	}
	return logonBadValue
}

func (s companion) logon(identity *identity, user *User) reply {
	now := s.now()
	if !identity.Expires.IsZero() && now.After(identity.Expires) && now.After(identity.GraceEnds) {
		return logonFailed(logonExpired)
	}
	result := 0 // the source leaves it so where an expiry date is in the future
	switch {
	case identity.Expires.IsZero():
		result = 1
	case now.After(identity.Expires):
		result = 2
	}
	identity.FailedLogons, identity.FirstLogin = 0, false
	if user.Status == PendingInitialLogin {
		user.Status = Active
	}
	days := 0
	if identity.Expires.After(now) {
		days = int(identity.Expires.Sub(now) / (24 * time.Hour))
	}
	return reply{xml: fmt.Sprintf(`<return status="success"><subject><readOnly>false</readOnly><expirationTime>0</expirationTime>`+
		`<resultCode>%d</resultCode><daysToPwdExp>%d</daysToPwdExp>%s%s%s</subject><authErrorCode>0</authErrorCode></return>`,
		result, days, tag("domainId", identity.Domain), tag("userId", user.ID), tag("principal", identity.Principal))}
}

func logonFailed(code int) reply {
	return reply{xml: fmt.Sprintf(`<return status="failure"><authErrorCode>%d</authErrorCode></return>`, code)}
}
