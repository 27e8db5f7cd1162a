package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/sdk"
)

// role is an account as the server tells of it.
type role struct {
	sdk.Account
	super    bool
	text     map[string]string // attributes
	memberOf []string
}

// columns are the attributes that are columns of pg_roles.
var columns = []string{"rolsuper", "rolinherit", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolreplication", "rolbypassrls", "rolconnlimit", "rolvaliduntil"}

// selection reads roles; %s are the stamp and a table of roles.
const selection = `SELECT r.oid::text, r.rolname::text, r.rolcanlogin, r.rolsuper, coalesce(r.rolvaliduntil <= now(), false), %s,
	ARRAY[r.rolsuper::text, r.rolinherit::text, r.rolcreaterole::text, r.rolcreatedb::text, r.rolcanlogin::text, r.rolreplication::text, r.rolbypassrls::text, r.rolconnlimit::text,
		coalesce(CASE WHEN isfinite(r.rolvaliduntil) THEN to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') ELSE r.rolvaliduntil::text END, '')],
	coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid'), ''),
	ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1)
FROM %s r`

// query is the selection as the role may make it.
func (s *server) query(roles string) string {
	stamp := "''"
	if s.sees {
		// As stamp has it; a verifier itself is never read.
		stamp = "coalesce((SELECT left(encode(sha256(convert_to(a.rolpassword, 'UTF8')), 'hex'), 32) FROM pg_catalog.pg_authid a WHERE a.oid = r.oid AND a.rolpassword LIKE 'SCRAM-SHA-256$%'), '')"
	}
	return fmt.Sprintf(selection, stamp, roles)
}

func scan(row pgx.Row) (role, error) {
	var found role
	var canLogin, expired bool
	var comment string
	var texts []string
	err := row.Scan(&found.ID, &found.Account.Account, &canLogin, &found.super, &expired, &found.Stamp, &texts, &comment, &found.memberOf)
	if err != nil {
		return role{}, err
	}
	found.Login, found.Status = found.Account.Account, sdk.StatusActive
	switch {
	case !canLogin:
		found.Status = sdk.StatusDisabled
	case expired:
		found.Status = sdk.StatusExpired
	}
	found.text = map[string]string{"comment": comment}
	for index, name := range columns {
		found.text[name] = texts[index]
	}
	return found, nil
}

// Find returns what the server tells of a role. ID is its oid.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	if failed := refuseName(account); failed != nil {
		failed.Code = sdk.AccountNotFound
		return sdk.Account{}, failed
	}
	found, failed := i.look(ctx, account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	return found.Account, nil
}

// look reads one role.
func (i *Instance) look(ctx context.Context, account string) (role, *sdk.Error) {
	met, failed := i.met(ctx)
	if failed != nil {
		return role{}, failed
	}
	var found role
	failed = i.ask(ctx, func(conn *pgx.Conn) (err error) {
		found, err = scan(conn.QueryRow(ctx, met.query("pg_catalog.pg_roles")+" WHERE r.rolname = $1", account))
		if errors.Is(err, pgx.ErrNoRows) {
			return sdk.Errorf(sdk.AccountNotFound, "account %q: no such role", account)
		}
		return err
	})
	return found, failed
}

// List calls yield for the roles that can log in and that the condition selects.
// It is one statement, so it shows one moment. It runs in a transaction that
// cannot write.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	for _, name := range attributes {
		if name != "memberof" && name != "comment" && !slices.Contains(columns, name) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: there are %s, comment and memberof", name, strings.Join(columns, ", "))
		}
	}
	met, failed := i.met(ctx)
	if failed != nil {
		return failed
	}
	conn, failed := i.acquire(ctx)
	if failed != nil {
		return failed
	}
	defer conn.Release()
	return i.list(ctx, conn.Conn(), met.query(filtered(filter))+" WHERE r.rolcanlogin AND r.rolname !~ '^pg_' ORDER BY r.rolname", func(found role) error {
		return yield(found.with(attributes))
	}, filter)
}

// filtered is pg_roles, as far as a condition selects it. A comment in the
// condition ends with its line.
func filtered(filter string) string {
	if filter == "" {
		return "pg_catalog.pg_roles"
	}
	return "(SELECT * FROM pg_catalog.pg_roles WHERE (" + filter + "\n))"
}

func (i *Instance) list(ctx context.Context, conn *pgx.Conn, query string, yield func(role) error, filter string) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return i.unread(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // it was only read
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return i.badFilter(filter, err)
	}
	defer rows.Close()
	for rows.Next() {
		found, err := scan(rows)
		if err != nil {
			return i.unread(err)
		}
		if err := yield(found); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return i.badFilter(filter, err)
	}
	return nil
}

// badFilter is the error of a list whose condition the server does not take.
func (i *Instance) badFilter(filter string, err error) error {
	answer, ok := answered(err)
	if filter != "" && ok && answer.final() && (strings.HasPrefix(answer.Code, "42") || strings.HasPrefix(answer.Code, "22") || answer.Code == "25006") {
		return &sdk.Error{Code: sdk.InvalidOperation, Native: answer.Code, Message: fmt.Sprintf("filter %q: %s", filter, answer.words())}
	}
	return i.unread(err)
}

func (r role) with(attributes []string) sdk.Account {
	account := r.Account
	account.Attributes = make(map[string]string, len(attributes))
	for _, name := range attributes {
		account.Attributes[name] = r.text[name]
		if name != "memberof" {
			continue
		}
		account.Attributes[name] = strings.Join(r.memberOf, ",")
		if len(r.memberOf) > 1 {
			account.Lists = map[string][]string{name: r.memberOf}
		}
	}
	return account
}

// Resolve returns the oid behind each name, in one question.
func (i *Instance) Resolve(ctx context.Context, names []string) ([]sdk.Identity, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	met, failed := i.met(ctx)
	if failed != nil {
		return nil, failed
	}
	var asked []string
	for _, name := range names {
		if refuseName(name) == nil {
			asked = append(asked, name)
		}
	}
	oids, failed := i.oids(ctx, asked)
	if failed != nil {
		return nil, failed
	}
	target := met.id
	if target == "" {
		target = strings.ToLower(i.Network + " " + i.Address)
	}
	found := make([]sdk.Identity, len(names))
	for index, name := range names {
		switch oid, ok := oids[name]; {
		case refuseName(name) != nil:
			found[index].Err = refuseName(name)
		case !ok:
			found[index].Err = sdk.Errorf(sdk.AccountNotFound, "account %q: no such role", name)
		default:
			found[index] = sdk.Identity{Target: target, ID: oid}
		}
	}
	return found, nil
}

func (i *Instance) oids(ctx context.Context, names []string) (map[string]string, *sdk.Error) {
	var oids map[string]string
	failed := i.ask(ctx, func(conn *pgx.Conn) error {
		oids = make(map[string]string, len(names))
		rows, err := conn.Query(ctx, "SELECT rolname::text, oid::text FROM pg_catalog.pg_roles WHERE rolname = ANY($1)", names)
		if err != nil {
			return err
		}
		var name, oid string
		_, err = pgx.ForEachRow(rows, []any{&name, &oid}, func() error {
			oids[name] = oid
			return nil
		})
		return err
	})
	return oids, failed
}

// ends returns when a role's password ends; zero: never.
func (r role) ends() time.Time {
	at, err := time.Parse(time.RFC3339, r.text["rolvaliduntil"])
	if err != nil {
		return time.Time{}
	}
	return at
}
