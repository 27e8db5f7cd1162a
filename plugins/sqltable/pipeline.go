package sqltable

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/rekey-host/rekey/sdk"
)

// waits is how long a transaction for many waits for rows that another one
// keeps.
const waits = "SET LOCAL lock_timeout = '100ms'"

// pipelined sends all that PostgreSQL is to do at once: an update a row, and a look
// at all of them afterwards. A row that has no password of its own matches no update.
func (a *attempt) pipelined(ctx context.Context) ([]target, *sdk.Error) {
	var targets []target
	for _, job := range once(a.jobs) {
		if a.waitsForKey(job) {
			job.held.text = a.hasher.ha1(job.op.Account, job.op.Value.Reveal())
		}
		targets = append(targets, target{job, job.op.Account})
	}
	var changed []target
	var failed *sdk.Error
	err := a.tx.conn.Raw(func(driver any) error {
		results := driver.(*stdlib.Conn).Conn().SendBatch(ctx, a.statements(targets))
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // the first error says it
			return err
		}
		if changed, failed = a.updated(results, targets); failed != nil {
			_ = results.Close() // likewise
			return nil
		}
		failed = a.readBack(results, targets, changed)
		return results.Close()
	})
	if failed == nil && err != nil {
		failed = a.failure(err)
	}
	return changed, failed
}

func (a *attempt) statements(targets []target) *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(waits)
	for _, target := range targets {
		text, args := a.update(target.op, target.held, target.key)
		if column := a.identifier(a.column); !a.replaceUnusable {
			text += " AND " + column + "::text <> '' AND left(" + column + "::text, 1) NOT IN ('!', '*')"
		}
		batch.Queue(text+" RETURNING "+a.selected(), args...)
	}
	text, args := a.among(targets, "")
	batch.Queue(text, args...)
	return batch
}

// updated returns the targets whose row was changed. What matched no row is left
// open; another row, or several, make the job bad.
func (a *attempt) updated(results pgx.BatchResults, targets []target) (changed []target, failed *sdk.Error) {
	for _, target := range targets {
		rows, err := results.Query()
		if err != nil {
			return nil, a.blame(target.job, a.failure(err))
		}
		found, err := a.scanAll(rows)
		rows.Close()
		switch {
		case err != nil:
			return nil, a.blame(target.job, a.failure(err))
		case len(found) > 1:
			failed = a.blame(target.job, several(target.op.Account, int64(len(found))))
		case len(found) == 1 && found[0].key != target.key:
			failed = a.blame(target.job, sdk.Errorf(sdk.AccountNotFound, "account %q: the database takes it for %q", target.op.Account, found[0].key))
		case len(found) == 1:
			changed = append(changed, target)
		}
	}
	return changed, failed
}

func (a *attempt) readBack(results pgx.BatchResults, targets, changed []target) *sdk.Error {
	rows, err := results.Query()
	if err != nil {
		return a.failure(err)
	}
	defer rows.Close()
	after, err := a.scanAll(rows)
	if err != nil {
		return a.failure(err)
	}
	if failed := a.alone(targets, changed, after); failed != nil {
		return failed
	}
	return a.kept(changed, after)
}

// alone refuses a change beside which another row has the account: the update left
// that row out, for it has no password of its own, and a job by itself would find it.
func (a *attempt) alone(targets, changed []target, after []row) (failed *sdk.Error) {
	rows := map[string]int64{}
	for _, row := range after {
		rows[row.key]++
	}
	for _, target := range changed {
		if count := rows[target.key]; count > 1 {
			failed = a.blame(target.job, several(target.op.Account, count))
		}
	}
	for _, target := range targets {
		delete(rows, target.key)
	}
	for key := range rows {
		failed = alsoTaken(key)
	}
	return failed
}
