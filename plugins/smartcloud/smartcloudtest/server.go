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

	"github.com/rekey-host/rekey/plugins/internal/simulator"
)

// api reads the calls of HTTP, hands them to their handle and writes the answer.
type api struct{ *Simulator }

// directory is the customers and the subscribers. Whoever asks it holds the lock.
type directory struct{ *Simulator }

// problem is an error answer.
type problem struct {
	status int
	id     string
	text   string
}

// reply writes the envelope in the spelling that the options ask for.
func (s api) reply(w http.ResponseWriter, problem *problem) {
	code := strconv.Itoa(problem.status)
	action := "Correct the request and try again."
	body := map[string]string{"ResponseMessage": problem.text, "ResponseCode": code, "Severity": "Error", "Useraction": action, "MessageCode": problem.id}
	if s.o.Spelling == "B" {
		body = map[string]string{"ResponseMessage": problem.text, "responseCode": code, "severity": "Error", "userAction": action, "messageId": problem.id}
	}
	writeJSON(w, problem.status, map[string]any{"BSSResponse": body})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// caller is who a request comes from.
type caller struct {
	*subscriber
	administers bool
}

// handle is one operation: who may call it, and its work with the state
// locked. It returns a body for status 200, nothing for 204, or a problem.
type handle struct {
	owner bool // an ordinary account may call it too, about itself
	serve func(s *Simulator, r *http.Request, by caller) (any, *problem)
}

func (s api) mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /simulator", simulator.ServeJSON(func() any { return s.Status() }))
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

// slashes ignores a final slash, unless the options are strict.
func (s api) slashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ends := strings.CutSuffix(r.URL.Path, "/"); ends && path != "" && !s.o.Strict {
			r = r.Clone(r.Context())
			r.URL.Path = path
		}
		next.ServeHTTP(w, r)
	})
}

// stamp is a date as the interface writes it.
func stamp(at time.Time) string { return at.UTC().Format("01/02/2006 15:04:05") }

