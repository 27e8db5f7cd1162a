package sqltable

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	driver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/rekey-host/rekey/sdk"
)

// meanings of SQLSTATEs, and of numbers of MariaDB and SQLite, by their first
// characters.
var meanings = []struct {
	prefix string
	code   sdk.Code
}{
	{"pg 42501", sdk.PermissionDenied}, {"pg 42P01", sdk.InvalidConfig}, {"pg 42703", sdk.InvalidConfig}, {"pg 3F000", sdk.InvalidConfig}, {"pg 3D000", sdk.InvalidConfig},
	{"pg 42", sdk.InvalidConfig}, {"pg 22", sdk.InvalidConfig}, {"pg 25006", sdk.ReadOnly}, {"pg 40", sdk.Conflict}, {"pg 55P03", sdk.Conflict}, {"pg 57014", sdk.Timeout}, {"pg 57P", sdk.TargetUnavailable},
	{"pg 53300", sdk.TargetUnavailable}, {"pg 28", sdk.LoginExpired}, {"pg 23", sdk.ChangeNotAllowed}, {"pg P0001", sdk.ChangeNotAllowed},
	{"my 1044", sdk.PermissionDenied}, {"my 1142", sdk.PermissionDenied}, {"my 1143", sdk.PermissionDenied}, {"my 1146", sdk.InvalidConfig}, {"my 1054", sdk.InvalidConfig}, {"my 1049", sdk.InvalidConfig},
	{"my 1064", sdk.InvalidConfig}, {"my 1406", sdk.InvalidConfig}, {"my 1366", sdk.InvalidConfig}, {"my 1265", sdk.InvalidConfig}, {"my 1290", sdk.ReadOnly}, {"my 1836", sdk.ReadOnly}, {"my 1792", sdk.ReadOnly},
	{"my 1205", sdk.Conflict}, {"my 1213", sdk.Conflict}, {"my 1040", sdk.TargetUnavailable}, {"my 1045", sdk.LoginExpired}, {"my 1698", sdk.LoginExpired}, {"my 4151", sdk.LoginExpired},
	{"my 1062", sdk.ChangeNotAllowed}, {"my 4025", sdk.ChangeNotAllowed}, {"my 1644", sdk.ChangeNotAllowed},
	{"lite 1032 ", sdk.InvalidConfig}, {"lite 5 ", sdk.Conflict}, {"lite 6 ", sdk.Conflict}, {"lite 8 ", sdk.ReadOnly}, {"lite 14 ", sdk.InvalidConfig}, {"lite 26 ", sdk.InvalidConfig}, {"lite 1 ", sdk.InvalidConfig}, {"lite 19 ", sdk.ChangeNotAllowed},
	{"lite 3 ", sdk.PermissionDenied},
}

// movedLite is SQLite's answer where its file was taken away.
const movedLite = 1032

// answered is the error of an answer of the database; final says that it is one,
// and that nothing was changed.
func answered(err error) (failure *sdk.Error, final bool) {
	var postgres *pgconn.PgError
	var mysql *driver.MySQLError
	var lite *sqlite.Error
	sign, native, text := "", "", ""
	switch {
	case errors.As(err, &postgres):
		sign, native, text = "pg "+postgres.Code, postgres.Code, postgres.Message
		final = postgres.SeverityUnlocalized != "FATAL" && postgres.SeverityUnlocalized != "PANIC"
	case errors.As(err, &mysql):
		native, text = strconv.Itoa(int(mysql.Number)), mysql.Message
		sign, final = "my "+native, !slices.Contains([]uint16{1053, 1317, 1927, 1969}, mysql.Number)
	case errors.As(err, &lite):
		native, text = strconv.Itoa(lite.Code()), lite.Error()
		sign, final = "lite "+strconv.Itoa(lite.Code()&0xff)+" ", true
		if lite.Code() == movedLite {
			sign = "lite " + native + " "
		}
	default:
		return nil, false
	}
	failure = &sdk.Error{Code: sdk.TargetError, Native: native, Message: "the database answers " + native + ": " + text}
	for _, row := range meanings {
		if strings.HasPrefix(sign, row.prefix) {
			failure.Code = row.code
			break
		}
	}
	return failure, final
}

// failure is the error of what came before a commit: nothing was changed.
func (s *settings) failure(err error) *sdk.Error {
	var known *sdk.Error
	if errors.As(err, &known) {
		return known
	}
	if failure, _ := answered(err); failure != nil {
		if failure.Code == sdk.LoginExpired {
			failure.Message = "user " + strconv.Quote(s.user) + ": " + failure.Message
		}
		return failure
	}
	if errors.Is(err, driver.ErrNoTLS) || strings.Contains(err.Error(), "server refused TLS connection") {
		return sdk.Errorf(sdk.InsecureTransport, "url: %s does not offer TLS: have it switched on, or say insecure = True", s.Address)
	}
	return s.Fault(err)
}
