package smartcloudtest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// problem is an error answer.
type problem struct {
	status int
	id     string
	text   string
}

// reply writes the envelope in the spelling that the options ask for.
func (s *Simulator) reply(w http.ResponseWriter, p *problem) {
	code := strconv.Itoa(p.status)
	action := "Correct the request and try again."
	body := map[string]string{"ResponseMessage": p.text, "ResponseCode": code, "Severity": "Error", "Useraction": action, "MessageCode": p.id}
	if s.o.Spelling == "B" {
		body = map[string]string{"ResponseMessage": p.text, "responseCode": code, "severity": "Error", "userAction": action, "messageId": p.id}
	}
	writeJSON(w, p.status, map[string]any{"BSSResponse": body})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// caller is who a request comes from.
type caller struct {
	*subscriber
	administers bool
}

// handle is one operation: who may call it, and what it does with the state
// locked. It returns a body for status 200, nothing for 204, or a problem.
type handle struct {
	owner bool // an ordinary account may call it too, about itself
	serve func(s *Simulator, r *http.Request, by caller) (any, *problem)
}

func (s *Simulator) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simulator", s.serveStatus)
	const service, resource = "/api/bss/service/", "/api/bss/resource/subscriber"
	for pattern, h := range map[string]handle{
		"POST " + service + "authentication/setOneTimePassword": {serve: setOneTimePassword},
		"POST " + service + "authentication/changePassword":     {serve: changePassword},
		"POST " + service + "authentication/setUserPassword":    {serve: setUserPassword},
		"POST " + service + "authentication/resetPassword":      {serve: resetPassword},
		"POST " + service + "authorization/getRoleList":         {owner: true, serve: getRoleList},
		"POST " + service + "authorization/assignRole":          {serve: assignRole},
		"POST " + service + "authorization/unassignRole":        {serve: unassignRole},
		"GET " + resource:              {owner: true, serve: listSubscribers},
		"POST " + resource:             {serve: addSubscriber},
		"GET " + resource + "/{id}":    {owner: true, serve: readSubscriber},
		"POST " + resource + "/{id}":   {serve: moveSubscriber},
		"DELETE " + resource + "/{id}": {serve: deleteSubscriber},
		"GET " + customers:             {serve: listCustomers},
		"GET " + customers + "/{id}":   {serve: readCustomer},
	} {
		mux.HandleFunc(pattern, s.handler(h))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.reply(w, &problem{404, "BZSBS0404E", "There is no such resource."})
	})
	return mux
}

const customers = "/api/bss/resource/customer"

// slashes takes a final slash for none, unless the options are strict.
func (s *Simulator) slashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ends := strings.CutSuffix(r.URL.Path, "/"); ends && path != "" && !s.o.Strict {
			r = r.Clone(r.Context())
			r.URL.Path = path
		}
		next.ServeHTTP(w, r)
	})
}

// stamp is a date as the interface writes it.
func stamp(t time.Time) string { return t.UTC().Format("01/02/2006 15:04:05") }

// customer is an organisation as the interface shows it.
func (s *Simulator) customer(id int64) map[string]any {
	when := stamp(s.order[0].created)
	return map[string]any{
		"Id": id, "CustomerState": "ACTIVE", "CustomerType": "DIRECT", "IsGuest": false, "IsPartner": false, "IsSyncPending": false, "LastSyncDate": when,
		"CustomerAccountSet": []any{map[string]any{"VendorId": 10, "PaymentMethodType": "PURCHASE_ORDER", "CurrencyType": "USD"}},
		"Organization": map[string]any{
			"OrgName": organisation(id), "Owner": id, "Created": when, "Modified": when, "Deleted": "", "PartyType": "ORGANIZATION", "Industry": "", "CompanySize": "",
			"SecurityRealm": NonFederated, "LanguagePreference": "EN_US", "TimeZone": "America/Central",
			"Contact": map[string]any{"GivenName": "", "FamilyName": "", "EmailAddress": s.o.Admin, "WorkPhone": "", "JobTitle": "",
				"Created": when, "Modified": when, "Deleted": "", "SecurityRealm": NonFederated, "TimeZone": "America/Central"},
			"AddressSet": []any{map[string]any{"AddressType": "MAILING", "AddressLine1": "", "City": "", "Country": "", "CountryCode": "", "Modified": when}},
		},
	}
}

func organisation(id int64) string { return fmt.Sprintf("Organisation %d", id) }

