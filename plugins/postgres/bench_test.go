package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
)

// benched is how many roles a round is about.
const benched = 400

// ready is a verifier for the loop by hand, which makes none: the server does
// the same with each.
const ready = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

// BenchmarkSet compares the backend with a loop written by hand, over the same
// number of connections to the same server: roles/s of either, and the ratio.
// The loop is given verifiers, the backend makes them.
func BenchmarkSet(b *testing.B) {
	server := postgrestest.Start(b, postgrestest.Options{Sync: true, Settings: []string{"log_statement = none"}})
	b.Cleanup(server.Remove)
	if _, err := server.SQL(b.Context(), fmt.Sprintf(`DO $$ BEGIN FOR n IN 0..%d LOOP EXECUTE format('CREATE ROLE %%I LOGIN', 'bench' || n); END LOOP; END $$`, benched-1)); err != nil {
		b.Fatal(err)
	}
	for _, atOnce := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			instance, pool := openAs(b, server, atOnce), poolOf(b, server, atOnce)
			var mine, hand time.Duration
			for b.Loop() {
				hand += spread(atOnce, func(number int) error {
					_, err := pool.Exec(b.Context(), fmt.Sprintf(`ALTER ROLE "bench%d" PASSWORD '%s'`, number, ready))
					return err
				}, b)
				mine += spread(atOnce, func(number int) error {
					if receipt := instance.Apply(b.Context(), set(fmt.Sprint("bench", number), "a new value")); receipt.Outcome != sdk.Applied {
						return receipt.Err
					}
					return nil
				}, b)
			}
			roles := float64(b.N * benched)
			b.ReportMetric(roles/hand.Seconds(), "byhand-roles/s")
			b.ReportMetric(roles/mine.Seconds(), "backend-roles/s")
			b.ReportMetric(hand.Seconds()/mine.Seconds(), "ratio")
		})
	}
}

func openAs(b *testing.B, server *postgrestest.Server, atOnce int) *postgres.Instance {
	made := config(server, "iterations", int64(4096))
	made.Concurrency = atOnce
	return open(b, made)
}

func poolOf(b *testing.B, server *postgrestest.Server, atOnce int) *pgxpool.Pool {
	b.Helper()
	pool, err := pgxpool.New(context.Background(), fmt.Sprintf("host=127.0.0.1 port=%s user=%s password=%s dbname=postgres sslmode=disable pool_max_conns=%d", server.Port(), server.User, server.Password, atOnce))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// spread does one thing for each role, so many at once, and returns how long
// that took.
func spread(atOnce int, do func(number int) error, b *testing.B) time.Duration {
	b.Helper()
	start := time.Now()
	var workers sync.WaitGroup
	for worker := range atOnce {
		workers.Go(func() {
			for number := worker; number < benched; number += atOnce {
				if err := do(number); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
	return time.Since(start)
}
