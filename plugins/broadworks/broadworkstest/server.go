package broadworkstest

import (
	"crypto/rand"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
)

// logins is who may call: tokens, sessions, passwords of administrators and users.
type logins struct{ *Simulator }

// api reads the calls of HTTP, hands them to their handler and writes the answer.
type api struct{ *Simulator }

// problem is an error answer.
type problem struct {
	status int
	text   string
}

// bad is a refusal, in BroadWorks' form.
func bad(text string) *problem { return &problem{http.StatusBadRequest, text} }

var (
	unauthorised = &problem{http.StatusUnauthorized, "[Error 5401] The session has expired."}
	forbidden    = &problem{http.StatusForbidden, "[Error 5404] Unauthorized transaction."}
)

func notFound(what, name string) *problem {
	return &problem{http.StatusNotFound, "[Error 4008] " + what + " not found: " + name}
}

// call is one request after its token was looked at.
type call struct {
	*http.Request
	s     *Simulator
	by    string // the login
	admin bool
	body  map[string]any
}

func (c *call) text(name string) string {
	value, _ := c.body[name].(string)
	return value
}

// mux serves the interface below /api/v2.
func (s api) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simulator", simulator.ServeJSON(func() any { return s.Status() }))
	for pattern, serve := range map[string]func(*call) (any, *problem){
		"POST /auth/token":                                         login,
		"PUT /auth/password":                                       changeOwn,
		"PUT /auth/token":                                          renew("token"),
		"PUT /auth/session":                                        renew("session"),
		"GET /auth/session":                                        session,
		"POST /auth/switch-user":                                   switchUser,
		"GET /password/generate":                                   generatePasswords,
		"GET /passcode/generate":                                   generatePasscodes,
		"GET /sip-password/generate":                               generateSIP,
		"GET /users":                                               getUsers,
		"GET /users/authentication":                                getSIP,
		"PUT /users/authentication":                                setSIP,
		"GET /users/portal-passcode":                               getPasscode,
		"PUT /users/portal-passcode":                               setPasscode,
		"GET /users/password":                                      getWeb,
		"PUT /users/passwords":                                     setWeb,
		"GET /users/login-info":                                    loginInfo,
		"GET /users/services/assigned":                             servicesAssigned,
		"GET /users/services":                                      services,
		"PUT /users/services":                                      assignServices,
		"GET /groups":                                              groups,
		"GET /service-providers":                                   providers,
		"GET /groups/services/assigned":                            groupServices,
		"GET /groups/password-rules":                               func(c *call) (any, *problem) { return c.ofGroup(c.s.rules.GroupWeb) },
		"GET /groups/passcode-rules":                               func(c *call) (any, *problem) { return c.ofGroup(c.s.rules.GroupPasscode) },
		"GET /system/passcode-rules":                               func(c *call) (any, *problem) { return c.s.rules.SystemPasscode, nil },
		"PUT /groups/password-rules":                               putRules(func(rules *Rules) any { return &rules.GroupWeb }),
		"PUT /groups/passcode-rules":                               putRules(func(rules *Rules) any { return &rules.GroupPasscode }),
		"GET /service-providers/passcode-rules":                    func(c *call) (any, *problem) { return c.ofProvider(c.s.rules.ProviderPasscode) },
		"GET /service-providers/sip-authentication-password-rules": func(c *call) (any, *problem) { return c.ofProvider(c.s.rules.ProviderSIP) },
		"GET /system/sip-authentication-password-rules":            func(c *call) (any, *problem) { return c.s.rules.SystemSIP, nil },
	} {
		method, where, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/v2"+where, s.handler(where, serve))
	}
	return mux
}

// own are the calls that an ordinary user may make, besides logging in.
var own = []string{"/auth/session", "/auth/token", "/auth/password", "/users/login-info"}

func (s api) handler(where string, serve func(*call) (any, *problem)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, problem := s.serve(where, serve, r)
		if problem != nil {
			writeJSON(w, problem.status, map[string]any{"error": problem.text, "status": problem.status, "details": http.StatusText(problem.status)})
			return
		}
		writeJSON(w, http.StatusOK, body)
	}
}

