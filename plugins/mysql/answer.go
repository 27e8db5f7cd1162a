package mysql

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/sdk"
)

// answer is what a server says instead of doing what it is asked.
type answer struct{ *driver.MySQLError }

func answered(err error) (answer, bool) {
	var found *driver.MySQLError
	ok := errors.As(err, &found)
	return answer{found}, ok
}

func (a answer) native() string { return strconv.Itoa(int(a.Number)) }

// Numbers that are more than a row of the table.
const (
	errAccessDenied  = 1045
	errShutdown      = 1053
	errOption        = 1290 // --read-only, or strict_password_validation
	errInterrupted   = 1317
	errKilled        = 1927
	errTooLong       = 1969 // max_statement_time
	errAlterUser     = 1396 // whose reason is a warning
	errNoSuchUser    = 1410
	errNoPassword    = 1698
	errPolicy        = 1819
	errMustChange    = 1820
	errMustChangeNow = 1862
	errNotAllowed    = 1130
	errLockedMySQL   = 3118
	errBlocked       = 4150
	errLocked        = 4151
)

var meanings = map[uint16]sdk.Code{
	1040:             sdk.TargetUnavailable, // too many connections
	1203:             sdk.TargetUnavailable, // too many of this user
	1226:             sdk.RateLimited,       // max_queries_per_hour and its like
	1044:             sdk.PermissionDenied,
	1142:             sdk.PermissionDenied,
	1143:             sdk.PermissionDenied,
	1227:             sdk.PermissionDenied,
	1836:             sdk.ReadOnly,
	1792:             sdk.ReadOnly,
	1205:             sdk.Conflict, // lock wait timeout
	1213:             sdk.Conflict, // deadlock
	errTooLong:       sdk.Timeout,
	3024:             sdk.Timeout, // max_execution_time
	1524:             sdk.Unsupported,
	errAccessDenied:  sdk.LoginExpired,
	errNoPassword:    sdk.LoginExpired,
	errNotAllowed:    sdk.LoginExpired,
	errLocked:        sdk.LoginExpired,
	errLockedMySQL:   sdk.LoginExpired,
	errBlocked:       sdk.LoginExpired,
	errMustChange:    sdk.LoginExpired,
	errMustChangeNow: sdk.LoginExpired,
	errNoSuchUser:    sdk.AccountNotFound,
	errPolicy:        sdk.PolicyViolation,
	1470:             sdk.InvalidOperation, // a name that is too long
	3159:             sdk.InsecureTransport,
}

// final reports that nothing was done: the others may have come after it.
func (a answer) final() bool {
	switch a.Number {
	case errShutdown, errInterrupted, errKilled, errTooLong:
		return false
	}
	return true
}

// failure is the error of a refusal.
func (a answer) failure() *sdk.Error {
	failure := &sdk.Error{Code: a.code(), Native: a.native(), Message: "the server answers " + a.native() + ": " + a.Message}
	if failure.Code == sdk.PolicyViolation {
		failure.Violations = []sdk.Violation{{Rule: sdk.RuleOpaque, Native: a.native(), Message: a.Message}}
	}
	return failure
}

func (a answer) code() sdk.Code {
	if a.Number == errOption && strings.Contains(a.Message, "strict-password-validation") {
		return sdk.InvalidConfig
	}
	if a.Number == errOption {
		return sdk.ReadOnly
	}
	if code, ok := meanings[a.Number]; ok {
		return code
	}
	return sdk.TargetError
}

// reason is the true one of an ALTER USER that failed: the answer itself says
// only that it did.
func (a answer) reason(ctx context.Context, conn *sql.Conn) answer {
	if a.Number != errAlterUser {
		return a
	}
	rows, err := conn.QueryContext(ctx, "SHOW WARNINGS")
	if err != nil {
		return a
	}
	defer rows.Close()
	for rows.Next() {
		var level, message string
		var number uint16
		if rows.Scan(&level, &number, &message) == nil && number != errAlterUser {
			return answer{&driver.MySQLError{Number: number, Message: message}}
		}
	}
	return a
}

// noConnection is the error of a logon of rekey's own user.
func (i *Instance) noConnection(err error) *sdk.Error {
	answer, ok := answered(err)
	switch {
	case errors.Is(err, driver.ErrNoTLS):
		return sdk.Errorf(sdk.InsecureTransport, "url: %s does not offer TLS: have it switched on, or say insecure = True", i.Address)
	case errors.Is(err, driver.ErrCleartextPassword):
		return sdk.Errorf(sdk.InsecureTransport, "user %q: the server asks for the password in clear (pam, ldap)", i.user)
	case !ok:
		return i.Fault(err)
	}
	failure := answer.failure()
	if failure.Code == sdk.LoginExpired {
		failure.Message = "user " + strconv.Quote(i.user) + ": the server refuses the logon: " + answer.Message
	}
	return failure
}
