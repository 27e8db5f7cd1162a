package postgres

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rekey-host/rekey/sdk"
)

// answer is what a server says instead of doing what it is asked.
type answer struct{ *pgconn.PgError }

func answered(err error) (answer, bool) {
	var found *pgconn.PgError
	ok := errors.As(err, &found)
	return answer{found}, ok
}

// final reports that the statement was rolled back: an error is that, while the
// end of a connection may have come after the change.
func (a answer) final() bool {
	return a.SeverityUnlocalized == "ERROR" || a.SeverityUnlocalized == "" && a.Severity == "ERROR"
}

// words is all that the server says.
func (a answer) words() string {
	text := a.Message
	for _, more := range []string{a.Detail, a.Hint} {
		if more != "" {
			text += "; " + more
		}
	}
	return text
}

// States that are more than a row of the table.
const (
	stateInternal      = "XX000" // among others: another change of the same role
	stateWrongPassword = "28P01"
)

// meanings of SQLSTATEs; those of two digits are of a whole class.
var meanings = []struct {
	state string
	code  sdk.Code
}{
	{"42704", sdk.AccountNotFound},   // undefined_object
	{"42939", sdk.Protected},         // reserved_name
	{"42501", sdk.PermissionDenied},  // insufficient_privilege
	{"25006", sdk.ReadOnly},          // read_only_sql_transaction: a replica
	{"57014", sdk.Timeout},           // query_canceled
	{"57P03", sdk.TargetUnavailable}, // cannot_connect_now: it starts
	{"57P", sdk.TargetUnavailable},   // it stops
	{"53300", sdk.TargetUnavailable}, // too_many_connections
	{"40", sdk.Conflict},             // transaction_rollback
	{"55P03", sdk.Conflict},          // lock_not_available
	{"22023", sdk.PolicyViolation},   // what passwordcheck and its like answer
	{"28P01", sdk.LoginExpired},      // invalid_password, of rekey's own role
	{"28", sdk.LoginExpired},         // invalid_authorization_specification
	{"3D000", sdk.InvalidConfig},     // the database does not exist
	{"22021", sdk.InvalidOperation},  // the name is in no encoding that the database has
	{"22P05", sdk.InvalidOperation},
}

// failure is the error of a refusal.
func (a answer) failure() *sdk.Error {
	failure := &sdk.Error{Code: a.code(), Native: a.Code, Message: "the server answers " + a.Code + ": " + a.words()}
	if failure.Code == sdk.PolicyViolation {
		failure.Violations = []sdk.Violation{{Rule: a.rule(), Native: a.Code, Message: a.Message}}
	}
	return failure
}

func (a answer) code() sdk.Code {
	if a.Code == stateInternal && (a.Routine == "simple_heap_update" || strings.Contains(a.Message, "concurrently")) {
		return sdk.Conflict
	}
	for _, row := range meanings {
		if strings.HasPrefix(a.Code, row.state) {
			return row.code
		}
	}
	return sdk.TargetError
}

// rule is the rule of a server's own policy that was broken. Of a verifier it
// can try one value only, the name of the role.
func (a answer) rule() sdk.Rule {
	if a.Routine == "check_password" {
		return sdk.RuleContainsName
	}
	return sdk.RuleOpaque
}

// noConnection is the error of a logon of rekey's own role.
func (i *Instance) noConnection(err error) *sdk.Error {
	answer, ok := answered(err)
	if !ok {
		if strings.Contains(err.Error(), refusedTLS) {
			return sdk.Errorf(sdk.InsecureTransport, "url: %s does not offer TLS: have ssl switched on, or say insecure = True", i.Address)
		}
		return i.Fault(err)
	}
	failure := answer.failure()
	if failure.Code == sdk.LoginExpired {
		failure.Message = "user " + strconv.Quote(i.user) + ": the server refuses the logon: " + answer.words()
	}
	return failure
}

// refusedTLS is how the client says that a server does not offer TLS.
const refusedTLS = "server refused TLS connection"
