package broadworkstest

import (
	"crypto/rand"
	"encoding/json"
	"math"
	"mime"
	"net/http"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
)

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
	v, _ := c.body[name].(string)
	return v
}

// mux serves the interface below /api/v2.
func (s *Simulator) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simulator", s.serveStatus)
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
		"PUT /groups/password-rules":                               putRules(func(r *Rules) any { return &r.GroupWeb }),
		"PUT /groups/passcode-rules":                               putRules(func(r *Rules) any { return &r.GroupPasscode }),
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

func (s *Simulator) handler(where string, serve func(*call) (any, *problem)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, p := s.serve(where, serve, r)
		if p != nil {
			writeJSON(w, p.status, map[string]any{"error": p.text, "status": p.status, "details": http.StatusText(p.status)})
			return
		}
		writeJSON(w, http.StatusOK, body)
	}
}

func (s *Simulator) serve(where string, serve func(*call) (any, *problem), r *http.Request) (any, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[operation(r)]++
	c := &call{Request: r, s: s, body: map[string]any{}}
	if r.Method != http.MethodGet {
		if p := c.read(where); p != nil {
			return nil, p
		}
	}
	open := r.Method == http.MethodPost && where == "/auth/token" || where == "/auth/password"
	if p := c.authenticate(); p != nil && !open {
		return nil, p
	}
	if !c.admin && !open && !slices.Contains(own, where) {
		return nil, forbidden
	}
	if status := s.o.NoRules; status != 0 && strings.HasSuffix(where, "-rules") {
		return nil, &problem{status, "[Error 5404] Unauthorized transaction."}
	}
	return serve(c)
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
	t, known := c.s.tokens[text]
	if !ok || !known || !t.until.IsZero() && !c.s.o.Now().Before(t.until) {
		delete(c.s.tokens, text)
		return unauthorised
	}
	c.by, c.admin = t.login, strings.EqualFold(t.login, c.s.o.Login)
	return nil
}

func (s *Simulator) issue(login string) map[string]any {
	t := token{login: login}
	if s.o.TokenLife > 0 {
		t.until = s.o.Now().Add(s.o.TokenLife)
	}
	text := rand.Text()
	s.tokens[text] = t
	s.issued++
	answer := s.sessionOf(login)
	answer["token"] = text
	return answer
}

func (s *Simulator) sessionOf(login string) map[string]any {
	kind := "User"
	if strings.EqualFold(login, s.o.Login) {
		kind = "Provisioning"
	}
	return map[string]any{"userId": login, "loginType": kind, "groupId": s.o.Group, "serviceProviderId": s.o.Provider,
		"locale": "en_US", "encoding": "ISO-8859-1", "isEnterprise": true, "passwordExpiresDays": s.expires()}
}

// expires is passwordExpiresDays as the interface writes it: negative numbers
// are strings.
func (s *Simulator) expires() any {
	switch days := s.o.Expires; {
	case days == nil:
		return math.MaxInt32
	case *days < 0:
		return strconv.Itoa(*days)
	default:
		return *days
	}
}

func login(c *call) (any, *problem) {
	name, password := c.text("username"), c.text("password")
	if p := c.s.try(name, password); p != nil {
		return nil, p
	}
	return c.s.issue(name), nil
}

// try is one login with a password, the administrator's or a user's web one.
func (s *Simulator) try(name, password string) *problem {
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
	u := s.users[strings.ToLower(name)]
	switch {
	case u == nil:
		return wrong
	case u.locked:
		return &problem{http.StatusUnauthorized, "[Error 5202] Account is disabled."}
	case password == "" || password != u.present(Web):
		if u.failed++; s.rules.GroupWeb.MaxFailedLoginAttempts > 0 && u.failed >= s.rules.GroupWeb.MaxFailedLoginAttempts {
			u.locked = true
		}
		return wrong
	}
	u.failed = 0
	return nil
}

func (u *user) present(kind string) string {
	if h := u.history[kind]; len(h) > 0 {
		return h[len(h)-1]
	}
	return ""
}

func (u *user) take(kind, value string) {
	u.history[kind] = append(u.history[kind], value)
	u.sets[kind]++
}

func changeOwn(c *call) (any, *problem) {
	if !strings.EqualFold(c.text("userId"), c.s.o.Login) || c.text("oldPassword") != c.s.o.Password {
		return nil, &problem{http.StatusUnauthorized, "[Error 4962] Invalid password"}
	}
	if rule := c.s.rules.SystemWeb.breaks(c.text("newPassword"), []string{c.s.o.Login}, []string{c.s.o.Password}); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	c.s.o.Password, c.s.o.MustChange = c.text("newPassword"), false
	return map[string]any{}, nil
}

func renew(way string) func(*call) (any, *problem) {
	return func(c *call) (any, *problem) {
		if c.s.o.Refresh != "" && c.s.o.Refresh != way {
			return nil, &problem{http.StatusNotFound, "There is no such resource."}
		}
		delete(c.s.tokens, strings.TrimPrefix(c.Header.Get("Authorization"), "Bearer "))
		return c.s.issue(c.by), nil
	}
}