// customerIDs are the organisations of all accounts, in their order.
func (s *Simulator) customerIDs() []int64 {
	var list []int64
	for _, a := range s.order {
		if !slices.Contains(list, a.Customer) {
			list = append(list, a.Customer)
		}
	}
	return list
}

// listCustomers is the list, and the named query for a name.
func listCustomers(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	q := r.URL.Query()
	named := q.Get("_namedQuery")
	if named != "" && named != "getCustomerByOrgName" {
		return nil, &problem{400, "BZSBS0400E", "The query is not known."}
	}
	var list []any
	for _, id := range s.customerIDs() {
		if named == "" || strings.EqualFold(organisation(id), q.Get("orgName")) {
			list = append(list, s.customer(id))
		}
	}
	if len(list) == 0 {
		return nil, &problem{404, "BZSCU1004E", "The customer was not found."}
	}
	page, err := s.page(list, q.Get("_pageNumber"), q.Get("_pageSize"))
	return map[string]any{"List": page}, err
}

func readCustomer(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if !slices.Contains(s.customerIDs(), id) {
		return nil, &problem{404, "BZSCU1004E", "The customer was not found."}
	}
	return map[string]any{"Customer": s.customer(id)}, nil
}

func (s *Simulator) handler(h handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, p, wait := s.serve(h, r)
		switch {
		case p != nil:
			if wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			}
			if p.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="BSS"`)
			}
			s.reply(w, p)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, body)
		}
	}
}

func (s *Simulator) serve(h handle, r *http.Request) (any, *problem, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); s.o.Strict && r.ContentLength > 0 && kind != "application/json" {
		return nil, &problem{415, "BZSBS0415E", "The request body is not application/json."}, 0
	}
	op := operation(r)
	s.requests[op]++
	if wait := s.overload(op); wait > 0 {
		s.refused++
		if !s.o.Budget.RetryAfter {
			wait = 0
		}
		return nil, &problem{503, "BZSBS0503E", "The system is busy. Try again later."}, wait
	}
	by, p := s.authenticate(r)
	if p == nil && !by.administers && !h.owner {
		p = &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	if p != nil {
		return nil, p, 0
	}
	body, p := h.serve(s, r, by)
	return body, p, 0
}

// overload returns how long until the budget is fresh, 0 if there is room.
func (s *Simulator) overload(op string) time.Duration {
	b := s.o.Budget
	if b.Limit == 0 {
		return 0
	}
	now := s.o.Now()
	if now.Sub(s.period) >= b.Period {
		s.period, s.spent = now, 0
	}
	weight, ok := b.Weights[op]
	if !ok {
		weight = 1
	}
	if s.spent+weight > b.Limit {
		return max(time.Nanosecond, b.Period-now.Sub(s.period))
	}
	s.spent += weight
	return 0
}

func (s *Simulator) authenticate(r *http.Request) (caller, *problem) {
	login, password, ok := r.BasicAuth()
	a := s.accounts[strings.ToLower(login)]
	if !ok || a == nil || !a.logon(password) {
		return caller{}, &problem{401, "BZSAU1001E", "The user name or the password is not valid."}
	}
	administers := slices.Contains(a.Roles, "CustomerAdministrator") || slices.Contains(a.Roles, "VSR")
	return caller{a, administers && !a.OneTime}, nil
}

// credential is the body of the password operations. Pointers tell an absent
// field from an empty one.
type credential struct {
	LoginName       string
	OldPassword     *string
	NewPassword     *string
	ConfirmPassword *string
}

// credentials reads the body and finds its account.
func (s *Simulator) credentials(r *http.Request) (*subscriber, credential, *problem) {
	var body struct{ UserCredential *credential }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.UserCredential == nil {
		return nil, credential{}, &problem{400, "BZSBS0400E", "The request body is not valid."}
	}
	c := *body.UserCredential
	if c.NewPassword == nil || *c.NewPassword == "" {
		return nil, c, &problem{400, "BZSAU1011E", "NewPassword is missing."}
	}
	a, p := s.find(c.LoginName)
	return a, c, p
}

func (s *Simulator) find(login string) (*subscriber, *problem) {
	if login == "" {
		return nil, &problem{400, "BZSAU1010E", "LoginName is missing."}
	}
	a := s.accounts[strings.ToLower(login)]
	if a == nil {
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	}
	return a, a.mayHavePassword()
}

func (s *Simulator) policy(a *subscriber, value string) *problem {
	if rule := a.breaks(value, s.o.RepeatAllowed); rule != "" {
		return &problem{400, "BZSAU1015E", "The password does not comply with the password policy: it " + rule + "."}
	}
	return nil
}

func (s *Simulator) take(a *subscriber, value string, oneTime bool) {
	a.take(value, oneTime)
	a.changed = s.o.Now()
}

func setOneTimePassword(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	a, c, p := s.credentials(r)
	if p != nil {
		return nil, p
	}
	if p := s.policy(a, *c.NewPassword); p != nil {
		return nil, p
	}
	s.take(a, *c.NewPassword, true)
	return nil, nil
}

func changePassword(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	a, c, p := s.credentials(r)
	switch {
	case p != nil:
		return nil, p
	case c.OldPassword == nil:
		return nil, &problem{400, "BZSAU1012E", "OldPassword is missing."}
	case c.ConfirmPassword == nil:
		return nil, &problem{400, "BZSAU1013E", "ConfirmPassword is missing."}
	case a.Password == "" || *c.OldPassword != a.Password:
		return nil, &problem{400, "BZSAU1014E", "The old password is not correct."}
	case *c.ConfirmPassword != *c.NewPassword:
		return nil, &problem{400, "BZSAU1016E", "NewPassword and ConfirmPassword are not the same."}
	}
	if p := s.policy(a, *c.NewPassword); p != nil {
		return nil, p
	}
	s.take(a, *c.NewPassword, false)
	if a.State == Pending && !s.o.StayPending {
		a.State = Active
	}
	return nil, nil
}

func setUserPassword(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	a, c, p := s.credentials(r)
	if p != nil {
		return nil, p
	}
	if a.State != Active {
		return nil, &problem{409, "BZSAU1020E", "The operation is not allowed while the subscriber is in state " + a.State + "."}
	}
	if !strings.EqualFold(r.URL.Query().Get("bypassPolicy"), "true") {
		if p := s.policy(a, *c.NewPassword); p != nil {
			return nil, p
		}
	}
	s.take(a, *c.NewPassword, false)
	return nil, nil
}

func resetPassword(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	login := r.URL.Query().Get("loginName")
	if !s.o.Strict {
		login = strings.TrimSpace(login) // a public client sends a blank after it
	}
	a, p := s.find(login)
	if p != nil {
		return nil, p
	}
	s.take(a, mailed(), true)
	a.mails++
	return nil, nil
}

func getRoleList(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.roles(r, by)
	if p != nil {
		return nil, p
	}
	return map[string]any{"List": a.Roles}, nil
}

func assignRole(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.roles(r, by)
	if role := r.URL.Query().Get("role"); p == nil && !slices.Contains(a.Roles, role) {
		a.Roles = append(a.Roles, role)
	}
	return nil, p
}

func unassignRole(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.roles(r, by)
	if p == nil {
		a.Roles = slices.DeleteFunc(slices.Clone(a.Roles), func(role string) bool { return role == r.URL.Query().Get("role") })
	}
	return nil, p
}

func (s *Simulator) roles(r *http.Request, by caller) (*subscriber, *problem) {
	a := s.accounts[strings.ToLower(r.URL.Query().Get("loginName"))]
	switch {
	case a == nil && by.administers:
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	case a == nil || !by.administers && a != by.subscriber:
		return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	return a, nil
}

// listSubscribers is the list, whole or in pages, and the two named queries.
func listSubscribers(s *Simulator, r *http.Request, by caller) (any, *problem) {
	q := r.URL.Query()
	selects, err := s.selection(r)
	if err != nil {
		return nil, err
	}
	var list []any
	for _, a := range s.order {
		if !selects(a) {
			continue
		}
		if !by.administers && a != by.subscriber {
			return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
		}
		list = append(list, a.object())
	}
	if len(list) == 0 && q.Get("_namedQuery") != "" {
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	}
	page, err := s.page(list, q.Get("_pageNumber"), q.Get("_pageSize"))
	return map[string]any{"List": page}, err
}

func (s *Simulator) selection(r *http.Request) (func(*subscriber) bool, *problem) {
	q := r.URL.Query()
	switch name := q.Get("_namedQuery"); name {
	case "":
		return func(*subscriber) bool { return true }, nil
	case "getSubscriberByEmailAddress":
		return func(a *subscriber) bool { return strings.EqualFold(a.Login, q.Get("emailAddress")) }, nil
	case "getSubscriberByCustomer":
		return func(a *subscriber) bool { return strconv.FormatInt(a.Customer, 10) == q.Get("customer") }, nil
	}
	return nil, &problem{400, "BZSBS0400E", "The query is not known."}
}

func (s *Simulator) page(list []any, number, size string) ([]any, *problem) {
	n, err1 := strconv.Atoi(cmpOr(number, "1"))
	m, err2 := strconv.Atoi(cmpOr(size, strconv.Itoa(max(1, len(list)))))
	if err1 != nil || err2 != nil || n < 1 || m < 1 {
		return nil, &problem{400, "BZSBS0400E", "The page is not valid."}
	}
	if s.o.MaxPage > 0 && size != "" {
		m = min(m, s.o.MaxPage)
	}
	from := min(len(list), (n-1)*m)
	return append([]any{}, list[from:min(len(list), from+m)]...), nil
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// object is the subscriber as the interface shows it.
func (a *subscriber) object() map[string]any {
	return map[string]any{
		"Id": a.id, "CustomerId": a.Customer, "SubscriberState": a.State, "PartyRoleType": "SUBSCRIBER", "IsGuest": false, "SeatSet": []any{},
		"Person": map[string]any{
			"EmailAddress": a.Login, "GivenName": a.Given, "FamilyName": a.Family, "RoleSet": a.Roles,
			"SecurityRealm": a.Realm, "LanguagePreference": "EN_US", "OrgName": organisation(a.Customer), "Owner": a.Customer,
			"Created": stamp(a.created), "Modified": stamp(a.changed), "Deleted": "", "NamePrefix": "", "NameSuffix": "", "EmployeeNumber": "",
		},
	}
}

func (s *Simulator) withID(r *http.Request, by caller) (*subscriber, *problem) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	a := s.byID[id]
	switch {
	case a == nil:
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	case !by.administers && a != by.subscriber:
		return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	return a, nil
}

func readSubscriber(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.withID(r, by)
	if p != nil {
		return nil, p
	}
	return map[string]any{"Subscriber": a.object()}, nil
}

func addSubscriber(s *Simulator, r *http.Request, _ caller) (any, *problem) {
	var body struct {
		Subscriber struct {
			CustomerId any
			Person     struct {
				RoleSet                             []string
				FamilyName, GivenName, EmailAddress string
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Subscriber.Person.EmailAddress == "" {
		return nil, &problem{400, "BZSBS0400E", "The request body is not valid."}
	}
	customer, ok := s.customerID(body.Subscriber.CustomerId)
	if !ok {
		return nil, &problem{400, "BZSBS0400E", "The CustomerId is not valid."}
	}
	p := body.Subscriber.Person
	if s.accounts[strings.ToLower(p.EmailAddress)] != nil {
		return nil, &problem{409, "BZSSU1001E", "The e-mail address already exists."}
	}
	a := s.add(Account{Login: p.EmailAddress, State: Pending, Given: p.GivenName, Family: p.FamilyName, Roles: p.RoleSet, Customer: customer})
	return map[string]any{"Long": a.id}, nil
}

// customerID reads an organisation's id: a number, or unless the options are
// strict one in a string, as the templates of public clients have it.
func (s *Simulator) customerID(v any) (int64, bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case float64:
		return int64(v), v == float64(int64(v))
	case string:
		id, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return id, !s.o.Strict && (err == nil || v == "")
	}
	return 0, false
}

// moves are the x-operations: from which state to which.
var moves = map[string]struct{ from, to string }{
	"activateSubscriber":  {Pending, Active},
	"suspendSubscriber":   {Active, Suspended},
	"unsuspendSubscriber": {Suspended, Active},
	"unSuspendSubscriber": {Suspended, Active},
	"restoreSubscriber":   {SoftDeleted, Active},
}

func moveSubscriber(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.withID(r, by)
	if p != nil {
		return nil, p
	}
	move, ok := moves[r.Header.Get("x-operation")]
	switch {
	case !ok:
		return nil, &problem{400, "BZSBS0400E", "The operation is not known."}
	case a.State != move.from:
		return nil, &problem{409, "BZSAU1020E", "The operation is not allowed while the subscriber is in state " + a.State + "."}
	}
	a.State, a.changed = move.to, s.o.Now()
	return nil, nil
}

func deleteSubscriber(s *Simulator, r *http.Request, by caller) (any, *problem) {
	a, p := s.withID(r, by)
	if p != nil {
		return nil, p
	}
	if r.URL.Query().Get("moveToSoftDelete") == "true" {
		a.State = SoftDeleted
		return nil, nil
	}
	delete(s.byID, a.id)
	delete(s.accounts, strings.ToLower(a.Login))
	s.order = slices.DeleteFunc(s.order, func(o *subscriber) bool { return o == a })
	return nil, nil
}
