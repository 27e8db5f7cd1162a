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
	Protected            Code = "Protected"            // must not be touched by this tool
	NoCredential         Code = "NoCredential"         // federated, or the service is not assigned
	PolicyViolation      Code = "PolicyViolation"      // see Error.Violations
	ChangeNotAllowed     Code = "ChangeNotAllowed"     // the account may not change its credential now
	WrongCurrentPassword Code = "WrongCurrentPassword" // the old value of a change is not the present one
	NotAccepted          Code = "NotAccepted"          // a verify found that the value does not work
	PermissionDenied     Code = "PermissionDenied"     // the service account may not do this
	SecondFactorNeeded   Code = "SecondFactorNeeded"   // the service account's logon is not complete
	LoginExpired         Code = "LoginExpired"         // the service account's logon could not be renewed
	Conflict             Code = "Conflict"             // somebody else is changing it; try again
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

// Codes returns every code that a plugin may answer with, in the order of
// their declaration.
func Codes() []Code {
	return []Code{AccountNotFound, UserNotFound, Ambiguous, AccountStatus, Protected, NoCredential,
		PolicyViolation, ChangeNotAllowed, WrongCurrentPassword, NotAccepted, PermissionDenied,
		SecondFactorNeeded, LoginExpired, Conflict, RateLimited, Unreachable, InsecureTransport,
		Timeout, ConnectionLost, ReadOnly, TargetUnavailable, TargetError, InvalidConfig,
		InvalidOperation, Unsupported, Cancelled, Internal}
}
