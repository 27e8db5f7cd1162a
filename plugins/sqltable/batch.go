package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
)

// transaction is one, and the connection that it is on.
type transaction struct {
	*sql.Tx
	conn *sql.Conn
}

// target is a job and the key of its row.
type target struct {
	*job
	key string
}

// transact changes rows in one transaction, and settles their jobs if it was
// committed, or may have been: then all of them are unknown. Otherwise it returns
// why nothing was changed.
func (i *Instance) transact(ctx context.Context, change func(*transaction) ([]target, *sdk.Error)) *sdk.Error {
	var changed []target
	failed, lost := i.committed(ctx, func(tx *transaction) (failed *sdk.Error) {
		changed, failed = change(tx)
		return failed
	})
	switch {
	case failed != nil && !lost:
		return failed
	case lost:
		for _, target := range changed {
			target.lose(failed)
		}
	default:
		for _, target := range changed {
			target.settle(sdk.Receipt{Outcome: sdk.Applied, Stamp: row{held: target.held}.stamp()})
		}
	}
	return nil
}

// committed is a transaction; lost says that it may have been committed although
// it failed. Until its commit is sent nothing has changed.
func (i *Instance) committed(ctx context.Context, change func(*transaction) *sdk.Error) (failed *sdk.Error, lost bool) {
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	case <-ctx.Done():
		return i.Fault(ctx.Err()), false
	}
	conn, err := i.db.Conn(ctx)
	if err != nil {
		return i.failure(err), false
	}
	defer conn.Close() // it goes back to the pool
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return i.failure(err), false
	}
	failed = change(&transaction{tx, conn})
	if failed == nil && ctx.Err() != nil {
		failed = i.Fault(ctx.Err())
	}
	if failed != nil {
		_ = tx.Rollback() // what is not committed is gone with its connection
		return failed, false
	}
	if err := tx.Commit(); err != nil {
		if refused, final := answered(err); final {
			return refused, false
		}
		return i.Lost(err), true
	}
	return nil, false
}

// attempt is a transaction for many jobs. Those that keep it from being
// committed are bad; they have transactions of their own later.
type attempt struct {
	*Instance
	tx   *transaction
	jobs []*job
	bad  map[*job]bool
}

// attempts is how often a transaction is tried again without what was bad in it.
const attempts = 4

// together changes the rows of as many jobs as it can in one transaction. A job
// whose row is locked, spelled otherwise or not there is left open, and so are all
// of them if something else goes wrong.
func (i *Instance) together(ctx context.Context, jobs []*job) {
	for range attempts {
		bad := map[*job]bool{}
		failed := i.transact(ctx, func(tx *transaction) ([]target, *sdk.Error) {
			return (&attempt{i, tx, jobs, bad}).change(ctx)
		})
		jobs = slices.DeleteFunc(open(jobs), func(job *job) bool { return bad[job] })
		if failed == nil || len(bad) == 0 || len(jobs) < 2 {
			return
		}
	}
}

// blame makes a job bad.
func (a *attempt) blame(job *job, failed *sdk.Error) *sdk.Error {
	a.bad[job] = true
	return failed
}

func (a *attempt) change(ctx context.Context) ([]target, *sdk.Error) {
	if a.engine.name == enginePostgres {
		return a.pipelined(ctx)
	}
	targets, failed := a.aimed(ctx)
	if failed != nil || len(targets) == 0 {
		return nil, failed
	}
	for _, target := range targets {
		text, args := a.update(target.op, target.held, target.key)
		result, err := a.tx.ExecContext(ctx, text, args...)
		if err != nil {
			return nil, a.blame(target.job, a.failure(err))
		}
		if count, err := result.RowsAffected(); err != nil || count != 1 {
			return nil, a.blame(target.job, several(target.op.Account, count))
		}
	}
	text, args := a.among(targets, "")
	after, failed := a.rows(ctx, text, args)
	if failed == nil {
		failed = a.kept(targets, after)
	}
	return targets, failed
}

// aimed locks the rows of the jobs and finds out whose they are.
func (a *attempt) aimed(ctx context.Context) ([]target, *sdk.Error) {
	var named []target
	for _, job := range a.jobs {
		named = append(named, target{job, job.op.Account})
	}
	text, args := a.among(named, a.lockFree)
	found, failed := a.rows(ctx, text, args)
	if failed != nil {
		return nil, failed
	}
	return a.aim(found)
}

// among reads the rows that have one of the keys, as the database compares them.
func (i *Instance) among(targets []target, lock string) (string, []any) {
	marks, args := make([]string, len(targets)), make([]any, len(targets))
	for index, target := range targets {
		marks[index], args[index] = i.mark(index+1), target.key
	}
	return fmt.Sprintf("SELECT %s FROM %s WHERE %s IN (%s)%s%s", i.selected(), i.source(), i.identifier(i.key), strings.Join(marks, ", "), i.condition(), lock), args
}

func (a *attempt) rows(ctx context.Context, text string, args []any) ([]row, *sdk.Error) {
	rows, err := a.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, a.failure(err)
	}
	defer rows.Close()
	found, err := a.scanAll(rows)
	if err != nil {
		return nil, a.failure(err)
	}
	return found, nil
}

// aim finds the rows of jobs, and refuses those whose row takes no password. A job
// is left out unless exactly one row has the very name, and no row has one that
// looks like it: the database may take that for the same.
func (a *attempt) aim(found []row) ([]target, *sdk.Error) {
	rows, alike, looks := map[string]row{}, map[string]int{}, map[string]bool{}
	for _, row := range found {
		rows[row.key] = row
		alike[look(row.key)]++
	}
	var targets []target
	for _, job := range once(a.jobs) {
		looks[look(job.op.Account)] = true
		row, ok := rows[job.op.Account]
		if !ok || alike[look(row.key)] > 1 {
			continue
		}
		if failed := a.fits(job, row); failed != nil {
			job.refuse(failed)
			continue
		}
		targets = append(targets, target{job, row.key})
	}
	for key := range rows {
		if !looks[look(key)] {
			return nil, alsoTaken(key)
		}
	}
	return targets, nil
}

// once are the jobs without a second one of an account.
func once(jobs []*job) []*job {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(jobs), func(job *job) bool {
		again := seen[job.op.Account]
		seen[job.op.Account] = true
		return again
	})
}

// look is what names that databases may take for one another have in common:
// case, accents, spaces at the end, forms of letters.
func look(name string) string {
	bare := strings.Map(func(letter rune) rune {
		if unicode.Is(unicode.Mn, letter) {
			return -1
		}
		return unicode.ToLower(letter)
	}, norm.NFKD.String(name))
	return strings.TrimSpace(bare)
}

// kept looks whether the rows hold what they were given.
func (a *attempt) kept(targets []target, after []row) *sdk.Error {
	held := map[string]hashed{}
	for _, row := range after {
		held[row.key] = row.held
	}
	var failed *sdk.Error
	for _, target := range targets {
		if held[target.key] != target.held {
			failed = a.blame(target.job, sdk.Errorf(sdk.InvalidConfig, "column: %s does not keep the hash as it was written", a.column))
		}
	}
	return failed
}

func several(account string, count int64) *sdk.Error {
	return sdk.Errorf(sdk.Ambiguous, "account %q: %d rows would be changed, want 1", account, count)
}

func alsoTaken(key string) *sdk.Error {
	return sdk.Errorf(sdk.Ambiguous, "the database takes %q for one of the accounts", key)
}
