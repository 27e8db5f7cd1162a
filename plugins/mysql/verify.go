package mysql

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Verify logs on as the account's user, once, and looks which account the server
// took that for.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	name, failed := parse(account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	if failed := refuseValue(value.Reveal()); failed != nil {
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "%s", failed.Message)
	}
	connector, err := driver.NewConnector(i.config(name.user, value))
	if err != nil {
		return sdk.CannotTell, sdk.Errorf(sdk.Internal, "%v", err)
	}
	guest := sql.OpenDB(always(connector))
	defer guest.Close()
	var current string
	err = guest.QueryRowContext(ctx, "SELECT CURRENT_USER()").Scan(&current)
	return i.judge(ctx, account, name, current, err)
}

// judge says what came of a logon.
func (i *Instance) judge(ctx context.Context, account string, name name, current string, err error) (sdk.Verdict, error) {
	answer, ok := answered(err)
	switch {
	case err == nil:
		if taken, failed := parse(current); failed != nil || taken != name {
			return sdk.CannotTell, unproven("from this machine the server takes user %q for %s", name.user, current)
		}
		return sdk.Accepted, nil
	case errors.Is(err, driver.ErrCleartextPassword):
		return sdk.CannotTell, unproven("the server asks for the password in clear (pam, ldap), and a verify does not hand it over")
	case !ok:
		return sdk.CannotTell, i.noConnection(err)
	}
	switch answer.Number {
	case errMustChange, errMustChangeNow:
		return i.preferred(ctx, account, name, sdk.AcceptedMustChange)
	case errLocked, errLockedMySQL, errBlocked:
		return i.preferred(ctx, account, name, sdk.Blocked)
	case errAccessDenied, errNoPassword:
		return i.preferred(ctx, account, name, sdk.Rejected)
	case errNotAllowed:
		return sdk.CannotTell, unproven("the server lets user %q not log in from this machine", name.user)
	}
	return sdk.CannotTell, answer.failure()
}

func unproven(format string, args ...any) *sdk.Error {
	return sdk.Errorf(sdk.Unsupported, "not proven: "+format, args...)
}

// preferred is the verdict if the server can have meant this account: another
// one of the same user, or of no user, may suit this machine better.
func (i *Instance) preferred(ctx context.Context, account string, name name, verdict sdk.Verdict) (sdk.Verdict, error) {
	if _, failed := i.look(ctx, account, name); failed != nil {
		return sdk.CannotTell, failed
	}
	rivals, failed := i.rivals(ctx, name.user)
	switch {
	case failed != nil:
		return sdk.CannotTell, failed
	case len(rivals.hosts) == 1 && rivals.hosts[0] == name.host:
		return verdict, nil
	case name.host == rivals.from:
		return verdict, nil // what is spelled out comes first
	}
	return sdk.CannotTell, unproven("from this machine (%s) the server may take user %q for another account: its hosts are %s", rivals.from, name.user, strings.Join(rivals.hosts, ", "))
}

// rivals are the hosts of the accounts that a logon from this machine may mean.
type rivals struct {
	from  string
	hosts []string
}

func (i *Instance) rivals(ctx context.Context, user string) (rivals, *sdk.Error) {
	var found rivals
	failed := i.ask(ctx, func(conn *sql.Conn, met *server) error {
		found = rivals{from: strings.ToLower(met.from)}
		rows, err := conn.QueryContext(ctx, "SELECT User, Host FROM mysql.user WHERE User IN (?, '')", user)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var other name
			if err := rows.Scan(&other.user, &other.host); err != nil {
				return err
			}
			if (other.user == user || other.user == "") && suits(strings.ToLower(other.host), found.from) {
				found.hosts = append(found.hosts, strings.ToLower(other.host))
			}
		}
		return rows.Err()
	})
	return found, failed
}

// suits reports whether the pattern of an account's host is, or may be, one for
// a machine.
func suits(pattern, machine string) bool {
	if address, mask, ok := strings.Cut(pattern, "/"); ok {
		ip, bits := net.ParseIP(machine), net.ParseIP(mask)
		if ip.To4() == nil || bits.To4() == nil {
			return true // who knows
		}
		return ip.Mask(net.IPMask(bits.To4())).Equal(net.ParseIP(address))
	}
	return like(pattern, machine)
}

// like is the pattern of SQL: % is anything, _ a character.
func like(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	if pattern[0] == '%' {
		return like(pattern[1:], text) || text != "" && like(pattern, text[1:])
	}
	return text != "" && (pattern[0] == '_' || pattern[0] == text[0]) && like(pattern[1:], text[1:])
}
