package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// maxName is how many bytes of a name the server takes; what is longer it cuts.
const maxName = 63

// refuseName returns why no role can have the name.
func refuseName(account string) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "account: the name is empty")
	case !utf8.ValidString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name is not UTF-8", account)
	case strings.ContainsRune(account, 0):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name has a NUL", account)
	case len(account) > maxName:
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name has %d bytes; the server would cut it at %d and mean another role", account, len(account), maxName)
	}
	return nil
}

// Apply sets one value, or hands rekey's own role over.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if failed := refuse(op); failed != nil {
		return sdk.Refuse(failed)
	}
	if op.Verb == sdk.Handover {
		return i.handOver(ctx, op)
	}
	until, failed := validUntil(op.Options, i.Now())
	if failed != nil {
		return sdk.Refuse(failed)
	}
	met, failed := i.met(ctx)
	if failed == nil {
		failed = met.protects(op.Account)
	}
	if failed == nil && op.HashFormat == "" {
		failed = met.breaks(op.Account, op.Value.Reveal())
	}
	if failed != nil {
		return sdk.Refuse(failed)
	}
	verifier := op.Value
	if op.HashFormat == "" {
		verifier = newVerifier(op.Value, i.iterations)
	}
	receipt := i.alter(ctx, change{op.Account, statement(op.Account, verifier, until), met})
	if receipt.Outcome == sdk.Applied && met.sees {
		receipt.Stamp = stamp(verifier.Reveal())
	}
	return scrub(receipt, verifier)
}

// refuse returns why an operation makes no sense whatever the role is.
func refuse(op sdk.Operation) *sdk.Error {
	if failed := refuseName(op.Account); failed != nil {
		return failed
	}
	switch {
	case op.Verb == sdk.Handover && len(op.Options) > 0:
		return sdk.Errorf(sdk.Unsupported, "a handover takes no options")
	case op.HashFormat != "":
		return refuseHash(op.HashFormat, op.Value.Reveal())
	}
	return refuseValue(op.Value.Reveal())
}

// protects refuses the role that rekey is logged in as, and those that the
// server keeps for itself.
func (s *server) protects(account string) *sdk.Error {
	switch {
	case account == s.session, account == s.current:
		return sdk.Errorf(sdk.Protected, "account %q: rekey is logged in as it", account)
	case strings.HasPrefix(account, "pg_"):
		return sdk.Errorf(sdk.Protected, "account %q: a role of the server's own", account)
	}
	return nil
}

// statement gives a role a verifier. It has no place for a parameter, so the
// name is quoted, and a verifier has no character that would end its quotes.
func statement(account string, verifier secret.Value, until string) string {
	text := "ALTER ROLE " + pgx.Identifier{account}.Sanitize() + " PASSWORD '" + verifier.Reveal() + "'"
	if until != "" {
		text += " VALID UNTIL '" + until + "'"
	}
	return text
}

// validUntil reads the options. "" keeps what the role has.
func validUntil(options map[string]any, now time.Time) (string, *sdk.Error) {
	text, _ := options["valid_until"].(string)
	days, given := options["valid_days"].(int64)
	switch {
	case given && text != "":
		return "", sdk.Errorf(sdk.InvalidOperation, "valid_until and valid_days cannot be given together")
	case given && (days < 1 || days > 36500):
		return "", sdk.Errorf(sdk.InvalidOperation, "valid_days: got %d, want 1 to 36500", days)
	case given:
		return literal(now.AddDate(0, 0, int(days))), nil
	case text == "", text == "infinity":
		return text, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && at.Year() > 0 {
			return literal(at), nil
		}
	}
	return "", sdk.Errorf(sdk.InvalidOperation, `valid_until: got %q, want a date as in 2027-01-31, a time as in 2027-01-31T18:00:00Z, or "infinity"`, text)
}

func literal(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05+00") }

// change is one statement about one role.
type change struct {
	account, statement string
	met                *server
}

// tries is how often a statement is sent that met another change of the same
// role, which a server does not wait for.
const tries = 20

// alter sends a statement until it met no other change of the role.
func (i *Instance) alter(ctx context.Context, change change) sdk.Receipt {
	for try := 1; ; try++ {
		receipt := i.send(ctx, change)
		if receipt.Err == nil || receipt.Err.Code != sdk.Conflict || try == tries {
			return receipt
		}
		select {
		case <-ctx.Done():
			return sdk.Refuse(i.Fault(ctx.Err()))
		case <-time.After(time.Duration(try) * 3 * time.Millisecond):
		}
	}
}

// send sends a statement once. The extended protocol takes one statement, no
// more.
func (i *Instance) send(ctx context.Context, change change) sdk.Receipt {
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return sdk.Refuse(failed)
	}
	err := conn.Conn().PgConn().ExecParams(ctx, change.statement, nil, nil, nil, nil).Read().Err
	conn.Release()
	if err == nil {
		return sdk.OK()
	}
	answer, ok := answered(err)
	switch {
	case ok && answer.final():
		return sdk.Refuse(i.explain(ctx, change, answer))
	case ok:
		return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "the server ended the connection: %s", answer.words()))
	case pgconn.SafeToRetry(err):
		return sdk.Refuse(i.Fault(err))
	}
	return sdk.Lost(i.Lost(err))
}

// explain is the error of a refusal. Whether rights are missing for this role
// alone, another question tells.
func (i *Instance) explain(ctx context.Context, change change, answer answer) *sdk.Error {
	failure := answer.failure()
	if failure.Code != sdk.PermissionDenied {
		return failure
	}
	met := change.met
	found, failed := i.look(ctx, change.account)
	if failed == nil && found.super && !met.super {
		return &sdk.Error{Code: sdk.Protected, Native: failure.Native, Message: fmt.Sprintf("account %q: a superuser, and %q is none: %s", change.account, met.current, answer.words())}
	}
	if met.creates && met.version >= adminOf {
		failure.Message += fmt.Sprintf("; since PostgreSQL 16 %q needs ADMIN OPTION on the role", met.current)
	}
	return failure
}

// scrub takes a verifier out of what a server says about it.
func scrub(receipt sdk.Receipt, verifier secret.Value) sdk.Receipt {
	if receipt.Err == nil {
		return receipt
	}
	clean := func(text string) string { return strings.ReplaceAll(text, verifier.Reveal(), secret.Redacted) }
	receipt.Err.Message = clean(receipt.Err.Message)
	for index := range receipt.Err.Violations {
		receipt.Err.Violations[index].Message = clean(receipt.Err.Violations[index].Message)
	}
	return receipt
}
