package sqltable

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
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
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	failed := i.refuse(op)
	if failed == nil && ctx.Err() != nil {
		failed = i.Fault(ctx.Err())
	}
	if failed != nil {
		return sdk.Refuse(failed)
	}
	return i.scrubbed(i.set(ctx, op), op)
}

// refuse returns why an operation makes no sense whatever the row is.
func (i *Instance) refuse(op sdk.Operation) *sdk.Error {
	if failed := refuseName(op.Account); failed != nil {
		return failed
	}
	switch {
	case op.Verb != sdk.Set:
		return sdk.Errorf(sdk.Unsupported, "not done by this backend: %s", op.Verb)
	case op.Kind != "":
		return sdk.Errorf(sdk.Unsupported, "kind %q: a row has one credential", op.Kind)
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

// set changes one row in a transaction. The hash of ha1 is of the name too, as
// the row has it, so a row is read before anything is hashed.
func (i *Instance) set(ctx context.Context, op sdk.Operation) sdk.Receipt {
	before, err := i.read(ctx, i.db, op.Account, "")
	if err != nil {
		return sdk.Refuse(i.failure(err))
	}
	if failed := i.usable(op.Account, before); failed != nil {
		return sdk.Refuse(failed)
	}
	held := hashed{text: op.Value.Reveal()}
	if op.HashFormat == "" {
		done, failed := i.turn(ctx)
		if failed != nil {
			return sdk.Refuse(failed)
		}
		held, err = i.hasher.make(before.key, op.Value.Reveal())
		done()
		if err != nil {
			return sdk.Refuse(sdk.Errorf(sdk.Internal, "hash %s: %v", i.hasher.format, err))
		}
	}
	return i.write(ctx, op, held)
}

// usable refuses a row that has no password of its own.
func (i *Instance) usable(account string, found row) *sdk.Error {
	if (found.null || unusable(found.held.text)) && !i.replaceUnusable {
		return sdk.Errorf(sdk.NoCredential, "account %q: it has no password of its own; replace_unusable = True gives it one", account)
	}
	return nil
}

// write is the transaction: the row is locked and looked at again, changed, and
// read back. Until its commit is sent nothing has changed.
func (i *Instance) write(ctx context.Context, op sdk.Operation, held hashed) sdk.Receipt {
	select {
	case i.turns <- struct{}{}:
		defer func() { <-i.turns }()
	case <-ctx.Done():
		return sdk.Refuse(i.Fault(ctx.Err()))
	}
	tx, err := i.db.BeginTx(ctx, nil)
	if err != nil {
		return sdk.Refuse(i.failure(err))
	}
	if failed := i.within(ctx, tx, op, held); failed != nil {
		_ = tx.Rollback() // what is not committed is gone with its connection
		return sdk.Refuse(failed)
	}
	if err := ctx.Err(); err != nil {
		_ = tx.Rollback() // likewise
		return sdk.Refuse(i.Fault(err))
	}
	if err := tx.Commit(); err != nil {
		if refused, final := answered(err); final {
			return sdk.Refuse(refused)
		}
		return sdk.Lost(i.Lost(err))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Stamp: row{held: held}.stamp()}
}

func (i *Instance) within(ctx context.Context, tx *sql.Tx, op sdk.Operation, held hashed) *sdk.Error {
	found, err := i.read(ctx, tx, op.Account, i.lock)
	if err != nil {
		return i.failure(err)
	}
	if failed := i.usable(op.Account, found); failed != nil {
		return failed
	}
	text, args := i.update(op, held, found.key)
	result, err := tx.ExecContext(ctx, text, args...)
	if err != nil {
		return i.failure(err)
	}
	if count, err := result.RowsAffected(); err != nil || count != 1 {
		return sdk.Errorf(sdk.Ambiguous, "account %q: %d rows would be changed, want 1", op.Account, count)
	}
	after, err := i.read(ctx, tx, op.Account, "")
	switch {
	case err != nil:
		return i.failure(err)
	case after.held != held:
		return sdk.Errorf(sdk.InvalidConfig, "column: %s does not keep the hash as it was written (%d characters, of which it has %d): is it long enough, or is there a trigger?", i.column, len(held.text), len(after.held.text))
	}
	return nil
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

// scrubbed is a receipt without what a database says of the value.
func (i *Instance) scrubbed(receipt sdk.Receipt, op sdk.Operation) sdk.Receipt {
	if plain := op.Value.Reveal(); receipt.Err != nil && plain != "" {
		receipt.Err.Message = strings.ReplaceAll(receipt.Err.Message, plain, secret.Redacted)
	}
	return receipt
}