// customer is an organisation as the interface shows it.
func (s directory) customer(id int64) map[string]any {
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
func (s directory) customerIDs() []int64 {
	var list []int64
	for _, subscriber := range s.order {
		if !slices.Contains(list, subscriber.Customer) {
			list = append(list, subscriber.Customer)
		}
	}
	return list
}

// listCustomers is the list, and the named query for a name.
func listCustomers(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	values := r.URL.Query()
	named := values.Get("_namedQuery")
	if named != "" && named != "getCustomerByOrgName" {
		return nil, &problem{400, "BZSBS0400E", "The query is not known."}
	}
	var list []any
	for _, id := range (directory{simulator}).customerIDs() {
		if named == "" || strings.EqualFold(organisation(id), values.Get("orgName")) {
			list = append(list, directory{simulator}.customer(id))
		}
	}
	if len(list) == 0 {
		return nil, &problem{404, "BZSCU1004E", "The customer was not found."}
	}
	page, err := directory{simulator}.page(list, values.Get("_pageNumber"), values.Get("_pageSize"))
	return map[string]any{"List": page}, err
}

func readCustomer(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if !slices.Contains((directory{simulator}).customerIDs(), id) {
		return nil, &problem{404, "BZSCU1004E", "The customer was not found."}
	}
	return map[string]any{"Customer": directory{simulator}.customer(id)}, nil
}

func (s api) handler(handle handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, problem, wait := s.serve(handle, r)
		switch {
		case problem != nil:
			if wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			}
			if problem.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="BSS"`)
			}
			s.reply(w, problem)
		case body == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			writeJSON(w, http.StatusOK, body)
		}
	}
}

func (s api) serve(handle handle, r *http.Request) (any, *problem, time.Duration) {
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
	if p == nil && !by.administers && !handle.owner {
		p = &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	if p != nil {
		return nil, p, 0
	}
	body, p := handle.serve(s.Simulator, r, by)
	return body, p, 0
}

// overload returns how long until the budget is fresh, 0 if there is room.
func (s api) overload(op string) time.Duration {
	budget := s.o.Budget
	if budget.Limit == 0 {
		return 0
	}
	now := s.o.Now()
	if now.Sub(s.period) >= budget.Period {
		s.period, s.spent = now, 0
	}
	weight, ok := budget.Weights[op]
	if !ok {
		weight = 1
	}
	if s.spent+weight > budget.Limit {
		return max(time.Nanosecond, budget.Period-now.Sub(s.period))
	}
	s.spent += weight
	return 0
}

func (s api) authenticate(r *http.Request) (caller, *problem) {
	login, password, ok := r.BasicAuth()
	subscriber := s.accounts[strings.ToLower(login)]
	if !ok || subscriber == nil || !subscriber.logon(password) {
		return caller{}, &problem{401, "BZSAU1001E", "The user name or the password is not valid."}
	}
	administers := slices.Contains(subscriber.Roles, "CustomerAdministrator") || slices.Contains(subscriber.Roles, "VSR")
	return caller{subscriber, administers && !subscriber.OneTime}, nil
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
func (s api) credentials(r *http.Request) (*subscriber, credential, *problem) {
	var body struct{ UserCredential *credential }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.UserCredential == nil {
		return nil, credential{}, &problem{400, "BZSBS0400E", "The request body is not valid."}
	}
	c := *body.UserCredential
	if c.NewPassword == nil || *c.NewPassword == "" {
		return nil, c, &problem{400, "BZSAU1011E", "NewPassword is missing."}
	}
	subscriber, p := directory(s).find(c.LoginName)
	return subscriber, c, p
}

func (s directory) find(login string) (*subscriber, *problem) {
	if login == "" {
		return nil, &problem{400, "BZSAU1010E", "LoginName is missing."}
	}
	subscriber := s.accounts[strings.ToLower(login)]
	if subscriber == nil {
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	}
	return subscriber, subscriber.mayHavePassword()
}

func (s directory) policy(subscriber *subscriber, value string) *problem {
	if rule := subscriber.breaks(value, s.o.RepeatAllowed); rule != "" {
		return &problem{400, "BZSAU1015E", "The password does not comply with the password policy: it " + rule + "."}
	}
	return nil
}

func (s directory) take(subscriber *subscriber, value string, oneTime bool) {
	subscriber.take(value, oneTime)
	subscriber.changed = s.o.Now()
}

func setOneTimePassword(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	subscriber, credential, problem := api{simulator}.credentials(r)
	if problem != nil {
		return nil, problem
	}
	if problem := (directory{simulator}).policy(subscriber, *credential.NewPassword); problem != nil {
		return nil, problem
	}
	directory{simulator}.take(subscriber, *credential.NewPassword, true)
	return nil, nil
}

func changePassword(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	subscriber, credential, p := api{simulator}.credentials(r)
	switch {
	case p != nil:
		return nil, p
	case credential.OldPassword == nil:
		return nil, &problem{400, "BZSAU1012E", "OldPassword is missing."}
	case credential.ConfirmPassword == nil:
		return nil, &problem{400, "BZSAU1013E", "ConfirmPassword is missing."}
	case subscriber.Password == "" || *credential.OldPassword != subscriber.Password:
		return nil, &problem{400, "BZSAU1014E", "The old password is not correct."}
	case *credential.ConfirmPassword != *credential.NewPassword:
		return nil, &problem{400, "BZSAU1016E", "NewPassword and ConfirmPassword are not the same."}
	}
	if problem := (directory{simulator}).policy(subscriber, *credential.NewPassword); problem != nil {
		return nil, problem
	}
	directory{simulator}.take(subscriber, *credential.NewPassword, false)
	if subscriber.State == Pending && !simulator.o.StayPending {
		subscriber.State = Active
	}
	return nil, nil
}

func setUserPassword(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	subscriber, credential, p := api{simulator}.credentials(r)
	if p != nil {
		return nil, p
	}
	if subscriber.State != Active {
		return nil, &problem{409, "BZSAU1020E", "The operation is not allowed while the subscriber is in state " + subscriber.State + "."}
	}
	if !strings.EqualFold(r.URL.Query().Get("bypassPolicy"), "true") {
		if problem := (directory{simulator}).policy(subscriber, *credential.NewPassword); problem != nil {
			return nil, problem
		}
	}
	directory{simulator}.take(subscriber, *credential.NewPassword, false)
	return nil, nil
}

func resetPassword(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
	login := r.URL.Query().Get("loginName")
	if !simulator.o.Strict {
		login = strings.TrimSpace(login) // a public client sends a blank after it
	}
	subscriber, problem := directory{simulator}.find(login)
	if problem != nil {
		return nil, problem
	}
	directory{simulator}.take(subscriber, mailed(), true)
	subscriber.mails++
	return nil, nil
}

func getRoleList(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	subscriber, problem := directory{simulator}.roles(r, by)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"List": subscriber.Roles}, nil
}

func assignRole(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	subscriber, problem := directory{simulator}.roles(r, by)
	if role := r.URL.Query().Get("role"); problem == nil && !slices.Contains(subscriber.Roles, role) {
		subscriber.Roles = append(subscriber.Roles, role)
	}
	return nil, problem
}

func unassignRole(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	subscriber, problem := directory{simulator}.roles(r, by)
	if problem == nil {
		subscriber.Roles = slices.DeleteFunc(slices.Clone(subscriber.Roles), func(role string) bool { return role == r.URL.Query().Get("role") })
	}
	return nil, problem
}

func (s directory) roles(r *http.Request, by caller) (*subscriber, *problem) {
	subscriber := s.accounts[strings.ToLower(r.URL.Query().Get("loginName"))]
	switch {
	case subscriber == nil && by.administers:
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	case subscriber == nil || !by.administers && subscriber != by.subscriber:
		return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	return subscriber, nil
}

// listSubscribers is the list, whole or in pages, and the two named queries.
func listSubscribers(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	values := r.URL.Query()
	selects, err := directory{simulator}.selection(r)
	if err != nil {
		return nil, err
	}
	var list []any
	for _, subscriber := range simulator.order {
		if !selects(subscriber) {
			continue
		}
		if !by.administers && subscriber != by.subscriber {
			return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
		}
		list = append(list, subscriber.object())
	}
	if len(list) == 0 && values.Get("_namedQuery") != "" {
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	}
	page, err := directory{simulator}.page(list, values.Get("_pageNumber"), values.Get("_pageSize"))
	return map[string]any{"List": page}, err
}

func (s directory) selection(r *http.Request) (func(*subscriber) bool, *problem) {
	values := r.URL.Query()
	switch name := values.Get("_namedQuery"); name {
	case "":
		return func(*subscriber) bool { return true }, nil
	case "getSubscriberByEmailAddress":
		return func(a *subscriber) bool { return strings.EqualFold(a.Login, values.Get("emailAddress")) }, nil
	case "getSubscriberByCustomer":
		return func(a *subscriber) bool { return strconv.FormatInt(a.Customer, 10) == values.Get("customer") }, nil
	}
	return nil, &problem{400, "BZSBS0400E", "The query is not known."}
}

func (s directory) page(list []any, number, size string) ([]any, *problem) {
	count, err1 := strconv.Atoi(cmpOr(number, "1"))
	most, err2 := strconv.Atoi(cmpOr(size, strconv.Itoa(max(1, len(list)))))
	if err1 != nil || err2 != nil || count < 1 || most < 1 {
		return nil, &problem{400, "BZSBS0400E", "The page is not valid."}
	}
	if s.o.MaxPage > 0 && size != "" {
		most = min(most, s.o.MaxPage)
	}
	from := min(len(list), (count-1)*most)
	return append([]any{}, list[from:min(len(list), from+most)]...), nil
}

func cmpOr(first, second string) string {
	if first == "" {
		return second
	}
	return first
}

func (s directory) withID(r *http.Request, by caller) (*subscriber, *problem) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	subscriber := s.byID[id]
	switch {
	case subscriber == nil:
		return nil, &problem{404, "BZSAU1004E", "The subscriber was not found."}
	case !by.administers && subscriber != by.subscriber:
		return nil, &problem{403, "BZSAU1003E", "The caller is not authorized."}
	}
	return subscriber, nil
}

func readSubscriber(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	subscriber, problem := directory{simulator}.withID(r, by)
	if problem != nil {
		return nil, problem
	}
	return map[string]any{"Subscriber": subscriber.object()}, nil
}

func addSubscriber(simulator *Simulator, r *http.Request, _ caller) (any, *problem) {
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
	customer, ok := directory{simulator}.customerID(body.Subscriber.CustomerId)
	if !ok {
		return nil, &problem{400, "BZSBS0400E", "The CustomerId is not valid."}
	}
	p := body.Subscriber.Person
	if simulator.accounts[strings.ToLower(p.EmailAddress)] != nil {
		return nil, &problem{409, "BZSSU1001E", "The e-mail address already exists."}
	}
	subscriber := simulator.add(Account{Login: p.EmailAddress, State: Pending, Given: p.GivenName, Family: p.FamilyName, Roles: p.RoleSet, Customer: customer})
	return map[string]any{"Long": subscriber.id}, nil
}

// customerID reads an organisation's id: a number, or unless the options are
// strict one in a string, as the templates of public clients have it.
func (s directory) customerID(v any) (int64, bool) {
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

func moveSubscriber(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	subscriber, p := directory{simulator}.withID(r, by)
	if p != nil {
		return nil, p
	}
	move, ok := moves[r.Header.Get("x-operation")]
	switch {
	case !ok:
		return nil, &problem{400, "BZSBS0400E", "The operation is not known."}
	case subscriber.State != move.from:
		return nil, &problem{409, "BZSAU1020E", "The operation is not allowed while the subscriber is in state " + subscriber.State + "."}
	}
	subscriber.State, subscriber.changed = move.to, simulator.o.Now()
	return nil, nil
}

func deleteSubscriber(simulator *Simulator, r *http.Request, by caller) (any, *problem) {
	a, problem := directory{simulator}.withID(r, by)
	if problem != nil {
		return nil, problem
	}
	if r.URL.Query().Get("moveToSoftDelete") == "true" {
		a.State = SoftDeleted
		return nil, nil
	}
	delete(simulator.byID, a.id)
	delete(simulator.accounts, strings.ToLower(a.Login))
	simulator.order = slices.DeleteFunc(simulator.order, func(o *subscriber) bool { return o == a })
	return nil, nil
}