func (s api) serve(where string, serve func(*call) (any, *problem), r *http.Request) (any, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[operation(r)]++
	made := &call{Request: r, s: s.Simulator, body: map[string]any{}}
	if r.Method != http.MethodGet {
		if problem := made.read(where); problem != nil {
			return nil, problem
		}
	}
	open := r.Method == http.MethodPost && where == "/auth/token" || where == "/auth/password"
	if problem := made.authenticate(); problem != nil && !open {
		return nil, problem
	}
	if !made.admin && !open && !slices.Contains(own, where) {
		return nil, forbidden
	}
	if status := s.o.NoRules; status != 0 && strings.HasSuffix(where, "-rules") {
		return nil, &problem{status, "[Error 5404] Unauthorized transaction."}
	}
	return serve(made)
}

// read takes the body: JSON, or for a login a form, unless the options are
// strict.
func (c *call) read(where string) *problem {
	kind, _, _ := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" && where == "/auth/token" && !c.s.o.Strict {
		if err := c.ParseForm(); err != nil {
			return bad("The request body is not valid.")
		}
		for name := range c.PostForm {
			c.body[name] = c.PostForm.Get(name)
		}
		return nil
	}
	if c.s.o.Strict && kind != "application/json" {
		return &problem{http.StatusUnsupportedMediaType, "The request body is not application/json."}
	}
	if err := json.NewDecoder(c.Body).Decode(&c.body); err != nil {
		return bad("The request body is not valid.")
	}
	return nil
}

// authenticate reads the bearer token.
func (c *call) authenticate() *problem {
	text, ok := strings.CutPrefix(c.Header.Get("Authorization"), "Bearer ")
	token, known := c.s.tokens[text]
	if !ok || !known || !token.until.IsZero() && !c.s.o.Now().Before(token.until) {
		delete(c.s.tokens, text)
		return unauthorised
	}
	c.by, c.admin = token.login, strings.EqualFold(token.login, c.s.o.Login)
	return nil
}

func (s logins) issue(login string) map[string]any {
	made := token{login: login}
	if s.o.TokenLife > 0 {
		made.until = s.o.Now().Add(s.o.TokenLife)
	}
	text := rand.Text()
	s.tokens[text] = made
	s.issued++
	answer := s.sessionOf(login)
	answer["token"] = text
	return answer
}

func (s logins) sessionOf(login string) map[string]any {
	kind := "User"
	if strings.EqualFold(login, s.o.Login) {
		kind = "Provisioning"
	}
	return map[string]any{"userId": login, "loginType": kind, "groupId": s.o.Group, "serviceProviderId": s.o.Provider,
		"locale": "en_US", "encoding": "ISO-8859-1", "isEnterprise": true, "passwordExpiresDays": s.expires()}
}

// expires is passwordExpiresDays as the interface writes it: negative numbers
// are strings.
func (s logins) expires() any {
	switch days := s.o.Expires; {
	case days == nil:
		return math.MaxInt32
	case *days < 0:
		return strconv.Itoa(*days)
	default:
		return *days
	}
}

func login(call *call) (any, *problem) {
	name, password := call.text("username"), call.text("password")
	if problem := (logins{call.s}).try(name, password); problem != nil {
		return nil, problem
	}
	return logins{call.s}.issue(name), nil
}

// try is one login with a password, the administrator's or a user's web one.
func (s logins) try(name, password string) *problem {
	wrong := &problem{http.StatusUnauthorized, "[Error 4962] Invalid password"}
	if strings.EqualFold(name, s.o.Login) {
		switch {
		case password == "" || password != s.o.Password:
			return wrong
		case s.o.MustChange:
			return &problem{http.StatusPaymentRequired, "[Error 4963] The password has expired and has to be changed."}
		}
		return nil
	}
	user := s.users[strings.ToLower(name)]
	switch {
	case user == nil:
		return wrong
	case user.locked:
		return &problem{http.StatusUnauthorized, "[Error 5202] Account is disabled."}
	case password == "" || password != user.present(Web):
		if user.failed++; s.rules.GroupWeb.MaxFailedLoginAttempts > 0 && user.failed >= s.rules.GroupWeb.MaxFailedLoginAttempts {
			user.locked = true
		}
		return wrong
	}
	user.failed = 0
	return nil
}

