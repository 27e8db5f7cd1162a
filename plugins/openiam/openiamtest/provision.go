package openiamtest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// provision is the provisioning service: setPassword and resetPassword.
type provision struct{ *Server }

// sequence is the order of PasswordSync's children.
func (s provision) sequence() []string {
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
func (s provision) fits(sync *element) reply {
	if !s.o.Strict {
		return s.readable(sync)
	}
	at := 0
	order := s.sequence()
	for _, element := range sync.children {
		for at < len(order) && order[at] != element.name.Local {
			at++
		}
		if at == len(order) || element.name.Space != "" {
			return clientFault("Unmarshalling Error: unexpected element (uri:%q, local:%q)", element.name.Space, element.name.Local)
		}
	}
	for _, name := range []string{"validateRequest", "passThruAttributes"} {
		value, ok := sync.value(name)
		needed := name == "validateRequest" || !s.o.BasicFields
		if needed && !ok || ok && !slices.Contains([]string{"true", "false", "1", "0"}, value) {
			return clientFault("Unmarshalling Error: cvc-complex-type.2.4: %s is missing or not a boolean", name)
		}
	}
	return reply{}
}

func (s provision) readable(sync *element) reply {
	known := s.sequence()
	for _, element := range sync.children {
		if element.name.Space != "" || !slices.Contains(known, element.name.Local) {
			return clientFault("Unmarshalling Error: unexpected element (uri:%q, local:%q)", element.name.Space, element.name.Local)
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
func (s provision) begin(call call, action string) (*request, reply) {
	sync := call.body.child("", "passwordSync")
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
	made := &request{action: action, id: "R" + randomID(), sync: sync}
	made.identity = s.identities[Key{sync.get("securityDomain"), sync.get("principal"), s.system(sync)}]
	if made.identity == nil {
		return nil, s.refuse(made, "principalNotFound")
	}
	if made.user = s.users[made.identity.UserID]; made.user == nil {
		return nil, s.refuse(made, "userNotFound")
	}
	if s.o.CheckStatus && made.user.Status != Active && made.user.Status != PendingInitialLogin {
		return nil, s.refuse(made, "userStatus")
	}
	return made, reply{}
}

// system is the managed system that a request names.
func (s provision) system(sync *element) string {
	id, named := sync.value("managedSystemId")
	if !named && s.o.HomeSystem {
		return "0"
	}
	return id
}

// refuse writes an audit row and answers a failure.
func (s provision) refuse(request *request, code string) reply {
	s.log(request, "FAILURE", code)
	return failure(s.spelling(code))
}

// spelling is how the server writes a code.
func (s provision) spelling(code string) string {
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

func (s provision) log(request *request, result, reason string) {
	row := AuditRow{At: s.now(), Action: request.action, Result: result, Reason: reason, RequestID: request.id,
		Domain: request.sync.get("securityDomain"), Principal: request.sync.get("principal"), System: request.sync.get("managedSystemId"),
		RequestorID: request.sync.get("requestorId"), RequestorLogin: request.sync.get("requestorLogin"),
		RequestorDomain: request.sync.get("requestorDomain"), ClientIP: request.sync.get("requestClientIP"), SourceSystem: request.sync.get("srcSystemId")}
	if request.identity != nil {
		row.UserID = request.identity.UserID
	}
	s.audit = append(s.audit, row)
}

// setPassword gives a value under the policy.
func (s provision) setPassword(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, refused := s.begin(call, "SET PASSWORD")
	if request == nil {
		return refused
	}
	value := request.sync.get("password")
	policy, ok := directory(s).policyOf(request.identity)
	if !ok {
		return s.refuse(request, "PASSWORD_POLICY_NOT_FOUND")
	}
	if value == "" && s.o.BlankSets {
		value = s.conforming(policy, request)
	}
	code, null := candidate{policy, request.identity, request.user, value, value == ""}.broken()
	if null {
		return nullPointer()
	}
	if code != "" {
		return s.refuse(request, code)
	}
	s.spread(request, value, s.set)
	if request.user.SecondaryStatus == Locked {
		request.user.SecondaryStatus = ""
	}
	s.log(request, "SUCCESS", "")
	return success("")
}

// set is what setPassword does to one identity.
func (s provision) set(identity *identity, value string) {
	policy, _ := directory(s).policyOf(identity)
	directory(s).take(identity, value)
	identity.ChangeCount++
	identity.MustChange = false
	identity.History = append(identity.History, value)
	s.expire(identity, policy, "PWD_EXPIRATION")
}

// resetPassword gives a value, or makes one, without looking at the policy.
func (s provision) resetPassword(call call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	request, refused := s.begin(call, "RESET PASSWORD")
	if request == nil {
		return refused
	}
	value := request.sync.get("password")
	if value == "" {
		value = generate()
	}
	s.spread(request, value, s.reset)
	s.log(request, "SUCCESS", "")
	if s.o.ReturnResets {
		return success(tag("password", value))
	}
	return success("")
}

// reset is what resetPassword does to one identity: nothing goes into the
// history.
func (s provision) reset(identity *identity, value string) {
	policy, _ := directory(s).policyOf(identity)
	directory(s).take(identity, value)
	identity.FailedLogons, identity.Locked = 0, false
	identity.ChangeCount, identity.MustChange = 0, true
	s.users[identity.UserID].SecondaryStatus = ""
	s.expire(identity, policy, "PWD_EXPIRATION_ON_RESET")
}

// spread does it to the identity, and from the default system to the user's
// identities on every system that takes part in synchronisation.
func (s provision) spread(request *request, value string, one func(*identity, string)) {
	one(request.identity, value)
	directory(s).pass(request.identity, value)
	if request.identity.System != "0" {
		return
	}
	for _, identity := range directory(s).ofUser(request.identity.UserID) {
		if identity.System != "0" && !s.systems[identity.System].NoSync {
			one(identity, value)
			directory(s).pass(identity, value)
		}
	}
}

// expire computes when the value expires and until when it is still taken.
func (s provision) expire(identity *identity, policy Policy, attribute string) {
	days, ok := policy.number(attribute)
	if !ok {
		return
	}
	identity.Expires = s.now().AddDate(0, 0, days)
	if grace, ok := policy.number("PWD_EXP_GRACE"); ok {
		identity.GraceEnds = identity.Expires.AddDate(0, 0, grace)
	}
}

// generated is the alphabet of the server's own values.
const generated = "!$@%&0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// generate makes eight characters. The source seeds its generator with the
// clock, which makes the values easy to guess; this is not imitated.
func generate() string {
	data := make([]byte, 8)
	_, _ = rand.Read(data)
	for i := range data {
		data[i] = generated[int(data[i])%len(generated)]
	}
	return string(data)
}

// conforming makes a value under the policy, as the documentation says; one
// that breaks a rule if the policy allows no value.
func (s provision) conforming(policy Policy, request *request) (value string) {
	for range 1000 {
		value = generate()
		if length, ok := policy.number("PWD_LEN"); ok {
			for len(value) < length {
				value += generate()
			}
			value = value[:max(length, 8)]
		}
		if code, _ := (candidate{policy, request.identity, request.user, value, false}).broken(); code == "" {
			return value
		}
	}
	return value
}

func randomID() string {
	data := make([]byte, 16)
	_, _ = rand.Read(data)
	return fmt.Sprintf("%x", data)
}

// stamp is an xs:dateTime.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}