func session(c *call) (any, *problem) { return c.s.sessionOf(c.by), nil }

func switchUser(c *call) (any, *problem) {
	if c.s.users[strings.ToLower(c.text("username"))] == nil {
		return nil, notFound("User", c.text("username"))
	}
	return c.s.issue(c.text("username")), nil
}

// many answers one value, or a list of limit.
func many(c *call, one, several string, make func() string) (any, *problem) {
	limit := c.URL.Query().Get("limit")
	if limit == "" {
		return map[string]any{one: make()}, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 {
		return nil, bad("limit is not valid.")
	}
	list := []string{}
	for range n - c.s.o.Short {
		list = append(list, make())
	}
	return map[string]any{several: list}, nil
}

func generatePasswords(c *call) (any, *problem) {
	rules := c.s.rules.SystemWeb
	if q := c.URL.Query(); q.Get("serviceProviderId") != "" || q.Get("groupId") != "" {
		if p := c.group(); p != nil {
			return nil, p
		}
		rules = c.s.rules.GroupWeb
	}
	return many(c, "password", "passwords", rules.generate)
}

func generatePasscodes(c *call) (any, *problem) {
	if p := c.group(); p != nil {
		return nil, p
	}
	return many(c, "passcode", "passcodes", c.s.rules.passcode().generate)
}

func generateSIP(c *call) (any, *problem) {
	return map[string]any{"password": c.s.rules.sip().generate()}, nil
}

// group checks that provider and group of the query are there.
func (c *call) group() *problem {
	q := c.URL.Query()
	if p := c.provider(); p != nil {
		return p
	}
	for _, u := range c.s.order {
		if u.Provider == q.Get("serviceProviderId") && u.Group == q.Get("groupId") {
			return nil
		}
	}
	if q.Get("groupId") == c.s.o.Group && q.Get("serviceProviderId") == c.s.o.Provider {
		return nil
	}
	return notFound("Group", q.Get("groupId"))
}

func (c *call) provider() *problem {
	name := c.URL.Query().Get("serviceProviderId")
	for _, u := range c.s.order {
		if u.Provider == name {
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
		if p := c.group(); p != nil {
			return nil, p
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
	u := c.s.users[strings.ToLower(id)]
	if u == nil {
		return nil, notFound("User", id)
	}
	return u, nil
}

// with finds the user and demands a service.
func (c *call) with(service string) (*user, *problem) {
	u, p := c.target()
	if p == nil && !slices.Contains(u.services(true), service) {
		return nil, bad("[Error 4410] User service is not assigned: " + service)
	}
	return u, p
}

// services are the names in force.
func (u *user) services(packs bool) []string {
	list := slices.Clone(u.Services)
	for _, service := range u.Packs {
		if packs {
			list = append(list, service)
		}
	}
	sort.Strings(list)
	return slices.Compact(list)
}

func getSIP(c *call) (any, *problem) {
	u, p := c.with(Authentication)
	if p != nil {
		return nil, p
	}
	return map[string]any{"userId": u.ID, "userName": u.SIPName}, nil
}

func setSIP(c *call) (any, *problem) {
	u, p := c.with(Authentication)
	if p != nil {
		return nil, p
	}
	if name := c.text("userName"); name != "" {
		u.SIPName = name
	}
	if rule := c.s.rules.sip().breaks(c.text("newPassword"), []string{u.SIPName}, u.history[SIP]); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	u.take(SIP, c.text("newPassword"))
	return map[string]any{"userId": u.ID, "userName": u.SIPName, "newPassword": ""}, nil
}

func getPasscode(c *call) (any, *problem) {
	u, p := c.with(VoiceMessaging)
	if p != nil {
		return nil, p
	}
	return map[string]any{"userId": u.ID, "isLoginDisabled": u.vmOff, "expirationDays": 0, "passcode": "*****"}, nil
}

func setPasscode(c *call) (any, *problem) {
	u, p := c.with(VoiceMessaging)
	if p != nil {
		return nil, p
	}
	if rule := c.s.rules.passcode().breaks(c.text("newPasscode"), []string{u.DN, u.Extension}, u.history[Voicemail]); rule != "" {
		return nil, bad("[Error 4970] Invalid passcode: it " + rule + ".")
	}
	u.take(Voicemail, c.text("newPasscode"))
	u.vmOff = false
	return []any{}, nil
}

func getWeb(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	return map[string]any{"userId": u.ID, "passwordExpiresDays": c.s.expires(), "isLoginDisabled": u.locked}, nil
}

func setWeb(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	if rule := c.s.rules.GroupWeb.breaks(c.text("newPassword"), []string{u.ID}, u.history[Web]); rule != "" {
		return nil, bad("[Error 4964] Invalid password: it " + rule + ".")
	}
	u.take(Web, c.text("newPassword"))
	u.locked, u.failed = false, 0
	return map[string]any{}, nil
}

func loginInfo(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	if !c.admin && !strings.EqualFold(c.by, u.ID) {
		return nil, forbidden
	}
	return map[string]any{"userId": u.ID, "loginType": "User", "groupId": u.Group, "serviceProviderId": u.Provider, "firstName": u.First, "lastName": u.Last,
		"passwordExpiresDays": c.s.expires(), "isAlternateUserId": false, "broadworksUserId": u.ID}, nil
}

func servicesAssigned(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	list := []any{}
	for _, name := range u.services(!c.s.o.PacksHidden) {
		list = append(list, map[string]any{"serviceName": name, "isActive": true})
	}
	return map[string]any{"userId": u.ID, "userServices": list, "groupServices": []any{map[string]any{"serviceName": "Auto Attendant"}}}, nil
}

func services(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	list, packs := []any{}, []any{}
	for _, name := range []string{Authentication, "Call Forwarding Always", VoiceMessaging} {
		list = append(list, map[string]any{"serviceName": name, "assigned": slices.Contains(u.Services, name)})
	}
	for name := range u.Packs {
		packs = append(packs, map[string]any{"serviceName": name, "assigned": true})
	}
	return map[string]any{"userId": u.ID, "serviceProviderId": u.Provider, "groupId": u.Group, "userServices": list, "servicePackServices": packs}, nil
}

func assignServices(c *call) (any, *problem) {
	u, p := c.target()
	if p != nil {
		return nil, p
	}
	list, _ := c.body["userServices"].([]any)
	for _, item := range list {
		o, _ := item.(map[string]any)
		name, _ := o["serviceName"].(string)
		u.Services = slices.DeleteFunc(slices.Clone(u.Services), func(have string) bool { return have == name })
		if on, _ := o["assigned"].(bool); on {
			u.Services = append(u.Services, name)
		}
	}
	return map[string]any{}, nil
}

func (u *user) object() map[string]any {
	return map[string]any{"userId": u.ID, "serviceProviderId": u.Provider, "groupId": u.Group, "firstName": u.First, "lastName": u.Last,
		"emailAddress": u.Email, "phoneNumber": u.DN, "extension": u.Extension, "inTrunkGroup": false}
}

// fields are what users can be filtered by.
var fields = map[string]func(*user) string{
	"lastName": func(u *user) string { return u.Last }, "firstName": func(u *user) string { return u.First }, "dn": func(u *user) string { return u.DN },
	"emailAddress": func(u *user) string { return u.Email }, "userId": func(u *user) string { return u.ID }, "extension": func(u *user) string { return u.Extension },
	"macAddress": func(*user) string { return "" },
}

func getUsers(c *call) (any, *problem) {
	q := c.URL.Query()
	if !q.Has("serviceProviderId") && !q.Has("groupId") {
		u, p := c.target()
		if p != nil {
			return nil, p
		}
		return u.object(), nil
	}
	whole := !q.Has("groupId") // of an enterprise
	if p := c.provider(); whole && p != nil {
		return nil, p
	}
	if p := c.group(); !whole && p != nil {
		return nil, p
	}
	list := []any{}
	for _, u := range c.s.order {
		if u.Provider == q.Get("serviceProviderId") && (whole || u.Group == q.Get("groupId")) && selected(u, q) {
			list = append(list, u.object())
		}
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n < len(list) && c.s.o.Paged == 0 {
		list = list[:n]
	}
	if c.s.o.Paged == 0 {
		return list, nil
	}
	return c.page(list), nil
}

// selected goes by the filters: v, v* and *v*, ignoring case.
func selected(u *user, q map[string][]string) bool {
	for name, value := range fields {
		if want := q[name]; len(want) > 0 {
			escaped := strings.NewReplacer("[", `\[`, "?", `\?`, `\`, `\\`, "/", "\x00").Replace(strings.ToLower(want[0]))
			have := strings.ReplaceAll(strings.ToLower(value(u)), "/", "\x00")
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
func groups(c *call) (any, *problem) {
	if name := c.URL.Query().Get("groupId"); name != "" {
		return groupObject(c.URL.Query().Get("serviceProviderId"), name), c.group()
	}
	if p := c.provider(); p != nil {
		return nil, p
	}
	seen, list := map[string]bool{}, []any{}
	for _, u := range append(c.s.order, &user{User: User{Provider: c.s.o.Provider, Group: c.s.o.Group}}) {
		if u.Provider == c.URL.Query().Get("serviceProviderId") && !seen[u.Group] {
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
func providers(c *call) (any, *problem) {
	one := func(name string) map[string]any {
		return map[string]any{"serviceProviderId": name, "serviceProviderName": name, "isEnterprise": true, "defaultDomain": "acme.example"}
	}
	if name := c.URL.Query().Get("serviceProviderId"); name != "" {
		return one(name), c.provider()
	}
	return []any{one(c.s.o.Provider)}, nil
}

func groupServices(c *call) (any, *problem) {
	if p := c.group(); p != nil {
		return nil, p
	}
	list := []any{map[string]any{"serviceName": Authentication}, map[string]any{"serviceName": VoiceMessaging}}
	return map[string]any{"userServices": list, "groupServices": []any{map[string]any{"serviceName": "Auto Attendant"}}}, nil
}
