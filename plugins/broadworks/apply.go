package broadworks

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// The kinds of credentials.
const (
	SIP       = "sip"
	Voicemail = "voicemail"
	Web       = "web"
)

// credential is what a kind is on the wire.
type credential struct {
	path    string // of its PUT
	field   string // that carries the value
	service string // that the user needs; "": any
	page    string // of its GET, which fails without the service
}

var credentials = map[string]credential{
	SIP:       {"/users/authentication", "newPassword", "Authentication", "/users/authentication"},
	Voicemail: {"/users/portal-passcode", "newPasscode", "Voice Messaging User", "/users/portal-passcode"},
	Web:       {"/users/passwords", "newPassword", "", ""},
}

func only(list []sdk.Violation, rule sdk.Rule) bool { return len(list) == 1 && list[0].Rule == rule }

func request(op sdk.Operation) rest.Request {
	credential := credentials[op.Kind]
	body, _ := json.Marshal(map[string]string{"userId": op.Account, credential.field: op.Value.Reveal()}) // strings always encode
	return rest.Request{Method: http.MethodPut, Path: credential.path, Body: body}
}

// services is an answer about the services of a user.
type services struct {
	UserServices, ServicePackServices []struct {
		ServiceName string
		Assigned    rest.Bool // absent where only assigned ones are listed
	}
}

// assigned refuses a user without the kind's service as NoCredential. What a
// service pack brings may be listed under the pack's name alone; then the
// credential's own page decides.
func assigned(do exchange, account string, credential credential) *rest.Failure {
	var inForce, all services
	values := url.Values{"userId": {account}}
	if failure := decode(do, get("/users/services/assigned", values), &inForce); failure != nil {
		return failure
	}
	if inForce.has(credential.service) {
		return nil
	}
	if failure := decode(do, get("/users/services", values), &all); failure != nil && !absent(failure) {
		return failure
	}
	if all.has(credential.service) {
		return nil
	}
	if all.packs() {
		if _, failure := do(get(credential.page, values)); failure == nil || failure.Err.Code == sdk.LoginExpired || retriable(failure.Err.Code) {
			return failure
		}
	}
	return rest.Refusal(sdk.Errorf(sdk.NoCredential, "has not the service %q", credential.service))
}

func retriable(code sdk.Code) bool {
	switch code {
	case sdk.Unreachable, sdk.RateLimited, sdk.TargetUnavailable, sdk.Timeout, sdk.Cancelled:
		return true
	}
	return false
}

func (s services) has(name string) bool {
	for _, service := range s.UserServices {
		if strings.EqualFold(service.ServiceName, name) && (!service.Assigned.Known || service.Assigned.On) {
			return true
		}
	}
	for _, service := range s.ServicePackServices {
		if strings.EqualFold(service.ServiceName, name) && (!service.Assigned.Known || service.Assigned.On) {
			return true
		}
	}
	return false
}

func (s services) packs() bool {
	for _, pack := range s.ServicePackServices {
		if !pack.Assigned.Known || pack.Assigned.On {
			return true
		}
	}
	return false
}
