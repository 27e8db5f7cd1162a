package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// Check logs on and asks what the server and the user are.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	var met *server
	failed := i.ask(ctx, func(conn *sql.Conn, _ *server) (err error) {
		met, err = greet(ctx, conn)
		return err
	})
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	i.found.Store(met)
	var found []sdk.Finding
	if i.Exposed {
		found = append(found, warning("hashes travel in clear: insecure = True to another machine", "leave insecure out"))
	}
	if met.readOnly && !met.super {
		return append(found, bad(sdk.Errorf(sdk.ReadOnly, "url: the server is read-only"), "name the primary"))
	}
	found = append(found, i.checkRights(ctx, met)...)
	found = append(found, i.checkValues(ctx, met)...)
	return append(found, i.checkEnds(ctx, met)...)
}

// checkRights looks whether accounts may be read and, as far as that can be told,
// changed: rights that come by a role are not always shown.
func (i *Instance) checkRights(ctx context.Context, met *server) []sdk.Finding {
	var grants []string
	failed := i.ask(ctx, func(conn *sql.Conn, _ *server) error {
		grants = nil
		if _, err := met.read(ctx, conn, []name{met.self}); err != nil {
			return err
		}
		rows, err := conn.QueryContext(ctx, "SHOW GRANTS")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var grant string
			if err := rows.Scan(&grant); err != nil {
				return err
			}
			grants = append(grants, grant)
		}
		return rows.Err()
	})
	if failed != nil {
		return []sdk.Finding{bad(failed, met.grants("SELECT ON mysql.user"))}
	}
	for _, grant := range grants {
		if strings.Contains(grant, "CREATE USER") || strings.Contains(grant, "ALL PRIVILEGES ON *.*") {
			return nil
		}
	}
	return []sdk.Finding{warning(fmt.Sprintf("user: %s has CREATE USER by no grant of its own", met.self), met.grants("CREATE USER ON *.*"))}
}

func (s *server) grants(right string) string {
	text := "GRANT " + right + " TO " + s.self.quoted()
	if s.maria && strings.HasPrefix(right, "SELECT") {
		text += "; GRANT SELECT ON mysql.global_priv TO " + s.self.quoted()
	}
	return text
}

// checkValues looks whether the server takes hashes, and where values end up.
func (i *Instance) checkValues(ctx context.Context, met *server) []sdk.Finding {
	settings, failed := i.variables(ctx, "%")
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	if i.send == sendValue && met.maria {
		if settings["general_log"] == "ON" {
			return []sdk.Finding{warning(`send = "value" and general_log is on: the server's log will hold every value`, "SET GLOBAL general_log = OFF")}
		}
		return nil
	}
	if met.maria && settings["strict_password_validation"] == "ON" && i.validated(ctx) {
		failure := sdk.Errorf(sdk.InvalidConfig, "send: a plugin that validates passwords is loaded, and the server takes no hashes then (strict_password_validation)")
		return []sdk.Finding{bad(failure, `send = "value", or strict_password_validation = OFF`)}
	}
	return nil
}

// checkEnds looks when the password of rekey's own user ends, and what clock and
// certificate of the server are like. What may not be seen is not told.
func (i *Instance) checkEnds(ctx context.Context, met *server) []sdk.Finding {
	query := "SELECT COALESCE(password_lifetime, -1), COALESCE(UNIX_TIMESTAMP(password_last_changed), 0) FROM mysql.user WHERE User = ? AND Host = ?"
	if met.maria {
		query = "SELECT CAST(COALESCE(JSON_VALUE(Priv, '$.password_lifetime'), -1) AS SIGNED), CAST(COALESCE(JSON_VALUE(Priv, '$.password_last_changed'), 0) AS SIGNED) FROM mysql.global_priv WHERE User = ? AND Host = ?"
	}
	var theirs float64
	var days, changed, most int64
	_ = i.ask(ctx, func(conn *sql.Conn, _ *server) error {
		_ = conn.QueryRowContext(ctx, "SELECT UNIX_TIMESTAMP(NOW(6))").Scan(&theirs)
		_ = conn.QueryRowContext(ctx, "SELECT @@default_password_lifetime").Scan(&most)
		return conn.QueryRowContext(ctx, query, met.self.user, met.self.host).Scan(&days, &changed)
	})
	if days < 0 {
		days = most
	}
	var found []sdk.Finding
	if days > 0 && changed > 0 {
		ends := time.Unix(changed, 0).AddDate(0, 0, int(days))
		found = health.Ends(fmt.Sprintf("user: the password of %s", met.self), ends, i.Now(), "give it another one before that")
	}
	return append(found, i.Told(moment(theirs))...)
}

// moment is a time of the server's; zero: it told none.
func moment(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}

// validated reports whether a plugin that validates passwords is loaded.
func (i *Instance) validated(ctx context.Context) bool {
	var count int
	failed := i.ask(ctx, func(conn *sql.Conn, _ *server) error {
		return conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE'").Scan(&count)
	})
	return failed == nil && count > 0
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
