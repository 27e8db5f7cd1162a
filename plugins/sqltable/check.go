package sqltable

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// looked is how many rows Check looks at.
const looked = 200

// Check reads some rows: whether they are there, whether their columns are, and
// whether the hashes that they hold are of the kind that is to be written.
func (i *Instance) Check(ctx context.Context) []sdk.Finding {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	var found []sdk.Finding
	if i.Exposed {
		found = append(found, warning("hashes travel in clear: insecure = True to another machine", "leave insecure out"))
	}
	if failed := i.removed(); failed != nil {
		return append(found, bad(failed, ""))
	}
	kinds, failed := i.sample(ctx)
	if failed == nil {
		failed = i.writable(ctx)
	}
	if failed != nil {
		return append(found, bad(failed, ""))
	}
	if known := slices.Sorted(maps.Keys(kinds)); len(known) > 0 && kinds[i.hasher.format] == 0 {
		found = append(found, warning(fmt.Sprintf("hash: none of the hashes looked at is %s; they are %s", i.hasher.format, strings.Join(known, ", ")), "see what the application reads"))
	}
	found = append(found, i.checkTransactions(ctx)...)
	return append(found, i.Told(time.Time{})...)
}

// removed is the failure of a file of SQLite that is no longer there: one that is
// open is read on, and no application looks there any more.
func (i *Instance) removed() *sdk.Error {
	if i.engine.name != engineSQLite {
		return nil
	}
	if _, err := os.Stat(i.path); err != nil {
		return sdk.Errorf(sdk.InvalidConfig, "path: %v", err)
	}
	return nil
}

// sample counts the formats of some rows.
func (i *Instance) sample(ctx context.Context) (map[string]int, *sdk.Error) {
	rows, err := i.db.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE 1 = 1%s LIMIT %d", i.selected(), i.source(), i.condition(), looked))
	if err != nil {
		return nil, i.failure(err)
	}
	defer rows.Close()
	kinds := map[string]int{}
	for rows.Next() {
		one, err := i.scan(rows)
		if err != nil {
			return nil, i.failure(err)
		}
		switch format := formatOf(one.held.text); {
		case format != "":
			kinds[format]++
		case !one.null && !unusable(one.held.text):
			kinds["of no known kind"]++
		}
	}
	if err := rows.Err(); err != nil {
		return nil, i.failure(err)
	}
	return kinds, nil
}

// writable tries an update of no row: the columns are there, and the user may.
func (i *Instance) writable(ctx context.Context) *sdk.Error {
	no := false
	op := sdk.Operation{MustChange: &no}
	if i.mustChange == "" {
		op.MustChange = nil
	}
	text, args := i.update(op, hashed{}, "")
	tx, err := i.db.BeginTx(ctx, nil)
	if err != nil {
		return i.failure(err)
	}
	defer func() { _ = tx.Rollback() }() // it changes nothing
	if _, err := tx.ExecContext(ctx, text+" AND 1 = 0", args...); err != nil {
		return i.failure(err)
	}
	return nil
}

// checkTransactions looks whether what is rolled back is gone. Where it is not, what
// is refused may have been done.
func (i *Instance) checkTransactions(ctx context.Context) []sdk.Finding {
	if i.engine.name != engineMySQL {
		return nil
	}
	var engine, transactions string
	err := i.db.QueryRowContext(ctx, "SELECT e.ENGINE, COALESCE(e.TRANSACTIONS, '') FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE"+
		" WHERE t.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND t.TABLE_NAME = ?", i.schema, i.table).Scan(&engine, &transactions)
	if err != nil || strings.EqualFold(transactions, "YES") {
		return nil
	}
	return []sdk.Finding{bad(sdk.Errorf(sdk.InvalidConfig, "table: %s is kept by %s, which has no transactions: what is refused may have been done", i.table, engine), "ALTER TABLE … ENGINE = InnoDB")}
}

func bad(failure *sdk.Error, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: fix}
}

func warning(message, fix string) sdk.Finding {
	return sdk.Finding{Severity: sdk.Warning, Message: message, Fix: fix}
}
