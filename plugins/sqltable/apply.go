package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
)

// refuseName returns why no key can be the name.
func refuseName(account string) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "account: the name is empty")
	case !utf8.ValidString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name is not UTF-8", account)
	case strings.ContainsRune(account, 0):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: the name has a NUL", account)
	}
	return nil
}

// sameName reports whether two spellings differ in case and Unicode form at
// most. Databases see past more than that: spaces at the end, accents.
func sameName(first, second string) bool {
	return strings.EqualFold(norm.NFC.String(first), norm.NFC.String(second))
}

// Apply sets one value.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.ApplyBatch(ctx, []sdk.Operation{op})[0]
}

// ApplyBatch sets many values in one transaction. It is made of good rows alone:
// whatever does not go well in it is rolled back with all of it, and then each row
// has a transaction of its own, and the answer that it gets there.
func (i *Instance) ApplyBatch(ctx context.Context, ops []sdk.Operation) []sdk.Receipt {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	jobs := make([]*job, len(ops))
	for index, op := range ops {
		jobs[index] = &job{op: op}
		failed := i.refuse(op)
		if failed == nil && ctx.Err() != nil {
			failed = i.Fault(ctx.Err())
		}
		if failed != nil {
			jobs[index].refuse(failed)
		}
	}
	i.hash(ctx, open(jobs))
	if good := open(jobs); len(good) > 1 {
		i.together(ctx, good)
	}
	i.oneByOne(ctx, open(jobs))
	receipts := make([]sdk.Receipt, len(jobs))
	for index, job := range jobs {
		receipts[index] = job.scrubbed()
	}
	return receipts
}

// refuse returns why an operation makes no sense whatever the row is.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	if failed := refuseName(op.Account); failed != nil {
		return failed
	}
	switch {
	case op.MustChange != nil && i.mustChange == "":
		return sdk.Errorf(sdk.Unsupported, "must_change: there is no must_change_column")
	case op.HashFormat == "":
		return i.hasher.refuse(op.Value.Reveal())
	case op.HashFormat != i.hasher.format || op.HashFormat == keycloak:
		return sdk.Errorf(sdk.Unsupported, "hash_format: got %q, but the application reads %s here", op.HashFormat, i.hasher.format)
	case !forms[op.HashFormat].MatchString(op.Value.Reveal()):
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is no hash of %s", op.HashFormat)
	}
	return nil
}

// hash makes the hashes, outside of any transaction. That of ha1 takes no time,
// and is of the name too, as the row has it: it waits until the row is read.
func (i *Instance) hash(ctx context.Context, jobs []*job) {
	var workers sync.WaitGroup
	for _, job := range jobs {
		switch {
		case job.op.HashFormat != "":
			job.held = hashed{text: job.op.Value.Reveal()}
		case !i.waitsForKey(job):
			workers.Go(func() { i.hashOne(ctx, job) })
		}
	}
	workers.Wait()
}

func (i *Instance) hashOne(ctx context.Context, job *job) {
	done, failed := i.turn(ctx)
	if failed != nil {
		job.refuse(failed)
		return
	}
	defer done()
	var err error
	if job.held, err = i.hasher.make(job.op.Account, job.op.Value.Reveal()); err != nil {
		job.refuse(sdk.Errorf(sdk.Internal, "hash %s: %v", i.hasher.format, err))
	}
}

// waitsForKey reports whether the job's hash is made when its row is read.
func (i *Instance) waitsForKey(job *job) bool {
	return i.hasher.format == ha1 && job.op.HashFormat == ""
}

// fits makes the hash if it waited for the row, and refuses a row that has no
// password of its own.
func (i *Instance) fits(job *job, found row) *sdk.Error {
	if i.waitsForKey(job) {
		job.held.text = i.hasher.ha1(found.key, job.op.Value.Reveal())
	}
	return i.usable(job.op.Account, found)
}

// usable refuses a row that has no password of its own.
func (i *Instance) usable(account string, found row) *sdk.Error {
	if (found.null || unusable(found.held.text)) && !i.replaceUnusable {
		return sdk.Errorf(sdk.NoCredential, "account %q: it has no password of its own; replace_unusable = True gives it one", account)
	}
	return nil
}

// oneByOne gives each job a transaction of its own.
func (i *Instance) oneByOne(ctx context.Context, jobs []*job) {
	var workers sync.WaitGroup
	for _, job := range jobs {
		workers.Go(func() {
			failed := i.transact(ctx, func(tx *transaction) ([]target, *sdk.Error) {
				key, failed := i.within(ctx, tx.Tx, job)
				return []target{{job, key}}, failed
			})
			if failed != nil {
				job.refuse(failed)
			}
		})
	}
	workers.Wait()
}

// within changes one row: it is locked and looked at, changed, and read back.
func (i *Instance) within(ctx context.Context, tx *sql.Tx, job *job) (key string, failed *sdk.Error) {
	found, err := i.read(ctx, tx, job.op.Account, i.lock)
	if err != nil {
		return "", i.failure(err)
	}
	if failed := i.fits(job, found); failed != nil {
		return "", failed
	}
	text, args := i.update(job.op, job.held, found.key)
	result, err := tx.ExecContext(ctx, text, args...)
	if err != nil {
		return "", i.failure(err)
	}
	if count, err := result.RowsAffected(); err != nil || count != 1 {
		return "", several(job.op.Account, count)
	}
	after, err := i.read(ctx, tx, job.op.Account, "")
	switch {
	case err != nil:
		return "", i.failure(err)
	case after.held != job.held:
		return "", sdk.Errorf(sdk.InvalidConfig, "column: %s does not keep the hash as it was written (%d characters, of which it has %d): is it long enough, or is there a trigger?", i.column, len(job.held.text), len(after.held.text))
	}
	return found.key, nil
}

// update is the statement that changes the row of a key.
func (i *Instance) update(op sdk.Operation, held hashed, key string) (string, []any) {
	var columns []string
	var args []any
	put := func(column string, value any) {
		args = append(args, value)
		columns = append(columns, i.identifier(column)+" = "+i.mark(len(args)))
	}
	put(i.column, held.text)
	if i.data != "" {
		put(i.data, held.data)
	}
	if op.MustChange != nil {
		value := i.mustChangeValues[1]
		if *op.MustChange {
			value = i.mustChangeValues[0]
		}
		put(i.mustChange, value)
	}
	switch {
	case i.updated == "":
	case i.updatedAs == asUnix:
		put(i.updated, strconv.FormatInt(i.Now().Unix(), 10))
	case i.updatedAs == asMillis:
		put(i.updated, strconv.FormatInt(i.Now().UnixMilli(), 10))
	default:
		columns = append(columns, i.identifier(i.updated)+" = CURRENT_TIMESTAMP")
	}
	for _, assignment := range i.extra {
		put(assignment.column, assignment.value)
	}
	args = append(args, key)
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s = %s%s", i.source(), strings.Join(columns, ", "), i.identifier(i.key), i.mark(len(args)), i.condition()), args
}
