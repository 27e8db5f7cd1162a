package smartcloudtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/simulator"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// Options are what the simulated system is like. The zero Options have an
// administrator admin@acme.example without a password, as whom no one can log in.
type Options struct {
	// Strict takes only what the documents list: no final slash, a number for
	// CustomerId, bodies that say that they are JSON. Without it requests are
	// read as public clients write them.
	Strict        bool
	Admin         string // the administrator's e-mail
	AdminPassword string //
	Spelling      string // of the error keys: "A" (ResponseCode, …; the default) or "B" (responseCode, …)
	Budget        Budget // the zero Budget: no limit
	RepeatAllowed bool   // the present value may be set again
	StayPending   bool   // a change leaves a PENDING account PENDING
	MaxPage       int    // the most subscribers of a page, however many are asked for; 0: no limit
	Now           func() time.Time
}

// Budget is what weighs on the system and how much of it is borne.
type Budget struct {
	Limit      int            // the most weight in a period; 0: no limit
	Period     time.Duration  // after which the sum is 0 again
	Weights    map[string]int // of an operation, as in Requests; absent: 1
	RetryAfter bool           // tell how long to wait
}

// Simulator is the system. It is safe for concurrent use.
type Simulator struct {
	simulator.Server
	Faults resttest.Faults // how it misbehaves
	o      Options

	mu       sync.Mutex
	accounts map[string]*subscriber // by lower-case e-mail
	byID     map[int64]*subscriber
	order    []*subscriber
	added    int // accounts, the deleted ones included
	requests map[string]int
	refused  int // by the budget
	spent    int
	period   time.Time
}

// New makes a simulator with its administrator and these accounts. It does not
// listen yet.
func New(options Options, accounts ...Account) *Simulator {
	if options.Admin == "" {
		options.Admin = "admin@acme.example"
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	simulator := &Simulator{o: options, accounts: map[string]*subscriber{}, byID: map[int64]*subscriber{}, requests: map[string]int{}}
	simulator.Add(Account{Login: options.Admin, Password: options.AdminPassword, Roles: []string{"CustomerAdministrator", "User"}})
	simulator.Add(accounts...)
	return simulator
}

// Listen serves on an address, such as 127.0.0.1:0, until Close.
func (s *Simulator) Listen(address string) error { return s.Serve(address, s.Handler()) }

// URL is what the backend's setting url is set to.
func (s *Simulator) URL() string { return s.Host() }

// Handler returns the system as a handler, faults included.
func (s *Simulator) Handler() http.Handler {
	return s.Faults.Wrap(api{s}.slashes(api{s}.mux()), func(r *http.Request, body []byte) (string, string) {
		op, login := operation(r), r.URL.Query().Get("loginName")+r.URL.Query().Get("emailAddress")
		var c struct{ UserCredential credential }
		if json.Unmarshal(body, &c) == nil {
			login += c.UserCredential.LoginName
		}
		return op, login
	})
}

// operation names a request as in Requests and in faults: the last part of a
// service's path, or the method and "subscriber".
func operation(r *http.Request) string {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // a final slash names the same
	if len(path) >= 5 && path[2] == "service" {
		return path[4]
	}
	if len(path) >= 4 && path[2] == "resource" {
		return r.Method + " " + path[3]
	}
	return r.Method + " " + r.URL.Path
}

// Add adds accounts.
func (s *Simulator) Add(accounts ...Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, account := range accounts {
		s.add(account)
	}
}

func (s *Simulator) add(account Account) *subscriber {
	subscriber := newSubscriber(int64(20000000+s.added), account, s.o.Now())
	s.added++
	s.order = append(s.order, subscriber)
	s.byID[subscriber.id] = subscriber
	s.accounts[strings.ToLower(account.Login)] = subscriber
	return subscriber
}

// Password returns an account's present value and whether it is a one-time
// one; "" for a missing account.
func (s *Simulator) Password(login string) (value string, oneTime bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subscriber := s.accounts[strings.ToLower(login)]; subscriber != nil {
		return subscriber.Password, subscriber.OneTime
	}
	return "", false
}

// State returns an account's state, "" if it is not there.
func (s *Simulator) State(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subscriber := s.accounts[strings.ToLower(login)]; subscriber != nil {
		return subscriber.State
	}
	return ""
}

// Values returns every value that the account has had, oldest first, as far as
// it remembers.
func (s *Simulator) Values(login string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subscriber := s.accounts[strings.ToLower(login)]; subscriber != nil {
		return slices.Clone(subscriber.history)
	}
	return nil
}

// Requests returns how many requests came, by operation: setOneTimePassword,
// changePassword, setUserPassword, resetPassword, getRoleList, "GET
// subscriber" and so on. Those that a fault swallowed do not count.
func (s *Simulator) Requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for op, count := range s.requests {
		counts[op] = count
	}
	return counts
}

// Status is what GET /simulator tells.
type Status struct {
	Accounts  int            `json:"accounts"`
	States    map[string]int `json:"states"`
	OneTime   int            `json:"one_time"`  // have a one-time or temporary password
	Permanent int            `json:"permanent"` // have another
	Changed   int            `json:"changed"`   // got a value since the start
	Mails     int            `json:"mails"`     // sent by resets
	Requests  map[string]int `json:"requests"`
	Refused   int            `json:"refused_by_budget"`
}

// Status returns the numbers of accounts and requests, without logins and
// without secrets.
func (s *Simulator) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := Status{Accounts: len(s.order), States: map[string]int{}, Requests: s.requests, Refused: s.refused}
	for _, subscriber := range s.order {
		made.States[subscriber.State]++
		switch {
		case subscriber.OneTime:
			made.OneTime++
		case subscriber.Password != "":
			made.Permanent++
		}
		if subscriber.sets > 0 {
			made.Changed++
		}
		made.Mails += subscriber.mails
	}
	made.Requests = map[string]int{}
	for op, count := range s.requests {
		made.Requests[op] = count
	}
	return made
}
