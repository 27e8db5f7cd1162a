package smartcloudtest

import (
	"crypto/rand"
	"strings"
	"time"
	"unicode"
)

// The states of a subscriber.
const (
	Pending     = "PENDING"
	Active      = "ACTIVE"
	Suspended   = "SUSPENDED"
	SoftDeleted = "SOFT_DELETED"
)

// The security realms.
const (
	NonFederated = "NON_FEDERATED"
	Federated    = "FEDERATED"
)

// remembered is how many earlier values of an account are refused.
const remembered = 8

// Account is a subscriber to begin with.
type Account struct {
	Login    string   // the e-mail address; unique, ignoring case
	Password string   // the present value; "": without
	OneTime  bool     // the value works for one login
	State    string   // "": ACTIVE
	Realm    string   // "": NON_FEDERATED
	Roles    []string // nil: User
	Customer int64    // the organisation; 0: the first
	Given    string   // names
	Family   string
}

// subscriber is an account as it lives here.
type subscriber struct {
	Account
	id      int64
	created time.Time
	changed time.Time
	used    bool     // the one-time password has had its login
	history []string // newest last, the present value included
	sets    int      // how often a value was taken
	mails   int      // reset mails
}

func newSubscriber(id int64, account Account, now time.Time) *subscriber {
	if account.State == "" {
		account.State = Active
	}
	if account.Realm == "" {
		account.Realm = NonFederated
	}
	if account.Roles == nil {
		account.Roles = []string{"User"}
	}
	if account.Customer == 0 {
		account.Customer = 1
	}
	made := &subscriber{Account: account, id: id, created: now, changed: now}
	if account.Password != "" {
		made.history = []string{account.Password}
	}
	return made
}

// take gives the account a value.
func (s *subscriber) take(value string, oneTime bool) {
	s.Password, s.OneTime, s.used = value, oneTime, false
	s.history = append(s.history, value)
	s.history = s.history[max(0, len(s.history)-remembered):]
	s.sets++
}

// logon tries a value as the owner would.
func (s *subscriber) logon(value string) bool {
	if s.Password == "" || s.Password != value || s.State != Active && s.State != Pending || s.OneTime && s.used {
		return false
	}
	s.used = s.OneTime
	return true
}

// mayHavePassword returns why the account's state forbids a new password.
func (s *subscriber) mayHavePassword() *problem {
	switch {
	case s.Realm == Federated:
		return &problem{409, "BZSAU1021E", "The subscriber is federated and has no password here."}
	case s.State != Active && s.State != Pending:
		return &problem{409, "BZSAU1020E", "The operation is not allowed while the subscriber is in state " + s.State + "."}
	}
	return nil
}

// breaks returns the rule that a value breaks, "" for a good value.
func (s *subscriber) breaks(value string, repeatAllowed bool) string {
	letters, others, run, last := 0, 0, 0, rune(-1)
	for _, letter := range value {
		switch {
		case unicode.IsSpace(letter):
			return "must not contain blanks"
		case unicode.IsLetter(letter):
			letters++
		default:
			others++
		}
		if run++; letter != last {
			run, last = 1, letter
		}
		if run > 2 {
			return "must not contain a character more than twice in a row"
		}
	}
	switch {
	case letters+others < 8:
		return "must have at least 8 characters"
	case letters < 4:
		return "must have at least 4 letters"
	case others < 1:
		return "must have at least 1 character besides letters"
	case containsName(value, s.Login):
		return "must not contain the user name or e-mail address"
	case s.remembers(value, repeatAllowed):
		return "must not be one of the last 8 passwords"
	}
	return ""
}

// containsName takes user names of one or two characters for no name: every
// value would contain them.
func containsName(value, login string) bool {
	value, login = strings.ToLower(value), strings.ToLower(login)
	name, _, _ := strings.Cut(login, "@")
	return strings.Contains(value, login) || len(name) > 2 && strings.Contains(value, name)
}

func (s *subscriber) remembers(value string, repeatAllowed bool) bool {
	for i, old := range s.history {
		if old == value && (!repeatAllowed || i != len(s.history)-1) {
			return true
		}
	}
	return false
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

// mailed is the value that a reset makes and only the owner sees.
func mailed() string { return "Rst-" + rand.Text()[:12] }
