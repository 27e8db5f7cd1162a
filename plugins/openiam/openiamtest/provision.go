package openiamtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sequence is the order of PasswordSync's children.
func (s *Server) sequence() []string {
	basic := []string{"securityDomain", "managedSystemId", "principal", "password", "srcSystemId", "validateRequest", "requestorId", "action"}
	if s.o.BasicFields {
		return basic
	}
	base := []string{"objectState", "selected", "requestorLogin", "requestorDomain", "requestClientIP"}
	return append(append(base, basic...), "passThruAttributes", "attributeList")
}

// fits checks a PasswordSync: against the schema if the server is strict, else
// as its classes read one, which know no order and miss nothing. An element
// that they do not know is refused either way.
func (s *Server) fits(sync *element) reply {
	if !s.o.Strict {
		return s.readable(sync)
	}
	at := 0
	order := s.sequence()
	for _, c := range sync.children {
		for at < len(order) && order[at] != c.name.Local {
			at++
		}
		if at == len(order) || c.name.Space != "" {
			return clientFault("Unmarshalling Error: unexpected element (uri:%q, local:%q)", c.name.Space, c.name.Local)
		}
	}
	for _, name := range []string{"validateRequest", "passThruAttributes"} {
		v, ok := sync.value(name)
		needed := name == "validateRequest" || !s.o.BasicFields
		if needed && !ok || ok && !slices.Contains([]string{"true", "false", "1", "0"}, v) {
			return clientFault("Unmarshalling Error: cvc-complex-type.2.4: %s is missing or not a boolean", name)
		}
	}
	return reply{}
}

func (s *Server) readable(sync *element) reply {
	known := s.sequence()
	for _, c := range sync.children {
		if c.name.Space != "" || !slices.Contains(known, c.name.Local) {
			return clientFault("Unmarshalling Error: unexpected element (uri:%q, local:%q)", c.name.Space, c.name.Local)
		}
	}
	return reply{}
}

// request is one setPassword or resetPassword on its way.
type request struct {
	action   string
	id       string
	sync     *element
	identity *identity
	user     *User
}

// begin finds whom the request is about.
func (s *Server) begin(c call, action string) (*request, reply) {
	sync := c.body.child("", "passwordSync")
	if sync == nil {
		return nil, nullPointer()
	}
	if refused := s.fits(sync); refused.fault != nil {
		return nil, refused
	}
	if _, ok := sync.value("securityDomain"); !ok {
		return nil, serverFault("java.lang.NullPointerException: domainId is null")
	}
	if _, ok := sync.value("principal"); !ok {
		return nil, serverFault("java.lang.NullPointerException: Login is null")
	}
	r := &request{action: action, id: "R" + randomID(), sync: sync}
	r.identity = s.identities[Key{sync.get("securityDomain"), sync.get("principal"), s.system(sync)}]
	if r.identity == nil {
		return nil, s.refuse(r, "principalNotFound")
	}
	if r.user = s.users[r.identity.UserID]; r.user == nil {
		return nil, s.refuse(r, "userNotFound")
	}
	if s.o.CheckStatus && r.user.Status != Active && r.user.Status != PendingInitialLogin {
		return nil, s.refuse(r, "userStatus")
	}
	return r, reply{}
}

// system is the managed system that a request names.
func (s *Server) system(sync *element) string {
	id, named := sync.value("managedSystemId")
	if !named && s.o.HomeSystem {
		return "0"
	}
	return id
}

// refuse writes an audit row and answers a failure.
func (s *Server) refuse(r *request, code string) reply {
	s.log(r, "FAILURE", code)
	return failure(s.spelling(code))
}

// spelling is how the server writes a code.
func (s *Server) spelling(code string) string {
	if s.o.PolicyCode && (strings.HasSuffix(code, "_RULE") || strings.HasPrefix(code, "FAIL_NEQ") || strings.HasPrefix(code, "FAIL_REJECT")) {
		code = "failPasswordPolicy"
	}
	if !s.o.Constants {
		return code
	}
	switch code {
	case "principalNotFound":
		return "PRINCIPAL_NOT_FOUND"
	case "userNotFound":
		return "USER_NOT_FOUND"
	case "userStatus":
		return "USER_STATUS"
	case "failPasswordPolicy":
		return "FAIL_PASSWORD_POLICY"
	}
	return code
}

