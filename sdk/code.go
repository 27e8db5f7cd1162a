package sdk

// Code says why an operation was refused or is unknown. The names cross the
// wire and stand in ledgers and reports: they are only ever added to, and
// never change their meaning.
type Code string

// The codes that a plugin may answer with.
const (
	AccountNotFound      Code = "AccountNotFound"      // no such account
	UserNotFound         Code = "UserNotFound"         // the account exists, the person behind it does not
	Ambiguous            Code = "Ambiguous"            // several accounts match
	AccountStatus        Code = "AccountStatus"        // disabled, suspended, locked, …: see Error.AccountStatus
	Protected            Code = "Protected"            // must not be set by this tool; that of the backend itself is handed over
	NoCredential         Code = "NoCredential"         // federated, or the service is not assigned
	PolicyViolation      Code = "PolicyViolation"      // see Error.Violations
	ChangeNotAllowed     Code = "ChangeNotAllowed"     // the account may not change its credential now
	WrongCurrentPassword Code = "WrongCurrentPassword" // the old value of a change is not the present one
	NotAccepted          Code = "NotAccepted"          // a verify found that the value does not work
	PermissionDenied     Code = "PermissionDenied"     // the service account may not do this
	SecondFactorNeeded   Code = "SecondFactorNeeded"   // the service account's logon is not complete
	LoginExpired         Code = "LoginExpired"         // the service account's logon could not be renewed
	Conflict             Code = "Conflict"             // another user is changing it; try again
	RateLimited          Code = "RateLimited"          // see Error.RetryAfter
	Unreachable          Code = "Unreachable"          // never sent
	InsecureTransport    Code = "InsecureTransport"    // would send a secret in clear
	Timeout              Code = "Timeout"              // no answer within the deadline
	ConnectionLost       Code = "ConnectionLost"       // cut after it was sent
	ReadOnly             Code = "ReadOnly"             // this server takes no writes
	TargetUnavailable    Code = "TargetUnavailable"    // busy or down for now
	TargetError          Code = "TargetError"          // the target failed in a way of its own
	InvalidConfig        Code = "InvalidConfig"        // the instance's settings are wrong
	InvalidOperation     Code = "InvalidOperation"     // the request makes no sense
	Unsupported          Code = "Unsupported"          // the backend cannot do this
	Cancelled            Code = "Cancelled"            // given up before it was sent
	Internal             Code = "Internal"             // a defect of the plugin
)

// trait is one property of a code. They are apart from each other: a code has
// any number of them.
type trait uint8

// The traits.
const (
	transient  trait = 1 << iota // see Transient
	definite                     // see Definite
	unsent                       // see Unsent
	stopsRun                     // see StopsRun
	away                         // see Away
	ofAccount                    // see OfAccount
	otherValue                   // see AnotherValueHelps
	noTrait    trait = 0
)

// table has a row for every code, in the order of their declaration: what a
// host may do after a refusal stands here and nowhere else.
var table = [...]struct {
	code   Code
	traits trait
}{
	{AccountNotFound, ofAccount},
	{UserNotFound, ofAccount},
	{Ambiguous, ofAccount},
	{AccountStatus, ofAccount},
	{Protected, ofAccount},
	{NoCredential, ofAccount},
	{PolicyViolation, otherValue},
	{ChangeNotAllowed, noTrait},
	{WrongCurrentPassword, noTrait},
	{NotAccepted, noTrait},
	{PermissionDenied, noTrait},
	{SecondFactorNeeded, stopsRun},
	{LoginExpired, transient},
	{Conflict, transient},
	{RateLimited, transient},
	{Unreachable, transient | unsent | away},
	{InsecureTransport, unsent},
	{Timeout, transient | unsent},
	{ConnectionLost, noTrait},
	{ReadOnly, noTrait},
	{TargetUnavailable, transient | away},
	{TargetError, noTrait},
	{InvalidConfig, stopsRun},
	{InvalidOperation, definite},
	{Unsupported, definite},
	{Cancelled, unsent},
	{Internal, noTrait},
}

// Codes returns every code that a plugin may answer with, in the order of
// their declaration.
func Codes() []Code {
	all := make([]Code, len(table))
	for i, row := range table {
		all[i] = row.code
	}
	return all
}

// has reports whether the code has a trait. A code missing in the table has
// no trait.
func (c Code) has(trait trait) bool {
	for i := range table {
		if table[i].code == c {
			return table[i].traits&trait != 0
		}
	}
	return false
}

// Transient reports whether a refusal may pass by itself: another attempt is
// worth its time.
func (c Code) Transient() bool { return c.has(transient) }

// Definite reports whether the code speaks of the operation itself, and not of the
// state of an account, a right or a server that may be another one a moment later.
// Of an earlier attempt whose answer was lost no code says anything: a target that
// took a value may refuse the same value again, in words of its own.
func (c Code) Definite() bool { return c.has(definite) }

// Unsent reports whether a refusal came before the first byte was sent.
func (c Code) Unsent() bool { return c.has(unsent) }

// StopsRun reports whether no other operation of the instance would fare
// better: the user stays pending and the run ends.
func (c Code) StopsRun() bool { return c.has(stopsRun) }

// Away reports whether the target is not there at the moment.
func (c Code) Away() bool { return c.has(away) }

// OfAccount reports whether a refusal is about one account and says nothing of
// the next.
func (c Code) OfAccount() bool { return c.has(ofAccount) }

// AnotherValueHelps reports whether a different value may be taken. Which rule
// was broken can rule that out: see Violation.AnotherValueHelps.
func (c Code) AnotherValueHelps() bool { return c.has(otherValue) }
