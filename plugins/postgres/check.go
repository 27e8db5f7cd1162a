package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// Versions: of the first that takes SCRAM verifiers, that can make digests, and
// where CREATEROLE alone is not enough.
const (
	oldest  = 100000
	digests = 110000
	adminOf = 160000
)

// Check logs on and asks what the server and the role are.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	met, failed := i.greeted(ctx)
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	var found []sdk.Finding
	if i.Exposed {
		found = append(found, warning("verifiers travel in clear: insecure = True to another machine", "leave insecure out"))
	}
	switch {
	case met.version < oldest:
		return append(found, bad(sdk.Errorf(sdk.Unsupported, "the server is older than PostgreSQL 10 and takes no SCRAM verifier"), ""))
	case met.replica:
		return append(found, bad(sdk.Errorf(sdk.ReadOnly, "url: the server is a replica and takes no writes"), "name the primary"))
	case !met.creates:
		return append(found, bad(sdk.Errorf(sdk.PermissionDenied, "user %q may not change roles", met.current), fmt.Sprintf("ALTER ROLE %s CREATEROLE", pgx.Identifier{met.current}.Sanitize())))
	}
	if i.iterations < defaultIterations {
		found = append(found, warning(fmt.Sprintf("iterations = %d makes verifiers that are quickly tried", i.iterations), fmt.Sprintf("%d is the server's own", defaultIterations)))
	}
	found = append(found, i.checkSelf(ctx, met)...)
	found = append(found, met.checkPolicy()...)
	found = append(found, i.checkLog(ctx)...)
	return append(found, i.Told(i.clock(ctx))...)
}

// greeted asks anew: rights, and what the server is, may have changed.
func (i *Instance) greeted(ctx context.Context) (*server, *sdk.Error) {
	var met *server
	failed := i.ask(ctx, func(conn *pgx.Conn) (err error) {
		met, err = greet(ctx, conn)
		return err
	})
	if failed == nil {
		i.server.Store(met)
	}
	return met, failed
}

// checkSelf looks when the password of rekey's own role ends.
func (i *Instance) checkSelf(ctx context.Context, met *server) []sdk.Finding {
	self, failed := i.look(ctx, met.session)
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	return health.Ends(fmt.Sprintf("user %q: its password (VALID UNTIL)", met.session), self.ends(), i.Now(), "give it another one before that")
}

func (s *server) checkPolicy() []sdk.Finding {
	switch {
	case s.checks():
		return []sdk.Finding{{Severity: sdk.Info, Message: "passwordcheck is loaded: rekey keeps its rules, since it sees verifiers only"}}
	case strings.Contains(s.libraries, "credcheck"):
		return []sdk.Finding{warning("credcheck is loaded: it sees verifiers only, and may refuse them", "write its rules as the policy of the script, and set credcheck.encrypted_password_allowed")}
	}
	return nil
}

// clock is what the server's clock says; the zero time if it does not.
func (i *Instance) clock(ctx context.Context) (theirs time.Time) {
	_ = i.ask(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&theirs) })
	return theirs
}

// checkLog says what the log will hold.
func (i *Instance) checkLog(ctx context.Context) []sdk.Finding {
	var logs string
	failed := i.ask(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT current_setting('log_statement')").Scan(&logs)
	})
	if failed != nil {
		return []sdk.Finding{bad(failed, "")}
	}
	if logs == "none" {
		return nil
	}
	return []sdk.Finding{{Severity: sdk.Info, Message: "log_statement = " + logs + ": the server's log will hold the verifier of each set, and no value"}}
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