func changeOwn(call *call) (any, *problem) {
	if !strings.EqualFold(call.text("userId"), call.s.o.Login) || call.text("oldPassword") != call.s.o.Password {
		return nil, &problem{http.StatusUnauthorized, "[Error 4962] Invalid password"}
	}
	if rule := call.s.rules.SystemWeb.breaks(call.text("newPassword"), []string{call.s.o.Login}, []string{call.s.o.Password}); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	call.s.o.Password, call.s.o.MustChange = call.text("newPassword"), false
	return map[string]any{}, nil
}

func renew(way string) func(*call) (any, *problem) {
	return func(c *call) (any, *problem) {
		if c.s.o.Refresh != "" && c.s.o.Refresh != way {
			return nil, &problem{http.StatusNotFound, "There is no such resource."}
		}
		delete(c.s.tokens, strings.TrimPrefix(c.Header.Get("Authorization"), "Bearer "))
		return logins{c.s}.issue(c.by), nil
	}
}

func session(call *call) (any, *problem) { return logins{call.s}.sessionOf(call.by), nil }

func switchUser(call *call) (any, *problem) {
	if call.s.users[strings.ToLower(call.text("username"))] == nil {
		return nil, notFound("User", call.text("username"))
	}
	return logins{call.s}.issue(call.text("username")), nil
}

// many answers one value, or a list of limit.
func many(call *call, one, several string, make func() string) (any, *problem) {
	limit := call.URL.Query().Get("limit")
	if limit == "" {
		return map[string]any{one: make()}, nil
	}
	count, err := strconv.Atoi(limit)
	if err != nil || count < 1 {
		return nil, bad("limit is not valid.")
	}
	list := []string{}
	for range count - call.s.o.Short {
		list = append(list, make())
	}
	return map[string]any{several: list}, nil
}

func generatePasswords(call *call) (any, *problem) {
	rules := call.s.rules.SystemWeb
	if values := call.URL.Query(); values.Get("serviceProviderId") != "" || values.Get("groupId") != "" {
		if problem := call.group(); problem != nil {
			return nil, problem
		}
		rules = call.s.rules.GroupWeb
	}
	return many(call, "password", "passwords", rules.generate)
}

func generatePasscodes(call *call) (any, *problem) {
	if problem := call.group(); problem != nil {
		return nil, problem
	}
	return many(call, "passcode", "passcodes", call.s.rules.passcode().generate)
}

func generateSIP(call *call) (any, *problem) {
	return map[string]any{"password": call.s.rules.sip().generate()}, nil
}

// group checks that provider and group of the query are there.
func (c *call) group() *problem {
	values := c.URL.Query()
	if problem := c.provider(); problem != nil {
		return problem
	}
	for _, user := range c.s.order {
		if user.Provider == values.Get("serviceProviderId") && user.Group == values.Get("groupId") {
			return nil
		}
	}
	if values.Get("groupId") == c.s.o.Group && values.Get("serviceProviderId") == c.s.o.Provider {
		return nil
	}
	return notFound("Group", values.Get("groupId"))
}

func (c *call) provider() *problem {
	name := c.URL.Query().Get("serviceProviderId")
	for _, user := range c.s.order {
		if user.Provider == name {
			return nil
		}
	}
	if name == c.s.o.Provider {
		return nil
	}
	return notFound("Service provider", name)
}

func (c *call) ofGroup(rules any) (any, *problem)    { return rules, c.group() }
func (c *call) ofProvider(rules any) (any, *problem) { return rules, c.provider() }

func putRules(which func(*Rules) any) func(*call) (any, *problem) {
	return func(c *call) (any, *problem) {
		if problem := c.group(); problem != nil {
			return nil, problem
		}
		text, _ := json.Marshal(c.body)
		if json.Unmarshal(text, which(&c.s.rules)) != nil {
			return nil, bad("The rules are not valid.")
		}
		return map[string]any{}, nil
	}
}

