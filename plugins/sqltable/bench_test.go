package sqltable_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/sdk"
)

// benched is how many rows a round is about.
const benched = 256

// BenchmarkSet compares the backend on PostgreSQL with a loop written by hand, one
// UPDATE a row after the other: rows/s of either, and the ratio. The backend
// reads each row twice, and once again before it commits.
func BenchmarkSet(b *testing.B) {
	base := postgres(b)
	table := base.table(b)
	var rows []string
	for number := range benched {
		rows = append(rows, fmt.Sprintf("('user %d', '{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA==', 0, '', '7')", number))
	}
	base.must(b, "INSERT INTO "+table+" VALUES "+strings.Join(rows, ", "), fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s)", table, base.name("user name")))
	conn, err := pgx.Connect(context.Background(), fmt.Sprintf("postgres://%s:%s@%s/postgres?sslmode=disable", user, base.secret, base.server))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	instance := open(b, base.config(table))
	update := fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %s = $2", table, base.name("pass`\"word"), base.name("user name"))
	var mine, hand time.Duration
	for b.Loop() {
		start := time.Now()
		for number := range benched {
			if _, err := conn.Exec(b.Context(), update, "{SSHA}xx94JgJAZA3KbaeSb7ydql5GS3dzYWx0c2FsdA==", fmt.Sprint("user ", number)); err != nil {
				b.Fatal(err)
			}
		}
		hand += time.Since(start)
		start = time.Now()
		for number := range benched {
			if receipt := instance.Apply(b.Context(), set(fmt.Sprint("user ", number), "a new value")); receipt.Outcome != sdk.Applied {
				b.Fatal(receipt.Err)
			}
		}
		mine += time.Since(start)
	}
	total := float64(b.N * benched)
	b.ReportMetric(total/hand.Seconds(), "byhand-rows/s")
	b.ReportMetric(total/mine.Seconds(), "backend-rows/s")
	b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
}
