package sqltable_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sets are operations for accounts, with values of their names.
func sets(names ...string) []sdk.Operation {
	var ops []sdk.Operation
	for _, name := range names {
		ops = append(ops, set(name, "new of "+name))
	}
	return ops
}

// wantEach fails unless the operations come to what is wanted by account; the
// others are applied. What is applied or may be is in the table, the rest is not.
func wantEach(t *testing.T, b base, table string, ops []sdk.Operation, receipts []sdk.Receipt, wanted map[string]string) {
	t.Helper()
	was := "{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA=="
	held := rows(t, b, table)
	var proofs []proof
	for index, op := range ops {
		name, expected := op.Account, wanted[op.Account]
		if expected == "" {
			expected = "applied"
		}
		if got := say(receipts[index]); got != expected {
			t.Errorf("%q: %s (%v), want %s", name, got, receipts[index].Err, expected)
		}
		hash, there := held[name]
		if there && strings.HasPrefix(expected, "refused") && hash != was && strings.HasPrefix(hash, "{SSHA}") {
			t.Errorf("%q: refused, and changed", name)
		}
		if expected == "applied" && there {
			proofs = append(proofs, proof{Format: "ssha", Key: name, Value: op.Value.Reveal(), Hash: hash})
		}
	}
	for index, answer := range proven(t, proofs) {
		if !answer {
			t.Errorf("passlib does not take the value for %q", proofs[index].Key)
		}
	}
}

// refusing makes a database refuse the update of one row, and say the hash in its answer
// where it can.
func refusing(t *testing.T, b base, table, name string) {
	t.Helper()
	key, column := b.name("user name"), b.name("pass`\"word")
	switch b.engine {
	case "postgres":
		b.must(t, fmt.Sprintf("CREATE FUNCTION f_%s() RETURNS trigger AS $$ BEGIN IF NEW.%s = '%s' THEN RAISE EXCEPTION 'not %%', NEW.%s; END IF; RETURN NEW; END $$ LANGUAGE plpgsql", table, key, name, column),
			fmt.Sprintf("CREATE TRIGGER t BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION f_%s()", table, table))
	case "mysql":
		b.must(t, fmt.Sprintf("CREATE TRIGGER t_%s BEFORE UPDATE ON %s FOR EACH ROW BEGIN DECLARE why text; IF NEW.%s = '%s' THEN SET why = CONCAT('not ', NEW.%s); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = why; END IF; END", table, table, key, name, column))
	default:
		b.must(t, fmt.Sprintf("CREATE TRIGGER t_%s BEFORE UPDATE ON %s WHEN NEW.%s = '%s' BEGIN SELECT RAISE(ABORT, 'not this one'); END", table, table, key, name))
	}
}

// Of a batch each row that is not good has its own answer, and the others are
// set.
func TestARowThatFailsFailsAlone(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann", "bob", "cy", "none", "twice", "twice", "José", "eve")
			b.must(t, fmt.Sprintf("UPDATE %s SET %s = '!' WHERE %s = 'none'", table, b.name("pass`\"word"), b.name("user name")))
			refusing(t, b, table, "eve")
			instance := open(t, b.config(table))
			for _, names := range [][]string{
				{"ann", "bob", "nobody", "none", "twice", "José", "jose", "cy"},
				{"ann", "eve", "bob", "nobody", "cy"},
				{"ann", "ann "},
			} {
				ops := sets(names...)
				receipts := instance.ApplyBatch(t.Context(), ops)
				wantEach(t, b, table, ops, receipts, map[string]string{"nobody": "refused AccountNotFound", "none": "refused NoCredential", "twice": "refused Ambiguous",
					"jose": "refused AccountNotFound", "ann ": "refused AccountNotFound", "eve": "refused ChangeNotAllowed"})
				for index, receipt := range receipts {
					if ops[index].Account == "eve" && (strings.Contains(receipt.Err.Message, "{SSHA}") || b.engine != "sqlite" && !strings.Contains(receipt.Err.Message, "not "+secret.Redacted)) {
						t.Errorf("the answer has the hash, or the test shows nothing: %v", receipt.Err)
					}
				}
			}
		})
	}
}