// target finds the user that a call names, by the query or the body.
func (c *call) target() (*user, *problem) {
	id := c.URL.Query().Get("userId") + c.text("userId")
	user := c.s.users[strings.ToLower(id)]
	if user == nil {
		return nil, notFound("User", id)
	}
	return user, nil
}

// with finds the user and demands a service.
func (c *call) with(service string) (*user, *problem) {
	user, problem := c.target()
	if problem == nil && !slices.Contains(user.services(true), service) {
		return nil, bad("[Error 4410] User service is not assigned: " + service)
	}
	return user, problem
}

func getSIP(call *call) (any, *problem) {
	user, problem := call.with(Authentication)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"userId": user.ID, "userName": user.SIPName}, nil
}

func setSIP(call *call) (any, *problem) {
	user, problem := call.with(Authentication)
	if problem != nil {
		return nil, problem
	}
	if name := call.text("userName"); name != "" {
		user.SIPName = name
	}
	if rule := call.s.rules.sip().breaks(call.text("newPassword"), []string{user.SIPName}, user.history[SIP]); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	user.take(SIP, call.text("newPassword"))
	return map[string]any{"userId": user.ID, "userName": user.SIPName, "newPassword": ""}, nil
}

func getPasscode(call *call) (any, *problem) {
	user, problem := call.with(VoiceMessaging)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"userId": user.ID, "isLoginDisabled": user.vmOff, "expirationDays": 0, "passcode": "*****"}, nil
}

func setPasscode(call *call) (any, *problem) {
	user, problem := call.with(VoiceMessaging)
	if problem != nil {
		return nil, problem
	}
	if rule := call.s.rules.passcode().breaks(call.text("newPasscode"), []string{user.DN, user.Extension}, user.history[Voicemail]); rule != "" {
		return nil, bad("[Error 4970] Invalid passcode: it " + rule + ".")
	}
	user.take(Voicemail, call.text("newPasscode"))
	user.vmOff = false
	return []any{}, nil
}

func getWeb(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"userId": user.ID, "passwordExpiresDays": logins{call.s}.expires(), "isLoginDisabled": user.locked}, nil
}

func setWeb(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	if rule := call.s.rules.GroupWeb.breaks(call.text("newPassword"), []string{user.ID}, user.history[Web]); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	user.take(Web, call.text("newPassword"))
	user.locked, user.failed = false, 0
	return map[string]any{}, nil
}

func loginInfo(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	if !call.admin && !strings.EqualFold(call.by, user.ID) {
		return nil, forbidden
	}
	return map[string]any{"userId": user.ID, "loginType": "User", "groupId": user.Group, "serviceProviderId": user.Provider, "firstName": user.First, "lastName": user.Last,
		"passwordExpiresDays": logins{call.s}.expires(), "isAlternateUserId": false, "broadworksUserId": user.ID}, nil
}

func servicesAssigned(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	list := []any{}
	for _, name := range user.services(!call.s.o.PacksHidden) {
		list = append(list, map[string]any{"serviceName": name, "isActive": true})
	}
	return map[string]any{"userId": user.ID, "userServices": list, "groupServices": []any{map[string]any{"serviceName": "Auto Attendant"}}}, nil
}

func services(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	list, packs := []any{}, []any{}
	for _, name := range []string{Authentication, "Call Forwarding Always", VoiceMessaging} {
		list = append(list, map[string]any{"serviceName": name, "assigned": slices.Contains(user.Services, name)})
	}
	for name := range user.Packs {
		packs = append(packs, map[string]any{"serviceName": name, "assigned": true})
	}
	return map[string]any{"userId": user.ID, "serviceProviderId": user.Provider, "groupId": user.Group, "userServices": list, "servicePackServices": packs}, nil
}

func assignServices(call *call) (any, *problem) {
	user, problem := call.target()
	if problem != nil {
		return nil, problem
	}
	list, _ := call.body["userServices"].([]any)
	for _, item := range list {
		table, _ := item.(map[string]any)
		name, _ := table["serviceName"].(string)
		user.Services = slices.DeleteFunc(slices.Clone(user.Services), func(have string) bool { return have == name })
		if on, _ := table["assigned"].(bool); on {
			user.Services = append(user.Services, name)
		}
	}
	return map[string]any{}, nil
}