func (s *Server) log(r *request, result, reason string) {
	row := AuditRow{At: s.now(), Action: r.action, Result: result, Reason: reason, RequestID: r.id,
		Domain: r.sync.get("securityDomain"), Principal: r.sync.get("principal"), System: r.sync.get("managedSystemId"),
		RequestorID: r.sync.get("requestorId"), RequestorLogin: r.sync.get("requestorLogin"),
		RequestorDomain: r.sync.get("requestorDomain"), ClientIP: r.sync.get("requestClientIP"), SourceSystem: r.sync.get("srcSystemId")}
	if r.identity != nil {
		row.UserID = r.identity.UserID
	}
	s.audit = append(s.audit, row)
}

// setPassword gives a value under the policy.
func (s *Server) setPassword(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.begin(c, "SET PASSWORD")
	if r == nil {
		return refused
	}
	value := r.sync.get("password")
	policy, ok := s.policyOf(r.identity)
	if !ok {
		return s.refuse(r, "PASSWORD_POLICY_NOT_FOUND")
	}
	if value == "" && s.o.BlankSets {
		value = s.conforming(policy, r)
	}
	code, null := candidate{policy, r.identity, r.user, value, value == ""}.broken()
	if null {
		return nullPointer()
	}
	if code != "" {
		return s.refuse(r, code)
	}
	s.spread(r, value, s.set)
	if r.user.SecondaryStatus == Locked {
		r.user.SecondaryStatus = ""
	}
	s.log(r, "SUCCESS", "")
	return success("")
}

// set is what setPassword does to one identity.
func (s *Server) set(i *identity, value string) {
	policy, _ := s.policyOf(i)
	s.take(i, value)
	i.ChangeCount++
	i.MustChange = false
	i.History = append(i.History, value)
	s.expire(i, policy, "PWD_EXPIRATION")
}

// resetPassword gives a value, or makes one, without looking at the policy.
func (s *Server) resetPassword(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, refused := s.begin(c, "RESET PASSWORD")
	if r == nil {
		return refused
	}
	value := r.sync.get("password")
	if value == "" {
		value = generate()
	}
	s.spread(r, value, s.reset)
	s.log(r, "SUCCESS", "")
	if s.o.ReturnResets {
		return success(tag("password", value))
	}
	return success("")
}

// reset is what resetPassword does to one identity: nothing goes into the
// history.
func (s *Server) reset(i *identity, value string) {
	policy, _ := s.policyOf(i)
	s.take(i, value)
	i.FailedLogons, i.Locked = 0, false
	i.ChangeCount, i.MustChange = 0, true
	s.users[i.UserID].SecondaryStatus = ""
	s.expire(i, policy, "PWD_EXPIRATION_ON_RESET")
}

// spread does it to the identity, and from the default system to the user's
// identities on every system that takes part in synchronisation.
func (s *Server) spread(r *request, value string, one func(*identity, string)) {
	one(r.identity, value)
	s.pass(r.identity, value)
	if r.identity.System != "0" {
		return
	}
	for _, i := range s.ofUser(r.identity.UserID) {
		if i.System != "0" && !s.systems[i.System].NoSync {
			one(i, value)
			s.pass(i, value)
		}
	}
}

// expire computes when the value expires and until when it is still taken.
func (s *Server) expire(i *identity, p Policy, attribute string) {
	days, ok := p.number(attribute)
	if !ok {
		return
	}
	i.Expires = s.now().AddDate(0, 0, days)
	if grace, ok := p.number("PWD_EXP_GRACE"); ok {
		i.GraceEnds = i.Expires.AddDate(0, 0, grace)
	}
}

// generated is the alphabet of the server's own values.
const generated = "!$@%&0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// generate makes eight characters. The source seeds its generator with the
// clock, which makes the values easy to guess; that is not imitated.
func generate() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = generated[int(b[i])%len(generated)]
	}
	return string(b)
}

// conforming makes a value under the policy, as the documentation says; one
// that breaks a rule if the policy allows none.
func (s *Server) conforming(policy Policy, r *request) (value string) {
	for range 1000 {
		value = generate()
		if length, ok := policy.number("PWD_LEN"); ok {
			for len(value) < length {
				value += generate()
			}
			value = value[:max(length, 8)]
		}
		if code, _ := (candidate{policy, r.identity, r.user, value, false}).broken(); code == "" {
			return value
		}
	}
	return value
}

func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x", b)
}

// stamp is an xs:dateTime.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