// Two rows of one account are Ambiguous although one of them has no password of its
// own, and so are two that the database takes for one.
func TestARowWithoutAPasswordStillMakesTwo(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann", "twin", "twin", "other", "Other", "bob")
			key, column := b.name("user name"), b.name("pass`\"word")
			switch b.engine {
			case "postgres":
				b.must(t, "CREATE COLLATION c_"+table+" (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
					fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE text COLLATE c_%s", table, key, table),
					fmt.Sprintf("UPDATE %s SET %s = '!' WHERE ctid IN (SELECT min(ctid) FROM %s WHERE %s = 'twin')", table, column, table, key))
			case "mysql":
				b.must(t, fmt.Sprintf("ALTER TABLE %s MODIFY %s varchar(100) COLLATE utf8mb4_general_ci", table, key),
					fmt.Sprintf("UPDATE %s SET %s = '!' WHERE %s = 'twin' LIMIT 1", table, column, key))
			default:
				b.must(t, fmt.Sprintf("UPDATE %s SET %s = '!' WHERE rowid IN (SELECT min(rowid) FROM %s WHERE %s = 'twin')", table, column, table, key))
			}
			binary := map[string]string{"postgres": `COLLATE "C"`, "mysql": "COLLATE utf8mb4_bin"}[b.engine]
			b.must(t, fmt.Sprintf("UPDATE %s SET %s = '*' WHERE %s %s = 'Other'", table, column, key, binary))
			wanted := map[string]string{"twin": "refused Ambiguous", "other": "refused Ambiguous"}
			if b.engine == "sqlite" {
				delete(wanted, "other")
			}
			instance, ops := open(t, b.config(table)), sets("ann", "twin", "other", "bob")
			for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
				expected := wanted[ops[index].Account]
				if expected == "" {
					expected = "applied"
				}
				if got := say(receipt); got != expected {
					t.Errorf("%q: %s (%v), want %s", ops[index].Account, got, receipt.Err, expected)
				}
			}
			for name, text := range map[string]string{"twin": "!", "other": "*"} {
				if held := b.must(t, fmt.Sprintf("SELECT %s FROM %s WHERE lower(%s) = '%s' ORDER BY 1", column, table, key, name)); wanted[name] != "" && (len(held) != 2 || held[0] != text || held[1] != "{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA==") {
					t.Errorf("%q was refused, and the table has %q", name, held)
				}
			}
		})
	}
}

// A batch is one transaction, and each of its rows is written once.
func TestABatchIsOneTransaction(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		t.Run(b.engine, func(t *testing.T) {
			var names []string
			for number := range batch {
				names = append(names, fmt.Sprint("user ", number))
			}
			table := b.table(t, names...)
			instance := open(t, b.config(table))
			log := map[string]func() string{"postgres": func() string { return shared.pg.Log() }, "mysql": func() string { return shared.my.Log() }}[b.engine]
			count := func(word string) int { return strings.Count(strings.ToLower(log()), word) }
			commits, updates := count("commit"), count("update "+b.name(table))
			ops := sets(names...)
			wantEach(t, b, table, ops, instance.ApplyBatch(t.Context(), ops), nil)
			commits, updates = count("commit")-commits, count("update "+b.name(table))-updates
			if commits != 1 || updates != batch {
				t.Errorf("%d commits and %d updates, want 1 and %d", commits, updates, batch)
			}
		})
	}
}

// A row that another transaction keeps waits alone.
func TestALockedRowKeepsNoOther(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann", "bob", "cy")
			b.must(t, fmt.Sprintf("CREATE UNIQUE INDEX one_%s ON %s (%s)", table, table, b.name("user name")))
			db := b.as(t)
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(fmt.Sprintf("UPDATE %s SET failed = '1' WHERE %s = 'bob'", table, b.name("user name"))); err != nil {
				t.Fatal(err)
			}
			ops := sets("ann", "bob", "cy")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			receipts := open(t, b.config(table)).ApplyBatch(ctx, ops)
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			wantEach(t, b, table, ops, receipts, map[string]string{"bob": "refused Timeout"})
		})
	}
}