// fields are what users can be filtered by.
var fields = map[string]func(*user) string{
	"lastName": func(u *user) string { return u.Last }, "firstName": func(u *user) string { return u.First }, "dn": func(u *user) string { return u.DN },
	"emailAddress": func(u *user) string { return u.Email }, "userId": func(u *user) string { return u.ID }, "extension": func(u *user) string { return u.Extension },
	"macAddress": func(*user) string { return "" },
}

func getUsers(call *call) (any, *problem) {
	values := call.URL.Query()
	if !values.Has("serviceProviderId") && !values.Has("groupId") {
		user, problem := call.target()
		if problem != nil {
			return nil, problem
		}
		return user.object(), nil
	}
	whole := !values.Has("groupId") // of an enterprise
	if problem := call.provider(); whole && problem != nil {
		return nil, problem
	}
	if problem := call.group(); !whole && problem != nil {
		return nil, problem
	}
	list := []any{}
	for _, user := range call.s.order {
		if user.Provider == values.Get("serviceProviderId") && (whole || user.Group == values.Get("groupId")) && selected(user, values) {
			list = append(list, user.object())
		}
	}
	if count, err := strconv.Atoi(values.Get("limit")); err == nil && count < len(list) && call.s.o.Paged == 0 {
		list = list[:count]
	}
	if call.s.o.Paged == 0 {
		return list, nil
	}
	return call.page(list), nil
}

// selected goes by the filters: v, v* and *v*, ignoring case.
func selected(user *user, table map[string][]string) bool {
	for name, value := range fields {
		if want := table[name]; len(want) > 0 {
			escaped := strings.NewReplacer("[", `\[`, "?", `\?`, `\`, `\\`, "/", "\x00").Replace(strings.ToLower(want[0]))
			have := strings.ReplaceAll(strings.ToLower(value(user)), "/", "\x00")
			if ok, _ := path.Match(escaped, have); !ok {
				return false
			}
		}
	}
	return true
}

func (c *call) page(list []any) any {
	offset, _ := strconv.Atoi(c.URL.Query().Get("offset"))
	from := min(max(0, offset), len(list))
	data := list[from:min(len(list), from+c.s.o.Paged)]
	return map[string]any{"total": len(list), "count": len(data), "offset": from, "data": data}
}

// groups are those of a provider, or the one that the query names.
func groups(call *call) (any, *problem) {
	if name := call.URL.Query().Get("groupId"); name != "" {
		return groupObject(call.URL.Query().Get("serviceProviderId"), name), call.group()
	}
	if problem := call.provider(); problem != nil {
		return nil, problem
	}
	seen, list := map[string]bool{}, []any{}
	for _, u := range append(call.s.order, &user{User: User{Provider: call.s.o.Provider, Group: call.s.o.Group}}) {
		if u.Provider == call.URL.Query().Get("serviceProviderId") && !seen[u.Group] {
			seen[u.Group] = true
			list = append(list, groupObject(u.Provider, u.Group))
		}
	}
	return list, nil
}

func groupObject(provider, group string) map[string]any {
	return map[string]any{"groupId": group, "groupName": group, "serviceProviderId": provider, "isEnterprise": true, "defaultDomain": "acme.example"}
}

// providers are all, or the one that the query names.
func providers(call *call) (any, *problem) {
	one := func(name string) map[string]any {
		return map[string]any{"serviceProviderId": name, "serviceProviderName": name, "isEnterprise": true, "defaultDomain": "acme.example"}
	}
	if name := call.URL.Query().Get("serviceProviderId"); name != "" {
		return one(name), call.provider()
	}
	return []any{one(call.s.o.Provider)}, nil
}

func groupServices(call *call) (any, *problem) {
	if problem := call.group(); problem != nil {
		return nil, problem
	}
	list := []any{map[string]any{"serviceName": Authentication}, map[string]any{"serviceName": VoiceMessaging}}
	return map[string]any{"userServices": list, "groupServices": []any{map[string]any{"serviceName": "Auto Attendant"}}}, nil
}
