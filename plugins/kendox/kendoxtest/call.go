package kendoxtest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"strings"
	"time"
)

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

func (s *Server) method(name string) (method, bool) {
	m, ok := map[string]method{
		"Authentication/Logon":                         s.logon,
		"Authentication/Logoff":                        s.logoff,
		"Authentication/GetLogonResult":                s.getLogonResult,
		"Authentication/SetConnectionVerificationCode": s.verifyCode,
		"Common/SetUserPasswordHashed":                 s.setUserPasswordHashed,
		"Common/SetUserPassword":                       s.setUserPassword,
		"Common/GetUserAdminAccessRights":              s.getUserAdminAccessRights,
		"Common/GetUserStore":                          s.getUserStore,
		"Common/GetAllUsersSimple":                     s.getAllUsersSimple,
		"Common/GetUserSimple":                         s.getUserSimple,
		"Common/GetOwnUser":                            s.getOwnUser,
	}[name]
	return m, ok
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/simulator/status" {
		s.serveStatus(w)
		return
	}
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
	s.serve(w, r, name[strings.LastIndexByte(name, '/')+1:], func() (any, *exception) { return method(a) }, a)
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

func (s *Server) serve(w http.ResponseWriter, r *http.Request, name string, do func() (any, *exception), arguments arguments) {
	s.count(name)
	fault := s.fault(name, arguments.text("userId"))
	if fault != nil && fault.Expire {
		s.Expire()
	}
	if fault == nil || fault.Expire {
		s.answer(w, name, do)
		return
	}
	if fault.After {
		result, exception := do()
		if !fault.spoil(w, r) {
			s.write(w, name, result, exception)
		}
		return
	}
	if fault.Code != 0 {
		s.write(w, name, nil, raise(fault.Code, "%s", fault.text()))
		return
	}
	if !fault.spoil(w, r) {
		s.answer(w, name, do)
	}
}

func (s *Server) answer(w http.ResponseWriter, name string, do func() (any, *exception)) {
	result, exception := do()
	s.write(w, name, result, exception)
}

// write sends a result or an error in the form that the options say.
func (s *Server) write(w http.ResponseWriter, name string, result any, exception *exception) {
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

func (o Options) body(exception *exception) string {
	encode := func(value any) string { data, _ := json.Marshal(value); return string(data) }
	switch o.Form {
	case FormMessage:
		return encode(map[string]any{"Message": exception.text})
	case FormFault:
		return encode(map[string]any{"Reason": exception.text, "Detail": map[string]any{"FaultCode": fmt.Sprint(exception.code)}})
	case FormText:
		return exception.text
	}
	return encode(map[string]any{"ErrorCode": exception.code, "Message": exception.text})
}

func (s *Server) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
}

// Fault is something that goes wrong with matching calls. The zero value
// matches the next call of any method.
type Fault struct {
	Method string // such as "SetUserPasswordHashed"; "": any
	User   string // the id of the user that the call is about; "": any
	Times  int    // how often; 0: once; below 0: for ever

	Expire bool          // end all sessions before the call
	After  bool          // the call is carried out first, then this happens
	Delay  time.Duration // wait first; with nothing else set the answer is only late
	Cut    bool          // reset the connection instead of answering
	Status int           // answer this instead, with Header and Body
	Header http.Header
	Body   string
	Huge   int64  // answer with a body of so many bytes
	Code   int    // answer a ServiceException of this code
	Text   string // of that exception; "": one that names the code only
}

func (f *Fault) text() string {
	if f.Text == "" {
		return "ServiceException"
	}
	return f.Text
}

// Fail makes matching calls go wrong. Faults are tried in the order given.
func (s *Server) Fail(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	s.faults = append(s.faults, &fault)
}

// Mend takes back every fault.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the fault that the call meets, if any.
func (s *Server) fault(name, user string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		if fault.Times == 0 || fault.Method != "" && fault.Method != name || fault.User != "" && !sameID(fault.User, user) {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return fault
	}
	return nil
}

// spoil answers as the fault says and reports whether it did.
func (f *Fault) spoil(w http.ResponseWriter, r *http.Request) bool {
	pause(r.Context(), f.Delay)
	switch {
	case f.Cut:
		cut(w)
	case f.Huge > 0:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"x":"`)
		_, _ = io.CopyN(w, zeros{}, f.Huge)
	case f.Status != 0:
		w.Header().Set("Content-Type", "application/json")
		for key, list := range f.Header {
			w.Header()[key] = list
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	default:
		return false
	}
	return true
}

// cut resets the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcpConn, ok := conn.(*net.TCPConn); ok {
		_ = tcpConn.SetLinger(0)
	}
	_ = conn.Close()
}

// zeros is a stream of the digit zero.
type zeros struct{}

func (zeros) Read(data []byte) (int, error) { return copy(data, strings.Repeat("0", len(data))), nil }
