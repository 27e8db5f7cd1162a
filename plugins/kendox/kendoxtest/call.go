package kendoxtest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
)

// transport reads the calls of HTTP and writes their answers.
type transport struct{ *Server }

// The codes that this server answers.
const (
	codeLogon      = 10006
	codeConnection = 10008
	codeTenant     = 10038
	codeUser       = 10047
	codeLicence    = 10054
	codeSessions   = 10055
	codeRights     = 10071
	codeTooShort   = 10081
	codeLetter     = 10082
	codeSpecial    = 10083
	codeMixed      = 10084
	codeNotSet     = 10085
	codeDigit      = 10086
	codeCheckedOut = 10129
	codeWrongCode  = 10150
	codeNoCode     = 10151
	codeVerify     = 10152
	codeAdmin      = 10369
)

// exception is a ServiceException.
type exception struct {
	code int
	text string
}

func raise(code int, format string, args ...any) *exception {
	return &exception{code, fmt.Sprintf(format, args...) + fmt.Sprintf(" (%d)", code)}
}

// arguments are a call's parameters by name.
type arguments map[string]any

func (a arguments) text(name string) string { value, _ := a[name].(string); return value }

// method answers with its result, or nil for a void one.
type method func(arguments) (any, *exception)

func (s transport) method(name string) (method, bool) {
	m, ok := map[string]method{
		"Authentication/Logon":                         infoShare(s).logon,
		"Authentication/Logoff":                        infoShare(s).logoff,
		"Authentication/GetLogonResult":                infoShare(s).getLogonResult,
		"Authentication/SetConnectionVerificationCode": infoShare(s).verifyCode,
		"Common/SetUserPasswordHashed":                 infoShare(s).setUserPasswordHashed,
		"Common/SetUserPassword":                       infoShare(s).setUserPassword,
		"Common/GetUserAdminAccessRights":              infoShare(s).getUserAdminAccessRights,
		"Common/GetUserStore":                          infoShare(s).getUserStore,
		"Common/GetAllUsersSimple":                     infoShare(s).getAllUsersSimple,
		"Common/GetUserSimple":                         infoShare(s).getUserSimple,
		"Common/GetOwnUser":                            infoShare(s).getOwnUser,
	}[name]
	return m, ok
}

// call answers one call.
func (s transport) call(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if !s.o.Strict {
		path = strings.TrimSuffix(path, "/")
	}
	name, ok := strings.CutPrefix(path, Base+"/")
	method, known := s.method(name)
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	var a arguments
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&a); err != nil {
		http.Error(w, "The server encountered an error processing the request.", http.StatusBadRequest)
		return
	}
	if s.o.Strict && !documented(r, name, a) {
		http.Error(w, "The server encountered an error processing the request.", http.StatusBadRequest)
		return
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	s.count(name)
	result, exception := method(a)
	s.write(w, name, result, exception)
}

// parameters are the documented ones by call, each with a value of its type.
var parameters = map[string]map[string]any{
	"Authentication/Logon":                         {"tenantName": "", "userName": "", "passwordHashed": "", "clientId": "", "timeZoneOffsetMinutes": 0.0},
	"Authentication/Logoff":                        {"connectionId": ""},
	"Authentication/GetLogonResult":                {"connectionId": ""},
	"Authentication/SetConnectionVerificationCode": {"connectionId": "", "verificationCode": ""},
	"Common/SetUserPasswordHashed":                 {"connectionId": "", "userId": "", "newPasswordHashed": ""},
	"Common/SetUserPassword":                       {"connectionId": "", "userId": "", "newPassword": ""},
	"Common/GetUserAdminAccessRights":              {"connectionId": "", "userId": ""},
	"Common/GetUserStore":                          {"connectionId": ""},
	"Common/GetAllUsersSimple":                     {"connectionId": "", "userFilter": map[string]any{}},
	"Common/GetUserSimple":                         {"connectionId": "", "userId": ""},
	"Common/GetOwnUser":                            {"connectionId": ""},
}

// documented reports whether a request is as the reference has it; null stands
// for any type.
func documented(r *http.Request, name string, arguments arguments) bool {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		return false
	}
	for argument, value := range arguments {
		want, ok := parameters[name][argument]
		if !ok || value != nil && reflect.TypeOf(value) != reflect.TypeOf(want) {
			return false
		}
	}
	return true
}

// write sends a result or an error in the form that the options say.
func (s transport) write(w http.ResponseWriter, name string, result any, exception *exception) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case exception != nil:
		w.WriteHeader(s.o.Status)
		_, _ = io.WriteString(w, s.o.body(exception))
	case result == nil:
		_, _ = io.WriteString(w, "{ }")
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{name + "Result": result})
	}
}

func (s transport) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
}

// named tells a fault the method and the user of a call.
func named(r *http.Request, body []byte) (name, user string) {
	var a arguments
	_ = json.Unmarshal(body, &a)
	path := strings.TrimSuffix(r.URL.Path, "/")
	return path[strings.LastIndexByte(path, '/')+1:], a.text("userId")
}