// as is the database as rekey's user has it.
func (b base) as(t testing.TB) *sql.DB {
	t.Helper()
	name, source := "pgx", fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", user, b.secret, b.server)
	if b.engine == "mysql" {
		config := driver.NewConfig()
		config.User, config.Passwd, config.Net, config.Addr, config.DBName = user, b.secret, "tcp", b.server, "app"
		config.InterpolateParams = true
		name, source = "mysql", config.FormatDSN()
	}
	db, err := sql.Open(name, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Of a commit that has no answer nothing is said; the table shows what came of it.
func TestALostCommitLeavesItsBatchUnknown(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		t.Run(b.engine, func(t *testing.T) {
			for fault, kept := range map[reachtest.Fault]bool{reachtest.CutAnswer: true, reachtest.CutRequest: false} {
				table := b.table(t, "ann", "bob", "cy")
				relay := reachtest.NewRelay(t, b.server)
				instance := open(t, b.config(table, "url", b.engine+"://127.0.0.1:"+relay.Port))
				relay.Next(fault, map[string]string{"postgres": "commit", "mysql": "COMMIT"}[b.engine])
				for _, receipt := range instance.ApplyBatch(t.Context(), sets("ann", "bob", "cy")) {
					want(t, receipt, "unknown ConnectionLost")
				}
				verdict := sdk.Rejected
				if kept {
					verdict = sdk.Accepted
				}
				for _, name := range []string{"ann", "bob", "cy"} {
					for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
						got, err := instance.Verify(t.Context(), name, "", secret.New("new of "+name))
						if got == verdict && err == nil {
							break
						}
						if time.Now().After(deadline) {
							t.Fatal(fault, name, got, err)
						}
					}
				}
			}
		})
	}
}

// A database that takes no writes refuses each row, and says why.
func TestAReadOnlyDatabaseIsToldAsSuch(t *testing.T) {
	for _, b := range []base{postgres(t), mysql(t)} {
		t.Run(b.engine, func(t *testing.T) {
			table := b.table(t, "ann", "bob")
			closing := map[string][2]string{"postgres": {"ALTER ROLE " + user + " SET default_transaction_read_only = on", "ALTER ROLE " + user + " RESET default_transaction_read_only"},
				"mysql": {"SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"}}[b.engine]
			b.must(t, closing[0])
			defer b.must(t, closing[1])
			ops := sets("ann", "bob")
			wantEach(t, b, table, ops, open(t, b.config(table)).ApplyBatch(t.Context(), ops), map[string]string{"ann": "refused ReadOnly", "bob": "refused ReadOnly"})
		})
	}
}

// What a server that was stopped did not get is refused; when it is there again the
// same instance goes on.
func TestAServerThatStopsInTheMiddle(t *testing.T) {
	running := postgrestest.Start(t, postgrestest.Options{})
	t.Cleanup(running.Remove)
	b := postgres(t)
	b.server, b.values["url"] = running.Address, running.URL
	b.run = func(statements ...string) ([]string, error) { return running.SQL(context.Background(), statements...) }
	b.must(t, "CREATE ROLE "+user+" LOGIN PASSWORD '"+b.secret+"'")
	table, ops := b.table(t, "ann", "bob"), sets("ann", "bob")
	instance := open(t, b.config(table))
	wantEach(t, b, table, ops, instance.ApplyBatch(t.Context(), ops), nil)
	running.Stop()
	for _, receipt := range instance.ApplyBatch(t.Context(), ops) {
		if receipt.Outcome != sdk.Refused || receipt.Err.Code != sdk.Unreachable && receipt.Err.Code != sdk.TargetUnavailable {
			t.Errorf("while it is away: %s: %v", say(receipt), receipt.Err)
		}
	}
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	wantEach(t, b, table, ops, instance.ApplyBatch(t.Context(), ops), nil)
}
