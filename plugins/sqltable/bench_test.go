package sqltable_test

import (
	"crypto/rand"
	"crypto/sha1"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many rows a round is about, where the hash takes no time.
const benched = 512

// BenchmarkSet compares the backend with a loop written by hand, which makes the
// same hash and sends one UPDATE a row, over as many connections as the backend has
// operations at once: rows/s of either, and the ratio. Commits reach the disk,
// as installed servers have it. The backend looks at each row before and after, and is
// given batches as its host gives them.
func BenchmarkSet(b *testing.B) {
	for _, base := range []base{lastingPostgres(b), lastingMySQL(b)} {
		for hash, count := range map[string]int{"ssha": benched, "argon2id": benched / 8} {
			table := base.table(b)
			var rows []string
			for number := range count {
				rows = append(rows, fmt.Sprintf("('user %d', '{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA==', 0, '', '7')", number))
			}
			base.must(b, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ", "))
			for _, atOnce := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s, %s, %d at once", base.engine, hash, atOnce), func(b *testing.B) {
					made := base.config(table, "hash", hash)
					made.Concurrency = atOnce
					instance, db := open(b, made), base.as(b)
					db.SetMaxOpenConns(atOnce)
					db.SetMaxIdleConns(atOnce)
					var mine, hand time.Duration
					for b.Loop() {
						hand += byHand(b, byHandOf{base, db, table, hash, count}, atOnce)
						mine += batches(b, instance, count, atOnce)
					}
					total := float64(b.N * count)
					b.ReportMetric(total/hand.Seconds(), "byhand-rows/s")
					b.ReportMetric(total/mine.Seconds(), "backend-rows/s")
					b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
				})
			}
		}
	}
}

// lastingPostgres is a server of its own whose commits reach the disk.
func lastingPostgres(b *testing.B) base {
	made := postgres(b)
	server := postgrestest.Start(b, postgrestest.Options{Sync: true, Settings: []string{"log_statement = none"}})
	b.Cleanup(server.Remove)
	made.server, made.run = server.Address, func(statements ...string) ([]string, error) { return server.SQL(b.Context(), statements...) }
	made.must(b, "CREATE ROLE "+user+" LOGIN PASSWORD '"+made.secret+"'")
	made.values["url"] = server.URL
	return made
}

// lastingMySQL is likewise.
func lastingMySQL(b *testing.B) base {
	made := mysql(b)
	server := mysqltest.Start(b, mysqltest.Options{Args: []string{"--general-log=OFF", "--innodb-flush-log-at-trx-commit=1"}})
	b.Cleanup(server.Remove)
	made.server, made.run = server.Address, func(statements ...string) ([]string, error) {
		return server.SQL(b.Context(), append([]string{"USE app"}, statements...)...)
	}
	if _, err := server.SQL(b.Context(), "CREATE DATABASE app CHARACTER SET utf8mb4", "CREATE USER "+user+" IDENTIFIED BY '"+made.secret+"'"); err != nil {
		b.Fatal(err)
	}
	made.values["url"] = server.URL
	return made
}

// byHandOf is what the loop is about.
type byHandOf struct {
	base
	db    *sql.DB
	table string
	hash  string
	count int
}

// byHand is how long the loop takes.
func byHand(b *testing.B, of byHandOf, atOnce int) time.Duration {
	b.Helper()
	update := fmt.Sprintf("UPDATE %s SET %s = $1, updated = $2, failed = '0' WHERE %s = $3", of.table, of.name("pass`\"word"), of.name("user name"))
	if of.engine == "mysql" {
		update = strings.NewReplacer("$1", "?", "$2", "?", "$3", "?").Replace(update)
	}
	start := time.Now()
	var workers sync.WaitGroup
	for worker := range atOnce {
		workers.Go(func() {
			for number := worker; number < of.count; number += atOnce {
				if _, err := of.db.ExecContext(b.Context(), update, hashByHand(of.hash, "a new value"), fmt.Sprint(time.Now().Unix()), fmt.Sprint("user ", number)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
	return time.Since(start)
}

func hashByHand(format, value string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	if format == "ssha" {
		sum := sha1.Sum(append([]byte(value), salt...))
		return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", encode(salt), encode(argon2.IDKey([]byte(value), salt, 2, 19456, 1, 32)))
}

// batches is how long the backend takes.
func batches(b *testing.B, instance *sqltable.Instance, count, atOnce int) time.Duration {
	b.Helper()
	start := time.Now()
	for first := 0; first < count; first += atOnce {
		var ops []sdk.Operation
		for number := first; number < min(first+atOnce, count); number++ {
			ops = append(ops, set(fmt.Sprint("user ", number), "a new value"))
		}
		for _, receipt := range instance.ApplyBatch(b.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				b.Fatal(receipt.Err)
			}
		}
	}
	return time.Since(start)
}
