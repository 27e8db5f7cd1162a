package sdk

import "time"

// Status is the state of an account.
type Status string

// The states. The zero value is unknown.
const (
	StatusUnknown   Status = ""
	StatusActive    Status = "active"
	StatusDisabled  Status = "disabled"
	StatusSuspended Status = "suspended"
	StatusLocked    Status = "locked"
	StatusExpired   Status = "expired"
	StatusPending   Status = "pending"
	StatusDeleted   Status = "deleted"
	StatusFederated Status = "federated"
)

// Statuses returns every state but the unknown one. A plugin's state outside
// this list arrives as the unknown one.
func Statuses() []Status {
	return []Status{StatusActive, StatusDisabled, StatusSuspended, StatusLocked, StatusExpired, StatusPending, StatusDeleted, StatusFederated}
}

// String returns the state's name, "unknown" for the zero value.
func (s Status) String() string {
	if s == StatusUnknown {
		return "unknown"
	}
	return string(s)
}

// Account is what a backend knows of one account.
type Account struct {
	Account    string            // how operations name it
	ID         string            // the target's own identifier
	Login      string            // what its owner types
	Name       string            // the owner's name
	Mail       string            //
	Status     Status            //
	MustChange *bool             // whether the owner has to change it at the next logon; nil: not known
	ChangedAt  time.Time         // of the credential; zero: not known
	Kinds      []string          // the credentials it has; nil: the only one
	Stamp      string            // differs after every credential change; "": the target keeps no stamp
	Attributes map[string]string // what List was asked for; several values are joined by a comma

	// Lists are the values, one by one, of the attributes that have several: a
	// script sees those as a list.
	Lists map[string][]string
}

// Identity is the account behind a name. The host gives each account to one
// user of a run, under whatever name, by comparing Target and ID.
type Identity struct {
	Target string // the system, where other instances may work on it: the same from each; "": this instance alone
	ID     string // the target's own name of the account: the same for every name of it
	Err    *Error // the name means no account: AccountNotFound, Ambiguous
}

// Verdict is the answer of a Verify.
//
// CannotTell is for a target that was asked and gives no evidence either way: it lets
// everybody in, it has no logon of its own, it says the same of a wrong value and of a
// closed account. It costs little: after a value that was applied the user is done, with
// a note; a doubt stays one, and is settled by sending again where that is safe. A false
// Rejected costs much, for it settles a doubt: a target that is away, or cuts the
// connection, is an error and no verdict.
type Verdict uint8

// The verdicts. The zero value is CannotTell.
const (
	CannotTell         Verdict = iota // the target does not say
	Accepted                          // the value works
	AcceptedMustChange                // the value works, and the owner has to change it
	Rejected                          // the value does not work
	Blocked                           // the account is locked or disabled: it cannot be tried
)

// String returns cannot-tell, accepted, accepted-must-change, rejected or blocked.
func (v Verdict) String() string {
	names := [...]string{"cannot-tell", "accepted", "accepted-must-change", "rejected", "blocked"}
	if int(v) < len(names) {
		return names[v]
	}
	return names[CannotTell]
}

// Severity grades a Finding.
type Severity uint8

// The severities: Bad stops a run before it starts.
const (
	Info Severity = iota
	Warning
	Bad
)

// String returns info, warning or bad; what is no severity is bad.
func (s Severity) String() string {
	return [...]string{Info: "info", Warning: "warning", Bad: "bad"}[min(s, Bad)]
}

// Severities returns all, the worst last.
func Severities() []Severity { return []Severity{Info, Warning, Bad} }

// Finding is one result of a Check.
type Finding struct {
	Severity Severity
	Code     Code   // of a Bad finding
	Message  string // the fact, in words
	Fix      string // what to do about it
}
