package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// tell is a row as a script gets it.
func (r row) tell() sdk.Account {
	told := sdk.Account{Account: r.key, ID: r.key, Login: r.key, Status: sdk.StatusActive, MustChange: r.mustChange, Stamp: r.stamp()}
	if r.null || unusable(r.held.text) {
		told.Status = sdk.StatusFederated
	}
	return told
}

// one reads the row of an account. A connection that is lost is replaced by the
// pool, for a question changes nothing.
func (i *Instance) one(ctx context.Context, account string) (row, *sdk.Error) {
	if failed := i.removed(); failed != nil {
		return row{}, failed
	}
	found, err := i.read(ctx, i.db, account, "")
	if err != nil {
		return row{}, i.failure(err)
	}
	return found, nil
}

// Find returns what the table has of an account. ID is its key, as it stands
// there.
func (i *Instance) Find(ctx context.Context, account string) (sdk.Account, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found, failed := i.one(ctx, account)
	if failed != nil && failed.Code == sdk.InvalidOperation {
		failed.Code = sdk.AccountNotFound
	}
	if failed != nil {
		return sdk.Account{}, failed
	}
	return found.tell(), nil
}

// Resolve returns the key behind each name, as it stands in the table.
func (i *Instance) Resolve(ctx context.Context, accounts []string) ([]sdk.Identity, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found := make([]sdk.Identity, len(accounts))
	for index, account := range accounts {
		row, failed := i.one(ctx, account)
		switch {
		case failed == nil:
			target := strings.Join([]string{i.engine.name, i.Network, i.Address, i.database, i.schema, i.table, i.column}, " ")
			found[index] = sdk.Identity{Target: target, ID: row.key}
		case failed.Code == sdk.AccountNotFound, failed.Code == sdk.Ambiguous, failed.Code == sdk.InvalidOperation:
			found[index].Err = failed
		default:
			return nil, failed
		}
	}
	return found, nil
}

// List calls yield for the rows that the condition selects, in the order of
// their keys. It is one statement, so it shows one moment, in a transaction that
// is rolled back.
func (i *Instance) List(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	columns := i.selected()
	for _, name := range attributes {
		if strings.EqualFold(name, i.column) || strings.EqualFold(name, i.data) && i.data != "" {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: holds credentials", name)
		}
		columns += ", " + i.identifier(name)
	}
	condition := " WHERE 1 = 1" + i.condition()
	if filter != "" {
		condition += " AND (" + filter + "\n)"
	}
	tx, err := i.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: i.engine.name != engineSQLite})
	if err != nil {
		return i.failure(err)
	}
	defer func() { _ = tx.Rollback() }() // it was only read
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s", columns, i.source(), condition, i.identifier(i.key)))
	if err != nil {
		return i.badFilter(filter, err)
	}
	defer rows.Close()
	last, begun := "", false
	for rows.Next() {
		values := make([]sql.NullString, len(attributes))
		places := make([]any, len(values))
		for index := range values {
			places[index] = &values[index]
		}
		found, err := i.scan(rows, places...)
		if err != nil {
			return i.failure(err)
		}
		if begun && found.key == last {
			continue // several rows are one account, which a set refuses
		}
		last, begun = found.key, true
		told := found.tell()
		told.Attributes = make(map[string]string, len(attributes))
		for index, name := range attributes {
			told.Attributes[name] = values[index].String
		}
		if err := yield(told); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return i.badFilter(filter, err)
	}
	return nil
}

// badFilter is the error of a list whose condition the database does not take.
func (i *Instance) badFilter(filter string, err error) error {
	failure := i.failure(err)
	if filter != "" && slices.Contains([]sdk.Code{sdk.InvalidConfig, sdk.ReadOnly}, failure.Code) && failure.Native != "" {
		return &sdk.Error{Code: sdk.InvalidOperation, Native: failure.Native, Message: fmt.Sprintf("filter %q: %s", filter, failure.Message)}
	}
	return failure
}

// Policy returns the one rule that a hash can have.
func (i *Instance) Policy(context.Context, string, string) (sdk.Policy, error) {
	rules := sdk.Policy{MinLength: 1, Note: "the application's own rules are not known here"}
	if i.hasher.format == bcrypted {
		rules.MaxBytes = bcryptBytes
	}
	return rules, nil
}

// Verify compares a value with the hash in the table. It asks no application.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	found, failed := i.one(ctx, account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	if found.null || unusable(found.held.text) {
		return sdk.Rejected, nil
	}
	done, failed := i.turn(ctx)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	defer done()
	verdict := i.hasher.matches(found.key, value.Reveal(), found.held)
	if verdict == sdk.Accepted && found.mustChange != nil && *found.mustChange {
		return sdk.AcceptedMustChange, nil
	}
	return verdict, nil
}
